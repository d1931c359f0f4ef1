//! The edge towards clients, through the real gate: TLS, HTTP/2 by real clients and by frames made by hand, the PROXY line.
//!
//! As in `tests/plane`, every test looks at both sides: what the client got, and what the upstream saw.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on must stop"
)]

#[path = "../support/mod.rs"]
mod support;

mod abuse;
mod certificates;
mod clients;
mod floods;
mod frames;
mod protocol;
mod proxy_line;
mod tls;
