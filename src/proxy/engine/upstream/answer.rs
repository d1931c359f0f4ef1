//! The head of an answer: what arrived, read once by `httparse`, and what it says of the body behind it.
//!
//! Answers before the answer (1xx) are passed over. An answer whose end two readers could place differently is refused: it
//! would put the rest of one client's answer in front of another's.

use std::mem::MaybeUninit;

use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING},
};
use memchr::memmem;

use crate::proxy::engine::{
    decoder::Decoder,
    fields::{fields, says},
};

/// The longest head.
const MAX_HEAD: usize = 256 * 1024;

/// The most fields of a head.
const MAX_FIELDS: usize = 128;

/// The most answers before the answer.
const MAX_INTERIM: usize = 16;

/// The head of an answer, and how to read on.
#[derive(Debug)]
pub(super) struct AnswerHead {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Decoder,
    /// Whether the connection serves again behind the body.
    pub(super) keeps_alive: bool,
}

/// Why what arrived is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoAnswer {
    #[error("the answer's head is malformed: {0}")]
    Malformed(httparse::Error),
    #[error("the answer's head is longer than {MAX_HEAD} bytes")]
    TooLong,
    #[error("more than {MAX_INTERIM} answers before the answer")]
    TooManyInterim,
    #[error("the answer's status or one of its fields cannot be passed on")]
    Field,
    #[error("the length of the answer's body is open to doubt")]
    Framing,
}

/// Takes the head of the answer to a request out of what has arrived, once all of it is there; `interim` counts the answers
/// before it.
pub(super) fn take_head(
    arrived: &mut BytesMut,
    method: &Method,
    interim: &mut usize,
) -> Result<Option<AnswerHead>, NoAnswer> {
    while let Some(end) = end(arrived)? {
        let head = read(&arrived.split_to(end).freeze(), method)?;
        if !is_interim(head.status) {
            return Ok(Some(head));
        }
        *interim += 1;
        if *interim > MAX_INTERIM {
            return Err(NoAnswer::TooManyInterim);
        }
    }
    Ok(None)
}

/// The length of the head in front, once it is complete.
fn end(arrived: &[u8]) -> Result<Option<usize>, NoAnswer> {
    if let Some(blank) = memmem::find(arrived, b"\r\n\r\n") {
        return Ok(Some(blank + 4));
    }
    if arrived.len() > MAX_HEAD {
        return Err(NoAnswer::TooLong);
    }
    // Nobody should wait for a CRLF from an upstream that ends its lines otherwise.
    let ends_otherwise = [&b"\n\n"[..], b"\n\r\n"].iter().any(|blank| memmem::find(arrived, blank).is_some());
    if ends_otherwise { Err(NoAnswer::Malformed(httparse::Error::NewLine)) } else { Ok(None) }
}

/// One that another answer follows on the same connection.
fn is_interim(status: StatusCode) -> bool {
    status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS
}

fn read(head: &Bytes, method: &Method) -> Result<AnswerHead, NoAnswer> {
    let mut places = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    let parser = httparse::ParserConfig::default();
    let read = parser.parse_response_with_uninit_headers(&mut parsed, head, &mut places);
    if read.map_err(NoAnswer::Malformed)? != httparse::Status::Complete(head.len()) {
        return Err(NoAnswer::Malformed(httparse::Error::NewLine));
    }
    let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or(NoAnswer::Field)?;
    let mut headers = fields(parsed.headers, head).ok_or(NoAnswer::Field)?;
    let is_http11 = parsed.version == Some(1);
    let (body, is_clear) = match body_of(&mut headers, is_http11) {
        body if !has_body(status, method) => (Decoder::Length(0), body.is_ok()),
        body => (body?, true),
    };
    if !is_clear {
        headers.remove(CONTENT_LENGTH);
    }
    let keeps_alive = is_clear && body != Decoder::UntilClose && keeps_alive(&headers, is_http11);
    Ok(AnswerHead { status, headers, body, keeps_alive })
}

/// Whether anything can follow the head (RFC 9112 section 6.3).
fn has_body(status: StatusCode, method: &Method) -> bool {
    let is_bodiless =
        status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    !is_bodiless && *method != Method::HEAD
}

