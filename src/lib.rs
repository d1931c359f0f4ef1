//! Portcullis: a reverse proxy that takes authentication off a commerce API.
//!
//! The modules below stand from the rules up to the command; a module imports only from the ones above it:
//!
//! - [`auth`]: the rules. Pure functions over values: what a credential says, whether a signature verifies, what an
//!   ACL allows. No socket, database, clock or log line.
//! - [`clock`], [`config`], [`metrics`]: the time, the settings, the figures.
//! - [`store`], [`reply`], [`logging`]: the facts, the refusals as a client sees them, the log.
//! - [`service`]: what can be done with credentials: issue, revoke, grant, rotate, in Magento's words.
//! - [`proxy`]: the way of a request, a file a stage; [`admin`]: the operator's listener; [`import`]: the rules out of an
//!   installation's files.
//! - [`explain`]: why a request passes or fails, told by the same pipeline.
//! - [`server`]: the only place where the parts meet; [`cli`]: the command line.

pub mod admin;
pub mod auth;
pub mod cli;
pub mod clock;
pub mod config;
pub mod explain;
pub mod import;
pub mod logging;
pub mod metrics;
pub mod proxy;
pub mod reply;
pub mod server;
pub mod service;
pub mod store;
pub mod token;
