//! Looking a nonce up without using it, beside a running gate.
//!
//! Every accepted nonce is in the journal's files before its request goes on, and files are only ever appended to or
//! deleted as a whole. So another process may read them without the lock and sees what the gate has accepted so far. Nothing
//! is written, cut or locked here. A gate without a journal keeps its nonces to itself: there is nothing to look at.

use std::path::PathBuf;

use crate::auth::time::UnixTime;

use super::directory;
use super::error::NonceError;
use super::quarantine::BootId;
use super::segment::Segment;
use super::settings::{NonceSettings, Recorded};
use super::state::StateFile;
use super::timeline::Timeline;

/// The journal of a gate, running or not, read only.
#[derive(Debug, Clone)]
pub struct NoncePeek {
    timeline: Timeline,
    journal: PathBuf,
}

impl NoncePeek {
    /// Where to look; `None` where no journal is kept.
    #[must_use]
    pub fn new(settings: NonceSettings) -> Option<Self> {
        let NonceSettings { past, future, max: _, journal } = settings;
        Some(Self { timeline: Timeline::new(past, future), journal: journal? })
    }

    /// What recording the nonce would answer now. A journal that does not exist yet has used none.
    ///
    /// # Errors
    /// If the files cannot be read, or are not a nonce journal.
    pub fn look(
        &self,
        consumer_id: u32,
        nonce: &[u8],
        timestamp: UnixTime,
        now: UnixTime,
    ) -> Result<Recorded, NonceError> {
        let live = self.timeline.live(now);
        let bucket = self.timeline.bucket_of(timestamp);
        let Some((keys, promise)) = StateFile::read(&self.journal)? else {
            return Ok(if live.contains(&bucket) { Recorded::Fresh } else { Recorded::Expired });
        };
        if !live.contains(&bucket) || bucket < self.timeline.first_from(promise.floor) {
            return Ok(Recorded::Expired);
        }
        let boot = BootId::current().mark(&keys);
        let has_crashed = !promise.is_closed && (boot.is_none() || boot != promise.boot);
        let quarantine = promise.quarantine.max(has_crashed.then_some(promise.horizon));
        if let Some(until) = quarantine.filter(|until| timestamp <= *until) {
            return Ok(Recorded::Quarantined { until });
        }
        let wanted = keys.fingerprint(consumer_id, nonce);
        let mut is_used = false;
        for file in directory::segments(&self.journal)? {
            Segment::scan(&file, &keys, |found, time| {
                is_used |= found == wanted && live.contains(&self.timeline.bucket_of(time));
            })?;
        }
        Ok(if is_used { Recorded::Used } else { Recorded::Fresh })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::NonceStore;
    use super::*;

    const NOW: UnixTime = UnixTime::from_seconds(1_795_248_000);

    #[test]
    fn what_a_running_gate_used_is_seen_and_nothing_is_used_up() {
        let folder = tempfile::tempdir().unwrap();
        let settings = NonceSettings {
            past: Duration::from_secs(600),
            future: Duration::from_secs(600),
            max: 1000,
            journal: Some(folder.path().join("nonces")),
        };
        let peek = NoncePeek::new(settings.clone()).unwrap();
        assert_eq!(peek.look(1, b"n", NOW, NOW).unwrap(), Recorded::Fresh, "no journal yet");
        assert!(!folder.path().join("nonces").exists(), "looking makes no directory");

        let store = NonceStore::open(settings.clone(), NOW).unwrap();
        assert_eq!(peek.look(1, b"n", NOW, NOW).unwrap(), Recorded::Fresh);
        assert_eq!(store.record(1, b"n", NOW, NOW), Recorded::Fresh);
        for _ in 0..2 {
            assert_eq!(peek.look(1, b"n", NOW, NOW).unwrap(), Recorded::Used);
            assert_eq!(peek.look(2, b"n", NOW, NOW).unwrap(), Recorded::Fresh);
            assert_eq!(peek.look(1, b"m", NOW, NOW).unwrap(), Recorded::Fresh);
        }
        assert_eq!(store.record(1, b"m", NOW, NOW), Recorded::Fresh, "looking used nothing up");
        let later = NOW.plus(Duration::from_secs(3600));
        assert_eq!(peek.look(1, b"n", NOW, later).unwrap(), Recorded::Expired);
        assert!(NoncePeek::new(NonceSettings { journal: None, ..settings }).is_none());
    }

    #[test]
    fn what_is_no_journal_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("state"), [7; 1536]).unwrap();
        let ten_minutes = Duration::from_secs(600);
        let journal = Some(folder.path().to_owned());
        let settings = NonceSettings { past: ten_minutes, future: ten_minutes, max: 10, journal };
        assert!(NoncePeek::new(settings).unwrap().look(1, b"n", NOW, NOW).is_err());
    }
}
