//! The buckets of one rule: as many as it is given room for, and never one that is not limited.
//!
//! Owners lie in sets of eight, chosen by a hash with a seed of this process. A hit takes no lock and allocates nothing; an
//! owner that is new to a set waits for that set alone. It gets the place of one whose bucket is full again, because
//! forgetting that one grants nothing. Where all eight are in use, newcomers of the set share one bucket, the set's
//! overflow, at the rule's own rate: a flood of owners makes room for nobody and is limited as a whole.
//!
//! Where replicas share a rule, the table also notes what was taken since the last exchange.

use std::{
    hash::{BuildHasher as _, RandomState},
    num::NonZeroU32,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::key::RateKey;
use crate::auth::quota::{FullAt, Level, Quota, Shortage, Tick};

/// Places of a set.
const WAYS: usize = 8;

/// Marks a place whose owner is being replaced.
const MOVING: u64 = u64::MAX;

/// Looks at a place before giving up on it; each ends within a few instructions of another worker.
const TRIES: usize = 4096;

/// What others took counts for as many bursts at most: more than that is a fault of the exchange, and would lock an owner out.
pub const MOST_DEBT: u32 = 64;

/// The buckets of one rule.
#[derive(Debug)]
pub struct RateTable {
    quota: Quota,
    sets: Box<[Set]>,
    seed: RandomState,
    shared: Option<Dirty>,
}

/// The owners whose hash leads here.
#[derive(Debug, Default)]
struct Set {
    places: [Place; WAYS],
    overflow: AtomicU64,
    /// Held while an owner is given a place.
    moving: Mutex<()>,
}

/// An owner's bucket. The owner changes only while `full_at` is [`MOVING`], and only where the bucket was full.
#[derive(Debug, Default)]
struct Place {
    tag: AtomicU64,
    value: AtomicU64,
    full_at: AtomicU64,
    /// Taken since the last exchange.
    pending: AtomicU64,
}

/// Which places have something to tell, a bit each.
#[derive(Debug)]
struct Dirty {
    words: Box<[AtomicU64]>,
    /// Where the next exchange begins.
    cursor: AtomicUsize,
}

/// What was asked for, and which bucket answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// What is left, or that too little is.
    pub level: Result<Level, Shortage>,
    /// Whether it was the bucket that newcomers share.
    pub is_overflow: bool,
}

/// What one owner took since the last exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// The owner.
    pub key: RateKey,
    /// How many requests.
    pub count: u64,
    place: usize,
}

enum Bucket<'a> {
    Own(usize, &'a Place),
    Overflow,
}

impl RateTable {
    /// Room for `owners`, rounded up to a whole set.
    #[must_use]
    pub fn new(quota: Quota, owners: usize, is_shared: bool) -> Self {
        let sets = owners.div_ceil(WAYS).max(1);
        let shared = is_shared.then(|| Dirty {
            words: (0..(sets * WAYS).div_ceil(64)).map(|_| AtomicU64::default()).collect(),
            cursor: AtomicUsize::new(0),
        });
        Self { quota, sets: (0..sets).map(|_| Set::default()).collect(), seed: RandomState::new(), shared }
    }

    /// The quota of each owner.
    #[must_use]
    pub const fn quota(&self) -> Quota {
        self.quota
    }

    /// How far from full a bucket can be by what others took.
    #[must_use]
    pub fn most_debt(&self) -> Duration {
        self.quota.refill().saturating_mul(MOST_DEBT)
    }

