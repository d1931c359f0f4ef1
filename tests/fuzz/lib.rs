//! What the targets share: slow, plain readings that the fast ones are compared with.
//!
//! Where the unit tests have one, it is theirs: it speaks of `crate::auth` and of its parent, and finds both here.

pub mod framing;

/// The names that the reference is written against.
pub mod auth {
    pub use portcullis::auth::oauth1;
}

pub use portcullis::auth::oauth1::{Scheme, SignedRequest};

#[path = "../../src/auth/oauth1/tests/reference.rs"]
mod slow;

#[path = "../../src/auth/route/plain_walk.rs"]
mod plain_walk;

/// The base string of RFC 5849 section 3.4.1, made slowly.
pub fn rfc5849(credentials: &str, request: &SignedRequest<'_>) -> String {
    slow::rfc5849(credentials, request)
}

/// Magento's base string, made slowly.
pub fn magento(credentials: &str, request: &SignedRequest<'_>) -> String {
    slow::magento(credentials, request)
}

/// The template that a path reaches, searched as Magento does.
pub fn matched<'t>(templates: &[&'t str], path: &str, is_magento: bool) -> Option<&'t str> {
    plain_walk::matched(templates, path, is_magento)
}
