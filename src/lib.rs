//! Portcullis: a reverse proxy that takes authentication off a commerce API.
//!
//! - [`auth`]: the rules. Pure functions over values: what a credential says, whether a signature verifies, what an
//!   ACL allows. No socket, database, clock or log line.

pub mod auth;
