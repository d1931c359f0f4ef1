//! The two exchanges of the handshake: verifier for request token, request token for access token.
//!
//! Who asks has been proven before. Each exchange names the row as it was found: of two that race, one takes effect and
//! the other one hears what it would have heard a moment later.

use super::{AccessToken, OauthService, tokens::OUT_OF_BAND};
use crate::{
    auth::{secret::Secret, time::UnixTime},
    service::{
        Origin, ServiceError,
        audit::Action,
        foundation::{conclude, record, refused, refused_about},
        random,
    },
    store::{
        records::{ConsumerRecord, IntegrationStatus, TokenRecord},
        rows::TokenType,
        sql::TokenValues,
    },
};

/// What the handshake needs to know of a request: the consumer by its key, and the token by its value.
#[derive(Debug)]
pub struct Seat {
    /// The consumer.
    pub consumer: Option<ConsumerRecord>,
    /// The token, whoever's it is.
    pub token: Option<TokenRecord>,
}

impl OauthService {
    /// Looks up who a request says it is.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn seat(&self, consumer_key: &str, token: Option<&str>) -> Result<Seat, ServiceError> {
        let mut view = self.foundation.store.view().await?;
        let consumer = view.consumer_by_key(consumer_key).await?;
        let token = match token {
            Some(token) => view.token(token).await?,
            None => None,
        };
        Ok(Seat { consumer, token })
    }

    /// The secrets that a consumer may sign with at this time, the current one first; none that does not open.
    #[must_use]
    pub fn secrets(&self, consumer: &ConsumerRecord, now: UnixTime) -> Vec<Secret<String>> {
        let older = consumer.older_secret.as_ref().filter(|(_, ends_at)| now < *ends_at);
        let stored = std::iter::once(&consumer.secret).chain(older.map(|(secret, _)| secret));
        stored.filter_map(|secret| self.foundation.decrypt(secret)).collect()
    }

    /// Whether a consumer was posted to so recently that it may ask for a request token. Magento's last second is out.
    #[must_use]
    pub fn may_begin(&self, consumer: &ConsumerRecord, now: UnixTime) -> bool {
        consumer.updated_at.is_some_and(|posted_at| now < posted_at.plus(self.rules.expiry))
    }

    /// Whether a request token is too old to be exchanged; Magento deletes such rows by chance.
    #[must_use]
    pub fn is_expired(&self, token: &TokenRecord, now: UnixTime) -> bool {
        token.created_at.is_none_or(|created_at| now >= created_at.plus(self.rules.request_token_lifetime))
    }

    /// Exchanges a consumer's verifier for a request token.
    ///
    /// # Errors
    /// [`ServiceError::Refused`] where there is no verifier; audit and store.
    pub async fn exchange_verifier(
        &self,
        consumer: &ConsumerRecord,
        origin: &Origin,
    ) -> Result<AccessToken, ServiceError> {
        let mut announced = record(Action::Handshake, origin, (None, Some(consumer.id)));
        announced.detail = Some("verifier for request token".to_owned());
        let intent = self.foundation.announce(announced).await?;
        let outcome = self.make_request_token(consumer).await;
        if outcome.is_ok() {
            self.foundation.forget_consumer(consumer.id);
        }
        conclude(intent, outcome).await
    }

    /// Exchanges a request token for an access token, and makes the integration active. An access token that the consumer
    /// had before ends.
    ///
    /// # Errors
    /// [`ServiceError::Refused`] where the token is no longer what it was; audit and store.
    pub async fn exchange_request_token(
        &self,
        consumer_id: u32,
        found: &TokenRecord,
        origin: &Origin,
    ) -> Result<AccessToken, ServiceError> {
        let mut announced = record(Action::IntegrationActivated, origin, (None, Some(consumer_id)));
        announced.detail = Some("request token for access token".to_owned());
        let intent = self.foundation.announce(announced).await?;
        let outcome = self.make_access_of(consumer_id, found).await;
        if outcome.is_ok() {
            self.foundation.forget_consumer(consumer_id);
        }
        conclude(intent, outcome).await
    }

    async fn make_request_token(&self, consumer: &ConsumerRecord) -> Result<AccessToken, ServiceError> {
        let now = self.foundation.now();
        let mut change = self.foundation.store.change().await?;
        // What nobody can exchange any more goes now; Magento leaves it to chance.
        change.delete_request_tokens(now.minus(self.rules.request_token_lifetime)).await?;
        let tokens = change.tokens_of(consumer.id).await?;
        let Some(found) = tokens.iter().rfind(|token| token.token_type == TokenType::Verifier) else {
            return Err(match tokens.first() {
                Some(_) => {
                    refused("Cannot create request token because consumer token is not a verifier token")
                }
                None => refused_about("A token with consumer ID %1 does not exist", &consumer.id),
            });
        };
        let issued = AccessToken { token: random::token()?, secret: random::token()? };
        let values = TokenValues {
            token_type: TokenType::Request,
            token: &issued.token,
            secret: &issued.secret,
            callback_url: consumer.callback_url.as_deref().unwrap_or(OUT_OF_BAND),
        };
        if !change.replace_token(found, &values, now).await? {
            return Err(refused(
                "Cannot create request token because consumer token is not a verifier token",
            ));
        }
        change.commit().await?;
        Ok(issued)
    }

    async fn make_access_of(
        &self,
        consumer_id: u32,
        found: &TokenRecord,
    ) -> Result<AccessToken, ServiceError> {
        let now = self.foundation.now();
        let mut change = self.foundation.store.change().await?;
        let issued = AccessToken { token: random::token()?, secret: random::token()? };
        let values = TokenValues {
            token_type: TokenType::Access,
            token: &issued.token,
            secret: &self.foundation.encrypt(&issued.secret)?,
            callback_url: OUT_OF_BAND,
        };
        if !change.replace_token(found, &values, now).await? {
            return Err(refused("Specified token does not exist"));
        }
        change.delete_tokens_of(consumer_id, Some(found.id)).await?;
        change.set_status_by_consumer(consumer_id, IntegrationStatus::Active, now).await?;
        change.commit().await?;
        Ok(issued)
    }
}
