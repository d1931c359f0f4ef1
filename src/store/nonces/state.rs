//! The journal's state file: the seed, and what the run promises.
//!
//! The head with the seed is written once, to a temporary file that is then renamed: a directory has a seed or none. The
//! promises are written alternately into two slots and synced, so that a crash while writing one leaves the other.
//! Their places exist from the beginning: a full disk does not stop the heartbeat.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::auth::time::UnixTime;

use super::error::NonceError;
use super::fingerprint::{Keys, Seed};
use super::words;

/// The file's name.
pub(super) const NAME: &str = "state";
const MAGIC: u64 = u64::from_le_bytes(*b"PORTSTAT");
const VERSION: u64 = 1;

/// The slots lie in disk sectors of their own.
const SLOTS: [u64; 2] = [512, 1024];
const LENGTH: usize = 1536;

/// What a run promises and remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Promise {
    /// The boot of the host, marked with the seed.
    pub(super) boot: Option<u64>,
    /// No timestamp above this was accepted.
    pub(super) horizon: UnixTime,
    /// Timestamps below this are refused for ever: their nonces were dropped.
    pub(super) floor: UnixTime,
    /// Timestamps up to this one are refused because of a crash.
    pub(super) quarantine: Option<UnixTime>,
    /// The run ended in order.
    pub(super) is_closed: bool,
}

/// The state file, open.
#[derive(Debug)]
pub(super) struct StateFile {
    path: PathBuf,
    file: File,
    keys: Keys,
    sequence: u64,
}

impl StateFile {
    /// Opens the file of an earlier run with what that run promised; `None` if there is none.
    pub(super) fn open(directory: &Path) -> Result<Option<(Self, Promise)>, NonceError> {
        let path = directory.join(NAME);
        let mut file = match File::options().read(true).write(true).open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            other => other.map_err(NonceError::io("open", &path))?,
        };
        let mut bytes = Vec::with_capacity(LENGTH);
        (&mut file).take(LENGTH as u64).read_to_end(&mut bytes).map_err(NonceError::io("read", &path))?;
        let (keys, sequence, promise) = parse(&bytes, &path)?;
        Ok(Some((Self { path, file, keys, sequence }, promise)))
    }

    /// Reads the file without opening it for writing; `None` if there is none.
    pub(super) fn read(directory: &Path) -> Result<Option<(Keys, Promise)>, NonceError> {
        let path = directory.join(NAME);
        match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(NonceError::io("read", &path)(error)),
            Ok(bytes) => parse(&bytes, &path).map(|(keys, _, promise)| Some((keys, promise))),
        }
    }

    /// Makes the file with a new seed and a first promise.
    pub(super) fn create(directory: &Path, promise: Promise) -> Result<Self, NonceError> {
        let path = directory.join(NAME);
        let Seed([first, second]) = Seed::random()?;
        let keys = Keys::new(Seed([first, second]));
        let mut bytes = words::seal(&Keys::unkeyed(), [MAGIC, VERSION, first, second, 0]);
        bytes.resize(LENGTH, 0);
        let write = || {
            let unfinished = path.with_extension("new");
            let mut options = File::options();
            options.create(true).truncate(true).read(true).write(true).mode(0o600);
            let mut file = options.open(&unfinished)?;
            file.write_all(&bytes)?;
            let mut state = Self { path: path.clone(), file, keys, sequence: 0 };
            state.write_slot(promise)?;
            state.file.sync_all()?;
            fs::rename(&unfinished, &path)?;
            Ok(state)
        };
        write().map_err(NonceError::io("create", &path))
    }

    /// Puts a promise on the disk, in the place of the one before the last.
    pub(super) fn write(&mut self, promise: Promise) -> Result<(), NonceError> {
        self.write_slot(promise).map_err(NonceError::io("write", &self.path))
    }

    /// The functions under the seed.
    pub(super) const fn keys(&self) -> Keys {
        self.keys
    }

    fn write_slot(&mut self, promise: Promise) -> io::Result<()> {
        let sequence = self.sequence.wrapping_add(1);
        let [even, odd] = SLOTS;
        let at = if sequence.is_multiple_of(2) { even } else { odd };
        self.file.write_all_at(&slot(sequence, promise, &self.keys), at)?;
        self.file.sync_data()?;
        self.sequence = sequence;
        Ok(())
    }
}

/// The seed's functions, and the newest promise with its number.
fn parse(bytes: &[u8], path: &Path) -> Result<(Keys, u64, Promise), NonceError> {
    let keys = Keys::new(parse_seed(bytes, path)?);
    let slots = SLOTS.iter().filter_map(|at| bytes.get(usize::try_from(*at).ok()?..));
    let newest = slots.filter_map(|slot| parse_slot(slot, &keys)).max_by_key(|(sequence, _)| *sequence);
    let (sequence, promise) = newest.ok_or_else(|| NonceError::StateLost { path: path.to_owned() })?;
    Ok((keys, sequence, promise))
}

