//! One row, read column by column into checked values.
//!
//! A column is asked for by the name it was selected under, `table.column`, and that is the name in every complaint. A
//! number that does not fit, a text that is no time or a NULL where there must be none is
//! [`StoreError::Corrupt`]: never a panic, a wrapped number or a default.

use sqlx::{Row as _, mysql::MySqlRow, postgres::PgRow, sqlite::SqliteRow};

use super::{mysql, postgres, timestamp};
use crate::{
    auth::{secret::Secret, time::UnixTime},
    store::StoreError,
};

/// A row as its driver has it.
pub(super) enum Row {
    Sqlite(SqliteRow),
    MySql(MySqlRow),
    Postgres(PgRow),
}

/// The columns of one row.
pub(super) struct Columns<'r>(pub(super) &'r Row);

impl Columns<'_> {
    /// A number that must be there and fit.
    pub(super) fn number<N: TryFrom<i128>>(&self, column: &'static str) -> Result<N, StoreError> {
        self.optional_number(column)?.ok_or_else(|| null(column))
    }

    /// A number that may be NULL but must fit.
    pub(super) fn optional_number<N: TryFrom<i128>>(
        &self,
        column: &'static str,
    ) -> Result<Option<N>, StoreError> {
        let value = match self.0 {
            Row::Sqlite(row) => row.try_get::<Option<i64>, _>(column).map(|value| value.map(i128::from)),
            Row::MySql(row) => mysql::number(row, column),
            Row::Postgres(row) => postgres::number(row, column),
        };
        let Some(value) = value.map_err(|_| mistyped(column))? else { return Ok(None) };
        let number =
            N::try_from(value).map_err(|_| corrupt(column, format!("{value}, which is out of range")))?;
        Ok(Some(number))
    }

    /// A text that must be there.
    pub(super) fn text(&self, column: &'static str) -> Result<String, StoreError> {
        self.optional_text(column)?.ok_or_else(|| null(column))
    }

    /// A text that may be NULL.
    pub(super) fn optional_text(&self, column: &'static str) -> Result<Option<String>, StoreError> {
        let value = match self.0 {
            Row::Sqlite(row) => row.try_get(column),
            Row::MySql(row) => row.try_get(column),
            Row::Postgres(row) => row.try_get(column),
        };
        value.map_err(|_| mistyped(column))
    }

    /// A secret that must be there.
    pub(super) fn secret(&self, column: &'static str) -> Result<Secret<String>, StoreError> {
        self.text(column).map(Secret::new)
    }

    /// A time; `None` for NULL and for the zero date.
    pub(super) fn time(&self, column: &'static str) -> Result<Option<UnixTime>, StoreError> {
        let text = match self.0 {
            Row::Sqlite(row) => row.try_get(column),
            Row::MySql(row) => mysql::time(row, column),
            Row::Postgres(row) => postgres::time(row, column),
        };
        let Some(text) = text.map_err(|_| mistyped(column))? else { return Ok(None) };
        let text: String = text;
        timestamp::parse(&text).map_err(|_| corrupt(column, String::from("a text that is no time")))
    }
}

fn mistyped(column: &'static str) -> StoreError {
    corrupt(column, String::from("a value of another type"))
}

fn null(column: &'static str) -> StoreError {
    corrupt(column, String::from("NULL"))
}

const fn corrupt(column: &'static str, problem: String) -> StoreError {
    StoreError::Corrupt { column, problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn row(sql: &'static str) -> Row {
        let store = crate::store::sql::SqlStore::open("sqlite::memory:").await.unwrap();
        crate::store::sql::statement::query(sql).fetch_one(&store.pool).await.unwrap()
    }

    fn problem<T: std::fmt::Debug>(result: Result<T, StoreError>) -> String {
        result.unwrap_err().to_string()
    }

    #[tokio::test]
    async fn numbers_fit_or_are_corrupt() {
        let row = row(
            r#"SELECT -1 AS "t.a", 4294967296 AS "t.b", 4294967295 AS "t.c", NULL AS "t.d", 'x' AS "t.e""#,
        )
        .await;
        let columns = Columns(&row);
        assert_eq!(problem(columns.number::<u32>("t.a")), "t.a holds -1, which is out of range");
        assert_eq!(problem(columns.number::<u32>("t.b")), "t.b holds 4294967296, which is out of range");
        assert_eq!(columns.number::<u32>("t.c").unwrap(), u32::MAX);
        assert_eq!(problem(columns.number::<u16>("t.c")), "t.c holds 4294967295, which is out of range");
        assert_eq!(problem(columns.number::<u32>("t.d")), "t.d holds NULL");
        assert_eq!(columns.optional_number::<u32>("t.d").unwrap(), None);
        assert_eq!(problem(columns.optional_number::<u32>("t.e")), "t.e holds a value of another type");
    }

    #[tokio::test]
    async fn times_are_read_and_nothing_of_a_bad_one_is_told() {
        let row = row(
            r#"SELECT '1970-01-01 00:00:01' AS "t.a", '0000-00-00 00:00:00' AS "t.b", NULL AS "t.c", 'hunter2' AS "t.d""#,
        )
        .await;
        let columns = Columns(&row);
        assert_eq!(columns.time("t.a").unwrap(), Some(UnixTime::from_seconds(1)));
        assert_eq!(columns.time("t.b").unwrap(), None);
        assert_eq!(columns.time("t.c").unwrap(), None);
        assert_eq!(problem(columns.time("t.d")), "t.d holds a text that is no time");
    }

    #[tokio::test]
    async fn texts_are_utf8_or_corrupt() {
        let row = row(r#"SELECT CAST(X'ff' AS TEXT) AS "t.a", 1 AS "t.b", 'é' AS "t.c""#).await;
        let columns = Columns(&row);
        assert_eq!(problem(columns.text("t.a")), "t.a holds a value of another type");
        assert_eq!(problem(columns.text("t.b")), "t.b holds a value of another type");
        assert_eq!(columns.text("t.c").unwrap(), "é");
    }
}
