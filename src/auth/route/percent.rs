//! Percent-encoding of paths: judging escapes and undoing them.
//!
//! Decoding here serves comparison only. Nothing decoded is ever forwarded or shown to the upstream.

use std::{borrow::Cow, str::Bytes};

/// Which escapes are undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decode {
    /// Those of unreserved characters, which mean the same encoded or not (RFC 3986 §6.2.2.2).
    Unreserved,
    /// All of them, `%2F` included.
    All,
}

/// One byte of a path, or what an escape stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) byte: u8,
    pub(super) is_encoded: bool,
}

/// The units of a text; `None` stands for an escape that is malformed or cut off.
pub(super) fn units(text: &str) -> impl Iterator<Item = Option<Unit>> + '_ {
    let mut bytes = text.bytes();
    std::iter::from_fn(move || {
        let byte = bytes.next()?;
        if byte != b'%' {
            return Some(Some(Unit { byte, is_encoded: false }));
        }
        Some(escaped_byte(&mut bytes).map(|byte| Unit { byte, is_encoded: true }))
    })
}

fn escaped_byte(bytes: &mut Bytes<'_>) -> Option<u8> {
    let high = hex_digit(bytes.next()?)?;
    let low = hex_digit(bytes.next()?)?;
    Some(high << 4 | low)
}

/// Undoes escapes. Bytes that are no UTF-8 become U+FFFD, which no route contains.
pub(super) fn decode(text: &str, which: Decode) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut decoded = Vec::with_capacity(text.len());
    for unit in units(text).flatten() {
        if unit.is_encoded && which == Decode::Unreserved && !is_unreserved(unit.byte) {
            // Written back in upper case, as RFC 3986 §6.2.2.1 normalizes.
            decoded.extend([b'%', hex_upper(unit.byte >> 4), hex_upper(unit.byte & 0xF)]);
        } else {
            decoded.push(unit.byte);
        }
    }
    Cow::Owned(String::from_utf8_lossy(&decoded).into_owned())
}

/// Reads a name or value of a query as PHP does: `+` is a blank, an escape that is none stands for itself.
pub(super) fn decode_form(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        let mut ahead = bytes.clone();
        match byte {
            b'+' => decoded.push(b' '),
            b'%' => match escaped_byte(&mut ahead) {
                Some(escaped) => {
                    decoded.push(escaped);
                    bytes = ahead;
                }
                None => decoded.push(byte),
            },
            _ => decoded.push(byte),
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

const fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

const fn hex_upper(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'A' + nibble - 10 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone_as_asked() {
        let cases = [
            ("/a/b", "/a/b", "/a/b"),
            ("%72est%2Fx", "rest%2Fx", "rest/x"),
            ("%c3%bc", "%C3%BC", "ü"),
            ("ü%20", "ü%20", "ü "),
            ("%ff", "%FF", "\u{FFFD}"),
            ("%2572", "%2572", "%72"),
        ];
        for (text, unreserved, all) in cases {
            assert_eq!(decode(text, Decode::Unreserved), unreserved);
            assert_eq!(decode(text, Decode::All), all);
        }
    }

    #[test]
    fn malformed_escapes_are_seen() {
        for text in ["%", "a%4", "%zz", "%4g", "%%41", "%+1"] {
            assert!(units(text).any(|unit| unit.is_none()), "{text}");
        }
        assert!(units("%41%2f").all(|unit| unit.is_some()));
    }
}
