//! What a decision does with the nonce of a verified signature: use it up, or only look.
//!
//! A gate records; whoever explains a request must not burn its nonce, so it asks the same pipeline with a port that looks.
//! A pipeline that only looks accepts replays and must never stand in front of an upstream.

use std::sync::Arc;

use crate::{
    auth::time::UnixTime,
    store::nonces::{NoncePeek, NonceStore, Recorded},
};

/// The nonces of a pipeline.
#[derive(Debug)]
pub enum NonceUse {
    /// Each is used up: the way of a request.
    Record(Arc<NonceStore>),
    /// None is used up; `None` where the gate keeps no journal to look at.
    Peek(Option<NoncePeek>),
}

impl From<Arc<NonceStore>> for NonceUse {
    fn from(store: Arc<NonceStore>) -> Self {
        Self::Record(store)
    }
}

impl NonceUse {
    /// Uses a nonce up, or says what using it up would answer; a nonce that cannot be looked up counts as fresh.
    pub(super) fn record(
        &self,
        consumer_id: u32,
        nonce: &[u8],
        timestamp: UnixTime,
        now: UnixTime,
    ) -> Recorded {
        match self {
            Self::Record(store) => store.record(consumer_id, nonce, timestamp, now),
            Self::Peek(peek) => {
                let seen = peek.as_ref().and_then(|peek| peek.look(consumer_id, nonce, timestamp, now).ok());
                seen.unwrap_or(Recorded::Fresh)
            }
        }
    }

    /// Whether the consumer used this nonce.
    pub(super) fn is_used(
        &self,
        consumer_id: u32,
        nonce: &[u8],
        (timestamp, now): (UnixTime, UnixTime),
    ) -> bool {
        match self {
            Self::Record(store) => store.is_used(consumer_id, nonce),
            Self::Peek(_) => self.record(consumer_id, nonce, timestamp, now) == Recorded::Used,
        }
    }
}
