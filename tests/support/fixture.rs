//! Loads recorded rows (`tests/corpus/fixture*.json`: table -> list of rows) into a SQLite store.
//!
//! Rows go in as they were recorded, zero dates included. Columns that the store does not have are left out; a row
//! whose key is already there replaces what it says.

use serde_json::{Map, Value};
use sqlx::{AssertSqlSafe, Row, SqliteConnection, SqlitePool, query};

/// Loads one file of `tests/corpus` and returns the number of rows.
pub(crate) async fn load(pool: &SqlitePool, file: &str) -> usize {
    let path = format!("{}/tests/corpus/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    load_rows(pool, &serde_json::from_str(&text).unwrap()).await
}

/// Loads an object of tables and returns the number of rows.
pub(crate) async fn load_rows(pool: &SqlitePool, tables: &Map<String, Value>) -> usize {
    let mut transaction = pool.begin().await.unwrap();
    // The tables stand in any order; what is missing at the end is still an error.
    query("PRAGMA defer_foreign_keys = ON").execute(&mut *transaction).await.unwrap();
    let mut count = 0;
    for (table, rows) in tables {
        let columns = columns(&mut transaction, table).await;
        for row in rows.as_array().unwrap() {
            insert(&mut transaction, table, &columns, row.as_object().unwrap()).await;
            count += 1;
        }
    }
    transaction.commit().await.unwrap();
    count
}

async fn columns(connection: &mut SqliteConnection, table: &str) -> Vec<String> {
    let rows =
        query("SELECT name FROM pragma_table_info(?1)").bind(table).fetch_all(connection).await.unwrap();
    assert!(!rows.is_empty(), "no table {table}");
    rows.iter().map(|row| row.get("name")).collect()
}

async fn insert(
    connection: &mut SqliteConnection,
    table: &str,
    columns: &[String],
    row: &Map<String, Value>,
) {
    let known: Vec<(&String, &Value)> = row.iter().filter(|(name, _)| columns.contains(name)).collect();
    let join = |each: &dyn Fn(&str) -> String| {
        known.iter().map(|(name, _)| each(name)).collect::<Vec<_>>().join(", ")
    };
    let sql = format!(
        "INSERT INTO \"{table}\" ({}) VALUES ({}) ON CONFLICT DO UPDATE SET {}",
        join(&|name| format!("\"{name}\"")),
        join(&|_| String::from("?")),
        join(&|name| format!("\"{name}\" = excluded.\"{name}\"")),
    );
    let mut statement = query(AssertSqlSafe(sql));
    for (_, value) in known {
        statement = match value {
            Value::Null => statement.bind(None::<String>),
            Value::Bool(value) => statement.bind(*value),
            Value::Number(value) => statement.bind(value.as_i64().unwrap()),
            Value::String(value) => statement.bind(value.clone()),
            Value::Array(_) | Value::Object(_) => panic!("{table} holds {value}"),
        };
    }
    statement.execute(connection).await.unwrap_or_else(|error| panic!("{table} {row:?}: {error}"));
}
