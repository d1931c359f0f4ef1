//! Text from a database made fit for a header value.

use std::fmt::Write as _;

/// The longest value that is emitted.
const MAX_BYTES: usize = 255;

/// Percent-encodes everything outside visible ASCII, and `%` itself; cuts at 255 bytes, never inside an escape.
///
/// A role or integration name is typed by a person: line breaks in it must not become a second header.
#[must_use]
pub fn header_text(name: &str) -> String {
    let mut text = String::with_capacity(name.len().min(MAX_BYTES));
    for byte in name.bytes() {
        let width = if is_plain(byte) { 1 } else { 3 };
        if text.len() + width > MAX_BYTES {
            break;
        }
        if is_plain(byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

const fn is_plain(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e) && byte != b'%'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_outside_visible_ascii_is_encoded() {
        let cases = [
            ("Administrators", "Administrators"),
            ("Catalog+Sales view", "Catalog+Sales%20view"),
            ("100%", "100%25"),
            ("a\r\nX-Evil: 1", "a%0D%0AX-Evil:%201"),
            ("Größe", "Gr%C3%B6%C3%9Fe"),
        ];
        for (name, text) in cases {
            assert_eq!(header_text(name), text);
        }
    }

    #[test]
    fn a_long_name_is_cut_between_escapes() {
        let text = header_text(&"ü".repeat(200));
        assert_eq!(text.len(), 255);
        assert!(text.ends_with("%BC") || text.ends_with("%C3"));
        assert_eq!(header_text(&"x".repeat(300)).len(), 255);
    }
}
