//! The bearer form of the `Authorization` header, as Magento cuts it.
//!
//! Magento splits at every single space and wants exactly two pieces (`TokenUserContext`, `MAGENTO_AUTH` section 2.1):
//! two spaces, a tab, a third word or a missing token make the header as good as absent, never an error. What kind
//! of token it is, and whether it is any good, is decided elsewhere.

use std::fmt;

/// The token of a well-formed bearer header, byte for byte as sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BearerToken<'a>(&'a [u8]);

impl<'a> BearerToken<'a> {
    /// Reads `Bearer <token>`, the scheme in any case; `None` for every other form.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let mut pieces = trim_blanks(value).split(|&byte| byte == b' ');
        let (scheme, token) = (pieces.next()?, pieces.next()?);
        let well_formed =
            pieces.next().is_none() && scheme.eq_ignore_ascii_case(b"bearer") && !token.is_empty();
        well_formed.then_some(Self(token))
    }

    /// The token as sent; a secret.
    #[must_use]
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }
}

impl fmt::Debug for BearerToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken")
    }
}

/// Drops what RFC 9110 §5.5 calls optional whitespace around a field value; most HTTP parsers have done so already.
pub(super) fn trim_blanks(value: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().position(|byte| !is_blank(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !is_blank(byte)).map_or(start, |last| last.saturating_add(1));
    value.get(start..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_two_pieces_make_a_bearer() {
        let cases: [(&[u8], Option<&[u8]>); 16] = [
            (b"Bearer abc", Some(b"abc")),
            (b"bEaReR abc", Some(b"abc")),
            (b" \tBearer abc\t ", Some(b"abc")),
            (b"Bearer \"abc\"", Some(b"\"abc\"")),
            (b"Bearer a,b", Some(b"a,b")),
            (b"Bearer t\xc3\xb6\xff", Some(b"t\xc3\xb6\xff")),
            (b"Bearer a\tb", Some(b"a\tb")),
            (b"Bearer  abc", None),
            (b"Bearer\tabc", None),
            (b"Bearer abc def", None),
            (b"Bearerabc", None),
            (b"Bearer", None),
            (b"Bearer ", None),
            (b"abc", None),
            (b"", None),
            (b" \t ", None),
        ];
        for (value, token) in cases {
            let parsed = BearerToken::parse(value).map(BearerToken::as_bytes);
            assert_eq!(parsed, token, "{}", value.escape_ascii());
        }
    }

    #[test]
    fn debug_never_shows_the_token() {
        assert_eq!(format!("{:?}", BearerToken::parse(b"Bearer hunter2")), "Some(BearerToken)");
    }
}
