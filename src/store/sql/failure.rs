//! What a failure of a database means: an outage, a contradiction or a database that cannot be worked with.
//!
//! The line matters to the caller: during an outage proven callers may go on for a while, and the question is worth
//! asking again. Codes that are not listed count as broken, never as an outage.

use std::path::PathBuf;

use sqlx::{mysql::MySqlDatabaseError, postgres::PgDatabaseError, sqlite::SqliteError};

use crate::store::StoreError;

// Primary result codes, https://www.sqlite.org/rescode.html.
const SQLITE_BUSY: i32 = 5;
const SQLITE_LOCKED: i32 = 6;
const SQLITE_NOMEM: i32 = 7;
const SQLITE_READONLY: i32 = 8;
const SQLITE_INTERRUPT: i32 = 9;
const SQLITE_IOERR: i32 = 10;
const SQLITE_FULL: i32 = 13;
const SQLITE_CANTOPEN: i32 = 14;
const SQLITE_PROTOCOL: i32 = 15;
const SQLITE_CONSTRAINT: i32 = 19;
const SQLITE_NOTADB: i32 = 26;

/// What the code of a failure means.
enum Meaning {
    Outage,
    Conflict,
    Denied,
    Lacking,
    Broken,
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match meaning(&error) {
            Meaning::Outage => Self::Unavailable(error),
            Meaning::Conflict => Self::Conflict(error),
            Meaning::Denied => Self::Denied(error),
            Meaning::Lacking => Self::Lacking(error),
            Meaning::Broken => Self::Broken(error),
        }
    }
}

