//! Why a stored value could not be decrypted. No variant carries a byte of key, ciphertext or plaintext.

/// Why a stored value has no plaintext.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecryptError {
    /// The value, its data part, or what an unauthenticated cipher made of it, is empty.
    #[error("there is nothing to decrypt")]
    Empty,
    /// The value is longer than any secret.
    #[error("the encrypted value is too long")]
    TooLong,
    /// No crypt key has the version that the value names.
    #[error("the encrypted value names a crypt key that does not exist")]
    KeyVersionUnknown,
    /// The value names a cipher that Magento never had.
    #[error("the encrypted value names an unknown cipher")]
    CipherUnknown,
    /// The crypt key has a length that the cipher cannot use.
    #[error("the crypt key has the wrong length for the cipher")]
    KeyLength,
    /// The initialization vector is not one block.
    #[error("the initialization vector has the wrong length")]
    InitVectorLength,
    /// The value was changed, cut, or encrypted with another key.
    #[error("the encrypted value is not authentic")]
    NotAuthentic,
    /// The plaintext is not UTF-8: with the unauthenticated ciphers the sign of a wrong key or a plain string.
    #[error("the decrypted value is not text")]
    NotText,
}

/// The newest crypt key cannot encrypt: ChaCha20-Poly1305 takes 32 bytes, no more and no less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the newest crypt key must be 32 bytes")]
pub struct UnusableKey;
