//! The facts: what a database says about tokens, users, consumers, stores and roles, and what is kept of it.
//!
//! [`rows`] holds the types that every home of the facts answers with; [`sql`] reads them from Magento's tables. `judge`
//! turns rows into what a credential may do, [`cache`] keeps that, [`facts`] is the way from a credential to it.
//! [`recheck`] compares what is kept with tables that tell nobody of a change. `reference` keeps the small tables whole,
//! [`settings`] what Magento's own configuration says, [`nonces`] the nonces that were used, [`shared_nonces`] those that
//! replicas share, [`rates`] how often who asked, [`sessions`] reads PHP's sessions. [`redis`] is the way to what replicas
//! share, [`invalidations`] tells other replicas of changes. A store that cannot answer says so; it never guesses.

mod breaker;
pub mod cache;
mod error;
mod evidence;
pub mod facts;
mod flights;
mod generations;
pub mod grant;
mod guarded;
pub mod invalidations;
pub mod judge;
mod loader;
pub mod logins;
mod lookup;
#[cfg(test)]
mod model;
pub mod nonces;
mod primitives;
pub mod rates;
pub mod recheck;
pub mod records;
pub mod redis;
pub mod reference;
pub mod rows;
pub mod sessions;
pub mod settings;
pub mod shared_nonces;
pub mod sql;

pub use breaker::BreakerState;
pub use error::{SchemaError, StoreError};
pub use generations::Subject;