    /// Whether replicas share it.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        self.shared.is_some()
    }

    /// Takes `count` requests from an owner's bucket.
    pub fn take(&self, key: RateKey, now: Tick, count: NonZeroU32) -> Answer {
        let (first, set) = self.set(key);
        for _ in 0..TRIES {
            match Self::bucket(set, first, key, now) {
                Bucket::Own(index, place) => {
                    let Some(level) = self.take_from(&place.full_at, now, count) else {
                        std::hint::spin_loop();
                        continue;
                    };
                    if !place.is_of(key) {
                        // It was given to somebody else in between, who may have one less now; this owner starts anew.
                        continue;
                    }
                    if level.is_ok() {
                        self.note(index, place, count);
                    }
                    return Answer { level, is_overflow: false };
                }
                Bucket::Overflow => break,
            }
        }
        let level = self.take_from(&set.overflow, now, count);
        Answer { level: level.unwrap_or_else(|| Err(self.nothing())), is_overflow: true }
    }

    /// What taking `count` would answer; takes nothing and gives nobody a place.
    #[must_use]
    pub fn look(&self, key: RateKey, now: Tick, count: NonZeroU32) -> Answer {
        let (_, set) = self.set(key);
        let own = set
            .places
            .iter()
            .find(|place| place.is_of(key))
            .map(|place| place.full_at.load(Ordering::Acquire));
        let is_free = |place: &Place| place.is_free(now);
        let (bucket, is_overflow) = match own {
            Some(MOVING) => (FullAt::default(), false),
            Some(full_at) => (FullAt::from_bits(full_at), false),
            None if set.places.iter().any(is_free) => (FullAt::default(), false),
            None => (FullAt::from_bits(set.overflow.load(Ordering::Acquire)), true),
        };
        Answer {
            level: self.quota.take(bucket, now, count).map(|_| self.quota.level(bucket, now)),
            is_overflow,
        }
    }

    fn set(&self, key: RateKey) -> (usize, &Set) {
        let hash = self.seed.hash_one(key);
        // The remainder is smaller than the number of sets, which is at least one.
        let number = usize::try_from(hash % self.sets.len() as u64).unwrap_or_default();
        let set = self.sets.get(number).expect("the remainder is smaller than the divisor");
        (number * WAYS, set)
    }

    fn bucket(set: &Set, first: usize, key: RateKey, now: Tick) -> Bucket<'_> {
        let own = || set.places.iter().enumerate().find(|(_, place)| place.is_of(key));
        if let Some((index, place)) = own() {
            return Bucket::Own(first + index, place);
        }
        let _moving = set.moving.lock().unwrap_or_else(PoisonError::into_inner);
        let found = own().or_else(|| {
            set.places.iter().enumerate().find(|(_, place)| place.is_free(now) && place.give(key, now))
        });
        found.map_or(Bucket::Overflow, |(index, place)| Bucket::Own(first + index, place))
    }

    /// `None` while the place is being given to somebody, or another worker was faster.
    fn take_from(&self, bucket: &AtomicU64, now: Tick, count: NonZeroU32) -> Option<Result<Level, Shortage>> {
        for _ in 0..TRIES {
            let before = bucket.load(Ordering::Acquire);
            if before == MOVING {
                return None;
            }
            match self.quota.take(FullAt::from_bits(before), now, count) {
                Err(shortage) => return Some(Err(shortage)),
                Ok((after, level)) => {
                    let taken = bucket.compare_exchange_weak(
                        before,
                        after.to_bits(),
                        Ordering::AcqRel,
                        Ordering::Relaxed,
                    );
                    if taken.is_ok() {
                        return Some(Ok(level));
                    }
                }
            }
        }
        None
    }

    /// The answer where no bucket could be looked at.
    fn nothing(&self) -> Shortage {
        let wait = self.quota.cost(1);
        Shortage { level: Level { remaining: 0, full_in: self.quota.refill() }, wait: Some(wait) }
    }

    fn note(&self, index: usize, place: &Place, count: NonZeroU32) {
        let Some(dirty) = &self.shared else { return };
        if place.pending.fetch_add(u64::from(count.get()), Ordering::AcqRel) == 0
            && let Some(word) = dirty.words.get(index / 64)
        {
            word.fetch_or(1 << (index % 64), Ordering::AcqRel);
        }
    }

    /// What was taken since the last exchange, of `most` owners at most; the others come next time.
    #[must_use]
    pub fn drain(&self, most: usize) -> Vec<Taken> {
        let mut taken = Vec::new();
        let Some(dirty) = &self.shared else { return taken };
        let start = dirty.cursor.load(Ordering::Relaxed);
        for step in 0..dirty.words.len() {
            let number = (start + step) % dirty.words.len();
            dirty.cursor.store(number, Ordering::Relaxed);
            let Some(word) = dirty.words.get(number) else { continue };
            let mut bits = word.load(Ordering::Acquire);
            while bits != 0 {
                if taken.len() == most {
                    return taken;
                }
                let bit = bits.trailing_zeros();
                bits &= bits - 1;
                word.fetch_and(!(1 << bit), Ordering::AcqRel);
                taken.extend(self.taken_at(number * 64 + bit as usize));
            }
        }
        taken
    }

    fn taken_at(&self, index: usize) -> Option<Taken> {
        let place = self.place(index)?;
        let key = place.key()?;
        let count = place.pending.swap(0, Ordering::AcqRel);
        (count > 0).then_some(Taken { key, count, place: index })
    }

    /// Makes an owner's bucket as empty as all replicas together left it; never fuller. What was taken here since the
    /// exchange began comes on top.
    pub fn merge(&self, taken: &Taken, level: Duration, now: Tick) {
        let Some(place) = self.place(taken.place).filter(|place| place.is_of(taken.key)) else { return };
        let since = self.quota.cost(place.pending.load(Ordering::Acquire));
        let level = level.min(self.most_debt()).saturating_add(since);
        for _ in 0..TRIES {
            let before = place.full_at.load(Ordering::Acquire);
            if before == MOVING {
                return;
            }
            let after = FullAt::from_bits(before).raised(now, level).to_bits();
            if place.full_at.compare_exchange_weak(before, after, Ordering::AcqRel, Ordering::Relaxed).is_ok()
            {
                return;
            }
        }
    }

    fn place(&self, index: usize) -> Option<&Place> {
        self.sets.get(index / WAYS)?.places.get(index % WAYS)
    }
}

