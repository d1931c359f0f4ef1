//! How credentials are written for people and for programs.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};

use super::super::{Failure, printable, say};
use crate::{
    auth::{secret::Secret, time::UnixTime},
    service::operator_token::{HeldToken, TokenState},
    store::rows::TokenType,
};

/// Prints an object for programs.
pub(super) fn say_json(value: &Value) -> Result<(), Failure> {
    say(&format!("{value:#}"))
}

/// Prints what is shown once, in lines that can be copied, between blank lines.
pub(super) fn say_secrets(lines: &[(&str, &Secret<String>)]) -> Result<(), Failure> {
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    say("")?;
    for (name, secret) in lines {
        say(&format!("{name:<width$}  {}", secret.expose()))?;
    }
    say("\nShown once and never again; keep it now.")
}

/// A time as in RFC 3339, UTC.
pub(super) fn time(time: UnixTime) -> String {
    let seconds = Duration::from_secs(u64::try_from(time.seconds()).unwrap_or(0));
    // Later years than the format has are as good as its last one.
    let latest = Duration::from_secs(253_402_300_799);
    humantime::format_rfc3339_seconds(UNIX_EPOCH + seconds.min(latest)).to_string()
}

/// A line for each token.
pub(super) fn say_tokens(tokens: &[HeldToken]) -> Result<(), Failure> {
    tokens.iter().try_for_each(|token| say(&token_line(token)))
}

/// A token for people.
pub(super) fn token_line(token: &HeldToken) -> String {
    let HeldToken { id, token_type, fingerprint, created_at, state } = token;
    let created_at = created_at.map_or_else(|| "at no known time".to_owned(), time);
    let state = match state {
        TokenState::Valid { until: None } => "valid".to_owned(),
        TokenState::Valid { until: Some(until) } => format!("valid until {}", time(*until)),
        TokenState::Refused(reason) => format!("refused: {reason}"),
    };
    format!("{id:>6}  {fingerprint}  {:<8}  made {created_at}  {state}", word(*token_type))
}

/// A token for programs.
pub(super) fn token_json(token: &HeldToken) -> Value {
    let HeldToken { id, token_type, fingerprint, created_at, state } = token;
    let (until, refused) = match state {
        TokenState::Valid { until } => (until.map(time), None),
        TokenState::Refused(reason) => (None, Some(reason)),
    };
    json!({
        "id": id,
        "fingerprint": fingerprint,
        "type": word(*token_type),
        "created_at": created_at.map(time),
        "valid": refused.is_none(),
        "valid_until": until,
        "refused": refused,
    })
}

/// A name of somebody's, quoted.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", printable(name))
}

const fn word(token_type: TokenType) -> &'static str {
    match token_type {
        TokenType::Access => "access",
        TokenType::Request => "request",
        TokenType::Verifier => "verifier",
        TokenType::Unknown => "unknown",
    }
}
