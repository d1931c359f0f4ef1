//! A store that does not answer: a SQLite file that somebody else holds.

use std::path::Path;

use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::runtime::Runtime;

/// A lock on a database; nobody else reads or writes until it is released or dropped.
pub(crate) struct Lock {
    runtime: Runtime,
    connection: Option<SqliteConnection>,
}

impl Lock {
    /// Makes readers wait for writers, as they do not by themselves: a lock then keeps out everybody.
    pub(crate) fn prepare(database: &Path) {
        let runtime = runtime();
        runtime.block_on(async {
            let mut connection = connect(database).await;
            sqlx::query("PRAGMA journal_mode = DELETE").execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        });
    }

    /// Takes the lock.
    pub(crate) fn take(database: &Path) -> Self {
        let runtime = runtime();
        let connection = runtime.block_on(async {
            let mut connection = connect(database).await;
            sqlx::query("BEGIN EXCLUSIVE").execute(&mut connection).await.unwrap();
            connection
        });
        Self { runtime, connection: Some(connection) }
    }

    /// Changes what is there, unseen until the release.
    pub(crate) fn execute(&mut self, statement: &str) {
        let connection = self.connection.as_mut().unwrap();
        let query = sqlx::query(sqlx::AssertSqlSafe(statement.to_owned()));
        self.runtime.block_on(query.execute(connection)).unwrap();
    }

    /// Gives the database back with what was changed.
    pub(crate) fn release(mut self) {
        let connection = self.connection.take().unwrap();
        self.runtime.block_on(async {
            let mut connection = connection;
            sqlx::query("COMMIT").execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        });
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

async fn connect(database: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(database).foreign_keys(false);
    SqliteConnection::connect_with(&options.busy_timeout(std::time::Duration::from_secs(30))).await.unwrap()
}
