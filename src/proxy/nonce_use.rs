//! What a decision does with the nonce of a verified signature: use it up, or only look.
//!
//! A gate records; whoever explains a request must not burn its nonce, so it asks the same pipeline with a port that looks.
//! A pipeline that only looks accepts replays and must never stand in front of an upstream. Nonces in the process are
//! recorded on the spot; those that replicas share are claimed, and whoever drives the pipeline awaits [`NonceUse::resolve`].

use std::sync::Arc;

use crate::{
    auth::time::UnixTime,
    store::{
        nonces::{NoncePeek, NonceStore, Nonces, Recorded},
        shared_nonces::{NonceClaim, SharedNonces},
    },
};

/// The nonces of a pipeline.
#[derive(Debug)]
pub enum NonceUse {
    /// Each is used up: the way of a request.
    Record(Arc<NonceStore>),
    /// Each is used up for all replicas.
    Share(Arc<SharedNonces>),
    /// None is used up; `None` where the gate keeps no journal to look at.
    Peek(Option<NoncePeek>),
    /// None is used up; what replicas share is looked at.
    PeekShared(Arc<SharedNonces>),
}

impl From<Arc<NonceStore>> for NonceUse {
    fn from(store: Arc<NonceStore>) -> Self {
        Self::Record(store)
    }
}

impl From<Nonces> for NonceUse {
    fn from(nonces: Nonces) -> Self {
        match nonces {
            Nonces::Own(store) => Self::Record(store),
            Nonces::Shared(shared) => Self::Share(shared),
        }
    }
}

impl NonceUse {
    /// Uses a nonce up, or says what using it up would answer; a nonce that cannot be looked up counts as fresh. An answer
    /// that was given to another claim is none.
    ///
    /// # Errors
    /// The claim that has to be resolved first.
    pub(super) fn record(
        &self,
        consumer_id: u32,
        nonce: &[u8],
        (timestamp, now): (UnixTime, UnixTime),
        answer: Option<&(NonceClaim, Recorded)>,
    ) -> Result<Recorded, NonceClaim> {
        match self {
            Self::Record(store) => Ok(store.record(consumer_id, nonce, timestamp, now)),
            Self::Peek(peek) => {
                let seen = peek.as_ref().and_then(|peek| peek.look(consumer_id, nonce, timestamp, now).ok());
                Ok(seen.unwrap_or(Recorded::Fresh))
            }
            Self::Share(_) | Self::PeekShared(_) => {
                let claim = NonceClaim { consumer_id, nonce: nonce.to_vec(), timestamp };
                match answer {
                    Some((answered, recorded)) if *answered == claim => Ok(*recorded),
                    // Facts changed under the request: it claims what nobody asked for.
                    Some(_) => Ok(Recorded::Unanswered),
                    None => Err(claim),
                }
            }
        }
    }

    /// Answers a claim.
    #[must_use = "only a fresh nonce lets the request go on"]
    pub async fn resolve(&self, claim: &NonceClaim, now: UnixTime) -> Recorded {
        match self {
            Self::Share(shared) => shared.record(claim, now).await,
            Self::PeekShared(shared) => {
                let seen = shared.look(claim, now).await;
                if seen == Recorded::Unanswered { Recorded::Fresh } else { seen }
            }
            // These claim nothing.
            Self::Record(_) | Self::Peek(_) => Recorded::Unanswered,
        }
    }

    /// Whether the consumer is known to have used this nonce.
    pub(super) fn is_used(
        &self,
        consumer_id: u32,
        nonce: &[u8],
        (timestamp, now): (UnixTime, UnixTime),
    ) -> bool {
        match self {
            Self::Record(store) => store.is_used(consumer_id, nonce),
            Self::Peek(_) => self.record(consumer_id, nonce, (timestamp, now), None) == Ok(Recorded::Used),
            // Whoever holds no secret must not be able to make work for what all share.
            Self::Share(_) | Self::PeekShared(_) => false,
        }
    }
}
