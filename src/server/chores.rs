//! What goes on beside the requests: reading the small tables again, syncing the nonce journal.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::MissedTickBehavior};

use super::{
    limits::LimitKeeper, observe::Observers, proof::Proof, steadiness::ClockWatch, store_watch::StoreWatch,
};
use crate::{
    clock::Clock,
    config,
    jobs::{JobRunner, JobSchedule, SettingsNow},
    metrics::Metrics,
    proxy::engine::{Shared, tend},
    service::audit::Audit,
    store::{
        StoreError,
        nonces::Nonces,
        reference::ReferenceTables,
        settings::{MagentoSettings, Settings},
        sql::{Changed, SqlStore},
    },
};

/// How much a host's crash may forget of the nonce journal; the store's quarantine rule counts on it.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// What the chores work on.
#[derive(Debug, Clone)]
pub(super) struct Chores {
    pub(super) store: SqlStore,
    pub(super) rules: watch::Receiver<Arc<Shared>>,
    pub(super) jobs: config::Jobs,
    pub(super) audit: Audit,
    pub(super) nonces: Nonces,
    pub(super) metrics: Arc<Metrics>,
    pub(super) clock: Clock,
    pub(super) refresh_interval: Duration,
    pub(super) watch: StoreWatch,
    pub(super) proof: Proof,
    pub(super) clock_watch: ClockWatch,
    /// The rate limits, and how often replicas tell each other of them.
    pub(super) limits: (Arc<LimitKeeper>, Duration),
    pub(super) observers: Observers,
}

impl Chores {
    /// Starts the chores on the current runtime; they end when `drain` turns true.
    pub(super) fn start(&self, drain: &watch::Receiver<bool>) {
        tokio::spawn(self.clone().sync_nonces(drain.clone()));
        tokio::spawn(self.clock_watch.clone().run(drain.clone()));
        tokio::spawn(self.observers.clone().tell(drain.clone()));
        let (limits, every) = &self.limits;
        tokio::spawn(Arc::clone(limits).share(*every, drain.clone()));
        tokio::spawn(self.clone().work_on_store(drain.clone()));
        let mut ends = drain.clone();
        tokio::spawn(tend(self.rules.clone(), async move { ended(&mut ends).await }));
    }

    /// What needs the store begins when it is proven.
    async fn work_on_store(self, mut drain: watch::Receiver<bool>) {
        let Some(seen) = self.proof.clone().complete(&mut drain).await else { return };
        // Proving it read the tables.
        self.metrics.store_up.set(1);
        tokio::spawn(self.clone().refresh_tables(drain.clone()));
        tokio::spawn(self.watch.clone().run(seen, drain.clone()));
        tokio::spawn(run_jobs(self.job_runner(), drain));
    }

    /// Drops what another replica's change concerns, or reads the small tables again.
    pub(super) async fn obey(&self, change: Changed) {
        match change {
            Changed::Subject(subject) => self.rules.borrow().facts.cache().invalidate_here(subject),
            Changed::Tables => self.refresh_once().await,
        }
    }

    /// Asks for everybody and everything again.
    pub(super) async fn forget_everyone(&self) {
        self.rules.borrow().facts.cache().invalidate_everyone();
        self.refresh_once().await;
    }

    fn job_runner(&self) -> JobRunner {
        JobRunner {
            store: self.store.clone(),
            magento: self.magento(),
            settings: self.jobs.clone(),
            audit: self.audit.clone(),
            metrics: Arc::clone(&self.metrics),
            clock: self.clock.clone(),
            actor: "job".to_owned(),
        }
    }

    /// Magento's settings in force, whatever was reloaded.
    fn magento(&self) -> SettingsNow {
        let rules = self.rules.clone();
        SettingsNow::new(move || Settings::clone(&rules.borrow().facts.settings().current()))
    }

    async fn refresh_tables(self, mut drain: watch::Receiver<bool>) {
        let mut ticks = tokio::time::interval(self.refresh_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut rules = self.rules.clone();
        loop {
            tokio::select! {
                _ = ticks.tick() => self.refresh_once().await,
                // A change that was read into the tables before these is not read again.
                Ok(()) = rules.changed() => self.refresh_once().await,
                () = self.watch.tables_changed() => self.refresh_once().await,
                () = ended(&mut drain) => return,
            }
        }
    }

    /// Tables known so far stay in force while the store is away.
    async fn refresh_once(&self) {
        let was_up = self.metrics.store_up.get() == 1;
        match self.refresh().await {
            Ok(is_changed) => {
                self.metrics.store_up.set(1);
                if !was_up || is_changed {
                    tracing::info!(is_changed, "settings, stores, roles and rules read");
                }
            }
            Err(error) => {
                self.metrics.store_up.set(0);
                if was_up || self.rules.borrow().pipeline.reference.current().is_none() {
                    tracing::warn!(error = %error, "settings, stores, roles and rules cannot be read");
                }
            }
        }
    }

    /// What was judged by other settings is forgotten at once.
    async fn refresh(&self) -> Result<bool, StoreError> {
        let shared = Arc::clone(&self.rules.borrow());
        let facts = &shared.facts;
        // A Magento's tables are compared where they are written: a replica may not have heard of the change.
        let store = if self.store.is_magentos() { self.store.without_replica() } else { self.store.clone() };
        let changed = refresh_settings(&store, facts.settings()).await?;
        if changed {
            facts.cache().invalidate_everyone();
        }
        let settings = facts.settings().current().clone();
        Ok(shared.pipeline.reference.refresh(&store, &settings).await? || changed)
    }

    async fn sync_nonces(self, mut drain: watch::Receiver<bool>) {
        let mut ticks = tokio::time::interval(SYNC_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = ended(&mut drain) => return,
            }
            let now = self.clock.now();
            let store = match &self.nonces {
                Nonces::Own(store) => Arc::clone(store),
                Nonces::Shared(shared) => {
                    // While Redis is away every signature is refused, and the link has said so.
                    let _ = shared.watch(now).await;
                    continue;
                }
            };
            match tokio::task::spawn_blocking(move || store.sync(now)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(error = %error, "the nonce journal cannot be synced"),
                Err(error) => tracing::error!(error = %error, "the nonce journal's thread broke"),
            }
        }
    }
}

async fn run_jobs(runner: JobRunner, drain: watch::Receiver<bool>) {
    JobSchedule::new(runner).await.run(drain).await;
}

/// The first reading of everything that a decision needs.
pub(super) async fn read_tables(
    store: &SqlStore,
    settings: &MagentoSettings,
    reference: &ReferenceTables,
) -> Result<(), StoreError> {
    refresh_settings(store, settings).await?;
    let settings = settings.current().clone();
    reference.refresh(store, &settings).await?;
    Ok(())
}

/// Says once for each change what an operator should know of the store's settings.
async fn refresh_settings(store: &SqlStore, settings: &MagentoSettings) -> Result<bool, StoreError> {
    let Some(in_force) = settings.refresh(store).await? else { return Ok(false) };
    for warning in &in_force.warnings {
        tracing::warn!(warning, "a setting in the store is unusable");
    }
    Ok(true)
}

/// Completes when the gate drains. The guard that `wait_for` returns must not live across an await.
pub(super) async fn ended(drain: &mut watch::Receiver<bool>) {
    let _ = drain.wait_for(|is_draining| *is_draining).await;
}
