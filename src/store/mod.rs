//! The facts: what a database says about tokens, users, consumers, stores and roles, and what is kept of it.
//!
//! [`rows`] holds the types that every home of the facts answers with; [`sql`] reads them from Magento's tables. `judge`
//! turns rows into what a credential may do, [`cache`] keeps that, [`facts`] is the way from a credential to it.
//! [`recheck`] compares what is kept with tables that tell nobody of a change. `reference` keeps the small tables whole,
//! [`settings`] what Magento's own configuration says, [`nonces`] the nonces that were used, [`sessions`] reads PHP's sessions.
//! A store that cannot answer says so; it never guesses.

pub mod cache;
mod error;
mod evidence;
pub mod facts;
mod generations;
pub mod grant;
pub mod judge;
pub mod logins;
pub mod nonces;
pub mod recheck;
pub mod records;
pub mod reference;
pub mod rows;
pub mod sessions;
pub mod settings;
pub mod sql;

pub use error::{SchemaError, StoreError};
pub use generations::Subject;
