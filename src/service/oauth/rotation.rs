//! Rotation: a new secret or token while the old one stays valid for a stated time.
//!
//! Whoever uses the old one has that long to change over; nobody has to stop. A consumer has at most one older secret: a
//! second rotation within the overlap ends the first secret at once. An older token keeps its row until its end. An
//! overlap of nothing ends every old one now.

use std::time::Duration;

use super::{
    AccessToken, Consumer, OauthService,
    consumers::unknown_consumer,
    tokens::{current_access, insert_access_token},
};
use crate::{
    service::{
        Origin, ServiceError,
        audit::{Action, Record},
        foundation::{conclude, record, refused},
        random,
    },
    store::{rows::TokenType, sql::Change},
};

/// Longer than that, two valid secrets are a habit and no change-over.
const MAX_OVERLAP: Duration = Duration::from_secs(90 * 24 * 3600);

impl OauthService {
    /// Gives a consumer a new secret; the old one stays valid for `overlap`. Answers the consumer with the new one.
    ///
    /// # Errors
    /// [`ServiceError::Refused`] where there is no such consumer or the overlap is longer than 90 days; audit and store.
    pub async fn rotate_secret(
        &self,
        consumer_id: u32,
        overlap: Duration,
        origin: &Origin,
    ) -> Result<Consumer, ServiceError> {
        let intent = self.foundation.announce(announced(consumer_id, "secret", overlap, origin)).await?;
        let outcome = self.replace_secret(consumer_id, overlap).await;
        if outcome.is_ok() {
            self.foundation.forget_consumer(consumer_id);
        }
        conclude(intent, outcome).await
    }

    /// Gives a consumer a new access token; the old one stays valid for `overlap`.
    ///
    /// # Errors
    /// [`ServiceError::Refused`] where there is no access token to replace or the overlap is longer than 90 days; audit
    /// and store.
    pub async fn rotate_access_token(
        &self,
        consumer_id: u32,
        overlap: Duration,
        origin: &Origin,
    ) -> Result<AccessToken, ServiceError> {
        let intent = self.foundation.announce(announced(consumer_id, "token", overlap, origin)).await?;
        let outcome = self.replace_access_token(consumer_id, overlap).await;
        if outcome.is_ok() {
            self.foundation.forget_consumer(consumer_id);
        }
        conclude(intent, outcome).await
    }

    async fn replace_secret(&self, consumer_id: u32, overlap: Duration) -> Result<Consumer, ServiceError> {
        let mut change = self.change_over(overlap).await?;
        let found = change.consumer(consumer_id).await?.ok_or_else(|| unknown_consumer(consumer_id))?;
        if overlap.is_zero() {
            change.delete_older_secret(consumer_id).await?;
        } else {
            let ends_at = self.foundation.now().plus(overlap);
            change.keep_older_secret(consumer_id, &found.secret, ends_at).await?;
        }
        let secret = random::token()?;
        change.set_consumer_secret(consumer_id, &self.foundation.encrypt(&secret)?).await?;
        change.commit().await?;
        Ok(Consumer { secret: Some(secret), ..self.open(&found) })
    }

    async fn replace_access_token(
        &self,
        consumer_id: u32,
        overlap: Duration,
    ) -> Result<AccessToken, ServiceError> {
        let mut change = self.change_over(overlap).await?;
        let tokens = change.tokens_of(consumer_id).await?;
        let old = current_access(&tokens).ok_or_else(|| refused("Token is not an access token"))?;
        if overlap.is_zero() {
            // An older one that an earlier rotation left valid ends as well.
            for token in tokens.iter().filter(|token| token.token_type == TokenType::Access) {
                change.delete_token(token.id).await?;
            }
        } else {
            change.keep_older_token(old.id, self.foundation.now().plus(overlap)).await?;
        }
        let issued = insert_access_token(&mut change, &self.foundation, consumer_id).await?;
        change.commit().await?;
        Ok(issued)
    }

    async fn change_over(&self, overlap: Duration) -> Result<Change, ServiceError> {
        if overlap > MAX_OVERLAP {
            return Err(refused("The overlap is longer than 90 days."));
        }
        Ok(self.foundation.store.change().await?)
    }
}

fn announced(consumer_id: u32, what: &str, overlap: Duration, origin: &Origin) -> Record {
    let mut announced = record(Action::CredentialRotated, origin, (None, Some(consumer_id)));
    announced.detail = Some(format!("{what}, overlap {} s", overlap.as_secs()));
    announced
}
