//! `/oauth/token/request` and `/oauth/token/access`: where a third party fetches an integration's token
//! (`MAGENTO_AUTH` 4.3 to 4.5, RFC 5849 §2).
//!
//! `proof` finds out whether a request is the consumer's own, by the same rules as a call of the API; the service
//! makes the exchange; `answer` writes what Magento writes. GET and POST mean the same, as in Magento.
//!
//! The signature is checked before the verifier, unlike there: nobody learns whether a verifier is right who does not
//! hold the secrets. The nonce is recorded after both.

mod answer;
mod problem;
mod proof;

use bytes::Bytes;
use http::{Response, request::Parts};

pub use problem::Problem;
pub use proof::SignatureRules;

use crate::{
    auth::{
        oauth1::{Operation, Scheme},
        time::UnixTime,
    },
    service::{
        Origin, ServiceError,
        oauth::{AccessToken, OauthService},
    },
    store::nonces::Nonces,
};

/// Answers the handshake's endpoints.
#[derive(Debug)]
pub struct Handshake {
    oauth: OauthService,
    rules: SignatureRules,
    nonces: Nonces,
}

/// A request as it was received.
#[derive(Debug)]
pub struct Asked {
    /// Its head.
    pub head: Parts,
    /// The scheme that the client spoke, as far as anybody may be believed.
    pub scheme: Scheme,
    /// Its whole body.
    pub body: Bytes,
    /// Who asks, for the audit.
    pub origin: Origin,
    /// The time of the request.
    pub now: UnixTime,
}

/// An answer, and the class of the refusal if it is one.
#[derive(Debug)]
pub struct Answered {
    /// What the client reads.
    pub response: Response<Bytes>,
    /// One of a closed set of words.
    pub refused: Option<&'static str>,
    /// The consumer whose nonce was used before, if that is why.
    pub replayed: Option<u32>,
}

impl Handshake {
    /// Endpoints that prove who asks by these rules and this store of nonces.
    #[must_use]
    pub const fn new(oauth: OauthService, rules: SignatureRules, nonces: Nonces) -> Self {
        Self { oauth, rules, nonces }
    }

    /// Answers `/oauth/token/request`: a request token for the verifier that was posted.
    pub async fn request_token(&self, asked: &Asked) -> Answered {
        answer::answer(self.exchange_verifier(asked).await)
    }

    /// Answers `/oauth/token/access`: an access token for the request token; the integration becomes active.
    pub async fn access_token(&self, asked: &Asked) -> Answered {
        answer::answer(self.exchange_request_token(asked).await)
    }

    async fn exchange_verifier(&self, asked: &Asked) -> Result<AccessToken, Problem> {
        let proven = self.prove(Operation::RequestToken, asked).await?;
        Ok(self.oauth.exchange_verifier(&proven.consumer, &asked.origin).await?)
    }

    async fn exchange_request_token(&self, asked: &Asked) -> Result<AccessToken, Problem> {
        let proven = self.prove(Operation::AccessToken, asked).await?;
        let token = proven.token.ok_or(Problem::TOKEN_UNKNOWN)?;
        let exchanged = self.oauth.exchange_request_token(proven.consumer.id, &token, &asked.origin).await;
        // Refused is who comes second: a moment later the token would not have been found.
        if matches!(exchanged, Err(ServiceError::Refused(_))) {
            return Err(Problem::TOKEN_UNKNOWN);
        }
        Ok(exchanged?)
    }
}
