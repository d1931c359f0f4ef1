//! What the decision benchmark and the comparison with nginx share: a small shop's store, one caller of each kind, and the
//! requests that they send.
//!
//! Credentials are constants: the store lives for a benchmark on loopback and holds nobody's secrets, and the process that
//! signs need not ask the one that seeded.

#![allow(dead_code, reason = "each of the two uses another part")]

pub(crate) mod callers;
pub(crate) mod requests;
