//! Encrypting and decrypting with the right key and cipher.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::base64::decode_leniently;
use super::chacha::{self, KEY_LENGTH, NONCE_LENGTH};
use super::ciphertext::{Cipher, Ciphertext};
use super::error::{DecryptError, UnusableKey};
use super::legacy;
use crate::auth::crypt_keys::CryptKeys;
use crate::auth::secret::Secret;

/// The column `value` of `core_config_data` takes 64 KiB; no secret comes near.
const MAX_VALUE_LENGTH: usize = 64 * 1024;

/// Encrypts with the newest crypt key and decrypts with any.
#[derive(Debug, Clone)]
pub struct Encryptor {
    keys: Vec<Secret<Vec<u8>>>,
    newest_key: Secret<[u8; KEY_LENGTH]>,
    newest_version: usize,
}

impl Encryptor {
    /// Takes the crypt keys.
    ///
    /// # Errors
    ///
    /// [`UnusableKey`] when the newest key is not 32 bytes; older ones may be anything, they fail when they are used.
    pub fn new(crypt_keys: &CryptKeys) -> Result<Self, UnusableKey> {
        Ok(Self {
            keys: crypt_keys.iter().map(|key| key.cipher_key().clone()).collect(),
            newest_key: Secret::new(*chacha::usable_key(crypt_keys.newest().cipher_key().expose())?),
            newest_version: crypt_keys.count().saturating_sub(1),
        })
    }

    /// Encrypts as `<key version>:3:<base64>`. The nonce must be fresh and random: a second use with the same key
    /// gives both plaintexts away.
    #[must_use]
    pub fn encrypt(&self, plaintext: &str, nonce: [u8; NONCE_LENGTH]) -> String {
        let sealed = chacha::seal(self.newest_key.expose(), nonce, plaintext.as_bytes());
        format!("{}:3:{}", self.newest_version, STANDARD.encode(sealed))
    }

    /// Decrypts what Magento or [`Self::encrypt`] wrote, trimmed as PHP's `trim` does.
    ///
    /// An authentic value may be the empty string; whether that is good enough is the caller's question.
    ///
    /// # Errors
    ///
    /// [`DecryptError`] for everything that has no plaintext; Magento would answer an empty string or noise.
    pub fn decrypt(&self, value: &str) -> Result<Secret<String>, DecryptError> {
        let plaintext = self.decrypt_bytes(value)?;
        let text = std::str::from_utf8(php_trim(&plaintext)).map_err(|_| DecryptError::NotText)?;
        Ok(Secret::new(text.to_owned()))
    }

    fn decrypt_bytes(&self, value: &str) -> Result<Zeroizing<Vec<u8>>, DecryptError> {
        if value.len() > MAX_VALUE_LENGTH {
            return Err(DecryptError::TooLong);
        }
        let Ciphertext { key_version, cipher, data } = Ciphertext::parse(value)?;
        let key = self.keys.get(key_version).ok_or(DecryptError::KeyVersionUnknown)?.expose();
        let data = decode_leniently(data);
        match cipher {
            Cipher::ChaCha20Poly1305 => chacha::open(key, &data),
            Cipher::Blowfish => refuse_empty(legacy::decrypt_blowfish(key, &data)?),
            Cipher::Rijndael128 => refuse_empty(legacy::decrypt_rijndael128(key, &data)?),
            Cipher::Rijndael256 { init_vector } => {
                let init_vector = init_vector.map(str::as_bytes);
                refuse_empty(legacy::decrypt_rijndael256(key, init_vector, &data)?)
            }
        }
    }
}

/// Without authentication nobody can tell an empty secret from a broken one.
fn refuse_empty(plaintext: Zeroizing<Vec<u8>>) -> Result<Zeroizing<Vec<u8>>, DecryptError> {
    if php_trim(&plaintext).is_empty() { Err(DecryptError::Empty) } else { Ok(plaintext) }
}

