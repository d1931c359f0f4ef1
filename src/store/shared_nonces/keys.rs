//! How nonces and markers are named in Redis.
//!
//! The name of a nonce is 128 bits of HMAC-SHA-256 over consumer and nonce. The key is derived from the *oldest* of the crypt
//! keys: rotation appends to them, so replicas that have the new key and replicas that do not yet agree.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::{
    auth::{crypt_keys::CryptKeys, secret::Secret},
    store::redis::Link,
};

/// What the crypt key is stretched with; another word would be another key.
const PURPOSE: &[u8] = b"portcullis shared nonces";

/// Bytes of a fingerprint: two nonces of one consumer share one in 2^64 of them.
const FINGERPRINT: usize = 16;

/// Groups of nonces in a cluster, each with a marker, so that several servers share them. A number that replicas agree on.
const SHARDS: u8 = 16;

/// The functions that name things.
pub(super) struct NonceKeys {
    key: Hmac<Sha256>,
    /// Before a fingerprint, and the marker, by group.
    shards: Vec<(String, String)>,
}

impl NonceKeys {
    /// Names under a crypt key, as the link prefixes them.
    pub(super) fn new(keys: &CryptKeys, link: &Link) -> Self {
        let count = if link.is_cluster() { SHARDS } else { 1 };
        let shard = |number: u8| {
            let tag = format!("n{number}");
            (link.tagged(&tag, ""), link.tagged(&tag, "marker"))
        };
        Self { key: derived(keys), shards: (0..count).map(shard).collect() }
    }

    /// The keys of a nonce: its marker's and its own.
    pub(super) fn of(&self, consumer_id: u32, nonce: &[u8]) -> Option<(&str, Vec<u8>)> {
        let mut mac = self.key.clone();
        // A fixed width, so that no two pairs spell the same bytes.
        mac.update(&consumer_id.to_be_bytes());
        mac.update(nonce);
        let digest = mac.finalize().into_bytes();
        let fingerprint = digest.get(..FINGERPRINT)?;
        let last = usize::from(*digest.last()?);
        let (prefix, marker) = self.shards.get(last % self.shards.len())?;
        Some((marker, [prefix.as_bytes(), fingerprint].concat()))
    }

    /// Every marker.
    pub(super) fn markers(&self) -> impl Iterator<Item = &str> {
        self.shards.iter().map(|(_, marker)| marker.as_str())
    }

    /// What tells this key from another one, and tells nothing of it.
    pub(super) fn mark(&self) -> String {
        let mut mac = self.key.clone();
        mac.update(b"mark of the key");
        hex::encode(mac.finalize().into_bytes().get(..8).unwrap_or_default())
    }
}

fn derived(keys: &CryptKeys) -> Hmac<Sha256> {
    let oldest = keys.iter().next().unwrap_or_else(|| keys.newest());
    let mac = |key: &[u8]| Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    let mut stretched = mac(oldest.configured().expose().as_bytes());
    stretched.update(PURPOSE);
    let key: Secret<[u8; 32]> = Secret::new(stretched.finalize().into_bytes().into());
    mac(key.expose())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(crypt: &str, shards: usize) -> NonceKeys {
        let shard = |number: usize| (format!("p:{{n{number}}}:"), format!("p:{{n{number}}}:marker"));
        NonceKeys {
            key: derived(&CryptKeys::parse(crypt).unwrap()),
            shards: (0..shards).map(shard).collect(),
        }
    }

    #[test]
    fn replicas_with_the_same_oldest_key_agree() {
        let (one, rotated, other) = (keys("old", 1), keys("old new", 1), keys("new", 1));
        assert_eq!(one.of(7, b"n"), rotated.of(7, b"n"));
        assert_eq!(one.mark(), rotated.mark());
        assert_ne!(one.of(7, b"n"), other.of(7, b"n"));
        assert_ne!(one.mark(), other.mark());
    }

    #[test]
    fn a_nonce_is_named_by_consumer_and_every_byte() {
        let keys = keys("key", 1);
        let names: Vec<_> = [(1, &b"n"[..]), (2, b"n"), (1, b"N"), (1, b"n "), (1, b""), (0x6e, b"")]
            .map(|(consumer, nonce)| keys.of(consumer, nonce).unwrap().1)
            .into();
        for (place, name) in names.iter().enumerate() {
            assert_eq!(name.len(), b"p:{n0}:".len() + FINGERPRINT);
            assert!(!names[..place].contains(name), "{place}");
        }
    }

    #[test]
    fn a_nonce_meets_its_marker_in_a_cluster() {
        let keys = keys("key", 16);
        let mut seen = std::collections::HashSet::new();
        for number in 0..200_u32 {
            let (marker, name) = keys.of(1, &number.to_be_bytes()).unwrap();
            let tag = &marker[..marker.len() - "marker".len()];
            assert!(name.starts_with(tag.as_bytes()));
            seen.insert(tag.to_owned());
        }
        assert_eq!((seen.len(), keys.markers().count()), (16, 16), "every group is used");
    }
}
