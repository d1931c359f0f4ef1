//! What replicas share through Redis, with real servers: gates in one process over one SQLite file and one Redis.
//!
//! Every test looks at both sides: what still passes and what must not.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot go on must stop, and measured times are for people to read"
)]

#[path = "../support/mod.rs"]
mod support;

mod changes;
mod homes;
mod link;
mod losses;
mod nonces;
mod shop;
