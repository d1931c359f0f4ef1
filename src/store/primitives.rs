//! What the way to a fact is made of: numbers, locks and shelves.
//!
//! The process runs it on those of the machine. A test runs the same code on those of a model that tries one order of steps
//! after another, because a race that lets a revoked caller in would show in no other test. Everything that two
//! tasks may touch at once goes through here.

use std::{
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{cache::Entry, grant::CredentialKey};

/// A family of primitives.
pub(super) trait Primitives: fmt::Debug + Send + Sync + 'static {
    /// A counter.
    type Number: Number;
    /// Mutual exclusion.
    type Lock<T: Send + 'static>: Lock<T>;
    /// A bounded map of facts.
    type Shelf: Shelf;
}

/// A counter that every thread sees in one order.
pub(super) trait Number: fmt::Debug + Send + Sync {
    /// Zero.
    fn zero() -> Self;
    /// The number as it is.
    fn read(&self) -> u64;
    /// Adds one; the sum.
    fn next(&self) -> u64;
    /// Makes it at least as great.
    fn raise(&self, least: u64);
}

/// Mutual exclusion.
pub(super) trait Lock<T>: Send + Sync {
    /// A lock around this.
    fn around(value: T) -> Self;
    /// Does something with what it protects.
    fn with<R>(&self, action: impl FnOnce(&mut T) -> R) -> R;
}

/// A bounded map of facts.
pub(super) trait Shelf: fmt::Debug + Send + Sync {
    /// What stands there.
    fn find(&self, key: &CredentialKey) -> Option<Entry>;
    /// Puts something there, in place of what stood there.
    fn place(&self, key: CredentialKey, entry: Entry);
    /// Takes away what stands there.
    fn clear(&self, key: &CredentialKey);
}

/// The machine's own.
#[derive(Debug)]
pub(super) struct Machine;

impl Primitives for Machine {
    type Number = AtomicU64;
    type Lock<T: Send + 'static> = Mutex<T>;
    type Shelf = moka::sync::Cache<CredentialKey, Entry>;
}

impl Number for AtomicU64 {
    fn zero() -> Self {
        Self::new(0)
    }

    fn read(&self) -> u64 {
        self.load(Ordering::Acquire)
    }

    fn next(&self) -> u64 {
        self.fetch_add(1, Ordering::AcqRel) + 1
    }

    fn raise(&self, least: u64) {
        self.fetch_max(least, Ordering::AcqRel);
    }
}

impl<T: Send> Lock<T> for Mutex<T> {
    fn around(value: T) -> Self {
        Self::new(value)
    }

    fn with<R>(&self, action: impl FnOnce(&mut T) -> R) -> R {
        action(&mut self.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shelf for moka::sync::Cache<CredentialKey, Entry> {
    fn find(&self, key: &CredentialKey) -> Option<Entry> {
        self.get(key)
    }

    fn place(&self, key: CredentialKey, entry: Entry) {
        self.insert(key, entry);
    }

    fn clear(&self, key: &CredentialKey) {
        self.invalidate(key);
    }
}
