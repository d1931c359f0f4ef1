//! What every insert shares: the id that comes back and the time that goes in.

use sqlx::{Sqlite, SqliteConnection, sqlite::SqliteArguments};

use crate::{
    auth::time::UnixTime,
    store::{StoreError, sql::timestamp},
};

/// Runs an insert and returns the id that the row was given. An `INSERT … SELECT` that finds nothing is a conflict.
pub(in crate::store::sql) async fn insert_row(
    connection: &mut SqliteConnection,
    insert: sqlx::query::Query<'_, Sqlite, SqliteArguments>,
    column: &'static str,
) -> Result<u32, StoreError> {
    let done = insert.execute(connection).await?;
    if done.rows_affected() == 0 {
        return Err(StoreError::Conflict(sqlx::Error::RowNotFound));
    }
    u32::try_from(done.last_insert_rowid()).map_err(|_| StoreError::Unfit { column })
}

/// A time as its column holds it.
pub(in crate::store::sql) fn stamp(time: UnixTime, column: &'static str) -> Result<String, StoreError> {
    timestamp::format(time).ok_or(StoreError::Unfit { column })
}
