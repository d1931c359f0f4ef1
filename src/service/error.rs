//! How a service refuses, in Magento's words.
//!
//! The variant is the class of Magento's exception, which decides the status of an answer on REST (`MAGENTO_AUTH`
//! section 11.3); the message is what the caller reads, placeholders untouched. Who failed and why is for the audit.

use thiserror::Error;

use super::audit::AuditError;
use crate::{auth::rejection::Message, store::StoreError};

/// Why a service did not do what it was asked for.
#[derive(Debug, Error)]
pub enum ServiceError {
    /// `InputException`: what was given cannot be worked with; 400.
    #[error("{}", .0.text)]
    Input(Message),
    /// `AuthenticationException`: the caller did not prove who it is; 401.
    #[error("{}", .0.text)]
    Authentication(Message),
    /// `Oauth\Exception` and `IntegrationException`: the credential or its owner is not in a state for this; on the
    /// handshake endpoints 401, elsewhere 400.
    #[error("{}", .0.text)]
    Refused(Message),
    /// Too much is under way; worth asking again after some seconds; 503.
    #[error("busy, try again in {retry_after} s")]
    Busy {
        /// Seconds.
        retry_after: u32,
    },
    /// What was asked for would not work: a token that our own rules would not accept; 503.
    #[error("the configuration does not allow this: {0}")]
    Misconfigured(&'static str),
    /// The change cannot be recorded, so it is not made; 503.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The store did not answer, or holds what makes no sense; 503.
    #[error(transparent)]
    Store(#[from] StoreError),
}
