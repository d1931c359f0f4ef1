//! Nonces as 64-bit keyed fingerprints, and keyed checksums for what is written.
//!
//! The key is a random 128-bit seed that is stored with the journal, so that fingerprints outlive the process. Without
//! the seed nobody can choose nonces that collide. SipHash-1-3 suffices: outputs never leave the host.

use std::fmt;
use std::hash::Hasher;

use rand::TryRng;
use rand::rngs::SysRng;
use siphasher::sip::SipHasher13;

use super::error::NonceError;

/// Turns the seed into a second key, so that a checksum is never a fingerprint.
const CHECKSUM_TWEAK: u64 = 0x6368_6563_6b73_756d;

/// A nonce of a consumer, byte-exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Fingerprint(pub(super) u64);

/// The two words of the seed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Seed(pub(super) [u64; 2]);

impl Seed {
    /// Draws a seed from the operating system.
    pub(super) fn random() -> Result<Self, NonceError> {
        let draw = || SysRng.try_next_u64().map_err(NonceError::Random);
        Ok(Self([draw()?, draw()?]))
    }
}

/// The hash functions under one seed.
#[derive(Clone, Copy)]
pub(super) struct Keys {
    fingerprints: SipHasher13,
    checksums: SipHasher13,
}

impl Keys {
    /// The functions under a seed.
    pub(super) fn new(Seed([first, second]): Seed) -> Self {
        Self {
            fingerprints: SipHasher13::new_with_keys(first, second),
            checksums: SipHasher13::new_with_keys(first ^ CHECKSUM_TWEAK, second ^ CHECKSUM_TWEAK),
        }
    }

    /// The functions for what has to be read before the seed is known.
    pub(super) fn unkeyed() -> Self {
        Self::new(Seed([0, 0]))
    }

    /// The fingerprint of a consumer's nonce. The id has a fixed width, so no two pairs spell the same bytes.
    pub(super) fn fingerprint(&self, consumer_id: u32, nonce: &[u8]) -> Fingerprint {
        let mut hasher = self.fingerprints;
        hasher.write(&consumer_id.to_le_bytes());
        hasher.write(nonce);
        Fingerprint(hasher.finish())
    }

    /// The checksum of some words.
    pub(super) fn checksum(&self, words: &[u64]) -> u64 {
        let mut hasher = self.checksums;
        for word in words {
            hasher.write(&word.to_le_bytes());
        }
        hasher.finish()
    }

    /// Names the seed without telling it: files under another seed have another mark.
    pub(super) fn mark(&self) -> u64 {
        self.checksum(&[])
    }

    /// The keyed mark of a text.
    pub(super) fn mark_of(&self, text: &str) -> u64 {
        let mut hasher = self.checksums;
        hasher.write(text.as_bytes());
        hasher.finish()
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_siphash_1_3_of_id_and_nonce() {
        // Journals outlive the program that wrote them, so the function must not drift.
        let keys = Keys::new(Seed([0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908]));
        let whole = SipHasher13::new_with_keys(0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908)
            .hash(b"\x07\0\0\0a nonce of some length");
        assert_eq!(keys.fingerprint(7, b"a nonce of some length"), Fingerprint(whole));
    }

    #[test]
    fn every_byte_of_the_pair_counts() {
        let keys = Keys::new(Seed::random().unwrap());
        let pairs: [(u32, &[u8]); 9] = [
            (1, b""),
            (1, b"0"),
            (1, b"a"),
            (1, b"A"),
            (1, b"a "),
            (1, b"\xc3\xa1"),
            (2, b"a"),
            (256, b"a"),
            (1, &[b'x'; 33]),
        ];
        let prints: std::collections::HashSet<_> =
            pairs.iter().map(|(id, n)| keys.fingerprint(*id, n)).collect();
        assert_eq!(prints.len(), pairs.len());
    }

    #[test]
    fn seeds_differ_and_so_do_their_prints_and_marks() {
        let (one, two) = (Keys::new(Seed::random().unwrap()), Keys::new(Seed::random().unwrap()));
        assert_ne!(one.fingerprint(1, b"n"), two.fingerprint(1, b"n"));
        assert_ne!(one.mark(), two.mark());
    }

    #[test]
    fn debug_does_not_tell_the_seed() {
        assert_eq!(format!("{:?}", Keys::unkeyed()), "Keys");
    }
}
