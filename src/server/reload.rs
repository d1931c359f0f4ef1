//! Taking up a changed configuration while requests are served.
//!
//! Everything that can go wrong is done first, beside what is in force; then one value is exchanged, and each request is
//! served wholly by the old rules or wholly by the new ones. Tables, routes and roles are numbered by the tree that they
//! were read with, so they change together or not at all.

use std::sync::Arc;

use tokio::sync::{Mutex, Semaphore, watch};

use super::{
    chores,
    endpoints::{self, Desks},
    error::{BuildError, ReloadError},
    handshake,
    limits::LimitKeeper,
    observe::Observers,
    tls::TlsHome,
    upstream,
    wire::{self, Files},
};
use crate::{
    clock::Clock,
    config::{self, Config},
    logging,
    metrics::{Metrics, ReloadLabel},
    proxy::{
        access_log::AccessLog,
        address_limit::AddressLimit,
        engine::{Fleet, FormBudget, Shared},
        replays::ReplayWatch,
        reserved::HeaderNames,
    },
    service::{audit::Audit, integration::IntegrationService},
    store::{facts::Facts, nonces::Nonces, reference::ReferenceTables},
};

/// What a reload leaves as it is.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) nonces: Nonces,
    pub(super) forms: Arc<FormBudget>,
    pub(super) own_bodies: Arc<FormBudget>,
    pub(super) connections: Arc<Semaphore>,
    pub(super) clock: Clock,
    pub(super) metrics: Arc<Metrics>,
    pub(super) access_log: AccessLog,
    pub(super) replays: Arc<ReplayWatch>,
    /// How often each address signed in: counted on over a reload.
    pub(super) sign_ins: Option<Arc<AddressLimit>>,
    /// How often everybody asked: counted on over a reload, too.
    pub(super) limits: Arc<LimitKeeper>,
    pub(super) audit: Audit,
    pub(super) tls: TlsHome,
    pub(super) observers: Observers,
}

impl Kept {
    /// Who answers the gate's own endpoints under this configuration.
    pub(super) fn desks(&self, config: &Config, facts: &Facts) -> Result<Desks, BuildError> {
        Desks::open(config, self.audit.clone(), (facts, &self.metrics, &self.clock))
    }

    /// What changes integrations under this configuration, and what requests are served by.
    fn serve(
        &self,
        config: &Config,
        (files, names): (Files, HeaderNames),
        (facts, reference, desks): (Facts, Arc<ReferenceTables>, &Desks),
        upstream: Arc<Fleet>,
    ) -> (IntegrationService, Shared) {
        let Files { tree, routes } = files;
        let Self { nonces, clock, audit, .. } = self;
        let running = handshake::Running { facts: &facts, reference: &reference, tree: &tree, clock };
        let integrations = handshake::running_service(config, audit.clone(), &running);
        let handshake = handshake::endpoints(config, &integrations, nonces);
        let limit = endpoints::limit(config, self.sign_ins.as_ref(), self.limits.rules(config));
        let nonces = nonces.clone();
        let endpoints = desks.endpoints(&reference, handshake);
        let shared = Shared {
            settings: wire::workers(config, &names, self.tls.proxy()),
            upstream,
            pipeline: wire::pipeline(config, (routes, names, limit), &facts, (reference, nonces)),
            endpoints,
            facts,
            forward: wire::forward(config),
            forms: Arc::clone(&self.forms),
            own_bodies: Arc::clone(&self.own_bodies),
            connections: Arc::clone(&self.connections),
            clock: self.clock.clone(),
            metrics: Arc::clone(&self.metrics),
            access_log: self.access_log.clone(),
            observation: self.observers.observation(config),
            replays: Arc::clone(&self.replays),
        };
        (integrations, shared)
    }
}

/// Exchanges what requests are served by; cheap to clone.
#[derive(Debug, Clone)]
pub struct Reloader(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    kept: Kept,
    rules: watch::Sender<Arc<Shared>>,
    /// What is in force; held while something else is being taken up.
    running: Mutex<Running>,
}

#[derive(Debug)]
struct Running {
    config: Config,
    desks: Desks,
    integrations: IntegrationService,
}

impl Reloader {
    /// What serves first.
    pub(super) fn new(
        config: Config,
        kept: Kept,
        read: (Files, HeaderNames),
        (facts, reference, desks): (Facts, Arc<ReferenceTables>, Desks),
        upstream: Arc<Fleet>,
    ) -> Self {
        kept.metrics.reload_ok.set(1);
        kept.metrics.reloaded_at.set(kept.clock.now().seconds());
        let (integrations, shared) = kept.serve(&config, read, (facts, reference, &desks), upstream);
        let (rules, _) = watch::channel(Arc::new(shared));
        let running = Mutex::new(Running { config, desks, integrations });
        Self(Arc::new(Inner { kept, rules, running }))
    }

    /// What requests are served by, now and after each reload.
    pub(super) fn rules(&self) -> watch::Receiver<Arc<Shared>> {
        self.0.rules.subscribe()
    }

