//! A statement and its arguments, run on whichever database the store has.
//!
//! The names are those of sqlx, whose drivers do the work. An argument has one of three types, whatever its value: a NULL is a
//! NULL number, text or time, because PostgreSQL prepares a statement for the types that it saw first.

use std::{borrow::Cow, sync::Arc};

use sqlx::AssertSqlSafe;

use super::{
    columns::Row,
    connection::{Link, On},
    dialect::{Dialect, Flavor, Rendered},
    postgres::PgTime,
    timestamp,
};
use crate::{auth::time::UnixTime, store::StoreError};

/// An argument.
#[derive(Debug, Clone)]
pub(super) enum Value<'q> {
    Number(Option<i64>),
    Text(Option<Cow<'q, str>>),
    Time(Option<Stamp>),
}

/// A time that a column can hold: in the years 1 to 9999.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamp(UnixTime);

/// What a statement that answers no rows did.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Done {
    rows_affected: u64,
    last_insert_id: Option<i64>,
}

/// A statement with its arguments.
#[derive(Debug)]
#[must_use = "a statement does nothing until it is run"]
pub(super) struct Query<'q> {
    statement: &'static str,
    values: Vec<Value<'q>>,
    returning: Option<&'static str>,
}

/// Begins a statement, in the words of [`super::dialect`].
pub(super) const fn query<'q>(statement: &'static str) -> Query<'q> {
    Query { statement, values: Vec::new(), returning: None }
}

impl Stamp {
    /// A time as its column holds it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unfit`] outside the years 1 to 9999.
    pub(super) fn new(time: UnixTime, column: &'static str) -> Result<Self, StoreError> {
        timestamp::format(time).map(|_| Self(time)).ok_or(StoreError::Unfit { column })
    }

    pub(super) const fn time(self) -> UnixTime {
        self.0
    }

    /// The text that SQLite keeps and MySQL reads.
    fn text(self) -> String {
        timestamp::format(self.0).unwrap_or_default()
    }
}

impl Done {
    /// Rows that were found, changed or not.
    pub(super) const fn rows_affected(self) -> u64 {
        self.rows_affected
    }

    /// The id that an inserted row was given, where the driver tells it.
    pub(super) const fn last_insert_id(self) -> Option<i64> {
        self.last_insert_id
    }
}

impl<'q> Query<'q> {
    /// Adds an argument.
    pub(super) fn bind(mut self, value: impl Into<Value<'q>>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Has an insert answer a column of the row, `table.column`. PostgreSQL knows no other way to tell an id.
    fn returning(mut self, column: &'static str) -> Self {
        self.returning = Some(column);
        self
    }

    /// The first row, if there is any.
    pub(super) async fn fetch_optional(self, on: impl Into<On<'_>>) -> Result<Option<Row>, sqlx::Error> {
        let mut opened = on.into().open().await?;
        let texts = opened.texts();
        let rendered = texts.of(self.statement);
        let found = match opened.begin_statement() {
            Link::Sqlite(link) => {
                self.sqlite(&rendered).fetch_optional(link).await.map(|row| row.map(Row::Sqlite))
            }
            Link::MySql(link) => {
                self.mysql(&rendered, texts.flavor).fetch_optional(link).await.map(|row| row.map(Row::MySql))
            }
            Link::Postgres(link) => {
                self.postgres(&rendered).fetch_optional(link).await.map(|row| row.map(Row::Postgres))
            }
        };
        opened.end_statement();
        found
    }

    /// The row that must be there.
    pub(super) async fn fetch_one(self, on: impl Into<On<'_>>) -> Result<Row, sqlx::Error> {
        self.fetch_optional(on).await?.ok_or(sqlx::Error::RowNotFound)
    }

    /// Every row.
    pub(super) async fn fetch_all(self, on: impl Into<On<'_>>) -> Result<Vec<Row>, sqlx::Error> {
        let mut opened = on.into().open().await?;
        let texts = opened.texts();
        let rendered = texts.of(self.statement);
        let found = match opened.begin_statement() {
            Link::Sqlite(link) => {
                self.sqlite(&rendered).fetch_all(link).await.map(|rows| all(rows, Row::Sqlite))
            }
            Link::MySql(link) => {
                self.mysql(&rendered, texts.flavor).fetch_all(link).await.map(|rows| all(rows, Row::MySql))
            }
            Link::Postgres(link) => {
                self.postgres(&rendered).fetch_all(link).await.map(|rows| all(rows, Row::Postgres))
            }
        };
        opened.end_statement();
        found
    }

    /// Runs it for what it does.
    pub(super) async fn execute(self, on: impl Into<On<'_>>) -> Result<Done, sqlx::Error> {
        let mut opened = on.into().open().await?;
        let texts = opened.texts();
        let rendered = texts.of(self.statement);
        let done = match opened.begin_statement() {
            Link::Sqlite(link) => self.sqlite(&rendered).execute(link).await.map(|done| Done {
                rows_affected: done.rows_affected(),
                last_insert_id: Some(done.last_insert_rowid()),
            }),
            Link::MySql(link) => self.mysql(&rendered, texts.flavor).execute(link).await.map(|done| Done {
                rows_affected: done.rows_affected(),
                last_insert_id: i64::try_from(done.last_insert_id()).ok(),
            }),
            Link::Postgres(link) => self
                .postgres(&rendered)
                .execute(link)
                .await
                .map(|done| Done { rows_affected: done.rows_affected(), last_insert_id: None }),
        };
        opened.end_statement();
        done
    }

    fn sqlite(
        self,
        rendered: &Rendered,
    ) -> sqlx::query::Query<'q, sqlx::Sqlite, sqlx::sqlite::SqliteArguments> {
        let query = sqlx::query(AssertSqlSafe(Arc::clone(&rendered.sql)));
        self.values.into_iter().fold(query, |query, value| match value {
            Value::Number(number) => query.bind(number),
            Value::Text(text) => query.bind(text),
            Value::Time(time) => query.bind(time.map(Stamp::text)),
        })
    }

