//! Another method, scheme, host or path than the one that arrived.

use std::borrow::Cow;

use http::HeaderValue;

use super::{
    super::percent,
    Surroundings, Unverified,
    change::{Apply, Change},
    rewrite::Rewrite,
};
use crate::auth::oauth1::Scheme;

const METHODS: [&str; 7] = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"];

/// Ports that stand in development URLs and get lost on the way, or the other way round.
const PORTS: [&str; 5] = ["80", "443", "8080", "8443", "8000"];

/// More store codes than this are not tried.
const MOST_STORES: usize = 50;

/// Everything that the client may have had otherwise before the query.
pub(super) fn changes(case: &Unverified<'_>) -> Vec<Change> {
    let mut changes = methods(case.request.method);
    changes.push(scheme(case));
    changes.extend(hosts(case));
    changes.extend(paths(case));
    changes
}

fn methods(sent: &str) -> Vec<Change> {
    let others = METHODS.into_iter().filter(|method| *method != sent);
    let mut changes: Vec<Change> = others
        .map(|signed| {
            let fix = format!(
                "The client signed {signed} and sent {sent}: sign the method that is sent, after redirects."
            );
            Change::new("method", fix, Apply::Method(signed))
        })
        .collect();
    let fix = "The client signed the method in lower case: it must be in upper case.";
    changes.push(Change::new("method_case", fix, Apply::Rewrite(Rewrite::LowerMethod)));
    changes
}

fn scheme(case: &Unverified<'_>) -> Change {
    let Surroundings { headers, is_trusted, .. } = &case.surroundings;
    let (signed, fix): (_, Cow<'_, str>) = match case.request.scheme {
        Scheme::Https => (
            Scheme::Http,
            "The client signed http://, the gate sees https: sign the https URL, or set oauth.origin.".into(),
        ),
        Scheme::Http => {
            let proto = headers.get("x-forwarded-proto").map(HeaderValue::as_bytes);
            let why = match (proto, is_trusted) {
                (Some(b"https"), false) => {
                    "its X-Forwarded-Proto is not believed, because the peer is not in listen.trusted_proxies: add it there"
                }
                (Some(_), true) => "X-Forwarded-Proto must be exactly `https`, in lower case and alone",
                (_, _) => {
                    "let the proxy that ends TLS send X-Forwarded-Proto: https and list it in listen.trusted_proxies, or set oauth.origin"
                }
            };
            (Scheme::Https, format!("The client signed https://, the gate sees http: {why}.").into())
        }
    };
    Change::new("scheme", fix.into_owned(), Apply::Scheme(signed))
}

fn hosts(case: &Unverified<'_>) -> Vec<Change> {
    let host = case.request.host;
    let (name, port) = split_port(host);
    let mut changes = Vec::new();
    let fix = "The client signed the URL with its default port: RFC 5849 §3.4.1.2 leaves :80 of http and :443 of https out.";
    for scheme in [Scheme::Http, Scheme::Https] {
        changes.push(Change::new("default_port", fix, Apply::Rewrite(Rewrite::DefaultPort(scheme))));
    }
    let mut add = |cause, signed: String, fix: String| {
        if !signed.eq_ignore_ascii_case(host) && !signed.is_empty() {
            changes.push(Change::new(cause, fix, Apply::Host(signed)));
        }
    };
    if let Some(port) = port {
        let fix = format!(
            "The client signed the host without the port :{port} that its Host header has: sign what is sent."
        );
        add("port", name.to_owned(), fix);
    }
    for signed in PORTS.into_iter().filter(|signed| port != Some(signed)) {
        let fix = format!(
            "The client signed the port :{signed}, but its Host header is another one: a proxy must pass Host on unchanged, or set oauth.origin."
        );
        add("port", format!("{name}:{signed}"), fix);
    }
    let forwarded = case.surroundings.headers.get("x-forwarded-host").and_then(|value| value.to_str().ok());
    for signed in forwarded.unwrap_or_default().split(',').map(str::trim) {
        let fix = format!(
            "The client signed the host in X-Forwarded-Host ({signed}): that header has no say, as in Magento; pass Host on unchanged, or set oauth.origin."
        );
        add("host", signed.to_owned(), fix);
    }
    let received = case.surroundings.headers.get("host").and_then(|value| value.to_str().ok());
    let called = case.surroundings.called.into_iter().chain(received);
    for signed in called.chain(case.surroundings.other_hosts.iter().map(String::as_str)) {
        let fix = format!(
            "The client signed the host {signed}, but {host} counts: call the host that is signed, pass Host on unchanged, or set oauth.origin."
        );
        add("host", signed.to_owned(), fix.clone());
        add("host", split_port(signed).0.to_owned(), fix);
    }
    let other =
        name.strip_prefix("www.").map_or_else(|| format!("www.{host}"), |_| host.replacen("www.", "", 1));
    let fix = format!(
        "The client signed {other}: the request was redirected from there, sign the name that answers."
    );
    add("host", other, fix);
    changes
}

/// Name and port; an IPv6 address keeps its brackets.
fn split_port(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            (name, Some(port))
        }
        _ => (host, None),
    }
}

