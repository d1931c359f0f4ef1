//! Revocations that were made elsewhere: looking at what changed in the store, and taking it out of the cache.
//!
//! What this process does to a credential it invalidates itself, at once. What another process or a shell does is seen at the
//! next look, every `cache.poll`. A look costs one query of one number while nothing changed, and callers that nothing
//! happened to keep their cached facts. A look that fails changes nothing: the next one begins at the same mark.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    sync::{Notify, watch},
    time::MissedTickBehavior,
};

use super::chores::ended;
use crate::{
    metrics::Metrics,
    store::{
        StoreError,
        cache::FactCache,
        facts::Facts,
        sql::{ChangeMark, Changed, Changes, SqlStore},
    },
};

/// A look that takes longer has failed; the next one may find a connection that answers.
const LOOK_TIMEOUT: Duration = Duration::from_secs(3);

/// A revocation that could be older than this and unseen is worth a warning.
const WARN_AFTER: Duration = Duration::from_secs(5);

/// How often the warning is repeated.
const WARN_AGAIN: Duration = Duration::from_secs(60);

/// Watches the store for changes that end cached grants.
#[derive(Debug, Clone)]
pub(super) struct ChangeWatch {
    store: SqlStore,
    facts: Facts,
    metrics: Arc<Metrics>,
    poll: Duration,
    /// Wakes whoever reads the small tables.
    tables_changed: Arc<Notify>,
    last_look: Arc<Mutex<Instant>>,
}

impl ChangeWatch {
    /// A watch that begins with [`ChangeWatch::run`].
    pub(super) fn new(store: &SqlStore, facts: Facts, metrics: &Arc<Metrics>, poll: Duration) -> Self {
        Self {
            store: store.clone(),
            facts,
            metrics: Arc::clone(metrics),
            poll,
            tables_changed: Arc::default(),
            last_look: Arc::new(Mutex::new(Instant::now())),
        }
    }

    /// Between two looks.
    pub(super) const fn poll(&self) -> Duration {
        self.poll
    }

    /// Completes when the small tables should be read again.
    pub(super) async fn tables_changed(&self) {
        self.tables_changed.notified().await;
    }

    /// Brings the age of the last look up to date before it is shown.
    pub(super) fn measure(&self) {
        self.metrics.change_age.set(self.age().as_secs_f64());
    }

    /// Looks every `poll` until `drain` turns true, at everything since a mark from before anything was cached.
    pub(super) async fn run(self, mut seen: ChangeMark, mut drain: watch::Receiver<bool>) {
        self.looked(self.age());
        let mut ticks = tokio::time::interval(self.poll);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut warned: Option<Instant> = None;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = ended(&mut drain) => return,
            }
            let failure = match tokio::time::timeout(LOOK_TIMEOUT, self.look(&mut seen)).await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_late) => Some("no answer in time".to_owned()),
            };
            let age = self.age();
            let is_due = warned.is_none_or(|at| at.elapsed() >= WARN_AGAIN);
            if age > WARN_AFTER.max(self.poll * 2) && is_due {
                let error = failure.as_deref().unwrap_or("late");
                tracing::warn!(age_s = age.as_secs(), error, "changes in the store are seen late");
                warned = Some(Instant::now());
            }
            if failure.is_none() {
                self.looked(age);
            }
        }
    }

    /// Takes everything that changed since the last look out of the cache.
    async fn look(&self, seen: &mut ChangeMark) -> Result<(), StoreError> {
        let cache = self.facts.cache();
        loop {
            let changes = self.store.changes_since(*seen).await?;
            // Before anybody is taken out of the cache, who would be refused until the store is asked again.
            self.facts.heard();
            match changes {
                Changes::None => return Ok(()),
                Changes::Rewound(mark) => {
                    tracing::warn!("the store went back in time; every cached caller is asked for again");
                    cache.invalidate_everyone();
                    self.tables_changed.notify_one();
                    *seen = mark;
                }
                Changes::Some(changes, mark) => {
                    for change in &changes {
                        apply(*change, cache, &self.tables_changed);
                    }
                    self.metrics.changes_seen.inc_by(changes.len() as u64);
                    *seen = mark;
                }
            }
        }
    }

    fn age(&self) -> Duration {
        self.last_look.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    fn looked(&self, interval: Duration) {
        *self.last_look.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.metrics.change_interval.set(interval.as_secs_f64());
    }
}

fn apply(change: Changed, cache: &FactCache, tables_changed: &Notify) {
    match change {
        Changed::Subject(subject) => cache.invalidate_here(subject),
        Changed::Tables => tables_changed.notify_one(),
    }
}
