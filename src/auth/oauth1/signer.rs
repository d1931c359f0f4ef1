//! The client's side: the `Authorization` header of a signed request (RFC 5849 §3.1).
//!
//! For trying a server out from the shell and for tests; the proxy itself never signs. It builds the header first and
//! signs what the verifier's own parser makes of it, so both sides cannot disagree about a parameter.

use super::base_string::base_string;
use super::encoding::encode;
use super::params::ProtocolParameters;
use super::presented::SignatureMethod;
use super::request::{Reading, SignedRequest};
use super::signature::SigningKey;

/// A client that signs in the name of a consumer and its token.
#[derive(Debug, Clone, Copy)]
pub struct Signer<'a> {
    /// `oauth_consumer_key`.
    pub consumer_key: &'a str,
    /// `oauth_token`.
    pub token: &'a str,
    /// The two secrets.
    pub key: &'a SigningKey,
    /// `oauth_signature_method`.
    pub method: SignatureMethod,
    /// How the base string is made.
    pub reading: Reading,
}

impl Signer<'_> {
    /// The value of the `Authorization` header for this request, moment (`oauth_timestamp`) and nonce.
    #[must_use]
    pub fn authorization(&self, request: &SignedRequest<'_>, timestamp: &str, nonce: &str) -> String {
        let mut credentials = String::new();
        for (name, value) in [
            ("oauth_consumer_key", self.consumer_key),
            ("oauth_nonce", nonce),
            ("oauth_signature_method", self.method.as_str()),
            ("oauth_timestamp", timestamp),
            ("oauth_token", self.token),
            ("oauth_version", "1.0"),
        ] {
            push_parameter(&mut credentials, name, value);
        }
        let base = base_string(self.reading, &ProtocolParameters::parse(&credentials), request);
        let signature = self.key.sign(self.method, base.as_bytes());
        push_parameter(&mut credentials, "oauth_signature", &signature);
        format!("OAuth {credentials}")
    }
}

/// Appends `name="value"`, the value encoded (RFC 5849 §3.5.1).
fn push_parameter(header: &mut String, name: &str, value: &str) {
    let mut encoded = Vec::with_capacity(value.len());
    encode(&mut encoded, value.as_bytes());
    if !header.is_empty() {
        header.push_str(", ");
    }
    header.push_str(name);
    header.push_str("=\"");
    header.extend(encoded.into_iter().map(char::from));
    header.push('"');
}
