//! `[store]`: where the facts about callers are kept, and how long they are waited for.
//!
//! The URLs are read as secrets, because the URL of a database server carries its password.

use std::time::Duration;

use super::{
    database::{Database, ServerUrl, Written, read},
    raw::RawStore,
    report::Report,
};

/// Connections to a SQLite file, one thread each: a read takes microseconds, and only one connection can write at a time.
const FILE_CONNECTIONS: usize = 4;
/// Connections to a server.
const SERVER_CONNECTIONS: usize = 8;
/// Magento has no longer one than a few letters; a table's name has 64 characters at most.
const MAX_PREFIX: usize = 32;

/// Where the facts are kept.
#[derive(Debug, Clone)]
pub struct Store {
    /// The database.
    pub database: Database,
    /// A replica of it that look-ups go to.
    pub read_url: Option<ServerUrl>,
    /// What the names of a Magento's tables begin with.
    pub table_prefix: String,
    /// Most connections to each server.
    pub max_connections: usize,
    /// How long one look-up may take; longer is an outage.
    pub lookup_timeout: Duration,
    /// Most look-ups at a time; a further one is an outage.
    pub max_lookups: usize,
}

impl Store {
    pub(super) fn parse(raw: RawStore, report: &mut Report) -> Option<Self> {
        let RawStore { url, read_url, attached, table_prefix, max_connections, lookup_timeout, max_lookups } =
            raw;
        let is_mysql = matches!(url.peek().map(|url| read(url.expose())), Some(Ok(Written::MySql(_))));
        let url = report.require("store.url", url, "write one such as \"sqlite://portcullis.db\"");
        let read_url = report.take_optional("store.read_url", read_url);
        let attached = report.take_written("store.attached", attached, &is_mysql);
        let database = url.and_then(|url| Database::parse(url.expose(), attached, report));
        let read_url = read_url.and_then(|url| take_replica(url.expose(), database.as_ref(), report));
        let table_prefix = report.take("store.table_prefix", table_prefix, String::new());
        check_prefix(&table_prefix, database.as_ref(), report);
        let is_a_servers = database.as_ref().is_some_and(Database::is_a_servers);
        let connections = if is_a_servers { SERVER_CONNECTIONS } else { FILE_CONNECTIONS };
        let max_connections =
            report.take_within("store.max_connections", max_connections, connections, 1..=1000);
        let lookup_timeout = report.take_within(
            "store.lookup_timeout",
            lookup_timeout,
            Duration::from_millis(250),
            Duration::from_millis(10)..=Duration::from_secs(60),
        );
        let max_lookups = report.take_within("store.max_lookups", max_lookups, 256, 1..=65_536);
        let database = database?;
        Some(Self { database, read_url, table_prefix, max_connections, lookup_timeout, max_lookups })
    }
}

impl RawStore {
    /// Whether a Magento's own database is written here, for settings whose default hangs on it.
    pub(super) fn is_magentos(&self) -> bool {
        let is_mysql = self.url.peek().is_some_and(|url| matches!(read(url.expose()), Ok(Written::MySql(_))));
        is_mysql && self.attached.peek().is_none_or(|is_attached| *is_attached)
    }
}

/// A replica is of the same kind as what it repeats.
fn take_replica(url: &str, database: Option<&Database>, report: &mut Report) -> Option<ServerUrl> {
    let taken = match (read(url), database) {
        (Ok(Written::MySql(url)), Some(Database::MySql { .. }) | None)
        | (Ok(Written::Postgres(url)), Some(Database::Postgres(_)) | None) => Ok(url),
        (Ok(_), _) => Err("is not a server of the same kind as store.url".to_owned()),
        (Err(reason), _) => Err(reason),
    };
    match taken {
        Ok(url) => {
            report.show("store.read_url", url.shown().to_owned());
            Some(url)
        }
        Err(reason) => {
            report.error("store.read_url", reason);
            None
        }
    }
}

fn check_prefix(prefix: &str, database: Option<&Database>, report: &mut Report) {
    let is_name = prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !is_name || prefix.len() > MAX_PREFIX {
        let wanted = format!("may have letters, digits and underscores, {MAX_PREFIX} at most");
        report.error("store.table_prefix", wanted);
    } else if !prefix.is_empty() && database.is_some_and(|database| !database.is_magentos()) {
        report.error("store.table_prefix", "is for a Magento's own database; tables of ours have none");
    }
}
