//! What the targets share: the slow base strings that the fast ones are compared with.
//!
//! The reference is the one of the unit tests. It speaks of `crate::auth` and of its parent, and finds both here.

/// The names that the reference is written against.
pub mod auth {
    pub use portcullis::auth::oauth1;
}

pub use portcullis::auth::oauth1::{Scheme, SignedRequest};

#[path = "../../src/auth/oauth1/tests/reference.rs"]
mod slow;

/// The base string of RFC 5849 section 3.4.1, made slowly.
pub fn rfc5849(credentials: &str, request: &SignedRequest<'_>) -> String {
    slow::rfc5849(credentials, request)
}

/// Magento's base string, made slowly.
pub fn magento(credentials: &str, request: &SignedRequest<'_>) -> String {
    slow::magento(credentials, request)
}
