//! Taking facts out of the cache by whom they are about, without finding them.
//!
//! One counter numbers invalidations. A small table remembers, per slot, the number of the last one that hit it; a user,
//! a consumer or a role falls into a slot by its kind and id. A cached fact knows the number that held *before* its
//! lookup began; it is dead once any of its slots has a later one. So a lookup that began before a revocation can never
//! bring the revoked credential back, and two subjects that share a slot cost each other a lookup, never a wrong answer.

use std::sync::atomic::AtomicU64;

use super::primitives::Number;

const SLOTS: usize = 4096;

/// Somebody or something whose change kills cached facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// An admin, by `admin_user.user_id`.
    Admin(u32),
    /// A customer, by `customer_entity.entity_id`.
    Customer(u32),
    /// A consumer, by `oauth_consumer.entity_id`.
    Consumer(u32),
}

/// The number of invalidations at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Generation(u64);

/// The table of invalidations of one process.
#[derive(Debug)]
pub(super) struct Generations<N = AtomicU64> {
    current: N,
    everyone: N,
    slots: Box<[N]>,
}

impl<N: Number> Default for Generations<N> {
    fn default() -> Self {
        Self::with_slots(SLOTS)
    }
}

impl<N: Number> Generations<N> {
    /// A table of so many slots; the fewer, the more subjects cost each other a lookup.
    pub(super) fn with_slots(count: usize) -> Self {
        let slots = (0..count).map(|_| N::zero()).collect();
        Self { current: N::zero(), everyone: N::zero(), slots }
    }

    /// The current number; ask before a lookup begins.
    pub(super) fn current(&self) -> Generation {
        Generation(self.current.read())
    }

    /// Kills every fact about `subject` whose lookup began before this call.
    pub(super) fn invalidate(&self, subject: Subject) {
        let next = self.current.next();
        if let Some(slot) = self.slot(subject) {
            slot.raise(next);
        }
    }

    /// Kills every fact whose lookup began before this call.
    pub(super) fn invalidate_everyone(&self) {
        let next = self.current.next();
        self.everyone.raise(next);
    }

    /// Whether facts about anybody, looked up at `generation`, still hold.
    pub(super) fn holds_for_everyone(&self, generation: Generation) -> bool {
        self.everyone.read() <= generation.0
    }

    /// Whether a fact about `subject`, looked up at `generation`, still holds.
    pub(super) fn holds(&self, subject: Subject, generation: Generation) -> bool {
        self.slot(subject).is_some_and(|slot| slot.read() <= generation.0)
    }

    fn slot(&self, subject: Subject) -> Option<&N> {
        // Fibonacci hashing spreads consecutive ids; the kind moves them apart.
        let (kind, id) = match subject {
            Subject::Admin(id) => (1_u64, id),
            Subject::Customer(id) => (2, id),
            Subject::Consumer(id) => (3, id),
        };
        let mixed = (kind << 32 | u64::from(id)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let count = self.slots.len().max(1);
        self.slots.get((mixed >> 52) as usize % count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lookup_that_began_before_a_revocation_is_dead() {
        let generations: Generations = Generations::default();
        let before = generations.current();
        generations.invalidate(Subject::Customer(7));
        assert!(!generations.holds(Subject::Customer(7), before));
        assert!(generations.holds(Subject::Customer(7), generations.current()));
    }

    #[test]
    fn what_concerns_everyone_kills_every_fact() {
        let generations: Generations = Generations::default();
        let before = generations.current();
        assert!(generations.holds_for_everyone(before));
        generations.invalidate_everyone();
        assert!(!generations.holds_for_everyone(before));
        assert!(generations.holds_for_everyone(generations.current()));
    }

    #[test]
    fn other_subjects_live_on() {
        let generations: Generations = Generations::default();
        let before = generations.current();
        generations.invalidate(Subject::Customer(7));
        assert!(generations.holds(Subject::Customer(8), before));
        assert!(generations.holds(Subject::Admin(7), before));
    }
}
