//! One journal file: the nonces of one time bucket, appended.
//!
//! A head of 48 bytes, then records. A record is one `write` to a file opened for appending, so records of many
//! threads do not mix. The head tells format, seed and bucket, so that a file that was copied here from elsewhere, or
//! written by another version, is an error and not a bucket without nonces.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::auth::time::UnixTime;

use super::error::NonceError;
use super::fingerprint::{Fingerprint, Keys};
use super::record::{self, Damage, Reader};
use super::words;

/// Ends the name of every segment.
pub(super) const EXTENSION: &str = "nonces";

const MAGIC: u64 = u64::from_le_bytes(*b"PORTNONC");
const VERSION: u64 = 1;
const HEAD: usize = 48;

/// The file of a time bucket, open for appending.
#[derive(Debug)]
pub(super) struct Segment {
    path: PathBuf,
    file: File,
    start: UnixTime,
    end: UnixTime,
    is_unsynced: AtomicBool,
}

impl Segment {
    /// Begins the file of a bucket. What stands there under its name never became part of the journal.
    pub(super) fn create(
        directory: &Path,
        start: UnixTime,
        width: u32,
        keys: &Keys,
    ) -> Result<Self, NonceError> {
        let path = directory.join(format!("{}-{width}.{EXTENSION}", start.seconds()));
        let open = || {
            let file = File::options().create(true).append(true).mode(0o600).open(&path)?;
            file.set_len(0)?;
            write_whole(&file, &head(start, width, keys))?;
            Ok(file)
        };
        let file = open().map_err(NonceError::io("create", &path))?;
        let end = start.plus(Duration::from_secs(u64::from(width)));
        Ok(Self { path, file, start, end, is_unsynced: AtomicBool::new(true) })
    }

    /// Opens a file of an earlier run, hands over its records and cuts a torn end. `None` for a file whose head never
    /// reached the disk.
    pub(super) fn reopen(
        path: &Path,
        keys: &Keys,
        each: impl FnMut(Fingerprint, UnixTime),
    ) -> Result<Option<(Self, Damage)>, NonceError> {
        let mut file =
            File::options().read(true).append(true).open(path).map_err(NonceError::io("open", path))?;
        let Some((start, width, length, damage)) = read_all(&mut file, path, keys, each)? else {
            return Ok(None);
        };
        file.set_len(HEAD as u64 + length).map_err(NonceError::io("truncate", path))?;
        let end = start.plus(Duration::from_secs(u64::from(width)));
        let segment = Self { path: path.to_owned(), file, start, end, is_unsynced: AtomicBool::new(true) };
        Ok(Some((segment, damage)))
    }

    /// Hands over the records of a file that another process may be appending to, and leaves it as it is. A file that
    /// is gone by now held nothing that still counts.
    pub(super) fn scan(
        path: &Path,
        keys: &Keys,
        each: impl FnMut(Fingerprint, UnixTime),
    ) -> Result<(), NonceError> {
        match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(NonceError::io("open", path)(error)),
            Ok(mut file) => read_all(&mut file, path, keys, each).map(|_| ()),
        }
    }

    /// Appends a nonce with one system call.
    pub(super) fn append(
        &self,
        fingerprint: Fingerprint,
        timestamp: UnixTime,
        keys: &Keys,
    ) -> Result<(), NonceError> {
        let second = timestamp.seconds().saturating_sub(self.start.seconds());
        let record = record::encode(fingerprint, u32::try_from(second).unwrap_or(u32::MAX), self.start, keys);
        write_whole(&self.file, &record).map_err(NonceError::io("append to", &self.path))?;
        // After the write: the other way round a sync between the two would leave it unsynced and not know.
        self.is_unsynced.store(true, Ordering::Release);
        Ok(())
    }

    /// Brings everything appended so far to the disk.
    pub(super) fn sync(&self) -> Result<(), NonceError> {
        if self.is_unsynced.swap(false, Ordering::AcqRel) {
            self.file.sync_data().map_err(NonceError::io("sync", &self.path))?;
        }
        Ok(())
    }

    /// Whether this is the file of the bucket that begins and ends so.
    pub(super) fn spans(&self, start: UnixTime, width: u32) -> bool {
        self.start == start && self.end == start.plus(Duration::from_secs(u64::from(width)))
    }

    /// The first second after the bucket.
    pub(super) const fn end(&self) -> UnixTime {
        self.end
    }

    /// Deletes the file; it is gone already if somebody tidied up.
    pub(super) fn delete(&self) -> Result<(), NonceError> {
        delete(&self.path)
    }
}

