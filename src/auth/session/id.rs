//! The id of a PHP session: the only part of a request that ever becomes part of a file name or a Redis key.
//!
//! PHP's own alphabet holds no separator, dot or NUL, so an id can name nothing outside its folder. The bytes lie inline:
//! reading a cookie allocates nothing, and dropping the id wipes them.

use std::fmt;

use zeroize::Zeroize;

/// The longest id that PHP makes (`session.sid_length`).
const MAX_BYTES: usize = 256;

/// An id of letters, digits, `,` and `-`, 1 to 256 bytes; a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionId {
    bytes: [u8; MAX_BYTES],
    length: usize,
}

impl SessionId {
    /// Reads an id; `None` for what PHP would never have made (Magento answers 500 there, deviation D9).
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        Self::collect(text.iter().copied())
    }

    /// Reads a cookie's value, which PHP percent-decodes: it writes the `,` of its own ids as `%2C`.
    #[must_use]
    pub fn from_cookie(value: &[u8]) -> Option<Self> {
        let mut rest = value.iter().copied();
        let decoded = std::iter::from_fn(move || match rest.next()? {
            // An escape that is none yields `%`, which no id holds.
            b'%' => {
                Some(hex_digit(rest.next()).zip(hex_digit(rest.next())).map_or(b'%', |(a, b)| a << 4 | b))
            }
            byte => Some(byte),
        });
        Self::collect(decoded)
    }

    /// The id as text; a secret.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).expect("every byte was checked to be ASCII")
    }

    /// The id's bytes; a secret.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    fn collect(text: impl Iterator<Item = u8>) -> Option<Self> {
        let mut id = Self { bytes: [0; MAX_BYTES], length: 0 };
        for byte in text {
            let is_legal = byte.is_ascii_alphanumeric() || matches!(byte, b',' | b'-');
            *id.bytes.get_mut(id.length).filter(|_| is_legal)? = byte;
            id.length += 1;
        }
        (id.length > 0).then_some(id)
    }
}

impl Drop for SessionId {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId")
    }
}

fn hex_digit(digit: Option<u8>) -> Option<u8> {
    char::from(digit?).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookie(value: &[u8]) -> Option<String> {
        SessionId::from_cookie(value).map(|id| id.as_str().to_owned())
    }

    #[test]
    fn only_the_alphabet_of_php_makes_an_id() {
        let longest = "a".repeat(256);
        for legal in ["a", "cqo6c4aj5fjap0mapqi68fvjei", "A-z,9", longest.as_str()] {
            assert_eq!(SessionId::parse(legal.as_bytes()).unwrap().as_str(), legal);
        }
        let too_long = "a".repeat(257);
        for illegal in
            ["", ".", "..", "../../x", "a/b", "a\0", "a b", "a\\b", "a%", "sess_a", "é", "a\n", &too_long]
        {
            assert!(SessionId::parse(illegal.as_bytes()).is_none(), "{illegal:?}");
        }
    }

    #[test]
    fn a_cookie_is_decoded_once_and_then_checked() {
        assert_eq!(cookie(b"a%2Cb%2cc").as_deref(), Some("a,b,c"));
        assert_eq!(cookie(b"%61bc").as_deref(), Some("abc"));
        for illegal in
            [&b""[..], b"%2e%2e%2fx", b"%00", b"a%", b"a%2", b"a%zz", b"%252C", b"a+b", b"\"a\"", b"a%2"]
        {
            assert_eq!(cookie(illegal), None, "{}", illegal.escape_ascii());
        }
    }

    #[test]
    fn debug_never_shows_the_id() {
        assert_eq!(format!("{:?}", SessionId::parse(b"hunter2")), "Some(SessionId)");
    }

    proptest::proptest! {
        #[test]
        fn an_id_is_always_one_plain_name(value: Vec<u8>) {
            if let Some(id) = SessionId::from_cookie(&value) {
                let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b',' || byte == b'-';
                proptest::prop_assert!(id.as_str().bytes().all(plain) && id.as_bytes().len() <= 256);
            }
        }
    }
}
