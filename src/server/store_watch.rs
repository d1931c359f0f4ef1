//! Which way changes in the store are heard of: a schema of our own writes them down, a Magento's does not.

use std::sync::Arc;

use tokio::sync::watch;

use super::{recheck::RecheckWatch, watch::ChangeWatch};
use crate::{
    config,
    metrics::Metrics,
    store::{StoreError, facts::Facts, sql::SqlStore},
};

/// Hears of changes that end cached grants.
#[derive(Debug, Clone)]
pub(super) enum StoreWatch {
    /// From the feed that our schema keeps.
    Feed(ChangeWatch),
    /// By comparing.
    Recheck(Box<RecheckWatch>),
}

impl StoreWatch {
    /// A watch from now on; begin before anything is cached.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(super) async fn begin(
        store: &SqlStore,
        facts: Facts,
        metrics: &Arc<Metrics>,
        cache: &config::Cache,
    ) -> Result<Self, StoreError> {
        if store.is_magentos() {
            let watch = RecheckWatch::begin(store, facts, metrics, cache).await?;
            return Ok(Self::Recheck(Box::new(watch)));
        }
        ChangeWatch::begin(store, facts, metrics, cache.poll).await.map(Self::Feed)
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
    pub(super) async fn run(self, drain: watch::Receiver<bool>) {
        match self {
            Self::Feed(watch) => watch.run(drain).await,
            Self::Recheck(watch) => watch.run(drain).await,
        }
    }
}
