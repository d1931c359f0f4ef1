//! A request as it goes over the wire: request line, headers, an empty line, the body.
//!
//! Lines may end in LF alone, as they do in a file that somebody pasted into. A body that no Content-Length announces loses
//! the line end with which editors close a file.

use super::inquiry::{Draft, Inquiry, InquiryError};

/// Reads a raw request.
pub(super) fn read(text: &[u8]) -> Result<Inquiry, InquiryError> {
    let mut draft = Draft::default();
    let (line, mut rest) = take_line(text);
    (draft.method, draft.target) = request_line(line)?;
    let mut number = 0;
    while !rest.is_empty() {
        let (line, after) = take_line(rest);
        rest = after;
        if line.is_empty() {
            break;
        }
        number += 1;
        let colon = line.iter().position(|byte| *byte == b':').ok_or(InquiryError::Header(number))?;
        let (name, value) = line.split_at(colon);
        draft.headers.push((name.to_vec(), value.get(1..).unwrap_or_default().to_vec()));
    }
    draft.body = rest.to_vec();
    if !draft.has("content-length") {
        let end = rest.strip_suffix(b"\n").map_or(rest, |rest| rest.strip_suffix(b"\r").unwrap_or(rest));
        draft.body.truncate(end.len());
    }
    draft.finish()
}

/// Method and target; the version may be missing and is not judged.
fn request_line(line: &[u8]) -> Result<(String, Vec<u8>), InquiryError> {
    let mut words = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Err(InquiryError::RequestLine);
    };
    let version = words.next();
    let is_version = version.is_none_or(|version| version.starts_with(b"HTTP/"));
    if method.is_empty() || target.is_empty() || !is_version || words.next().is_some() {
        return Err(InquiryError::RequestLine);
    }
    if target.contains(&b'#') {
        return Err(InquiryError::Fragment);
    }
    let method = String::from_utf8(method.to_vec()).map_err(|_| InquiryError::Method)?;
    Ok((method, target.to_vec()))
}

/// The first line without its end, and what follows.
fn take_line(text: &[u8]) -> (&[u8], &[u8]) {
    let (line, rest) = match text.iter().position(|byte| *byte == b'\n') {
        Some(end) => (text.get(..end).unwrap_or_default(), text.get(end + 1..).unwrap_or_default()),
        None => (text, &[][..]),
    };
    (line.strip_suffix(b"\r").unwrap_or(line), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_and_a_body_are_read_with_either_line_end() {
        for end in ["\r\n", "\n"] {
            let text = ["POST /rest/V1/x?a=1 HTTP/1.1", "Host: shop.test", "X-A:  b ", "", "a=1"].join(end);
            for text in [text.clone(), text + end] {
                let read = Inquiry::read(text.as_bytes(), None).unwrap();
                assert_eq!(read.head.method, "POST");
                assert_eq!(read.head.uri, "/rest/V1/x?a=1");
                assert_eq!(read.head.headers["x-a"], "b");
                assert_eq!(read.body, b"a=1");
                assert_eq!(read.head.headers["content-length"], "3");
            }
        }
    }

    #[test]
    fn an_announced_length_decides_about_the_body() {
        let read = |text: &str| Inquiry::read(text.as_bytes(), None).unwrap();
        let cut = read("POST / HTTP/1.1\nHost: h\nContent-Length: 2\n\nabcd");
        assert_eq!((cut.body.as_slice(), cut.notes.len()), (&b"ab"[..], 1));
        let closed = read("POST / HTTP/1.1\nHost: h\nContent-Length: 2\n\nab\n");
        assert_eq!((closed.body.as_slice(), closed.notes.len()), (&b"ab"[..], 0));
        let short = read("POST / HTTP/1.1\nHost: h\nContent-Length: 9\n\nab");
        assert_eq!((short.body.as_slice(), short.notes.len()), (&b"ab"[..], 1));
        assert_eq!(read("GET / HTTP/1.1\nHost: h\n\n").head.headers.get("content-length"), None);
    }

    #[test]
    fn what_is_no_request_says_which_line_is_wrong() {
        for (text, error) in [
            ("", InquiryError::Empty),
            (" \n ", InquiryError::Empty),
            ("hello", InquiryError::RequestLine),
            ("GET  / HTTP/1.1", InquiryError::RequestLine),
            ("GET / HTTP/1.1 x", InquiryError::RequestLine),
            ("GET / WAT/1.1", InquiryError::RequestLine),
            ("G\u{1}T / HTTP/1.1", InquiryError::Method),
            ("GET htt\\p HTTP/1.1", InquiryError::Target),
            ("GET /a#b HTTP/1.1", InquiryError::Fragment),
            ("GET / HTTP/1.1\nHost: h\nsecret", InquiryError::Header(2)),
            ("GET / HTTP/1.1\nHo st: h", InquiryError::Header(1)),
            ("GET / HTTP/1.1\nHost: h\x01", InquiryError::Header(1)),
        ] {
            assert_eq!(Inquiry::read(text.as_bytes(), None).err(), Some(error), "{text:?}");
        }
    }
}
