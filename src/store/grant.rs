//! What the store lets a credential do: the value that a lookup yields and the cache keeps.
//!
//! A bearer token's fact is a grant or the reason why it is none. A consumer key and token yield a signing key and a
//! standing; their grant opens only to a verified signature, so an OAuth fact never answers for a bearer value.

use http::HeaderValue;
use sha2::{Digest as _, Sha256};

use crate::auth::{
    identity::{AuthMethod, UserContext},
    oauth1::{SigningKey, VerifyingKeys},
    session::SessionId,
    time::UnixTime,
};

/// The cache key of a credential: SHA-256 over its kind, a zero byte and its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CredentialKey([u8; 32]);

impl CredentialKey {
    /// The key of a bearer value.
    #[must_use]
    pub fn bearer(token: &[u8]) -> Self {
        Self(Sha256::new().chain_update(b"bearer\0").chain_update(token).finalize().into())
    }

    /// The key of a consumer key and token; both are 32 bytes by then, so no separator can shift.
    #[must_use]
    pub fn oauth(consumer_key: &[u8], token: &[u8]) -> Self {
        let digest = Sha256::new()
            .chain_update(b"oauth1\0")
            .chain_update(consumer_key)
            .chain_update(b"\0")
            .chain_update(token);
        Self(digest.finalize().into())
    }

    /// The key of a session id, asked for the caller that `namespace` holds: no id holds a zero byte.
    #[must_use]
    pub fn session(id: &SessionId, namespace: &str) -> Self {
        let digest = Sha256::new()
            .chain_update(b"session\0")
            .chain_update(id.as_bytes())
            .chain_update(b"\0")
            .chain_update(namespace);
        Self(digest.finalize().into())
    }

    /// A byte of the digest, to spread by.
    #[must_use]
    pub const fn first_byte(&self) -> u8 {
        let Self([first, ..]) = self;
        *first
    }
}

/// A proven or provable caller with its finished header values.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Who it is.
    pub context: UserContext,
    /// How it is proven.
    pub method: AuthMethod,
    /// When the credential dies; `None` for integrations, whose tokens do not unless they were rotated out.
    pub expires_at: Option<UnixTime>,
    /// Header values that depend on the caller alone.
    pub headers: CallerHeaders,
}

/// Header values that depend on the caller alone, made once.
#[derive(Debug, Clone)]
pub struct CallerHeaders {
    /// `User-Id`.
    pub user_id: HeaderValue,
    /// `Consumer-Id`, `Integration-Id` and `Integration-Name`.
    pub integration: Option<IntegrationHeaders>,
    /// `Credential`: the fingerprint.
    pub credential: HeaderValue,
}

/// Header values of an integration.
#[derive(Debug, Clone)]
pub struct IntegrationHeaders {
    /// `Consumer-Id`.
    pub consumer_id: HeaderValue,
    /// `Integration-Id`.
    pub integration_id: HeaderValue,
    /// `Integration-Name`, percent-encoded.
    pub name: HeaderValue,
}

/// What the store says of a credential.
#[derive(Debug, Clone)]
#[expect(
    clippy::large_enum_variant,
    reason = "most facts are grants, and another pointer to each would cost every hit a miss of the processor's cache"
)]
pub enum Fact {
    /// A bearer value or a session lets somebody in.
    Granted(Grant),
    /// A bearer value or a session lets nobody in; the word says why, for the log.
    Refused(&'static str),
    /// A session of a customer whose password was changed after it began.
    SessionExpired,
    /// A consumer key and token. Apart: its keys are several times as long as a grant, and most facts are grants.
    Oauth(Box<OauthFact>),
}

/// What the store says of a consumer key and token.
#[derive(Debug, Clone)]
pub struct OauthFact {
    /// `oauth_consumer.entity_id`; `None` where no consumer has the key.
    pub consumer_id: Option<u32>,
    /// The key that signatures are checked with; a decoy where there is none, so that every answer costs the same.
    pub signing_key: SigningKey,
    /// The key with the consumer's secret before the current one, and when it ends.
    pub older_key: Option<(SigningKey, UnixTime)>,
    /// What the token is.
    pub standing: Standing,
}

impl OauthFact {
    /// The keys that a signature may be made with at this time.
    #[must_use]
    pub fn keys(&self, now: UnixTime) -> VerifyingKeys<'_> {
        let older = self.older_key.as_ref().filter(|(_, ends_at)| now < *ends_at);
        VerifyingKeys::new(&self.signing_key, older.map(|(key, _)| key))
    }
}

/// What a token is to the consumer that presents it.
#[derive(Debug, Clone)]
pub enum Standing {
    /// An access token of an active integration.
    Granted(Box<Grant>),
    /// An access token of an integration that is not active: a good signature, and still a guest (MAGENTO_FACTS 4).
    Inactive,
    /// No consumer has the presented key.
    ConsumerUnknown,
    /// No token has the presented value.
    TokenUnknown,
    /// The token is somebody else's.
    OfOtherConsumer,
    /// A request or verifier token.
    NotAccess,
    /// Revoked.
    Revoked,
    /// A secret does not decrypt, or is empty: no signature can be trusted (MAGENTO_AUTH section 9.1).
    SecretUnusable,
}

impl Fact {
    /// Whether somebody may get in by it: only such facts outlive their freshness in an outage.
    #[must_use]
    pub const fn is_positive(&self) -> bool {
        match self {
            Self::Granted(_) => true,
            Self::Refused(_) | Self::SessionExpired => false,
            Self::Oauth(fact) => matches!(fact.standing, Standing::Granted(_)),
        }
    }

    /// The grant inside, if any.
    #[must_use]
    pub const fn grant(&self) -> Option<&Grant> {
        match self {
            Self::Granted(grant) => Some(grant),
            Self::Refused(_) | Self::SessionExpired => None,
            Self::Oauth(fact) => match &fact.standing {
                Standing::Granted(grant) => Some(grant),
                Standing::Inactive
                | Standing::ConsumerUnknown
                | Standing::TokenUnknown
                | Standing::OfOtherConsumer
                | Standing::NotAccess
                | Standing::Revoked
                | Standing::SecretUnusable => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_value_never_shares_a_key_with_an_oauth_pair() {
        let consumer = [b'a'; 32];
        let token = [b'b'; 32];
        let mut joined = consumer.to_vec();
        joined.push(0);
        joined.extend(token);
        assert_ne!(CredentialKey::bearer(&joined), CredentialKey::oauth(&consumer, &token));
        let id = SessionId::parse(b"abc").unwrap();
        assert_ne!(CredentialKey::bearer(b"abc\0admin"), CredentialKey::session(&id, "admin"));
        assert_ne!(CredentialKey::session(&id, "customer_base"), CredentialKey::session(&id, "admin"));
        assert_ne!(CredentialKey::oauth(&token, &consumer), CredentialKey::oauth(&consumer, &token));
    }
}
