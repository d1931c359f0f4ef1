//! What keeps a Magento's database from being worked with, in words that say the way out.

use thiserror::Error;

use super::needs::{Feature, Right};

/// What an examination found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Examined {
    /// What must be put right.
    pub problems: Vec<Problem>,
    /// What works and is still worth knowing.
    pub warnings: Vec<String>,
}

/// Something that must be put right.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Problem {
    /// The server is older than what our statements need.
    #[error("the server is {version}; MySQL 5.7 or MariaDB 10.2 is the oldest that works")]
    TooOld {
        /// What it says of itself.
        version: String,
    },
    /// The tables have other names.
    #[error("{table} is not there, but {found} is: set store.table_prefix to \"{prefix}\"")]
    OtherPrefix {
        /// The table.
        table: String,
        /// What there is instead.
        found: String,
        /// Its prefix.
        prefix: String,
    },
    /// A table is not there, or nothing about it is granted: the server does not tell these apart.
    #[error(
        "{table} is not there, or nothing of it is granted; run deploy/mysql/grants.sql, or set store.table_prefix"
    )]
    NoTable {
        /// The table.
        table: String,
    },
    /// A column is not there.
    #[error("{table}.{column} is not there; this is no Magento 2.4 that Portcullis knows")]
    NoColumn {
        /// The table.
        table: String,
        /// The column.
        column: &'static str,
    },
    /// A right is wanting.
    #[error("{what} is not granted, and {} needs it; run deploy/mysql/grants.sql{}", .feature.setting(), around(*.feature))]
    NotGranted {
        /// The right in SQL, with its table.
        what: String,
        /// What needs it.
        feature: Feature,
    },
    /// The server takes no writes.
    #[error("the server only reads, and {} writes to {table}; name the primary in store.url{}", .feature.setting(), around(*.feature))]
    OnlyReads {
        /// The table.
        table: String,
        /// What writes.
        feature: Feature,
    },
    /// Bytes of the column cannot be compared with those of a credential.
    #[error(
        "{table}.{column} is in {charset}, in which no credential can be compared byte for byte; use utf8mb3, utf8mb4, latin1 or ascii"
    )]
    Charset {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// Its character set.
        charset: String,
    },
}

impl Problem {
    pub(super) fn not_granted(right: Right, table: &str, columns: &[&str], feature: Feature) -> Self {
        let columns = if columns.is_empty() { String::new() } else { format!(" ({})", columns.join(", ")) };
        Self::NotGranted { what: format!("{}{columns} ON {table}", right.word()), feature }
    }
}

fn around(feature: Feature) -> String {
    feature.way_around().map_or_else(String::new, |way| format!(", or set {way}"))
}
