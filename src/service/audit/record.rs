//! One line of the audit.

use std::net::IpAddr;

use crate::auth::identity::UserType;

/// What was done, or tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// A token was issued to a customer (Magento's event `customer_login`) or an admin, or refused.
    TokenIssued,
    /// A user's tokens, or one token, were revoked.
    TokenRevoked,
    /// An account was locked after too many failures.
    LockedOut,
    /// An integration was created.
    IntegrationCreated,
    /// An integration's properties or resources were changed.
    IntegrationChanged,
    /// An integration got its access token.
    IntegrationActivated,
    /// An integration was deleted.
    IntegrationDeleted,
    /// A consumer's secret or token was replaced.
    CredentialRotated,
    /// A step of the handshake: the post to the callback, the request token.
    Handshake,
    /// A user was created, changed or disabled.
    UserChanged,
    /// A signature came with a nonce that was used before.
    NonceReplayed,
    /// A job cleaned up.
    JobRun,
}

impl Action {
    /// The word in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TokenIssued => "token_issued",
            Self::TokenRevoked => "token_revoked",
            Self::LockedOut => "locked_out",
            Self::IntegrationCreated => "integration_created",
            Self::IntegrationChanged => "integration_changed",
            Self::IntegrationActivated => "integration_activated",
            Self::IntegrationDeleted => "integration_deleted",
            Self::CredentialRotated => "credential_rotated",
            Self::Handshake => "handshake",
            Self::UserChanged => "user_changed",
            Self::NonceReplayed => "nonce_replayed",
            Self::JobRun => "job_run",
        }
    }
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It took effect.
    Done,
    /// It was refused; the cause says why.
    Refused,
    /// It broke; the cause says why.
    Failed,
}

impl Outcome {
    /// The word in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// One record. What does not apply is `None` and written as `null`: every key is in every line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What was done.
    pub action: Action,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it was refused or failed; one of a closed set of words.
    pub cause: Option<&'static str>,
    /// The kind of user that it is about.
    pub user_type: Option<UserType>,
    /// The user's id within its kind.
    pub user_id: Option<u32>,
    /// The name as it was given: a user name, an address, an integration's name. Never a password or token.
    pub name: Option<String>,
    /// `oauth_consumer.entity_id`.
    pub consumer_id: Option<u32>,
    /// Who asked: `guest`, `customer:5`, `cli:root`, `job`, `config`.
    pub actor: String,
    /// The client's address, where there is one.
    pub client: Option<IpAddr>,
    /// The request's id, where there is one.
    pub request_id: Option<String>,
    /// What else is worth knowing, in words: `resources`, `overlap 3600 s`. Never a secret.
    pub detail: Option<String>,
}

impl Record {
    /// A record of something that took effect, asked for by `actor`.
    #[must_use]
    pub fn new(action: Action, actor: impl Into<String>) -> Self {
        Self {
            action,
            outcome: Outcome::Done,
            cause: None,
            user_type: None,
            user_id: None,
            name: None,
            consumer_id: None,
            actor: actor.into(),
            client: None,
            request_id: None,
            detail: None,
        }
    }
}
