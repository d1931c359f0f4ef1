//! Magento's user JWTs: verifying them, and the little signing that the token endpoint needs.
//!
//! Customers and admins get a JWS signed with HMAC under `crypt/key` (`MAGENTO_AUTH` section 2.7). The way of a token is
//! `serialization` (take it apart, refuse what is no JWS), header rules and signature (`verifier`), then
//! `claims`. The algorithm is a setting and never the token's choice.
//!
//! Stricter than Magento (DESIGN section 6, D6, D7, D9): encrypted tokens are refused because Magento wraps them with a
//! constant key; so are unencoded payloads (RFC 7797), non-canonical base64url, equal member names, a general
//! serialization with more than one signature, a header parameter that is both protected and not, and claims that are
//! not plain integers. Whether the user exists and is active, whether the token is expired or revoked, is asked by
//! whoever holds the claims: nothing here knows the time.

mod accepted_keys;
mod algorithm;
mod base64url;
mod claims;
mod contents;
mod json;
mod keyed_mac;
mod refusal;
mod serialization;
mod verifier;
mod verifiers;

pub use accepted_keys::AcceptedKeys;
pub use algorithm::JwtAlgorithm;
pub use claims::Claims;
pub use contents::JwtContents;
pub use refusal::JwtRefusal;
pub use verifier::JwtVerifier;
pub use verifiers::JwtVerifiers;
