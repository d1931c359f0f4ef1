//! Why the nonce store cannot open, or cannot keep its promise to remember.

use std::io;
use std::path::{Path, PathBuf};

/// A failure of the journal; the path is the file or directory to look at.
#[derive(Debug, thiserror::Error)]
pub enum NonceError {
    /// The journal was closed; the process is shutting down.
    #[error("nonce journal {path} is closed")]
    Closed {
        /// The journal directory.
        path: PathBuf,
    },
    /// A file's first bytes are not ours.
    #[error("{path} is not a nonce journal file or its head is damaged; {}", REMEDY)]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The heartbeat is so late that a crash now could lose a nonce of this timestamp unnoticed.
    #[error("the heartbeat of nonce journal {path} is late")]
    HeartbeatLate {
        /// The journal directory.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// Another process has the journal.
    #[error("nonce journal {path} is in use by another process; give each process a directory of its own")]
    Locked {
        /// The journal directory.
        path: PathBuf,
    },
    /// The operating system gave no random seed.
    #[error("cannot draw a random seed for the nonce store")]
    Random(#[source] rand::rngs::SysError),
    /// A file was written under another seed, so its fingerprints mean nothing here.
    #[error("{path} was written under another seed than the journal's state file; {}", REMEDY)]
    SeedMismatch {
        /// The file.
        path: PathBuf,
    },
    /// There are nonces, but the state file with their seed is missing or damaged.
    #[error("{path} is missing or damaged while the journal holds nonces; {}", REMEDY)]
    StateLost {
        /// The state file.
        path: PathBuf,
    },
    /// A file's format is newer or older than this program.
    #[error("{path} has format version {found}, this program reads version {known}; {}", REMEDY)]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u64,
        /// Ours.
        known: u64,
    },
}

/// Ends every error that only a person can resolve. Deleting at once would let recent requests be replayed.
const REMEDY: &str = "restore the directory, or move it away and start again after the past and future window \
                      have both gone by";

impl NonceError {
    /// For `map_err`: an I/O failure with what was tried on which path.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }
}
