//! The only source of the current time, and what is done at most once in a while.
//!
//! Rules take the time as an argument; whoever calls them asks this clock once a request. Tests hand in a clock of
//! their own through `App::build`, so the shipped binary has no switch that moves time.

use std::{
    fmt,
    sync::{Arc, LazyLock, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crate::auth::{quota::Tick, time::UnixTime};

/// The process's first look at the clock that never steps.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// A source of wall-clock time, cheap to clone and to ask.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    System,
    Given(Arc<dyn Fn() -> UnixTime + Send + Sync>),
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that somebody else moves: for tests and for replaying recordings.
    #[must_use]
    pub fn given(read: impl Fn() -> UnixTime + Send + Sync + 'static) -> Self {
        Self(Source::Given(Arc::new(read)))
    }

    /// The current time in whole seconds.
    #[must_use]
    pub fn now(&self) -> UnixTime {
        match &self.0 {
            Source::System => system_time(),
            Source::Given(read) => read(),
        }
    }

    /// The current time in nanoseconds since 1970, for records that are laid beside those of other machines.
    #[must_use]
    pub fn nanoseconds(&self) -> u64 {
        let since = match &self.0 {
            Source::System => since_1970(),
            Source::Given(read) => Duration::from_secs(u64::try_from(read().seconds()).unwrap_or_default()),
        };
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }

    /// The current moment for measuring how much time passed: the machine's steady clock, which no correction of the time
    /// moves, or the given one.
    #[must_use]
    pub fn tick(&self) -> Tick {
        match &self.0 {
            Source::System => Tick::since_start(START.elapsed()),
            Source::Given(read) => {
                Tick::since_start(Duration::from_secs(u64::try_from(read().seconds()).unwrap_or_default()))
            }
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// Holds back what there is reason for again and again, and lets it through once in a while: saying that something keeps
/// happening.
#[derive(Debug)]
pub struct Seldom {
    pause: Duration,
    /// When it was let through, and how often it was held back since.
    last: Mutex<Option<(Instant, u64)>>,
}

impl Seldom {
    /// Lets through at once, and then after each pause.
    #[must_use]
    pub const fn every(pause: Duration) -> Self {
        Self { pause, last: Mutex::new(None) }
    }

    /// Whether it is time; if so, the pause begins.
    pub fn is_due(&self) -> bool {
        self.due().is_some()
    }

    /// The same, and how often it was held back since the last time.
    pub fn due(&self) -> Option<u64> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *last {
            Some((at, held_back)) if at.elapsed() < self.pause => {
                *held_back += 1;
                None
            }
            past => past.replace((Instant::now(), 0)).map_or(Some(0), |(_, held_back)| Some(held_back)),
        }
    }
}

/// A time as RFC 3339.
#[must_use]
pub fn rfc3339(time: UnixTime) -> String {
    let seconds = u64::try_from(time.seconds()).unwrap_or_default();
    // `format_rfc3339` panics beyond the year 9999.
    let bounded = seconds.min(253_402_300_799);
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(bounded)).to_string()
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
fn system_time() -> UnixTime {
    let seconds = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_secs()).map_or(i64::MIN, |seconds| -seconds),
    };
    UnixTime::from_seconds(seconds)
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_happening_is_let_through_after_each_pause() {
        let seldom = Seldom::every(Duration::from_millis(200));
        assert_eq!([seldom.due(), seldom.due(), seldom.due()], [Some(0), None, None]);
        std::thread::sleep(Duration::from_millis(250));
        assert_eq!([seldom.due(), seldom.due()], [Some(2), None]);
        let always = Seldom::every(Duration::ZERO);
        assert!((0..3).all(|_| always.is_due()));
    }

    #[test]
    fn times_are_rfc_3339_and_never_panic() {
        assert_eq!(rfc3339(UnixTime::from_seconds(1_795_248_392)), "2026-11-21T08:06:32Z");
        assert_eq!(rfc3339(UnixTime::from_seconds(-5)), "1970-01-01T00:00:00Z");
        assert!(rfc3339(UnixTime::from_seconds(i64::MAX)).starts_with("9999-12-31"));
    }
}
