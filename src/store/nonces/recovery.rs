//! Opening a journal: what earlier runs left becomes memory again.
//!
//! Order matters: the floor before the records it judges; every file read and synced before this run's promise replaces
//! the last one; files deleted only after that. A crash at any point leaves what a later opening needs.

use std::path::Path;

use crate::auth::time::UnixTime;

use super::directory::Directory;
use super::error::NonceError;
use super::fingerprint::{Fingerprint, Keys};
use super::journal::Journal;
use super::memory::Memory;
use super::quarantine::{BootId, horizon};
use super::record::Damage;
use super::segment::{Segment, delete};
use super::settings::Recovery;
use super::state::{Promise, StateFile};
use super::timeline::Timeline;

/// Opens the journal of a directory and fills the memory from it.
pub(super) fn recover(
    path: &Path,
    timeline: Timeline,
    memory: &Memory,
    now: UnixTime,
    boot: &BootId,
) -> Result<(Journal, Recovery), NonceError> {
    let directory = Directory::open(path)?;
    let files = directory.segments()?;
    let (state, last) = match StateFile::open(path)? {
        Some(found) => found,
        None if files.is_empty() => (StateFile::create(path, NOTHING)?, NOTHING),
        None => return Err(NonceError::StateLost { path: path.join(super::state::NAME) }),
    };
    let keys = state.keys();
    memory.raise_floor(timeline.first_from(last.floor));
    let mut refill = Refill { timeline, memory, now, keys, recovery: Recovery::default() };
    let mut segments = Vec::with_capacity(files.len());
    for file in &files {
        segments.extend(refill.read(file)?);
    }
    let boot = boot.mark(&keys);
    let has_crashed = !last.is_closed && (boot.is_none() || boot != last.boot);
    let promise = Promise {
        boot,
        horizon: horizon(timeline, now),
        floor: timeline.start_of(memory.floor()),
        quarantine: last.quarantine.max(has_crashed.then_some(last.horizon)),
        is_closed: false,
    };
    let recovery = Recovery { quarantined_until: promise.quarantine, ..refill.recovery };
    Ok((Journal::begin(directory, state, segments, timeline, promise)?, recovery))
}

/// What stands before the first run: nothing that could have been lost.
const NOTHING: Promise = Promise {
    boot: None,
    horizon: UnixTime::from_seconds(i64::MIN),
    floor: UnixTime::from_seconds(i64::MIN),
    quarantine: None,
    is_closed: true,
};

struct Refill<'a> {
    timeline: Timeline,
    memory: &'a Memory,
    now: UnixTime,
    keys: Keys,
    recovery: Recovery,
}

impl Refill<'_> {
    /// Reads one file. One whose head never reached the disk held nothing that was synced: it goes.
    fn read(&mut self, file: &Path) -> Result<Option<Segment>, NonceError> {
        let keys = self.keys;
        let Some((segment, damage)) = Segment::reopen(file, &keys, |print, time| self.take(print, time))?
        else {
            self.recovery.torn += 1;
            delete(file)?;
            return Ok(None);
        };
        let Damage { corrupt, is_torn } = damage;
        self.recovery.corrupt += corrupt;
        self.recovery.torn += usize::from(is_torn);
        Ok(Some(segment))
    }

    /// A record whose time is up raises the floor, as dropping its bucket would have done.
    fn take(&mut self, fingerprint: Fingerprint, timestamp: UnixTime) {
        let bucket = self.timeline.bucket_of(timestamp);
        if bucket < *self.timeline.live(self.now).start() {
            self.memory.raise_floor(bucket.next());
            self.recovery.expired += 1;
        } else if self.memory.restore(fingerprint, timestamp) {
            self.recovery.restored += 1;
        } else {
            self.recovery.expired += 1;
        }
    }
}
