//! What needs more than one file: recorded and published vectors, a slow reference, properties.

mod properties;
mod reference;
mod rfc5849;
mod section_3_7;
mod vectors;
mod verifying;

use super::{
    OauthProblem, ProtocolParameters, Readings, Scheme, SignatureMethod, SignatureMethods, SignedRequest,
    SigningKey, Verified, check, verify,
};

const CONSUMER_KEY: &str = "2lc1qdbsdd28ay4q20rbrtjl9qufi83n";
const TOKEN: &str = "rcnp1r0ttgql8dyfay14d83fjc7k5q78";

/// A plain request to change one part of.
const REQUEST: SignedRequest<'static> = SignedRequest {
    method: "GET",
    scheme: Scheme::Https,
    host: "shop.example.com",
    path: "/rest/V1/products",
    query: None,
    form: None,
};

fn key() -> SigningKey {
    SigningKey::new(b"consumer secret", b"token secret").unwrap()
}

/// What stands after the scheme, wherever it stands: that the scheme must come first is the caller's rule.
fn credentials(header: &str) -> &str {
    let at = header.to_ascii_lowercase().find("oauth ").unwrap();
    &header[at + 6..]
}

/// Parse, check and verify with both methods accepted and a path that may be decoded.
fn verify_header(
    header: &str,
    request: &SignedRequest<'_>,
    key: &SigningKey,
    readings: Readings,
) -> Result<Verified, OauthProblem> {
    let parameters = ProtocolParameters::parse(credentials(header));
    let accepted: SignatureMethods =
        [SignatureMethod::HmacSha256, SignatureMethod::HmacSha1].into_iter().collect();
    verify(&check(&parameters, accepted)?, request, key.into(), readings, true)
}
