//! Bringing the store to what is declared, integration by integration.
//!
//! Planning only looks. Applying announces each change to the audit, makes it in one transaction, and logs it.

use super::{
    ConfiguredError, Fate, Step, check,
    compare::{Seen, look},
};
use crate::{
    config::{Declaration, DeclaredResources},
    service::{
        Origin, ServiceError,
        audit::{Action, Record},
        authorization::{Grants, describe},
        foundation::{Foundation, cause, conclude, record},
        integration::{IntegrationService, NewIntegration, delete_whole},
    },
    store::{
        StoreError,
        records::{IntegrationRecord, IntegrationStatus, SetupType},
        sql::View,
    },
};

/// Who the audit says it was.
const ACTOR: &str = "config";

/// What is declared, found to be possible.
#[derive(Debug)]
pub struct ConfiguredIntegrations {
    service: IntegrationService,
    wanted: Vec<NewIntegration>,
}

impl ConfiguredIntegrations {
    /// Takes declarations, of all sources together.
    ///
    /// # Errors
    /// [`ConfiguredError::Unfit`], as [`check()`] has it.
    pub fn new(service: IntegrationService, declared: &[Declaration]) -> Result<Self, ConfiguredError> {
        check(declared, &service.foundation().tree, service.oauth().callback.rules())?;
        Ok(Self { wanted: declared.iter().map(wanted).collect(), service })
    }

    /// Says what [`ConfiguredIntegrations::apply`] would do.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn plan(&self, deletes_undeclared: bool) -> Result<Vec<Step>, ConfiguredError> {
        let mut view = self.foundation().store.view().await?;
        let mut steps = Vec::new();
        for wanted in &self.wanted {
            let seen = look(&mut view, &self.foundation().tree, wanted).await;
            steps.push(Step { name: wanted.name.clone(), fate: failed(&wanted.name, seen)?.fate });
        }
        let fate = if deletes_undeclared { Fate::Deleted } else { Fate::Undeclared };
        let undeclared = self.undeclared(&mut view).await?.into_iter();
        steps.extend(undeclared.map(|found| Step { name: found.name, fate: fate.clone() }));
        Ok(steps)
    }

    /// Brings the store to what is declared, logs each change, and warns about what a person has to see to.
    ///
    /// # Errors
    /// The first change that could not be made; those before it are.
    pub async fn apply(&self, deletes_undeclared: bool) -> Result<Vec<Step>, ConfiguredError> {
        let mut steps = Vec::new();
        for wanted in &self.wanted {
            let fate = failed(&wanted.name, self.settle(wanted).await)?;
            steps.push(Step { name: wanted.name.clone(), fate });
        }
        let undeclared = self.undeclared(&mut self.foundation().store.view().await?).await?;
        for found in undeclared {
            let mut fate = Fate::Undeclared;
            if deletes_undeclared {
                failed(&found.name, self.delete(&found).await)?;
                fate = Fate::Deleted;
            }
            steps.push(Step { name: found.name, fate });
        }
        steps.iter().for_each(log);
        self.warn_of_recreated().await?;
        Ok(steps)
    }

    fn foundation(&self) -> &Foundation {
        self.service.foundation()
    }

    async fn settle(&self, wanted: &NewIntegration) -> Result<Fate, ServiceError> {
        let foundation = self.foundation();
        let seen = look(&mut foundation.store.view().await?, &foundation.tree, wanted).await?;
        if seen.fate == Fate::Unchanged {
            return Ok(seen.fate);
        }
        let mut intent = foundation.announce(announcement(wanted, &seen)).await?;
        match self.make(wanted).await {
            Ok(Some((seen, made))) => {
                let record = intent.record_mut();
                (record.user_id, record.consumer_id) = (Some(made.id), made.consumer_id);
                intent.committed().await;
                foundation.forget(seen.found.and_then(|old| old.consumer_id)).await;
                Ok(seen.fate)
            }
            Ok(None) => {
                intent.failed("done_elsewhere").await;
                Ok(Fate::Unchanged)
            }
            Err(error) => {
                intent.failed(cause(&error)).await;
                self.done_elsewhere(wanted, error).await
            }
        }
    }

    /// Where somebody else took the name meanwhile, and made of it what is declared, nothing is wrong.
    async fn done_elsewhere(
        &self,
        wanted: &NewIntegration,
        error: ServiceError,
    ) -> Result<Fate, ServiceError> {
        if matches!(error, ServiceError::Store(StoreError::Conflict(_))) {
            let foundation = self.foundation();
            let seen = look(&mut foundation.store.view().await?, &foundation.tree, wanted).await?;
            if seen.fate == Fate::Unchanged {
                return Ok(seen.fate);
            }
        }
        Err(error)
    }

    /// One transaction; `None` if there was nothing left to do in it.
    async fn make(&self, wanted: &NewIntegration) -> Result<Option<(Seen, IntegrationRecord)>, ServiceError> {
        let foundation = self.foundation();
        let mut change = foundation.store.change().await?;
        let seen = look(&mut change, &foundation.tree, wanted).await?;
        if seen.fate == Fate::Unchanged {
            return Ok(None);
        }
        if let Some(old) = &seen.found {
            delete_whole(&mut change, old).await?;
        }
        let made = self.service.insert_into(&mut change, wanted).await?;
        if let (Some(_), Some(consumer_id)) = (&seen.found, made.consumer_id) {
            let now = foundation.now();
            change.set_status_by_consumer(consumer_id, IntegrationStatus::Recreated, now).await?;
        }
        change.commit().await?;
        Ok(Some((seen, made)))
    }

    /// What a configuration made and none declares.
    async fn undeclared(&self, view: &mut View) -> Result<Vec<IntegrationRecord>, StoreError> {
        let is_declared = |found: &IntegrationRecord| {
            self.wanted.iter().any(|wanted| wanted.name.eq_ignore_ascii_case(&found.name))
        };
        let mut found = view.integrations().await?;
        found.retain(|found| found.setup_type == SetupType::Config && !is_declared(found));
        Ok(found)
    }

    async fn delete(&self, found: &IntegrationRecord) -> Result<(), ServiceError> {
        let foundation = self.foundation();
        let ids = (Some(found.id), found.consumer_id);
        let mut announced = record(Action::IntegrationDeleted, &Origin::local(ACTOR), ids);
        announced.name = Some(found.name.clone());
        announced.detail = Some("declared no more".to_owned());
        let intent = foundation.announce(announced).await?;
        let outcome = async {
            let mut change = foundation.store.change().await?;
            delete_whole(&mut change, found).await?;
            Ok(change.commit().await?)
        };
        let outcome = outcome.await;
        if outcome.is_ok() {
            foundation.forget(found.consumer_id).await;
        }
        conclude(intent, outcome).await
    }

    /// What Magento tells admins on every page (`RecreatedIntegration`).
    async fn warn_of_recreated(&self) -> Result<(), ConfiguredError> {
        let mut view = self.foundation().store.view().await?;
        let mut waiting = Vec::new();
        for wanted in &self.wanted {
            let found = view.integration_by_name(&wanted.name).await?;
            waiting.extend(found.filter(|found| found.status == IntegrationStatus::Recreated));
        }
        if !waiting.is_empty() {
            let names: Vec<_> = waiting.iter().map(|found| found.name.as_str()).collect();
            tracing::warn!(
                integration.names = ?names,
                "integrations were reset because their configuration changed, and wait to be activated"
            );
        }
        Ok(())
    }
}