impl Place {
    fn is_of(&self, key: RateKey) -> bool {
        let (tag, value) = key.to_words();
        self.tag.load(Ordering::Acquire) == tag && self.value.load(Ordering::Acquire) == value
    }

    fn key(&self) -> Option<RateKey> {
        RateKey::from_words(self.tag.load(Ordering::Acquire), self.value.load(Ordering::Acquire))
    }

    /// Whether its owner can be forgotten: the bucket is full, and everything about it was told.
    fn is_free(&self, now: Tick) -> bool {
        let full_at = self.full_at.load(Ordering::Acquire);
        full_at != MOVING
            && FullAt::from_bits(full_at).is_past(now)
            && self.pending.load(Ordering::Acquire) == 0
    }

    /// Gives the place to an owner, unless somebody took from it meanwhile. Whoever calls holds the set.
    fn give(&self, key: RateKey, now: Tick) -> bool {
        let before = self.full_at.load(Ordering::Acquire);
        let is_still_full = before != MOVING && FullAt::from_bits(before).is_past(now);
        if !is_still_full
            || self.full_at.compare_exchange(before, MOVING, Ordering::AcqRel, Ordering::Relaxed).is_err()
        {
            return false;
        }
        let (tag, value) = key.to_words();
        self.value.store(value, Ordering::Release);
        self.tag.store(tag, Ordering::Release);
        self.full_at.store(before, Ordering::Release);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, atomic::AtomicU32};

    use super::*;
    use crate::auth::quota::Rate;

    const SECOND: u64 = 1_000_000_000;
    const ONE: NonZeroU32 = NonZeroU32::MIN;

    fn table(rate: &str, burst: u32, owners: usize) -> RateTable {
        let quota = Quota::new(Rate::parse(rate).unwrap(), NonZeroU32::new(burst).unwrap());
        RateTable::new(quota, owners, true)
    }

    fn passes(table: &RateTable, owner: u32, seconds: u64) -> bool {
        table.take(RateKey::consumer(owner), Tick::from_nanos(seconds * SECOND), ONE).level.is_ok()
    }

    #[test]
    fn owners_are_counted_apart() {
        let table = table("1/s", 2, 64);
        for owner in 0..8 {
            assert!(passes(&table, owner, 10) && passes(&table, owner, 10) && !passes(&table, owner, 10));
        }
        assert!(passes(&table, 3, 11) && !passes(&table, 3, 11));
    }

