//! Making the request that goes upstream, and the answer that comes back, fit to pass.
//!
//! Order matters: connection-level headers go first, so that a `Connection` header can nominate neither ours nor a
//! credential; then every reserved spelling; then ours are set. The target and the body pass byte for byte. The
//! `X-Forwarded-*` family is written anew unless a trusted proxy wrote it.

use http::{
    HeaderMap, HeaderName, HeaderValue, Uri, Version,
    header::{
        AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, EXPECT, FORWARDED,
        HOST, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
    },
    request,
    uri::PathAndQuery,
};

use super::{
    forwarded,
    inject::HeaderEdits,
    peer::{FORWARDED_FOR, FORWARDED_HOST, FORWARDED_PROTO, Peer},
    reserved::Reserved,
};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const ORIGINAL_URL: HeaderName = HeaderName::from_static("x-original-url");
const REWRITE_URL: HeaderName = HeaderName::from_static("x-rewrite-url");

/// Headers of one connection, never of the next (RFC 9110 section 7.6.1). `Transfer-Encoding` is written anew.
const HOP_BY_HOP: [HeaderName; 7] =
    [CONNECTION, KEEP_ALIVE, PROXY_CONNECTION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];

/// A `Connection` header may not take these away: one side would judge by what the other never sees.
const NEVER_NOMINATED: [HeaderName; 10] = [
    AUTHORIZATION,
    COOKIE,
    HOST,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    CONTENT_ENCODING,
    FORWARDED,
    FORWARDED_FOR,
    FORWARDED_HOST,
    FORWARDED_PROTO,
];

/// What a client may not say of itself, besides the `X-Forwarded-*` family.
const HEARSAY: [HeaderName; 4] = [FORWARDED, REAL_IP, ORIGINAL_URL, REWRITE_URL];

/// Cookies that are credentials: Magento's storefront and back-office sessions.
const SESSION_COOKIES: [&str; 2] = ["PHPSESSID", "admin"];

/// What happens to a request on its way, the same for each.
#[derive(Debug)]
pub struct ForwardRules {
    /// Whether the upstream sees the client's credentials.
    pub credentials: Credentials,
    /// The session cookie that counts, in case it has another name than PHP gives it.
    pub session_cookie: Option<String>,
    /// A shared secret that tells the upstream that the request came through us.
    pub proof: Option<Proof>,
    /// Names that only we may set.
    pub reserved: Reserved,
}

/// What becomes of `Authorization` and session cookies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credentials {
    /// They pass unchanged: the upstream authenticates again.
    Forward,
    /// They are removed: the upstream lives on our headers.
    Strip,
}

/// A header with a shared secret.
#[derive(Debug)]
pub struct Proof {
    /// The header's name.
    pub header: HeaderName,
    /// Its value, marked sensitive.
    pub value: HeaderValue,
}

impl ForwardRules {
    /// Turns an admitted request's head into the one that goes upstream.
    #[must_use]
    pub fn request(&self, mut head: request::Parts, edits: HeaderEdits, peer: &Peer) -> request::Parts {
        let HeaderEdits { remove, set } = edits;
        drop_connection_headers(&mut head.headers);
        for name in remove {
            head.headers.remove(name);
        }
        head.headers.remove(EXPECT);
        head.headers.remove(PROXY_AUTHORIZATION);
        if self.credentials == Credentials::Strip {
            self.strip_credentials(&mut head.headers);
        }
        describe_client(&mut head.headers, peer);
        if let Some(Proof { header, value }) = &self.proof {
            head.headers.insert(header.clone(), value.clone());
        }
        for (name, value) in set {
            head.headers.insert(name, value);
        }
        head.uri = origin_form(&head.uri);
        head.version = Version::HTTP_11;
        head
    }

    /// Removes from an answer what belongs to the upstream's connection, and identity headers that it must not echo.
    pub fn answer(&self, headers: &mut HeaderMap) {
        // RFC 9112 section 6.3: the coding decides, and a length beside it must not reach the client as a second framing.
        if headers.contains_key(TRANSFER_ENCODING) {
            headers.remove(CONTENT_LENGTH);
        }
        drop_connection_headers(headers);
        for name in self.reserved.among(headers) {
            headers.remove(name);
        }
    }

