//! What every insert shares: the id that comes back and the time that goes in.

use crate::{
    auth::time::UnixTime,
    store::{
        StoreError,
        sql::{
            connection::On,
            statement::{Query, Stamp, insert},
        },
    },
};

/// Runs an insert and returns the id that the row was given. An `INSERT … SELECT` that finds nothing is a conflict.
pub(in crate::store::sql) async fn insert_row(
    on: impl Into<On<'_>>,
    statement: Query<'_>,
    column: &'static str,
) -> Result<u32, StoreError> {
    let id = insert(statement, on, column).await?;
    let id = id.ok_or(StoreError::Conflict(sqlx::Error::RowNotFound))?;
    u32::try_from(id).map_err(|_| StoreError::Unfit { column })
}

/// A time as its column holds it.
pub(in crate::store::sql) fn stamp(time: UnixTime, column: &'static str) -> Result<Stamp, StoreError> {
    Stamp::new(time, column)
}
