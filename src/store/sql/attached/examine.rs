//! Asking a Magento's server whether what the configured features need is there and granted.
//!
//! A right to write is asked for by `EXPLAIN`: the server demands for it what it demands for the statement, and does nothing. Only
//! where an answer is no are the columns asked for one by one, so that each is named.

use sqlx::AssertSqlSafe;

use super::{
    needs::{Feature, NEEDS, Need, Right},
    problem::{Examined, Problem},
};
use crate::store::{
    StoreError,
    sql::{
        SqlStore,
        columns::{Columns, Row},
        connection::{Link, On},
        statement::query,
    },
};

/// Server errors: no such table, no such column, a right to a table or a column, a server that only reads.
const NO_TABLE: u16 = 1146;
const NO_COLUMN: u16 = 1054;
const TABLE_DENIED: u16 = 1142;
const COLUMN_DENIED: u16 = 1143;
const ONLY_READS: [u16; 2] = [1290, 1836];

/// Columns that credentials are looked up by.
const CREDENTIALS: [(&str, &str); 2] = [("oauth_token", "token"), ("oauth_consumer", "key")];
/// Character sets whose bytes of a credential are those that clients send.
const CHARSETS: [&str; 6] = ["ascii", "latin1", "utf8", "utf8mb3", "utf8mb4", "binary"];

const TABLES: &str =
    r#"SELECT table_name AS "t.name" FROM information_schema.tables WHERE table_schema = DATABASE()"#;

const COLUMN: &str = r#"SELECT character_set_name AS "c.charset" FROM information_schema.columns
    WHERE table_schema = DATABASE() AND table_name = ?1 AND column_name = ?2"#;

const INDEXED: &str = r#"SELECT count(*) AS "s.count" FROM information_schema.statistics
    WHERE table_schema = DATABASE() AND table_name = ?1 AND column_name = ?2 AND seq_in_index = 1"#;

impl SqlStore {
    /// Finds everything that keeps these features from working with a Magento's database, and writes nothing to it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage.
    pub async fn examine(&self, features: &[Feature]) -> Result<Examined, StoreError> {
        let mut examined = Examined::default();
        self.examine_version(&mut examined).await?;
        let tables = self.visible_tables().await?;
        let mut missing: Vec<&str> = Vec::new();
        for need in NEEDS.iter().filter(|need| features.contains(&need.feature)) {
            if missing.contains(&need.table) {
                continue;
            }
            if !tables.contains(&self.named(need.table)) {
                missing.push(need.table);
                examined.problems.push(self.no_table(need.table, &tables));
                continue;
            }
            self.examine_need(need, &mut examined.problems).await?;
        }
        for (table, column) in CREDENTIALS.into_iter().filter(|(table, _)| !missing.contains(table)) {
            self.examine_credential((table, column), &mut examined).await?;
        }
        Ok(examined)
    }

