//! The schema: which migrations there are, which ones a database has seen, and applying the rest.
//!
//! The migrations are embedded, so that the binary needs no files. What was applied is kept in the database with a
//! checksum, and an unknown, altered or half-applied migration stops the start instead of the first odd query.

use sqlx::{Row, SqliteConnection, SqlitePool, migrate::MigrateError};

use crate::store::{SchemaError, StoreError};

static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("src/store/sql/migrations/sqlite");

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

/// Applies what is missing, all of it or nothing.
pub(super) async fn run(pool: &SqlitePool) -> Result<MigrationReport, StoreError> {
    // The write lock is taken first: of two processes that migrate at once, the second finds the work done.
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    let from = match applied(&mut transaction).await? {
        Some(applied) => check_known(&applied)?,
        None if is_empty(&mut transaction).await? => None,
        None => return Err(SchemaError::Foreign.into()),
    };
    MIGRATOR.run_direct(None, &mut *transaction, false).await.map_err(migration_error)?;
    transaction.commit().await?;
    Ok(MigrationReport { from, to: newest() })
}

/// Proves that the database has seen every migration that we know, and no other.
pub(super) async fn verify(pool: &SqlitePool) -> Result<(), StoreError> {
    let mut connection = pool.acquire().await?;
    let applied = applied(&mut connection).await?.ok_or(SchemaError::Missing)?;
    match check_known(&applied)? {
        None => Err(SchemaError::Missing.into()),
        Some(found) if found < newest() => Err(SchemaError::Outdated { found, needed: newest() }.into()),
        Some(_) => Ok(()),
    }
}

struct Applied {
    version: i64,
    checksum: Vec<u8>,
    is_complete: bool,
}

/// The migrations that the database has seen; `None` where it does not keep account of them.
async fn applied(connection: &mut SqliteConnection) -> Result<Option<Vec<Applied>>, StoreError> {
    let is_kept = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = '_sqlx_migrations'";
    if sqlx::query_scalar::<_, i64>(is_kept).fetch_one(&mut *connection).await? == 0 {
        return Ok(None);
    }
    let rows = sqlx::query("SELECT version, checksum, success FROM _sqlx_migrations ORDER BY version")
        .try_map(|row: sqlx::sqlite::SqliteRow| {
            Ok(Applied {
                version: row.try_get("version")?,
                checksum: row.try_get("checksum")?,
                is_complete: row.try_get("success")?,
            })
        })
        .fetch_all(connection)
        .await?;
    Ok(Some(rows))
}

/// The newest applied version, if we know every applied one and know it as it is.
fn check_known(applied: &[Applied]) -> Result<Option<i64>, SchemaError> {
    for Applied { version, checksum, is_complete } in applied {
        if !is_complete {
            return Err(SchemaError::Incomplete { version: *version });
        }
        match MIGRATOR.iter().find(|known| known.version == *version) {
            Some(known) if *known.checksum == **checksum => {}
            None if *version > newest() => {
                return Err(SchemaError::Newer { found: *version, known: newest() });
            }
            Some(_) | None => return Err(SchemaError::Altered { version: *version }),
        }
    }
    Ok(applied.last().map(|last| last.version))
}

async fn is_empty(connection: &mut SqliteConnection) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar::<_, i64>("SELECT count(*) FROM sqlite_schema").fetch_one(connection).await? == 0)
}

fn newest() -> i64 {
    MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or(0)
}

fn migration_error(error: MigrateError) -> StoreError {
    if let MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _) = error {
        return source.into();
    }
    StoreError::Broken(sqlx::Error::Migrate(Box::new(error)))
}
