//! MySQL and MariaDB: sessions as we need them, the lock of a change, and values as they come.
//!
//! Times are read from the bytes of the binary protocol: a zero date, which Magento's tables are full of, has no bytes or zero
//! ones, and every driver's own types take it for an error or for NULL.

use sqlx::{
    ConnectOptions as _, MySql, MySqlConnection, MySqlPool, Row as _, Type, TypeInfo as _, ValueRef as _,
    mysql::{MySqlConnectOptions, MySqlRow},
};

use super::{address::Address, connection::server_pool, timestamp};
use crate::store::StoreError;

/// More than there are statements, so that none is prepared twice on a connection.
const STATEMENTS: usize = 256;

/// What a session is set to. Identifiers are quoted with `"`. What does not fit its column is refused, where Magento's own
/// sessions cut it short, and a zero date may stand as it stands. The server ends a statement that nobody waits for any
/// longer; of the two comments MariaDB reads the first and MySQL the second.
const SESSION: &str = "
    SET SESSION sql_mode = 'ANSI_QUOTES,STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO',
        SESSION innodb_lock_wait_timeout = 5, SESSION lock_wait_timeout = 5
        /*M!100101 , SESSION max_statement_time = 10 */ /*!50708 , SESSION max_execution_time = 10000 */;
    SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ";

// A name has 64 characters at most.
const LOCK: &str = "SELECT GET_LOCK(CONCAT('portcullis.', MD5(CONCAT(DATABASE(), '.', ?))), 5)";
const UNLOCK: &str = "SELECT RELEASE_LOCK(CONCAT('portcullis.', MD5(CONCAT(DATABASE(), '.', ?))))";

/// Connections that are made when they are needed.
///
/// # Errors
///
/// [`StoreError::Url`].
pub(super) fn pool(address: &Address, url: &str) -> Result<MySqlPool, StoreError> {
    let options: MySqlConnectOptions = url.parse().map_err(|_| StoreError::Url("is not a URL of MySQL"))?;
    let options = options
        .charset("utf8mb4")
        .timezone(Some("+00:00".to_owned()))
        .pipes_as_concat(false)
        .no_engine_substitution(false)
        .statement_cache_capacity(STATEMENTS)
        .disable_statement_logging();
    let pool = server_pool::<MySql>(address).after_connect(|connection, _| {
        Box::pin(async move { sqlx::raw_sql(SESSION).execute(connection).await.map(drop) })
    });
    Ok(pool.connect_lazy_with(options))
}

/// Takes the lock that one change at a time has, of this database and this prefix.
///
/// # Errors
///
/// When another change does not come to an end.
pub(super) async fn lock_changes(connection: &mut MySqlConnection, prefix: &str) -> Result<(), sqlx::Error> {
    let taken: Option<i64> = sqlx::query_scalar(LOCK).bind(prefix).fetch_one(connection).await?;
    if taken == Some(1) {
        return Ok(());
    }
    Err(sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, "another change holds the store")))
}

/// Gives the lock back.
pub(super) async fn unlock_changes(
    connection: &mut MySqlConnection,
    prefix: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(UNLOCK).bind(prefix).execute(connection).await.map(drop)
}

/// A whole number, signed or not.
pub(super) fn number(row: &MySqlRow, column: &str) -> Result<Option<i128>, sqlx::Error> {
    let value = row.try_get_raw(column)?;
    let type_info = value.type_info().into_owned();
    if <u64 as Type<MySql>>::compatible(&type_info) {
        return Ok(row.try_get::<Option<u64>, _>(column)?.map(i128::from));
    }
    Ok(row.try_get::<Option<i64>, _>(column)?.map(i128::from))
}

/// A time as text: the zero date as MySQL writes it, and nothing of a second's parts.
pub(super) fn time(row: &MySqlRow, column: &str) -> Result<Option<String>, sqlx::Error> {
    let value = row.try_get_raw(column)?;
    let type_info = value.type_info().into_owned();
    if type_info.is_null() || !matches!(type_info.name(), "TIMESTAMP" | "DATETIME") {
        return row.try_get(column);
    }
    // A driver's own test for NULL counts the zero date.
    let Ok(bytes) = <&[u8] as sqlx::Decode<'_, MySql>>::decode(value) else { return Ok(None) };
    // The length, then year, month and day, and the time of day where it is not midnight.
    Ok(Some(match *bytes {
        [_, y1, y2, month, day] => date(u16::from_le_bytes([y1, y2]), month, day) + " 00:00:00",
        [_, y1, y2, month, day, hour, minute, second, ..] => {
            let date = date(u16::from_le_bytes([y1, y2]), month, day);
            format!("{date} {hour:02}:{minute:02}:{second:02}")
        }
        _ => timestamp::ZERO_DATE.to_owned(),
    }))
}

fn date(year: u16, month: u8, day: u8) -> String {
    format!("{year:04}-{month:02}-{day:02}")
}
