//! One line of a head: what it may consist of, and what it says about the body.

use super::Violation;

/// HTTP/1.0 or HTTP/1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    Http10,
    Http11,
}

/// What a field line says about the framing of its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Says {
    Length(u64),
    Chunked,
    Nothing,
}

/// A line without its CRLF; `ended` is the line up to its LF.
pub(super) fn without_end(ended: &[u8]) -> Result<&[u8], Violation> {
    let line = ended.strip_suffix(b"\r").ok_or(Violation::LineEnd)?;
    if !has_control(line) {
        return Ok(line);
    }
    Err(if line.contains(&b'\r') { Violation::LineEnd } else { Violation::Control })
}

/// Reads `method SP target SP version`.
pub(super) fn request_line(line: &[u8]) -> Result<Version, Violation> {
    let mut words = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Violation::RequestLine);
    };
    let version = match version {
        b"HTTP/1.1" => Version::Http11,
        b"HTTP/1.0" => Version::Http10,
        _ => return Err(Violation::RequestLine),
    };
    // A fragment is no part of a target (RFC 9112 section 3.2); some parsers cut it off and pass the rest.
    let is_target = !target.is_empty() && !target.iter().any(|byte| matches!(byte, b'#' | b'\t'));
    if is_token(method) && is_target { Ok(version) } else { Err(Violation::RequestLine) }
}

/// Reads `name ":" OWS value OWS`.
pub(super) fn field(line: &[u8]) -> Result<Says, Violation> {
    let colon = memchr::memchr(b':', line).ok_or(Violation::Field)?;
    let (name, rest) = line.split_at(colon);
    if !is_token(name) {
        return Err(Violation::Field);
    }
    let value = || rest.strip_prefix(b":").unwrap_or_default().trim_ascii();
    match name.len() {
        14 if is_spelled(name, b"content-length")? => length(value()).map(Says::Length),
        17 if is_spelled(name, b"transfer-encoding")? => {
            if value().eq_ignore_ascii_case(b"chunked") {
                Ok(Says::Chunked)
            } else {
                Err(Violation::Framing)
            }
        }
        _ => Ok(Says::Nothing),
    }
}

/// Whether a field has this name. One that has it only to readers who take `_` for `-`, as CGI does, is a second framing.
fn is_spelled(name: &[u8], expected: &[u8]) -> Result<bool, Violation> {
    if name.eq_ignore_ascii_case(expected) {
        return Ok(true);
    }
    let folded = name.iter().map(|byte| if *byte == b'_' { b'-' } else { byte.to_ascii_lowercase() });
    if folded.eq(expected.iter().copied()) { Err(Violation::Framing) } else { Ok(false) }
}

fn length(value: &[u8]) -> Result<u64, Violation> {
    let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    let number = is_number.then(|| std::str::from_utf8(value).ok()?.parse().ok()).flatten();
    number.ok_or(Violation::Framing)
}

/// Any control byte but the tab. Written without a branch, so that the compiler takes many bytes at once.
fn has_control(line: &[u8]) -> bool {
    line.iter().fold(false, |found, byte| found | ((*byte < b' ') & (*byte != b'\t')) | (*byte == 0x7f))
}

/// A token of RFC 9110 section 5.6.2.
fn is_token(bytes: &[u8]) -> bool {
    let is_of_token = |byte: &u8| TOKEN.get(usize::from(*byte)).copied().unwrap_or_default();
    !bytes.is_empty() && bytes.iter().all(is_of_token)
}

