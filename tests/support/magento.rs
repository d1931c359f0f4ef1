//! A gate's store in a private MariaDB that holds Magento's own tables, as Magento created them.
//!
//! What tests do to it behind the gate's back they write in SQLite's words; the few that MariaDB has others for are put
//! into those.

use std::{cell::Cell, path::Path};

use sqlx::{AssertSqlSafe, Connection as _, MySqlConnection, Row as _, ValueRef as _};

use super::servers::{mariadb::MariaDb, rows};

/// Where the folder of a gate keeps the name of its database.
const NAME: &str = "magento-database";

const GRANTS: &str = include_str!("../../deploy/mysql/grants.sql");
const PASSWORD: &str = "secret";

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

/// Notes from now on what gates send to their databases.
pub(crate) fn note_statements() {
    block_on(async {
        let mut root = MariaDb::shared().connect(None).await;
        let note = "SET GLOBAL log_output = 'TABLE'; SET GLOBAL general_log = 1";
        sqlx::raw_sql(note).execute(&mut root).await.unwrap();
        root.close().await.unwrap();
    });
}

/// Every statement that gates had prepared.
pub(crate) fn noted_statements() -> Vec<String> {
    block_on(async {
        let mut root = MariaDb::shared().connect(None).await;
        let noted = "SELECT DISTINCT CAST(argument AS CHAR) FROM mysql.general_log
            WHERE command_type = 'Prepare' AND user_host LIKE 'test\\_%'";
        let noted: Vec<String> = sqlx::query_scalar(noted).fetch_all(&mut root).await.unwrap();
        root.close().await.unwrap();
        noted.iter().map(|statement| without_ids(statement)).collect()
    })
}

/// A statement that reads rows again has their ids in its text.
fn without_ids(statement: &str) -> String {
    let Some((before, ids)) = statement.rsplit_once(" IN (") else { return statement.to_owned() };
    let is_ids = ids.strip_suffix(')').is_some_and(|ids| ids.split(',').all(|id| id.parse::<u64>().is_ok()));
    if is_ids { format!("{before} IN (#ids)") } else { statement.to_owned() }
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
        database.create_user(&database.name, |_| true);
        std::fs::write(folder.join(NAME), &database.name).unwrap();
        database
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Opened by a user of its own, with the rights of `deploy/mysql/grants.sql`.
    pub(crate) fn url(&self) -> String {
        self.url_of(&self.name)
    }

    /// Opened by a user that [`MagentoDatabase::create_user`] made.
    pub(crate) fn url_of(&self, user: &str) -> String {
        format!("mysql://{user}:{PASSWORD}@127.0.0.1:{}/{}", MariaDb::shared().port(), self.name)
    }

    /// Makes a user with these of the rights of `deploy/mysql/grants.sql`, by the number of the line.
    pub(crate) fn create_user(&self, user: &str, is_granted: impl Fn(usize) -> bool) {
        let user = format!("'{user}'@'%'");
        let grants = GRANTS.lines().filter(|line| line.starts_with("GRANT ")).enumerate();
        let granted = grants.filter(|(number, _)| is_granted(*number)).map(|(_, line)| {
            line.replace("`magento`", &format!("`{}`", self.name)).replace("'portcullis'@'%'", &user)
        });
        let script: Vec<String> = granted.collect();
        self.sql(&format!("CREATE USER {user} IDENTIFIED BY '{PASSWORD}'; {}", script.join("\n")));
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
    let sql = sql
        .replace("unixepoch('", "UNIX_TIMESTAMP('")
        .replace("INSERT OR REPLACE", "REPLACE")
        .replace(" key,", " `key`,")
        .replace(".key,", ".`key`,");
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
