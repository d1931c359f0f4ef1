//! Consumers: made, found, deleted.

use super::OauthService;
use crate::{
    auth::{secret::Secret, time::UnixTime},
    service::{
        Origin, ServiceError,
        audit::Action,
        callback::CallbackUrl,
        foundation::{Foundation, conclude, record, refused, refused_about},
        random,
    },
    store::{
        records::ConsumerRecord,
        sql::{self, Change},
    },
};

/// A consumer to be made. Its key and secret are always made here.
#[derive(Debug, Clone, Copy, Default)]
pub struct NewConsumer<'a> {
    /// Its name; `Integration<id>` for an integration's.
    pub name: &'a str,
    /// Where users go who allowed what they were asked; for other flows than an integration's.
    pub callback_url: Option<&'a str>,
    /// Where users go who did not.
    pub rejected_callback_url: Option<&'a str>,
}

/// A consumer and its secret in clear text.
#[derive(Debug, Clone)]
pub struct Consumer {
    /// `oauth_consumer.entity_id`.
    pub id: u32,
    /// `name`.
    pub name: String,
    /// `oauth_consumer_key`.
    pub key: String,
    /// `oauth_consumer_secret`; `None` where the stored one does not open with the configured keys.
    pub secret: Option<Secret<String>>,
    /// When it was last posted to.
    pub posted_at: Option<UnixTime>,
}

impl OauthService {
    /// Makes a consumer with a new key and secret.
    ///
    /// # Errors
    /// [`ServiceError::Refused`] for a URL that is none; audit and store.
    pub async fn create_consumer(
        &self,
        new: &NewConsumer<'_>,
        origin: &Origin,
    ) -> Result<Consumer, ServiceError> {
        let mut announced = record(Action::IntegrationChanged, origin, (None, None));
        announced.name = Some(new.name.to_owned());
        announced.detail = Some("a consumer is made".to_owned());
        let mut intent = self.foundation.announce(announced).await?;
        let outcome = self.make_consumer(new).await;
        intent.record_mut().consumer_id = outcome.as_ref().ok().map(|consumer| consumer.id);
        conclude(intent, outcome).await
    }

    /// Finds a consumer by its id.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn load_consumer(&self, id: u32) -> Result<Option<Consumer>, ServiceError> {
        let found = self.foundation.store.view().await?.consumer(id).await?;
        Ok(found.map(|found| self.open(&found)))
    }

    /// Finds a consumer by its key, byte for byte.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn load_consumer_by_key(&self, key: &str) -> Result<Option<Consumer>, ServiceError> {
        let found = self.foundation.store.view().await?.consumer_by_key(key).await?;
        Ok(found.map(|found| self.open(&found)))
    }

    /// Deletes a consumer with its tokens, its nonces and its integration, and answers what it was.
    ///
    /// # Errors
    /// [`ServiceError::Refused`] where there is none; audit and store.
    pub async fn delete_consumer(&self, id: u32, origin: &Origin) -> Result<Consumer, ServiceError> {
        let mut announced = record(Action::IntegrationDeleted, origin, (None, Some(id)));
        announced.detail = Some("a consumer with its tokens".to_owned());
        let intent = self.foundation.announce(announced).await?;
        let outcome = self.drop_consumer(id).await;
        if outcome.is_ok() {
            self.foundation.forget(Some(id)).await;
        }
        conclude(intent, outcome).await
    }

    async fn make_consumer(&self, new: &NewConsumer<'_>) -> Result<Consumer, ServiceError> {
        let mut change = self.foundation.store.change().await?;
        self.check_url(new.callback_url, "Invalid Callback URL")?;
        self.check_url(new.rejected_callback_url, "Invalid Rejected Callback URL")?;
        let consumer = insert_consumer(&mut change, &self.foundation, new).await?;
        change.commit().await?;
        Ok(consumer)
    }

    async fn drop_consumer(&self, id: u32) -> Result<Consumer, ServiceError> {
        let mut change = self.foundation.store.change().await?;
        let found = change.consumer(id).await?.ok_or_else(|| unknown_consumer(id))?;
        // The role goes with the integration, which the row's deletion takes along.
        if let Some(integration) = change.integration_by_consumer(id).await? {
            change.delete_integration_roles(integration.id).await?;
        }
        change.delete_consumer(id).await?;
        change.commit().await?;
        Ok(self.open(&found))
    }

    /// A URL that the door would not open for is refused when it is written down.
    pub(in crate::service) fn check_url(
        &self,
        url: Option<&str>,
        text: &'static str,
    ) -> Result<(), ServiceError> {
        let is_usable = |url: &str| CallbackUrl::parse(url, self.callback.rules()).is_ok();
        if url.is_none_or(is_usable) { Ok(()) } else { Err(refused(text)) }
    }

    pub(super) fn open(&self, found: &ConsumerRecord) -> Consumer {
        Consumer {
            id: found.id,
            name: found.name.clone(),
            key: found.key.clone(),
            secret: self.foundation.decrypt(&found.secret),
            posted_at: found.updated_at,
        }
    }
}

/// Writes a consumer with a new key and secret, as a part of a change.
pub(in crate::service) async fn insert_consumer(
    change: &mut Change,
    foundation: &Foundation,
    new: &NewConsumer<'_>,
) -> Result<Consumer, ServiceError> {
    let (key, secret) = (random::token()?, random::token()?);
    let row = sql::NewConsumer {
        name: new.name,
        key: key.expose(),
        encrypted_secret: &foundation.encrypt(&secret)?,
    };
    let urls = (new.callback_url, new.rejected_callback_url.unwrap_or_default());
    let id = change.insert_consumer(&row, urls, foundation.now()).await?;
    let (name, key) = (new.name.to_owned(), key.expose().clone());
    Ok(Consumer { id, name, key, secret: Some(secret), posted_at: None })
}

pub(in crate::service) fn unknown_consumer(id: u32) -> ServiceError {
    refused_about("A consumer with ID \"%1\" doesn't exist. Verify the ID and try again.", &id)
}
