//! A nonce that is to be recorded.

use crate::auth::time::UnixTime;

/// A nonce of a consumer whose signature verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NonceClaim {
    /// The consumer, by `oauth_consumer.entity_id`.
    pub consumer_id: u32,
    /// The nonce's bytes, as they were signed.
    pub nonce: Vec<u8>,
    /// When it was signed.
    pub timestamp: UnixTime,
}