fn paths(case: &Unverified<'_>) -> Vec<Change> {
    let path = case.request.path;
    let mut changes = Vec::new();
    let mut add = |cause, signed: String, fix: Cow<'static, str>| {
        if signed != path {
            changes.push(Change::new(cause, fix, Apply::Path(signed)));
        }
    };
    match path.strip_suffix('/').filter(|rest| !rest.is_empty()) {
        Some(without) => add(
            "trailing_slash",
            without.to_owned(),
            "The client signed the path without the slash at its end: sign what is sent.".into(),
        ),
        None => add(
            "trailing_slash",
            format!("{path}/"),
            "The client signed the path with a slash at its end: sign what is sent.".into(),
        ),
    }
    for (signed, fix) in store_codes(path, &case.surroundings.store_codes) {
        add("store_code", signed, fix.into());
    }
    for prefix in ["/index.php", "/pub"] {
        let fix = format!("The client signed the path without {prefix}: sign what is sent.");
        if let Some(without) = path.strip_prefix(prefix) {
            add("path_prefix", without.to_owned(), fix.into());
        } else {
            let fix =
                format!("The client signed the path with {prefix}, which was not sent: a proxy rewrites it.");
            add("path_prefix", format!("{prefix}{path}"), fix.into());
        }
    }
    let collapsed = path.split('/').filter(|segment| !segment.is_empty()).collect::<Vec<_>>().join("/");
    let end = if path.ends_with('/') { "/" } else { "" };
    add(
        "double_slash",
        format!("/{collapsed}{end}"),
        "The client signed the path without its empty segments (`//`): sign what is sent.".into(),
    );
    for (cause, signed, fix) in encodings(path) {
        add(cause, signed, fix.into());
    }
    changes
}

/// The path without the store code that it has, or with each that it may have.
fn store_codes(path: &str, codes: &[String]) -> Vec<(String, String)> {
    let Some(at) = path.find("/rest/") else { return Vec::new() };
    let (before, after) = path.split_at(at + "/rest/".len());
    let first = after.split('/').next().unwrap_or_default();
    if let Some(rest) = after.strip_prefix(first).filter(|_| codes.iter().any(|code| code == first)) {
        let fix = format!("The client signed the path without the store code `{first}`: sign what is sent.");
        let without = format!("{before}{}", rest.trim_start_matches('/'));
        let others = codes.iter().filter(|code| *code != first).take(MOST_STORES).map(|code| {
            (
                format!("{before}{code}{rest}"),
                format!("The client signed the store code `{code}` and sent `{first}`."),
            )
        });
        return std::iter::once((without, fix)).chain(others).collect();
    }
    let with = codes.iter().take(MOST_STORES).map(|code| {
        let fix = format!("The client signed the path with the store code `{code}`, which was not sent.");
        (format!("{before}{code}/{after}"), fix)
    });
    with.collect()
}

fn encodings(path: &str) -> Vec<(&'static str, String, &'static str)> {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap_or_else(|_| path.to_owned());
    let strict: Vec<String> =
        path.split('/').map(|segment| percent::encode(&percent::decode(segment))).collect();
    let slashes =
        percent::rewrite(path, |byte, escape| if byte == b'/' { vec![byte] } else { escape.to_vec() });
    let unreserved = percent::rewrite(path, |byte, escape| {
        let is_plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if is_plain { vec![byte] } else { escape.to_ascii_uppercase() }
    });
    vec![
        (
            "encoded_slash",
            text(slashes),
            "The client signed `/` where it sent `%2F`: sign the path as it is sent.",
        ),
        (
            "path_encoding",
            text(unreserved),
            "The client signed the path in normal form (letters decoded, escapes in upper case) and sent another: sign what is sent.",
        ),
        (
            "path_encoding",
            text(percent::decode(path)),
            "The client signed the decoded path: sign the path as it is sent.",
        ),
        (
            "path_encoding",
            strict.join("/"),
            "The client signed the path with everything unusual percent-encoded, and sent it otherwise: sign what is sent.",
        ),
        (
            "path_encoding",
            text(percent::rewrite(path, |_, escape| escape.to_ascii_lowercase())),
            "The client signed lower-case escapes and sent upper-case ones: sign what is sent.",
        ),
        (
            "path_encoding",
            text(percent::rewrite(path, |_, escape| escape.to_ascii_uppercase())),
            "The client signed upper-case escapes and sent lower-case ones: sign what is sent.",
        ),
        (
            "double_encoding",
            path.replace('%', "%25"),
            "The client encoded the path once more before signing it: sign the path as it is sent.",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_code_is_left_out_or_put_in() {
        let codes = ["default".to_owned(), "de".to_owned()];
        let paths = |path| store_codes(path, &codes).into_iter().map(|(path, _)| path).collect::<Vec<_>>();
        assert_eq!(paths("/rest/default/V1/x"), ["/rest/V1/x", "/rest/de/V1/x"]);
        assert_eq!(paths("/rest/V1/x"), ["/rest/default/V1/x", "/rest/de/V1/x"]);
        assert!(paths("/other").is_empty());
    }

    #[test]
    fn a_port_is_told_from_an_address() {
        for (host, expected) in [
            ("h", ("h", None)),
            ("h:80", ("h", Some("80"))),
            ("[::1]", ("[::1]", None)),
            ("[::1]:80", ("[::1]", Some("80"))),
            ("h:", ("h:", None)),
        ] {
            assert_eq!(split_port(host), expected);
        }
    }
}
