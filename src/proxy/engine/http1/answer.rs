//! The head of an answer, and the one framing that fits it.

use std::io;

use http::{
    Response, StatusCode,
    header::{CONNECTION, CONTENT_LENGTH},
    response::Parts,
};
use http_body::Body;

use crate::proxy::engine::fields::{
    LAST_CHUNK, put, put_chunk, put_chunked, put_field, put_fields, put_length,
};

/// Room for a head, so that it is made once.
const ORDINARY_HEAD: usize = 512;

/// The most room that is made for a body before it comes.
const MOST: usize = 16 * 1024;

/// What was asked, as far as the answer's form depends on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct AskedFor {
    pub(super) is_head: bool,
    pub(super) is_http10: bool,
}

/// How the client knows where the answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// Behind its head, whatever length the head tells of.
    Bodiless(Option<u64>),
    Length(u64),
    Chunked,
    UntilClose,
}

impl Framing {
    /// The framing of an answer (RFC 9112 section 6.3).
    pub(super) fn of(response: &Response<impl Body>, asked: AskedFor) -> Self {
        let size = response.body().size_hint().exact();
        match response.status() {
            status if status.is_informational() => Self::Bodiless(None),
            StatusCode::NO_CONTENT => Self::Bodiless(None),
            StatusCode::NOT_MODIFIED => Self::Bodiless(told(response)),
            _ if asked.is_head => Self::Bodiless(told(response).or_else(|| size.filter(|size| *size > 0))),
            _ => match size {
                Some(size) => Self::Length(size),
                None if asked.is_http10 => Self::UntilClose,
                None => Self::Chunked,
            },
        }
    }

    /// Writes the head in front of the body.
    pub(super) fn put_head(self, output: &mut Vec<u8>, head: &Parts, keeps_alive: bool, asked: AskedFor) {
        let body = if let Self::Length(length) = self { usize::try_from(length).unwrap_or(MOST) } else { 0 };
        output.reserve(ORDINARY_HEAD + body.min(MOST));
        let reason = head.status.canonical_reason().unwrap_or("Unknown");
        put(output, [b"HTTP/1.1 ", head.status.as_str().as_bytes(), b" ", reason.as_bytes(), b"\r\n"]);
        put_fields(output, &head.headers);
        match self {
            Self::Bodiless(None) | Self::UntilClose => {}
            Self::Bodiless(Some(length)) | Self::Length(length) => put_length(output, length),
            Self::Chunked => put_chunked(output),
        }
        let is_switching = head.status == StatusCode::SWITCHING_PROTOCOLS;
        match (keeps_alive, asked.is_http10) {
            _ if is_switching => {}
            (false, _) => put_field(output, CONNECTION.as_str(), b"close"),
            (true, true) => put_field(output, CONNECTION.as_str(), b"keep-alive"),
            (true, false) => {}
        }
        output.extend_from_slice(b"\r\n");
    }

    /// Writes a piece of the body.
    ///
    /// # Errors
    /// Where there are more bytes than the head told of: the client would take the rest for the next answer.
    pub(super) fn put(&mut self, output: &mut Vec<u8>, data: &[u8]) -> io::Result<()> {
        match self {
            Self::Chunked => put_chunk(output, data),
            Self::Length(left) => {
                *left = left.checked_sub(data.len() as u64).ok_or_else(other_length)?;
                output.extend_from_slice(data);
            }
            Self::UntilClose => output.extend_from_slice(data),
            Self::Bodiless(_) => {}
        }
        Ok(())
    }

    /// Writes what ends the body.
    ///
    /// # Errors
    /// Where there were fewer bytes than the head told of.
    pub(super) fn end(self, output: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::Chunked => output.extend_from_slice(LAST_CHUNK),
            Self::Length(1..) => return Err(other_length()),
            Self::Length(0) | Self::UntilClose | Self::Bodiless(_) => {}
        }
        Ok(())
    }
}

fn other_length() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the answer has another length than it told of")
}

