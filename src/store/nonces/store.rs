//! The nonce store: memory, journal and quarantine behind one `record`.

use std::fmt;

use crate::auth::time::UnixTime;

use super::error::NonceError;
use super::fingerprint::{Keys, Seed};
use super::journal::Journal;
use super::memory::{Claim, Memory};
use super::quarantine::BootId;
use super::recovery::recover;
use super::settings::{NonceSettings, Recorded, Recovery};
use super::timeline::Timeline;

/// Remembers which nonces were used, for as long as their timestamps are acceptable.
///
/// Shared by all threads; nothing on it awaits. [`sync`](Self::sync) and [`close`](Self::close) wait for the disk and
/// belong on a thread that may block.
pub struct NonceStore {
    timeline: Timeline,
    keys: Keys,
    memory: Memory,
    journal: Option<Journal>,
    recovery: Recovery,
}

impl NonceStore {
    /// Opens the store; with a journal, everything that an earlier run accepted and that is not too old is used again.
    ///
    /// # Errors
    /// If the journal is in use by another process, cannot be read or written, or is not one that this program wrote.
    pub fn open(settings: NonceSettings, now: UnixTime) -> Result<Self, NonceError> {
        Self::open_on(&BootId::current(), settings, now)
    }

    fn open_on(boot: &BootId, settings: NonceSettings, now: UnixTime) -> Result<Self, NonceError> {
        let NonceSettings { past, future, max, journal } = settings;
        let timeline = Timeline::new(past, future);
        let memory = Memory::new(timeline, max);
        let Some(path) = journal else {
            let keys = Keys::new(Seed::random()?);
            return Ok(Self { timeline, keys, memory, journal: None, recovery: Recovery::default() });
        };
        let (journal, recovery) = recover(&path, timeline, &memory, now, boot)?;
        Ok(Self { timeline, keys: journal.keys(), memory, journal: Some(journal), recovery })
    }

    /// Uses up a nonce of a consumer whose signature verified. Of any number of racing calls for the same nonce,
    /// whatever their timestamps, at most one hears [`Recorded::Fresh`].
    #[must_use = "only a fresh nonce lets the request go on"]
    pub fn record(&self, consumer_id: u32, nonce: &[u8], timestamp: UnixTime, now: UnixTime) -> Recorded {
        self.memory.expire(now);
        let bucket = self.timeline.bucket_of(timestamp);
        if !self.timeline.live(now).contains(&bucket) {
            return Recorded::Expired;
        }
        if let Some(until) = self.recovery.quarantined_until.filter(|until| timestamp <= *until) {
            return Recorded::Quarantined { until };
        }
        let fingerprint = self.keys.fingerprint(consumer_id, nonce);
        match self.memory.claim(fingerprint, bucket) {
            Claim::First
                if self.journal.as_ref().is_none_or(|journal| journal.append(fingerprint, timestamp)) =>
            {
                Recorded::Fresh
            }
            Claim::First => Recorded::JournalFailed,
            Claim::Taken => Recorded::Used,
            Claim::Full => Recorded::Full,
            Claim::BelowFloor => Recorded::Expired,
        }
    }

    /// Whether the consumer used this nonce, without using it: to choose Magento's error text when the signature was
    /// bad. Magento would name a used nonce before it looks at the signature.
    #[must_use]
    pub fn is_used(&self, consumer_id: u32, nonce: &[u8]) -> bool {
        self.memory.contains(self.keys.fingerprint(consumer_id, nonce))
    }

    /// Drops what is too old, syncs the journal, writes the heartbeat when it is due. To be called every second.
    ///
    /// # Errors
    /// If the disk fails, or the first failure of a `record` since the last call; each is told once.
    pub fn sync(&self, now: UnixTime) -> Result<(), NonceError> {
        self.memory.expire(now);
        self.journal.as_ref().map_or(Ok(()), |journal| journal.sync(now, self.floor()))
    }

    /// Ends the run in order and frees the journal for the next process; from then on every new nonce is
    /// [`Recorded::JournalFailed`]. Without a journal it does nothing.
    ///
    /// # Errors
    /// If the disk fails; the next opening on another boot of the host then quarantines.
    pub fn close(&self) -> Result<(), NonceError> {
        self.journal.as_ref().map_or(Ok(()), |journal| journal.close(self.floor()))
    }

