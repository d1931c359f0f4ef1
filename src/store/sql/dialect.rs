//! From the one text that a statement has to the text that a database understands.
//!
//! A statement is written once, in the SQL that the three databases share, with marks where they part:
//!
//! - `{oauth_token}` is a table, quoted and with Magento's prefix;
//! - `?1` is an argument: `$1` to PostgreSQL, a bare `?` to MySQL, whose arguments are put in the order of their use;
//! - `same(t.token, ?1)` compares byte for byte (deviation D3): Magento's collations do not tell `a` from `A`, `á` or `a` and a
//!   blank. The plain comparison stands beside the exact one, so that the index is used;
//! - `fold(a.username)` compares without regard to case where the column's collation does not do that by itself;
//! - `[[own|Magento's]]` is text for a schema of our own, and for a Magento's that has no `portcullis_*` table;
//! - `ON CONFLICT (…) DO UPDATE SET a = excluded.a` is an upsert, which MySQL spells in another way;
//! - `FOR UPDATE` locks the rows that are read; SQLite locks the whole file anyway.
//!
//! Identifiers are quoted with `"` everywhere: our sessions with MySQL ask for ANSI quotes.

use std::{fmt, sync::Arc};

use dashmap::DashMap;

/// A kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Sqlite,
    MySql,
    Postgres,
}

/// Whose schema it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flavor {
    /// Ours, created and migrated.
    Own,
    /// A Magento's: no table of ours, and never one created.
    Magentos,
}

/// A statement as one database understands it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rendered {
    pub(super) sql: Arc<str>,
    /// The argument that each place takes, where places have no numbers.
    pub(super) order: Option<Vec<usize>>,
}

/// The texts of one store, each rendered once.
pub(super) struct Texts {
    pub(super) dialect: Dialect,
    pub(super) flavor: Flavor,
    prefix: String,
    rendered: DashMap<&'static str, Arc<Rendered>>,
}

impl Texts {
    /// Texts for a database; the prefix is of letters, digits and underscores.
    pub(super) fn new(dialect: Dialect, flavor: Flavor, prefix: &str) -> Self {
        Self { dialect, flavor, prefix: prefix.to_owned(), rendered: DashMap::new() }
    }

    /// The text of a statement here.
    pub(super) fn of(&self, statement: &'static str) -> Arc<Rendered> {
        if let Some(rendered) = self.rendered.get(statement) {
            return Arc::clone(&rendered);
        }
        let rendered = Arc::new(self.render(statement));
        self.rendered.insert(statement, Arc::clone(&rendered));
        rendered
    }

    /// Every text that was asked for.
    pub(super) fn known(&self) -> Vec<String> {
        self.rendered.iter().map(|rendered| rendered.sql.to_string()).collect()
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Renders a text that is not kept.
    pub(super) fn render(&self, statement: &str) -> Rendered {
        let text = replace_marked(statement, ("[[", "]]"), |both| {
            let (own, magentos) = both.split_once('|').unwrap_or((both, ""));
            match self.flavor {
                Flavor::Own => own.to_owned(),
                Flavor::Magentos => magentos.to_owned(),
            }
        });
        let text = replace_marked(&text, ("{", "}"), |table| format!("\"{}{table}\"", self.prefix));
        let text = replace_marked(&text, ("same(", ")"), |pair| self.same(pair));
        let text = replace_marked(&text, ("fold(", ")"), |column| match self.dialect {
            Dialect::Sqlite | Dialect::MySql => column.to_owned(),
            Dialect::Postgres => format!("lower({column})"),
        });
        match self.dialect {
            Dialect::Sqlite => Rendered { sql: text.replace(" FOR UPDATE", "").into(), order: None },
            Dialect::Postgres => Rendered { sql: text.replace('?', "$").into(), order: None },
            Dialect::MySql => in_places(&mysql_upsert(&text)),
        }
    }

    fn same(&self, pair: &str) -> String {
        let (column, value) = pair.split_once(", ").unwrap_or((pair, "NULL"));
        match self.dialect {
            Dialect::Sqlite | Dialect::Postgres => format!("{column} = {value}"),
            Dialect::MySql => {
                format!("({column} = {value} AND CAST({column} AS BINARY) = CAST({value} AS BINARY))")
            }
        }
    }
}

impl fmt::Debug for Texts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Texts").field(&self.dialect).field(&self.flavor).finish()
    }
}

