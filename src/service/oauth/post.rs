//! The post to the consumer's endpoint, with which the handshake begins (`MAGENTO_AUTH` 4.2).

use super::{OauthService, consumers::unknown_consumer, tokens::OUT_OF_BAND};
use crate::{
    auth::secret::Secret,
    service::{
        Origin, ServiceError,
        audit::{Action, Intent},
        callback::CallbackUrl,
        foundation::{conclude, record, refused},
        random,
    },
    store::{records::ConsumerRecord, rows::TokenType, sql::TokenValues},
};

/// What Magento says, whatever went wrong.
const POST_FAILED: &str =
    "The attempt to post data to consumer failed due to an unexpected error. Please try again later.";

impl OauthService {
    /// Makes a verifier, or takes the one that is there, and posts it with the consumer's key and secret to an endpoint.
    /// The handshake's window opens. Answers the verifier.
    ///
    /// # Errors
    /// [`ServiceError::Refused`] where there is no such consumer, its secret does not open, no base URL is configured, or
    /// the post did not arrive; audit and store.
    pub async fn post_to_consumer(
        &self,
        consumer_id: u32,
        endpoint: &str,
        origin: &Origin,
    ) -> Result<Secret<String>, ServiceError> {
        let mut announced = record(Action::Handshake, origin, (None, Some(consumer_id)));
        announced.detail = Some("post to the callback".to_owned());
        let mut intent = self.foundation.announce(announced).await?;
        let outcome = self.prepare_and_post(consumer_id, endpoint, &mut intent).await;
        conclude(intent, outcome).await
    }

    /// Refuses what [`OauthService::post_to_consumer`] would refuse before it does anything.
    pub(in crate::service) fn check_post(&self, endpoint: &str) -> Result<(), ServiceError> {
        self.rules.store_base_url.as_ref().ok_or_else(no_base_url)?;
        self.check_url(Some(endpoint), POST_FAILED)
    }

    async fn prepare_and_post(
        &self,
        consumer_id: u32,
        endpoint: &str,
        intent: &mut Intent,
    ) -> Result<Secret<String>, ServiceError> {
        let base_url = self.rules.store_base_url.as_deref();
        let base_url = base_url.ok_or_else(no_base_url)?;
        let url = CallbackUrl::parse(endpoint, self.callback.rules()).map_err(|error| {
            tracing::warn!(consumer.id = consumer_id, %error, "a callback is refused");
            refused(POST_FAILED)
        })?;
        intent.record_mut().detail = Some(format!("post to {}", url.host()));
        let (consumer, verifier) = self.open_window(consumer_id).await?;
        let secret = self.foundation.decrypt(&consumer.secret).ok_or_else(|| refused(POST_FAILED))?;
        let fields = [
            ("oauth_consumer_key", consumer.key.as_str()),
            ("oauth_consumer_secret", secret.expose()),
            ("store_base_url", base_url),
            ("oauth_verifier", verifier.expose()),
        ];
        self.callback.post(&url, &fields).await.map_err(|error| {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            tracing::warn!(consumer.id = consumer_id, host = url.host(), %error, source, "a callback failed");
            refused(POST_FAILED)
        })?;
        Ok(verifier)
    }

    /// Before the post: whoever gets it may be back before it has been answered.
    async fn open_window(&self, consumer_id: u32) -> Result<(ConsumerRecord, Secret<String>), ServiceError> {
        let now = self.foundation.now();
        let mut change = self.foundation.store.change().await?;
        change.touch_consumer(consumer_id, now).await?;
        let consumer = change.consumer(consumer_id).await?.ok_or_else(|| unknown_consumer(consumer_id))?;
        let tokens = change.tokens_of(consumer_id).await?;
        let found = tokens.into_iter().filter(|token| token.token_type == TokenType::Verifier);
        if let Some(verifier) = found.filter_map(|token| token.verifier).next_back() {
            change.commit().await?;
            return Ok((consumer, verifier));
        }
        let verifier = random::token()?;
        let values = TokenValues {
            token_type: TokenType::Verifier,
            token: &random::token()?,
            secret: &random::token()?,
            callback_url: OUT_OF_BAND,
        };
        change.insert_token(consumer_id, &values, (Some(&verifier), now)).await?;
        change.commit().await?;
        Ok((consumer, verifier))
    }
}

fn no_base_url() -> ServiceError {
    refused("The base URL of the store isn't configured.")
}