/// The length that the answer tells of; the upstream's answer to HEAD has one, and no body.
fn told(response: &Response<impl Body>) -> Option<u64> {
    response.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use bytes::Bytes;
    use http_body::Frame;
    use http_body_util::{BodyExt as _, Empty, Full, StreamBody, combinators::BoxBody};

    use super::*;

    fn known(length: usize) -> BoxBody<Bytes, Infallible> {
        Full::new(Bytes::from(vec![b'x'; length])).boxed()
    }

    fn unknown() -> BoxBody<Bytes, Infallible> {
        StreamBody::new(futures_util::stream::empty::<Result<Frame<Bytes>, Infallible>>()).boxed()
    }

    fn head(status: u16, body: BoxBody<Bytes, Infallible>, asked: AskedFor, keeps_alive: bool) -> String {
        let lying = [("content-length", "7"), ("transfer-encoding", "chunked"), ("x", "y")];
        let mut response = Response::builder().status(status);
        for (name, value) in lying {
            response = response.header(name, value);
        }
        let response = response.body(body).unwrap();
        let mut output = Vec::new();
        Framing::of(&response, asked).put_head(&mut output, &response.into_parts().0, keeps_alive, asked);
        String::from_utf8(output).unwrap()
    }

    const GET: AskedFor = AskedFor { is_head: false, is_http10: false };
    const HEAD: AskedFor = AskedFor { is_head: true, is_http10: false };
    const OLD: AskedFor = AskedFor { is_head: false, is_http10: true };

    #[test]
    fn an_answer_has_one_framing_and_it_is_ours() {
        for (status, body, asked, keeps_alive, expected) in [
            (200, known(5), GET, true, "content-length: 5\r\n"),
            (200, known(0), GET, true, "content-length: 0\r\n"),
            (200, unknown(), GET, true, "transfer-encoding: chunked\r\n"),
            (200, unknown(), GET, false, "transfer-encoding: chunked\r\nconnection: close\r\n"),
            (200, known(5), OLD, true, "content-length: 5\r\nconnection: keep-alive\r\n"),
            (200, unknown(), OLD, false, "connection: close\r\n"),
            (200, known(0), HEAD, true, "content-length: 7\r\n"),
            (204, known(0), GET, true, ""),
            (304, known(0), GET, true, "content-length: 7\r\n"),
            (101, known(0), GET, false, ""),
        ] {
            let reason = StatusCode::from_u16(status).unwrap();
            let reason = reason.canonical_reason().unwrap();
            let expected = format!("HTTP/1.1 {status} {reason}\r\nx: y\r\n{expected}\r\n");
            assert_eq!(head(status, body, asked, keeps_alive), expected, "{asked:?}");
        }
    }

    #[test]
    fn an_answer_to_head_tells_of_a_length_only_where_there_is_one() {
        let own = Response::new(Full::new(Bytes::from_static(b"refused")));
        assert_eq!(Framing::of(&own, HEAD), Framing::Bodiless(Some(7)), "ours would have had this one");
        let silent = Response::new(Empty::<Bytes>::new());
        assert_eq!(Framing::of(&silent, HEAD), Framing::Bodiless(None), "the upstream did not say");
    }

    #[test]
    fn pieces_are_framed_as_the_head_said() {
        for (mut framing, expected) in [
            (Framing::Chunked, "2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"),
            (Framing::Length(3), "abc"),
            (Framing::UntilClose, "abc"),
        ] {
            let mut output = Vec::new();
            for piece in [&b"ab"[..], b"", b"c"] {
                framing.put(&mut output, piece).unwrap();
            }
            framing.end(&mut output).unwrap();
            assert_eq!(output, expected.as_bytes(), "{framing:?}");
        }
    }

    #[test]
    fn an_answer_of_another_length_than_it_told_of_is_broken_off() {
        let (mut output, mut short, mut long) = (Vec::new(), Framing::Length(3), Framing::Length(1));
        short.put(&mut output, b"ab").unwrap();
        assert!(short.end(&mut output).is_err());
        assert!(long.put(&mut output, b"ab").is_err());
        assert_eq!(output, b"ab", "not a byte more than announced");
    }
}
