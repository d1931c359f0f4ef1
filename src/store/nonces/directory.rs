//! The journal's directory: one process at a time, readable by its owner alone.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::error::NonceError;
use super::segment;

/// The directory, locked until this is dropped or unlocked.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    lock: File,
}

impl Directory {
    /// Makes the directory if it is missing and takes its lock.
    pub(super) fn open(path: &Path) -> Result<Self, NonceError> {
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(NonceError::io("create", path))?;
        let name = path.join("lock");
        let lock = File::options().create(true).truncate(false).write(true).mode(0o600).open(&name);
        let lock = lock.map_err(NonceError::io("open", &name))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), lock }),
            Err(TryLockError::WouldBlock) => Err(NonceError::Locked { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => Err(NonceError::io("lock", &name)(source)),
        }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The segment files in it.
    pub(super) fn segments(&self) -> Result<Vec<PathBuf>, NonceError> {
        segments(&self.path)
    }

    /// Brings the names of new files to the disk.
    pub(super) fn sync(&self) -> Result<(), NonceError> {
        let synced = File::open(&self.path).and_then(|directory| directory.sync_all());
        synced.map_err(NonceError::io("sync", &self.path))
    }

    /// Lets another process in.
    pub(super) fn unlock(&self) -> Result<(), NonceError> {
        self.lock.unlock().map_err(NonceError::io("unlock", &self.path))
    }
}

/// The segment files of a directory, locked or not.
pub(super) fn segments(directory: &Path) -> Result<Vec<PathBuf>, NonceError> {
    let list = || {
        let entries = fs::read_dir(directory)?;
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()
    };
    let mut paths = list().map_err(NonceError::io("list", directory))?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == segment::EXTENSION));
    Ok(paths)
}
