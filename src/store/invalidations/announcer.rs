//! Where changes are handed in that other replicas have to hear of.

use tokio::sync::mpsc;

use crate::{metrics::RedisMetrics, store::sql::Changed};

/// Changes that wait to be published; a flood beyond them is left to the database's feed.
const ROOM: usize = 4096;

/// Takes changes without waiting; cheap to clone.
#[derive(Debug, Clone)]
pub struct Announcer {
    changes: mpsc::Sender<Changed>,
    metrics: RedisMetrics,
}

impl Announcer {
    /// An announcer, and what it was told.
    #[must_use]
    pub fn new(metrics: RedisMetrics) -> (Self, mpsc::Receiver<Changed>) {
        let (changes, told) = mpsc::channel(ROOM);
        (Self { changes, metrics }, told)
    }

    /// Hands a change in.
    pub fn announce(&self, change: Changed) {
        if self.changes.try_send(change).is_err() {
            self.metrics.unpublished.inc();
        }
    }
}
