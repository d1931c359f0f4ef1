//! The head of a request, whose framing was checked before it came here.

use std::mem::MaybeUninit;

use bytes::{Buf as _, Bytes, BytesMut};
use http::{
    HeaderMap, Method, Request, StatusCode, Uri, Version,
    header::{CONNECTION, CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING},
    request::Parts,
};
use memchr::memmem;

use super::HeadLimits;
use crate::proxy::engine::{
    decoder::Decoder,
    fields::{fields, says},
};

/// The longest target.
const MAX_TARGET: usize = 64 * 1024 - 2;

/// Fields of a head whose places are kept on the stack; one with more takes a list.
const FEW_FIELDS: usize = 100;

/// The head of a request, and how to read on.
#[derive(Debug)]
pub(super) struct RequestHead {
    pub(super) head: Parts,
    pub(super) body: Decoder,
    /// Whether the client would send another request behind this one.
    pub(super) keeps_alive: bool,
    /// Whether the client waits for leave to send its body.
    pub(super) expects_continue: bool,
}

/// Takes the next head out of what has arrived, once all of it is there.
///
/// # Errors
/// The status that the client is refused with: 400, 414 or 431.
pub(super) fn take_head(
    arrived: &mut BytesMut,
    limits: HeadLimits,
) -> Result<Option<RequestHead>, StatusCode> {
    // One empty line may stand before a request (RFC 9112 section 2.2).
    if arrived.starts_with(b"\r\n") {
        arrived.advance(2);
    }
    let Some(end) = memmem::find(arrived, b"\r\n\r\n") else {
        let is_too_long = arrived.len() > limits.bytes;
        return if is_too_long { Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE) } else { Ok(None) };
    };
    if end + 4 > limits.bytes {
        return Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    }
    let head = arrived.split_to(end + 4).freeze();
    if limits.fields <= FEW_FIELDS {
        let mut places = [const { MaybeUninit::uninit() }; FEW_FIELDS];
        let places = places.get_mut(..limits.fields).unwrap_or_default();
        read(&head, places).map(Some)
    } else {
        let mut places = vec![MaybeUninit::uninit(); limits.fields];
        read(&head, &mut places).map(Some)
    }
}

fn read<'a>(
    head: &'a Bytes,
    places: &mut [MaybeUninit<httparse::Header<'a>>],
) -> Result<RequestHead, StatusCode> {
    let bad = StatusCode::BAD_REQUEST;
    let mut parsed = httparse::Request::new(&mut []);
    match parsed.parse_with_uninit_headers(head, places) {
        Ok(httparse::Status::Complete(length)) if length == head.len() => {}
        Err(httparse::Error::TooManyHeaders) => return Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
        Ok(_) | Err(_) => return Err(bad),
    }
    let method = parsed.method.and_then(|method| Method::from_bytes(method.as_bytes()).ok()).ok_or(bad)?;
    let target = parsed.path.map(|path| head.slice_ref(path.as_bytes())).ok_or(bad)?;
    if target.len() > MAX_TARGET {
        return Err(StatusCode::URI_TOO_LONG);
    }
    let uri = Uri::from_maybe_shared(target).map_err(|_| bad)?;
    let headers = fields(parsed.headers, head).ok_or(bad)?;
    let version = if parsed.version == Some(1) { Version::HTTP_11 } else { Version::HTTP_10 };
    let body = body(&headers).ok_or(bad)?;
    let keeps_alive = !says(&headers, &CONNECTION, b"close")
        && (version == Version::HTTP_11 || says(&headers, &CONNECTION, b"keep-alive"));
    let expects_continue = version == Version::HTTP_11 && says(&headers, &EXPECT, b"100-continue");
    let (mut head, ()) = Request::new(()).into_parts();
    (head.method, head.uri, head.version, head.headers) = (method, uri, version, headers);
    Ok(RequestHead { head, body, keeps_alive, expects_continue })
}

/// The one length that was let through; two would have been refused before.
fn body(headers: &HeaderMap) -> Option<Decoder> {
    match (headers.get(TRANSFER_ENCODING), headers.get(CONTENT_LENGTH)) {
        (None, None) => Some(Decoder::Length(0)),
        (None, Some(length)) => length.to_str().ok()?.parse().ok().map(Decoder::Length),
        (Some(coding), None) => {
            coding.as_bytes().eq_ignore_ascii_case(b"chunked").then_some(Decoder::CHUNKED)
        }
        (Some(_), Some(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HeadLimits = HeadLimits { bytes: 200, fields: 4 };

    fn taken(bytes: &str) -> Result<Option<(RequestHead, String)>, StatusCode> {
        let mut arrived = BytesMut::from(bytes);
        let head = take_head(&mut arrived, LIMITS)?;
        Ok(head.map(|head| (head, String::from_utf8(arrived.to_vec()).unwrap())))
    }

    #[test]
    fn a_head_is_taken_when_all_of_it_arrived() {
        let whole = "\r\nPOST /a%2Fb?c=d HTTP/1.1\r\nHost: shop.test\r\nX: 1\r\nx:  2 \r\nContent-Length: 2\r\n\r\nab";
        let end = whole.find("\r\n\r\n").unwrap() + 4;
        for length in 0..end {
            assert!(taken(&whole[..length]).unwrap().is_none(), "{length}");
        }
        let (taken, rest) = taken(whole).unwrap().unwrap();
        let RequestHead { head, body, keeps_alive, expects_continue } = taken;
        assert_eq!((head.method.as_str(), head.uri.to_string().as_str()), ("POST", "/a%2Fb?c=d"));
        assert_eq!(head.headers.get_all("x").iter().collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!((body, keeps_alive, expects_continue), (Decoder::Length(2), true, false));
        assert_eq!(rest, "ab");
    }

    #[test]
    fn what_a_head_says_of_what_follows_it() {
        for (version, fields, keeps_alive, expects_continue, body) in [
            ("1.1", "", true, false, Decoder::Length(0)),
            ("1.1", "Connection: x, Close\r\n", false, false, Decoder::Length(0)),
            ("1.1", "Expect: 100-Continue\r\nContent-Length: 5\r\n", true, true, Decoder::Length(5)),
            ("1.1", "Transfer-Encoding: Chunked\r\n", true, false, Decoder::CHUNKED),
            ("1.0", "Expect: 100-continue\r\n", false, false, Decoder::Length(0)),
            ("1.0", "Connection: Keep-Alive\r\n", true, false, Decoder::Length(0)),
            ("1.0", "Connection: keep-alive, close\r\n", false, false, Decoder::Length(0)),
        ] {
            let (head, _rest) = taken(&format!("GET / HTTP/{version}\r\n{fields}\r\n")).unwrap().unwrap();
            let told = (head.keeps_alive, head.expects_continue, head.body);
            assert_eq!(told, (keeps_alive, expects_continue, body), "{version} {fields:?}");
        }
    }

    #[test]
    fn what_is_no_head_or_too_much_of_one_is_refused_by_its_kind() {
        let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(LIMITS.bytes));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(LIMITS.fields + 1));
        for (bytes, status) in [
            ("GET / HTTP/1.1\0\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nX: a\0\r\n\r\n", 400),
            ("GET / HTTP/3.0\r\n\r\n", 400),
            ("GET http:// HTTP/1.1\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
            (&long, 431),
            (&long[..LIMITS.bytes + 1], 431),
            (&many, 431),
        ] {
            assert_eq!(taken(bytes).map(|_| ()).unwrap_err().as_u16(), status, "{bytes:?}");
        }
    }
}
