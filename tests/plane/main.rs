//! The data plane, through the real gate: raw bytes from clients, recorded bytes at the upstream.
//!
//! Every test looks at both sides: the status that the client got, and what the upstream saw, or that it saw nothing.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on must stop"
)]

#[path = "../support/mod.rs"]
mod support;

mod callers;
mod faults;
mod framing;
mod lifecycle;
mod limits;
mod observing;
mod plumbing;
mod spoofing;
mod startup;
mod strictness;
mod upgrades;