fn meaning(error: &sqlx::Error) -> Meaning {
    if let Some(code) = primary_code(error) {
        return of_sqlite(code);
    }
    if let Some(failure) = error.as_database_error() {
        if let Some(failure) = failure.try_downcast_ref::<MySqlDatabaseError>() {
            return of_mysql(failure.number());
        }
        if let Some(failure) = failure.try_downcast_ref::<PgDatabaseError>() {
            return of_postgres(failure.code());
        }
    }
    // A certificate that is not the server's is nothing that passes by itself.
    if let sqlx::Error::Io(failure) = error
        && failure.kind() == std::io::ErrorKind::InvalidData
    {
        return Meaning::Broken;
    }
    let is_outage = matches!(
        error,
        sqlx::Error::Io(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed
    );
    if is_outage { Meaning::Outage } else { Meaning::Broken }
}

const fn of_sqlite(code: i32) -> Meaning {
    match code {
        SQLITE_BUSY | SQLITE_LOCKED | SQLITE_NOMEM | SQLITE_READONLY | SQLITE_INTERRUPT | SQLITE_IOERR
        | SQLITE_FULL | SQLITE_CANTOPEN | SQLITE_PROTOCOL => Meaning::Outage,
        SQLITE_CONSTRAINT => Meaning::Conflict,
        _ => Meaning::Broken,
    }
}

/// <https://mariadb.com/docs/server/reference/error-codes/mariadb-error-code-reference>; MySQL's are the same but where one
/// of the two has none.
const fn of_mysql(code: u16) -> Meaning {
    match code {
        // A host, a user or a database is not let in; a statement, a table or a column is not theirs.
        1044 | 1045 | 1130 | 1142 | 1143 | 1227 | 1370 | 1698 => Meaning::Denied,
        // No such database, column or table.
        1049 | 1054 | 1146 => Meaning::Lacking,
        // A duplicate key, or a row that another one needs or is in need of.
        1022 | 1062 | 1169 | 1216 | 1217 | 1451 | 1452 | 1557 | 1586 => Meaning::Conflict,
        // Out of connections, memory or disk.
        1021 | 1037 | 1038 | 1040 | 1041 | 1114 | 1129 | 1135 | 1203 | 1226 | 1436 | 1461
        // The server is going down, or cut the connection.
        | 1053 | 1077 | 1079 | 1152 | 1158 | 1159 | 1160 | 1161 | 1184 | 1927 | 4031
        // Waited for a lock in vain; a deadlock; too many changes to undo.
        | 1205 | 1213 | 1223 | 1637
        // It took too long, or was ended by somebody.
        | 1028 | 1317 | 1969 | 3024
        // A server that only reads, as a replica before it takes over; a cluster that has lost its majority; an I/O failure.
        | 1047 | 1290 | 1792 | 1836 | 1030 | 1105 | 1180 | 1181 => Meaning::Outage,
        _ => Meaning::Broken,
    }
}

/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn of_postgres(code: &str) -> Meaning {
    match code {
        // A password or a privilege that is wrong or wanting; a connection that `pg_hba.conf` does not let in.
        "28000" | "28P01" | "42501" => Meaning::Denied,
        // No such database, schema, table or column.
        "3D000" | "3F000" | "42P01" | "42703" => Meaning::Lacking,
        // A server that only reads; a lock not given, a statement or a transaction ended for its time.
        "25006" | "25P03" | "55P03" | "57014" | "57P01" | "57P02" | "57P03" | "57P05" => Meaning::Outage,
        _ => match code.get(..2) {
            Some("23") => Meaning::Conflict,
            // A connection, a deadlock or a serialization failure, resources, an operator, the system.
            Some("08" | "40" | "53" | "58") => Meaning::Outage,
            Some(_) | None => Meaning::Broken,
        },
    }
}

/// SQLite notices a foreign file only when it first reads it, and does not say which one it was.
pub(super) fn naming_file(error: StoreError, path: PathBuf) -> StoreError {
    let is_foreign =
        matches!(&error, StoreError::Broken(source) if primary_code(source) == Some(SQLITE_NOTADB));
    if is_foreign { StoreError::NotADatabase { path } } else { error }
}

/// Whether another connection was in the way.
pub(super) fn is_locked(error: &sqlx::Error) -> bool {
    matches!(primary_code(error), Some(SQLITE_BUSY | SQLITE_LOCKED))
}

/// Whether a server ended a transaction because it and another one waited for each other.
pub(super) fn is_deadlock(error: &StoreError) -> bool {
    let StoreError::Unavailable(error) = error else { return false };
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    // MySQL calls a deadlock a serialization failure; PostgreSQL knows both.
    matches!(code.as_deref(), Some("40001" | "40P01"))
}

/// The primary result code of a SQLite error, which is the low byte of the extended one.
fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let error = error.as_database_error()?.try_downcast_ref::<SqliteError>()?;
    let extended: i32 = sqlx::error::DatabaseError::code(error)?.parse().ok()?;
    Some(extended & 0xff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_codes_mean_what_its_manual_says() {
        for code in ["08006", "40001", "40P01", "53300", "55P03", "57014", "57P01", "25006"] {
            assert!(matches!(of_postgres(code), Meaning::Outage), "{code}");
        }
        for (code, is_conflict) in
            [("23505", true), ("23503", true), ("42601", false), ("22001", false), ("", false)]
        {
            assert_eq!(matches!(of_postgres(code), Meaning::Conflict), is_conflict, "{code}");
            assert_eq!(matches!(of_postgres(code), Meaning::Broken), !is_conflict, "{code}");
        }
        for code in [1040, 1053, 1205, 1213, 1290, 1317, 1969, 3024, 4031] {
            assert!(matches!(of_mysql(code), Meaning::Outage), "{code}");
        }
        for (code, is_conflict) in [(1062, true), (1452, true), (1064, false), (1406, false), (0, false)] {
            assert_eq!(matches!(of_mysql(code), Meaning::Conflict), is_conflict, "{code}");
            assert_eq!(matches!(of_mysql(code), Meaning::Broken), !is_conflict, "{code}");
        }
        for denied in [1044, 1045, 1142] {
            assert!(matches!(of_mysql(denied), Meaning::Denied), "{denied}");
        }
        assert!(matches!(of_postgres("28P01"), Meaning::Denied));
        assert!(matches!(of_mysql(1146), Meaning::Lacking));
        assert!(matches!(of_postgres("42P01"), Meaning::Lacking));
    }
}
