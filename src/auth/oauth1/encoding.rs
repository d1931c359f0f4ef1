//! Percent-encoding as the signature base string needs it (RFC 5849 §3.6).
//!
//! Only `A-Z a-z 0-9 - . _ ~` stand for themselves; every other byte becomes `%XX` in upper case. The base string
//! encodes names and values twice (once as parameters, once as a whole), so the second form is written directly:
//! `%25XX`. Malformed escapes in what a client sent stay as they are, as PHP's `rawurldecode` leaves them.
//! This file knows bytes; which bytes belong into a base string is decided elsewhere.

use std::borrow::Cow;

/// What `+` stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plus {
    /// Itself: `rawurldecode`, used for header parameters and by Magento for the query.
    Literal,
    /// A blank: forms, and the query as RFC 5849 §3.4.1.3.1 reads it.
    Blank,
}

/// A set of ASCII bytes as one bit each.
#[derive(Clone, Copy)]
pub(super) struct AsciiSet(u128);

impl AsciiSet {
    /// What stands for itself everywhere (RFC 3986 §2.3).
    pub(super) const UNRESERVED: Self =
        Self(0).with(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~");

    /// The set and these ASCII bytes.
    pub(super) const fn with(self, mut bytes: &[u8]) -> Self {
        let mut bits = self.0;
        while let [first, rest @ ..] = bytes {
            bits |= 1 << *first;
            bytes = rest;
        }
        Self(bits)
    }

    pub(super) const fn contains(self, byte: u8) -> bool {
        byte < 128 && (self.0 >> byte) & 1 == 1
    }
}

/// Appends the bytes encoded once: everything but `A-Z a-z 0-9 - . _ ~` as `%XX` (RFC 5849 §3.6).
pub fn encode(out: &mut Vec<u8>, bytes: &[u8]) {
    encode_with(out, bytes, b"%");
}

/// Appends the bytes encoded twice.
pub(super) fn encode_twice(out: &mut Vec<u8>, bytes: &[u8]) {
    encode_with(out, bytes, b"%25");
}

/// Appends what the client's encoding stands for, encoded twice, without a copy in between.
pub(super) fn recode_twice(out: &mut Vec<u8>, raw: &[u8], plus: Plus) {
    let mut rest = raw;
    loop {
        rest = copy_unreserved(out, rest);
        let Some((byte, tail)) = take_decoded(rest, plus) else { return };
        if AsciiSet::UNRESERVED.contains(byte) {
            out.push(byte);
        } else {
            escape(out, b"%25", byte);
        }
        rest = tail;
    }
}

/// The bytes that the client's encoding stands for; borrowed where nothing was encoded.
pub(super) fn decode(raw: &[u8], plus: Plus) -> Cow<'_, [u8]> {
    if !raw.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(raw);
    }
    let mut rest = raw;
    let mut decoded = Vec::with_capacity(raw.len());
    while let Some((byte, tail)) = take_decoded(rest, plus) {
        decoded.push(byte);
        rest = tail;
    }
    Cow::Owned(decoded)
}

/// Appends `%XX`, where the percent sign may itself be encoded already.
pub(super) fn escape(out: &mut Vec<u8>, percent: &[u8], byte: u8) {
    out.extend_from_slice(percent);
    out.push(hex_digit(byte >> 4));
    out.push(hex_digit(byte & 0x0f));
}

/// The byte of the escape at the start, and what follows it.
pub(super) fn take_escape(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let [b'%', high, low, tail @ ..] = bytes else { return None };
    Some(((hex_value(*high)? << 4) | hex_value(*low)?, tail))
}

fn encode_with(out: &mut Vec<u8>, bytes: &[u8], percent: &[u8]) {
    let mut rest = bytes;
    while let [byte, tail @ ..] = copy_unreserved(out, rest) {
        escape(out, percent, *byte);
        rest = tail;
    }
}

/// Appends the longest unreserved prefix and returns the rest.
fn copy_unreserved<'a>(out: &mut Vec<u8>, bytes: &'a [u8]) -> &'a [u8] {
    let length = bytes.iter().position(|byte| !AsciiSet::UNRESERVED.contains(*byte)).unwrap_or(bytes.len());
    let (plain, rest) = bytes.split_at(length);
    out.extend_from_slice(plain);
    rest
}

fn take_decoded(bytes: &[u8], plus: Plus) -> Option<(u8, &[u8])> {
    if let Some(decoded) = take_escape(bytes) {
        return Some(decoded);
    }
    let (byte, tail) = bytes.split_first()?;
    match (byte, plus) {
        (b'+', Plus::Blank) => Some((b' ', tail)),
        (other, Plus::Literal | Plus::Blank) => Some((*other, tail)),
    }
}

const fn hex_digit(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'A' + nibble - 10 }
}

const fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        encode(&mut out, bytes);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn only_unreserved_bytes_stand_for_themselves() {
        for byte in 0..=u8::MAX {
            let unreserved = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
            let expected = if unreserved { char::from(byte).to_string() } else { format!("%{byte:02X}") };
            assert_eq!(encoded(&[byte]), expected);
        }
    }

    #[test]
    fn escapes_and_plus_decode_as_each_reader_has_them() {
        for (raw, literal, blank) in [
            ("abc", "abc", "abc"),
            ("a+b", "a+b", "a b"),
            ("a%2Bb%20c", "a+b c", "a+b c"),
            ("%7e%7E", "~~", "~~"),
            ("%", "%", "%"),
            ("%4", "%4", "%4"),
            ("%zz%41", "%zzA", "%zzA"),
            ("%%41", "%A", "%A"),
            ("%2541", "%41", "%41"),
        ] {
            assert_eq!(decode(raw.as_bytes(), Plus::Literal), literal.as_bytes(), "{raw}");
            assert_eq!(decode(raw.as_bytes(), Plus::Blank), blank.as_bytes(), "{raw}");
        }
    }

    #[test]
    fn plain_text_is_borrowed() {
        assert!(matches!(decode(b"plain", Plus::Literal), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(bytes: Vec<u8>) {
            let encoded = encoded(&bytes);
            prop_assert_eq!(decode(encoded.as_bytes(), Plus::Blank), bytes);
        }

        #[test]
        fn recoding_is_decoding_and_encoding_twice(raw: Vec<u8>, blank: bool) {
            let plus = if blank { Plus::Blank } else { Plus::Literal };
            let (mut short, mut long) = (Vec::new(), Vec::new());
            recode_twice(&mut short, &raw, plus);
            encode_twice(&mut long, &decode(&raw, plus));
            prop_assert_eq!(&short, &long);
            prop_assert_eq!(String::from_utf8(long).unwrap(), encoded(encoded(&decode(&raw, plus)).as_bytes()));
        }
    }
}
