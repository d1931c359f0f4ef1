//! Integrations that a configuration declares: the store is brought to what is declared (`MAGENTO_AUTH` section 12.3).
//!
//! One that is not there is made, inactive. One that differs in anything is deleted and made anew as *recreated*: whoever
//! had its credentials has to be let in again by a person. So is one that a person made under that name. One that is as
//! declared is left alone, whatever its status. One that is declared no more stays, with a warning, as in Magento; only
//! the command line deletes it, when told to.
//!
//! Magento leaves the consumer and tokens of a recreated integration behind, without an owner; here they go with it.
//! Each change is one transaction that looks again under the write lock: of two processes that start at once one finds
//! nothing left to do, and after a death half-way the next start does the rest.

mod apply;
mod check;
mod compare;
#[cfg(test)]
mod tests;

pub use apply::ConfiguredIntegrations;
pub use check::check;
use thiserror::Error;

use super::ServiceError;
use crate::store::StoreError;

/// What becomes of an integration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is as declared.
    Unchanged,
    /// It is made, inactive.
    Created,
    /// It is deleted and made anew, because these differ.
    Recreated(Vec<&'static str>),
    /// It was declared once and is not any more; it stays.
    Undeclared,
    /// It was declared once and is not any more; it is deleted.
    Deleted,
}

/// An integration and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// `integration.name`.
    pub name: String,
    /// What becomes of it.
    pub fate: Fate,
}

/// Why what is declared cannot be had.
#[derive(Debug, Error)]
pub enum ConfiguredError {
    /// The declaration itself is at fault.
    #[error("the integration {name:?} {reason}")]
    Unfit {
        /// `name`.
        name: String,
        /// What is wrong and the way out.
        reason: String,
    },
    /// The change was not made.
    #[error("the integration {name:?}: {source}")]
    Failed {
        /// `name`.
        name: String,
        /// The reason.
        source: ServiceError,
    },
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}
