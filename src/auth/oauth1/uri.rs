//! The base string URI: scheme, host and path as a signature binds them (RFC 5849 §3.4.1.2).
//!
//! Both readings put scheme and host in lower case and drop the scheme's default port. RFC 5849 signs the path as
//! sent. Magento hands it to `Laminas\Uri`, which removes dot segments and then decodes even reserved characters, so
//! `/a%2Fb` and `/a/b` share one signature (`MAGENTO_AUTH` section 3.6): whoever verifies must know whether
//! [`magento_path`] still means the path that was sent.

use std::borrow::Cow;

use super::encoding::{AsciiSet, encode, escape, take_escape};
use super::request::{Reading, SignedRequest};

/// What `Laminas\Uri` decodes in a path.
const DECODED: AsciiSet = AsciiSet::UNRESERVED.with(b":@&=+$,/;%");

/// What `Laminas\Uri` leaves alone in a path.
const LITERAL: AsciiSet = DECODED.with(b"()");

/// Appends the base string URI of the request, encoded once.
pub(super) fn write_encoded(out: &mut Vec<u8>, reading: Reading, request: &SignedRequest<'_>) {
    encode(out, request.scheme.prefix().as_bytes());
    let host = request.host.strip_suffix(request.scheme.default_port()).unwrap_or(request.host);
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        encode(out, host.to_ascii_lowercase().as_bytes());
    } else {
        encode(out, host.as_bytes());
    }
    match reading {
        Reading::Rfc5849 => encode(out, non_empty(request.path).as_bytes()),
        Reading::Magento => encode(out, non_empty(&magento_path(request.path)).as_bytes()),
    }
}

/// The path as Magento signs it: dot segments removed, `%XX` decoded where it stands for one of
/// `A-Z a-z 0-9 - . _ ~ : @ & = + $ , / ; %`, other escapes in upper case; then everything unusual encoded, a percent
/// sign that is no escape included.
#[must_use]
pub fn magento_path(path: &str) -> Cow<'_, str> {
    let has_dot_segment = path.contains("/.");
    if !has_dot_segment && path.bytes().all(|byte| byte != b'%' && LITERAL.contains(byte)) {
        return Cow::Borrowed(path);
    }
    let path = if has_dot_segment { without_dot_segments(path) } else { Cow::Borrowed(path) };
    let normal = encode_unusual(&decode_usual(path.as_bytes()));
    Cow::Owned(normal.into_iter().map(char::from).collect())
}

/// `Laminas\Uri\Uri::decodeUrlEncodedChars`.
fn decode_usual(path: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [byte, tail @ ..] = rest {
        rest = match take_escape(rest) {
            Some((byte, after)) if DECODED.contains(byte) => {
                decoded.push(byte);
                after
            }
            Some((byte, after)) => {
                escape(&mut decoded, b"%", byte);
                after
            }
            None => {
                decoded.push(*byte);
                tail
            }
        };
    }
    decoded
}

/// `Laminas\Uri\Uri::encodePath`; what the first pass decoded may have become an escape and then stays one.
fn encode_unusual(path: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [byte, tail @ ..] = rest {
        if LITERAL.contains(*byte) && (*byte != b'%' || take_escape(rest).is_some()) {
            encoded.push(*byte);
        } else {
            escape(&mut encoded, b"%", *byte);
        }
        rest = tail;
    }
    encoded
}

/// The path without `.` and `..` segments (RFC 3986 §5.2.4); empty segments count as any other.
fn without_dot_segments(path: &str) -> Cow<'_, str> {
    let Some(relative) = path.strip_prefix('/') else { return Cow::Borrowed(path) };
    let mut kept = Vec::new();
    let mut ends_in_dots = false;
    for segment in relative.split('/') {
        ends_in_dots = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            other => kept.push(other),
        }
    }
    if ends_in_dots {
        kept.push("");
    }
    Cow::Owned(format!("/{}", kept.join("/")))
}