    async fn examine_version(&self, examined: &mut Examined) -> Result<(), StoreError> {
        let row = query(r#"SELECT version() AS "v.version""#).fetch_one(&self.pool).await?;
        let version = Columns(&row).text("v.version")?;
        if is_too_old(&version) {
            examined.problems.push(Problem::TooOld { version });
        }
        Ok(())
    }

    /// Tables that anything is granted of.
    async fn visible_tables(&self) -> Result<Vec<String>, StoreError> {
        let rows = query(TABLES).fetch_all(&self.pool).await?;
        rows.iter().map(|row| Columns(row).text("t.name")).collect()
    }

    fn named(&self, table: &str) -> String {
        format!("{}{table}", self.pool.texts.prefix())
    }

    fn no_table(&self, table: &str, tables: &[String]) -> Problem {
        let named = self.named(table);
        let other = tables.iter().find_map(|found| Some((found, found.strip_suffix(table)?)));
        match other {
            Some((found, prefix)) => {
                Problem::OtherPrefix { table: named, found: found.clone(), prefix: prefix.to_owned() }
            }
            None => Problem::NoTable { table: named },
        }
    }

    async fn examine_need(&self, need: &Need, problems: &mut Vec<Problem>) -> Result<(), StoreError> {
        let Some(code) = self.refusal(need.right, need.table, need.columns).await? else { return Ok(()) };
        let (table, feature) = (self.named(need.table), need.feature);
        if ONLY_READS.contains(&code) {
            problems.push(Problem::OnlyReads { table, feature });
            return Ok(());
        }
        if code == TABLE_DENIED || code == NO_TABLE || need.columns.is_empty() {
            let columns = if need.is_by_column { need.columns } else { &[] };
            problems.push(Problem::not_granted(need.right, &table, columns, feature));
            return Ok(());
        }
        let mut denied = Vec::new();
        for column in need.columns {
            match self.refusal(need.right, need.table, &[*column]).await? {
                Some(NO_COLUMN) => problems.push(Problem::NoColumn { table: table.clone(), column }),
                Some(_) => denied.push(*column),
                None => {}
            }
        }
        if !denied.is_empty() {
            problems.push(Problem::not_granted(need.right, &table, &denied, feature));
        }
        Ok(())
    }

    /// The server's number for why it would not do it.
    async fn refusal(&self, right: Right, table: &str, columns: &[&str]) -> Result<Option<u16>, StoreError> {
        let text = self.pool.texts.render(&probe(right, table, columns)).sql.to_string();
        let mut opened = On::from(&self.pool).open().await?;
        let Link::MySql(link) = opened.begin_statement() else { return Ok(None) };
        let answer = sqlx::raw_sql(AssertSqlSafe(text)).fetch_optional(link).await;
        opened.end_statement();
        let Err(error) = answer else { return Ok(None) };
        let code = error
            .as_database_error()
            .and_then(|error| error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>())
            .map(sqlx::mysql::MySqlDatabaseError::number);
        match code {
            Some(code @ (NO_TABLE | NO_COLUMN | TABLE_DENIED | COLUMN_DENIED)) => Ok(Some(code)),
            Some(code) if ONLY_READS.contains(&code) => Ok(Some(code)),
            Some(_) | None => Err(error.into()),
        }
    }

    async fn examine_credential(
        &self,
        (table, column): (&'static str, &'static str),
        examined: &mut Examined,
    ) -> Result<(), StoreError> {
        let table = self.named(table);
        let found = query(COLUMN).bind(table.as_str()).bind(column).fetch_optional(&self.pool).await?;
        let charset = found.as_ref().map(|row: &Row| Columns(row).optional_text("c.charset"));
        if let Some(Some(charset)) = charset.transpose()?
            && !CHARSETS.contains(&charset.as_str())
        {
            let column = column.to_owned();
            examined.problems.push(Problem::Charset { table: table.clone(), column, charset });
        }
        let indexed = query(INDEXED).bind(table.as_str()).bind(column).fetch_one(&self.pool).await?;
        if Columns(&indexed).number::<i64>("s.count")? == 0 {
            let text = format!("{table}.{column} has no index: every lookup reads the whole table");
            examined.warnings.push(text);
        }
        Ok(())
    }
}

/// A statement that needs the right and does nothing.
fn probe(right: Right, table: &str, columns: &[&str]) -> String {
    let quoted: Vec<String> = columns.iter().map(|column| format!("\"{column}\"")).collect();
    match right {
        Right::Select => format!("SELECT {} FROM {{{table}}} WHERE 1 = 0", quoted.join(", ")),
        Right::Insert => {
            let values = vec!["NULL"; columns.len()].join(", ");
            format!("EXPLAIN INSERT INTO {{{table}}} ({}) VALUES ({values})", quoted.join(", "))
        }
        Right::Update => {
            let set: Vec<String> = quoted.iter().map(|column| format!("{column} = NULL")).collect();
            format!("EXPLAIN UPDATE {{{table}}} SET {} WHERE 1 = 0", set.join(", "))
        }
        Right::Delete => format!("EXPLAIN DELETE FROM {{{table}}} WHERE 1 = 0"),
    }
}

/// `10.6.12-MariaDB-log`, `8.0.36`, `5.5.5-10.4.32-MariaDB` (as MariaDB calls itself to old clients).
fn is_too_old(version: &str) -> bool {
    let own = version.strip_prefix("5.5.5-").filter(|_| version.contains("MariaDB")).unwrap_or(version);
    let mut numbers = own.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    let oldest = if version.contains("MariaDB") { (10, 2) } else { (5, 7) };
    (major, minor) < oldest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_servers_are_told_from_new_ones() {
        for (version, expected) in [
            ("10.6.12-MariaDB-log", false),
            ("5.5.5-10.4.32-MariaDB", false),
            ("10.1.48-MariaDB", true),
            ("5.5.5-10.1.48-MariaDB", true),
            ("11.4.2-MariaDB", false),
            ("8.0.36", false),
            ("8.4.0-commercial", false),
            ("5.7.44-log", false),
            ("5.6.51", true),
            ("", true),
        ] {
            assert_eq!(is_too_old(version), expected, "{version}");
        }
    }

    #[test]
    fn probes_do_nothing() {
        assert_eq!(probe(Right::Select, "t", &["a", "b"]), r#"SELECT "a", "b" FROM {t} WHERE 1 = 0"#);
        assert_eq!(
            probe(Right::Insert, "t", &["a", "b"]),
            r#"EXPLAIN INSERT INTO {t} ("a", "b") VALUES (NULL, NULL)"#
        );
        assert_eq!(probe(Right::Update, "t", &["a"]), r#"EXPLAIN UPDATE {t} SET "a" = NULL WHERE 1 = 0"#);
        assert_eq!(probe(Right::Delete, "t", &[]), "EXPLAIN DELETE FROM {t} WHERE 1 = 0");
    }
}