    fn strip_credentials(&self, headers: &mut HeaderMap) {
        headers.remove(AUTHORIZATION);
        if !headers.contains_key(COOKIE) {
            return;
        }
        let kept: Vec<&[u8]> = headers
            .get_all(COOKIE)
            .iter()
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b';'))
            .map(<[u8]>::trim_ascii)
            .filter(|cookie| !cookie.is_empty() && !self.is_session_cookie(cookie))
            .collect();
        let left = kept.join(b"; ".as_slice());
        headers.remove(COOKIE);
        if let Ok(value) = HeaderValue::from_bytes(&left)
            && !left.is_empty()
        {
            headers.insert(COOKIE, value);
        }
    }

    fn is_session_cookie(&self, cookie: &[u8]) -> bool {
        // PHP files `name[x]=…` under `name` as well.
        let name = cookie.split(|byte| matches!(byte, b'=' | b'[')).next().unwrap_or_default().trim_ascii();
        let own = self.session_cookie.as_deref();
        SESSION_COOKIES.into_iter().chain(own).any(|session| name == session.as_bytes())
    }
}

/// One look at the names that are there costs less than asking the map for each that might be.
fn drop_connection_headers(headers: &mut HeaderMap) {
    let found: Vec<HeaderName> = headers.keys().filter(|name| HOP_BY_HOP.contains(name)).cloned().collect();
    if found.contains(&CONNECTION) {
        for name in nominated(headers) {
            headers.remove(name);
        }
    }
    for name in found {
        headers.remove(name);
    }
}

/// The headers that `Connection` names as its own.
fn nominated(headers: &HeaderMap) -> Vec<HeaderName> {
    headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .filter(|name| !NEVER_NOMINATED.contains(name))
        .collect()
}

/// Says who the client is; nobody but a trusted proxy may have said it before us.
fn describe_client(headers: &mut HeaderMap, peer: &Peer) {
    let is_https = peer.speaks_https(headers);
    drop_hearsay(headers, peer);
    if peer.is_trusted {
        append_hop(headers, peer);
        forwarded::append(headers, peer.address);
    } else {
        headers.insert(FORWARDED_FOR, peer.text.clone());
    }
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static(if is_https { "https" } else { "http" }));
    if !headers.contains_key(FORWARDED_HOST)
        && let Some(host) = headers.get(HOST).cloned()
    {
        headers.insert(FORWARDED_HOST, host);
    }
}

fn append_hop(headers: &mut HeaderMap, peer: &Peer) {
    let mut chain: Vec<&[u8]> = headers.get_all(FORWARDED_FOR).iter().map(HeaderValue::as_bytes).collect();
    chain.push(peer.text.as_bytes());
    let joined = HeaderValue::from_bytes(&chain.join(b", ".as_slice()));
    headers.insert(FORWARDED_FOR, joined.unwrap_or_else(|_| peer.text.clone()));
}

/// Removes the whole family by its prefix: a new member must not slip through. A trusted proxy may say what it says in
/// proper spelling; `X_Forwarded_For`, which CGI reads as the same, is a client's that went through it.
fn drop_hearsay(headers: &mut HeaderMap, peer: &Peer) {
    let hearsay: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_hearsay(name) && !(peer.is_trusted && is_spelled_properly(name)))
        .cloned()
        .collect();
    for name in &hearsay {
        headers.remove(name);
    }
}

fn is_hearsay(name: &HeaderName) -> bool {
    let name = name.as_str().as_bytes();
    let reads_as = |other: &[u8]| name.len() == other.len() && reads_like(name, other);
    reads_like(name, b"x-forwarded") || HEARSAY.iter().any(|other| reads_as(other.as_str().as_bytes()))
}

/// Whether `name` begins like `other`, odd bytes read as `-`.
fn reads_like(name: &[u8], other: &[u8]) -> bool {
    let matches =
        |(byte, expected): (&u8, &u8)| byte == expected || *expected == b'-' && !byte.is_ascii_alphanumeric();
    name.len() >= other.len() && name.iter().zip(other).all(matches)
}

