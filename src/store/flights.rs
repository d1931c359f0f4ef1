//! One lookup a credential, however many wait for its answer.
//!
//! The first that misses leads a flight, whoever comes until it lands joins. Flights are bounded in number, and so are those
//! who wait: beyond that a request is sent away at once. A flight that is lost, because its task panicked or its runtime
//! ended, tells everybody who waits, and stands in nobody's way.
//!
//! Two things happen under the lock because revocations do not wait. Whoever opens a flight looks into the cache once more: the
//! answer may have come since it looked last. And a flight lands only if its answer is still believed at that moment: whoever
//! could join until then began before whatever happens later.

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    sync::Arc,
};

use tokio::sync::oneshot;

use super::{
    facts::LookupFailed,
    grant::{CredentialKey, Fact},
    primitives::{Lock as _, Primitives},
};

/// What a lookup came to.
pub(super) type Answer = Result<Arc<Fact>, LookupFailed>;

/// Bounds of what is under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct FlightBounds {
    /// Flights at a time.
    pub(super) flights: usize,
    /// Those who wait for one of them.
    pub(super) waiting: usize,
}

/// The flights of one loader.
pub(super) struct Flights<P: Primitives> {
    bounds: FlightBounds,
    air: P::Lock<Air>,
}

/// What is under way.
#[derive(Default)]
struct Air {
    flights: HashMap<CredentialKey, Vec<oneshot::Sender<Answer>>>,
    waiting: usize,
}

/// What becomes of somebody who misses.
pub(super) enum Joined {
    /// The answer is there after all.
    Known(Arc<Fact>),
    /// Somebody else asks.
    Waits(oneshot::Receiver<Answer>),
    /// Nobody asks yet: whoever hears this must.
    Leads(oneshot::Receiver<Answer>),
    /// Too many are under way.
    Full,
}

impl<P: Primitives> Flights<P> {
    /// None yet.
    pub(super) fn within(bounds: FlightBounds) -> Self {
        Self { bounds, air: P::Lock::around(Air::default()) }
    }

    /// Joins the flight for a credential, or opens one if `known` has no answer.
    pub(super) fn join(&self, key: CredentialKey, known: impl FnOnce() -> Option<Arc<Fact>>) -> Joined {
        self.air.with(|air| {
            let count = air.flights.len();
            if air.waiting >= self.bounds.waiting {
                return Joined::Full;
            }
            let (answer, waits) = oneshot::channel();
            let joined = match air.flights.entry(key) {
                Entry::Occupied(mut flight) => {
                    flight.get_mut().push(answer);
                    Joined::Waits(waits)
                }
                Entry::Vacant(free) => {
                    if let Some(fact) = known() {
                        return Joined::Known(fact);
                    }
                    if count >= self.bounds.flights {
                        return Joined::Full;
                    }
                    free.insert(vec![answer]);
                    Joined::Leads(waits)
                }
            };
            air.waiting += 1;
            joined
        })
    }

    /// Ends the flight if its answer still holds; those who wait for it. `None` where it has to ask again.
    pub(super) fn land(
        &self,
        key: &CredentialKey,
        holds: impl FnOnce() -> bool,
    ) -> Option<Vec<oneshot::Sender<Answer>>> {
        self.air.with(|air| {
            if !holds() {
                return None;
            }
            let waiting = air.flights.remove(key).unwrap_or_default();
            air.waiting = air.waiting.saturating_sub(waiting.len());
            Some(waiting)
        })
    }

    /// How many flights are under way, and how many wait for them.
    pub(super) fn count(&self) -> (usize, usize) {
        self.air.with(|air| (air.flights.len(), air.waiting))
    }
}

impl<P: Primitives> fmt::Debug for Flights<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights").field("bounds", &self.bounds).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::primitives::Machine;

    fn key(name: &str) -> CredentialKey {
        CredentialKey::bearer(name.as_bytes())
    }

    fn flights(flights: usize, waiting: usize) -> Flights<Machine> {
        Flights::within(FlightBounds { flights, waiting })
    }

    fn word(joined: &Joined) -> &'static str {
        match joined {
            Joined::Known(_) => "known",
            Joined::Waits(_) => "waits",
            Joined::Leads(_) => "leads",
            Joined::Full => "full",
        }
    }

    #[test]
    fn flights_and_those_who_wait_are_bounded_apart() {
        let flights = flights(2, 4);
        let mut held = Vec::new();
        for (name, expected) in [
            ("a", "leads"),
            ("b", "leads"),
            ("c", "full"),
            ("a", "waits"),
            ("b", "waits"),
            ("a", "full"),
            ("c", "full"),
        ] {
            let joined = flights.join(key(name), || None);
            assert_eq!(word(&joined), expected, "{name}");
            held.push(joined);
        }
        assert_eq!(flights.count(), (2, 4));
        assert_eq!(flights.land(&key("a"), || true).unwrap().len(), 2);
        assert_eq!(flights.count(), (1, 2));
        assert_eq!(word(&flights.join(key("c"), || None)), "leads");
    }

    #[test]
    fn an_answer_that_came_meanwhile_opens_no_flight() {
        let flights = flights(1, 1);
        let fact = Arc::new(Fact::Refused("token_unknown"));
        assert_eq!(word(&flights.join(key("a"), || Some(fact))), "known");
        assert_eq!(flights.count(), (0, 0));
    }

    #[test]
    fn a_flight_whose_answer_no_longer_holds_stays_up() {
        let flights = flights(1, 2);
        let _leads = flights.join(key("a"), || None);
        assert!(flights.land(&key("a"), || false).is_none());
        assert_eq!(word(&flights.join(key("a"), || None)), "waits");
    }
}
