//! The folder of PHP's files handler: one file `sess_<id>` a session.
//!
//! An id's alphabet holds no separator, so the name stays in the folder; a link in its place is not followed, and what is
//! no regular file is no session. `session.save_path` with a depth (`N;/path`) is not supported.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use super::{SessionStoreError, Stored};
use crate::auth::session::{MAX_SESSION_BYTES, SessionId, UnreadableSession};

/// A folder of session files.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Makes sure that the folder is there and can be read.
    pub(super) fn open(path: &Path) -> Result<Self, SessionStoreError> {
        match fs::read_dir(path) {
            Ok(_) => Ok(Self { path: path.to_owned() }),
            Err(source) => Err(SessionStoreError::Folder { path: path.to_owned(), source }),
        }
    }

    /// What is stored under an id.
    pub(super) async fn read(&self, id: &SessionId) -> Result<Stored, SessionStoreError> {
        let path = self.path.join(format!("sess_{}", id.as_str()));
        let read = tokio::task::spawn_blocking(move || read_regular(&path)).await;
        match read.unwrap_or_else(|broken| Err(io::Error::other(broken))) {
            Ok(stored) => Ok(stored),
            // An id may be longer than a file's name.
            Err(error) if error.kind() == io::ErrorKind::InvalidFilename => Ok(None),
            // Without its folder every session would be unknown, and that is an outage.
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.path.is_dir() => Ok(None),
            Err(error) => Err(SessionStoreError::File(error)),
        }
    }
}

fn read_regular(path: &Path) -> io::Result<Stored> {
    // Of the name itself, not of what a link points to; and what is opened must be what was looked at.
    let named = fs::symlink_metadata(path)?;
    if !named.is_file() {
        return Ok(Some(Err("session_no_file")));
    }
    let file = File::open(path)?;
    if !is_same(&named, &file.metadata()?) {
        return Ok(Some(Err("session_no_file")));
    }
    let mut text = Vec::new();
    let most = u64::try_from(MAX_SESSION_BYTES).unwrap_or(u64::MAX);
    file.take(most.saturating_add(1)).read_to_end(&mut text)?;
    if text.len() > MAX_SESSION_BYTES {
        return Ok(Some(Err(UnreadableSession::TooLong.reason())));
    }
    Ok(Some(Ok(text)))
}

#[cfg(unix)]
fn is_same(named: &Metadata, opened: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    (named.dev(), named.ino()) == (opened.dev(), opened.ino())
}

#[cfg(not(unix))]
fn is_same(_named: &Metadata, opened: &Metadata) -> bool {
    opened.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> SessionId {
        SessionId::parse(text.as_bytes()).unwrap()
    }

    #[tokio::test]
    async fn a_session_is_a_regular_file_of_its_name() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("sess_real"), "a|i:1;").unwrap();
        let inside = tempfile::tempdir().unwrap();
        let at = |name: &str| inside.path().join(name);
        fs::write(at("sess_abc"), "a|i:1;").unwrap();
        fs::write(at("sess_empty"), "").unwrap();
        fs::write(at("sess_long"), vec![b'x'; MAX_SESSION_BYTES + 1]).unwrap();
        fs::create_dir(at("sess_folder")).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(outside.path().join("sess_real"), at("sess_link")).unwrap();
        let folder = Folder::open(inside.path()).unwrap();
        assert_eq!(folder.read(&id("abc")).await.unwrap(), Some(Ok(b"a|i:1;".to_vec())));
        assert_eq!(folder.read(&id("empty")).await.unwrap(), Some(Ok(Vec::new())));
        assert_eq!(folder.read(&id("nobody")).await.unwrap(), None);
        assert_eq!(folder.read(&id(&"a".repeat(256))).await.unwrap(), None);
        assert_eq!(folder.read(&id("long")).await.unwrap(), Some(Err("session_too_long")));
        for name in [
            "folder",
            #[cfg(unix)]
            "link",
        ] {
            assert_eq!(folder.read(&id(name)).await.unwrap(), Some(Err("session_no_file")), "{name}");
        }
    }

    #[tokio::test]
    async fn a_folder_that_went_away_is_an_outage() {
        let inside = tempfile::tempdir().unwrap();
        let folder = Folder::open(inside.path()).unwrap();
        assert_eq!(folder.read(&id("abc")).await.unwrap(), None);
        drop(inside);
        assert!(matches!(folder.read(&id("abc")).await, Err(SessionStoreError::File(_))));
    }

    #[test]
    fn a_missing_folder_is_named() {
        let error = Folder::open(Path::new("/nowhere/at/all")).unwrap_err().to_string();
        assert!(error.starts_with("cannot read the folder /nowhere/at/all: "), "{error}");
    }
}
