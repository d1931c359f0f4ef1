//! `[store]`: where the facts about callers are kept, and how long they are waited for.
//!
//! The URL is read as a secret, because the URL of a database server carries its password.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{raw::RawStore, report::Report};

/// Where the facts are kept.
#[derive(Debug, Clone)]
pub struct Store {
    /// The database.
    pub database: Database,
    /// How long one look-up may take; longer is an outage.
    pub lookup_timeout: Duration,
    /// Most look-ups at a time; a further one is an outage.
    pub max_lookups: usize,
}

/// A kind of database and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// A SQLite database in a file.
    SqliteFile(PathBuf),
    /// A SQLite database that ends with the process.
    SqliteMemory,
}

/// A database URL, told apart but with its path not yet resolved.
enum Written<'a> {
    Path(&'a str),
    Memory,
}

impl Database {
    /// Whether the database is a Magento's own, to which Portcullis is attached.
    #[must_use]
    pub const fn is_magentos(&self) -> bool {
        match self {
            Self::SqliteFile(_) | Self::SqliteMemory => false,
        }
    }

    /// The database as a URL.
    #[must_use]
    pub fn url(&self) -> String {
        match self {
            Self::SqliteFile(path) => format!("sqlite://{}", path.display()),
            Self::SqliteMemory => "sqlite::memory:".to_owned(),
        }
    }
}

impl Store {
    pub(super) fn parse(raw: RawStore, report: &mut Report) -> Option<Self> {
        let RawStore { url, lookup_timeout, max_lookups } = raw;
        let url = report.require("store.url", url, "write one such as \"sqlite://portcullis.db\"");
        let database = url.and_then(|url| Database::parse(url.expose(), report));
        let lookup_timeout = report.take_within(
            "store.lookup_timeout",
            lookup_timeout,
            Duration::from_millis(250),
            Duration::from_millis(10)..=Duration::from_secs(60),
        );
        let max_lookups = report.take_within("store.max_lookups", max_lookups, 256, 1..=65_536);
        Some(Self { database: database?, lookup_timeout, max_lookups })
    }
}

impl Database {
    fn parse(url: &str, report: &mut Report) -> Option<Self> {
        match read(url) {
            Ok(Written::Memory) => {
                report.show("store.url", "sqlite::memory:".to_owned());
                Some(Self::SqliteMemory)
            }
            Ok(Written::Path(path)) => {
                let path = report.resolve("store.url", Path::new(path));
                report.show("store.url", format!("sqlite://{}", path.display()));
                Some(Self::SqliteFile(path))
            }
            Err(reason) => {
                report.error("store.url", reason);
                None
            }
        }
    }
}

fn read(url: &str) -> Result<Written<'_>, &'static str> {
    if ["sqlite::memory:", "sqlite://:memory:"].contains(&url) {
        return Ok(Written::Memory);
    }
    match url.split_once("://") {
        Some(("sqlite", "")) => Err("names no file; write one such as \"sqlite://portcullis.db\""),
        Some(("sqlite", path)) if path.contains(['?', '#', '\0']) => {
            Err("has options, which are not supported; write \"sqlite://\" and the path alone")
        }
        Some(("sqlite", path)) => Ok(Written::Path(path)),
        Some(("mysql" | "mariadb", _)) => {
            Err("MySQL and MariaDB are not supported by this version; write \"sqlite://…\"")
        }
        Some(("postgres" | "postgresql", _)) => {
            Err("PostgreSQL is not supported by this version; write \"sqlite://…\"")
        }
        Some(_) | None => {
            Err("is not the URL of a supported database; write one such as \"sqlite://portcullis.db\"")
        }
    }
}