fn is_spelled_properly(name: &HeaderName) -> bool {
    name.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn origin_form(target: &Uri) -> Uri {
    if target.authority().is_none() {
        return target.clone();
    }
    let path = target.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    Uri::from(path)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use http::Request;

    use super::*;
    use crate::proxy::peer::TrustedProxies;

    fn rules(credentials: Credentials) -> ForwardRules {
        let proof = Proof {
            header: HeaderName::from_static("x-gate-proof"),
            value: HeaderValue::from_static("s3cret"),
        };
        let reserved = Reserved::new("X-Auth-", Some(&proof.header));
        ForwardRules { credentials, session_cookie: Some("SHOPSID".to_owned()), proof: Some(proof), reserved }
    }

    fn sent(headers: &[(&str, &str)], trusted: bool, credentials: Credentials) -> HeaderMap {
        let mut request = Request::builder().uri("/rest/V1/modules");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        let network = if trusted { "127.0.0.0/8" } else { "10.0.0.0/8" };
        let proxies = TrustedProxies::new(vec![network.parse().unwrap()]);
        let peer = Peer::new(IpAddr::V4(Ipv4Addr::LOCALHOST), &proxies, false);
        let rules = rules(credentials);
        let edits = HeaderEdits {
            remove: rules.reserved.among(&head.headers),
            set: vec![(HeaderName::from_static("x-auth-user-type"), HeaderValue::from_static("guest"))],
        };
        rules.request(head, edits, &peer).headers
    }

    #[test]
    fn connection_cannot_nominate_our_headers_or_a_credential_away() {
        let headers = sent(
            &[
                ("connection", "close, X-Auth-User-Type, Authorization, X-Private"),
                ("authorization", "Bearer x"),
                ("x-private", "1"),
            ],
            false,
            Credentials::Forward,
        );
        assert_eq!(headers["x-auth-user-type"], "guest");
        assert_eq!(headers["authorization"], "Bearer x");
        assert!(!headers.contains_key("x-private"));
        assert!(!headers.contains_key("connection"));
    }

    #[test]
    fn a_spoofed_spelling_never_passes() {
        let headers = sent(
            &[("x_auth_user_id", "1"), ("xauthuserid", "1"), ("x-gate-proof", "guess")],
            false,
            Credentials::Forward,
        );
        assert!(!headers.contains_key("x_auth_user_id"));
        assert!(!headers.contains_key("xauthuserid"));
        assert_eq!(headers["x-gate-proof"], "s3cret");
    }

    #[test]
    fn stripping_takes_credentials_and_leaves_other_cookies() {
        let given = [
            ("authorization", "Bearer x"),
            ("cookie", "a=1; PHPSESSID=s; admin=t; SHOPSID=u; PHPSESSID[x]=v; b=2"),
        ];
        let stripped = sent(&given, false, Credentials::Strip);
        assert!(!stripped.contains_key("authorization"));
        assert_eq!(stripped["cookie"], "a=1; b=2");
        let forwarded = sent(&given, false, Credentials::Forward);
        assert_eq!(forwarded["authorization"], "Bearer x");
        assert_eq!(forwarded["cookie"], "a=1; PHPSESSID=s; admin=t; SHOPSID=u; PHPSESSID[x]=v; b=2");
        assert!(!sent(&[("cookie", "PHPSESSID=s")], false, Credentials::Strip).contains_key("cookie"));
    }

    #[test]
    fn hearsay_of_strangers_is_dropped_and_that_of_trusted_proxies_extended() {
        let given = [
            ("host", "shop.example.com"),
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-prefix", "/admin"),
            ("forwarded", "for=1.2.3.4"),
        ];
        let stranger = sent(&given, false, Credentials::Strip);
        assert_eq!(stranger["x-forwarded-for"], "127.0.0.1");
        assert_eq!(stranger["x-forwarded-proto"], "http");
        assert_eq!(stranger["x-forwarded-host"], "shop.example.com");
        assert!(!stranger.contains_key("forwarded"));
        assert!(!stranger.contains_key("x-forwarded-prefix"));
        let proxy = sent(&given, true, Credentials::Strip);
        assert_eq!(proxy["x-forwarded-for"], "1.2.3.4, 127.0.0.1");
        assert_eq!(proxy["x-forwarded-proto"], "https");
        assert_eq!(proxy["x-forwarded-prefix"], "/admin");
        assert_eq!(proxy["forwarded"], "for=1.2.3.4, for=127.0.0.1");
    }

    #[test]
    fn an_odd_spelling_of_hearsay_passes_for_nobody() {
        // CGI hands `X_Forwarded_For` and `X-Forwarded-For` to the program under one name.
        for name in ["x_forwarded_for", "x-forwarded_for", "x.forwarded.host", "x_real_ip", "x_original-url"]
        {
            for is_trusted in [false, true] {
                let headers = sent(&[(name, "6.6.6.6")], is_trusted, Credentials::Strip);
                assert!(!headers.contains_key(name), "{name} {is_trusted}");
            }
        }
        assert!(sent(&[("x-real-ipv6", "1")], false, Credentials::Strip).contains_key("x-real-ipv6"));
    }

    #[test]
    fn connection_cannot_nominate_the_word_of_a_trusted_proxy_away() {
        let given = [("connection", "x-forwarded-proto, x-forwarded-for"), ("x-forwarded-proto", "https")];
        assert_eq!(sent(&given, true, Credentials::Strip)["x-forwarded-proto"], "https");
    }

    #[test]
    fn an_answer_has_one_framing() {
        let mut headers: HeaderMap = [
            (TRANSFER_ENCODING, "chunked"),
            (CONTENT_LENGTH, "3"),
            (HeaderName::from_static("x-auth-user-id"), "1"),
        ]
        .into_iter()
        .map(|(name, value)| (name, HeaderValue::from_static(value)))
        .collect();
        rules(Credentials::Strip).answer(&mut headers);
        assert!(headers.is_empty(), "{headers:?}");
    }
}
