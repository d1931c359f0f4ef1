//! Revocations that were made elsewhere, as our own schema writes them down: looking at what changed, and taking it out of
//! the cache.
//!
//! What this process does to a credential it invalidates itself, at once. What another process or a shell does is seen at the
//! next look. A look costs one query of one number while nothing changed, and callers that nothing happened to keep their
//! cached facts. A look that fails changes nothing: the next one begins at the same mark.

use std::time::Duration;

use tokio::sync::Notify;

use super::store_watch::StoreWatch;
use crate::store::{
    StoreError,
    cache::FactCache,
    sql::{ChangeMark, Changed, Changes},
};

/// A look that takes longer has failed; the next one may find a connection that answers.
const LOOK_TIMEOUT: Duration = Duration::from_secs(3);

/// A revocation that could be older than this and unseen is worth a warning.
pub(super) const WARN_AFTER: Duration = Duration::from_secs(5);

/// Takes everything that changed since a mark from before anything was cached out of the cache, and moves the mark.
///
/// # Errors
/// Why nothing was seen, in words.
pub(super) async fn look(watch: &StoreWatch, seen: &mut ChangeMark) -> Result<(), String> {
    match tokio::time::timeout(LOOK_TIMEOUT, follow(watch, seen)).await {
        Ok(followed) => followed.map_err(|error| error.to_string()),
        Err(_late) => Err("no answer in time".to_owned()),
    }
}

async fn follow(watch: &StoreWatch, seen: &mut ChangeMark) -> Result<(), StoreError> {
    let cache = watch.facts.cache();
    loop {
        let changes = watch.store.changes_since(*seen).await?;
        // Before anybody is taken out of the cache, who would be refused until the store is asked again.
        watch.facts.heard();
        match changes {
            Changes::None => return Ok(()),
            Changes::Rewound(mark) => {
                tracing::warn!("the store went back in time; every cached caller is asked for again");
                cache.invalidate_everyone();
                watch.tables_changed.notify_one();
                *seen = mark;
            }
            Changes::Some(changes, mark) => {
                for change in &changes {
                    apply(*change, cache, &watch.tables_changed);
                }
                watch.metrics.changes_seen.inc_by(changes.len() as u64);
                *seen = mark;
            }
        }
    }
}

fn apply(change: Changed, cache: &FactCache, tables_changed: &Notify) {
    match change {
        Changed::Subject(subject) => cache.invalidate_here(subject),
        Changed::Tables => tables_changed.notify_one(),
    }
}
