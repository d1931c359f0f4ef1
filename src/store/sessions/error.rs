//! Why a session storage gave no answer. No session id ever stands in a text here.

use std::{io, path::PathBuf};

/// A failure of the session storage.
#[derive(Debug, thiserror::Error)]
pub enum SessionStoreError {
    /// The folder of the session files cannot be used.
    #[error("cannot read the folder {}: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A session file cannot be read.
    #[error("cannot read a session file: {0}")]
    File(#[source] io::Error),
    /// The URL of Redis cannot be used. It may hold a password and stays out.
    #[error("is not the URL of a Redis; write one such as \"redis://:password@127.0.0.1:6379/2\"")]
    Url,
    /// Redis did not answer, or not as expected.
    #[error("redis: {0}")]
    Redis(&'static str),
}
