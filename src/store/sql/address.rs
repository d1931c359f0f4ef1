//! Where a database is, as a `store.url` says it, and how it is spoken to.
//!
//! `sqlite::memory:` is a database that lives as long as the process; `sqlite://portcullis.db`, `sqlite:portcullis.db`
//! and `sqlite:///var/lib/portcullis.db` are files. The bytes after the scheme are the path itself: nothing is decoded.
//! Options after a `?` are refused rather than passed on: they could create the file or give up its durability.
//! `mysql://`, `mariadb://` and `postgres://` name a server, a user and a database; their URL holds a password.

use std::{fmt, path::PathBuf};

use super::dialect::Flavor;
use crate::{auth::secret::Secret, config, store::StoreError};

/// Connections to a file, one thread each: reads are a few microseconds, and only one connection can write at a time.
const FILE_CONNECTIONS: u32 = 4;
/// Connections to a server.
const SERVER_CONNECTIONS: u32 = 8;

/// A database, and what is to be known about it before it is asked.
#[derive(Clone)]
pub struct Address {
    /// `store.url`.
    pub url: Secret<String>,
    /// `store.read_url`: where lookups go instead.
    pub read_url: Option<Secret<String>>,
    /// Whether it is a Magento's own, in which nothing is created or altered.
    pub is_attached: bool,
    /// Magento's prefix of the names of tables: letters, digits and underscores.
    pub table_prefix: String,
    /// Most connections to one server.
    pub max_connections: u32,
}

/// The place of a database.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Location {
    /// In memory, empty at first, gone when closed.
    Memory,
    /// A SQLite file.
    File(PathBuf),
    /// A MySQL or MariaDB server.
    MySql,
    /// A PostgreSQL server.
    Postgres,
}

impl Address {
    pub(super) const fn flavor(&self) -> Flavor {
        if self.is_attached { Flavor::Magentos } else { Flavor::Own }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address").field("is_attached", &self.is_attached).finish_non_exhaustive()
    }
}

/// A URL alone: a MySQL that it names is a Magento's.
impl From<&str> for Address {
    fn from(url: &str) -> Self {
        let is_attached = matches!(Location::parse(url), Ok(Location::MySql));
        let is_file = matches!(Location::parse(url), Ok(Location::File(_) | Location::Memory));
        Self {
            url: Secret::new(url.to_owned()),
            read_url: None,
            is_attached,
            table_prefix: String::new(),
            max_connections: if is_file { FILE_CONNECTIONS } else { SERVER_CONNECTIONS },
        }
    }
}

impl From<&String> for Address {
    fn from(url: &String) -> Self {
        Self::from(url.as_str())
    }
}

impl From<&config::Store> for Address {
    fn from(store: &config::Store) -> Self {
        Self {
            url: store.database.secret_url(),
            read_url: store.read_url.as_ref().map(|url| url.secret().clone()),
            is_attached: store.database.is_magentos(),
            table_prefix: store.table_prefix.clone(),
            max_connections: u32::try_from(store.max_connections).unwrap_or(u32::MAX),
        }
    }
}

impl Location {
    /// Reads a `store.url`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Url`] when the URL is of no known database, names no file, or carries options.
    pub(super) fn parse(url: &str) -> Result<Self, StoreError> {
        match url.split_once(':') {
            Some(("sqlite", rest)) => Self::parse_sqlite(rest),
            Some(("mysql" | "mariadb", _)) => Ok(Self::MySql),
            Some(("postgres" | "postgresql", _)) => Ok(Self::Postgres),
            Some(_) | None => Err(StoreError::Url("only sqlite:, mysql:, mariadb: and postgres: are known")),
        }
    }

    fn parse_sqlite(rest: &str) -> Result<Self, StoreError> {
        if rest == ":memory:" {
            return Ok(Self::Memory);
        }
        let path = rest.strip_prefix("//").unwrap_or(rest);
        if path.contains('?') {
            return Err(StoreError::Url("options after a question mark are not accepted"));
        }
        if path.is_empty() || path.starts_with(':') {
            return Err(StoreError::Url("sqlite: needs a file, as in sqlite://portcullis.db"));
        }
        Ok(Self::File(PathBuf::from(path)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_file_memory_or_a_server() {
        let cases = [
            ("sqlite::memory:", Location::Memory),
            ("sqlite://portcullis.db", Location::File("portcullis.db".into())),
            ("sqlite:portcullis.db", Location::File("portcullis.db".into())),
            ("sqlite:///var/lib/p.db", Location::File("/var/lib/p.db".into())),
            ("sqlite://a%20b.db", Location::File("a%20b.db".into())),
            ("mysql://root:secret@db/magento", Location::MySql),
            ("mariadb://root:secret@db/magento", Location::MySql),
            ("postgres://root:secret@db/portcullis", Location::Postgres),
            ("postgresql://root:secret@db/portcullis", Location::Postgres),
        ];
        for (url, location) in cases {
            assert_eq!(Location::parse(url).unwrap(), location, "{url}");
            assert!(!format!("{:?}", Address::from(url)).contains("secret"), "{url}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for url in [
            "",
            "sqlite",
            "sqlite:",
            "sqlite://",
            "sqlite://:memory:",
            "sqlite://a.db?mode=rwc",
            "sqlite::memory:?cache=private",
            "mssql://root:secret@db/magento",
            "portcullis.db",
        ] {
            let error = Location::parse(url).unwrap_err();
            assert!(matches!(error, StoreError::Url(_)), "{url}");
            assert!(!format!("{error} {error:?}").contains("secret"), "{url}");
        }
    }
}
