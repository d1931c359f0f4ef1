//! What the tests of this crate do to a store behind its back, in SQLite's own words.

use super::{connection::Drivers, store::SqlStore};

impl SqlStore {
    /// Writes a setting of the default scope.
    pub(crate) async fn set_for_test(&self, path: &str, value: &str) {
        let statement = sqlx::query("INSERT INTO core_config_data (path, value) VALUES (?1, ?2)");
        statement.bind(path).bind(value).execute(self.sqlite_for_test()).await.unwrap();
    }

    /// Runs any statements.
    pub(crate) async fn execute_for_test(&self, statements: &str) {
        let statements = sqlx::raw_sql(sqlx::AssertSqlSafe(statements.to_owned()));
        statements.execute(self.sqlite_for_test()).await.unwrap();
    }

    /// The rows of any query that answers one column of text.
    pub(crate) async fn read_for_test(&self, select: &str) -> Vec<String> {
        let select = sqlx::query_scalar(sqlx::AssertSqlSafe(select.to_owned()));
        select.fetch_all(self.sqlite_for_test()).await.unwrap()
    }

    /// How SQLite would run a statement.
    pub(crate) async fn plan_for_test(&self, statement: &'static str) -> Vec<String> {
        use sqlx::Row as _;
        let explain = format!("EXPLAIN QUERY PLAN {}", self.pool.texts.of(statement).sql);
        let plan = sqlx::query(sqlx::AssertSqlSafe(explain)).bind(1).bind(1);
        let plan = plan.fetch_all(self.sqlite_for_test()).await.unwrap();
        plan.iter().map(|step| step.get("detail")).collect()
    }

    fn sqlite_for_test(&self) -> &sqlx::SqlitePool {
        let Drivers::Sqlite(pool) = &self.pool.drivers else { panic!("not SQLite") };
        pool
    }
}
