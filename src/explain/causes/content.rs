//! Other parameters than the ones that arrived: query, form, header.

use std::borrow::Cow;

use serde_json::Value;

use super::{
    super::percent,
    Unverified,
    change::{Apply, Change},
    rewrite::Rewrite,
};
use crate::auth::oauth1::ProtocolParameters;

/// Stands in the header and is not signed.
const REALM: &str = "realm";

/// More single parameters than this are not left out one by one.
const MOST_PARAMETERS: usize = 32;

/// Everything that the client may have had otherwise in its parameters.
pub(super) fn changes(case: &Unverified<'_>) -> Vec<Change> {
    let mut changes = rewrites();
    if let Some(query) = case.request.query.filter(|query| !query.is_empty()) {
        changes.extend(queries(query));
    }
    changes.extend(forms(case));
    changes.extend(headers(case.credentials));
    changes
}

fn rewrites() -> Vec<Change> {
    [
        ("brackets", "The client did not encode the brackets in names before it encoded the whole: encode names and values, then the base string again.", Rewrite::RawBrackets),
        ("plus", "The client encoded blanks as `+` (urlencode): base strings need `%20` (rawurlencode).", Rewrite::PlusForBlank),
        ("escape_case", "The client wrote escapes in lower case: RFC 5849 §3.6 wants them in upper case.", Rewrite::LowerEscapes),
        ("tilde", "The client encoded `~`: RFC 5849 §3.6 leaves it alone.", Rewrite::EncodedTilde),
        ("encoded_once", "The client encoded the parameters once: names and values are encoded, then the whole again.", Rewrite::EncodedOnce),
    ]
    .map(|(name, fix, rewrite)| Change::new(name, fix, Apply::Rewrite(rewrite)))
    .into()
}

fn queries(query: &str) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut add = |cause, signed: Option<String>, fix: Cow<'static, str>| {
        if signed.as_deref() != Some(query) {
            changes.push(Change::new(cause, fix, Apply::Query(signed)));
        }
    };
    add(
        "query_unsigned",
        None,
        "The client did not sign the query: all its parameters belong into the base string.".into(),
    );
    add(
        "plus",
        Some(query.replace('+', "%20")),
        "The client sent a blank as `+` and signed it as a blank: send `%20`.".into(),
    );
    add(
        "plus",
        Some(query.replace('+', "%2B")),
        "The client sent `+` and signed a plus sign: send `%2B` for a plus sign, `%20` for a blank.".into(),
    );
    add(
        "plus",
        Some(query.replace("%20", "%2B")),
        "The client sent `%20` and signed a plus sign: encode with rawurlencode.".into(),
    );
    add("double_encoding", Some(query.replace('%', "%25")), "The client encoded the query twice before signing: decode what is in the URL, then encode it once for the base string.".into());
    let decoded = String::from_utf8(percent::rewrite(query, |byte, escape| {
        if b"&=%".contains(&byte) { escape.to_vec() } else { vec![byte] }
    }));
    if let Ok(decoded) = decoded {
        add(
            "double_encoding",
            Some(decoded),
            "The query was encoded twice on its way: the client signed it encoded once.".into(),
        );
    }
    let brackets =
        |text: &str| text.replace("%5B", "[").replace("%5D", "]").replace("%5b", "[").replace("%5d", "]");
    let twice = brackets(query).replace('[', "%255B").replace(']', "%255D");
    add("brackets", Some(twice), "The client signed the brackets encoded once more than it sent them: decode names before encoding them for the base string.".into());
    add(
        "semicolon",
        Some(query.replace(';', "&")),
        "The client takes `;` for a separator: send `&`, or encode `;` as `%3B`.".into(),
    );
    for (cause, signed, fix) in fewer(query) {
        add(cause, signed, fix);
    }
    changes
}

