//! The store: its database, opened and proven to have the schema that this version works with.
//!
//! Opening fails at start and not at the first request. It never creates or changes anything.

use std::sync::Arc;

use super::{
    address::{Address, Location},
    connection::{Drivers, Pool, Purpose, Transaction},
    dialect::{Dialect, Flavor, Texts},
    failure::naming_file,
    migrate::{self, MigrationReport},
    mysql, postgres, sqlite,
    statement::{Done, Query, query},
};
use crate::store::{SchemaError, StoreError};

/// Magento's tables, in a database of our own or in a Magento's.
#[derive(Debug, Clone)]
pub struct SqlStore {
    /// Where is written, and read what is to be written.
    pub(super) pool: Pool,
    /// Where lookups read, and what tells them that something changed: the same database, or a replica of it.
    pub(super) readers: Pool,
    has_replica: bool,
}

impl SqlStore {
    /// Opens a database: that of a configuration, or one that a URL names. `sqlite::memory:` is born empty, so its schema
    /// is created here. The tables of a Magento's database are taken as they are.
    ///
    /// # Errors
    ///
    /// [`StoreError::Url`], [`StoreError::NotFound`], [`StoreError::NotADatabase`], [`StoreError::Schema`], and
    /// [`StoreError::Unavailable`] or [`StoreError::Denied`] where the database cannot be opened.
    pub async fn open(address: impl Into<Address>) -> Result<Self, StoreError> {
        let store = Self::unproven(address).await?;
        store.prove().await?;
        Ok(store)
    }

    /// The database that an address names, without a look into it: nobody has answered yet, and what is asked may fail
    /// until somebody does. Serve nothing from it before [`SqlStore::prove`].
    ///
    /// # Errors
    ///
    /// What no waiting mends: [`StoreError::Url`], and [`StoreError::NotFound`] where a file is not there.
    pub async fn unproven(address: impl Into<Address>) -> Result<Self, StoreError> {
        let address = address.into();
        let drivers = match Location::parse(address.url.expose())? {
            Location::Memory => return Self::open_memory().await,
            Location::File(path) if !path.exists() => return Err(StoreError::NotFound { path }),
            Location::File(path) => Drivers::Sqlite(sqlite::file_pool(&path, address.max_connections)),
            Location::MySql | Location::Postgres => server(&address, address.url.expose())?,
        };
        let pool = pooled(drivers, &address);
        let replica = address.read_url.as_ref().map(|url| server(&address, url.expose())).transpose()?;
        let readers = replica.map_or_else(|| pool.clone(), |drivers| pooled(drivers, &address));
        Ok(Self { pool, readers, has_replica: address.read_url.is_some() })
    }

    /// Makes sure that the database answers, and the replica if there is one, and that a schema of our own is exactly the one
    /// that this version knows.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] where asking again may help, else as [`SqlStore::open`].
    pub async fn prove(&self) -> Result<(), StoreError> {
        self.pool.drivers.prove(self.pool.texts.flavor).await?;
        if self.has_replica {
            self.readers.drivers.prove(self.readers.texts.flavor).await?;
        }
        Ok(())
    }

    /// Creates or upgrades a database, or finds it up to date. A new SQLite file is readable by its owner alone, because
    /// tokens stand in it in clear (`MAGENTO_AUTH` 7.2).
    ///
    /// # Errors
    ///
    /// As [`SqlStore::open`], but for a missing file or schema; [`StoreError::NotCreated`] where the file cannot be
    /// made; [`SchemaError::Magentos`] for a database that is a Magento's own. A migration that fails leaves the database as
    /// it was; but MySQL makes each table for good, and what it left half-way is [`SchemaError::Incomplete`] from then on.
    pub async fn migrate(address: impl Into<Address>) -> Result<MigrationReport, StoreError> {
        let address = address.into();
        let drivers = match Location::parse(address.url.expose())? {
            _ if address.is_attached => return Err(SchemaError::Magentos.into()),
            Location::Memory => Drivers::Sqlite(sqlite::memory_pool().await?),
            Location::File(path) => {
                sqlite::create_private(&path)?;
                let migrated = async {
                    let drivers = Drivers::Sqlite(sqlite::migrating_pool(&path).await?);
                    migrate_and_close(drivers).await
                };
                return migrated.await.map_err(|error| naming_file(error, path.clone()));
            }
            Location::MySql | Location::Postgres => {
                let drivers = server(&address, address.url.expose())?;
                drivers.reach().await?;
                drivers
            }
        };
        migrate_and_close(drivers).await
    }

