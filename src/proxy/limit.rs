//! Limits that hold before a byte of the body is read.

use http::{HeaderMap, HeaderName, header::CONTENT_LENGTH};

use super::authorize::Permit;
use crate::auth::rejection::{Malformation, Rejection};

/// A permit whose request is within limits; only `limit` makes one.
#[derive(Debug)]
pub struct Admitted {
    permit: Permit,
    spoofed: Vec<HeaderName>,
}

impl Admitted {
    pub(super) fn into_parts(self) -> (Permit, Vec<HeaderName>) {
        (self.permit, self.spoofed)
    }
}

/// Refuses a body that announces more bytes than `max_body`; one that announces nothing is counted on its way.
///
/// # Errors
/// [`Rejection::BodyTooLarge`], or [`Malformation::Framing`] for a length that is no number.
pub(super) fn limit(
    permit: Permit,
    spoofed: Vec<HeaderName>,
    headers: &HeaderMap,
    max_body: Option<u64>,
) -> Result<Admitted, Rejection> {
    let announced = headers
        .get(CONTENT_LENGTH)
        .map(|value| value.to_str().ok().and_then(|text| text.parse::<u64>().ok()));
    match (announced, max_body) {
        (Some(None), _) => Err(Rejection::Malformed(Malformation::Framing)),
        (Some(Some(length)), Some(most)) if length > most => Err(Rejection::BodyTooLarge),
        (_, _) => Ok(Admitted { permit, spoofed }),
    }
}
