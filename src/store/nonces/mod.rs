//! Nonces of signed requests: each is accepted once (RFC 5849 §3.3), across threads, restarts and clock jumps.
//!
//! A nonce is unique by consumer and bytes, whatever its timestamp (Magento keeps it so), and is kept until its own
//! timestamp + the past window. It is recorded only after the signature verified. A full store refuses; nothing live
//! is evicted.
//!
//! `memory` decides: sharded time buckets of 64-bit keyed fingerprints; time is up for a whole bucket at once.
//! `journal` makes the decision outlive the process: one file a bucket, written before `record` answers.
//! `quarantine` covers what a crash of the host can still lose; the bound is argued there.
//!
//! `peek` looks a nonce up in the files of a running gate, for whoever explains a request; it uses none up.
//!
//! It does not check the signature, does not own the acceptance window (the caller refused timestamps outside it)
//! and asks no clock. A fingerprint that two nonces share would refuse the second: one request in 10^12 with ten
//! million nonces live.

mod buckets;
mod directory;
mod error;
mod fingerprint;
mod home;
mod journal;
mod memory;
mod peek;
mod quarantine;
mod record;
mod recovery;
mod segment;
mod settings;
mod state;
mod store;
mod timeline;
mod words;

pub use error::NonceError;
pub use home::Nonces;
pub use peek::NoncePeek;
pub use settings::{NonceSettings, Recorded, Recovery};
pub use store::NonceStore;