/// Start, width, length and damage of a file whose records were handed over; `None` where no head was written yet.
fn read_all(
    file: &mut File,
    path: &Path,
    keys: &Keys,
    each: impl FnMut(Fingerprint, UnixTime),
) -> Result<Option<(UnixTime, u32, u64, Damage)>, NonceError> {
    let mut head = Vec::with_capacity(HEAD);
    file.take(HEAD as u64).read_to_end(&mut head).map_err(NonceError::io("read", path))?;
    if head.len() < HEAD || head.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    let (start, width) = parse_head(&head, path, keys)?;
    let read = Reader::new(keys, start, width, each).read(file);
    let (length, damage) = read.map_err(NonceError::io("read", path))?;
    Ok(Some((start, width, length, damage)))
}

/// Deletes a file that may be gone.
pub(super) fn delete(path: &Path) -> Result<(), NonceError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(NonceError::io("delete", path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// One `write`; a part of it is a failure, because appending the rest could land behind another thread's record.
fn write_whole(mut file: &File, bytes: &[u8]) -> io::Result<()> {
    loop {
        match file.write(bytes) {
            Ok(written) if written == bytes.len() => return Ok(()),
            Ok(_) => return Err(ErrorKind::StorageFull.into()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn head(start: UnixTime, width: u32, keys: &Keys) -> Vec<u8> {
    words::seal(keys, [MAGIC, VERSION, keys.mark(), start.seconds().cast_unsigned(), u64::from(width), 0])
}

/// Start and width, or why the file cannot be read; most telling reason first.
fn parse_head(head: &[u8], path: &Path, keys: &Keys) -> Result<(UnixTime, u32), NonceError> {
    let foreign = || NonceError::Foreign { path: path.to_owned() };
    let [magic, version, mark] = words::read(head).ok_or_else(foreign)?;
    if magic != MAGIC {
        return Err(foreign());
    }
    if version != VERSION {
        return Err(NonceError::Version { path: path.to_owned(), found: version, known: VERSION });
    }
    if mark != keys.mark() {
        return Err(NonceError::SeedMismatch { path: path.to_owned() });
    }
    let [_, _, _, start, width, _] = words::unseal(keys, head).ok_or_else(foreign)?;
    Ok((UnixTime::from_seconds(start.cast_signed()), u32::try_from(width).map_err(|_| foreign())?))
}

#[cfg(test)]
impl Segment {
    /// The file of a bucket on a disk without room.
    pub(super) fn on_full_disk(start: UnixTime, width: u32) -> Self {
        let path = PathBuf::from("/dev/full");
        let file = File::options().append(true).open(&path).unwrap();
        let end = start.plus(Duration::from_secs(u64::from(width)));
        Self { path, file, start, end, is_unsynced: AtomicBool::new(false) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fingerprint::Seed;
    use super::super::record::{CHUNK, RECORD};
    use super::*;

    const START: UnixTime = UnixTime::from_seconds(-300);
    const WIDTH: u32 = 150;

    fn keys() -> Keys {
        Keys::new(Seed([1, 2]))
    }

    /// Three records at seconds 0, 1 and 149, and the path.
    fn written(directory: &Path) -> PathBuf {
        let segment = Segment::create(directory, START, WIDTH, &keys()).unwrap();
        for second in [0, 1, 149] {
            let time = START.plus(Duration::from_secs(second));
            segment.append(Fingerprint(second), time, &keys()).unwrap();
        }
        segment.path
    }

    fn read(path: &Path) -> Result<Option<(Vec<u64>, Damage)>, NonceError> {
        let mut found = Vec::new();
        let reopened = Segment::reopen(path, &keys(), |print, time| {
            assert_eq!(time, START.plus(Duration::from_secs(print.0)));
            found.push(print.0);
        })?;
        Ok(reopened.map(|(segment, damage)| {
            assert!(segment.spans(START, WIDTH));
            (found, damage)
        }))
    }

    #[test]
    fn records_come_back_and_more_can_follow() {
        let directory = tempfile::tempdir().unwrap();
        let path = written(directory.path());
        assert_eq!(fs::metadata(&path).unwrap().len(), 48 + 3 * 16);
        let (segment, damage) = Segment::reopen(&path, &keys(), |_, _| {}).unwrap().unwrap();
        assert_eq!(damage, Damage::default());
        segment.append(Fingerprint(7), START.plus(Duration::from_secs(7)), &keys()).unwrap();
        assert_eq!(read(&path).unwrap().unwrap().0, [0, 1, 149, 7]);
    }

    #[test]
    fn damage_is_stepped_over_and_a_torn_end_is_cut() {
        type Harm = fn(&mut Vec<u8>);
        type Case = (&'static str, Harm, &'static [u64], usize, bool, u64);
        let cases: [Case; 8] = [
            ("none", |_| {}, &[0, 1, 149], 0, false, 96),
            ("last record cut", |b| b.truncate(95), &[0, 1], 0, true, 80),
            ("all but a byte cut", |b| b.truncate(81), &[0, 1], 0, true, 80),
            ("last record flipped", |b| b[90] ^= 1, &[0, 1], 1, false, 80),
            ("middle record flipped", |b| b[70] ^= 1, &[0, 149], 1, false, 96),
            ("second moved on", |b| b[56] ^= 1, &[1, 149], 1, false, 96),
            ("stump in the middle", |b| drop(b.splice(64..64, *b"stump")), &[0, 1, 149], 1, false, 101),
            ("a page of zeros", |b| b.resize(96 + 4096, 0), &[0, 1, 149], 256, false, 96),
        ];
        for (name, harm, survivors, corrupt, is_torn, length) in cases {
            let directory = tempfile::tempdir().unwrap();
            let path = written(directory.path());
            let mut bytes = fs::read(&path).unwrap();
            harm(&mut bytes);
            fs::write(&path, bytes).unwrap();
            let (found, damage) = read(&path).unwrap().unwrap();
            assert_eq!(found, survivors, "{name}");
            assert_eq!(damage, Damage { corrupt, is_torn }, "{name}");
            assert_eq!(fs::metadata(&path).unwrap().len(), length, "{name}");
        }
    }

    #[test]
    fn records_are_found_across_reads() {
        let directory = tempfile::tempdir().unwrap();
        let segment = Segment::create(directory.path(), START, WIDTH, &keys()).unwrap();
        let count = 3 * CHUNK / RECORD;
        write_whole(&segment.file, b"odd").unwrap();
        for print in 0..count {
            segment
                .append(
                    Fingerprint((print % 150) as u64),
                    START.plus(Duration::from_secs((print % 150) as u64)),
                    &keys(),
                )
                .unwrap();
        }
        let (found, damage) = read(&segment.path).unwrap().unwrap();
        assert_eq!((found.len(), damage.corrupt, damage.is_torn), (count, 1, false));
    }

    #[test]
    fn a_head_that_never_reached_the_disk_is_no_segment() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.nonces");
        for bytes in [vec![], vec![0; 47], vec![0; 4096]] {
            fs::write(&path, bytes).unwrap();
            assert_eq!(read(&path).unwrap(), None);
        }
    }

    #[test]
    fn a_head_that_cannot_be_read_is_an_error_that_names_the_file() {
        type Expected = fn(&NonceError) -> bool;
        let cases: [(usize, Expected); 5] = [
            (0, |e| matches!(e, NonceError::Foreign { .. })),
            (8, |e| matches!(e, NonceError::Version { found: 0, known: 1, .. })),
            (16, |e| matches!(e, NonceError::SeedMismatch { .. })),
            (24, |e| matches!(e, NonceError::Foreign { .. })),
            (40, |e| matches!(e, NonceError::Foreign { .. })),
        ];
        for (flip, is_expected) in cases {
            let directory = tempfile::tempdir().unwrap();
            let path = written(directory.path());
            let mut bytes = fs::read(&path).unwrap();
            bytes[flip] ^= 1;
            fs::write(&path, bytes).unwrap();
            let error = read(&path).unwrap_err();
            assert!(is_expected(&error), "{flip}: {error}");
            assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_is_an_error() {
        let segment = Segment::on_full_disk(START, WIDTH);
        let error = segment.append(Fingerprint(1), START, &keys()).unwrap_err();
        assert_eq!(error.to_string(), "cannot append to /dev/full");
    }
}
