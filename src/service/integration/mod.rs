//! Integrations: Magento's `IntegrationService` with its plugin, and their activation (`MAGENTO_AUTH` 5.4, 4.7, 12.4).
//!
//! An integration, its consumer and its role are made, changed and deleted together, in one transaction each; Magento does
//! it in several and can stop in between. What a configuration file made is locked: it can be activated, and nothing else.
//! Two habits of Magento's are not carried over: an update that names no resources leaves them as they are, and deleting
//! takes the consumer and its tokens along, which there only the admin's form does.

mod activation;
mod changing;

use std::sync::Arc;

pub use activation::Activation;
pub(super) use changing::delete_whole;

use super::{
    ServiceError,
    authorization::{Grants, unknown_integration},
    foundation::Foundation,
    oauth::{AccessToken, OauthService, current_access, open_token},
};
use crate::{
    auth::{secret::Secret, time::UnixTime},
    store::records::{IntegrationRecord, IntegrationStatus, SetupType},
};

/// An integration to be made. It is inactive at first.
#[derive(Debug, Clone)]
pub struct NewIntegration {
    /// Its name, which no other one has in any case of its letters.
    pub name: String,
    /// Whom to write to.
    pub email: String,
    /// Where the verifier is posted.
    pub endpoint: Option<String>,
    /// Where a person signs in at the third party.
    pub identity_link_url: Option<String>,
    /// Who makes it.
    pub setup_type: SetupType,
    /// What it may do.
    pub grants: Grants,
}

/// What is changed of an integration; `None` stays as it is. Status and consumer are not changed by hand.
#[derive(Debug, Clone, Default)]
pub struct IntegrationChanges {
    /// A new name.
    pub name: Option<String>,
    /// A new address to write to.
    pub email: Option<String>,
    /// A new endpoint, or none any more.
    pub endpoint: Option<Option<String>>,
    /// A new identity link, or none any more.
    pub identity_link_url: Option<Option<String>>,
    /// What it may do from now on.
    pub grants: Option<Grants>,
}

/// An integration with its credentials in clear text.
#[derive(Debug, Clone)]
pub struct IntegrationDetails {
    /// The integration.
    pub integration: IntegrationRecord,
    /// `oauth_consumer_key`.
    pub consumer_key: Option<String>,
    /// `oauth_consumer_secret`, if it opens.
    pub consumer_secret: Option<Secret<String>>,
    /// When the secret before it ends, if it was rotated.
    pub older_secret_ends_at: Option<UnixTime>,
    /// The access token, if there is one.
    pub access_token: Option<AccessToken>,
    /// The resources that it may use, in the order of their rules.
    pub resources: Vec<String>,
}

/// Makes, finds, changes, activates and deletes integrations.
#[derive(Debug, Clone)]
pub struct IntegrationService {
    foundation: Arc<Foundation>,
    oauth: OauthService,
}

impl IntegrationService {
    /// A service whose consumers are this service's.
    #[must_use]
    pub fn new(oauth: OauthService) -> Self {
        Self { foundation: Arc::clone(&oauth.foundation), oauth }
    }

    /// The service of its consumers.
    #[must_use]
    pub const fn oauth(&self) -> &OauthService {
        &self.oauth
    }

    /// The same service for a gate that has cached nobody yet: it reads no roles after a change.
    #[must_use]
    pub fn without_memory(&self) -> Self {
        let foundation = Arc::new(self.foundation.without_memory());
        Self::new(OauthService { foundation, ..self.oauth.clone() })
    }

    pub(super) fn foundation(&self) -> &Foundation {
        &self.foundation
    }

    /// An integration with its credentials.
    ///
    /// # Errors
    /// [`ServiceError::Refused`] where there is none; store.
    pub async fn get(&self, id: u32) -> Result<IntegrationDetails, ServiceError> {
        let mut view = self.foundation.store.view().await?;
        let integration = view.integration(id).await?.ok_or_else(|| unknown_integration(id))?;
        let resources = view.allowed_resources(id).await?;
        let (mut consumer, mut tokens) = (None, Vec::new());
        if let Some(consumer_id) = integration.consumer_id {
            consumer = view.consumer(consumer_id).await?;
            tokens = view.tokens_of(consumer_id).await?;
        }
        Ok(IntegrationDetails {
            integration,
            consumer_secret: consumer.as_ref().and_then(|found| self.foundation.decrypt(&found.secret)),
            older_secret_ends_at: consumer
                .as_ref()
                .and_then(|found| found.older_secret.as_ref().map(|(_, ends_at)| *ends_at)),
            consumer_key: consumer.map(|found| found.key),
            access_token: current_access(&tokens).and_then(|found| open_token(&self.foundation, found)),
            resources,
        })
    }

    /// Finds an integration by its name, upper case or lower.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn find_by_name(&self, name: &str) -> Result<Option<IntegrationRecord>, ServiceError> {
        Ok(self.foundation.store.view().await?.integration_by_name(name).await?)
    }

    /// Finds the integration of a consumer.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn find_by_consumer_id(
        &self,
        consumer_id: u32,
    ) -> Result<Option<IntegrationRecord>, ServiceError> {
        Ok(self.foundation.store.view().await?.integration_by_consumer(consumer_id).await?)
    }

    /// Finds the integration of a consumer, if it is active.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn find_active_by_consumer_id(
        &self,
        consumer_id: u32,
    ) -> Result<Option<IntegrationRecord>, ServiceError> {
        let found = self.find_by_consumer_id(consumer_id).await?;
        Ok(found.filter(|integration| integration.status == IntegrationStatus::Active))
    }

    /// Every integration, by id.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn list(&self) -> Result<Vec<IntegrationRecord>, ServiceError> {
        Ok(self.foundation.store.view().await?.integrations().await?)
    }

    /// The resources that an integration may use.
    ///
    /// # Errors
    /// [`ServiceError::Refused`] where there is none; store.
    pub async fn selected_resources(&self, id: u32) -> Result<Vec<String>, ServiceError> {
        let mut view = self.foundation.store.view().await?;
        view.integration(id).await?.ok_or_else(|| unknown_integration(id))?;
        Ok(view.allowed_resources(id).await?)
    }
}
