//! How an endpoint fares, for all workers: what requests met there (passive) and what questions found (active).
//!
//! Workers read it with plain atomic loads; while nothing is wrong every word is zero and no clock is asked. Only
//! failures, and the first success after them, write.

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use super::settings::EjectionSettings;

/// A full share, from which slow start takes away.
pub(super) const FULL: u32 = 128;

/// The share with which slow start begins.
const FIRST: u32 = 8;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Milliseconds since the first question; never 0, which means never.
pub(super) fn now() -> u64 {
    u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
}

/// A duration in the same unit.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// One endpoint's health.
#[derive(Debug, Default)]
pub(super) struct Vitals {
    failures: AtomicU32,
    first_failure: AtomicU64,
    ejected_until: AtomicU64,
    /// Ejections in a row, for their length.
    ejections: AtomicU32,
    /// Questions found it ill.
    is_down: AtomicBool,
    /// Since when it is well again; 0 where its share is full.
    recovered: AtomicU64,
}

impl Vitals {
    /// Whether requests may go there. The first look after an ejection ends it.
    pub(super) fn is_well(&self, now: u64) -> bool {
        let until = self.ejected_until.load(Relaxed);
        if until != 0 {
            if now < until {
                return false;
            }
            if self.ejected_until.compare_exchange(until, 0, Relaxed, Relaxed).is_ok() {
                self.recovered.store(now, Relaxed);
            }
        }
        !self.is_down.load(Relaxed)
    }

    /// Whether it is ejected at this moment.
    pub(super) fn is_ejected(&self, now: u64) -> bool {
        now < self.ejected_until.load(Relaxed)
    }

    /// Its share at this moment, of [`FULL`].
    pub(super) fn share(&self, now: u64, slow_start: Duration) -> u32 {
        let since = self.recovered.load(Relaxed);
        if since == 0 {
            return FULL;
        }
        let (elapsed, whole) = (now.saturating_sub(since), millis(slow_start));
        if elapsed >= whole {
            // Another recovery may just have been noted; it will be seen by the next look.
            let _ = self.recovered.compare_exchange(since, 0, Relaxed, Relaxed);
            return FULL;
        }
        let part = u64::from(FULL).saturating_mul(elapsed) / whole;
        u32::try_from(part).unwrap_or(FULL).clamp(FIRST, FULL)
    }

    /// A request was answered.
    pub(super) fn succeeded(&self) {
        if self.failures.load(Relaxed) != 0 {
            self.failures.store(0, Relaxed);
        }
    }

    /// A request failed. Tells whether that is one too many.
    pub(super) fn failed(&self, now: u64, settings: &EjectionSettings) -> bool {
        let is_old = now.saturating_sub(self.first_failure.load(Relaxed)) > millis(settings.window);
        if is_old || self.failures.load(Relaxed) == 0 {
            self.first_failure.store(now, Relaxed);
            self.failures.store(1, Relaxed);
        } else {
            self.failures.fetch_add(1, Relaxed);
        }
        settings.failures > 0 && self.failures.load(Relaxed) >= settings.failures
    }

    /// Leaves the endpoint alone for a while: twice as long as the last time, up to the limit, and not for exactly so long,
    /// so that several gates do not come back together. Answers how long.
    pub(super) fn eject(&self, now: u64, settings: &EjectionSettings) -> Duration {
        let last = self.ejected_until.load(Relaxed).max(self.recovered.load(Relaxed));
        if last != 0 && now.saturating_sub(last) > millis(settings.max_time) {
            self.ejections.store(0, Relaxed);
        }
        let before = self.ejections.fetch_add(1, Relaxed).min(20);
        let time = settings.time.saturating_mul(1 << before).min(settings.max_time);
        let time = time.mul_f64(rand::random_range(0.8..=1.2));
        self.failures.store(0, Relaxed);
        self.ejected_until.store(now.saturating_add(millis(time)).max(1), Relaxed);
        time
    }

    /// Questions found it ill or well. Tells whether that is news.
    pub(super) fn found(&self, is_well: bool, now: u64) -> bool {
        let is_news = self.is_down.swap(!is_well, Relaxed) == is_well;
        if is_news && is_well {
            self.recovered.store(now, Relaxed);
            self.ejections.store(0, Relaxed);
            self.ejected_until.store(0, Relaxed);
        }
        is_news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: EjectionSettings = EjectionSettings {
        failures: 3,
        window: Duration::from_secs(10),
        time: Duration::from_secs(1),
        max_time: Duration::from_secs(4),
        max_ejected: 50,
    };

    #[test]
    fn failures_in_a_row_and_in_the_window_are_too_many() {
        let vitals = Vitals::default();
        assert_eq!([1, 2, 3].map(|now| vitals.failed(now, &SETTINGS)), [false, false, true]);
        vitals.succeeded();
        assert_eq!([4, 5].map(|now| vitals.failed(now, &SETTINGS)), [false, false]);
        assert_eq!([20_000, 20_001, 20_002].map(|now| vitals.failed(now, &SETTINGS)), [false, false, true]);
        let never = EjectionSettings { failures: 0, ..SETTINGS };
        assert!((0..100).all(|now| !vitals.failed(now, &never)));
    }

    #[test]
    fn ejections_grow_to_their_limit_and_end_by_themselves() {
        let (vitals, mut now) = (Vitals::default(), 1);
        for expected in [1.0, 2.0, 4.0, 4.0] {
            let time = vitals.eject(now, &SETTINGS).as_secs_f64();
            assert!((expected * 0.79..expected * 1.21).contains(&time), "{time} for {expected}");
            assert!(!vitals.is_well(now) && vitals.is_ejected(now));
            now += 5000;
            assert!(vitals.is_well(now) && !vitals.is_ejected(now));
        }
        now += 60_000;
        assert!(vitals.eject(now, &SETTINGS) < Duration::from_secs(2), "long ago is forgotten");
    }

    #[test]
    fn a_recovered_endpoint_comes_back_slowly() {
        let vitals = Vitals::default();
        let slow = Duration::from_secs(10);
        assert_eq!(vitals.share(5, slow), FULL);
        assert!(vitals.found(false, 5) && !vitals.found(false, 6) && !vitals.is_well(6));
        assert!(vitals.found(true, 1000) && vitals.is_well(1000));
        assert_eq!([1000, 6000, 11_000, 11_001].map(|now| vitals.share(now, slow)), [FIRST, 64, FULL, FULL]);
        vitals.found(false, 12_000);
        vitals.found(true, 13_000);
        assert_eq!(vitals.share(13_000, Duration::ZERO), FULL);
    }
}
