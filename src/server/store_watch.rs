//! Hearing of changes that others made in the store: a schema of our own writes them down, a Magento's does not.
//!
//! Every `cache.poll` a look begins, unless the last one is still under way. Where from, and so which way, the first reading
//! of the store decides ([`Seen`]). Whatever changed before the last look that came to its end began has been seen; how
//! long ago that is, is a figure, and worth a warning where it is too long.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    sync::{Notify, watch},
    time::MissedTickBehavior,
};

use super::{
    chores::ended,
    recheck,
    watch::{self as feed, WARN_AFTER},
};
use crate::{
    clock::Seldom,
    config,
    metrics::Metrics,
    store::{
        StoreError,
        facts::Facts,
        recheck::{Pace, Recheck},
        sql::{ChangeMark, SqlStore, TablesMark},
    },
};

/// How often a warning is repeated.
const WARN_AGAIN: Duration = Duration::from_secs(60);

/// Hears of changes that end cached grants; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct StoreWatch {
    pub(super) store: SqlStore,
    pub(super) facts: Facts,
    pub(super) metrics: Arc<Metrics>,
    /// Wakes whoever reads the small tables.
    pub(super) tables_changed: Arc<Notify>,
    poll: Duration,
    pace: Pace,
    /// What is seen later than this is worth a warning.
    longest: Duration,
    seen_until: Arc<Mutex<Instant>>,
}

/// From where on a watch has to look.
#[derive(Debug, Clone)]
pub(super) enum Seen {
    /// This place in the feed.
    Feed(ChangeMark),
    /// Small tables with these sums.
    Tables(TablesMark),
}

/// How a watch looks, and how far it is.
#[derive(Debug)]
enum Look {
    Feed(ChangeMark),
    Rows(Box<Recheck>, TablesMark),
}

impl Seen {
    /// From now on; note it before anything is cached.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(super) async fn now(store: &SqlStore) -> Result<Self, StoreError> {
        if store.is_magentos() {
            return store.tables_mark().await.map(Self::Tables);
        }
        store.change_mark().await.map(Self::Feed)
    }
}

impl StoreWatch {
    /// A watch that begins with [`StoreWatch::run`].
    pub(super) fn new(store: &SqlStore, facts: Facts, metrics: &Arc<Metrics>, cache: &config::Cache) -> Self {
        let queries = u32::try_from(cache.poll_queries).unwrap_or(u32::MAX);
        let longest = if store.is_magentos() { cache.max_stale } else { WARN_AFTER };
        Self {
            store: store.clone(),
            facts,
            metrics: Arc::clone(metrics),
            tables_changed: Arc::default(),
            poll: cache.poll,
            pace: Pace { batch: cache.poll_batch, queries },
            longest: longest.max(cache.poll * 2),
            seen_until: Arc::new(Mutex::new(Instant::now())),
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

    /// Brings the figures up to date before they are shown.
    pub(super) fn measure(&self) {
        self.metrics.change_age.set(self.age().as_secs_f64());
        if let Some(promise) = self.promise() {
            self.metrics.change_promise.set(promise.as_secs_f64());
        }
    }

    /// Looks every `poll` until `drain` turns true.
    pub(super) async fn run(self, seen: Seen, mut drain: watch::Receiver<bool>) {
        // Nothing was cached before.
        self.looked(Instant::now());
        let mut look = match seen {
            Seen::Feed(mark) => Look::Feed(mark),
            Seen::Tables(mark) => Look::Rows(Box::new(Recheck::new(self.facts.clone(), self.pace)), mark),
        };
        let mut ticks = tokio::time::interval(self.poll);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let warned = Seldom::every(WARN_AGAIN);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = ended(&mut drain) => return,
            }
            let began = Instant::now();
            let looked = tokio::select! {
                looked = self.look(&mut look) => looked,
                () = ended(&mut drain) => return,
            };
            if self.is_late() && warned.is_due() {
                self.warn(looked.as_ref().err());
            }
            if looked.is_ok() {
                self.looked(began);
            }
        }
    }

    async fn look(&self, look: &mut Look) -> Result<(), String> {
        match look {
            Look::Feed(mark) => feed::look(self, mark).await,
            Look::Rows(recheck, tables) => recheck::look(self, recheck, tables).await,
        }
    }

    fn is_late(&self) -> bool {
        self.age().max(self.promise().unwrap_or_default()) > self.longest
    }

    fn warn(&self, failure: Option<&String>) {
        let (age_s, error) = (self.age().as_secs(), failure.map_or("late", String::as_str));
        match self.promise().map(|promise| promise.as_secs()) {
            None => tracing::warn!(age_s, error, "changes in the store are seen late"),
            Some(promise_s) => tracing::warn!(
                lag_s = age_s,
                promise_s,
                error,
                "revocations in Magento's database are seen late; raise cache.poll_queries or cache.poll_batch"
            ),
        }
    }

    /// How long comparing takes at most; nothing is compared in a store of our own.
    fn promise(&self) -> Option<Duration> {
        let callers = || self.facts.cache().len().0;
        self.store.is_magentos().then(|| self.pace.promise(callers(), self.poll))
    }

    fn age(&self) -> Duration {
        self.seen_until.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    fn looked(&self, began: Instant) {
        let mut seen_until = self.seen_until.lock().unwrap_or_else(PoisonError::into_inner);
        self.metrics.change_interval.set(began.duration_since(*seen_until).as_secs_f64());
        *seen_until = began;
    }
}