/// What follows the head, where anything can.
fn body_of(headers: &mut HeaderMap, is_http11: bool) -> Result<Decoder, NoAnswer> {
    let length = length(headers)?;
    match (is_chunked(headers, is_http11)?, length) {
        // The length is dropped on the way: see `ForwardRules::answer`.
        (true, _) => Ok(Decoder::CHUNKED),
        (false, Some(length)) => Ok(Decoder::Length(length)),
        (false, None) => Ok(Decoder::UntilClose),
    }
}

/// One number; said twice, it is said once from here on.
fn length(headers: &mut HeaderMap) -> Result<Option<u64>, NoAnswer> {
    let mut length = None;
    for value in headers.get_all(CONTENT_LENGTH) {
        let digits = value.as_bytes();
        let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
        let number = is_number.then(|| value.to_str().ok()?.parse::<u64>().ok()).flatten();
        let number = number.ok_or(NoAnswer::Framing)?;
        if length.is_some_and(|other| other != number) {
            return Err(NoAnswer::Framing);
        }
        length = Some(number);
    }
    if let Some(length) = length.filter(|_| headers.get_all(CONTENT_LENGTH).iter().count() > 1) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    Ok(length)
}

/// No other coding was asked for, and HTTP/1.0 knows none.
fn is_chunked(headers: &HeaderMap, is_http11: bool) -> Result<bool, NoAnswer> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(false),
        (Some(coding), None) if is_http11 && coding.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(true),
        (Some(_), _) => Err(NoAnswer::Framing),
    }
}

