//! Making, changing and deleting integrations.

use super::{IntegrationChanges, IntegrationService, NewIntegration};
use crate::{
    auth::rejection::{Message, Parameters},
    service::{
        Origin, ServiceError,
        audit::Action,
        authorization::{describe, grant, unknown_integration},
        foundation::{conclude, record, refused, refused_about},
        oauth::{NewConsumer, insert_consumer},
    },
    store::{
        StoreError,
        records::{IntegrationColumns, IntegrationRecord, SetupType},
        sql::Change,
    },
};

/// `integration.name` and `integration.email` are this wide.
const MAX_TEXT: usize = 255;

impl IntegrationService {
    /// Makes an integration with its consumer and its role.
    ///
    /// # Errors
    /// [`ServiceError::Refused`] where the name is taken, [`ServiceError::Input`] for what cannot be written; audit and
    /// store.
    pub async fn create(
        &self,
        new: &NewIntegration,
        origin: &Origin,
    ) -> Result<IntegrationRecord, ServiceError> {
        let mut announced = record(Action::IntegrationCreated, origin, (None, None));
        announced.name = Some(new.name.clone());
        announced.detail = Some(describe(&new.grants));
        let mut intent = self.foundation.announce(announced).await?;
        let outcome = self.insert(new).await;
        if let Ok(made) = &outcome {
            let record = intent.record_mut();
            (record.user_id, record.consumer_id) = (Some(made.id), made.consumer_id);
            self.foundation.forget(made.consumer_id).await;
        }
        conclude(intent, outcome).await
    }

    /// Changes an integration; its cached callers are judged anew.
    ///
    /// # Errors
    /// [`ServiceError::Refused`] where there is none, its name is taken, or a configuration file made it; audit and store.
    pub async fn update(
        &self,
        id: u32,
        changes: &IntegrationChanges,
        origin: &Origin,
    ) -> Result<IntegrationRecord, ServiceError> {
        let mut announced = record(Action::IntegrationChanged, origin, (Some(id), None));
        announced.name.clone_from(&changes.name);
        announced.detail = changes.grants.as_ref().map(describe);
        let mut intent = self.foundation.announce(announced).await?;
        let outcome = self.rewrite(id, changes).await;
        if let Ok(changed) = &outcome {
            intent.record_mut().consumer_id = changed.consumer_id;
            self.foundation.forget(changed.consumer_id).await;
        }
        conclude(intent, outcome).await
    }

    /// Deletes an integration with its consumer, its tokens and its role, and answers what it was.
    ///
    /// # Errors
    /// [`ServiceError::Refused`] where there is none, or a configuration file made it; audit and store.
    pub async fn delete(&self, id: u32, origin: &Origin) -> Result<IntegrationRecord, ServiceError> {
        let announced = record(Action::IntegrationDeleted, origin, (Some(id), None));
        let mut intent = self.foundation.announce(announced).await?;
        let outcome = self.remove(id).await;
        if let Ok(gone) = &outcome {
            let record = intent.record_mut();
            (record.name, record.consumer_id) = (Some(gone.name.clone()), gone.consumer_id);
            self.foundation.forget(gone.consumer_id).await;
        }
        conclude(intent, outcome).await
    }

    async fn insert(&self, new: &NewIntegration) -> Result<IntegrationRecord, ServiceError> {
        let mut change = self.foundation.store.change().await?;
        let made = self.insert_into(&mut change, new).await?;
        change.commit().await?;
        Ok(made)
    }

    /// Writes an integration with its consumer and its role, as a part of a change.
    pub(in crate::service) async fn insert_into(
        &self,
        change: &mut Change,
        new: &NewIntegration,
    ) -> Result<IntegrationRecord, ServiceError> {
        let columns = IntegrationColumns {
            name: &new.name,
            email: &new.email,
            endpoint: filled(new.endpoint.as_deref()),
            identity_link_url: filled(new.identity_link_url.as_deref()),
            setup_type: new.setup_type,
        };
        self.check(&columns)?;
        check_name(change, &new.name).await?;
        let id = change.insert_integration(&columns, self.foundation.now()).await?;
        let name = format!("Integration{id}");
        let consumer = NewConsumer { name: &name, ..NewConsumer::default() };
        let consumer = insert_consumer(change, &self.foundation, &consumer).await?;
        change.set_integration_consumer(id, consumer.id).await?;
        grant(change, &self.foundation.tree, id, &new.grants).await?;
        written(change, id).await
    }