    /// The configuration in force.
    pub(super) async fn running(&self) -> Config {
        self.0.running.lock().await.config.clone()
    }

    /// What changes integrations in the store, so that this gate knows of it at once.
    pub(super) async fn integrations(&self) -> IntegrationService {
        self.0.running.lock().await.integrations.clone()
    }

    /// What changes integrations for a gate that remembers nobody yet.
    pub(super) async fn unremembering_integrations(&self) -> IntegrationService {
        self.0.running.lock().await.integrations.without_memory()
    }

    /// Takes up what was loaded, with its rules and secrets read anew, and tells log and figures. What was in force stays so
    /// until everything is ready, and where anything is wrong.
    ///
    /// # Errors
    /// [`ReloadError`]: the configuration cannot be used, or changes a setting that needs a restart.
    pub async fn take_up(&self, loaded: Result<Config, config::ConfigErrors>) -> Result<(), ReloadError> {
        let outcome = self.try_take_up(loaded).await;
        let Kept { metrics, clock, .. } = &self.0.kept;
        let result = if outcome.is_ok() { "taken_up" } else { "refused" };
        metrics.reloads.get_or_create(&ReloadLabel { result }).inc();
        metrics.reload_ok.set(i64::from(outcome.is_ok()));
        match &outcome {
            Ok(changed) => {
                metrics.reloaded_at.set(clock.now().seconds());
                tracing::info!(changed = changed.join(", "), "configuration taken up");
            }
            Err(error) => {
                tracing::error!(error = %error, "configuration refused; the last good one stays in force");
            }
        }
        outcome.map(drop)
    }

    async fn try_take_up(
        &self,
        loaded: Result<Config, config::ConfigErrors>,
    ) -> Result<Vec<&'static str>, ReloadError> {
        let config = loaded?;
        let mut running = self.0.running.lock().await;
        let changed = running.config.changes(&config);
        let bound: Vec<_> = changed.iter().copied().filter(|key| !config::is_live(key)).collect();
        if !bound.is_empty() {
            return Err(ReloadError::NeedsRestart(bound));
        }
        let files = Files::read(&config)?;
        let names = HeaderNames::with_prefix(&config.headers.prefix).map_err(BuildError::from)?;
        let tls = self.0.kept.tls.next(&config, self.0.kept.clock.now()).map_err(BuildError::from)?;
        let settings = upstream::settings(&config)?;
        let judges_otherwise = judges_otherwise(&changed);
        let (facts, reference) = self.sources(&config, &files, judges_otherwise).await?;
        let desks = judges_otherwise.then(|| self.0.kept.desks(&config, &facts)).transpose()?;
        let desks = desks.unwrap_or_else(|| running.desks.clone());
        self.0.kept.tls.take_up(tls);
        let current = Arc::clone(&self.0.rules.borrow().upstream);
        let upstream = Fleet::next(settings, &self.0.kept.metrics.upstream, Some(&current));
        let judged = (facts, reference, &desks);
        let (integrations, shared) = self.0.kept.serve(&config, (files, names), judged, upstream);
        self.0.rules.send_replace(Arc::new(shared));
        take_up_level(&changed, &config);
        *running = Running { config, desks, integrations };
        Ok(changed)
    }

    /// Facts and tables under this configuration. Where credentials are judged as before, what is cached stays and the store
    /// is not asked, so that routes can be changed in an outage.
    async fn sources(
        &self,
        config: &Config,
        files: &Files,
        judges_otherwise: bool,
    ) -> Result<(Facts, Arc<ReferenceTables>), BuildError> {
        let current = Arc::clone(&self.0.rules.borrow());
        let settings = wire::reference(config, &files.tree);
        if !judges_otherwise {
            return Ok((current.facts.clone(), Arc::new(current.pipeline.reference.rebuilt(settings))));
        }
        if !current.facts.is_trusted() {
            return Err(BuildError::StoreUnproven);
        }
        let judge = wire::judge(config, &wire::settings(config))?;
        wire::check_key(current.facts.store(), &judge.encryptor).await?;
        let facts = current.facts.judged_anew(judge);
        let reference = ReferenceTables::new(settings);
        chores::read_tables(facts.store(), facts.settings(), &reference).await?;
        Ok((facts, Arc::new(reference)))
    }
}

/// Filters the log as the configuration says, where that changed. The configuration has seen that it is a filter.
fn take_up_level(changed: &[&str], config: &Config) {
    if !changed.contains(&"log.level") {
        return;
    }
    if let Err(error) = logging::refilter(&config.log.level) {
        tracing::error!(error = %error, "log.level cannot be taken up");
    }
}

/// Whether a change bears on what a credential is worth, and not only on what its owner may do.
fn judges_otherwise(changed: &[&str]) -> bool {
    changed.iter().any(|key| key.starts_with("magento.") || *key == "sessions.lifetime")
}
