//! The services of Magento's credentials for an operator at the shell, beside whatever gates are running.
//!
//! Built from the same configuration as a gate, on the same store. No listener is bound and no nonce journal is locked;
//! gates learn of what is done here from the store, within [`Operator::noticed_within`].

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use super::{
    app::App,
    configured, endpoints,
    error::BuildError,
    handshake,
    jobs::open_audit,
    opened::Opened,
    shared,
    wire::{self, Files},
};
use crate::{
    auth::acl::AclTree,
    clock::Clock,
    config::{self, Config},
    metrics::Metrics,
    service::{
        audit::Audit, configured::ConfiguredIntegrations, foundation::Foundation,
        integration::IntegrationService, operator_token::OperatorTokens, users::Users,
    },
    store::{
        invalidations::Board,
        sql::{ChangeMark, SqlStore},
    },
};

/// What an operator works with.
#[derive(Debug)]
pub struct Operator {
    /// Integrations, their consumers and tokens.
    pub integrations: IntegrationService,
    /// Admins and customers of a store of our own.
    pub users: Users,
    /// Tokens, without passwords.
    pub tokens: OperatorTokens,
    /// The resources that can be granted; empty where the configuration checks none.
    pub tree: Arc<AclTree>,
    /// The time.
    pub clock: Clock,
    /// The longest time after which running gates act on what was done.
    pub noticed_within: Duration,
    declared: config::Integrations,
    audit: Audit,
    pub(super) store: SqlStore,
    /// Where running replicas are told, if they can be.
    pub(super) board: Option<Board>,
    /// Up to where they were told; `None` where a Magento's own database notes no changes.
    pub(super) seen: Mutex<Option<ChangeMark>>,
}

impl App {
    /// Opens the store and readies the services. Passwords are hashed and look-ups made on the current runtime.
    ///
    /// # Errors
    /// As [`App::examine`].
    pub async fn operator(config: &Config) -> Result<Operator, BuildError> {
        let tree = Files::read(config)?.tree;
        let Opened { store, judge, .. } = Opened::open(config, &tree).await?;
        let (clock, metrics) = (Clock::system(), Arc::new(Metrics::new()));
        let audit = open_audit(config, &clock, &metrics)?;
        let board = shared::link(config, &metrics)?.map(Board::new);
        let seen = if store.is_magentos() { None } else { Some(store.change_mark().await?) };
        let foundation = Foundation {
            store: store.clone(),
            encryptor: judge.encryptor.clone(),
            tree: Arc::clone(&tree),
            audit: audit.clone(),
            clock: clock.clone(),
            memory: None,
        };
        let oauth = handshake::oauth_service(config, foundation);
        let facts = wire::facts(config, store.clone(), judge, &metrics.lookup)?;
        let desk = endpoints::desk(config, audit.clone(), &metrics, (&facts, &clock))?;
        Ok(Operator {
            integrations: IntegrationService::new(oauth),
            users: Users::new(desk.clone()),
            tokens: OperatorTokens::new(desk),
            tree,
            clock,
            noticed_within: noticed_within(config),
            declared: config.integrations.clone(),
            audit,
            store,
            board,
            seen: Mutex::new(seen),
        })
    }
}

impl Operator {
    /// The integrations that the configuration declares, ready to be applied.
    ///
    /// # Errors
    /// When their file cannot be read, or a declaration cannot be had.
    pub fn configured(&self) -> Result<ConfiguredIntegrations, BuildError> {
        configured::configured(&self.declared, &self.integrations)
    }

    /// Writes what the audit still holds, and closes the store.
    pub async fn close(self) {
        self.audit.close().await;
        self.store.close().await;
    }
}

/// What changes under a cached caller is seen at the next look; that somebody is let in, when a refusal is forgotten.
fn noticed_within(config: &Config) -> Duration {
    config.cache.poll.max(config.cache.negative_ttl)
}