fn non_empty(path: &str) -> &str {
    if path.is_empty() { "/" } else { path }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::auth::oauth1::encoding::{Plus, decode};
    use crate::auth::oauth1::request::Scheme;

    fn uri(reading: Reading, scheme: Scheme, host: &str, path: &str) -> String {
        let request = SignedRequest { method: "GET", scheme, host, path, query: None, form: None };
        let mut out = Vec::new();
        write_encoded(&mut out, reading, &request);
        String::from_utf8(decode(&out, Plus::Literal).into_owned()).unwrap()
    }

    #[test]
    fn host_is_lowered_and_only_the_default_port_dropped() {
        for (scheme, host, expected) in [
            (Scheme::Https, "Shop.Example.com:443", "https://shop.example.com/x"),
            (Scheme::Http, "shop.example.com:80", "http://shop.example.com/x"),
            (Scheme::Http, "h.example:443", "http://h.example:443/x"),
            (Scheme::Https, "h.example:80", "https://h.example:80/x"),
            (Scheme::Http, "h.example:8080", "http://h.example:8080/x"),
            (Scheme::Https, "[::1]:8443", "https://[::1]:8443/x"),
            (Scheme::Https, "1.2.3.4", "https://1.2.3.4/x"),
        ] {
            for reading in [Reading::Rfc5849, Reading::Magento] {
                assert_eq!(uri(reading, scheme, host, "/x"), expected);
            }
        }
    }

    #[test]
    fn an_empty_path_is_the_root() {
        for reading in [Reading::Rfc5849, Reading::Magento] {
            assert_eq!(uri(reading, Scheme::Http, "h", ""), "http://h/");
        }
    }

    #[test]
    fn rfc_5849_signs_the_path_as_sent() {
        for path in ["/a%2fb", "/%7e", "/ü", "/a/../b", "//x/"] {
            assert_eq!(uri(Reading::Rfc5849, Scheme::Http, "h", path), format!("http://h{path}"));
        }
    }

    #[test]
    fn magento_normalizes_paths_as_laminas_does() {
        for (path, expected) in [
            ("/rest/V1/products/a%2Fb%20c%7ed%2b", "/rest/V1/products/a/b%20c~d+"),
            ("/rest/V1/products/x!*'y\"z", "/rest/V1/products/x%21%2A%27y%22z"),
            ("/24-MB01(x)%28y%29%2B%3D%40%3A%2C%3B%21%27%2A", "/24-MB01(x)%28y%29+=@:,;%21%27%2A"),
            ("/rest//V1/x/", "/rest//V1/x/"),
            ("/products/a%2Fb%20c%7ed/../x", "/products/x"),
            ("/%73ku", "/sku"),
            ("/a%2541", "/a%41"),
            ("/a%zz%4", "/a%25zz%254"),
            ("/a%25", "/a%25"),
            ("/a%25%34%31", "/a%41"),
            ("/a%25c3", "/a%c3"),
            ("/sk\u{fc}", "/sk%C3%BC"),
            ("/%c3%bc", "/%C3%BC"),
            ("/a|b[c]", "/a%7Cb%5Bc%5D"),
            ("/a%00", "/a%00"),
            ("/a/./b", "/a/b"),
            ("/a/.", "/a/"),
            ("/a/..", "/"),
            ("/..", "/"),
            ("/../a", "/a"),
            ("/a//../b", "/a/b"),
            ("/.a/..b", "/.a/..b"),
            ("/%2e%2e/a", "/../a"),
            ("", ""),
        ] {
            assert_eq!(magento_path(path), expected, "{path}");
        }
        assert!(matches!(magento_path("/rest/V1/products/24-MB01"), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn every_path_becomes_ascii_that_stays(path in "/(\\PC|[./%2Fe]){0,30}") {
            let normal = magento_path(&path).into_owned();
            prop_assert!(normal.bytes().all(|byte| LITERAL.contains(byte)));
        }
    }
}
