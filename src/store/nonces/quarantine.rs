//! What a crash of the host can make us forget, and what is refused because of it.
//!
//! A killed process loses nothing: what it wrote is in the kernel. A crashed host may lose whatever was not synced,
//! and the lost nonces may carry any acceptable timestamp. So every run promises on disk how far its accepted
//! timestamps reach, and after a crash everything up to that horizon is refused:
//!
//! - The horizon is the last heartbeat + [`HEARTBEAT_INTERVAL`] + the future window. A heartbeat is written and synced
//!   twice an interval, idle or not.
//! - A timestamp above the horizon on disk is not accepted (`JournalFailed`), so no accepted timestamp, lost or not,
//!   lies above it. In a healthy process that refuses nobody: now + the future window stays below the horizon.
//! - The horizon sinks (the clock was set back) only after every accepted nonce was synced.
//!
//! The host crashed when the boot id is another one and the run before did not close. A boot id that cannot be read
//! counts as another one. A clean close syncs everything and needs no quarantine. The refusals end by themselves:
//! timestamps of now pass the horizon after at most the interval + the future window.

use std::fs;
use std::time::Duration;

use crate::auth::time::UnixTime;

use super::fingerprint::Keys;
use super::timeline::Timeline;

/// How long a heartbeat's promise holds beyond the future window.
pub(super) const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(10);

/// Where Linux says which boot this is.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Which boot of the host this is, if the host says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BootId(pub(super) Option<String>);

impl BootId {
    /// Asks the kernel.
    pub(super) fn current() -> Self {
        Self(fs::read_to_string(BOOT_ID).ok().map(|id| id.trim().to_owned()).filter(|id| !id.is_empty()))
    }

    /// The boot as it is stored; `None` is never the same boot.
    pub(super) fn mark(&self, keys: &Keys) -> Option<u64> {
        self.0.as_deref().map(|id| keys.mark_of(id))
    }
}

/// The latest timestamp that a run whose heartbeat is `now` may accept.
pub(super) fn horizon(timeline: Timeline, now: UnixTime) -> UnixTime {
    timeline.latest(now).plus(HEARTBEAT_INTERVAL)
}

/// Whether a heartbeat is due: half an interval has gone by, in either direction. The half leaves room for a late one.
pub(super) fn is_due(last: UnixTime, next: UnixTime) -> bool {
    last.seconds().abs_diff(next.seconds()) >= HEARTBEAT_INTERVAL.as_secs() / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_boot_has_no_mark() {
        let keys = Keys::unkeyed();
        assert_eq!(BootId(None).mark(&keys), None);
        assert_ne!(BootId(Some("a".into())).mark(&keys), BootId(Some("b".into())).mark(&keys));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn linux_names_its_boot() {
        assert!(BootId::current().0.is_some());
    }

    #[test]
    fn the_heartbeat_is_due_after_half_an_interval_either_way() {
        let at = UnixTime::from_seconds;
        for (last, next, due) in
            [(0, 0, false), (0, 4, false), (0, 5, true), (5, 0, true), (i64::MIN, i64::MAX, true)]
        {
            assert_eq!(is_due(at(last), at(next)), due, "{last} {next}");
        }
    }
}
