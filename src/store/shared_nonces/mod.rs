//! Nonces that all replicas share, in Redis: a signature accepted by one is refused by every other.
//!
//! A nonce is a key that holds until its timestamp + the past window, named by a keyed fingerprint. It is recorded by a
//! script that Redis carries out as one step, and which accepts nothing before it has seen the *marker*: a key that says
//! which history of the data the nonces belong to. Redis draws a new replication id at every start and every promotion,
//! so whatever could have lost nonces changes the history, or takes the marker away:
//!
//! | event | what the script finds | what follows |
//! |---|---|---|
//! | FLUSHALL, an empty or replaced Redis | no marker, or one that is not the one it knows | quarantine |
//! | restart, with or without a snapshot | the marker of another history | quarantine |
//! | failover, whatever was replicated | the marker of another history | quarantine |
//! | another crypt key or window at a replica | the marker of another setting | quarantine |
//! | the first start of all | no marker, and none ever seen | signatures made before are refused |
//!
//! Quarantine: the marker is written anew with a *floor*, the time of the change + the future window + a tolerance between
//! clocks. No accepted timestamp, lost or not, lies above it, and timestamps up to it are refused. The floor stands in the
//! marker, so every replica obeys it with its next nonce, told or not.
//!
//! Every marker has a birth of its own, so that a replica which saw another one before notices the loss, also where a new
//! replica was quicker to write a marker. Where nobody saw one, the floor is the moment itself: if all replicas and Redis begin anew at
//! once, only signatures whose timestamp was ahead of that moment can pass a second time.
//!
//! No answer counts as used: the client is refused with 503 and signs again. Nothing is asked twice.

mod claim;
mod guard;
mod keys;
mod scripts;
mod store;

pub use claim::NonceClaim;
pub use guard::Watched;
pub use store::{SharedNonceSettings, SharedNonces};
