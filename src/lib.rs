//! Portcullis: a reverse proxy that takes authentication off a commerce API.
//!
//! - [`auth`]: the rules. Pure functions over values: what a credential says, whether a signature verifies, what an
//!   ACL allows. No socket, database, clock or log line.
//! - [`clock`], [`config`], [`metrics`]: the time, the settings, the figures.
//! - [`store`], [`reply`], [`logging`]: the facts, the refusals as a client sees them, the log.

pub mod auth;
pub mod clock;
pub mod config;
pub mod logging;
pub mod metrics;
pub mod reply;
pub mod store;
