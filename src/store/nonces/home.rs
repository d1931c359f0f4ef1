//! Where a gate keeps its nonces: in the process, or with all other replicas.

use std::sync::Arc;

use super::{error::NonceError, settings::Recorded, store::NonceStore};
use crate::{
    auth::time::UnixTime,
    store::shared_nonces::{NonceClaim, SharedNonces},
};

/// The nonces of a gate; cheap to clone.
#[derive(Debug, Clone)]
pub enum Nonces {
    /// In this process.
    Own(Arc<NonceStore>),
    /// In Redis, for all replicas.
    Shared(Arc<SharedNonces>),
}

impl Nonces {
    /// Uses up a nonce of a consumer whose signature verified.
    #[must_use = "only a fresh nonce lets the request go on"]
    pub async fn record(&self, claim: &NonceClaim, now: UnixTime) -> Recorded {
        match self {
            Self::Own(store) => store.record(claim.consumer_id, &claim.nonce, claim.timestamp, now),
            Self::Shared(shared) => shared.record(claim, now).await,
        }
    }

    /// Whether the consumer is known to have used this nonce: to choose between two refusals. Redis is not asked for that;
    /// whoever holds no secret must not be able to make work for it.
    #[must_use]
    pub fn is_used(&self, consumer_id: u32, nonce: &[u8]) -> bool {
        match self {
            Self::Own(store) => store.is_used(consumer_id, nonce),
            Self::Shared(_) => false,
        }
    }

    /// How many nonces this process holds.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Own(store) => store.len(),
            Self::Shared(_) => 0,
        }
    }

    /// Whether this process holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ends the run in order.
    ///
    /// # Errors
    /// As [`NonceStore::close`].
    pub fn close(&self) -> Result<(), NonceError> {
        match self {
            Self::Own(store) => store.close(),
            Self::Shared(_) => Ok(()),
        }
    }
}

impl From<Arc<NonceStore>> for Nonces {
    fn from(store: Arc<NonceStore>) -> Self {
        Self::Own(store)
    }
}
