//! The time buckets of one shard: sets of fingerprints, dropped whole.
//!
//! A bucket exists only once it holds something, and a duplicate is looked for in all of them. A table starts as large
//! as the bucket before it was: growing rehashes, and that is the worst case of a record (50 us at 20,000 entries).
//! Because each table is sized by its predecessor's content, the tables of a shard take at most twice what they need.

use hashbrown::HashTable;

use super::fingerprint::Fingerprint;
use super::timeline::BucketIndex;

/// The live buckets of a shard, in ascending order.
#[derive(Debug, Default)]
pub(super) struct Buckets(Vec<Bucket>);

#[derive(Debug)]
struct Bucket {
    index: BucketIndex,
    seen: HashTable<Fingerprint>,
}

impl Buckets {
    /// Whether any bucket holds the fingerprint.
    pub(super) fn contains(&self, fingerprint: Fingerprint) -> bool {
        self.0.iter().any(|bucket| bucket.contains(fingerprint))
    }

    /// Whether a fingerprint of this bucket needs a new table beyond `most`.
    pub(super) fn is_crowded(&self, index: BucketIndex, most: usize) -> bool {
        self.0.len() >= most && self.0.iter().all(|bucket| bucket.index != index)
    }

    /// Adds a fingerprint that no bucket [`contains`](Self::contains).
    pub(super) fn insert(&mut self, index: BucketIndex, fingerprint: Fingerprint) {
        let place = self.0.partition_point(|bucket| bucket.index < index);
        if self.0.get(place).is_none_or(|bucket| bucket.index != index) {
            let expected =
                place.checked_sub(1).and_then(|before| self.0.get(before)).map_or(0, |b| b.seen.len());
            self.0.insert(place, Bucket { index, seen: HashTable::with_capacity(expected) });
        }
        if let Some(bucket) = self.0.get_mut(place) {
            bucket.seen.insert_unique(fingerprint.0, fingerprint, |other| other.0);
        }
    }

    /// The last bucket that [`drop_below`](Self::drop_below) would take.
    pub(super) fn last_below(&self, index: BucketIndex) -> Option<BucketIndex> {
        self.0.iter().map(|bucket| bucket.index).take_while(|bucket| *bucket < index).last()
    }

    /// Drops every bucket before `index`; says how many fingerprints went.
    pub(super) fn drop_below(&mut self, index: BucketIndex) -> usize {
        let kept = self.0.partition_point(|bucket| bucket.index < index);
        self.0.drain(..kept).map(|bucket| bucket.seen.len()).sum()
    }

    /// Bytes of the tables.
    pub(super) fn allocated(&self) -> usize {
        self.0.iter().map(|bucket| bucket.seen.allocation_size()).sum()
    }
}

impl Bucket {
    fn contains(&self, fingerprint: Fingerprint) -> bool {
        self.seen.find(fingerprint.0, |other| *other == fingerprint).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EARLY: BucketIndex = BucketIndex(1);
    const LATE: BucketIndex = BucketIndex(2);

    #[test]
    fn dropping_takes_whole_buckets_and_counts_them() {
        let mut buckets = Buckets::default();
        for print in 0..10 {
            buckets.insert(if print < 7 { EARLY } else { LATE }, Fingerprint(print));
        }
        assert_eq!(buckets.last_below(EARLY), None);
        assert_eq!(buckets.last_below(LATE), Some(EARLY));
        assert_eq!(buckets.drop_below(LATE), 7);
        assert!(!buckets.contains(Fingerprint(0)));
        assert!(buckets.contains(Fingerprint(9)));
    }

    #[test]
    fn a_new_bucket_is_as_large_as_the_one_before_it_was() {
        let mut buckets = Buckets::default();
        for print in 0..1000 {
            buckets.insert(EARLY, Fingerprint(print));
        }
        let before = buckets.allocated();
        buckets.insert(LATE, Fingerprint(1000));
        assert_eq!(buckets.allocated(), 2 * before);
    }

    #[test]
    fn an_earlier_bucket_may_come_later() {
        let mut buckets = Buckets::default();
        buckets.insert(LATE, Fingerprint(1));
        buckets.insert(EARLY, Fingerprint(2));
        assert!(buckets.is_crowded(BucketIndex(3), 2));
        assert!(!buckets.is_crowded(LATE, 2));
        assert_eq!(buckets.drop_below(LATE), 1);
        assert!(buckets.contains(Fingerprint(1)));
    }
}