    async fn rewrite(
        &self,
        id: u32,
        changes: &IntegrationChanges,
    ) -> Result<IntegrationRecord, ServiceError> {
        let mut change = self.foundation.store.change().await?;
        let found = change.integration(id).await?.ok_or_else(|| unknown_integration(id))?;
        if found.setup_type == SetupType::Config {
            return Err(refused("The integrations created in the config file can't be edited."));
        }
        let name = changes.name.as_deref().unwrap_or(&found.name);
        let endpoint = changes.endpoint.as_ref().unwrap_or(&found.endpoint);
        let identity_link_url = changes.identity_link_url.as_ref().unwrap_or(&found.identity_link_url);
        let columns = IntegrationColumns {
            name,
            email: changes.email.as_deref().unwrap_or(&found.email),
            endpoint: filled(endpoint.as_deref()),
            identity_link_url: filled(identity_link_url.as_deref()),
            setup_type: found.setup_type,
        };
        self.check(&columns)?;
        if !name.eq_ignore_ascii_case(&found.name) {
            check_name(&mut change, name).await?;
        }
        change.update_integration(id, &columns, self.foundation.now()).await?;
        if let Some(grants) = &changes.grants {
            grant(&mut change, &self.foundation.tree, id, grants).await?;
        }
        let changed = written(&mut change, id).await?;
        change.commit().await?;
        Ok(changed)
    }

    async fn remove(&self, id: u32) -> Result<IntegrationRecord, ServiceError> {
        let mut change = self.foundation.store.change().await?;
        let found = change.integration(id).await?.ok_or_else(|| unknown_integration(id))?;
        if found.setup_type == SetupType::Config {
            let text = "Uninstall the extension to remove integration '%1'.";
            return Err(refused_about(text, &found.name));
        }
        delete_whole(&mut change, &found).await?;
        change.commit().await?;
        Ok(found)
    }

    /// What a person wrote must be something, fit its column, and lead where the door opens to.
    fn check(&self, columns: &IntegrationColumns<'_>) -> Result<(), ServiceError> {
        for (field, text) in [("name", columns.name), ("email", columns.email)] {
            let is_required = field == "name";
            let has_control = text.chars().any(char::is_control);
            if is_required && text.trim().is_empty() || text.len() > MAX_TEXT || has_control {
                return Err(ServiceError::Input(Message {
                    text: "\"%fieldName\" is required. Enter and try again.",
                    errors: Vec::new(),
                    parameters: Parameters::Named("fieldName", field.to_owned()),
                }));
            }
        }
        self.oauth.check_url(columns.endpoint, "Invalid Callback URL")?;
        // A browser opens it, not the gate: where it leads is not the gate's to judge.
        let is_link = |url: &str| {
            url.len() <= MAX_TEXT
                && url.bytes().all(|byte| byte.is_ascii_graphic())
                && (url.starts_with("https://") || url.starts_with("http://"))
        };
        if columns.identity_link_url.is_none_or(is_link) {
            Ok(())
        } else {
            Err(refused("Invalid identity link URL"))
        }
    }
}

/// Magento takes an empty URL for none (`MAGENTO_AUTH` 4.7).
fn filled(url: Option<&str>) -> Option<&str> {
    url.filter(|url| !url.is_empty())
}

/// Deletes an integration with its consumer, its tokens and its role, as a part of a change.
pub(in crate::service) async fn delete_whole(
    change: &mut Change,
    found: &IntegrationRecord,
) -> Result<(), ServiceError> {
    change.delete_integration_roles(found.id).await?;
    change.delete_integration(found.id).await?;
    if let Some(consumer_id) = found.consumer_id {
        change.delete_consumer(consumer_id).await?;
    }
    Ok(())
}

async fn check_name(change: &mut Change, name: &str) -> Result<(), ServiceError> {
    match change.integration_by_name(name).await? {
        Some(_) => Err(refused_about("The integration with name \"%1\" exists.", &name)),
        None => Ok(()),
    }
}

/// What was just written.
async fn written(change: &mut Change, id: u32) -> Result<IntegrationRecord, ServiceError> {
    let found = change.integration(id).await?;
    found.ok_or(ServiceError::Store(StoreError::Unfit { column: "integration.integration_id" }))
}
