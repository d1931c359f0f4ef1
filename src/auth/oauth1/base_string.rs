//! The signature base string (RFC 5849 §3.4.1): method, URI and parameters in one line of ASCII.
//!
//! Pairs are written, already encoded twice, into one buffer; their places are sorted; then the head and the sorted
//! pairs are appended to the same buffer. So a base string costs two allocations however many parameters there are,
//! and the bytes to sign are the buffer's tail. Which pairs count, and whether every byte of query and form is among
//! them, is `pairs`' affair.

use super::encoding::encode;
use super::pairs::Pairs;
use super::params::ProtocolParameters;
use super::request::{Reading, SignedRequest};
use super::uri;

/// `&` between parameters, encoded once.
const AMPERSAND: &[u8] = b"%26";

/// The signature base string of a request in the given reading, `oauth_signature` left out.
///
/// Shows what a signer would sign even where a verifier refuses to (see [`verify`](super::signature::verify)).
#[must_use]
pub fn base_string(
    reading: Reading,
    parameters: &ProtocolParameters<'_>,
    request: &SignedRequest<'_>,
) -> String {
    let base = BaseString::new(reading, parameters, request);
    base.as_bytes().iter().copied().map(char::from).collect()
}

/// A base string at the end of the buffer that it was made in.
pub(super) struct BaseString {
    buffer: Vec<u8>,
    start: usize,
    covers_request: bool,
}

impl BaseString {
    pub(super) fn new(
        reading: Reading,
        parameters: &ProtocolParameters<'_>,
        request: &SignedRequest<'_>,
    ) -> Self {
        let Pairs { mut buffer, places, covers_request } = Pairs::collect(reading, parameters, request);
        let start = buffer.len();
        write_head(&mut buffer, reading, request);
        for (position, place) in places.into_iter().enumerate() {
            if position > 0 {
                buffer.extend_from_slice(AMPERSAND);
            }
            buffer.extend_from_within(place.range());
        }
        Self { buffer, start, covers_request }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }

    /// Whether this reading signs every byte of query and form, and reads the header in one way only.
    pub(super) const fn covers_request(&self) -> bool {
        self.covers_request
    }
}

fn write_head(out: &mut Vec<u8>, reading: Reading, request: &SignedRequest<'_>) {
    if request.method.bytes().any(|byte| byte.is_ascii_lowercase()) {
        encode(out, request.method.to_ascii_uppercase().as_bytes());
    } else {
        encode(out, request.method.as_bytes());
    }
    out.push(b'&');
    uri::write_encoded(out, reading, request);
    out.push(b'&');
}
