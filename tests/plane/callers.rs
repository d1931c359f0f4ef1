//! Who calls, and where: the roles and routes that the tests share.

pub(crate) use crate::support::signing::{CONSUMER_KEY, CONSUMER_SECRET, TOKEN, TOKEN_SECRET};
use crate::support::{gate::Setup, signing::Credentials, upstream::Upstream, wire::request};

/// A route that needs `Magento_Backend::admin`.
pub(crate) const PROTECTED: &str = "/rest/V1/modules";
/// A route that needs nothing.
pub(crate) const ANONYMOUS: &str = "/rest/V1/directory/currency";
/// A path below `/rest` without a route.
pub(crate) const UNMATCHED: &str = "/rest/V1/no/such/route";
/// A path outside `/rest`.
pub(crate) const OUTSIDE: &str = "/media/picture.png";
/// A route for POST that needs `Magento_Catalog::products`.
pub(crate) const PROTECTED_POST: &str = "/rest/V1/products";

/// An integration that may do everything, as bearer.
pub(crate) const FULL: &str = "Bearer rcnp1r0ttgql8dyfay14d83fjc7k5q78";
/// A bearer that nobody has.
pub(crate) const UNKNOWN: &str = "Bearer 00000000000000000000000000000000";

/// A gate that takes [`FULL`].
pub(crate) fn gate(upstream: &Upstream) -> Setup {
    Setup::before(upstream.address).with("magento", "integration_as_bearer = true")
}

/// A GET request.
pub(crate) fn get(target: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    request("GET", target, headers, b"")
}

/// A POST request with a JSON body.
pub(crate) fn post(target: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    request("POST", target, &[headers, &[("Content-Type", "application/json")]].concat(), body)
}

/// An `Authorization` value for a signed GET of `path` on `shop.test`.
pub(crate) fn signed(path: &str, timestamp: i64, nonce: &str) -> String {
    Credentials::full().authorization(path, timestamp, nonce)
}

/// A chunked body: each piece a chunk, then trailers.
pub(crate) fn chunks(pieces: &[&[u8]], trailers: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for piece in pieces {
        bytes.extend(format!("{:x}\r\n", piece.len()).bytes());
        bytes.extend(*piece);
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"0\r\n");
    bytes.extend(trailers.bytes());
    bytes.extend(b"\r\n");
    bytes
}
