//! Revocations that were made in a Magento's own database, which tells nobody of them: comparing what is cached with its rows.
//!
//! A round reads the rows behind every cached caller again, at the pace of `cache.poll_batch` and `cache.poll_queries`, and
//! the sums of the tables of roles and settings. So a revocation is seen within a time that grows with the callers in the
//! cache: the promise, which is a figure beside what was measured.

use std::time::Duration;

use super::store_watch::StoreWatch;
use crate::store::{
    StoreError,
    recheck::{Recheck, Round},
    sql::TablesMark,
};

/// A statement that takes longer has failed; the next one may find a connection that answers.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(3);

/// Goes round once. Small tables first: they say who may do what of all callers at once.
///
/// # Errors
/// Why nothing, or not everything, was seen, in words.
pub(super) async fn look(
    watch: &StoreWatch,
    recheck: &mut Recheck,
    seen: &mut TablesMark,
) -> Result<(), String> {
    compare(watch, recheck, seen).await.map_err(|error| error.to_string())
}

async fn compare(watch: &StoreWatch, recheck: &mut Recheck, seen: &mut TablesMark) -> Result<(), StoreError> {
    let late = |_| StoreError::Unavailable(sqlx::Error::PoolTimedOut);
    let tables = tokio::time::timeout(STATEMENT_TIMEOUT, watch.store.tables_mark()).await.map_err(late)??;
    if tables != *seen {
        *seen = tables;
        watch.tables_changed.notify_one();
    }
    let Round { compared: _, differing } = recheck.round(STATEMENT_TIMEOUT).await?;
    watch.metrics.changes_seen.inc_by(differing as u64);
    Ok(())
}
