//! Recorded rows (`tests/corpus/fixture*.json`: table -> list of rows) and Magento's own schema, put into a server.
//!
//! Rows go in as they were recorded, zero dates included where the server knows them. A row whose key is already there replaces
//! what it says. Columns that a table does not have are left out.

use serde_json::{Map, Value};
use sqlx::{AssertSqlSafe, MySqlConnection, PgConnection};

/// The `CREATE TABLE` statements of a live Magento.
const MAGENTO: &str = include_str!("../../vectors/magento_schema.sql");

/// Creates Magento's tables with a prefix.
pub(crate) async fn create_magento(connection: &mut MySqlConnection, prefix: &str) {
    let tables: Vec<&str> =
        MAGENTO.split("CREATE TABLE `").skip(1).filter_map(|t| t.split('`').next()).collect();
    let mut schema = MAGENTO.to_owned();
    for table in &tables {
        schema = schema.replace(&format!("TABLE `{table}`"), &format!("TABLE `{prefix}{table}`"));
        schema = schema.replace(&format!("REFERENCES `{table}`"), &format!("REFERENCES `{prefix}{table}`"));
    }
    let schema = format!("SET FOREIGN_KEY_CHECKS = 0; SET SESSION sql_mode = '';\n{schema}");
    sqlx::raw_sql(AssertSqlSafe(schema)).execute(connection).await.unwrap();
}

/// Loads a file of `tests/corpus` into MySQL, whose tables have a prefix.
pub(crate) async fn load_mysql(connection: &mut MySqlConnection, prefix: &str, file: &str) {
    let set = "SET FOREIGN_KEY_CHECKS = 0; SET SESSION time_zone = '+00:00';
        SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO,NO_BACKSLASH_ESCAPES'";
    sqlx::raw_sql(set).execute(&mut *connection).await.unwrap();
    for (table, rows) in recorded(file) {
        let table = format!("{prefix}{table}");
        let columns = "SELECT column_name FROM information_schema.columns
            WHERE table_schema = DATABASE() AND table_name = ?";
        let columns: Vec<String> =
            sqlx::query_scalar(columns).bind(&table).fetch_all(&mut *connection).await.unwrap();
        assert!(!columns.is_empty(), "no table {table}");
        for row in rows.as_array().unwrap() {
            let (names, values) = literals(row.as_object().unwrap(), &columns, |value| value);
            let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
            let sql = format!("REPLACE INTO {table} ({}) VALUES ({})", names.join(", "), values.join(", "));
            let done = sqlx::raw_sql(AssertSqlSafe(sql.clone())).execute(&mut *connection).await;
            done.unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
    }
}

/// Loads a file of `tests/corpus` into PostgreSQL.
pub(crate) async fn load_postgres(connection: &mut PgConnection, file: &str) {
    sqlx::raw_sql("SET session_replication_role = replica").execute(&mut *connection).await.unwrap();
    for (table, rows) in recorded(file) {
        let columns = "SELECT column_name::text FROM information_schema.columns WHERE table_name = $1";
        let columns: Vec<String> =
            sqlx::query_scalar(columns).bind(&table).fetch_all(&mut *connection).await.unwrap();
        assert!(!columns.is_empty(), "no table {table}");
        let key = "SELECT a.attname::text FROM pg_index i
            JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
            WHERE i.indrelid = $1::regclass AND i.indisprimary";
        let key: Vec<String> =
            sqlx::query_scalar(key).bind(&table).fetch_all(&mut *connection).await.unwrap();
        for row in rows.as_array().unwrap() {
            let no_zero =
                |value: String| if value.starts_with("'0000-00-00") { "NULL".to_owned() } else { value };
            let (names, values) = literals(row.as_object().unwrap(), &columns, no_zero);
            let set: Vec<_> = names.iter().map(|name| format!("{name} = excluded.{name}")).collect();
            let sql = format!(
                "INSERT INTO {table} ({}) VALUES ({}) ON CONFLICT ({}) DO UPDATE SET {}",
                names.join(", "),
                values.join(", "),
                key.join(", "),
                set.join(", ")
            );
            let done = sqlx::raw_sql(AssertSqlSafe(sql.clone())).execute(&mut *connection).await;
            done.unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
        // Ids that are given go on behind those that were written.
        let sequence: Option<String> = sqlx::query_scalar("SELECT pg_get_serial_sequence($1, $2)")
            .bind(&table)
            .bind(&key[0])
            .fetch_one(&mut *connection)
            .await
            .unwrap();
        if let Some(sequence) = sequence {
            let next = format!("SELECT setval('{sequence}', (SELECT max({}) FROM {table}))", key[0]);
            sqlx::raw_sql(AssertSqlSafe(next)).execute(&mut *connection).await.unwrap();
        }
    }
    sqlx::raw_sql("RESET session_replication_role").execute(&mut *connection).await.unwrap();
}

fn recorded(file: &str) -> Map<String, Value> {
    let path = format!("{}/tests/corpus/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap()
}

/// Every value as a quoted literal, which both servers take for any column.
fn literals(
    row: &Map<String, Value>,
    columns: &[String],
    changed: impl Fn(String) -> String,
) -> (Vec<String>, Vec<String>) {
    let known = row.iter().filter(|(name, _)| columns.contains(name));
    let literal = |value: &Value| match value {
        Value::Null => "NULL".to_owned(),
        Value::Bool(value) => format!("'{}'", u8::from(*value)),
        Value::Number(value) => format!("'{value}'"),
        Value::String(value) => format!("'{}'", value.replace('\'', "''")),
        Value::Array(_) | Value::Object(_) => panic!("a row holds {value}"),
    };
    known.map(|(name, value)| (name.clone(), changed(literal(value)))).unzip()
}
