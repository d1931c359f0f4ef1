//! Magento's token endpoints, without the way to them: a request's parts in, an answer or a refusal out.
//!
//! The proxy finds out that a request is for one of them, who asks, and that it may; the server hands it over. Here a body
//! becomes a login (`inputs`), a service does the work, and its result is written as Magento's REST writes it. No
//! password is hashed and no row is written here.

mod endpoints;
mod given;
pub mod handshake;
mod inputs;
mod query;
mod refusal;
mod xml;

pub use endpoints::{TokenEndpoints, TokenRequest};
pub use refusal::refusal;
