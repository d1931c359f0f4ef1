//! When too many wrong passwords lock an account.
//!
//! `Customer\Model\Authentication::processAuthenticationFailure` (`MAGENTO_AUTH` section 6.6): failures count up without a
//! window, the lock has one. Nothing on REST ever sets the count back; a failure after the lock's end does.

use std::time::Duration;

use crate::auth::time::UnixTime;

/// `customer/password/lockout_failures` and `lockout_threshold`; zero in either locks nobody and counts nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockoutLimits {
    /// The failure that locks.
    pub failures: u32,
    /// How long.
    pub duration: Duration,
}

/// An account's `failures_num`, `first_failure` and `lock_expires`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lockout {
    /// Failures so far.
    pub failures: u32,
    /// When the first of them was.
    pub first_failure: Option<UnixTime>,
    /// When the lock ends, or ended.
    pub lock_expires: Option<UnixTime>,
}

impl Lockout {
    /// Whether the account is locked.
    #[must_use]
    pub fn is_locked(&self, now: UnixTime) -> bool {
        self.lock_expires.is_some_and(|end| end > now)
    }

    /// What a wrong password makes of it; `None` where nothing is counted.
    #[must_use]
    pub fn after_failure(self, limits: LockoutLimits, now: UnixTime) -> Option<Self> {
        if limits.failures == 0 || limits.duration.is_zero() {
            return None;
        }
        let failures = self.failures.saturating_add(1);
        let is_over = self.lock_expires.is_some_and(|end| now > end);
        if failures == 1 || self.first_failure.is_none() || is_over {
            return Some(Self { failures: 1, first_failure: Some(now), lock_expires: None });
        }
        let lock_expires =
            if failures >= limits.failures { Some(now.plus(limits.duration)) } else { self.lock_expires };
        Some(Self { failures, first_failure: self.first_failure, lock_expires })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: LockoutLimits = LockoutLimits { failures: 10, duration: Duration::from_secs(600) };

    fn lockout(failures: u32, first: Option<i64>, expires: Option<i64>) -> Lockout {
        Lockout {
            failures,
            first_failure: first.map(UnixTime::from_seconds),
            lock_expires: expires.map(UnixTime::from_seconds),
        }
    }

    #[test]
    fn failures_count_up_and_the_last_one_locks() {
        let now = UnixTime::from_seconds(1000);
        for (before, after) in [
            (lockout(0, None, None), lockout(1, Some(1000), None)),
            (lockout(1, Some(500), None), lockout(2, Some(500), None)),
            (lockout(8, Some(1), None), lockout(9, Some(1), None)),
            (lockout(9, Some(1), None), lockout(10, Some(1), Some(1600))),
            (lockout(10, Some(1), Some(1300)), lockout(11, Some(1), Some(1600))),
            (lockout(10, Some(1), Some(1000)), lockout(11, Some(1), Some(1600))),
            (lockout(10, Some(1), Some(999)), lockout(1, Some(1000), None)),
            (lockout(5, None, None), lockout(1, Some(1000), None)),
            (lockout(u32::MAX, Some(1), None), lockout(u32::MAX, Some(1), Some(1600))),
        ] {
            assert_eq!(before.after_failure(LIMITS, now), Some(after), "{before:?}");
        }
    }

    #[test]
    fn a_lock_holds_until_its_second() {
        for (end, is_locked) in [(Some(1001), true), (Some(1000), false), (None, false)] {
            assert_eq!(lockout(10, None, end).is_locked(UnixTime::from_seconds(1000)), is_locked);
        }
    }

    #[test]
    fn zero_in_either_setting_counts_nothing() {
        let now = UnixTime::from_seconds(1000);
        let never = LockoutLimits { failures: 0, ..LIMITS };
        let at_once_over = LockoutLimits { duration: Duration::ZERO, ..LIMITS };
        for limits in [never, at_once_over] {
            assert_eq!(lockout(3, Some(1), None).after_failure(limits, now), None);
        }
        let first = LockoutLimits { failures: 1, ..LIMITS };
        assert_eq!(Lockout::default().after_failure(first, now), Some(lockout(1, Some(1000), None)));
    }
}
