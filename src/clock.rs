//! The only source of the current time.
//!
//! Rules take the time as an argument; whoever calls them asks this clock once a request. Tests hand in a clock of
//! their own through `App::build`, so the shipped binary has no switch that moves time.

use std::{
    fmt,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::auth::time::UnixTime;

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
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
fn system_time() -> UnixTime {
    let seconds = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_secs()).map_or(i64::MIN, |seconds| -seconds),
    };
    UnixTime::from_seconds(seconds)
}