fn replace_marked(text: &str, (open, close): (&str, &str), replaced: impl Fn(&str) -> String) -> String {
    let mut whole = String::with_capacity(text.len() + 64);
    let mut rest = text;
    while let Some((before, (marked, after))) =
        rest.split_once(open).and_then(|(before, marked)| Some((before, marked.split_once(close)?)))
    {
        whole.push_str(before);
        whole.push_str(&replaced(marked));
        rest = after;
    }
    whole + rest
}

fn mysql_upsert(text: &str) -> String {
    let text =
        replace_marked(text, ("ON CONFLICT", "DO UPDATE SET"), |_| "ON DUPLICATE KEY UPDATE".to_owned());
    let mut pieces = text.split("excluded.");
    let mut whole = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let end = piece.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(piece.len());
        let (column, after) = piece.split_at(end);
        whole.push_str(&format!("VALUES({column}){after}"));
    }
    whole
}

/// Arguments by number into arguments by place.
fn in_places(text: &str) -> Rendered {
    let mut pieces = text.split('?');
    let mut sql = pieces.next().unwrap_or_default().to_owned();
    let mut order = Vec::new();
    for piece in pieces {
        let end = piece.find(|c: char| !c.is_ascii_digit()).unwrap_or(piece.len());
        let (number, after) = piece.split_at(end);
        // A place without a number matches no argument, and the statement is refused when it is bound.
        order.push(number.parse::<usize>().unwrap_or(0).wrapping_sub(1));
        sql.push('?');
        sql.push_str(after);
    }
    Rendered { sql: sql.into(), order: Some(order) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sql(dialect: Dialect, flavor: Flavor, statement: &str) -> (String, Vec<usize>) {
        let prefix = if flavor == Flavor::Magentos { "m2_" } else { "" };
        let Rendered { sql, order } = Texts::new(dialect, flavor, prefix).render(statement);
        (sql.to_string(), order.unwrap_or_default())
    }

    #[test]
    fn each_database_gets_its_own_words() {
        let statement = r#"SELECT [[p.x|NULL]] AS "a.x" FROM {t} AS t [[JOIN {p} AS p ON p.id = t.id|]] WHERE same(t."key", ?2)
            AND fold(t.name) = fold(?1) FOR UPDATE"#;
        assert_eq!(
            sql(Dialect::Sqlite, Flavor::Own, statement).0,
            r#"SELECT p.x AS "a.x" FROM "t" AS t JOIN "p" AS p ON p.id = t.id WHERE t."key" = ?2
            AND t.name = ?1"#
        );
        assert_eq!(
            sql(Dialect::Postgres, Flavor::Own, statement).0,
            r#"SELECT p.x AS "a.x" FROM "t" AS t JOIN "p" AS p ON p.id = t.id WHERE t."key" = $2
            AND lower(t.name) = lower($1) FOR UPDATE"#
        );
        let magentos = r#"SELECT NULL AS "a.x" FROM "m2_t" AS t  WHERE (t."key" = ? AND CAST(t."key" AS BINARY) = CAST(? AS BINARY))
            AND t.name = ? FOR UPDATE"#;
        assert_eq!(sql(Dialect::MySql, Flavor::Magentos, statement), (magentos.to_owned(), vec![1, 1, 0]));
    }

    #[test]
    fn mysql_upserts_in_its_own_way() {
        let statement = "INSERT INTO {t} (a, b) VALUES (?1, ?2)
            ON CONFLICT (fold(a)) DO UPDATE SET b = CASE WHEN {t}.b > excluded.b THEN {t}.b ELSE excluded.b END";
        assert_eq!(
            sql(Dialect::MySql, Flavor::Own, statement).0,
            r#"INSERT INTO "t" (a, b) VALUES (?, ?)
            ON DUPLICATE KEY UPDATE b = CASE WHEN "t".b > VALUES(b) THEN "t".b ELSE VALUES(b) END"#
        );
        assert!(
            sql(Dialect::Postgres, Flavor::Own, statement).0.contains("ON CONFLICT (lower(a)) DO UPDATE")
        );
        assert!(sql(Dialect::Sqlite, Flavor::Own, statement).0.contains("ON CONFLICT (a) DO UPDATE"));
    }
}
