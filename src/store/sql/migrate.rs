//! The schema: which migrations there are, which ones a database has seen, and applying the rest.
//!
//! The migrations are embedded, so that the binary needs no files. What was applied is kept in the database with a
//! checksum, and an unknown, altered or half-applied migration stops the start instead of the first odd query.

use sqlx::migrate::{AppliedMigration, Migrate, MigrateError, Migrator};

use super::{connection::Drivers, mysql, postgres};
use crate::store::{SchemaError, StoreError};

static SQLITE: Migrator = sqlx::migrate!("src/store/sql/migrations/sqlite");
static MYSQL: Migrator = sqlx::migrate!("src/store/sql/migrations/mysql");
static POSTGRES: Migrator = sqlx::migrate!("src/store/sql/migrations/postgres");

// Each answers one number.
const SQLITE_IS_KEPT: &str =
    "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = '_sqlx_migrations'";
const SQLITE_TABLES: &str = "SELECT count(*) FROM sqlite_schema";
const MYSQL_IS_KEPT: &str = "SELECT count(*) FROM information_schema.tables
    WHERE table_schema = DATABASE() AND table_name = '_sqlx_migrations'";
const MYSQL_TABLES: &str = "SELECT count(*) FROM information_schema.tables WHERE table_schema = DATABASE()";
const POSTGRES_IS_KEPT: &str =
    "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema() AND tablename = '_sqlx_migrations'";
const POSTGRES_TABLES: &str = "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()";

/// What [`SqlStore::migrate`](super::SqlStore::migrate) did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationReport {
    /// The version before; `None` for a new database.
    pub from: Option<i64>,
    /// The version now.
    pub to: i64,
}

impl MigrationReport {
    /// Whether anything changed.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        self.from != Some(self.to)
    }
}

/// Applies what is missing: all of it or nothing, but for MySQL, which makes each table for good.
///
/// A lock is taken first: of two processes that migrate at once, the second finds the work done.
pub(super) async fn run(drivers: &Drivers) -> Result<MigrationReport, StoreError> {
    match drivers {
        Drivers::Sqlite(pool) => {
            let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
            let is_kept = count(sqlx::query_scalar(SQLITE_IS_KEPT).fetch_one(&mut *transaction).await);
            let tables = count(sqlx::query_scalar(SQLITE_TABLES).fetch_one(&mut *transaction).await);
            let report = apply(&SQLITE, &mut *transaction, (is_kept? > 0, tables? == 0)).await?;
            transaction.commit().await?;
            Ok(report)
        }
        Drivers::Postgres(pool) => {
            let mut transaction = pool.begin().await?;
            postgres::lock_changes(&mut transaction).await?;
            let is_kept = count(sqlx::query_scalar(POSTGRES_IS_KEPT).fetch_one(&mut *transaction).await);
            let tables = count(sqlx::query_scalar(POSTGRES_TABLES).fetch_one(&mut *transaction).await);
            let report = apply(&POSTGRES, &mut *transaction, (is_kept? > 0, tables? == 0)).await?;
            transaction.commit().await?;
            Ok(report)
        }
        Drivers::MySql(pool) => {
            let mut connection = pool.acquire().await?;
            // The lock goes with the connection, however this ends.
            connection.close_on_drop();
            mysql::lock_changes(&mut connection, "").await?;
            let is_kept = count(sqlx::query_scalar(MYSQL_IS_KEPT).fetch_one(&mut *connection).await);
            let tables = count(sqlx::query_scalar(MYSQL_TABLES).fetch_one(&mut *connection).await);
            apply(&MYSQL, &mut *connection, (is_kept? > 0, tables? == 0)).await
        }
    }
}

/// Proves that the database has seen every migration that we know, and no other.
pub(super) async fn verify(drivers: &Drivers) -> Result<(), StoreError> {
    match drivers {
        Drivers::Sqlite(pool) => {
            let mut connection = pool.acquire().await?;
            let is_kept = count(sqlx::query_scalar(SQLITE_IS_KEPT).fetch_one(&mut *connection).await)?;
            check_current(&SQLITE, &mut *connection, is_kept > 0).await
        }
        Drivers::Postgres(pool) => {
            let mut connection = pool.acquire().await?;
            let is_kept = count(sqlx::query_scalar(POSTGRES_IS_KEPT).fetch_one(&mut *connection).await)?;
            check_current(&POSTGRES, &mut *connection, is_kept > 0).await
        }
        Drivers::MySql(pool) => {
            let mut connection = pool.acquire().await?;
            let is_kept = count(sqlx::query_scalar(MYSQL_IS_KEPT).fetch_one(&mut *connection).await)?;
            check_current(&MYSQL, &mut *connection, is_kept > 0).await
        }
    }
}

fn count(found: Result<i64, sqlx::Error>) -> Result<i64, StoreError> {
    Ok(found?)
}

async fn apply(
    migrator: &'static Migrator,
    connection: &mut impl Migrate,
    (is_kept, is_empty): (bool, bool),
) -> Result<MigrationReport, StoreError> {
    let from = match (is_kept, is_empty) {
        (true, _) => check_known(migrator, connection).await?,
        (false, true) => None,
        (false, false) => return Err(SchemaError::Foreign.into()),
    };
    migrator.run_direct(None, connection, false).await.map_err(migration_error)?;
    Ok(MigrationReport { from, to: newest(migrator) })
}

async fn check_current(
    migrator: &'static Migrator,
    connection: &mut impl Migrate,
    is_kept: bool,
) -> Result<(), StoreError> {
    if !is_kept {
        return Err(SchemaError::Missing.into());
    }
    let needed = newest(migrator);
    match check_known(migrator, connection).await? {
        None => Err(SchemaError::Missing.into()),
        Some(found) if found < needed => Err(SchemaError::Outdated { found, needed }.into()),
        Some(_) => Ok(()),
    }
}

/// The newest applied version, if we know every applied one and know it as it is.
async fn check_known(
    migrator: &'static Migrator,
    connection: &mut impl Migrate,
) -> Result<Option<i64>, StoreError> {
    let table = &migrator.table_name;
    if let Some(version) = connection.dirty_version(table).await.map_err(migration_error)? {
        return Err(SchemaError::Incomplete { version }.into());
    }
    let applied = connection.list_applied_migrations(table).await.map_err(migration_error)?;
    for AppliedMigration { version, checksum } in &applied {
        match migrator.iter().find(|known| known.version == *version) {
            Some(known) if known.checksum == *checksum => {}
            None if *version > newest(migrator) => {
                return Err(SchemaError::Newer { found: *version, known: newest(migrator) }.into());
            }
            Some(_) | None => return Err(SchemaError::Altered { version: *version }.into()),
        }
    }
    Ok(applied.last().map(|last| last.version))
}

fn newest(migrator: &Migrator) -> i64 {
    migrator.iter().map(|migration| migration.version).max().unwrap_or(0)
}

fn migration_error(error: MigrateError) -> StoreError {
    if let MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _) = error {
        return source.into();
    }
    StoreError::Broken(sqlx::Error::Migrate(Box::new(error)))
}