    /// What opening found in the journal.
    #[must_use]
    pub const fn recovery(&self) -> Recovery {
        self.recovery
    }

    /// How many nonces are held; more than the capacity if an earlier run had a higher bound.
    #[must_use]
    pub fn len(&self) -> usize {
        self.memory.len()
    }

    /// Whether no nonce is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many nonces may be held.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.memory.capacity()
    }

    /// Bytes that the held nonces take in memory.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.memory.allocated()
    }

    fn floor(&self) -> UnixTime {
        self.timeline.start_of(self.memory.floor())
    }
}

impl fmt::Debug for NonceStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NonceStore")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .field("recovery", &self.recovery)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};
    use std::fs;
    use std::io::{BufRead, BufReader, Write};
    use std::path::Path;
    use std::process::{Command, Stdio};
    use std::sync::Barrier;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_700_000_000;
    const WINDOW: i64 = 600;

    fn at(seconds: i64) -> UnixTime {
        UnixTime::from_seconds(seconds)
    }

    fn settings(max: usize, journal: Option<&Path>) -> NonceSettings {
        let window = Duration::from_secs(600);
        NonceSettings { past: window, future: window, max, journal: journal.map(Path::to_owned) }
    }

    fn in_memory(max: usize) -> NonceStore {
        NonceStore::open(settings(max, None), at(NOW)).unwrap()
    }

    fn boot(name: &str) -> BootId {
        BootId(Some(name.to_owned()))
    }

    fn open(directory: &Path, boot_id: &str, now: i64) -> NonceStore {
        NonceStore::open_on(&boot(boot_id), settings(1000, Some(directory)), at(now)).unwrap()
    }

    fn segment_count(directory: &Path) -> usize {
        let names = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_str().unwrap().ends_with(".nonces")).count()
    }

    #[test]
    fn a_nonce_is_fresh_once_for_its_consumer_byte_exact_whatever_its_timestamp() {
        let store = in_memory(100);
        let cases: [(u32, &[u8], i64, Recorded); 14] = [
            (1, b"nonce", 0, Recorded::Fresh),
            (1, b"nonce", 0, Recorded::Used),
            (1, b"nonce", 599, Recorded::Used),
            (1, b"nonce", -599, Recorded::Used),
            (2, b"nonce", 0, Recorded::Fresh),
            (1, b"Nonce", 0, Recorded::Fresh),
            (1, b"nonce ", 0, Recorded::Fresh),
            (1, b"", 0, Recorded::Fresh),
            (1, b"", 0, Recorded::Used),
            (1, b"0", 0, Recorded::Fresh),
            (1, b"0123456789abcdef0123456789abcdef1", 0, Recorded::Fresh),
            (1, b"0123456789abcdef0123456789abcdef2", 0, Recorded::Fresh),
            (1, b"\xff\x00", -600, Recorded::Fresh),
            (1, b"\xff", 600, Recorded::Fresh),
        ];
        for (consumer, nonce, age, expected) in cases {
            assert_eq!(
                store.record(consumer, nonce, at(NOW + age), at(NOW)),
                expected,
                "{consumer} {nonce:?} {age}"
            );
        }
        assert_eq!(store.len(), 10);
    }

    #[test]
    fn timestamps_far_outside_the_window_make_no_bucket() {
        let store = in_memory(100);
        for age in [-WINDOW - 150, WINDOW + 150, i64::MIN / 2, i64::MAX / 2] {
            assert_eq!(store.record(1, b"n", at(NOW + age), at(NOW)), Recorded::Expired, "{age}");
        }
        for timestamp in [i64::MIN, i64::MAX, 0, -1] {
            assert_eq!(store.record(1, b"n", at(timestamp), at(NOW)), Recorded::Expired, "{timestamp}");
        }
        assert!(store.is_empty());
    }

    #[test]
    fn peeking_does_not_use_a_nonce() {
        let store = in_memory(100);
        assert!(!store.is_used(1, b"n"));
        assert_eq!(store.record(1, b"n", at(NOW), at(NOW)), Recorded::Fresh);
        assert!(store.is_used(1, b"n"));
        assert!(!store.is_used(2, b"n"));
    }

    /// How many of the nonces 0 to `count` are fresh.
    fn count_fresh(store: &NonceStore, consumer: u32, count: u32, timestamp: i64) -> usize {
        let answers = (0..count).map(|n| store.record(consumer, &n.to_le_bytes(), at(timestamp), at(NOW)));
        answers.filter(|answer| *answer == Recorded::Fresh).count()
    }

    #[test]
    fn of_racing_threads_exactly_one_gets_the_nonce() {
        let directory = tempfile::tempdir().unwrap();
        for store in [in_memory(100_000), open(directory.path(), "a", NOW)] {
            let barrier = Barrier::new(24);
            // Every thread brings a timestamp, and so a bucket, of its own.
            let race = &|thread: i64| {
                barrier.wait();
                count_fresh(&store, 1, 300, NOW - 580 + 50 * thread)
            };
            let fresh: usize = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..24).map(|thread| scope.spawn(move || race(thread))).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).sum()
            });
            assert_eq!((fresh, store.len()), (300, 300));
        }
    }

    #[test]
    fn the_bound_holds_under_racing_threads() {
        let store = &in_memory(500);
        let fresh: usize = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..8).map(|n| scope.spawn(move || count_fresh(store, n, 200, NOW))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!((fresh, store.len()), (500, 500));
    }

    #[test]
    fn a_full_store_refuses_and_evicts_nothing_until_time_is_up() {
        let store = in_memory(3);
        assert_eq!(store.capacity(), 3);
        for nonce in 0..3 {
            assert_eq!(store.record(1, &[nonce], at(NOW), at(NOW)), Recorded::Fresh);
        }
        assert_eq!(store.record(1, &[3], at(NOW), at(NOW)), Recorded::Full);
        assert!(!store.is_used(1, &[3]), "what was refused is not used");
        assert_eq!(
            store.record(1, &[0], at(NOW), at(NOW)),
            Recorded::Used,
            "a replay is told from a full store"
        );
        assert_eq!(store.record(1, &[3], at(NOW + WINDOW), at(NOW + WINDOW)), Recorded::Full, "still live");
        let later = NOW + WINDOW + 150;
        assert_eq!(store.record(1, &[3], at(later), at(later)), Recorded::Fresh, "expired buckets go first");
        assert_eq!(store.len(), 1);
    }

    #[test]
    fn a_nonce_stays_used_for_the_whole_past_window_and_at_most_a_bucket_longer() {
        for age in 0..150 {
            let (store, begun) = (in_memory(1), NOW + age);
            assert_eq!(store.record(1, b"n", at(begun), at(begun)), Recorded::Fresh);
            assert_eq!(store.record(1, b"n", at(begun), at(begun + WINDOW)), Recorded::Used, "{age}");
            store.sync(at(begun + WINDOW + 150)).unwrap();
            assert!(store.is_empty(), "{age}");
        }
    }

    #[test]
    fn a_clock_that_goes_back_does_not_reopen_what_was_dropped() {
        let store = in_memory(100);
        assert_eq!(store.record(1, b"n", at(NOW), at(NOW)), Recorded::Fresh);
        store.sync(at(NOW + 900)).unwrap();
        assert!(store.is_empty());
        assert_eq!(store.record(1, b"n", at(NOW), at(NOW)), Recorded::Expired);
        assert_eq!(store.record(1, b"m", at(NOW), at(NOW)), Recorded::Expired);
        assert_eq!(store.record(1, b"n", at(NOW + 150), at(NOW + 10)), Recorded::Fresh, "above the floor");
    }

    #[test]
    fn a_clock_that_was_a_year_ahead_blocks_only_what_was_forgotten() {
        let store = in_memory(100);
        let year = 365 * 86_400;
        assert_eq!(store.record(1, b"n", at(NOW), at(NOW)), Recorded::Fresh);
        assert_eq!(store.record(1, b"ahead", at(NOW + year), at(NOW + year)), Recorded::Fresh);
        assert_eq!(store.record(1, b"n", at(NOW), at(NOW)), Recorded::Expired);
        assert_eq!(store.record(1, b"n", at(NOW + 150), at(NOW + 150)), Recorded::Fresh);
        assert_eq!(
            store.record(1, b"ahead", at(NOW + 150), at(NOW + 150)),
            Recorded::Used,
            "kept by its own timestamp"
        );
    }

    #[test]
    fn a_clock_that_keeps_jumping_cannot_pile_up_buckets() {
        let store = in_memory(100_000);
        let day = 86_400;
        let jumps: Vec<_> = (0..20_000_u32)
            .map(|n| {
                let now = NOW + day * 20_000 - i64::from(n) * day;
                store.record(1, &n.to_le_bytes(), at(now), at(now))
            })
            .collect();
        assert_eq!(jumps[0], Recorded::Fresh);
        assert!(jumps.contains(&Recorded::Full));
        assert!(store.len() <= 64 * 8 * 10);
    }

    #[test]
    fn a_run_without_an_end_is_found_again() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path(), "a", NOW);
        let times = [-600, -300, 0, 300, 600];
        for time in times {
            assert_eq!(
                store.record(1, &time.to_string().into_bytes(), at(NOW + time), at(NOW)),
                Recorded::Fresh
            );
        }
        drop(store);
        let store = open(directory.path(), "a", NOW + 1);
        assert_eq!(store.recovery(), Recovery { restored: 5, ..Recovery::default() });
        for time in times {
            assert_eq!(store.record(1, &time.to_string().into_bytes(), at(NOW), at(NOW + 1)), Recorded::Used);
        }
        assert_eq!(store.record(1, b"new", at(NOW), at(NOW + 1)), Recorded::Fresh);
    }

    #[test]
    fn a_killed_process_loses_nothing_and_its_lock_is_free() {
        let directory = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", "store::nonces::store::tests::victim"])
            .env("NONCE_VICTIM_DIRECTORY", directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.map_while(Result::ok).any(|line| line.contains("recorded")));
        let refused = NonceStore::open(settings(1000, Some(directory.path())), at(NOW)).unwrap_err();
        assert!(matches!(&refused, NonceError::Locked { path } if path == directory.path()), "{refused}");
        child.kill().unwrap();
        child.wait().unwrap();
        let store = NonceStore::open(settings(1000, Some(directory.path())), at(NOW)).unwrap();
        assert_eq!(store.recovery(), Recovery { restored: 200, ..Recovery::default() });
        assert!((0..200_u32).all(|nonce| store.is_used(7, &nonce.to_le_bytes())));
    }

    #[test]
    #[ignore = "the child of a_killed_process_loses_nothing_and_its_lock_is_free"]
    fn victim() {
        let Some(directory) = std::env::var_os("NONCE_VICTIM_DIRECTORY") else { return };
        let store = NonceStore::open(settings(1000, Some(directory.as_ref())), at(NOW)).unwrap();
        for nonce in 0..200_u32 {
            assert_eq!(store.record(7, &nonce.to_le_bytes(), at(NOW), at(NOW)), Recorded::Fresh);
        }
        println!("recorded");
        std::io::stdout().flush().unwrap();
        std::thread::sleep(Duration::from_secs(60));
    }

    #[test]
    fn files_go_with_their_buckets_after_the_floor_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path(), "a", NOW);
        assert_eq!(store.record(1, b"n", at(NOW), at(NOW)), Recorded::Fresh);
        let later = NOW + 800;
        store.sync(at(later)).unwrap();
        assert_eq!(segment_count(directory.path()), 0);
        assert_eq!(store.record(1, b"m", at(later), at(later)), Recorded::Fresh);
        drop(store);
        let store = open(directory.path(), "a", NOW);
        assert_eq!(
            store.record(1, b"n", at(NOW), at(NOW)),
            Recorded::Expired,
            "the clock went back over a restart"
        );
    }

    #[test]
    fn old_files_are_dropped_at_opening_and_raise_the_floor() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(open(directory.path(), "a", NOW).record(1, b"n", at(NOW), at(NOW)), Recorded::Fresh);
        let store = open(directory.path(), "a", NOW + 86_400);
        assert_eq!(store.recovery(), Recovery { expired: 1, ..Recovery::default() });
        assert_eq!(segment_count(directory.path()), 0);
        drop(store);
        assert_eq!(open(directory.path(), "a", NOW).record(1, b"n", at(NOW), at(NOW)), Recorded::Expired);
    }

    #[test]
    fn other_windows_read_the_same_journal() {
        let directory = tempfile::tempdir().unwrap();
        for past in [600, 90, 3600, 7] {
            let window = Duration::from_secs(past);
            let other =
                NonceSettings { past: window, future: window, ..settings(1000, Some(directory.path())) };
            let store = NonceStore::open_on(&boot("a"), other, at(NOW)).unwrap();
            let first = store.record(1, b"n", at(NOW), at(NOW));
            assert_eq!(first == Recorded::Fresh, past == 600, "{past}: {first:?}");
            assert_eq!(store.record(1, &past.to_le_bytes(), at(NOW), at(NOW)), Recorded::Fresh, "{past}");
        }
        assert_eq!(open(directory.path(), "a", NOW).recovery().restored, 5);
    }

    #[test]
    fn a_full_disk_refuses_and_leaves_the_nonce_used() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path(), "a", NOW);
        store.journal.as_ref().unwrap().fill_disk(at(NOW));
        assert_eq!(store.record(1, b"n", at(NOW), at(NOW)), Recorded::JournalFailed);
        assert_eq!(store.record(1, b"n", at(NOW), at(NOW)), Recorded::Used);
        let told = store.sync(at(NOW)).unwrap_err();
        assert_eq!(told.to_string(), "cannot append to /dev/full");
        store.sync(at(NOW)).unwrap();
        assert_eq!(
            store.record(1, b"m", at(NOW + 300), at(NOW)),
            Recorded::Fresh,
            "a bucket with room goes on"
        );
    }

    #[test]
    fn a_directory_that_went_away_refuses() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        let store = open(&path, "a", NOW);
        fs::remove_dir_all(&path).unwrap();
        assert_eq!(store.record(1, b"n", at(NOW), at(NOW)), Recorded::JournalFailed);
        assert!(store.sync(at(NOW)).unwrap_err().to_string().contains(path.to_str().unwrap()));
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().join("journal");
        let error = NonceStore::open(settings(1, Some(&path)), at(NOW)).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot create {}", path.display()));
    }

    #[test]
    fn nonces_without_their_seed_are_an_error() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(open(directory.path(), "a", NOW).record(1, b"n", at(NOW), at(NOW)), Recorded::Fresh);
        fs::remove_file(directory.path().join("state")).unwrap();
        let error = NonceStore::open(settings(1, Some(directory.path())), at(NOW)).unwrap_err();
        assert!(matches!(error, NonceError::StateLost { .. }), "{error}");
    }

    #[test]
    fn nonces_of_another_seed_are_an_error() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for directory in [&one, &two] {
            assert_eq!(open(directory.path(), "a", NOW).record(1, b"n", at(NOW), at(NOW)), Recorded::Fresh);
        }
        fs::copy(one.path().join("state"), two.path().join("state")).unwrap();
        let error = NonceStore::open(settings(1, Some(two.path())), at(NOW)).unwrap_err();
        assert!(matches!(error, NonceError::SeedMismatch { .. }), "{error}");
    }

    #[test]
    fn a_crash_of_the_host_refuses_up_to_heartbeat_interval_and_future_window() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path(), "a", NOW);
        store.sync(at(NOW + 3)).unwrap();
        store.sync(at(NOW + 7)).unwrap();
        store.sync(at(NOW + 9)).unwrap();
        drop(store);
        // The last heartbeat was at 7: two seconds later none was due.
        let until = at(NOW + 7 + 10 + 600);
        for run in ["the first after the crash", "a kill within the quarantine"] {
            let store = open(directory.path(), "b", NOW + 20);
            assert_eq!(store.recovery().quarantined_until, Some(until), "{run}");
            for timestamp in [NOW - 500, NOW + 20, until.seconds()] {
                let answer = store.record(1, b"n", at(timestamp), at(NOW + 20));
                assert_eq!(answer, Recorded::Quarantined { until }, "{run}");
            }
            assert!(!store.is_used(1, b"n"));
            let behind = at(until.seconds() + 1);
            assert_eq!(store.record(1, run.as_bytes(), behind, at(NOW + 20)), Recorded::Fresh);
        }
        let store = open(directory.path(), "c", NOW + 40);
        assert_eq!(store.recovery().quarantined_until, Some(at(NOW + 20 + 10 + 600)), "another crash");
        let after = NOW + 20 + 10 + 600 + 1;
        store.sync(at(after)).unwrap();
        assert_eq!(store.record(1, b"late", at(after), at(after)), Recorded::Fresh, "it ends by itself");
    }

    #[test]
    fn only_a_crash_of_the_host_quarantines() {
        let unknown = || BootId(None);
        let cases = [
            (boot("a"), false, boot("a"), false),
            (boot("a"), false, boot("b"), true),
            (boot("a"), true, boot("b"), false),
            (boot("a"), false, unknown(), true),
            (unknown(), false, unknown(), true),
            (unknown(), true, unknown(), false),
        ];
        for (before, is_closed, after, is_quarantined) in cases {
            let directory = tempfile::tempdir().unwrap();
            let open = |boot: &BootId| {
                NonceStore::open_on(boot, settings(10, Some(directory.path())), at(NOW)).unwrap()
            };
            let store = open(&before);
            assert_eq!(store.recovery().quarantined_until, None);
            assert_eq!(store.record(1, b"n", at(NOW), at(NOW)), Recorded::Fresh);
            if is_closed {
                store.close().unwrap();
            }
            drop(store);
            let store = open(&after);
            assert_eq!(
                store.recovery().quarantined_until.is_some(),
                is_quarantined,
                "{before:?} {is_closed} {after:?}"
            );
            assert_eq!(store.recovery().restored, 1);
        }
    }

    #[test]
    fn a_late_heartbeat_refuses_what_a_crash_would_not_quarantine() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path(), "a", NOW);
        let (inside, outside) = (at(NOW + 610), at(NOW + 611));
        assert_eq!(store.record(1, b"inside", inside, at(NOW + 11)), Recorded::Fresh);
        assert_eq!(store.record(1, b"outside", outside, at(NOW + 11)), Recorded::JournalFailed);
        assert!(matches!(store.sync(at(NOW + 11)), Err(NonceError::HeartbeatLate { .. })));
        assert_eq!(store.record(1, b"again", outside, at(NOW + 11)), Recorded::Fresh);
    }

    #[test]
    fn a_clock_set_back_lowers_the_horizon_again() {
        let directory = tempfile::tempdir().unwrap();
        let year = 365 * 86_400;
        let store = open(directory.path(), "a", NOW + year);
        store.sync(at(NOW)).unwrap();
        assert_eq!(store.record(1, b"n", at(NOW + 600), at(NOW)), Recorded::Fresh);
        drop(store);
        assert_eq!(open(directory.path(), "b", NOW).recovery().quarantined_until, Some(at(NOW + 610)));
    }

    #[test]
    fn after_closing_nothing_is_fresh_and_the_next_process_may_open() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path(), "a", NOW);
        assert_eq!(store.record(1, b"n", at(NOW), at(NOW)), Recorded::Fresh);
        store.close().unwrap();
        let next = open(directory.path(), "a", NOW);
        assert_eq!(store.record(1, b"m", at(NOW), at(NOW)), Recorded::JournalFailed);
        assert_eq!(next.record(1, b"n", at(NOW), at(NOW)), Recorded::Used);
        assert_eq!(next.record(1, b"m", at(NOW), at(NOW)), Recorded::Fresh);
        store.sync(at(NOW + 20)).unwrap();
        store.close().unwrap();
        drop(store);
        drop(next);
        assert!(
            open(directory.path(), "b", NOW).recovery().quarantined_until.is_some(),
            "the next did not close"
        );
    }

    #[test]
    fn damage_is_reported_and_the_rest_restored() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path(), "a", NOW);
        for nonce in 0..4 {
            assert_eq!(store.record(1, &[nonce], at(NOW), at(NOW)), Recorded::Fresh);
        }
        drop(store);
        let mut files = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path());
        let file = files.find(|path| path.extension().is_some()).unwrap();
        let mut bytes = fs::read(&file).unwrap();
        bytes[48 + 16] ^= 1;
        bytes.pop();
        fs::write(&file, bytes).unwrap();
        let store = open(directory.path(), "a", NOW);
        assert_eq!(store.recovery(), Recovery { restored: 2, corrupt: 1, torn: 1, ..Recovery::default() });
    }

    #[test]
    fn a_nonce_takes_at_most_24_bytes() {
        let store = in_memory(1_000_000);
        for time in 0..8 {
            for nonce in 0..40_000_u32 {
                let answer =
                    store.record(time, &nonce.to_le_bytes(), at(NOW + i64::from(time) * 150), at(NOW + 600));
                assert_eq!(answer, Recorded::Fresh);
            }
            // Below a few hundred entries a shard, the spread of random fingerprints weighs more than the table.
            let each = store.memory_bytes() as f64 / store.len() as f64;
            assert!(each <= 24.0, "{each}");
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Record { consumer: u32, nonce: u8, age: i64 },
        Move(i64),
        Kill,
        Close,
    }

    fn step() -> impl Strategy<Value = Step> {
        // Between the window's end and its bucket's end the heartbeat decides too; the caller refuses such timestamps.
        let age = prop_oneof![9 => -70..=20_i64, 1 => 30..40_i64];
        prop_oneof![
            12 => (0..2_u32, 0..12_u8, age).prop_map(|(consumer, nonce, age)| Step::Record { consumer, nonce, age }),
            4 => (0..15_i64).prop_map(Step::Move),
            1 => (-120..120_i64).prop_map(Step::Move),
            1 => Just(Step::Kill),
            1 => Just(Step::Close),
        ]
    }

    /// The rules of the store, written down without any of its means.
    #[derive(Default)]
    struct Model {
        buckets: BTreeMap<i64, HashSet<(u32, u8)>>,
        floor: Option<i64>,
    }

    impl Model {
        fn expire(&mut self, now: i64) {
            let kept = self.buckets.split_off(&(now - 40).div_euclid(10));
            if let Some(last) = self.buckets.last_key_value() {
                self.floor = self.floor.max(Some(*last.0 + 1));
            }
            self.buckets = kept;
        }

        fn record(&mut self, pair: (u32, u8), timestamp: i64, now: i64) -> Recorded {
            self.expire(now);
            let bucket = timestamp.div_euclid(10);
            let is_live = ((now - 40).div_euclid(10)..=(now + 20).div_euclid(10)).contains(&bucket);
            if !is_live || self.floor.is_some_and(|floor| bucket < floor) {
                return Recorded::Expired;
            }
            if self.buckets.values().any(|bucket| bucket.contains(&pair)) {
                return Recorded::Used;
            }
            if self.buckets.values().map(HashSet::len).sum::<usize>() >= 9 {
                return Recorded::Full;
            }
            self.buckets.entry(bucket).or_default().insert(pair);
            Recorded::Fresh
        }
    }

    fn run_against_model(steps: Vec<Step>, journal: Option<&Path>) -> Result<(), TestCaseError> {
        let settings = NonceSettings {
            past: Duration::from_secs(40),
            future: Duration::from_secs(20),
            max: 9,
            journal: journal.map(Path::to_owned),
        };
        let open = |now: i64| NonceStore::open_on(&boot("a"), settings.clone(), at(now)).unwrap();
        let (mut store, mut model, mut now) = (open(0), Model::default(), 0);
        for step in steps {
            match step {
                Step::Record { consumer, nonce, age } => {
                    let expected = model.record((consumer, nonce), now + age, now);
                    prop_assert_eq!(store.record(consumer, &[nonce], at(now + age), at(now)), expected);
                }
                Step::Move(by) => {
                    now += by;
                    model.expire(now);
                    store.sync(at(now)).unwrap();
                }
                Step::Kill | Step::Close if journal.is_none() => {}
                Step::Kill => {
                    drop(store);
                    store = open(now);
                }
                Step::Close => {
                    store.close().unwrap();
                    drop(store);
                    store = open(now);
                }
            }
            prop_assert_eq!(store.len(), model.buckets.values().map(HashSet::len).sum::<usize>());
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

        #[test]
        fn any_history_in_memory_is_the_models(steps in prop::collection::vec(step(), 1..120)) {
            run_against_model(steps, None)?;
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

        #[test]
        fn any_history_with_a_journal_is_the_models(steps in prop::collection::vec(step(), 1..80)) {
            let directory = tempfile::tempdir().unwrap();
            run_against_model(steps, Some(directory.path()))?;
        }
    }
}
