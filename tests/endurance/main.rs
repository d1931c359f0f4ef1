//! What takes minutes, on the real binary: a million requests over a hundred reloads, a hundred kills, drain after drain under load.
//!
//! Every answer is compared with what its request must get, by an upstream that answers whom it was told of. Times are printed
//! and never asserted. The counts are smaller with `PORTCULLIS_LONG_REQUESTS`, `PORTCULLIS_LONG_RELOADS`,
//! `PORTCULLIS_LONG_KILLS` and `PORTCULLIS_LONG_DRAINS`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot go on must stop, and figures are for people to read"
)]

#[path = "../edge/certificates.rs"]
#[allow(dead_code, reason = "not every kind of client is needed here")]
mod certificates;
mod drains;
mod kills;
mod reloads;
mod shop;
#[path = "../support/mod.rs"]
mod support;
mod times;
