//! Points in time as the protocol has them: whole seconds since 1970, UTC.
//!
//! Magento stores `YYYY-MM-DD HH:MM:SS` in UTC and compares whole seconds; OAuth timestamps and JWT claims are whole
//! seconds too. Rules take a [`UnixTime`] as an argument and never ask a clock.

use std::time::Duration;

/// Seconds since 1970-01-01T00:00:00Z; may be negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(i64);

impl UnixTime {
    /// The given number of seconds since the epoch.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Seconds since the epoch.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0
    }

    /// This time and a duration, whole seconds, saturating.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)))
    }

    /// This time less a duration, whole seconds, saturating.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_instead_of_wrapping() {
        assert_eq!(UnixTime::from_seconds(i64::MAX).plus(Duration::from_secs(1)).seconds(), i64::MAX);
        assert_eq!(UnixTime::from_seconds(i64::MIN).minus(Duration::from_secs(1)).seconds(), i64::MIN);
        assert_eq!(UnixTime::from_seconds(10).plus(Duration::from_secs(5)), UnixTime::from_seconds(15));
    }
}
