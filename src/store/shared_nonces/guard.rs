//! Looking after the markers, request or not: the sooner a loss is seen, the sooner its quarantine ends.
//!
//! The scripts that record are safe without this. It tells log and figures, and warns of a server that may throw nonces
//! away when its memory runs out, which no script could see.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use super::{scripts::Guarded, store::SharedNonces};
use crate::{auth::time::UnixTime, store::redis::LinkError};

/// What was last told.
#[derive(Debug)]
pub(super) struct Health {
    is_full: AtomicBool,
    may_evict: AtomicBool,
    floor: AtomicI64,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            is_full: AtomicBool::new(false),
            may_evict: AtomicBool::new(false),
            floor: AtomicI64::new(i64::MIN),
        }
    }
}

/// What a look at all markers found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watched {
    /// The last timestamp that is refused, where that still refuses any.
    pub quarantined_until: Option<UnixTime>,
    /// Whether Redis may throw nonces away when its memory runs out.
    pub may_evict: bool,
}

impl SharedNonces {
    /// Looks at every marker, and begins a quarantine where nonces may be lost. To be called every second.
    ///
    /// # Errors
    /// [`LinkError`] of the first marker that cannot be looked at.
    pub async fn watch(&self, now: UnixTime) -> Result<Watched, LinkError> {
        let mut watched = Watched { quarantined_until: None, may_evict: false };
        let mut failure = None;
        for marker in self.keys.markers() {
            match self.guarded(marker, now).await {
                Ok(found) => {
                    let acts = now.minus(self.past()) <= found.floor;
                    watched.quarantined_until = watched.quarantined_until.max(acts.then_some(found.floor));
                    watched.may_evict |= found.may_evict;
                }
                Err(error) => failure = Some(error),
            }
        }
        let until = watched.quarantined_until.map_or(0, UnixTime::seconds);
        self.metrics.quarantined_until.set(until);
        failure.map_or(Ok(watched), Err)
    }

    /// Which marker it is, as far as this replica knows: who once saw one notices where another stands in its place.
    pub(super) fn born(&self, marker: &str) -> Option<String> {
        self.births.get(marker).map(|born| born.clone())
    }

    /// Looks at one marker, because a script found it wanting or because it was not seen yet.
    ///
    /// # Errors
    /// [`LinkError`] where it cannot be looked at.
    pub(super) async fn guarded(&self, marker: &str, now: UnixTime) -> Result<Guarded, LinkError> {
        let (lost, first) = (self.floor(now).seconds().to_string(), self.clock(now).seconds().to_string());
        let (known, new) =
            (self.born(marker).unwrap_or_default(), format!("{:032x}", rand::random::<u128>()));
        let arguments = [&self.mark, &lost, &first, &known, &new].map(|argument| argument.as_bytes());
        let found = self.link.script::<Guarded>(&self.guard, &[marker.as_bytes()], &arguments).await;
        match &found {
            Ok(found) => {
                self.births.insert(marker.to_owned(), found.born.clone());
                self.health.found(self, found);
            }
            Err(LinkError::Full) => self.health.is_full(self),
            Err(_) => {}
        }
        found
    }
}

impl Health {
    fn found(&self, nonces: &SharedNonces, found: &Guarded) {
        let until = found.floor.seconds();
        if self.floor.fetch_max(until, Ordering::AcqRel) < until {
            nonces.metrics.quarantined_until.set(until);
            let is_ours = found.has_changed;
            tracing::warn!(
                until,
                is_ours,
                "Redis is another one or lost its nonces: signatures with a timestamp up to this second are refused"
            );
        }
        if self.may_evict.swap(found.may_evict, Ordering::AcqRel) != found.may_evict && found.may_evict {
            tracing::error!(
                "maxmemory-policy of Redis may evict nonces, which could be replayed: signatures are refused until it is noeviction"
            );
        }
        nonces.metrics.may_evict.set(i64::from(found.may_evict));
    }

    /// Whether Redis may throw nonces away, as far as is known.
    pub(super) fn may_evict(&self) -> bool {
        self.may_evict.load(Ordering::Acquire)
    }

    /// Redis has no memory for another nonce.
    pub(super) fn is_full(&self, nonces: &SharedNonces) {
        nonces.metrics.nonces_full.set(1);
        if !self.is_full.swap(true, Ordering::AcqRel) {
            tracing::error!("Redis has no memory for nonces: signed requests are refused until it has");
        }
    }

    /// It took one.
    pub(super) fn has_room(&self, nonces: &SharedNonces) {
        if self.is_full.load(Ordering::Acquire) && self.is_full.swap(false, Ordering::AcqRel) {
            nonces.metrics.nonces_full.set(0);
            tracing::info!("Redis has memory for nonces again");
        }
    }
}
