//! A gate's store in a private MariaDB that holds Magento's own tables, as Magento created them.
//!
//! What tests do to it behind the gate's back they write in SQLite's words; the few that MariaDB has others for are put
//! into those.

use std::{cell::Cell, path::Path};

use sqlx::{AssertSqlSafe, Connection as _, MySqlConnection, Row as _, ValueRef as _};

use super::servers::{mariadb::MariaDb, rows};

/// Where the folder of a gate keeps the name of its database.
const NAME: &str = "magento-database";

thread_local! {
    static IS_DEFAULT: Cell<bool> = const { Cell::new(false) };
}

/// A Magento's database.
#[derive(Debug, Clone)]
pub(crate) struct MagentoDatabase {
    name: String,
}

/// Runs a test whose gates have their stores there, unless they say otherwise.
pub(crate) fn with_stores_in_mariadb<T>(test: impl FnOnce() -> T) -> T {
    IS_DEFAULT.set(true);
    let result = test();
    IS_DEFAULT.set(false);
    result
}

pub(crate) fn is_default() -> bool {
    IS_DEFAULT.get()
}

impl MagentoDatabase {
    /// The database of a gate that was started in this folder before.
    pub(crate) fn of_folder(folder: &Path) -> Option<Self> {
        std::fs::read_to_string(folder.join(NAME)).ok().map(|name| Self { name })
    }

    /// A database with these recorded rows, for gates in this folder.
    pub(crate) fn create(folder: &Path, fixtures: &[&str]) -> Self {
        let database = block_on(async {
            let server = MariaDb::shared();
            let name = server.new_database().await;
            let mut connection = server.connect(Some(&name)).await;
            rows::create_magento(&mut connection, "").await;
            for fixture in fixtures {
                rows::load_mysql(&mut connection, "", fixture).await;
            }
            connection.close().await.unwrap();
            Self { name }
        });
        std::fs::write(folder.join(NAME), &database.name).unwrap();
        database
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Opened by the user who may do everything.
    pub(crate) fn url(&self) -> String {
        MariaDb::shared().url(&self.name)
    }

    /// Opened by somebody else.
    pub(crate) fn url_of(&self, user: &str, password: &str) -> String {
        format!("mysql://{user}:{password}@127.0.0.1:{}/{}", MariaDb::shared().port(), self.name)
    }

    /// Runs statements.
    pub(crate) fn sql(&self, statements: &str) {
        let statements = translated(statements);
        block_on(async {
            let mut connection = self.connect().await;
            let done = sqlx::raw_sql(AssertSqlSafe(statements.clone())).execute(&mut connection).await;
            done.unwrap_or_else(|error| panic!("{statements}: {error}"));
            connection.close().await.unwrap();
        });
    }

    /// The rows that a query finds, every column as text.
    pub(crate) fn rows(&self, query: &str) -> Vec<Vec<String>> {
        let query = translated(query);
        block_on(async {
            let mut connection = self.connect().await;
            let found = sqlx::raw_sql(AssertSqlSafe(query)).fetch_all(&mut connection).await.unwrap();
            connection.close().await.unwrap();
            found.iter().map(|row| (0..row.len()).map(|column| text(row, column)).collect()).collect()
        })
    }

    /// As Magento's own sessions are, and without the cascades of foreign keys: the recorded rows are not whole.
    async fn connect(&self) -> MySqlConnection {
        let mut connection = MariaDb::shared().connect(Some(&self.name)).await;
        let set = "SET FOREIGN_KEY_CHECKS = 0; SET SESSION time_zone = '+00:00'; SET SESSION sql_mode = ''";
        sqlx::raw_sql(set).execute(&mut connection).await.unwrap();
        connection
    }
}

fn text(row: &sqlx::mysql::MySqlRow, column: usize) -> String {
    if row.try_get_raw(column).unwrap().is_null() {
        return "None".to_owned();
    }
    String::from_utf8(row.try_get_unchecked::<Vec<u8>, _>(column).unwrap()).unwrap()
}

fn translated(sql: &str) -> String {
    let sql = sql.replace("INSERT OR REPLACE", "REPLACE").replace(" key,", " `key`,").replace(".key,", ".`key`,");
    let mut pieces = sql.split("datetime(");
    let mut whole = pieces.next().unwrap().to_owned();
    for piece in pieces {
        let (time, rest) = piece.split_once(", 'unixepoch')").unwrap();
        whole.push_str(&format!("FROM_UNIXTIME({time}){rest}"));
    }
    whole
}

fn block_on<T: Send>(work: impl Future<Output = T> + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(work)
        });
        thread.join().unwrap()
    })
}
