//! Changes of integrations, consumers, tokens and roles: several statements, one transaction.
//!
//! A [`Change`] holds the write lock from its first statement on, so that what it read is still so when it writes; one
//! that is dropped leaves everything as it was. Each method is one step. What may be done, in which order, and what
//! it means is the services' to know.

mod consumers;
mod integrations;
mod roles;
mod rotation;
mod tokens;

use sqlx::{Sqlite, SqliteConnection};
pub use tokens::TokenValues;

use super::sqlite::SqlStore;
use crate::store::StoreError;

/// A transaction that writes.
#[derive(Debug)]
#[must_use = "dropping it undoes everything"]
pub struct Change(sqlx::Transaction<'static, Sqlite>);

impl SqlStore {
    /// Begins a change; nobody else writes until it ends.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage, or where another writer does not come to an end.
    pub async fn change(&self) -> Result<Change, StoreError> {
        Ok(Change(self.pool.begin_with("BEGIN IMMEDIATE").await?))
    }
}

impl Change {
    /// Makes it so.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] where it could not be written; nothing has changed then.
    pub async fn commit(self) -> Result<(), StoreError> {
        self.0.commit().await?;
        Ok(())
    }

    fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.0
    }
}
