//! Changes of integrations, consumers, tokens and roles: several statements, one transaction.
//!
//! A [`View`] reads, all of it as of one moment. A [`Change`] is a view that holds the write lock from its first statement
//! on, so that what it read is still so when it writes; one that is dropped leaves everything as it was. Each method is
//! one step. What may be done, in which order, and what it means is the services' to know.

mod consumers;
mod integrations;
mod roles;
mod rotation;
mod tokens;

use std::ops::{Deref, DerefMut};

pub use tokens::TokenValues;

use super::{
    connection::{Purpose, Transaction},
    dialect::Flavor,
    store::SqlStore,
};
use crate::store::StoreError;

/// A transaction that reads.
#[derive(Debug)]
pub struct View(Transaction);

/// A transaction that writes.
#[derive(Debug)]
#[must_use = "dropping it undoes everything"]
pub struct Change(View);

impl SqlStore {
    /// Looks at the store as it is now.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage.
    pub async fn view(&self) -> Result<View, StoreError> {
        Ok(View(self.begin(Purpose::Reading).await?))
    }

    /// Begins a change; nobody else writes until it ends.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage, or where another writer does not come to an end.
    pub async fn change(&self) -> Result<Change, StoreError> {
        Ok(Change(View(self.begin(Purpose::Changing).await?)))
    }
}

impl View {
    fn connection(&mut self) -> &mut Transaction {
        &mut self.0
    }

    fn is_magentos(&self) -> bool {
        self.0.flavor() == Flavor::Magentos
    }

    /// Refuses what needs a table of ours, where there is none.
    fn require_own(&self, what: &'static str) -> Result<(), StoreError> {
        if self.is_magentos() { Err(StoreError::Magentos { what }) } else { Ok(()) }
    }
}

impl Change {
    /// Makes it so.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] where it could not be written; nothing has changed then.
    pub async fn commit(self) -> Result<(), StoreError> {
        self.0.0.commit().await?;
        Ok(())
    }
}

impl Deref for Change {
    type Target = View;

    fn deref(&self) -> &View {
        &self.0
    }
}

impl DerefMut for Change {
    fn deref_mut(&mut self) -> &mut View {
        &mut self.0
    }
}
