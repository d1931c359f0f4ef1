//! The stores under test, each with a way to put rows into it that no writer of ours would write.

use std::path::Path;

use portcullis::{
    auth::secret::Secret,
    store::{
        rows::TokenRow,
        sql::{Address, SqlStore},
    },
};
use sqlx::{AssertSqlSafe, MySqlPool, PgPool, SqlitePool};
use tempfile::TempDir;

use super::{
    fixture,
    servers::{mariadb::MariaDb, postgres::Postgres, rows},
};

/// Magento's, in a shop that chose one.
pub(crate) const PREFIX: &str = "m2_";

/// A store under test.
pub(crate) struct Home {
    pub(crate) store: SqlStore,
    pub(crate) database: Database,
    pub(crate) url: String,
    /// Gone with the store, where it is a file's.
    pub(crate) _directory: Option<TempDir>,
}

/// The same database, beside the store.
pub(crate) enum Database {
    Sqlite(SqlitePool),
    MySql(MySqlPool, &'static str),
    Postgres(PgPool),
}

impl Home {
    /// An empty SQLite store.
    pub(crate) async fn empty() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = sqlite_url(&directory.path().join("portcullis.db"));
        SqlStore::migrate(&url).await.unwrap();
        let store = SqlStore::open(&url).await.unwrap();
        let database = Database::Sqlite(SqlitePool::connect(&url).await.unwrap());
        Self { store, database, url, _directory: Some(directory) }
    }

    /// A SQLite store with the recorded rows.
    pub(crate) async fn recorded() -> Self {
        let home = Self::empty().await;
        for file in ["fixture.json", "fixture_extra.json"] {
            fixture::load(home.sqlite(), file).await;
        }
        home
    }

    /// An empty standalone MariaDB store.
    pub(crate) async fn mariadb() -> Self {
        let server = MariaDb::shared();
        let url = server.url(&server.new_database().await);
        SqlStore::migrate(standalone(&url)).await.unwrap();
        let store = SqlStore::open(standalone(&url)).await.unwrap();
        let database = Database::MySql(MySqlPool::connect(&url).await.unwrap(), "");
        Self { store, database, url, _directory: None }
    }

    /// A Magento's MariaDB, as Magento created it, without rows.
    pub(crate) async fn magentos() -> Self {
        let server = MariaDb::shared();
        let name = server.new_database().await;
        rows::create_magento(&mut server.connect(Some(&name)).await, PREFIX).await;
        let url = server.url(&name);
        let store = SqlStore::open(attached(&url)).await.unwrap();
        // As Magento's own sessions are.
        let options: sqlx::mysql::MySqlConnectOptions = url.parse().unwrap();
        let options = options.pipes_as_concat(false).no_engine_substitution(false);
        let pool = sqlx::mysql::MySqlPoolOptions::new().after_connect(|connection, _| {
            Box::pin(async { sqlx::raw_sql("SET sql_mode = ''").execute(connection).await.map(drop) })
        });
        let database = Database::MySql(pool.connect_with(options).await.unwrap(), PREFIX);
        Self { store, database, url, _directory: None }
    }

    /// An empty PostgreSQL store.
    pub(crate) async fn postgres() -> Self {
        let server = Postgres::shared();
        let url = server.url(&server.new_database().await);
        SqlStore::migrate(&url).await.unwrap();
        let store = SqlStore::open(&url).await.unwrap();
        let database = Database::Postgres(PgPool::connect(&url).await.unwrap());
        Self { store, database, url, _directory: None }
    }

    /// With the recorded rows.
    pub(crate) async fn with_recorded(self) -> Self {
        for file in ["fixture.json", "fixture_extra.json"] {
            self.load(file).await;
        }
        self
    }

    pub(crate) async fn load(&self, file: &str) {
        match &self.database {
            Database::Sqlite(pool) => drop(fixture::load(pool, file).await),
            Database::MySql(pool, prefix) => {
                // Its session is not a test's.
                let mut connection = pool.acquire().await.unwrap();
                rows::load_mysql(&mut connection, prefix, file).await;
                connection.detach();
            }
            Database::Postgres(pool) => rows::load_postgres(&mut pool.acquire().await.unwrap(), file).await,
        }
    }

    pub(crate) fn sqlite(&self) -> &SqlitePool {
        let Database::Sqlite(pool) = &self.database else { panic!("not SQLite") };
        pool
    }

    /// Whether a time can be zero.
    pub(crate) const fn has_zero_dates(&self) -> bool {
        !matches!(self.database, Database::Postgres(_))
    }

    /// Runs statements, whose tables stand behind INTO, UPDATE, FROM or JOIN.
    pub(crate) async fn execute(&self, sql: &str) {
        let done = match &self.database {
            Database::Sqlite(pool) => {
                sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(pool).await.map(drop)
            }
            Database::MySql(pool, prefix) => {
                let sql = prefixed(sql, prefix);
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(pool).await.map(drop)
            }
            Database::Postgres(pool) => {
                sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(pool).await.map(drop)
            }
        };
        done.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// The one number that a query answers, as text.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        match &self.database {
            Database::Sqlite(pool) => {
                sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(pool).await.unwrap()
            }
            Database::MySql(pool, prefix) => {
                sqlx::query_scalar(AssertSqlSafe(prefixed(sql, prefix))).fetch_one(pool).await.unwrap()
            }
            Database::Postgres(pool) => {
                sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(pool).await.unwrap()
            }
        }
    }

    pub(crate) async fn token(&self, token: &str) -> TokenRow {
        self.store.token(token.as_bytes()).await.unwrap().unwrap_or_else(|| panic!("no token {token}"))
    }
}

fn prefixed(sql: &str, prefix: &str) -> String {
    ["INTO ", "UPDATE ", "FROM ", "JOIN "].iter().fold(sql.to_owned(), |sql, word| {
        sql.replace(&format!("{word}("), &format!("{word} (")).replace(word, &format!("{word}{prefix}"))
    })
}

/// A MySQL of our own.
pub(crate) fn standalone(url: &str) -> Address {
    Address { is_attached: false, ..Address::from(url) }
}

/// A Magento's MySQL.
pub(crate) fn attached(url: &str) -> Address {
    Address { table_prefix: PREFIX.to_owned(), ..Address::from(url) }
}

pub(crate) fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

pub(crate) fn sqlite_url(path: &Path) -> String {
    format!("sqlite://{}", path.display())
}
