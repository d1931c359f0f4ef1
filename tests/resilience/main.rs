//! What the gate does while its store is away, slow, or asked for too much, and while the clock jumps.
//!
//! The store is SQLite here, taken away by a lock on its file. What is asserted is promised for every store: whoever is cached
//! is served, nobody else is guessed at, nothing wrong is ever said, and it ends by itself.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on must stop; clippy exempts only the functions that are marked as tests"
)]

#[path = "../support/mod.rs"]
mod support;

mod callers;
mod clock;
mod crowds;
mod lock;
mod outage;
mod revoking;
mod start;