/// Drops from both ends what PHP's `trim` does.
fn php_trim(bytes: &[u8]) -> &[u8] {
    let is_kept = |byte: &u8| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\0' | b'\x0b');
    let start = bytes.iter().position(is_kept).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(is_kept).map_or(start, |last| last.saturating_add(1));
    bytes.get(start..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    const KEY: &str = "0123456789abcdef0123456789abcdef";
    const NEXT_KEY: &str = "ZYXWVUTSRQPONMLKJIHGFEDCBA987654";

    #[derive(Deserialize)]
    struct Vector {
        keys: Vec<String>,
        ciphertext: String,
        decrypts_to: Option<String>,
        decrypts_to_b64: Option<String>,
        kind: String,
    }

    impl Vector {
        /// What Magento decrypts to; `None` where it fails, in its own way or with an empty string.
        fn expected(&self) -> Option<Vec<u8>> {
            let bytes = match &self.decrypts_to_b64 {
                Some(encoded) => STANDARD.decode(encoded).unwrap(),
                None => self.decrypts_to.clone()?.into_bytes(),
            };
            (!self.kind.starts_with("odd input") || !bytes.is_empty()).then_some(bytes)
        }
    }

    fn vectors() -> Vec<Vector> {
        serde_json::from_str(include_str!("../../../tests/vectors/encryptor.json")).unwrap()
    }

    fn encryptor(keys: &str) -> Encryptor {
        Encryptor::new(&CryptKeys::parse(keys).unwrap()).unwrap()
    }

    fn decrypt(keys: &str, value: &str) -> Result<String, DecryptError> {
        encryptor(keys).decrypt(value).map(|plaintext| plaintext.expose().clone())
    }

    #[test]
    fn magentos_values_decrypt_to_magentos_bytes() {
        for vector in vectors() {
            let bytes = encryptor(&vector.keys.join("\n")).decrypt_bytes(&vector.ciphertext);
            let trimmed = bytes.ok().map(|bytes| php_trim(&bytes).to_vec());
            assert_eq!(trimmed, vector.expected(), "{}: {}", vector.kind, vector.ciphertext);
        }
    }

    #[test]
    fn text_is_handed_over_and_noise_is_an_error() {
        for vector in vectors() {
            let text = decrypt(&vector.keys.join("\n"), &vector.ciphertext).ok();
            let expected = vector.expected().and_then(|bytes| String::from_utf8(bytes).ok());
            assert_eq!(text, expected, "{}: {}", vector.kind, vector.ciphertext);
        }
    }

    #[test]
    fn encryption_gives_magentos_bytes() {
        assert_eq!(
            encryptor(KEY).encrypt("abcdefghijklmnopqrstuvwxyz012345", [1; NONCE_LENGTH]),
            "0:3:AQEBAQEBAQEBAQEBxNFA6ySLK7HiAMB7zKZ7n8bWqwE0wrbk17npccLIQSTjkaWNKT8Z+DH69cpZIh0k"
        );
    }

    #[test]
    fn newest_key_encrypts_and_older_ones_still_decrypt() {
        let old = encryptor(KEY).encrypt("x", [1; NONCE_LENGTH]);
        let both = format!("{KEY}\n{NEXT_KEY}");
        let new = encryptor(&both).encrypt("x", [2; NONCE_LENGTH]);
        assert!(new.starts_with("1:3:"));
        assert_eq!(decrypt(&both, &old), Ok("x".into()));
        assert_eq!(decrypt(&both, &new), Ok("x".into()));
        assert_eq!(decrypt(KEY, &new), Err(DecryptError::KeyVersionUnknown));
        assert_eq!(decrypt(NEXT_KEY, &old), Err(DecryptError::NotAuthentic));
    }

    #[test]
    fn key_written_in_base64_encrypts_with_its_bytes() {
        let written = format!("base64{}", STANDARD.encode(KEY));
        assert_eq!(encryptor(&written).encrypt("x", [1; 12]), encryptor(KEY).encrypt("x", [1; 12]));
    }

    #[test]
    fn newest_key_of_another_length_is_refused() {
        for keys in ["short", "base64AAECAwQ=", "0123456789abcdef0123456789abcdef0"] {
            assert_eq!(Encryptor::new(&CryptKeys::parse(keys).unwrap()).err(), Some(UnusableKey), "{keys}");
        }
    }

    #[test]
    fn failure_is_named_and_never_empty() {
        let keys = format!("short {KEY}");
        let too_long = "A".repeat(MAX_VALUE_LENGTH + 1);
        let cases = [
            ("", DecryptError::Empty),
            ("1:0:", DecryptError::Empty),
            ("1:1:***", DecryptError::Empty),
            ("1:2:", DecryptError::Empty),
            ("1:3:", DecryptError::NotAuthentic),
            ("1:3:AAAA", DecryptError::NotAuthentic),
            ("2:3:AAAA", DecryptError::KeyVersionUnknown),
            ("1:4:AAAA", DecryptError::CipherUnknown),
            ("0:1:AAAA", DecryptError::KeyLength),
            ("0:2:AAAA", DecryptError::KeyLength),
            ("0:3:AAAAAAAAAAAAAAAAAAAA", DecryptError::KeyLength),
            ("1:2:short:AAAA", DecryptError::InitVectorLength),
            (too_long.as_str(), DecryptError::TooLong),
        ];
        for (value, error) in cases {
            assert_eq!(decrypt(&keys, value), Err(error), "{}", value.get(..30).unwrap_or(value));
        }
    }

    #[test]
    fn a_value_of_the_greatest_length_is_read() {
        let longest = "A".repeat(MAX_VALUE_LENGTH);
        assert_ne!(decrypt(KEY, &longest), Err(DecryptError::TooLong));
    }

    #[test]
    fn authentic_empty_value_is_not_a_failure() {
        assert_eq!(decrypt(KEY, &encryptor(KEY).encrypt("", [1; 12])), Ok(String::new()));
    }

    #[test]
    fn debug_never_shows_a_key() {
        assert!(!format!("{:?}", encryptor(KEY)).contains("48, 49"));
        assert!(!format!("{:?}", encryptor(KEY)).contains("0123"));
    }

    proptest! {
        #[test]
        fn decryption_undoes_encryption_but_for_the_trim(plaintext: String, nonce: [u8; NONCE_LENGTH]) {
            let encryptor = encryptor(KEY);
            let decrypted = encryptor.decrypt(&encryptor.encrypt(&plaintext, nonce)).unwrap();
            prop_assert_eq!(decrypted.expose().as_bytes(), php_trim(plaintext.as_bytes()));
        }

        #[test]
        fn no_changed_bit_decrypts(plaintext in ".{0,40}", nonce: [u8; NONCE_LENGTH], bit: prop::sample::Index) {
            let encryptor = encryptor(KEY);
            let value = encryptor.encrypt(&plaintext, nonce);
            let mut data = decode_leniently(value.strip_prefix("0:3:").unwrap());
            let bit = bit.index(data.len() * 8);
            data[bit / 8] ^= 1 << (bit % 8);
            let changed = format!("0:3:{}", STANDARD.encode(&data));
            prop_assert_eq!(encryptor.decrypt(&changed).err(), Some(DecryptError::NotAuthentic));
        }

        #[test]
        fn changed_text_never_decrypts_to_something_else(secret in "[a-z0-9]{32}", nonce: [u8; NONCE_LENGTH], bit: prop::sample::Index) {
            // PHP's base64 ignores padding, unused bits and foreign characters, so some changes mean nothing.
            let encryptor = encryptor(KEY);
            let mut value = encryptor.encrypt(&secret, nonce).into_bytes();
            let bit = bit.index(value.len() * 8);
            value[bit / 8] ^= 1 << (bit % 8);
            if let Ok(changed) = String::from_utf8(value)
                && let Ok(decrypted) = encryptor.decrypt(&changed)
            {
                prop_assert_eq!(decrypted.expose(), &secret);
            }
        }

        #[test]
        fn no_text_makes_it_panic(value: String, prefix in "[0-9x]{0,2}:[0-9]:") {
            let _ = encryptor(KEY).decrypt(&value);
            let _ = encryptor(KEY).decrypt(&(prefix + &value));
        }
    }
}
