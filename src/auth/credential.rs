//! Which credential an `Authorization` header holds: none, a bearer token or an OAuth 1.0a signature.
//!
//! Magento finds `oauth ` anywhere in the value and a bearer token only in a two-word value, so one header can carry
//! two callers (`MAGENTO_AUTH` section 3.1). Here a scheme counts only where it leads (DESIGN section 6, D8). A value
//! that leads with one scheme and holds a usable credential of the other is refused, because some reader behind us
//! might choose the other one. Every other oddity is nobody's credential, as it is for Magento.
//!
//! Two `Authorization` headers are the sanitizing stage's affair; this module sees one value.

use std::fmt;

use crate::auth::bearer::{BearerToken, trim_blanks};

const BEARER: &[u8] = b"bearer";
const BEARER_AND_BLANK: &[u8] = b"bearer ";
const OAUTH_AND_BLANK: &[u8] = b"oauth ";
const OAUTH_PARAMETER_PREFIX: &[u8] = b"oauth_";

/// What one `Authorization` value holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Credential<'a> {
    /// Nothing that counts; the caller is a guest as far as this header goes.
    None,
    /// A bearer token.
    Bearer(BearerToken<'a>),
    /// The parameters of an OAuth 1.0a signature: what follows `OAuth `.
    Oauth(&'a str),
}

impl<'a> Credential<'a> {
    /// Reads one `Authorization` value.
    ///
    /// # Errors
    ///
    /// [`AmbiguousCredential`] when the value leads with one scheme and holds a credential of the other one.
    pub fn parse(value: &'a [u8]) -> Result<Self, AmbiguousCredential> {
        let value = trim_blanks(value);
        if let Some(parameters) = strip_prefix(value, OAUTH_AND_BLANK) {
            return parse_oauth(value, parameters);
        }
        if starts_with(value, BEARER) && holds_signature(value) {
            return Err(AmbiguousCredential);
        }
        Ok(BearerToken::parse(value).map_or(Self::None, Self::Bearer))
    }
}

impl fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Bearer(_) => "Bearer",
            Self::Oauth(_) => "Oauth",
        })
    }
}

/// One value, two credentials: nobody can say whose request this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the Authorization header holds two credentials")]
pub struct AmbiguousCredential;

fn parse_oauth<'a>(value: &[u8], parameters: &'a [u8]) -> Result<Credential<'a>, AmbiguousCredential> {
    if holds_bearer(value) {
        return Err(AmbiguousCredential);
    }
    Ok(std::str::from_utf8(parameters).map_or(Credential::None, Credential::Oauth))
}

/// Whether `bearer ` stands after a blank or comma, with a token behind it. Quotes do not protect it: Magento's own
/// reader knows none.
fn holds_bearer(value: &[u8]) -> bool {
    let mut rest = value;
    while let Some(index) = rest.iter().position(|byte| matches!(byte, b' ' | b'\t' | b',')) {
        rest = rest.get(index.saturating_add(1)..).unwrap_or_default();
        if strip_prefix(rest, BEARER_AND_BLANK).is_some_and(|token| !trim_blanks(token).is_empty()) {
            return true;
        }
    }
    false
}

/// Whether Magento would find a signature: `oauth ` anywhere, and behind it a parameter whose name holds `oauth_`.
fn holds_signature(value: &[u8]) -> bool {
    // The word ends in a blank and few blanks stand in a value: trying only there spares a comparison at each byte of a JWT.
    let mut ends = value.iter().enumerate().filter(|(_, byte)| **byte == b' ').map(|(index, _)| index + 1);
    let ends_in_scheme =
        |end: &usize| value.get(..*end).is_some_and(|start| ends_with(start, OAUTH_AND_BLANK));
    let Some(end) = ends.find(ends_in_scheme) else {
        return false;
    };
    let parameters = value.get(end..).unwrap_or_default();
    parameters.split(|&byte| byte == b',').any(is_oauth_parameter)
}

fn is_oauth_parameter(piece: &[u8]) -> bool {
    let Some(equals) = piece.iter().position(|&byte| byte == b'=') else { return false };
    let name = piece.get(..equals).unwrap_or_default();
    name.windows(OAUTH_PARAMETER_PREFIX.len()).any(|window| starts_with(window, OAUTH_PARAMETER_PREFIX))
}

