//! Time cut into buckets, and which of them are live.
//!
//! Buckets are aligned to the epoch, so a bucket means the same span in every run with the same windows. Their width
//! is a quarter of the past window: a nonce stays at most that much longer than it must, and a look-up meets at most
//! ten buckets with equal windows.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::auth::time::UnixTime;

/// The most buckets that the windows are cut into, however lopsided they are.
const FINEST_CUT: u64 = 64;

/// 136 years; a wider window is not meant, and seconds inside a bucket fit into 32 bits.
const WIDEST_WINDOW: u64 = u32::MAX as u64;

/// The number of a bucket, counted in widths from the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct BucketIndex(pub(super) i64);

impl BucketIndex {
    /// The bucket after this one.
    pub(super) const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// The two windows and the width that follows from them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeline {
    past: Duration,
    future: Duration,
    width: u32,
}

impl Timeline {
    /// Cuts the windows; parts of a second are rounded up, because a nonce may be kept too long but not too short.
    pub(super) fn new(past: Duration, future: Duration) -> Self {
        let (past, future) = (whole_seconds(past), whole_seconds(future));
        let width = (past / 4).max((past + future) / FINEST_CUT).max(1);
        Self {
            past: Duration::from_secs(past),
            future: Duration::from_secs(future),
            width: u32::try_from(width).unwrap_or(u32::MAX),
        }
    }

    /// Seconds in a bucket.
    pub(super) const fn width(self) -> u32 {
        self.width
    }

    /// The bucket that a timestamp falls into.
    pub(super) fn bucket_of(self, timestamp: UnixTime) -> BucketIndex {
        BucketIndex(timestamp.seconds().div_euclid(i64::from(self.width)))
    }

    /// The first second of a bucket.
    pub(super) fn start_of(self, bucket: BucketIndex) -> UnixTime {
        UnixTime::from_seconds(bucket.0.saturating_mul(i64::from(self.width)))
    }

    /// The lowest bucket without a second before `time`; buckets may have had another width when `time` was written.
    pub(super) fn first_from(self, time: UnixTime) -> BucketIndex {
        let bucket = self.bucket_of(time);
        if self.start_of(bucket) < time { bucket.next() } else { bucket }
    }

    /// The buckets that hold an acceptable timestamp now.
    pub(super) fn live(self, now: UnixTime) -> RangeInclusive<BucketIndex> {
        self.bucket_of(now.minus(self.past))..=self.bucket_of(now.plus(self.future))
    }

    /// The latest timestamp that may be accepted at a time.
    pub(super) fn latest(self, now: UnixTime) -> UnixTime {
        now.plus(self.future)
    }

    /// The most buckets that a steady clock ever makes live at once.
    pub(super) fn most_live(self) -> usize {
        let buckets = (self.past + self.future).as_secs() / u64::from(self.width) + 2;
        usize::try_from(buckets).unwrap_or(usize::MAX)
    }
}

fn whole_seconds(window: Duration) -> u64 {
    (window.as_secs().saturating_add(u64::from(window.subsec_nanos() > 0))).min(WIDEST_WINDOW)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(past: u64, future: u64) -> Timeline {
        Timeline::new(Duration::from_secs(past), Duration::from_secs(future))
    }

    #[test]
    fn buckets_are_a_quarter_of_the_past_and_never_more_than_the_finest_cut() {
        let cases = [
            (600, 600, 150),
            (600, 0, 150),
            (3, 3, 1),
            (0, 0, 1),
            (1, 6400, 100),
            (u64::MAX, u64::MAX, 1 << 30),
        ];
        for (past, future, width) in cases {
            let cut = timeline(past, future);
            assert!(cut.width().abs_diff(width) <= 1, "{past} {future} {}", cut.width());
            assert!(cut.most_live() <= 66, "{past} {future}");
        }
    }

    #[test]
    fn live_buckets_hold_exactly_the_window_and_stay_within_the_bound() {
        for (past, future) in [(600, 600), (7, 3), (1, 100), (0, 0)] {
            let cut = timeline(past, future);
            for now in -2000..2000 {
                let now = UnixTime::from_seconds(now);
                let live = cut.live(now);
                assert!(cut.start_of(*live.start()).seconds() <= now.minus(cut.past).seconds());
                assert!(cut.start_of(live.end().next()).seconds() > now.plus(cut.future).seconds());
                let count = live.end().0 - live.start().0 + 1;
                assert!(usize::try_from(count).unwrap() <= cut.most_live());
            }
        }
    }

    #[test]
    fn a_floor_written_under_another_width_is_rounded_up() {
        let cut = timeline(40, 40);
        for (time, bucket) in [(0, 0), (1, 1), (10, 1), (11, 2), (-1, 0), (-10, -1), (-11, -1)] {
            assert_eq!(cut.first_from(UnixTime::from_seconds(time)), BucketIndex(bucket), "{time}");
        }
    }

    #[test]
    fn the_ends_of_time_do_not_overflow() {
        let cut = timeline(u64::MAX, u64::MAX);
        for seconds in [i64::MIN, i64::MAX] {
            let time = UnixTime::from_seconds(seconds);
            let live = cut.live(time);
            assert!(live.start() <= live.end());
            cut.start_of(cut.first_from(time).next());
        }
    }

    #[test]
    fn parts_of_a_second_count_as_a_whole_one() {
        let cut = Timeline::new(Duration::from_millis(3_001), Duration::from_millis(1));
        assert_eq!((cut.past.as_secs(), cut.future.as_secs()), (4, 1));
    }
}
