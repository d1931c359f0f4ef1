//! The file of the audit: appended to, followed when it is rotated, never rewritten.
//!
//! Several processes may append to one file (a gate and a command beside it): each line is one write at the end of the file. A
//! shared lock tells that somebody is alive; who finds nobody may tell of the changes that were left open.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

/// How far back a start looks for open changes. They end within seconds, so what is open after a crash is near the end.
const TAIL: u64 = 4 << 20;

/// The audit's file.
#[derive(Debug)]
pub(super) struct AuditFile {
    path: PathBuf,
    file: File,
    identity: (u64, u64),
}

impl AuditFile {
    /// Opens the file, or creates it for its owner alone.
    ///
    /// # Errors
    /// When it cannot be opened for appending.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let is_new = !path.exists();
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        if is_new && let Some(folder) = path.parent() {
            // The name must outlive a crash of the host as the lines do. Not every file system knows how.
            let _ = File::open(folder).and_then(|folder| folder.sync_all());
        }
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        let identity = (metadata.dev(), metadata.ino());
        Ok(Self { path: path.to_owned(), file, identity })
    }

    /// Whether no other process has the file open; this one then keeps it to itself until [`AuditFile::share`].
    pub(super) fn is_alone(&self) -> bool {
        self.file.try_lock().is_ok()
    }

    /// Says for as long as the file is open that somebody is alive. A file system without locks has nobody to tell.
    pub(super) fn share(&self) {
        let _ = self.file.unlock();
        let _ = self.file.lock_shared();
    }

    /// The end of the file, and of the one before it where `logrotate` names that `.1`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn tails(&self) -> io::Result<[Vec<u8>; 2]> {
        let mut before = self.path.as_os_str().to_owned();
        before.push(".1");
        let before = File::open(before).and_then(|file| tail(&file)).unwrap_or_default();
        Ok([before, tail(&self.file)?])
    }

    /// Appends whole lines. A line that broke off, here, in an earlier process or in one beside this that was killed, is closed
    /// first.
    ///
    /// # Errors
    /// When they cannot be written; some may have been.
    pub(super) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if ends_inside_a_line(&mut self.file)? {
            self.file.write_all(b"\n")?;
        }
        self.file.write_all(lines)
    }

    /// Waits until what was appended would outlive a crash of the host.
    ///
    /// # Errors
    /// When the disk does not say so.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Opens the file that stands under the name now, if it is another one; says whether it is.
    ///
    /// # Errors
    /// When there is none and none can be made.
    pub(super) fn follow(&mut self) -> io::Result<bool> {
        if fs::metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == self.identity) {
            return Ok(false);
        }
        *self = Self::open(&self.path)?;
        self.share();
        Ok(true)
    }
}

/// Whether a file could be appended to; leaves everything as it is.
///
/// # Errors
/// The reason why not.
pub(super) fn probe(path: &Path) -> io::Result<()> {
    if path.exists() {
        return OpenOptions::new().append(true).open(path).map(drop);
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".probe-{}", std::process::id()));
    OpenOptions::new().write(true).create_new(true).open(&name)?;
    fs::remove_file(&name)
}

fn ends_inside_a_line(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

fn tail(mut file: &File) -> io::Result<Vec<u8>> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut text = Vec::new();
    file.take(TAIL).read_to_end(&mut text)?;
    Ok(text)
}
