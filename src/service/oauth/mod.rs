//! Consumers and their tokens: Magento's `OauthService` (`MAGENTO_AUTH` 5.5) and what the handshake does to them.
//!
//! A consumer's key and secret are made with it; its token goes through the handshake as one row: verifier, request,
//! access (`MAGENTO_AUTH` section 4). Secrets are stored as Magento stores them: a consumer's and an access token's
//! encrypted, the others in clear. Where the store does not answer, that is what is said, not Magento's text about an
//! unexpected error.
//!
//! Three traps of Magento's are not carried over. A row that an aborted exchange left behind never keeps an access token
//! from being made. A verifier that was posted while an access token exists can be exchanged; the old token lives until
//! then. And a request token's age counts from its own issue, not from that of a verifier that was posted hours before.

mod consumers;
mod exchange;
mod post;
mod rotation;
mod tokens;

use std::{sync::Arc, time::Duration};

pub(super) use consumers::insert_consumer;
pub use consumers::{Consumer, NewConsumer};
pub use exchange::Seat;
pub use tokens::AccessToken;
pub(super) use tokens::{current_access, open as open_token, renew_access_token};

use super::{callback::CallbackDoor, foundation::Foundation};

/// How the handshake goes.
#[derive(Debug, Clone)]
pub struct HandshakeRules {
    /// What a third party is told the shop's address is; never taken from a request.
    pub store_base_url: Option<String>,
    /// Where a third party sends the browser of whoever signed in to it (`MAGENTO_AUTH` 4.8).
    pub success_callback: Option<String>,
    /// How long after the post a request token may be asked for (`oauth/consumer/expiration_period`).
    pub expiry: Duration,
    /// How long a request token may be exchanged (`oauth/cleanup/expiration_period`).
    pub request_token_lifetime: Duration,
}

/// Makes, changes and deletes consumers and their tokens.
#[derive(Debug, Clone)]
pub struct OauthService {
    pub(super) foundation: Arc<Foundation>,
    pub(super) rules: HandshakeRules,
    pub(super) callback: CallbackDoor,
}

impl OauthService {
    /// A service on this foundation, which posts through this door.
    #[must_use]
    pub const fn new(foundation: Arc<Foundation>, rules: HandshakeRules, callback: CallbackDoor) -> Self {
        Self { foundation, rules, callback }
    }
}