fn wanted(declared: &Declaration) -> NewIntegration {
    let Declaration { name, email, endpoint, identity_link_url, resources } = declared.clone();
    let grants = match resources {
        DeclaredResources::All => Grants::All,
        DeclaredResources::Only(resources) => Grants::Resources(resources),
    };
    NewIntegration { name, email, endpoint, identity_link_url, setup_type: SetupType::Config, grants }
}

/// The ids are the old ones until the new ones are known.
fn announcement(wanted: &NewIntegration, seen: &Seen) -> Record {
    let origin = Origin::local(ACTOR);
    let resources = describe(&wanted.grants);
    let mut announced = match (&seen.found, &seen.fate) {
        (Some(old), Fate::Recreated(differing)) => {
            let mut announced = record(Action::IntegrationChanged, &origin, (Some(old.id), old.consumer_id));
            let differing = differing.join(", ");
            announced.detail =
                Some(format!("integration {} recreated, different: {differing}; {resources}", old.id));
            announced
        }
        _ => {
            let mut announced = record(Action::IntegrationCreated, &origin, (None, None));
            announced.detail = Some(resources);
            announced
        }
    };
    announced.name = Some(wanted.name.clone());
    announced
}

fn log(step: &Step) {
    let name = &step.name;
    match &step.fate {
        Fate::Unchanged => {}
        Fate::Created => tracing::info!(integration.name = %name, "declared integration made"),
        Fate::Recreated(differing) => {
            let differing = differing.join(", ");
            tracing::info!(integration.name = %name, differing, "declared integration recreated");
        }
        Fate::Undeclared => tracing::warn!(
            integration.name = %name,
            "this integration was made by a configuration and is declared in none; it stays as it is"
        ),
        Fate::Deleted => tracing::info!(integration.name = %name, "undeclared integration deleted"),
    }
}

fn failed<T>(name: &str, outcome: Result<T, ServiceError>) -> Result<T, ConfiguredError> {
    outcome.map_err(|source| ConfiguredError::Failed { name: name.to_owned(), source })
}