    fn mysql(
        self,
        rendered: &Rendered,
        flavor: Flavor,
    ) -> sqlx::query::Query<'q, sqlx::MySql, sqlx::mysql::MySqlArguments> {
        let query = sqlx::query(AssertSqlSafe(Arc::clone(&rendered.sql)));
        let places = rendered.order.iter().flatten().filter_map(|&number| self.values.get(number).cloned());
        places.fold(query, |query, value| match (value, flavor) {
            (Value::Number(number), _) => query.bind(number),
            // Magento's columns hold nothing beyond three bytes a character, and comparing one with such a text reads the
            // whole table.
            (Value::Text(text), Flavor::Magentos) => {
                query.bind(text.map(|text| without(text, |character| character > '\u{ffff}')))
            }
            (Value::Text(text), Flavor::Own) => query.bind(text),
            (Value::Time(time), _) => query.bind(time.map(Stamp::text)),
        })
    }

    fn postgres(
        self,
        rendered: &Rendered,
    ) -> sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments> {
        let sql = match self.returning {
            None => Arc::clone(&rendered.sql),
            Some(column) => {
                let name = column.rsplit('.').next().unwrap_or(column);
                format!("{} RETURNING {name} AS \"{column}\"", rendered.sql).into()
            }
        };
        let query = sqlx::query(AssertSqlSafe(sql));
        self.values.into_iter().fold(query, |query, value| match value {
            Value::Number(number) => query.bind(number),
            // PostgreSQL holds no such text, nor finds it.
            Value::Text(text) => query.bind(text.map(|text| without(text, |character| character == '\0'))),
            Value::Time(time) => query.bind(time.map(|stamp| PgTime::of(stamp.time()))),
        })
    }
}

/// Inserts and answers the id that the row was given; `column` is the one of the id, `table.column`. `None` where an
/// `INSERT … SELECT` found nothing to insert.
pub(super) async fn insert(
    insert: Query<'_>,
    on: impl Into<On<'_>>,
    column: &'static str,
) -> Result<Option<i64>, StoreError> {
    let on = on.into();
    if on.dialect() == Dialect::Postgres {
        let row = insert.returning(column).fetch_optional(on).await?;
        return row.map(|row| super::columns::Columns(&row).number(column)).transpose();
    }
    let done = insert.execute(on).await?;
    Ok(done.last_insert_id().filter(|_| done.rows_affected() > 0))
}

/// A text with the replacement character in the place of others.
fn without(text: Cow<'_, str>, is_out: impl Fn(char) -> bool) -> Cow<'_, str> {
    if text.contains(&is_out) { text.replace(is_out, "\u{fffd}").into() } else { text }
}

fn all<R>(rows: Vec<R>, into: impl Fn(R) -> Row) -> Vec<Row> {
    rows.into_iter().map(into).collect()
}

macro_rules! numbers {
    ($($number:ty),*) => { $(
        impl From<$number> for Value<'_> {
            fn from(number: $number) -> Self {
                Self::Number(Some(i64::from(number)))
            }
        }

        impl From<Option<$number>> for Value<'_> {
            fn from(number: Option<$number>) -> Self {
                Self::Number(number.map(i64::from))
            }
        }
    )* };
}

numbers!(i64, u32, u16, bool);

impl<'q> From<&'q str> for Value<'q> {
    fn from(text: &'q str) -> Self {
        Self::Text(Some(Cow::Borrowed(text)))
    }
}

impl<'q> From<Option<&'q str>> for Value<'q> {
    fn from(text: Option<&'q str>) -> Self {
        Self::Text(text.map(Cow::Borrowed))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Text(Some(Cow::Owned(text)))
    }
}

impl From<Stamp> for Value<'_> {
    fn from(time: Stamp) -> Self {
        Self::Time(Some(time))
    }
}

impl From<Option<Stamp>> for Value<'_> {
    fn from(time: Option<Stamp>) -> Self {
        Self::Time(time)
    }
}
