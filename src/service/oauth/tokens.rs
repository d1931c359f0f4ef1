//! A consumer's access token, made without a third party, shown, taken away.

use super::{OauthService, consumers::unknown_consumer};
use crate::{
    auth::secret::Secret,
    service::{
        Origin, ServiceError,
        audit::Action,
        foundation::{Foundation, conclude, record},
        random,
    },
    store::{
        records::TokenRecord,
        rows::TokenType,
        sql::{Change, TokenValues},
    },
};

/// A token that was made without a redirect (RFC 5849 §2.1).
pub(super) const OUT_OF_BAND: &str = "oob";

/// An access token and its secret in clear text.
#[derive(Debug, Clone)]
pub struct AccessToken {
    /// `oauth_token`.
    pub token: Secret<String>,
    /// `oauth_token_secret`.
    pub secret: Secret<String>,
}

impl OauthService {
    /// Makes an access token for a consumer; `false` where it has one and that is not to be cleared. What an aborted
    /// exchange left behind never counts.
    ///
    /// # Errors
    /// [`ServiceError::Refused`] where there is no such consumer; audit and store.
    pub async fn create_access_token(
        &self,
        consumer_id: u32,
        clear_existing: bool,
        origin: &Origin,
    ) -> Result<bool, ServiceError> {
        let mut announced = record(Action::IntegrationChanged, origin, (None, Some(consumer_id)));
        announced.detail = Some("an access token is made".to_owned());
        let intent = self.foundation.announce(announced).await?;
        let outcome = self.make_access_token(consumer_id, clear_existing).await;
        if outcome.is_ok() {
            self.foundation.forget_consumer(consumer_id);
        }
        conclude(intent, outcome).await
    }

    /// A consumer's access token; `None` where it has none, or one whose secret does not open.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn access_token(&self, consumer_id: u32) -> Result<Option<AccessToken>, ServiceError> {
        let tokens = self.foundation.store.view().await?.tokens_of(consumer_id).await?;
        Ok(current_access(&tokens).and_then(|found| open(&self.foundation, found)))
    }

    /// Deletes a consumer's tokens, those that were rotated out among them; they stop working at once. Says whether there
    /// were any.
    ///
    /// # Errors
    /// Audit and store.
    pub async fn delete_integration_token(
        &self,
        consumer_id: u32,
        origin: &Origin,
    ) -> Result<bool, ServiceError> {
        let announced = record(Action::TokenRevoked, origin, (None, Some(consumer_id)));
        let intent = self.foundation.announce(announced).await?;
        let outcome = self.drop_tokens(consumer_id).await;
        if outcome.is_ok() {
            self.foundation.forget_consumer(consumer_id);
        }
        conclude(intent, outcome).await
    }

    async fn make_access_token(&self, consumer_id: u32, clear_existing: bool) -> Result<bool, ServiceError> {
        let mut change = self.foundation.store.change().await?;
        if change.consumer(consumer_id).await?.is_none() {
            return Err(unknown_consumer(consumer_id));
        }
        if !clear_existing && current_access(&change.tokens_of(consumer_id).await?).is_some() {
            return Ok(false);
        }
        renew_access_token(&mut change, &self.foundation, consumer_id).await?;
        change.commit().await?;
        Ok(true)
    }

    async fn drop_tokens(&self, consumer_id: u32) -> Result<bool, ServiceError> {
        let mut change = self.foundation.store.change().await?;
        let deleted = change.delete_tokens_of(consumer_id, None).await?;
        change.commit().await?;
        Ok(deleted > 0)
    }
}

/// Replaces whatever tokens a consumer has by a new access token, as a part of a change.
pub(in crate::service) async fn renew_access_token(
    change: &mut Change,
    foundation: &Foundation,
    consumer_id: u32,
) -> Result<AccessToken, ServiceError> {
    change.delete_tokens_of(consumer_id, None).await?;
    insert_access_token(change, foundation, consumer_id).await
}

/// Writes a new access token, as a part of a change.
pub(super) async fn insert_access_token(
    change: &mut Change,
    foundation: &Foundation,
    consumer_id: u32,
) -> Result<AccessToken, ServiceError> {
    let issued = AccessToken { token: random::token()?, secret: random::token()? };
    let values = TokenValues {
        token_type: TokenType::Access,
        token: &issued.token,
        secret: &foundation.encrypt(&issued.secret)?,
        callback_url: OUT_OF_BAND,
    };
    change.insert_token(consumer_id, &values, (Some(&random::token()?), foundation.now())).await?;
    Ok(issued)
}

/// The access token that is not on its way out.
pub(in crate::service) fn current_access(tokens: &[TokenRecord]) -> Option<&TokenRecord> {
    tokens.iter().rfind(|token| token.token_type == TokenType::Access && token.ends_at.is_none())
}

pub(in crate::service) fn open(foundation: &Foundation, found: &TokenRecord) -> Option<AccessToken> {
    Some(AccessToken { token: found.token.clone(), secret: foundation.decrypt(&found.secret)? })
}
