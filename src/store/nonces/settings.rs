//! What the owner of the nonce store says to it and hears from it.

use std::path::PathBuf;
use std::time::Duration;

use crate::auth::time::UnixTime;

/// How long, how many, and where nonces are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NonceSettings {
    /// How old an accepted timestamp may be; parts of a second count as a whole one.
    pub past: Duration,
    /// How far ahead an accepted timestamp may be.
    pub future: Duration,
    /// How many live nonces are held at most: up to 24 bytes of memory each, and 16 bytes of journal.
    pub max: usize,
    /// The directory of the journal, created if missing; without one, a restart forgets every nonce.
    pub journal: Option<PathBuf>,
}

/// What became of a nonce that was to be recorded. Only `Fresh` lets the request go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// Never seen, and now used; with a journal, it is also written.
    Fresh,
    /// Used before by this consumer.
    Used,
    /// The store is at its bound; the nonce was not recorded.
    Full,
    /// The timestamp lies outside what is kept: its bucket is gone, the clock went back behind it, or it is so far
    /// ahead that the caller should have refused it.
    Expired,
    /// A crash of the host may have lost nonces of this time; timestamps up to and including `until` are refused.
    Quarantined {
        /// The last timestamp that is refused.
        until: UnixTime,
    },
    /// The journal could not be written or its heartbeat is late: the nonce counts as used, the request must be
    /// refused. The next sync tells why.
    JournalFailed,
    /// Where nonces are shared, nobody answered in time: the nonce may be recorded or not and counts as used.
    Unanswered,
}

/// What opening the store found in the journal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Nonces that are live again.
    pub restored: usize,
    /// Nonces whose time was up.
    pub expired: usize,
    /// Records that could not be read, so that their nonces are forgotten; worth an alarm. The stump of a write that
    /// failed on a full disk counts too, though its nonce was refused.
    pub corrupt: usize,
    /// Files that ended in the middle of a record and were cut: what a kill or a full disk leaves.
    pub torn: usize,
    /// The last timestamp that is refused because the host crashed.
    pub quarantined_until: Option<UnixTime>,
}
