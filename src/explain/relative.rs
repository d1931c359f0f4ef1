//! Moments as people read them: the number, and how far from now.

use std::time::Duration;

use crate::auth::time::UnixTime;

/// `1795248000 (2h 3m ago)`, `1795248000 (in 5m)`, `1795248000 (now)`.
pub(super) fn relative(moment: UnixTime, now: UnixTime) -> String {
    let seconds = moment.seconds();
    let distance = span(seconds.abs_diff(now.seconds()));
    match seconds.cmp(&now.seconds()) {
        std::cmp::Ordering::Less => format!("{seconds} ({distance} ago)"),
        std::cmp::Ordering::Equal => format!("{seconds} (now)"),
        std::cmp::Ordering::Greater => format!("{seconds} (in {distance})"),
    }
}

/// A span in words.
pub(super) fn span(seconds: u64) -> String {
    humantime::format_duration(Duration::from_secs(seconds)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_has_a_direction() {
        let at = UnixTime::from_seconds;
        assert_eq!(relative(at(100), at(165)), "100 (1m 5s ago)");
        assert_eq!(relative(at(165), at(100)), "165 (in 1m 5s)");
        assert_eq!(relative(at(1), at(1)), "1 (now)");
        let _ = relative(at(i64::MIN), at(i64::MAX));
    }
}