fn starts_with(value: &[u8], prefix: &[u8]) -> bool {
    strip_prefix(value, prefix).is_some()
}

fn ends_with(value: &[u8], suffix: &[u8]) -> bool {
    let start = value.len().checked_sub(suffix.len());
    start.and_then(|start| value.get(start..)).is_some_and(|end| end.eq_ignore_ascii_case(suffix))
}

/// The rest of a value that begins with an ASCII prefix in any case.
fn strip_prefix<'a>(value: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (head, rest) = value.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Recorded {
        name: String,
        value: String,
        answer: String,
    }

    fn word(value: &[u8]) -> &'static str {
        match Credential::parse(value) {
            Ok(Credential::None) => "none",
            Ok(Credential::Bearer(_)) => "bearer",
            Ok(Credential::Oauth(_)) => "oauth",
            Err(AmbiguousCredential) => "ambiguous",
        }
    }

    #[test]
    fn every_recorded_value_has_its_answer() {
        let recorded: Vec<Recorded> =
            serde_json::from_str(include_str!("../../tests/vectors/authorization_header.json")).unwrap();
        assert!(recorded.len() > 40);
        for case in recorded {
            assert_eq!(word(case.value.as_bytes()), case.answer, "{}", case.name);
        }
    }

    #[test]
    fn a_scheme_counts_only_where_it_leads() {
        let cases: [(&[u8], &str); 26] = [
            (b"", "none"),
            (b"OAuth", "none"),
            (b"OAuth ", "none"),
            (b"OAuth\toauth_token=x", "none"),
            (b"OAuthX oauth_token=x", "none"),
            (b"Foo OAuth oauth_token=x", "none"),
            (b",OAuth oauth_token=x", "none"),
            (b"Token x", "none"),
            (b"Bearer x, Bearer y", "none"),
            (b"Bearer oauth a.b.c", "none"),
            (b"Bearer x OAuth realm=\"y\"", "none"),
            (b"Bearer x, oauth oauth_token", "none"),
            (b"OAuth oauth_token=\"\xff\"", "none"),
            (b"oAuTh oauth_token=x", "oauth"),
            (b"\tOAuth  oauth_token=x ", "oauth"),
            (b"OAuth foo=bar", "oauth"),
            (b"OAuth bearer", "oauth"),
            (b"OAuth realm=\"bearer x\"", "oauth"),
            (b"OAuth oauth_token=x, forbearer y", "oauth"),
            (b"Bearer oauth_token=x", "bearer"),
            (b"OAuth oauth_token=x, Bearer y", "ambiguous"),
            (b"OAuth Bearer y", "ambiguous"),
            (b"OAuth oauth_token=\xff\tBEARER y", "ambiguous"),
            (b"Bearer OAuth oauth_token=x", "ambiguous"),
            (b"bearer a.b.c oauth OAUTH_token=x", "ambiguous"),
            (b"Bearer x,OAuth realm=\"y\", xoauth_token=x", "ambiguous"),
        ];
        for (value, answer) in cases {
            assert_eq!(word(value), answer, "{}", value.escape_ascii());
        }
    }

    #[test]
    fn oauth_hands_over_what_follows_the_blank() {
        assert_eq!(Credential::parse(b" oauth  a=\"b\", c "), Ok(Credential::Oauth(" a=\"b\", c")));
    }

    #[test]
    fn debug_never_shows_the_credential() {
        assert_eq!(format!("{:?}", Credential::parse(b"OAuth hunter2=x")), "Ok(Oauth)");
        assert_eq!(format!("{:?}", Credential::parse(b"Bearer hunter2")), "Ok(Bearer)");
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(value: Vec<u8>) {
            let _ = Credential::parse(&value);
        }

        #[test]
        fn whatever_magento_reads_as_bearer_is_bearer_or_refused(token in "[!-~]{1,80}") {
            let value = format!("Bearer {token}");
            proptest::prop_assert_eq!(word(value.as_bytes()), "bearer");
        }
    }
}
