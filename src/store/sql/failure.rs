//! What a failure of SQLite means: an outage, a contradiction or a database that cannot be worked with.
//!
//! The line matters to the caller: during an outage proven callers may go on for a while, and the question is worth
//! asking again. Codes that are not listed count as broken, never as an outage.

use std::path::PathBuf;

use sqlx::sqlite::SqliteError;

use crate::store::StoreError;

// Primary result codes, https://www.sqlite.org/rescode.html.
const SQLITE_BUSY: i32 = 5;
const SQLITE_LOCKED: i32 = 6;
const SQLITE_NOMEM: i32 = 7;
const SQLITE_READONLY: i32 = 8;
const SQLITE_INTERRUPT: i32 = 9;
const SQLITE_IOERR: i32 = 10;
const SQLITE_FULL: i32 = 13;
const SQLITE_CANTOPEN: i32 = 14;
const SQLITE_PROTOCOL: i32 = 15;
const SQLITE_CONSTRAINT: i32 = 19;
const SQLITE_NOTADB: i32 = 26;

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if let Some(code) = primary_code(&error) {
            return match code {
                SQLITE_BUSY | SQLITE_LOCKED | SQLITE_NOMEM | SQLITE_READONLY | SQLITE_INTERRUPT
                | SQLITE_IOERR | SQLITE_FULL | SQLITE_CANTOPEN | SQLITE_PROTOCOL => Self::Unavailable(error),
                SQLITE_CONSTRAINT => Self::Conflict(error),
                _ => Self::Broken(error),
            };
        }
        let is_outage = matches!(
            error,
            sqlx::Error::Io(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed
                | sqlx::Error::BeginFailed
        );
        if is_outage { Self::Unavailable(error) } else { Self::Broken(error) }
    }
}

/// SQLite notices only when it first reads a file that it is a foreign one, or may not be read, and does not say which one it
/// was. Neither mends itself: that is no outage, as it would be in the middle of the work.
pub(super) fn naming_file(error: StoreError, path: PathBuf) -> StoreError {
    let code = if let StoreError::Broken(source) | StoreError::Unavailable(source) = &error {
        primary_code(source)
    } else {
        None
    };
    match (code, error) {
        (Some(SQLITE_NOTADB), _) => StoreError::NotADatabase { path },
        (Some(SQLITE_CANTOPEN), StoreError::Unavailable(source)) => StoreError::NotOpened { path, source },
        (_, error) => error,
    }
}

/// Whether another connection was in the way.
pub(super) fn is_locked(error: &sqlx::Error) -> bool {
    matches!(primary_code(error), Some(SQLITE_BUSY | SQLITE_LOCKED))
}

/// The primary result code of a SQLite error, which is the low byte of the extended one.
fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let error = error.as_database_error()?.try_downcast_ref::<SqliteError>()?;
    let extended: i32 = sqlx::error::DatabaseError::code(error)?.parse().ok()?;
    Some(extended & 0xff)
}
