//! Why the store gave no answer.
//!
//! No variant means "the credential is unknown": an absent row is an `Ok(None)`. Whatever stands here is an outage, a
//! broken installation or a row nobody should have written, and none of them lets a caller through. Texts name
//! columns and versions, never a stored credential.

use std::path::PathBuf;

use thiserror::Error;

use super::sessions::SessionStoreError;

/// A failure of the store.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The `store.url` setting names nothing that can be opened. The URL itself may hold a password and stays out.
    #[error("store url: {0}")]
    Url(&'static str),
    /// There is no database file yet.
    #[error("no database at {}: run `portcullis migrate` to create it", .path.display())]
    NotFound {
        /// The file that the URL names.
        path: PathBuf,
    },
    /// The file could not be created.
    #[error("cannot create the database {}", .path.display())]
    NotCreated {
        /// The file that the URL names.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file is something else than a SQLite database.
    #[error("{} is not a SQLite database", .path.display())]
    NotADatabase {
        /// The file that the URL names.
        path: PathBuf,
    },
    /// The tables are not the ones that this version works with.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The database did not answer, or not in time; it may later.
    #[error("the store is unavailable")]
    Unavailable(#[source] sqlx::Error),
    /// A row holds what its column cannot mean.
    #[error("{column} holds {problem}")]
    Corrupt {
        /// Table and column, `oauth_token.created_at`.
        column: &'static str,
        /// What was found there.
        problem: String,
    },
    /// A row to be written contradicts those that are there: a key taken, an owner missing.
    #[error("the row contradicts another one")]
    Conflict(#[source] sqlx::Error),
    /// A value to be written does not fit its column.
    #[error("the value does not fit {column}")]
    Unfit {
        /// Table and column, `oauth_token.created_at`.
        column: &'static str,
    },
    /// The database does not let Portcullis in, or not do what it must.
    #[error("the database denies access")]
    Denied(#[source] sqlx::Error),
    /// The database has no such table or column.
    #[error("the database lacks what this version works with")]
    Lacking(#[source] sqlx::Error),
    /// It needs a table of ours, and a Magento's database has none.
    #[error("{what}: a Magento's own database has no place for it")]
    Magentos {
        /// What was asked for.
        what: &'static str,
    },
    /// The session storage did not answer.
    #[error("sessions: {0}")]
    Sessions(#[from] SessionStoreError),
    /// The database refused the statement, or its file is damaged.
    #[error("the store cannot work with its database")]
    Broken(#[source] sqlx::Error),
}

/// How the tables differ from those that this version works with.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
pub enum SchemaError {
    /// The database holds none of our tables.
    #[error("the database has no schema: run `portcullis migrate`")]
    Missing,
    /// The database is a Magento's.
    #[error("the database is a Magento's own, in which Portcullis creates and alters nothing")]
    Magentos,
    /// The database holds tables of something else.
    #[error("the database holds tables that Portcullis did not create: give it a database of its own")]
    Foreign,
    /// The schema was made by an older version.
    #[error("the schema is at version {found}, this version needs {needed}: run `portcullis migrate`")]
    Outdated {
        /// The newest migration that the database has seen.
        found: i64,
        /// The newest one that we know.
        needed: i64,
    },
    /// The schema was made by a newer version.
    #[error("the schema is at version {found}, this version knows only {known}: run a newer Portcullis")]
    Newer {
        /// The newest migration that the database has seen.
        found: i64,
        /// The newest one that we know.
        known: i64,
    },
    /// A migration that was applied is not the one that we know by that number.
    #[error("migration {version} of the schema is not the one that this version knows")]
    Altered {
        /// The number of the migration.
        version: i64,
    },
    /// A migration stopped half-way.
    #[error(
        "migration {version} of the schema was applied only in part: restore the database from a backup, or drop it if it was new"
    )]
    Incomplete {
        /// The number of the migration.
        version: i64,
    },
}

impl StoreError {
    /// Whether the database gave no answer, so that the same question may succeed later.
    #[must_use]
    pub const fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}
