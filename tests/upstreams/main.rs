//! The upstream edge on the real gate: several endpoints, their health and limits, TLS and HTTP/2 to them, and reloads.
//!
//! Every test looks at what the endpoints saw, besides what the client got.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on must stop"
)]

#[path = "../support/mod.rs"]
mod support;

mod balance;
mod health;
mod http2;
mod limits;
mod modern;
mod peer;
mod reload;
mod tls;