fn keeps_alive(headers: &HeaderMap, is_http11: bool) -> bool {
    !says(headers, &CONNECTION, b"close") && (is_http11 || says(headers, &CONNECTION, b"keep-alive"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(bytes: &str, method: &Method) -> Result<Option<(AnswerHead, String)>, NoAnswer> {
        let mut arrived = BytesMut::from(bytes);
        let head = take_head(&mut arrived, method, &mut 0)?;
        Ok(head.map(|head| (head, String::from_utf8(arrived.to_vec()).unwrap())))
    }

    fn body(fields: &str) -> Result<(Decoder, bool), NoAnswer> {
        let (head, _rest) =
            taken(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n"), &Method::GET)?.expect("it is complete");
        Ok((head.body, head.keeps_alive))
    }

    const CHUNKED: Decoder = Decoder::CHUNKED;

    #[test]
    fn a_head_is_taken_when_all_of_it_arrived() {
        let whole = "HTTP/1.1 200 Fine\r\nContent-Length: 2\r\nX-Caf\u{e9}:\r\nSet-Cookie: a\r\nset-cookie:  b \r\n\r\nab";
        let whole = whole.replace('\u{e9}', "e");
        let end = whole.find("\r\n\r\n").unwrap() + 4;
        for length in 0..end {
            assert!(taken(&whole[..length], &Method::GET).unwrap().is_none(), "{length}");
        }
        let (head, rest) = taken(&whole, &Method::GET).unwrap().unwrap();
        assert_eq!((head.status, rest.as_str()), (StatusCode::OK, "ab"));
        assert_eq!(head.headers.get_all("set-cookie").iter().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(head.headers["x-cafe"], "");
    }

    #[test]
    fn answers_before_the_answer_are_passed_over_but_not_for_ever() {
        let interim = "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n";
        let (head, rest) =
            taken(&format!("{interim}HTTP/1.1 204 No\r\n\r\nx"), &Method::GET).unwrap().unwrap();
        assert_eq!((head.status, rest.as_str(), head.headers.len()), (StatusCode::NO_CONTENT, "x", 0));
        assert!(taken(interim, &Method::GET).unwrap().is_none());
        let endless = interim.repeat(MAX_INTERIM);
        assert_eq!(taken(&endless, &Method::GET).unwrap_err(), NoAnswer::TooManyInterim);
        let switched = taken("HTTP/1.1 101 Yes\r\n\r\n", &Method::GET).unwrap().unwrap().0;
        assert_eq!(switched.status, StatusCode::SWITCHING_PROTOCOLS, "asked for or not, it is the last one");
    }

    #[test]
    fn a_body_has_one_length() {
        for (fields, expected) in [
            ("Content-Length: 5\r\n", Ok((Decoder::Length(5), true))),
            ("Content-Length: 5\r\nContent-Length: 5\r\n", Ok((Decoder::Length(5), true))),
            ("Transfer-Encoding: Chunked\r\n", Ok((CHUNKED, true))),
            ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", Ok((CHUNKED, true))),
            ("", Ok((Decoder::UntilClose, false))),
            ("Content-Length: 5\r\nConnection: x, Close\r\n", Ok((Decoder::Length(5), false))),
            ("Content-Length: 5\r\nContent-Length: 6\r\n", Err(NoAnswer::Framing)),
            ("Content-Length: 5, 5\r\n", Err(NoAnswer::Framing)),
            ("Content-Length: +5\r\n", Err(NoAnswer::Framing)),
            ("Content-Length:\r\n", Err(NoAnswer::Framing)),
            ("Content-Length: 18446744073709551616\r\n", Err(NoAnswer::Framing)),
            ("Transfer-Encoding: gzip, chunked\r\n", Err(NoAnswer::Framing)),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", Err(NoAnswer::Framing)),
            ("Transfer-Encoding: identity\r\n", Err(NoAnswer::Framing)),
        ] {
            assert_eq!(body(fields), expected, "{fields:?}");
        }
    }

    #[test]
    fn what_can_have_no_body_has_none() {
        for (status, method) in
            [("200", Method::HEAD), ("204", Method::GET), ("304", Method::GET), ("101", Method::GET)]
        {
            for fields in ["", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"] {
                let head =
                    taken(&format!("HTTP/1.1 {status} X\r\n{fields}\r\n"), &method).unwrap().unwrap().0;
                assert_eq!(
                    (head.body, head.keeps_alive),
                    (Decoder::Length(0), true),
                    "{status} {method} {fields:?}"
                );
            }
            let odd = "Content-Length: 5, 5\r\nTransfer-Encoding: gzip, chunked\r\n";
            let head = taken(&format!("HTTP/1.1 {status} X\r\n{odd}\r\n"), &method).unwrap().unwrap().0;
            assert_eq!(
                (head.body, head.keeps_alive),
                (Decoder::Length(0), false),
                "{status} {method}, in doubt"
            );
            assert!(!head.headers.contains_key(CONTENT_LENGTH));
        }
    }

    #[test]
    fn old_answers_close_unless_they_say_otherwise() {
        for (fields, expected) in [
            ("Content-Length: 5\r\n", Ok((Decoder::Length(5), false))),
            ("Content-Length: 5\r\nConnection: Keep-Alive\r\n", Ok((Decoder::Length(5), true))),
            ("Connection: keep-alive\r\n", Ok((Decoder::UntilClose, false))),
            ("Transfer-Encoding: chunked\r\n", Err(NoAnswer::Framing)),
        ] {
            let head = taken(&format!("HTTP/1.0 200 OK\r\n{fields}\r\n"), &Method::GET);
            let told = head.map(|head| head.map(|(head, _)| (head.body, head.keeps_alive)).unwrap());
            assert_eq!(told, expected, "{fields:?}");
        }
    }

    #[test]
    fn what_is_no_answer_is_refused_without_waiting_for_more() {
        for bytes in [
            "SSH-2.0-OpenSSH\r\n\r\n",
            "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
            "HTTP/1.1 200 OK\nContent-Length: 0\n\r\n",
            "HTTP/1.1 99 Low\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n",
            "HTTP/2 200 OK\r\n\r\n",
        ] {
            assert!(taken(bytes, &Method::GET).is_err(), "{bytes:?}");
        }
        assert_eq!(taken(&"a".repeat(MAX_HEAD + 1), &Method::GET).unwrap_err(), NoAnswer::TooLong);
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(MAX_FIELDS + 1));
        assert_eq!(
            taken(&many, &Method::GET).unwrap_err(),
            NoAnswer::Malformed(httparse::Error::TooManyHeaders)
        );
    }
}
