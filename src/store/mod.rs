//! The facts: what a database says about tokens, users, consumers, stores and roles, and what is kept of it.
//!
//! [`rows`] holds the types that every home of the facts answers with; [`sql`] reads them from Magento's tables. `judge`
//! turns rows into what a credential may do, [`cache`] keeps that, [`facts`] is the way from a credential to it.
//! `reference` keeps the small tables whole, [`settings`] what Magento's own configuration says, [`nonces`] the nonces
//! that were used, [`sessions`] reads PHP's sessions. A store that cannot answer says so; it
//! never guesses.

mod breaker;
pub mod cache;
mod error;
pub mod facts;
mod flights;
mod generations;
pub mod grant;
mod guarded;
pub mod judge;
mod loader;
pub mod logins;
#[cfg(test)]
mod model;
pub mod nonces;
mod primitives;
pub mod records;
pub mod reference;
pub mod rows;
pub mod sessions;
pub mod settings;
pub mod sql;

pub use breaker::BreakerState;
pub use error::{SchemaError, StoreError};
pub use generations::Subject;
