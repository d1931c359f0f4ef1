//! The way to a fact without a word of what is asked: cache, flights and generations.
//!
//! It knows no store and no runtime. Whoever misses is told to launch a flight, and whoever launches it says how to ask. What is
//! promised here holds in every order of steps, and a model tries them (`model`): nobody who begins after a revocation
//! returned is let in by what was read before it; one query at a time for a credential; a failure is never kept, and
//! everybody who waited hears of it.

use std::sync::Arc;

use super::{
    cache::{Cached, Epoch, Keeping, Kept, Memory},
    evidence::Evidence,
    facts::LookupFailed,
    flights::{Answer, FlightBounds, Flights, Joined},
    grant::{CredentialKey, Fact},
    primitives::Primitives,
};

/// How often one flight asks, where what it asks about changes each time.
const MAX_ASKED: u32 = 3;

/// Facts of one judge.
#[derive(Debug)]
pub(super) struct Loader<P: Primitives> {
    memory: Arc<Memory<P>>,
    epoch: Epoch,
    flights: Flights<P>,
}

/// A fact, and how it was come by.
#[derive(Debug)]
pub(super) enum Found {
    /// Cached, or just asked for.
    Proven(Arc<Fact>),
    /// Proven a while ago, and nobody can be asked now.
    Stale(Arc<Fact>),
}

impl<P: Primitives> Loader<P> {
    /// A loader that keeps what it learns in `memory`.
    pub(super) fn new(memory: Arc<Memory<P>>, epoch: Epoch, bounds: FlightBounds) -> Self {
        Self { memory, epoch, flights: Flights::within(bounds) }
    }

    /// A loader of the judge who follows, with the same memory: what this one said, or is about to say, is not believed.
    pub(super) fn next(&self, bounds: FlightBounds) -> Self {
        Self::new(Arc::clone(&self.memory), self.epoch.next(), bounds)
    }

    /// What is known without asking anybody.
    pub(super) fn cached(&self, key: &CredentialKey) -> Cached {
        self.memory.get(key, self.epoch)
    }

    /// How many flights are under way, and how many wait for them.
    pub(super) fn under_way(&self) -> (usize, usize) {
        self.flights.count()
    }

    /// Finds the fact about a credential; `launch` gets the flight, if one has to begin.
    ///
    /// # Errors
    /// When nobody can be asked and no proven fact may stand in.
    pub(super) async fn resolve(
        self: &Arc<Self>,
        key: CredentialKey,
        launch: impl FnOnce(Flight<P>),
    ) -> Result<Found, LookupFailed> {
        let answer = match self.flights.join(key, || self.fresh(&key)) {
            Joined::Known(fact) => return Ok(Found::Proven(fact)),
            Joined::Full => Err(LookupFailed::Overloaded),
            Joined::Waits(answer) => answer.await.unwrap_or(Err(LookupFailed::Unavailable)),
            Joined::Leads(answer) => {
                launch(Flight { loader: Arc::clone(self), key, has_landed: false });
                answer.await.unwrap_or(Err(LookupFailed::Unavailable))
            }
        };
        // Only now: what was proven when the lookup began may have been revoked since.
        match (answer, self.cached(&key)) {
            (Ok(fact), _) | (Err(_), Cached::Fresh(fact)) => Ok(Found::Proven(fact)),
            (Err(_), Cached::Stale(fact)) => Ok(Found::Stale(fact)),
            (Err(failed), Cached::Missing) => Err(failed),
        }
    }

    fn fresh(&self, key: &CredentialKey) -> Option<Arc<Fact>> {
        match self.cached(key) {
            Cached::Fresh(fact) => Some(fact),
            Cached::Stale(_) | Cached::Missing => None,
        }
    }
}

/// A lookup that somebody has to lead. Dropped before it landed, it has failed.
#[derive(Debug)]
pub(super) struct Flight<P: Primitives> {
    loader: Arc<Loader<P>>,
    key: CredentialKey,
    has_landed: bool,
}

impl<P: Primitives> Flight<P> {
    /// Asks until the answer holds, keeps it, and tells everybody who waits.
    pub(super) async fn lead<F>(mut self, keeping: Keeping, ask: impl Fn() -> F)
    where
        F: Future<Output = Result<(Fact, Evidence), LookupFailed>>,
    {
        let memory = Arc::clone(&self.loader.memory);
        for _ in 0..MAX_ASKED {
            let generation = memory.generation();
            let (fact, evidence) = match ask().await {
                Ok((fact, evidence)) => (Arc::new(fact), evidence),
                Err(failed) => return self.land(&Err(failed)),
            };
            if memory.believes(&fact, generation) {
                // Kept first: whoever misses once the flight has landed finds it.
                let epoch = self.loader.epoch;
                memory.put(self.key, Arc::clone(&fact), Kept { keeping, generation, epoch, evidence });
            }
            let holds = || memory.believes(&fact, generation);
            if let Some(waiting) = self.loader.flights.land(&self.key, holds) {
                self.has_landed = true;
                return tell(waiting, &Ok(fact));
            }
        }
        self.land(&Err(LookupFailed::Unavailable));
    }

    fn land(&mut self, answer: &Answer) {
        self.has_landed = true;
        tell(self.loader.flights.land(&self.key, || true).unwrap_or_default(), answer);
    }
}

impl<P: Primitives> Drop for Flight<P> {
    fn drop(&mut self) {
        if !self.has_landed {
            self.land(&Err(LookupFailed::Unavailable));
        }
    }
}

/// Somebody who went away meanwhile hears nothing.
fn tell(waiting: Vec<tokio::sync::oneshot::Sender<Answer>>, answer: &Answer) {
    for one in waiting {
        let _ = one.send(answer.clone());
    }
}
