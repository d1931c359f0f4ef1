//! A third party that signs by hand, apart from the library's signer, which knows no handshake.

use std::net::SocketAddr;

use portcullis::auth::oauth1::{
    ProtocolParameters, Reading, Scheme, SignatureMethod, SignedRequest, TrialKey, base_string,
};

use super::wire::request;

/// What a request is signed with: a consumer, and a token with its secret where there is one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signature<'a> {
    pub(crate) key: &'a str,
    pub(crate) secret: &'a str,
    pub(crate) token: Option<(&'a str, &'a str)>,
    pub(crate) verifier: Option<&'a str>,
}

/// A signed GET, as it goes over the wire.
pub(crate) fn signed(
    proxy: SocketAddr,
    target: &str,
    signature: Signature<'_>,
    (time, nonce): (i64, &str),
) -> Vec<u8> {
    let Signature { key, secret, token, verifier } = signature;
    let host = proxy.to_string();
    let mut credentials = format!(
        "oauth_consumer_key=\"{key}\", oauth_nonce=\"{nonce}\", oauth_signature_method=\"HMAC-SHA256\", oauth_timestamp=\"{time}\""
    );
    for (name, value) in [("oauth_token", token.map(|token| token.0)), ("oauth_verifier", verifier)] {
        if let Some(value) = value {
            credentials.push_str(&format!(", {name}=\"{value}\""));
        }
    }
    let signed = SignedRequest {
        method: "GET",
        scheme: Scheme::Http,
        host: &host,
        path: target,
        query: None,
        form: None,
    };
    let base = base_string(Reading::Rfc5849, &ProtocolParameters::parse(&credentials), &signed);
    let token_secret = token.map(|token| token.1).unwrap_or_default();
    let key = TrialKey::joined(secret.as_bytes(), token_secret.as_bytes());
    let signature = key.signature(SignatureMethod::HmacSha256, &base);
    let signature = signature.expose().replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let header = format!("OAuth {credentials}, oauth_signature=\"{signature}\"");
    request("GET", target, &[("Host", &host), ("Authorization", &header)], b"")
}
