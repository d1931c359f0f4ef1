//! An HTTP/2 head in the words of HTTP/1.1, so that every stage and the upstream read one and the same.
//!
//! The codec has already refused what RFC 9113 calls malformed in names and pseudo-headers. What is left is what two sides
//! could read differently: who the host is, cookies in pieces, and blanks around values, which HTTP/1.1 cuts off.

use http::{HeaderMap, HeaderValue, Uri, Version, header::COOKIE, header::HOST, request::Parts, uri::Scheme};

use crate::auth::rejection::{Malformation, Rejection};

/// Translates the head of an HTTP/2 request; any other is left as it is.
///
/// # Errors
/// [`Rejection::Malformed`] where there is no one translation.
pub fn translate(head: &mut Parts, max_headers: usize) -> Result<(), Rejection> {
    if head.version != Version::HTTP_2 {
        return Ok(());
    }
    let is_web = head.uri.scheme().is_some_and(|scheme| *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS);
    if !is_web || !has_path(&head.uri) {
        return Err(Rejection::Malformed(Malformation::Target));
    }
    if head.headers.len() > max_headers || head.headers.values().any(has_outer_blank) {
        return Err(Rejection::Malformed(Malformation::Framing));
    }
    join_cookies(&mut head.headers);
    name_host(head)
}

/// RFC 9113 section 8.3.1: `:path` begins with a slash. The codec takes `?a` and `#a` too, and cuts a fragment off: nothing
/// is left of the second that could stand in a request line, though the library shows a slash for it.
fn has_path(uri: &Uri) -> bool {
    let Some(sent) = uri.path_and_query() else { return false };
    let is_there = || !Uri::from(sent.clone()).path().is_empty();
    sent.as_str().starts_with('/') && (sent.as_str().len() > 1 || is_there())
}

/// RFC 9113 section 8.2.1. `authorization: " Bearer x"` would be nothing here and a bearer behind us.
fn has_outer_blank(value: &HeaderValue) -> bool {
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    is_blank(value.as_bytes().first()) || is_blank(value.as_bytes().last())
}

/// RFC 9113 section 8.2.3.
fn join_cookies(headers: &mut HeaderMap) {
    let pieces: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if pieces.len() < 2 {
        return;
    }
    if let Ok(joined) = HeaderValue::from_bytes(&pieces.join(&b"; "[..])) {
        headers.insert(COOKIE, joined);
    }
}

/// `:authority` is the Host where none was sent; where one was, the next stage holds them against each other.
fn name_host(head: &mut Parts) -> Result<(), Rejection> {
    if head.headers.contains_key(HOST) {
        return Ok(());
    }
    let refused = Rejection::Malformed(Malformation::Host);
    let authority = head.uri.authority().map(|authority| HeaderValue::from_str(authority.as_str()));
    let Some(Ok(host)) = authority else {
        return Err(refused);
    };
    head.headers.insert(HOST, host);
    Ok(())
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn head(version: Version, uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().version(version).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        request.body(()).unwrap().into_parts().0
    }

    fn translated(uri: &str, headers: &[(&str, &str)]) -> Result<HeaderMap, Rejection> {
        let mut head = head(Version::HTTP_2, uri, headers);
        translate(&mut head, 10).map(|()| head.headers)
    }

    #[test]
    fn the_authority_is_the_host_and_cookies_are_one() {
        let headers = translated(
            "https://shop.test/x",
            &[("cookie", "a=1"), ("accept", "*/*"), ("cookie", "b=2"), ("cookie", "c=3; d=4")],
        );
        let headers = headers.unwrap();
        assert_eq!(headers["host"], "shop.test");
        assert_eq!(headers.get_all("cookie").iter().collect::<Vec<_>>(), ["a=1; b=2; c=3; d=4"]);
    }

    #[test]
    fn a_host_that_was_sent_stays_for_the_next_stage_to_judge() {
        let headers = translated("https://shop.test/x", &[("host", "other.test")]).unwrap();
        assert_eq!(headers.get_all("host").iter().collect::<Vec<_>>(), ["other.test"]);
    }

    #[test]
    fn what_has_no_one_translation_is_refused() {
        for (uri, headers) in [
            ("/x", &[("a", "1")][..]),
            ("ftp://shop.test/x", &[]),
            ("https://shop.test/x", &[("authorization", " Bearer x")]),
            ("https://shop.test/x", &[("authorization", "Bearer x\t")]),
            ("https://shop.test/x", &[("a", "1"); 11]),
        ] {
            assert!(translated(uri, headers).is_err(), "{uri} {headers:?}");
        }
    }

    /// A request went on with no target at all.
    #[test]
    fn a_path_begins_with_a_slash() {
        for (path, is_one) in [
            ("/", true),
            ("/x", true),
            ("/#a", true),
            ("/?a", true),
            ("?a", false),
            ("#a", false),
            ("#", false),
        ] {
            let uri = Uri::builder().scheme("https").authority("shop.test").path_and_query(path).build();
            assert_eq!(has_path(&uri.unwrap()), is_one, "{path}");
        }
    }

    #[test]
    fn http_1_is_left_alone() {
        let mut given = head(Version::HTTP_11, "/x", &[("cookie", "a=1"), ("cookie", "b=2")]);
        translate(&mut given, 1).unwrap();
        assert_eq!(given.headers.get_all("cookie").iter().count(), 2);
        assert!(!given.headers.contains_key("host"));
    }
}
