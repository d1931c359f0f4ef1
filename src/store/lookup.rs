//! What is looked up, and what it means that nothing was found out.

use super::cache::Keeping;
use crate::auth::{secret::Secret, session::SessionId};

/// A credential to look up.
#[derive(Debug)]
pub enum Lookup {
    /// A bearer value, opaque or JWT.
    Bearer(Secret<Vec<u8>>),
    /// A consumer key and token, 32 bytes each.
    Oauth {
        /// `oauth_consumer_key`.
        consumer_key: Vec<u8>,
        /// `oauth_token`.
        token: Secret<Vec<u8>>,
    },
    /// A session, asked for one of the callers that it may hold.
    Session(Box<SessionQuery>),
}

/// A session and whom it is asked for.
#[derive(Debug)]
pub struct SessionQuery {
    /// The id.
    pub id: SessionId,
    /// Whom.
    pub of: SessionOwner,
}

/// A caller that a session may hold.
#[derive(Debug)]
pub enum SessionOwner {
    /// The customer in this namespace.
    Customer {
        /// `customer_<website code>`, or `customer`.
        namespace: String,
    },
    /// The admin.
    Admin,
}

/// No fact could be had: nobody can say who the caller is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LookupFailed {
    /// The store did not answer, or answered nonsense.
    #[error("the store cannot be asked")]
    Unavailable,
    /// The store did not answer in time.
    #[error("the store did not answer in time")]
    Timeout,
    /// Too many lookups are under way.
    #[error("too many lookups are under way")]
    Overloaded,
}

impl LookupFailed {
    /// The word for figures and log lines.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Overloaded => "shed",
        }
    }
}

impl Lookup {
    /// Whose lifetime its fact has.
    pub(super) const fn keeping(&self) -> Keeping {
        match self {
            Self::Bearer(_) | Self::Oauth { .. } => Keeping::Credential,
            Self::Session(_) => Keeping::Session,
        }
    }
}
