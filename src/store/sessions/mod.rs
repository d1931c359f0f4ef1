//! PHP's session storage, read only: the files handler's folder or Magento's Redis.
//!
//! [`Sessions`] fetches what is stored under an id and reads it; it never takes PHP's lock, which a slow page holds for
//! as long as it runs, and never writes, so a session lives exactly as long as PHP lets it. No session under an id is an
//! answer; a storage that does not answer is an outage.

mod error;
mod files;
mod inflate;
mod redis;

use std::{path::Path, time::Duration};

use crate::auth::{
    secret::Secret,
    session::{SessionContent, SessionId, UnreadableSession},
};

pub use error::SessionStoreError;
use files::Folder;
use redis::RedisHashes;

/// How long a writer may be in the middle of a file: PHP truncates and writes in two steps.
const SECOND_LOOK: Duration = Duration::from_millis(5);

/// Where sessions are kept.
#[derive(Debug)]
pub struct Sessions(Storage);

#[derive(Debug)]
enum Storage {
    Files(Folder),
    Redis(Box<RedisHashes>),
}

/// What a storage says of an id.
#[derive(Debug)]
pub enum Session {
    /// Nothing is stored under it.
    Unknown,
    /// Something is, and means nothing; the word says why, for the log.
    Unusable(&'static str),
    /// What it says.
    Content(Box<SessionContent>),
}

impl Sessions {
    /// Sessions of PHP's files handler, in the folder of `session.save_path`.
    ///
    /// # Errors
    /// [`SessionStoreError::Folder`] where there is no such folder.
    pub fn in_folder(path: &Path) -> Result<Self, SessionStoreError> {
        Folder::open(path).map(|folder| Self(Storage::Files(folder)))
    }

    /// Sessions in Redis, as Magento's handler keeps them; connects when it is first asked.
    ///
    /// # Errors
    /// [`SessionStoreError::Url`] for a URL that cannot be used.
    pub fn in_redis(url: &str, timeout: Duration) -> Result<Self, SessionStoreError> {
        RedisHashes::new(url, timeout).map(|hashes| Self(Storage::Redis(Box::new(hashes))))
    }

    /// Reads the session of an id; where the id was changed, as far as the session of the new one confirms it.
    ///
    /// # Errors
    /// [`SessionStoreError`] where the storage does not answer.
    pub async fn read(&self, id: &SessionId, namespace: &str) -> Result<Session, SessionStoreError> {
        let session = self.settled(id, namespace).await?;
        let Session::Content(content) = session else { return Ok(session) };
        let Some(successor) = &content.successor else { return Ok(Session::Content(content)) };
        let later = match self.settled(successor, namespace).await? {
            Session::Content(later) => later,
            Session::Unknown => return Ok(Session::Unusable("session_superseded")),
            unusable @ Session::Unusable(_) => return Ok(unusable),
        };
        let confirmed = content.confirmed_by(&later);
        Ok(confirmed.map_or(Session::Unusable("session_superseded"), Session::of))
    }

    /// One session; a file that makes no sense is looked at once more, because PHP may be writing it.
    async fn settled(&self, id: &SessionId, namespace: &str) -> Result<Session, SessionStoreError> {
        let session = self.once(id, namespace).await?;
        match (&self.0, &session) {
            (Storage::Files(_), Session::Unusable(_)) => {
                tokio::time::sleep(SECOND_LOOK).await;
                self.once(id, namespace).await
            }
            (Storage::Files(_) | Storage::Redis(_), _) => Ok(session),
        }
    }

    async fn once(&self, id: &SessionId, namespace: &str) -> Result<Session, SessionStoreError> {
        let stored = match &self.0 {
            Storage::Files(folder) => folder.read(id).await?,
            Storage::Redis(hashes) => hashes.read(id).await?,
        };
        Ok(match stored {
            None => Session::Unknown,
            Some(Err(reason)) => Session::Unusable(reason),
            Some(Ok(text)) => {
                // An admin's session holds his password's hash.
                let text = Secret::new(text);
                SessionContent::read(text.expose(), namespace).map_or_else(Session::unreadable, Session::of)
            }
        })
    }
}

/// What is stored: nothing, something that cannot be taken in, or PHP's text.
type Stored = Option<Result<Vec<u8>, &'static str>>;

impl Session {
    fn of(content: SessionContent) -> Self {
        Self::Content(Box::new(content))
    }

    const fn unreadable(error: UnreadableSession) -> Self {
        Self::Unusable(error.reason())
    }
}
