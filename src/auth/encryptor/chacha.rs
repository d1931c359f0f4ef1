//! Cipher 3: ChaCha20-Poly1305 (RFC 8439) as Magento's `SodiumChachaIetf` lays it out.
//!
//! The data is the 12-byte nonce, the ciphertext and the 16-byte tag; the nonce is the additional data, too.

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, Nonce};
use zeroize::Zeroizing;

use super::error::{DecryptError, UnusableKey};

pub(super) const KEY_LENGTH: usize = 32;
pub(super) const NONCE_LENGTH: usize = 12;

/// Encrypts into nonce, ciphertext and tag.
pub(super) fn seal(key: &[u8; KEY_LENGTH], nonce: [u8; NONCE_LENGTH], plaintext: &[u8]) -> Vec<u8> {
    let payload = Payload { msg: plaintext, aad: &nonce };
    let sealed = ChaCha20Poly1305::new(key.into())
        .encrypt(&Nonce::from(nonce), payload)
        .expect("a secret in memory is shorter than the cipher's 256 GiB");
    [nonce.as_slice(), sealed.as_slice()].concat()
}

/// Decrypts nonce, ciphertext and tag.
pub(super) fn open(key: &[u8], data: &[u8]) -> Result<Zeroizing<Vec<u8>>, DecryptError> {
    let key = usable_key(key).map_err(|UnusableKey| DecryptError::KeyLength)?;
    let (nonce, sealed) = data.split_first_chunk::<NONCE_LENGTH>().ok_or(DecryptError::NotAuthentic)?;
    let payload = Payload { msg: sealed, aad: nonce };
    ChaCha20Poly1305::new(key.into())
        .decrypt(&Nonce::from(*nonce), payload)
        .map(Zeroizing::new)
        .map_err(|_| DecryptError::NotAuthentic)
}

/// The key, when it has the only length that the cipher takes.
pub(super) fn usable_key(key: &[u8]) -> Result<&[u8; KEY_LENGTH], UnusableKey> {
    key.try_into().map_err(|_| UnusableKey)
}