/// The query without some of its parameters.
fn fewer(query: &str) -> Vec<(&'static str, Option<String>, Cow<'static, str>)> {
    let pieces: Vec<&str> = query.split('&').collect();
    let name = |piece: &str| percent::decode(piece.split('=').next().unwrap_or_default());
    let keep = |keeps: &dyn Fn(usize, &str) -> bool| {
        let kept = pieces.iter().enumerate().filter(|(at, piece)| keeps(*at, piece));
        let kept: Vec<&str> = kept.map(|(_, piece)| *piece).collect();
        (!kept.is_empty()).then(|| kept.join("&"))
    };
    let is_repeated = |at: usize, piece: &str, mut range: std::ops::Range<usize>| {
        range.any(|other| other != at && pieces.get(other).is_some_and(|other| name(other) == name(piece)))
    };
    let count = pieces.len();
    let mut found = vec![
        (
            "repeated_parameter",
            keep(&|at, piece| !is_repeated(at, piece, 0..at)),
            "The client signed only the first of a repeated parameter: sign all of them, or number them (`x[0]`, `x[1]`).".into(),
        ),
        (
            "repeated_parameter",
            keep(&|at, piece| !is_repeated(at, piece, at..count)),
            "The client signed only the last of a repeated parameter: sign all of them, or number them (`x[0]`, `x[1]`).".into(),
        ),
        (
            "odd_parameter",
            keep(&|_, piece| piece.matches('=').count() == 1),
            "The client did not sign parameters without exactly one `=`: send `name=` for an empty value and `%3D` inside values.".into(),
        ),
    ];
    if count > 1 {
        found.extend(pieces.iter().enumerate().take(MOST_PARAMETERS).map(|(left_out, piece)| {
            let name = String::from_utf8_lossy(&name(piece)).into_owned();
            let fix =
                format!("The client did not sign the parameter `{name}`: something adds it after signing.");
            ("parameter_unsigned", keep(&|at, _| at != left_out), fix.into())
        }));
    }
    found
}

fn forms(case: &Unverified<'_>) -> Vec<Change> {
    if case.request.form.is_some() {
        let fix = "The client did not sign the form: the fields of a form body belong into the base string, or send JSON.";
        return vec![Change::new("form_unsigned", fix, Apply::Form(None))];
    }
    let body = case.surroundings.body;
    if body.is_empty() {
        return Vec::new();
    }
    let kind =
        if case.surroundings.media_type.is_empty() { "no media type" } else { &case.surroundings.media_type };
    let fix = format!("The client signed its body as a form, but sent it as {kind}: only forms are signed.");
    let mut changes = vec![Change::new("body_signed", fix.clone(), Apply::Form(Some(body.to_vec())))];
    if let Some(fields) = fields_of_json(body) {
        changes.push(Change::new("body_signed", fix, Apply::Form(Some(fields.into_bytes()))));
    }
    changes
}

/// The members of a JSON object as a form, as a client that signs its "parameters" writes them.
fn fields_of_json(body: &[u8]) -> Option<String> {
    let Value::Object(members) = serde_json::from_slice(body).ok()? else { return None };
    let fields = members.iter().map(|(name, value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        format!("{}={}", percent::encode(name.as_bytes()), percent::encode(value.as_bytes()))
    });
    Some(fields.collect::<Vec<_>>().join("&"))
}

/// The header without a parameter that was added after signing, or without a repeated one.
fn headers(credentials: &str) -> Vec<Change> {
    let pieces: Vec<&str> = credentials.split(',').collect();
    let without = |left_out: usize| {
        let kept = pieces.iter().enumerate().filter(|(at, _)| *at != left_out).map(|(_, piece)| *piece);
        Apply::Credentials(kept.collect::<Vec<_>>().join(","))
    };
    let mut changes = Vec::new();
    for (at, piece) in pieces.iter().enumerate().take(MOST_PARAMETERS) {
        let name = piece_name(piece);
        if pieces.iter().enumerate().any(|(other, piece)| other != at && piece_name(piece) == name) {
            let fix =
                format!("The header holds {name} twice, and the client signed the other one: send it once.");
            changes.push(Change::new("header_repeated", fix, without(at)));
        } else if name != REALM && !ProtocolParameters::knows(name.as_bytes()) {
            let fix = format!(
                "The client did not sign {name}, which stands in its Authorization header: sign it or leave it out (a comma in quotes ends a parameter)."
            );
            changes.push(Change::new("header_unsigned", fix, without(at)));
        } else if name == "oauth_version" {
            let fix = "The client did not sign oauth_version: sign it or leave it out.";
            changes.push(Change::new("version_unsigned", fix, without(at)));
        }
    }
    if !pieces.iter().any(|piece| piece_name(piece) == "oauth_version") {
        let fix = "The client signed oauth_version=\"1.0\" and did not send it: send it.";
        let with = format!("{credentials}, oauth_version=\"1.0\"");
        changes.push(Change::new("version_not_sent", fix, Apply::Credentials(with)));
    }
    changes
}

fn piece_name(piece: &str) -> String {
    piece.trim().split('=').next().unwrap_or_default().to_owned()
}
