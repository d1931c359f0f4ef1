//! HMAC states keyed as Magento keys them, ready to take a message.
//!
//! Magento does not use a crypt key as it is: `str_pad(key, 2048, '&', STR_PAD_BOTH)` is the secret
//! (`SecretBasedJwksFactory`). Hashing those 2048 bytes happens once here, not once a request.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha384, Sha512};
use zeroize::Zeroizing;

use super::algorithm::JwtAlgorithm;

const PADDED_LENGTH: usize = 2048;
const PADDING: u8 = b'&';

/// An HMAC that has seen the key and no message.
#[derive(Clone)]
pub(super) enum KeyedMac {
    Sha256(Hmac<Sha256>),
    Sha384(Hmac<Sha384>),
    Sha512(Hmac<Sha512>),
}

impl KeyedMac {
    /// Keys the algorithm with a crypt key as configured.
    pub(super) fn new(algorithm: JwtAlgorithm, crypt_key: &[u8]) -> Self {
        Self::from_secret(algorithm, &pad(crypt_key))
    }

    /// Keys the algorithm with a secret as RFC 7518 §3.2 has it, unpadded.
    pub(super) fn from_secret(algorithm: JwtAlgorithm, secret: &[u8]) -> Self {
        match algorithm {
            JwtAlgorithm::Hs256 => Self::Sha256(keyed(secret)),
            JwtAlgorithm::Hs384 => Self::Sha384(keyed(secret)),
            JwtAlgorithm::Hs512 => Self::Sha512(keyed(secret)),
        }
    }

    /// Whether the tag is that of the pieces in a row, in time that depends on lengths alone.
    pub(super) fn verifies(&self, message: [&[u8]; 3], tag: &[u8]) -> bool {
        match self {
            Self::Sha256(mac) => absorb(mac, message).verify_slice(tag).is_ok(),
            Self::Sha384(mac) => absorb(mac, message).verify_slice(tag).is_ok(),
            Self::Sha512(mac) => absorb(mac, message).verify_slice(tag).is_ok(),
        }
    }

    /// The tag of the pieces in a row.
    pub(super) fn tag(&self, message: [&[u8]; 3]) -> Vec<u8> {
        match self {
            Self::Sha256(mac) => absorb(mac, message).finalize().into_bytes().to_vec(),
            Self::Sha384(mac) => absorb(mac, message).finalize().into_bytes().to_vec(),
            Self::Sha512(mac) => absorb(mac, message).finalize().into_bytes().to_vec(),
        }
    }
}

fn keyed<M: KeyInit>(secret: &[u8]) -> M {
    M::new_from_slice(secret).expect("HMAC takes keys of any length")
}

fn absorb<M: Mac + Clone>(keyed: &M, message: [&[u8]; 3]) -> M {
    message.into_iter().fold(keyed.clone(), M::chain_update)
}

/// PHP's `str_pad` on both sides: an odd byte goes to the right, a longer key stays as it is.
fn pad(crypt_key: &[u8]) -> Zeroizing<Vec<u8>> {
    let missing = PADDED_LENGTH.saturating_sub(crypt_key.len());
    let mut padded = Zeroizing::new(Vec::with_capacity(crypt_key.len().saturating_add(missing)));
    padded.resize(missing / 2, PADDING);
    padded.extend_from_slice(crypt_key);
    padded.resize(crypt_key.len().saturating_add(missing), PADDING);
    padded
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use sha2::Digest;

    use super::*;

    fn sha256_of_padded(key: &str) -> String {
        hex::encode(Sha256::digest(pad(key.as_bytes()).as_slice()))
    }

    #[test]
    fn padding_is_that_of_magento() {
        let vectors: Value = serde_json::from_str(include_str!("../../../tests/vectors/jwt.json")).unwrap();
        let derivation = &vectors["key_derivation"];
        let key = derivation["env_crypt_key"].as_str().unwrap();
        assert_eq!(pad(key.as_bytes()).as_slice(), derivation["padded"].as_str().unwrap().as_bytes());
        assert_eq!(sha256_of_padded(key), derivation["padded_sha256"].as_str().unwrap());
    }

    #[test]
    fn odd_byte_goes_to_the_right() {
        let vectors: Value = serde_json::from_str(include_str!("../../../tests/vectors/jwt.json")).unwrap();
        let odd = &vectors["key_derivation"]["odd_example"];
        let key = odd["key"].as_str().unwrap();
        assert_eq!(sha256_of_padded(key), odd["sha256"].as_str().unwrap());
        assert_eq!(pad(key.as_bytes()).iter().position(|byte| *byte != PADDING), Some(1022));
    }

    #[test]
    fn key_that_is_long_enough_stays_as_it_is() {
        for length in [2047, 2048, 2049, 5000] {
            assert_eq!(pad(&vec![b'k'; length]).len(), length.max(PADDED_LENGTH), "{length}");
        }
    }

    #[test]
    fn cut_or_longer_tag_does_not_verify() {
        let mac = KeyedMac::new(JwtAlgorithm::Hs256, b"key");
        let message: [&[u8]; 3] = [b"a", b".", b"b"];
        let tag = mac.tag(message);
        assert!(mac.verifies(message, &tag));
        assert!(!mac.verifies(message, &tag[..31]));
        assert!(!mac.verifies(message, &[tag.as_slice(), &[0]].concat()));
        assert!(!mac.verifies(message, b""));
    }
}