    /// Whether the database is a Magento's own: it has none of our tables.
    #[must_use]
    pub fn is_magentos(&self) -> bool {
        self.pool.texts.flavor == Flavor::Magentos
    }

    /// The statements that this store has used so far, as the database gets them.
    #[must_use]
    pub fn statements(&self) -> Vec<String> {
        let mut known = self.pool.texts.known();
        known.extend(self.readers.texts.known());
        known.sort_unstable();
        known.dedup();
        known
    }

    /// Whether lookups read a replica.
    pub(in crate::store) const fn has_replica(&self) -> bool {
        self.has_replica
    }

    /// The same store, that reads where it writes.
    #[must_use]
    pub fn without_replica(&self) -> Self {
        Self { pool: self.pool.clone(), readers: self.pool.clone(), has_replica: false }
    }

    /// Asks the database for a sign of life, where lookups go.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] where none comes in time.
    pub async fn ping(&self) -> Result<(), StoreError> {
        query("SELECT 1").fetch_one(&self.readers).await?;
        Ok(())
    }

    /// Closes every connection after the statements under way; later lookups are [`StoreError::Unavailable`].
    pub async fn close(&self) {
        self.readers.close().await;
        self.pool.close().await;
    }

    pub(super) async fn begin(&self, purpose: Purpose) -> Result<Transaction, StoreError> {
        Ok(self.pool.begin(purpose).await?)
    }

    /// Runs a write that triggers put into the feed of changes. In a MySQL of our own a row of the feed is locked after the row
    /// that is written, and before the next one: two writers could each wait for the other, so they come one after the other.
    pub(super) async fn execute_alone(&self, write: Query<'_>) -> Result<Done, StoreError> {
        if self.is_magentos() || self.pool.dialect() != Dialect::MySql {
            return Ok(write.execute(&self.pool).await?);
        }
        let mut transaction = self.begin(Purpose::Changing).await?;
        let done = write.execute(&mut transaction).await?;
        transaction.commit().await?;
        Ok(done)
    }

    /// Refuses what needs a table of ours, where there is none.
    pub(super) fn require_own(&self, what: &'static str) -> Result<(), StoreError> {
        if self.is_magentos() { Err(StoreError::Magentos { what }) } else { Ok(()) }
    }

    async fn open_memory() -> Result<Self, StoreError> {
        let drivers = Drivers::Sqlite(sqlite::memory_pool().await?);
        migrate::run(&drivers).await?;
        let pool = Pool { drivers, texts: Arc::new(Texts::new(Dialect::Sqlite, Flavor::Own, "")) };
        Ok(Self { readers: pool.clone(), pool, has_replica: false })
    }
}

/// Connections to a server that nobody has called yet.
fn server(address: &Address, url: &str) -> Result<Drivers, StoreError> {
    match Location::parse(url)? {
        Location::MySql => Ok(Drivers::MySql(mysql::pool(address, url)?)),
        Location::Postgres => Ok(Drivers::Postgres(postgres::pool(address, url)?)),
        Location::Memory | Location::File(_) => Err(StoreError::Url("a replica is a server's")),
    }
}

fn pooled(drivers: Drivers, address: &Address) -> Pool {
    let dialect = match &drivers {
        Drivers::Sqlite(_) => Dialect::Sqlite,
        Drivers::MySql(_) => Dialect::MySql,
        Drivers::Postgres(_) => Dialect::Postgres,
    };
    Pool { drivers, texts: Arc::new(Texts::new(dialect, address.flavor(), &address.table_prefix)) }
}

async fn migrate_and_close(drivers: Drivers) -> Result<MigrationReport, StoreError> {
    let report = migrate::run(&drivers).await;
    drivers.close().await;
    report
}
