//! Magento's `crypt/key`: the secrets that encrypt stored values and sign user JWTs.
//!
//! The setting holds one key, or several separated by whitespace after a rotation; the last one is the newest
//! (`MAGENTO_AUTH` sections 2.7 and 9.1). Each key has two readings: its bytes encrypt, its text signs. Where the setting
//! comes from (our own configuration or Magento's `app/etc/env.php`) is the configuration's affair.

use std::slice;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::auth::secret::Secret;

/// Marks a key whose bytes are written in base64 (Magento 2.4.7 and later).
const ENCODED_KEY_PREFIX: &str = "base64";

const KEY_BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// One key of `crypt/key`.
#[derive(Debug, Clone)]
pub struct CryptKey {
    configured: Secret<String>,
    cipher_key: Secret<Vec<u8>>,
}

impl CryptKey {
    fn parse(word: &str) -> Option<Self> {
        let cipher_key = match word.strip_prefix(ENCODED_KEY_PREFIX) {
            Some(encoded) => KEY_BASE64.decode(encoded).ok().filter(|bytes| !bytes.is_empty())?,
            None => word.as_bytes().to_vec(),
        };
        Some(Self { configured: Secret::new(word.to_owned()), cipher_key: Secret::new(cipher_key) })
    }

    /// The key as it is written: what JWT signatures start from, prefix included.
    #[must_use]
    pub const fn configured(&self) -> &Secret<String> {
        &self.configured
    }

    /// The key's bytes for encryption.
    #[must_use]
    pub const fn cipher_key(&self) -> &Secret<Vec<u8>> {
        &self.cipher_key
    }
}

/// The keys of `crypt/key`, oldest first; never empty.
#[derive(Debug, Clone)]
pub struct CryptKeys {
    older: Vec<CryptKey>,
    newest: CryptKey,
}

impl CryptKeys {
    /// Reads the setting's value: keys separated by whitespace, the newest last.
    ///
    /// # Errors
    ///
    /// [`CryptKeysError`] when there is no key, or one with the `base64` prefix does not decode.
    pub fn parse(setting: &str) -> Result<Self, CryptKeysError> {
        let mut older = Vec::new();
        for (index, word) in setting.split(is_php_whitespace).filter(|word| !word.is_empty()).enumerate() {
            let position = index.saturating_add(1);
            older.push(CryptKey::parse(word).ok_or(CryptKeysError::NotBase64 { position })?);
        }
        let newest = older.pop().ok_or(CryptKeysError::Empty)?;
        Ok(Self { older, newest })
    }

    /// The key that encrypts and signs from now on.
    #[must_use]
    pub const fn newest(&self) -> &CryptKey {
        &self.newest
    }

    /// The number of keys; at least one.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.older.len().saturating_add(1)
    }

    /// Every key, oldest first: the position is the version in ciphertexts, and one less than a JWT's `kid`.
    pub fn iter(&self) -> impl Iterator<Item = &CryptKey> {
        self.older.iter().chain(slice::from_ref(&self.newest))
    }
}

/// Why a `crypt/key` setting is unusable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CryptKeysError {
    /// The setting holds no key.
    #[error("the crypt key is empty")]
    Empty,
    /// A key has the `base64` prefix and does not decode.
    #[error("crypt key {position} starts with base64 but does not decode")]
    NotBase64 {
        /// The key's place in the setting, from 1.
        position: usize,
    },
}

/// What `\s` means in PHP's regular expressions.
const fn is_php_whitespace(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(setting: &str) -> Result<Vec<String>, CryptKeysError> {
        let keys = CryptKeys::parse(setting)?;
        Ok(keys.iter().map(|key| key.configured().expose().clone()).collect())
    }

    #[test]
    fn keys_are_split_at_whitespace_and_keep_their_order() {
        assert_eq!(words("one"), Ok(vec!["one".into()]));
        assert_eq!(
            words(" one\n\t two\r\n three\x0b\x0c"),
            Ok(vec!["one".into(), "two".into(), "three".into()])
        );
        let keys = CryptKeys::parse("one\ntwo").unwrap();
        assert_eq!(keys.newest().configured().expose(), "two");
        assert_eq!(keys.count(), 2);
    }

    #[test]
    fn no_key_is_an_error() {
        for setting in ["", "  ", "\n\t"] {
            assert_eq!(words(setting), Err(CryptKeysError::Empty), "{setting:?}");
        }
    }

    #[test]
    fn prefixed_key_is_decoded_for_ciphers_alone() {
        let keys = CryptKeys::parse("plain base64AAECAwQ=").unwrap();
        assert_eq!(keys.newest().cipher_key().expose(), &[0, 1, 2, 3, 4]);
        assert_eq!(keys.newest().configured().expose(), "base64AAECAwQ=");
        assert_eq!(keys.iter().next().unwrap().cipher_key().expose(), b"plain");
    }

    #[test]
    fn prefixed_key_that_does_not_decode_is_an_error() {
        for setting in ["plain base64", "plain base64***", "plain base64A"] {
            assert_eq!(words(setting), Err(CryptKeysError::NotBase64 { position: 2 }), "{setting}");
        }
    }

    #[test]
    fn debug_never_shows_a_key() {
        assert!(!format!("{:?}", CryptKeys::parse("hunter2 hunter3")).contains("hunter"));
    }
}
