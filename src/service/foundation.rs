//! What the services of integrations share: the store, the keys, the tree, the audit, the time, and what must forget.
//!
//! A change goes through three hands here: it is announced to the audit, made, and told to have ended. After it was made,
//! this process's own memory of whom it concerns is dropped at once; other processes learn of it within their cache's
//! lifetime.

use std::sync::Arc;

use super::{
    Origin, ServiceError,
    audit::{Action, Audit, Intent, Record},
    random,
};
use crate::{
    auth::{
        acl::AclTree,
        encryptor::Encryptor,
        identity::UserType,
        rejection::{Message, Parameters},
        secret::Secret,
        time::UnixTime,
    },
    clock::Clock,
    store::{Subject, facts::Facts, reference::ReferenceTables, sql::SqlStore},
};

/// What the services of integrations stand on.
#[derive(Debug)]
pub struct Foundation {
    /// Where integrations are kept.
    pub store: SqlStore,
    /// Encrypts secrets as Magento does.
    pub encryptor: Encryptor,
    /// The resources that can be granted.
    pub tree: Arc<AclTree>,
    /// Who is told.
    pub audit: Audit,
    /// The time.
    pub clock: Clock,
    /// What this process remembers; `None` where it decides about no requests.
    pub memory: Option<Memory>,
}

/// What a process that decides about requests remembers of integrations.
#[derive(Debug)]
pub struct Memory {
    /// Proven callers.
    pub facts: Facts,
    /// Roles and rules.
    pub reference: Arc<ReferenceTables>,
}

impl Foundation {
    /// The same foundation of a process that has nobody to forget.
    pub(super) fn without_memory(&self) -> Self {
        Self {
            store: self.store.clone(),
            encryptor: self.encryptor.clone(),
            tree: Arc::clone(&self.tree),
            audit: self.audit.clone(),
            clock: self.clock.clone(),
            memory: None,
        }
    }

    pub(super) fn now(&self) -> UnixTime {
        self.clock.now()
    }

    /// Encrypts a secret as `oauth_consumer.secret` and `oauth_token.secret` hold it.
    pub(super) fn encrypt(&self, secret: &Secret<String>) -> Result<Secret<String>, ServiceError> {
        Ok(Secret::new(self.encryptor.encrypt(secret.expose(), random::bytes()?)))
    }

    /// Decrypts a stored secret; one that does not open, or is empty, is none (`MAGENTO_AUTH` 9.1).
    pub(super) fn decrypt(&self, stored: &Secret<String>) -> Option<Secret<String>> {
        self.encryptor.decrypt(stored.expose()).ok().filter(|secret| !secret.expose().is_empty())
    }

    /// Announces a change.
    pub(super) async fn announce(&self, record: Record) -> Result<Intent, ServiceError> {
        Ok(self.audit.intend(record).await?)
    }

    /// Drops what is remembered of a consumer and of the roles.
    pub(super) async fn forget(&self, consumer_id: Option<u32>) {
        let Some(Memory { facts, reference }) = &self.memory else { return };
        if let Some(consumer_id) = consumer_id {
            facts.cache().invalidate(Subject::Consumer(consumer_id));
        }
        let settings = facts.settings().current().clone();
        if let Err(error) = reference.refresh(&self.store, &settings).await {
            tracing::warn!(%error, "roles cannot be read again after a change; they will be within seconds");
        }
    }

    /// Drops what is remembered of a consumer; its role stayed as it is.
    pub(super) fn forget_consumer(&self, consumer_id: u32) {
        if let Some(memory) = &self.memory {
            memory.facts.cache().invalidate(Subject::Consumer(consumer_id));
        }
    }
}

/// Tells how an announced change ended.
pub(super) async fn conclude<T>(intent: Intent, outcome: Result<T, ServiceError>) -> Result<T, ServiceError> {
    match &outcome {
        Ok(_) => intent.committed().await,
        Err(error) => intent.failed(cause(error)).await,
    }
    outcome
}

/// The beginning of a record about an integration.
pub(super) fn record(
    action: Action,
    origin: &Origin,
    (id, consumer_id): (Option<u32>, Option<u32>),
) -> Record {
    Record { user_type: Some(UserType::Integration), user_id: id, consumer_id, ..origin.record(action) }
}

/// The word by which the audit knows a refusal.
pub(super) const fn cause(error: &ServiceError) -> &'static str {
    match error {
        ServiceError::Input(_) => "input",
        ServiceError::Authentication(_) => "authentication",
        ServiceError::Refused(_) => "refused",
        ServiceError::Busy { .. } => "busy",
        ServiceError::Misconfigured(_) => "misconfigured",
        ServiceError::Audit(_) => "audit_unavailable",
        ServiceError::Store(_) => "store_unavailable",
    }
}

/// A refusal without parameters.
pub(super) const fn refused(text: &'static str) -> ServiceError {
    ServiceError::Refused(Message::plain(text))
}

/// A refusal about one thing.
pub(super) fn refused_about(text: &'static str, thing: &impl ToString) -> ServiceError {
    ServiceError::Refused(about(text, thing))
}

/// A message about one thing.
pub(super) fn about(text: &'static str, thing: &impl ToString) -> Message {
    Message { text, errors: Vec::new(), parameters: Parameters::Positional(thing.to_string()) }
}
