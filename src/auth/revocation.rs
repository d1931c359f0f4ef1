//! The second of a revocation: which tokens it ends, and how the next one is dated.
//!
//! Magento ends what was issued up to `revoke_before`, that second included, and counts whole seconds. A token that is issued
//! in that second must hold all the same, so it is dated one second later; and so another revocation in that second has to
//! reach one second further than the one before, or it would not end that token. Times ahead of the clock stay near it: one
//! that is far ahead is somebody's ban, or a clock that was set back, and nothing is dated behind it.

use std::time::Duration;

use super::time::UnixTime;

/// How far ahead of the clock revocations and tokens are dated at most: one revocation takes them one second further.
pub const MOST_AHEAD: Duration = Duration::from_secs(60);

/// When a token is issued, as it says, so that the last revocation of its user does not end it.
#[must_use]
pub fn issue_time(now: UnixTime, revoke_before: Option<UnixTime>) -> UnixTime {
    match revoke_before {
        Some(last) if now <= last && last <= now.plus(MOST_AHEAD) => last.plus(Duration::from_secs(1)),
        Some(_) | None => now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_dated_behind_a_revocation_that_is_near() {
        let at = UnixTime::from_seconds;
        for (revoke_before, expected) in [
            (None, 1000),
            (Some(999), 1000),
            (Some(1000), 1001),
            (Some(1001), 1002),
            (Some(1060), 1061),
            (Some(1061), 1000),
            (Some(i64::MAX), 1000),
        ] {
            assert_eq!(issue_time(at(1000), revoke_before.map(at)), at(expected), "{revoke_before:?}");
        }
    }
}
