//! One verifier for each algorithm, ready before the setting that chooses among them changes.
//!
//! Which algorithm counts may stand in the store and change at run time; hashing the padded keys again at that moment
//! is not worth keeping the keys themselves for.

use super::accepted_keys::AcceptedKeys;
use super::algorithm::JwtAlgorithm;
use super::verifier::JwtVerifier;
use crate::auth::crypt_keys::CryptKeys;

/// A verifier of each algorithm over the same keys.
#[derive(Debug, Clone)]
pub struct JwtVerifiers {
    hs256: JwtVerifier,
    hs384: JwtVerifier,
    hs512: JwtVerifier,
}

impl JwtVerifiers {
    /// Prepares the accepted keys for every algorithm.
    #[must_use]
    pub fn new(accepted: &AcceptedKeys, crypt_keys: &CryptKeys) -> Self {
        let verifier = |algorithm| JwtVerifier::accepting(accepted, crypt_keys, algorithm);
        Self {
            hs256: verifier(JwtAlgorithm::Hs256),
            hs384: verifier(JwtAlgorithm::Hs384),
            hs512: verifier(JwtAlgorithm::Hs512),
        }
    }

    /// The verifier of the one algorithm that is configured.
    #[must_use]
    pub const fn of(&self, algorithm: JwtAlgorithm) -> &JwtVerifier {
        match algorithm {
            JwtAlgorithm::Hs256 => &self.hs256,
            JwtAlgorithm::Hs384 => &self.hs384,
            JwtAlgorithm::Hs512 => &self.hs512,
        }
    }
}