    #[test]
    fn looking_takes_nothing() {
        let table = table("1/s", 2, 8);
        let now = Tick::from_nanos(SECOND);
        for _ in 0..5 {
            assert_eq!(table.look(RateKey::role(1), now, ONE).level.unwrap().remaining, 2);
        }
        table.take(RateKey::role(1), now, ONE);
        assert_eq!(table.look(RateKey::role(1), now, ONE).level.unwrap().remaining, 1);
        table.take(RateKey::role(1), now, ONE);
        assert!(table.look(RateKey::role(1), now, ONE).level.is_err());
    }

    #[test]
    fn in_a_full_table_newcomers_share_one_bucket_and_nobody_is_unlimited() {
        let table = table("1/s", 3, 8);
        for owner in 0..8 {
            assert!(passes(&table, owner, 10));
            // What was taken has to be told before a place is given away.
            assert_eq!(table.drain(8).len(), 1);
        }
        let newcomers: Vec<bool> = (100..110).map(|owner| passes(&table, owner, 10)).collect();
        assert_eq!(newcomers.iter().filter(|passed| **passed).count(), 3, "one burst for all of them");
        let answer = table.take(RateKey::consumer(200), Tick::from_nanos(10 * SECOND), ONE);
        assert!(answer.is_overflow && answer.level.is_err());
        assert!(table.look(RateKey::consumer(200), Tick::from_nanos(10 * SECOND), ONE).level.is_err());
        assert!(passes(&table, 0, 10), "who had a place keeps it");
        assert!(passes(&table, 100, 12), "a bucket that filled up makes room");
        assert!(!table.take(RateKey::consumer(100), Tick::from_nanos(12 * SECOND), ONE).is_overflow);
    }

    #[test]
    fn a_place_is_not_given_away_before_what_was_taken_is_told() {
        let table = table("1000/s", 1, 8);
        for owner in 0..8 {
            assert!(passes(&table, owner, 10));
        }
        assert!(table.take(RateKey::consumer(9), Tick::from_nanos(11 * SECOND), ONE).is_overflow);
        assert_eq!(table.drain(3).len(), 3);
        assert_eq!(table.drain(100).len(), 5);
        assert!(table.drain(100).is_empty());
        assert!(!table.take(RateKey::consumer(9), Tick::from_nanos(11 * SECOND), ONE).is_overflow);
    }

    #[test]
    fn what_replicas_took_together_counts_here() {
        let table = table("1/s", 4, 8);
        let now = Tick::from_nanos(10 * SECOND);
        assert!(passes(&table, 1, 10));
        let taken = table.drain(8);
        assert_eq!((taken[0].key, taken[0].count), (RateKey::consumer(1), 1));
        assert!(passes(&table, 1, 10), "while the exchange is under way");
        table.merge(&taken[0], Duration::from_secs(2), now);
        assert!(passes(&table, 1, 10), "two by all, one since: one is left");
        assert!(!passes(&table, 1, 10));
        table.merge(&taken[0], Duration::from_secs(3600), now);
        assert!(!passes(&table, 1, 10 + 4 * 63), "a debt");
        assert!(passes(&table, 1, 10 + 4 * 64 + 2), "and its end");
    }

    #[test]
    fn many_threads_together_take_no_more_than_the_burst() {
        let table = Arc::new(table("1/h", 20, 8));
        let passed: Arc<[AtomicU32; 12]> = Arc::default();
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (table, passed) = (Arc::clone(&table), Arc::clone(&passed));
                std::thread::spawn(move || {
                    let owners = (0..4000_u32).map(|round| round % 12);
                    for owner in owners.filter(|owner| passes(&table, *owner, 10)) {
                        passed[owner as usize].fetch_add(1, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let passed: Vec<u32> = passed.iter().map(|count| count.load(Ordering::SeqCst)).collect();
        assert!(passed.iter().all(|count| *count <= 20), "{passed:?}");
        assert_eq!(passed.iter().sum::<u32>(), 20 * 9, "eight owners and the newcomers' bucket: {passed:?}");
    }
}
