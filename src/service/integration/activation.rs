//! Activation: the moment at which an integration gets its access token (`MAGENTO_AUTH` 4.7).
//!
//! With an endpoint and an identity link a third party is sent a verifier and fetches the token; without them the token
//! is made here and shown. Magento's "Activate" silently does nothing where an aborted exchange left a row behind: here
//! such a row never counts. Reauthorizing ends the old token first, in both ways; key and secret stay.

use super::IntegrationService;
use crate::{
    auth::form_text::push_field,
    service::{
        Origin, ServiceError,
        audit::Action,
        authorization::unknown_integration,
        foundation::{conclude, record, refused},
        oauth::{AccessToken, current_access, open_token, renew_access_token},
    },
    store::records::{IntegrationRecord, IntegrationStatus},
};

/// How an activation ended.
#[derive(Debug, Clone)]
pub enum Activation {
    /// The integration is active.
    Active(AccessToken),
    /// The third party was sent what it needs and has to fetch its token; a person signs in there.
    Sent {
        /// What to open in a browser; the consumer's key stands in it, never its secret.
        login_url: String,
        /// `oauth_consumer_key`.
        consumer_key: String,
    },
}

impl IntegrationService {
    /// Activates an integration. A token that it has stays as it is; where a third party is to fetch one, the integration
    /// becomes active when it did.
    ///
    /// # Errors
    /// [`ServiceError::Refused`] where there is none or the post did not arrive; audit and store.
    pub async fn activate(&self, id: u32, origin: &Origin) -> Result<Activation, ServiceError> {
        let integration = self.found(id).await?;
        match Exchange::of(&integration) {
            Some(exchange) => self.send(&integration, exchange, origin).await,
            None => self.issue(&integration, false, origin).await,
        }
    }

    /// Ends an integration's tokens at once, and activates it anew.
    ///
    /// # Errors
    /// As [`IntegrationService::activate`].
    pub async fn reauthorize(&self, id: u32, origin: &Origin) -> Result<Activation, ServiceError> {
        let integration = self.found(id).await?;
        match Exchange::of(&integration) {
            Some(exchange) => {
                // What cannot succeed must not have cost the tokens.
                self.oauth.check_post(exchange.endpoint)?;
                self.end_tokens(&integration, origin).await?;
                self.send(&integration, exchange, origin).await
            }
            None => self.issue(&integration, true, origin).await,
        }
    }

    async fn found(&self, id: u32) -> Result<IntegrationRecord, ServiceError> {
        let found = self.foundation.store.view().await?.integration(id).await?;
        found.ok_or_else(|| unknown_integration(id))
    }

    /// Without a third party: the token is made here, and the integration is active with it or not at all.
    async fn issue(
        &self,
        integration: &IntegrationRecord,
        clears: bool,
        origin: &Origin,
    ) -> Result<Activation, ServiceError> {
        let consumer_id = consumer_of(integration)?;
        let announced =
            record(Action::IntegrationActivated, origin, (Some(integration.id), Some(consumer_id)));
        let intent = self.foundation.announce(announced).await?;
        let outcome = self.make_active(consumer_id, clears).await;
        if outcome.is_ok() {
            self.foundation.forget_consumer(consumer_id);
        }
        conclude(intent, outcome.map(Activation::Active)).await
    }

    async fn make_active(&self, consumer_id: u32, clears: bool) -> Result<AccessToken, ServiceError> {
        let foundation = &self.foundation;
        let mut change = foundation.store.change().await?;
        let tokens = change.tokens_of(consumer_id).await?;
        // One whose secret does not open is good for nothing and goes like one that was left behind.
        let kept =
            current_access(&tokens).filter(|_| !clears).and_then(|found| open_token(foundation, found));
        let token = match kept {
            Some(kept) => kept,
            None => renew_access_token(&mut change, foundation, consumer_id).await?,
        };
        if clears {
            change.delete_older_secret(consumer_id).await?;
        }
        change.set_status_by_consumer(consumer_id, IntegrationStatus::Active, foundation.now()).await?;
        change.commit().await?;
        Ok(token)
    }

    /// Before a third party is asked anew: what it has ends now, whether it comes back or not.
    async fn end_tokens(&self, integration: &IntegrationRecord, origin: &Origin) -> Result<(), ServiceError> {
        let consumer_id = consumer_of(integration)?;
        let announced = record(Action::TokenRevoked, origin, (Some(integration.id), Some(consumer_id)));
        let intent = self.foundation.announce(announced).await?;
        let outcome = self.make_inactive(consumer_id).await;
        if outcome.is_ok() {
            self.foundation.forget_consumer(consumer_id);
        }
        conclude(intent, outcome).await
    }

    async fn make_inactive(&self, consumer_id: u32) -> Result<(), ServiceError> {
        let mut change = self.foundation.store.change().await?;
        change.delete_tokens_of(consumer_id, None).await?;
        change.delete_older_secret(consumer_id).await?;
        let now = self.foundation.now();
        change.set_status_by_consumer(consumer_id, IntegrationStatus::Inactive, now).await?;
        Ok(change.commit().await?)
    }

    /// With a third party: it is sent a verifier and has to fetch its token.
    async fn send(
        &self,
        integration: &IntegrationRecord,
        exchange: Exchange<'_>,
        origin: &Origin,
    ) -> Result<Activation, ServiceError> {
        let consumer_id = consumer_of(integration)?;
        self.oauth.post_to_consumer(consumer_id, exchange.endpoint, origin).await?;
        let consumer = self.oauth.load_consumer(consumer_id).await?;
        let consumer_key = consumer.ok_or_else(no_consumer)?.key;
        let link = exchange.identity_link_url;
        let joint = if link.contains('?') { '&' } else { '?' };
        let mut login_url = format!("{link}{joint}oauth_consumer_key={consumer_key}");
        if let Some(callback) = &self.oauth.rules.success_callback {
            push_field(&mut login_url, "success_call_back", callback);
        }
        Ok(Activation::Sent { login_url, consumer_key })
    }
}

/// The two URLs that make an integration one with a third party.
struct Exchange<'a> {
    endpoint: &'a str,
    identity_link_url: &'a str,
}

impl<'a> Exchange<'a> {
    fn of(integration: &'a IntegrationRecord) -> Option<Self> {
        let given = |url: &'a Option<String>| url.as_deref().filter(|url| !url.is_empty());
        let endpoint = given(&integration.endpoint)?;
        Some(Self { endpoint, identity_link_url: given(&integration.identity_link_url)? })
    }
}

fn consumer_of(integration: &IntegrationRecord) -> Result<u32, ServiceError> {
    integration.consumer_id.ok_or_else(no_consumer)
}

fn no_consumer() -> ServiceError {
    refused("The integration has no consumer.")
}
