//! Why the gate is not ready, and whether it ever was able to be, told by whoever knows and shown to whoever asks.
//!
//! The reasons are for an operator: they name settings, versions and what to do, never a credential.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

/// What may stand in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The store has not been proven.
    Store,
    /// The machine's clock jumped.
    Clock,
}

/// What stands in the way now; cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Standing(Arc<Mutex<Obstacles>>);

#[derive(Default)]
struct Obstacles {
    store: Option<String>,
    clock: Option<String>,
    has_started: bool,
}

impl Standing {
    /// Says what stands in the way, or that nothing does any more.
    pub(super) fn tell(&self, part: Part, obstacle: Option<String>) {
        let mut obstacles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match part {
            Part::Store => obstacles.store = obstacle,
            Part::Clock => obstacles.clock = obstacle,
        }
    }

    /// Says that the first proof of the store is complete. It is never unsaid.
    pub(super) fn start(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).has_started = true;
    }

    /// Whether the first proof of the store is complete.
    pub(super) fn has_started(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).has_started
    }

    /// The first thing that stands in the way.
    pub(super) fn obstacle(&self) -> Option<String> {
        let Obstacles { store, clock, has_started: _ } =
            &*self.0.lock().unwrap_or_else(PoisonError::into_inner);
        store.clone().or_else(|| clock.clone())
    }
}

impl fmt::Debug for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Standing").field(&self.obstacle()).finish()
    }
}
