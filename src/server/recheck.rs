//! Revocations that were made in a Magento's own database, which tells nobody of them: comparing what is cached with its rows.
//!
//! Every `cache.poll` a round begins, unless the last one is still under way: it reads the rows behind every cached caller again, at
//! the pace of `cache.poll_batch` and `cache.poll_queries`, and the sums of the tables of roles and settings. So a
//! revocation is seen within a time that grows with the callers in the cache: the promise, which is a figure beside what was
//! measured. What it takes longer than `cache.max_stale` for is worth a warning.

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
    config,
    metrics::Metrics,
    store::{
        StoreError,
        facts::Facts,
        recheck::{Pace, Recheck, Round},
        sql::{SqlStore, TablesMark},
    },
};

/// A statement that takes longer has failed; the next one may find a connection that answers.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(3);

/// How often a warning is repeated.
const WARN_AGAIN: Duration = Duration::from_secs(60);

/// Compares cached callers with a Magento's rows.
#[derive(Debug, Clone)]
pub(super) struct RecheckWatch {
    store: SqlStore,
    facts: Facts,
    metrics: Arc<Metrics>,
    poll: Duration,
    pace: Pace,
    max_stale: Duration,
    tables_changed: Arc<Notify>,
    /// When the last round that came to its end began: whatever changed before has been seen.
    seen_until: Arc<Mutex<Instant>>,
}

impl RecheckWatch {
    /// A watch that begins with [`RecheckWatch::run`].
    pub(super) fn new(store: &SqlStore, facts: Facts, metrics: &Arc<Metrics>, cache: &config::Cache) -> Self {
        let queries = u32::try_from(cache.poll_queries).unwrap_or(u32::MAX);
        Self {
            store: store.clone(),
            facts,
            metrics: Arc::clone(metrics),
            poll: cache.poll,
            pace: Pace { batch: cache.poll_batch, queries },
            max_stale: cache.max_stale,
            tables_changed: Arc::default(),
            seen_until: Arc::new(Mutex::new(Instant::now())),
        }
    }

    /// Between two rounds.
    pub(super) const fn poll(&self) -> Duration {
        self.poll
    }

    /// Completes when the small tables should be read again.
    pub(super) async fn tables_changed(&self) {
        self.tables_changed.notified().await;
    }

    /// Brings the figures up to date before they are shown.
    pub(super) fn measure(&self) {
        self.metrics.change_age.set(self.lag().as_secs_f64());
        self.metrics.change_promise.set(self.promise().as_secs_f64());
    }

    /// Goes round every `poll` until `drain` turns true; `tables` are the sums of what was read.
    pub(super) async fn run(self, mut tables: TablesMark, mut drain: watch::Receiver<bool>) {
        let mut ticks = tokio::time::interval(self.poll);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut recheck = Recheck::new(self.facts.clone(), self.pace);
        let mut warned: Option<Instant> = None;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = ended(&mut drain) => return,
            }
            let began = Instant::now();
            let failure = tokio::select! {
                looked = self.look(&mut recheck, &mut tables) => looked.err(),
                () = ended(&mut drain) => return,
            };
            if warned.is_none_or(|at| at.elapsed() >= WARN_AGAIN) && self.warn(failure.as_ref()) {
                warned = Some(Instant::now());
            }
            if failure.is_none() {
                self.looked(began);
            }
        }
    }

    /// Small tables first: they say who may do what of all callers at once.
    async fn look(&self, recheck: &mut Recheck, seen: &mut TablesMark) -> Result<(), StoreError> {
        let late = |_| StoreError::Unavailable(sqlx::Error::PoolTimedOut);
        let tables =
            tokio::time::timeout(STATEMENT_TIMEOUT, self.store.tables_mark()).await.map_err(late)??;
        if tables != *seen {
            *seen = tables;
            self.tables_changed.notify_one();
        }
        let Round { compared: _, differing } = recheck.round(STATEMENT_TIMEOUT).await?;
        self.metrics.changes_seen.inc_by(differing as u64);
        Ok(())
    }

    /// Whether there was something to warn of.
    fn warn(&self, failure: Option<&StoreError>) -> bool {
        let (lag, promise) = (self.lag(), self.promise());
        let longest = self.max_stale.max(self.poll * 2);
        if promise.max(lag) <= longest {
            return false;
        }
        let error = failure.map_or_else(|| "late".to_owned(), ToString::to_string);
        let (lag_s, promise_s) = (lag.as_secs(), promise.as_secs());
        tracing::warn!(
            lag_s,
            promise_s,
            error,
            "revocations in Magento's database are seen late; raise cache.poll_queries or cache.poll_batch"
        );
        true
    }

    fn promise(&self) -> Duration {
        self.pace.promise(self.facts.cache().len().0, self.poll)
    }

    fn lag(&self) -> Duration {
        self.seen_until.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    fn looked(&self, began: Instant) {
        let mut seen_until = self.seen_until.lock().unwrap_or_else(PoisonError::into_inner);
        self.metrics.change_interval.set(began.duration_since(*seen_until).as_secs_f64());
        *seen_until = began;
    }
}
