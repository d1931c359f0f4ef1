//! Which way changes in the store are heard of: a schema of our own writes them down, a Magento's does not.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use super::{recheck::RecheckWatch, watch::ChangeWatch};
use crate::{
    config,
    metrics::Metrics,
    store::{
        StoreError,
        facts::Facts,
        sql::{ChangeMark, SqlStore, TablesMark},
    },
};

/// Hears of changes that end cached grants.
#[derive(Debug, Clone)]
pub(super) enum StoreWatch {
    /// From the feed that our schema keeps.
    Feed(ChangeWatch),
    /// By comparing.
    Recheck(Box<RecheckWatch>),
}

/// From where on a watch has to look.
#[derive(Debug, Clone)]
pub(super) enum Seen {
    /// This place in the feed.
    Feed(ChangeMark),
    /// Small tables with these sums.
    Tables(TablesMark),
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
        if store.is_magentos() {
            return Self::Recheck(Box::new(RecheckWatch::new(store, facts, metrics, cache)));
        }
        Self::Feed(ChangeWatch::new(store, facts, metrics, cache.poll))
    }

    /// Between two looks.
    pub(super) fn poll(&self) -> Duration {
        match self {
            Self::Feed(watch) => watch.poll(),
            Self::Recheck(watch) => watch.poll(),
        }
    }

    /// Completes when the small tables should be read again.
    pub(super) async fn tables_changed(&self) {
        match self {
            Self::Feed(watch) => watch.tables_changed().await,
            Self::Recheck(watch) => watch.tables_changed().await,
        }
    }

    /// Brings the figures up to date before they are shown.
    pub(super) fn measure(&self) {
        match self {
            Self::Feed(watch) => watch.measure(),
            Self::Recheck(watch) => watch.measure(),
        }
    }

    /// Watches until `drain` turns true.
    pub(super) async fn run(self, seen: Seen, drain: watch::Receiver<bool>) {
        match (self, seen) {
            (Self::Feed(watch), Seen::Feed(mark)) => watch.run(mark, drain).await,
            (Self::Recheck(watch), Seen::Tables(mark)) => watch.run(mark, drain).await,
            // Both were made for one store.
            (Self::Feed(_), Seen::Tables(_)) | (Self::Recheck(_), Seen::Feed(_)) => {}
        }
    }
}