fn parse_seed(bytes: &[u8], path: &Path) -> Result<Seed, NonceError> {
    let lost = || NonceError::StateLost { path: path.to_owned() };
    let [magic, version] = words::read(bytes).ok_or_else(lost)?;
    if magic != MAGIC {
        return Err(NonceError::Foreign { path: path.to_owned() });
    }
    if version != VERSION {
        return Err(NonceError::Version { path: path.to_owned(), found: version, known: VERSION });
    }
    let [_, _, first, second, _] = words::unseal(&Keys::unkeyed(), bytes).ok_or_else(lost)?;
    Ok(Seed([first, second]))
}

fn slot(sequence: u64, promise: Promise, keys: &Keys) -> Vec<u8> {
    let Promise { boot, horizon, floor, quarantine, is_closed } = promise;
    let flags = u64::from(is_closed) | u64::from(boot.is_some()) << 1 | u64::from(quarantine.is_some()) << 2;
    let seconds = |time: UnixTime| time.seconds().cast_unsigned();
    let (boot, quarantine) = (boot.unwrap_or_default(), quarantine.map_or(0, seconds));
    words::seal(keys, [sequence, flags, boot, seconds(horizon), seconds(floor), quarantine, 0])
}

fn parse_slot(bytes: &[u8], keys: &Keys) -> Option<(u64, Promise)> {
    let [sequence, flags, boot, horizon, floor, quarantine, _] = words::unseal(keys, bytes)?;
    let time = |seconds: u64| UnixTime::from_seconds(seconds.cast_signed());
    let promise = Promise {
        boot: (flags & 2 != 0).then_some(boot),
        horizon: time(horizon),
        floor: time(floor),
        quarantine: (flags & 4 != 0).then(|| time(quarantine)),
        is_closed: flags & 1 != 0,
    };
    Some((sequence, promise))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn promise(second: i64) -> Promise {
        Promise {
            boot: Some(7),
            horizon: UnixTime::from_seconds(second),
            floor: UnixTime::from_seconds(-second),
            quarantine: None,
            is_closed: false,
        }
    }

    #[test]
    fn the_last_promise_and_the_seed_come_back() {
        let directory = tempfile::tempdir().unwrap();
        let mut state = StateFile::create(directory.path(), promise(1)).unwrap();
        let odd = Promise {
            boot: None,
            quarantine: Some(UnixTime::from_seconds(i64::MIN)),
            is_closed: true,
            ..promise(3)
        };
        for next in [promise(2), odd, promise(4)] {
            state.write(next).unwrap();
            let (reopened, last) = StateFile::open(directory.path()).unwrap().unwrap();
            assert_eq!(last, next);
            assert_eq!(reopened.keys().mark(), state.keys().mark());
        }
    }

    #[test]
    fn a_torn_slot_leaves_the_promise_before_it() {
        let directory = tempfile::tempdir().unwrap();
        let mut state = StateFile::create(directory.path(), promise(1)).unwrap();
        state.write(promise(2)).unwrap();
        let [even, _] = SLOTS;
        state.file.write_all_at(b"torn", even).unwrap();
        let (mut reopened, last) = StateFile::open(directory.path()).unwrap().unwrap();
        assert_eq!(last, promise(1));
        reopened.write(promise(3)).unwrap();
        assert_eq!(StateFile::open(directory.path()).unwrap().unwrap().1, promise(3));
    }

    #[test]
    fn what_cannot_be_read_is_an_error_that_names_the_file() {
        type Expected = fn(&NonceError) -> bool;
        let cases: [(u64, &[u8], Expected); 4] = [
            (0, b"something", |e| matches!(e, NonceError::Foreign { .. })),
            (8, b"\x02", |e| matches!(e, NonceError::Version { found: 2, known: 1, .. })),
            (16, b"another seed", |e| matches!(e, NonceError::StateLost { .. })),
            (512, &[0; 1024], |e| matches!(e, NonceError::StateLost { .. })),
        ];
        for (at, bytes, is_expected) in cases {
            let directory = tempfile::tempdir().unwrap();
            let state = StateFile::create(directory.path(), promise(1)).unwrap();
            state.file.write_all_at(bytes, at).unwrap();
            let error = StateFile::open(directory.path()).unwrap_err();
            assert!(is_expected(&error), "{at}: {error}");
            assert!(error.to_string().contains("/state "), "{error}");
        }
    }

    #[test]
    fn the_seed_is_readable_by_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let state = StateFile::create(directory.path(), promise(1)).unwrap();
        assert_eq!(state.file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}