/// Which bytes a token may hold; one look for each byte of each name of each request.
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(
            clippy::indexing_slicing,
            clippy::cast_possible_truncation,
            reason = "the loop ends at the table's"
        )]
        {
            table[byte] = matches!(byte as u8, b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~');
        }
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_in_crlf_and_holds_no_control_byte() {
        for (ended, expected) in [
            (&b"Host: a\r"[..], Ok(&b"Host: a"[..])),
            (b"X: a\tb\r", Ok(b"X: a\tb")),
            (b"X: \xff\r", Ok(b"X: \xff")),
            (b"\r", Ok(b"")),
            (b"Host: a", Err(Violation::LineEnd)),
            (b"", Err(Violation::LineEnd)),
            (b"X: a\rY: b\r", Err(Violation::LineEnd)),
            (b"X: a\r\r", Err(Violation::LineEnd)),
            (b"X: \0\r", Err(Violation::Control)),
            (b"X: \x0b\r", Err(Violation::Control)),
            (b"X: \x7f\r", Err(Violation::Control)),
        ] {
            assert_eq!(without_end(ended), expected, "{:?}", String::from_utf8_lossy(ended));
        }
    }

    #[test]
    fn a_request_line_is_three_words_with_one_blank_between() {
        for line in
            ["GET / HTTP/1.1", "M-SEARCH * HTTP/1.1", "GET http://a/ HTTP/1.1", "POST /a%20b?c HTTP/1.1"]
        {
            assert_eq!(request_line(line.as_bytes()), Ok(Version::Http11), "{line}");
        }
        assert_eq!(request_line("GET /\u{e9} HTTP/1.0".as_bytes()), Ok(Version::Http10));
        for line in [
            "",
            "GET",
            "GET /",
            "GET  / HTTP/1.1",
            " GET / HTTP/1.1",
            "GET / HTTP/1.1 ",
            "GET /a b HTTP/1.1",
            "GET\t/ HTTP/1.1",
            "GET /\t HTTP/1.1",
            "GET /# HTTP/1.1",
            "GET / HTTP/1.2",
            "GET / HTTP/0.9",
            "GET / HTTP/2.0",
            "GET / http/1.1",
            "GET / HTTP/01.1",
            "G(T / HTTP/1.1",
            "G\u{c9}T / HTTP/1.1",
        ] {
            assert_eq!(request_line(line.as_bytes()), Err(Violation::RequestLine), "{line}");
        }
    }

    #[test]
    fn a_field_is_a_name_and_a_value_and_may_speak_of_the_body() {
        for (line, expected) in [
            ("Host: a", Ok(Says::Nothing)),
            ("X:", Ok(Says::Nothing)),
            ("x_y|z: 1", Ok(Says::Nothing)),
            ("Content-Length: 0", Ok(Says::Length(0))),
            ("content-length:\t18446744073709551615 ", Ok(Says::Length(u64::MAX))),
            ("Transfer-Encoding: Chunked", Ok(Says::Chunked)),
            ("Content-Length: 18446744073709551616", Err(Violation::Framing)),
            ("Content-Length:", Err(Violation::Framing)),
            ("Content-Length: +1", Err(Violation::Framing)),
            ("Content-Length: -1", Err(Violation::Framing)),
            ("Content-Length: 0x1", Err(Violation::Framing)),
            ("Content-Length: 1, 1", Err(Violation::Framing)),
            ("Content-Length: 1 1", Err(Violation::Framing)),
            ("Transfer-Encoding: gzip, chunked", Err(Violation::Framing)),
            ("Transfer-Encoding: identity", Err(Violation::Framing)),
            ("Transfer-Encoding:", Err(Violation::Framing)),
            ("Transfer-Encoding: chunked;q=1", Err(Violation::Framing)),
            ("Content_Length: 1", Err(Violation::Framing)),
            ("transfer_encoding: chunked", Err(Violation::Framing)),
            ("Content.Length: 1", Ok(Says::Nothing)),
            ("Content-Length : 1", Err(Violation::Field)),
            (" Content-Length: 1", Err(Violation::Field)),
            ("\tX: 1", Err(Violation::Field)),
            (": 1", Err(Violation::Field)),
            ("X", Err(Violation::Field)),
            ("X\u{e9}: 1", Err(Violation::Field)),
            ("X\"Y: 1", Err(Violation::Field)),
        ] {
            assert_eq!(field(line.as_bytes()), expected, "{line}");
        }
    }
}
