//! The standalone store: a pool of connections to one SQLite database.
//!
//! Opening proves that the file is there, is a database and has exactly the schema that this version knows, so that a
//! wrong path fails at start and not at the first request. It never creates or changes anything.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use sqlx::{
    ConnectOptions, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions},
};

use super::{
    failure::{is_locked, naming_file},
    location::Location,
    migrate::{self, MigrationReport},
};
use crate::store::StoreError;

/// Connections to a file, one thread each: reads are a few microseconds, and only one connection can write at a time.
const CONNECTIONS: u32 = 4;
/// How long a lookup waits for a connection before the store counts as unavailable.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a statement waits for another writer; shorter than the wait for a connection, so that the cause shows.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// Between two attempts to change the journal mode.
const LOCKED_PAUSE: Duration = Duration::from_millis(20);

/// Magento's tables in a database of our own.
#[derive(Debug, Clone)]
pub struct SqlStore {
    pub(super) pool: SqlitePool,
}

impl SqlStore {
    /// Opens the database that a `store.url` names. `sqlite::memory:` is born empty, so its schema is created here.
    ///
    /// # Errors
    ///
    /// [`StoreError::Url`], [`StoreError::NotFound`], [`StoreError::NotADatabase`], [`StoreError::Schema`], and
    /// [`StoreError::Unavailable`] where the file cannot be opened.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let store = Self::unproven(url).await?;
        store.prove().await?;
        Ok(store)
    }

    /// The database that a `store.url` names, without a look into it: nobody has answered yet, and what is asked may fail
    /// until somebody does. Serve nothing from it before [`SqlStore::prove`].
    ///
    /// # Errors
    ///
    /// What no waiting mends: [`StoreError::Url`], and [`StoreError::NotFound`] where the file is not there.
    pub async fn unproven(url: &str) -> Result<Self, StoreError> {
        match Location::parse(url)? {
            Location::Memory => Self::open_memory().await,
            Location::File(path) if !path.exists() => Err(StoreError::NotFound { path }),
            Location::File(path) => Ok(Self::file_unproven(&path)),
        }
    }

    /// Makes sure that the database answers and has exactly the schema that this version knows.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] where asking again may help, else as [`SqlStore::open`].
    pub async fn prove(&self) -> Result<(), StoreError> {
        let named = self.pool.connect_options().get_filename().to_owned();
        migrate::verify(&self.pool).await.map_err(|error| naming_file(error, named))
    }

    /// Creates or upgrades the database that a `store.url` names, or finds it up to date. A new file is readable by
    /// its owner alone, because tokens stand in it in clear (`MAGENTO_AUTH` 7.2).
    ///
    /// # Errors
    ///
    /// As [`SqlStore::open`], but for a missing file or schema; [`StoreError::NotCreated`] where the file cannot be
    /// made. A migration that fails leaves the database as it was.
    pub async fn migrate(url: &str) -> Result<MigrationReport, StoreError> {
        let path = match Location::parse(url)? {
            Location::Memory => {
                let store = Self { pool: memory_pool().await? };
                return migrate::run(&store.pool).await;
            }
            Location::File(path) => path,
        };
        create_private(&path)?;
        Self::migrate_file(&path).await.map_err(|error| naming_file(error, path))
    }

    /// Asks the database for a sign of life.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] where none comes in time.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.pool).await?;
        Ok(())
    }

    /// Closes every connection after the statements under way; later lookups are [`StoreError::Unavailable`].
    pub async fn close(&self) {
        self.pool.close().await;
    }

    async fn open_memory() -> Result<Self, StoreError> {
        let pool = memory_pool().await?;
        migrate::run(&pool).await?;
        Ok(Self { pool })
    }

    fn file_unproven(path: &Path) -> Self {
        let options = pool_options().max_connections(CONNECTIONS);
        Self { pool: options.connect_lazy_with(connect_options().filename(path)) }
    }

    async fn migrate_file(path: &Path) -> Result<MigrationReport, StoreError> {
        let pool = writing_pool(path).await?;
        let report = migrate::run(&pool).await;
        pool.close().await;
        report
    }
}

/// A pool of one connection to a file in WAL mode, in which readers and the one writer do not block each other. The mode is
/// a property of the file; of two processes that change it at once, SQLite tells one "locked" without the usual wait.
async fn writing_pool(path: &Path) -> Result<SqlitePool, StoreError> {
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
async fn memory_pool() -> Result<SqlitePool, StoreError> {
    let options = pool_options().max_connections(1).min_connections(1).idle_timeout(None).max_lifetime(None);
    Ok(options.connect_with(connect_options().filename(":memory:").in_memory(true)).await?)
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

fn create_private(path: &Path) -> Result<(), StoreError> {
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
