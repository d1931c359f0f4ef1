//! Percent-encoding for looking at requests: what clients do to names and values, rightly or wrongly.
//!
//! Base strings are the engine's affair; this only writes what a client may have started from.

use crate::auth::oauth1;

/// Everything but `A-Z a-z 0-9 - . _ ~` as `%XX` (RFC 5849 §3.6).
pub(super) fn encode(bytes: &[u8]) -> String {
    let mut out = Vec::with_capacity(bytes.len());
    oauth1::encode(&mut out, bytes);
    out.into_iter().map(char::from).collect()
}

/// Every escape undone; what is no escape stays.
pub(super) fn decode(text: &str) -> Vec<u8> {
    rewrite(text, |byte, _| vec![byte])
}

/// Every escape in the form that `each` gives it, from its byte and its text.
pub(super) fn rewrite(text: &str, each: impl Fn(u8, &[u8]) -> Vec<u8>) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        if let [b'%', high, low, after @ ..] = rest
            && let (Some(high), Some(low)) = (char::from(*high).to_digit(16), char::from(*low).to_digit(16))
        {
            let escaped = u8::try_from(high * 16 + low).unwrap_or_default();
            out.extend(each(escaped, rest.get(..3).unwrap_or_default()));
            rest = after;
        } else {
            out.push(*byte);
            rest = tail;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn malformed_escapes_stay() {
        assert_eq!(decode("a%2Fb%zz%4"), b"a/b%zz%4");
        assert_eq!(encode("a/ü~".as_bytes()), "a%2F%C3%BC~");
        assert_eq!(rewrite("%2f%41", |_, text| text.to_ascii_uppercase()), b"%2F%41");
    }

    proptest! {
        #[test]
        fn what_was_encoded_comes_back(bytes: Vec<u8>) {
            prop_assert_eq!(decode(&encode(&bytes)), bytes);
        }
    }
}
