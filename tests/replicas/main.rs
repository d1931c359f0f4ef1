//! Replicas of the real binary over one MariaDB and one Redis, and what they do while either of them fails.
//!
//! The servers are private and speak over loopback; a proxy that misbehaves stands before them where the network is to fail. Times
//! are printed for people to read. What is asserted of them is the promise and the slack that a busy machine needs, see
//! [`shop::SLACK`].

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot go on must stop, and measured times are for people to read"
)]

#[path = "../support/mod.rs"]
mod support;

mod crowd;
mod flips;
mod load;
mod outage;
mod redis_away;
mod revoking;
mod shop;
mod start;
mod together;
