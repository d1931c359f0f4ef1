//! Nonces that outlive the process: a directory with one file a time bucket, the state file and a lock.
//!
//! A nonce is claimed in memory first and written before `record` answers, so a racing duplicate is refused even while
//! the first is being written, and what was answered `Fresh` is in the kernel: a kill loses nothing. A failed write
//! refuses the request and leaves the nonce claimed.
//!
//! [`Journal::sync`] does what must not happen on the request's way: syncing, the heartbeat, deleting the files of
//! dropped buckets (after the floor that covers them is on the disk). Why the horizon may rise only after the
//! heartbeat and sink only before the sync is said in `quarantine`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::auth::time::UnixTime;

use super::directory::Directory;
use super::error::NonceError;
use super::fingerprint::{Fingerprint, Keys};
use super::quarantine::{horizon, is_due};
use super::segment::Segment;
use super::state::{Promise, StateFile};
use super::timeline::Timeline;

/// The open journal; its lock is held until it is closed or dropped.
#[derive(Debug)]
pub(super) struct Journal {
    directory: Directory,
    timeline: Timeline,
    keys: Keys,
    open: RwLock<Open>,
    keeper: Mutex<Keeper>,
    failure: Mutex<Option<NonceError>>,
    has_unsynced_names: AtomicBool,
}

/// What a record needs: read for every record, written when a file comes or goes.
#[derive(Debug)]
struct Open {
    segments: Vec<Arc<Segment>>,
    horizon: UnixTime,
    is_closed: bool,
}

/// What syncing needs; one sync at a time.
#[derive(Debug)]
struct Keeper {
    state: StateFile,
    promise: Promise,
    /// After a failed sync the kernel may call lost data synced: from then on nothing counts as synced.
    has_lost_sync: bool,
}

impl Journal {
    /// Takes over the files of earlier runs, promises what this run will accept, and syncs both.
    pub(super) fn begin(
        directory: Directory,
        mut state: StateFile,
        segments: Vec<Segment>,
        timeline: Timeline,
        promise: Promise,
    ) -> Result<Self, NonceError> {
        for segment in &segments {
            segment.sync()?;
        }
        state.write(promise)?;
        directory.sync()?;
        let segments = segments.into_iter().map(Arc::new).collect();
        let journal = Self {
            directory,
            timeline,
            keys: state.keys(),
            open: RwLock::new(Open { segments, horizon: promise.horizon, is_closed: false }),
            keeper: Mutex::new(Keeper { state, promise, has_lost_sync: false }),
            failure: Mutex::new(None),
            has_unsynced_names: AtomicBool::new(false),
        };
        journal.delete_before(promise.floor)?;
        Ok(journal)
    }

    /// Writes a nonce; says whether that succeeded. The next sync tells why not.
    pub(super) fn append(&self, fingerprint: Fingerprint, timestamp: UnixTime) -> bool {
        match self.try_append(fingerprint, timestamp) {
            Ok(()) => true,
            Err(error) => {
                lock(&self.failure).get_or_insert(error);
                false
            }
        }
    }

    /// The functions under the journal's seed.
    pub(super) const fn keys(&self) -> Keys {
        self.keys
    }

    /// Syncs, writes the heartbeat if it is due, and deletes the files below the floor.
    pub(super) fn sync(&self, now: UnixTime, floor: UnixTime) -> Result<(), NonceError> {
        let mut keeper = lock(&self.keeper);
        if self.read().is_closed {
            return Ok(());
        }
        let last = keeper.promise;
        let mut next = Promise { horizon: horizon(self.timeline, now), floor, ..last };
        if keeper.has_lost_sync {
            next.horizon = next.horizon.max(last.horizon);
        }
        if next.horizon < last.horizon {
            self.write().horizon = next.horizon;
        }
        self.sync_segments(&mut keeper)?;
        if floor != last.floor || is_due(last.horizon, next.horizon) {
            keeper.keep(next)?;
            self.write().horizon = next.horizon;
            self.delete_before(floor)?;
        }
        lock(&self.failure).take().map_or(Ok(()), Err)
    }

    /// Ends the run: nothing is accepted any more, everything is on the disk, the lock is free.
    pub(super) fn close(&self, floor: UnixTime) -> Result<(), NonceError> {
        let mut keeper = lock(&self.keeper);
        if std::mem::replace(&mut self.write().is_closed, true) {
            return Ok(());
        }
        self.sync_segments(&mut keeper)?;
        let is_closed = !keeper.has_lost_sync;
        let end = Promise { floor, is_closed, ..keeper.promise };
        keeper.keep(end)?;
        self.delete_before(floor)?;
        self.directory.unlock()
    }

    fn try_append(&self, fingerprint: Fingerprint, timestamp: UnixTime) -> Result<(), NonceError> {
        let start = self.timeline.start_of(self.timeline.bucket_of(timestamp));
        let width = self.timeline.width();
        {
            let open = self.read();
            self.admit(&open, timestamp)?;
            if let Some(segment) = open.segment(start, width) {
                return segment.append(fingerprint, timestamp, &self.keys);
            }
        }
        let mut open = self.write();
        self.admit(&open, timestamp)?;
        if let Some(segment) = open.segment(start, width) {
            return segment.append(fingerprint, timestamp, &self.keys);
        }
        let segment = Segment::create(self.directory.path(), start, width, &self.keys)?;
        self.has_unsynced_names.store(true, Ordering::Release);
        let written = segment.append(fingerprint, timestamp, &self.keys);
        open.segments.push(Arc::new(segment));
        written
    }

    /// Checked under the lock that also covers the write, so that closing and lowering the horizon wait for it.
    fn admit(&self, open: &Open, timestamp: UnixTime) -> Result<(), NonceError> {
        if open.is_closed {
            return Err(NonceError::Closed { path: self.directory.path().to_owned() });
        }
        if timestamp > open.horizon {
            return Err(NonceError::HeartbeatLate { path: self.directory.path().to_owned() });
        }
        Ok(())
    }

    fn sync_segments(&self, keeper: &mut Keeper) -> Result<(), NonceError> {
        let synced = self.try_sync_segments();
        keeper.has_lost_sync |= synced.is_err();
        synced
    }

    fn try_sync_segments(&self) -> Result<(), NonceError> {
        let segments = self.read().segments.clone();
        segments.iter().try_for_each(|segment| segment.sync())?;
        if self.has_unsynced_names.swap(false, Ordering::AcqRel) { self.directory.sync() } else { Ok(()) }
    }

    fn delete_before(&self, floor: UnixTime) -> Result<(), NonceError> {
        let dead: Vec<_> = self.write().segments.extract_if(.., |segment| segment.end() <= floor).collect();
        dead.iter().try_for_each(|segment| segment.delete())
    }

    fn read(&self) -> RwLockReadGuard<'_, Open> {
        self.open.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Open> {
        self.open.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn segment(&self, start: UnixTime, width: u32) -> Option<&Segment> {
        self.segments.iter().find(|segment| segment.spans(start, width)).map(AsRef::as_ref)
    }
}

impl Keeper {
    fn keep(&mut self, promise: Promise) -> Result<(), NonceError> {
        self.state.write(promise)?;
        self.promise = promise;
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
impl Journal {
    /// From now on the bucket of this timestamp lies on a disk without room.
    pub(super) fn fill_disk(&self, timestamp: UnixTime) {
        let start = self.timeline.start_of(self.timeline.bucket_of(timestamp));
        self.write().segments = vec![Arc::new(Segment::on_full_disk(start, self.timeline.width()))];
    }
}
