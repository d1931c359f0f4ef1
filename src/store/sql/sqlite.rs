//! SQLite: one file, or memory that lives as long as the process.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use sqlx::{
    ConnectOptions as _, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions},
};

use super::{connection::ACQUIRE_TIMEOUT, failure::is_locked};
use crate::store::StoreError;

/// How long a statement waits for another writer; shorter than the wait for a connection, so that the cause shows.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// Between two attempts to change the journal mode.
const LOCKED_PAUSE: Duration = Duration::from_millis(20);

/// The connections to a file that is there.
pub(super) fn file_pool(path: &Path, connections: u32) -> SqlitePool {
    pool_options().max_connections(connections).connect_lazy_with(connect_options().filename(path))
}

/// A pool of one connection to a file in WAL mode, in which readers and the one writer do not block each other. The mode is
/// a property of the file; of two processes that change it at once, SQLite tells one "locked" without the usual wait.
pub(super) async fn migrating_pool(path: &Path) -> Result<SqlitePool, StoreError> {
    let deadline = Instant::now() + BUSY_TIMEOUT;
    loop {
        let options = connect_options().filename(path).journal_mode(SqliteJournalMode::Wal);
        match pool_options().max_connections(1).connect_with(options).await {
            Err(error) if is_locked(&error) && Instant::now() < deadline => {
                tokio::time::sleep(LOCKED_PAUSE).await;
            }
            connected => return Ok(connected?),
        }
    }
}

/// A pool of one connection that is never given up: the database in memory is the connection's own.
pub(super) async fn memory_pool() -> Result<SqlitePool, StoreError> {
    let options = pool_options().max_connections(1).min_connections(1).idle_timeout(None).max_lifetime(None);
    Ok(options.connect_with(connect_options().filename(":memory:").in_memory(true)).await?)
}

/// Makes the file, if it is not there. It is its owner's alone, because tokens stand in it in clear (`MAGENTO_AUTH` 7.2).
pub(super) fn create_private(path: &Path) -> Result<(), StoreError> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(source) => Err(StoreError::NotCreated { path: path.to_owned(), source }),
    }
}

fn pool_options() -> SqlitePoolOptions {
    SqlitePoolOptions::new().acquire_timeout(ACQUIRE_TIMEOUT)
}

/// `synchronous` stays at SQLite's FULL: a revocation that was answered must survive a power cut.
fn connect_options() -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .create_if_missing(false)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .disable_statement_logging()
}
