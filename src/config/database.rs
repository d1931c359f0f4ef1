//! The URL of a database: which kind it is, where it is, and what of it may be shown.
//!
//! A server's URL holds a password. It is kept as a secret, and shown without it. What a driver would read in another way than it
//! was meant, or pass over in silence, is refused: a password with a raw `/`, an option with a slip of the pen.

use std::path::{Path, PathBuf};

use super::report::Report;
use crate::auth::secret::Secret;

/// Options of a URL that a driver reads. What is not among them it would pass over.
const MYSQL_OPTIONS: [&str; 5] = ["ssl-mode", "ssl-ca", "ssl-cert", "ssl-key", "socket"];
const POSTGRES_OPTIONS: [&str; 5] = ["sslmode", "sslrootcert", "sslcert", "sslkey", "host"];

const NOT_SUPPORTED: &str =
    "is not the URL of a supported database; write one such as \"sqlite://portcullis.db\"";

/// A kind of database and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// A SQLite database in a file.
    SqliteFile(PathBuf),
    /// A SQLite database that ends with the process.
    SqliteMemory,
    /// A MySQL or MariaDB server.
    MySql {
        /// Where.
        url: ServerUrl,
        /// Whether it is a Magento's own.
        is_attached: bool,
    },
    /// A PostgreSQL server.
    Postgres(ServerUrl),
}

/// The URL of a server, with its password.
#[derive(Debug, Clone)]
pub struct ServerUrl {
    secret: Secret<String>,
    shown: String,
}

/// A database URL, told apart but with its path not yet resolved.
#[derive(Debug)]
pub(super) enum Written<'a> {
    Path(&'a str),
    Memory,
    MySql(ServerUrl),
    Postgres(ServerUrl),
}

impl Database {
    /// Whether the database is a Magento's own, to which Portcullis is attached.
    #[must_use]
    pub const fn is_magentos(&self) -> bool {
        match self {
            Self::MySql { is_attached, .. } => *is_attached,
            Self::SqliteFile(_) | Self::SqliteMemory | Self::Postgres(_) => false,
        }
    }

    /// Whether it is a server's, with a user and a password.
    #[must_use]
    pub const fn is_a_servers(&self) -> bool {
        match self {
            Self::MySql { .. } | Self::Postgres(_) => true,
            Self::SqliteFile(_) | Self::SqliteMemory => false,
        }
    }

    /// The database as a URL that may be shown: without a password.
    #[must_use]
    pub fn url(&self) -> String {
        match self {
            Self::SqliteFile(path) => format!("sqlite://{}", path.display()),
            Self::SqliteMemory => "sqlite::memory:".to_owned(),
            Self::MySql { url, .. } | Self::Postgres(url) => url.shown.clone(),
        }
    }

    /// The database as a URL that opens it.
    #[must_use]
    pub fn secret_url(&self) -> Secret<String> {
        match self {
            Self::SqliteFile(_) | Self::SqliteMemory => Secret::new(self.url()),
            Self::MySql { url, .. } | Self::Postgres(url) => url.secret.clone(),
        }
    }

    pub(super) fn parse(url: &str, is_attached: Option<bool>, report: &mut Report) -> Option<Self> {
        let written = read(url).map_err(|reason| report.error("store.url", reason)).ok()?;
        let database = match written {
            Written::Memory => Self::SqliteMemory,
            Written::Path(path) => Self::SqliteFile(report.resolve("store.url", Path::new(path))),
            Written::MySql(url) => Self::MySql { url, is_attached: is_attached.unwrap_or(true) },
            Written::Postgres(url) => Self::Postgres(url),
        };
        report.show("store.url", database.url());
        if is_attached == Some(true) && !database.is_magentos() {
            report.error("store.attached", "is for a Magento's own database, which is MySQL or MariaDB");
        }
        Some(database)
    }
}

impl ServerUrl {
    /// The URL with its password.
    #[must_use]
    pub const fn secret(&self) -> &Secret<String> {
        &self.secret
    }

    /// The URL without it.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }

    fn parse(url: &str, (scheme, rest): (&str, &str), options: &[&str; 5]) -> Result<Self, String> {
        let example = || format!("write \"{scheme}://user:password@host/database\"");
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (user, host) = place.rsplit_once('@').ok_or_else(|| format!("names no user; {}", example()))?;
        let is_raw = |c: char| matches!(c, '/' | '@' | '#' | ' ') || c.is_control();
        if user.contains(is_raw) || rest.contains('#') {
            return Err(
                "has a character in its user or password that must be encoded, such as / as %2F".to_owned()
            );
        }
        let (host, database) =
            host.split_once('/').ok_or_else(|| format!("names no database; {}", example()))?;
        if database.is_empty() || database.contains('/') {
            return Err(format!("names no database; {}", example()));
        }
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let names: Vec<_> = pairs.map(|pair| pair.split('=').next().unwrap_or_default()).collect();
        if names.iter().any(|name| !options.contains(name)) {
            return Err(format!("has an option that is not known; there are {}", options.join(", ")));
        }
        if host.is_empty() && !names.iter().any(|name| matches!(*name, "socket" | "host")) {
            return Err(format!("names no host; {}", example()));
        }
        let name = user.split(':').next().unwrap_or_default();
        let shown = format!("{scheme}://{name}@{host}/{database}");
        Ok(Self { secret: Secret::new(url.to_owned()), shown })
    }
}

impl PartialEq for ServerUrl {
    fn eq(&self, other: &Self) -> bool {
        self.secret.equals(other.secret.expose().as_bytes())
    }
}

impl Eq for ServerUrl {}

/// Tells the kinds of database apart.
///
/// # Errors
///
/// What is wrong with the URL, in words that repeat nothing of it.
pub(super) fn read(url: &str) -> Result<Written<'_>, String> {
    if ["sqlite::memory:", "sqlite://:memory:"].contains(&url) {
        return Ok(Written::Memory);
    }
    match url.split_once("://") {
        Some(("sqlite", "")) => Err("names no file; write one such as \"sqlite://portcullis.db\"".to_owned()),
        Some(("sqlite", path)) if path.contains(['?', '#', '\0']) => {
            Err("has options, which are not supported; write \"sqlite://\" and the path alone".to_owned())
        }
        Some(("sqlite", path)) => Ok(Written::Path(path)),
        Some(parts @ ("mysql" | "mariadb", _)) => {
            ServerUrl::parse(url, parts, &MYSQL_OPTIONS).map(Written::MySql)
        }
        Some(parts @ ("postgres" | "postgresql", _)) => {
            ServerUrl::parse(url, parts, &POSTGRES_OPTIONS).map(Written::Postgres)
        }
        Some(_) | None => Err(NOT_SUPPORTED.to_owned()),
    }
}
