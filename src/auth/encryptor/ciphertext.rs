//! The written form of an encrypted value, in its four historical variants.

use super::error::DecryptError;

/// The ciphers, by Magento's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cipher<'a> {
    /// 0: Blowfish, ECB.
    Blowfish,
    /// 1: Rijndael with a block of 128 bits, which is AES, ECB.
    Rijndael128,
    /// 2: Rijndael with a block of 256 bits, CBC; the vector is all zeros where the value has none.
    Rijndael256 {
        /// The vector as written, raw bytes and not base64.
        init_vector: Option<&'a str>,
    },
    /// 3: ChaCha20-Poly1305.
    ChaCha20Poly1305,
}

/// An encrypted value, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ciphertext<'a> {
    /// The place of the crypt key in the setting, from 0.
    pub(super) key_version: usize,
    /// What it is encrypted with.
    pub(super) cipher: Cipher<'a>,
    /// The data in base64.
    pub(super) data: &'a str,
}

impl<'a> Ciphertext<'a> {
    /// Takes a value apart by its number of parts, as `Encryptor::decrypt` does.
    pub(super) fn parse(value: &'a str) -> Result<Self, DecryptError> {
        let mut parts = value.splitn(4, ':');
        match (parts.next().unwrap_or_default(), parts.next(), parts.next(), parts.next()) {
            // The second part of the long form is ignored: it is always Rijndael-256.
            (key_version, Some(_), Some(init_vector), Some(data)) => Ok(Self {
                key_version: parse_key_version(key_version)?,
                cipher: Cipher::Rijndael256 { init_vector: Some(init_vector).filter(|iv| !iv.is_empty()) },
                data,
            }),
            (key_version, Some(cipher), Some(data), None) => {
                Ok(Self { key_version: parse_key_version(key_version)?, cipher: parse_cipher(cipher)?, data })
            }
            (cipher, Some(data), None, _) => Ok(Self { key_version: 0, cipher: parse_cipher(cipher)?, data }),
            (data, None, _, _) => Ok(Self { key_version: 0, cipher: Cipher::Blowfish, data }),
        }
    }
}

fn parse_key_version(text: &str) -> Result<usize, DecryptError> {
    php_integer(text).ok_or(DecryptError::KeyVersionUnknown)
}

fn parse_cipher<'a>(text: &str) -> Result<Cipher<'a>, DecryptError> {
    match php_integer(text) {
        Some(0) => Ok(Cipher::Blowfish),
        Some(1) => Ok(Cipher::Rijndael128),
        Some(2) => Ok(Cipher::Rijndael256 { init_vector: None }),
        Some(3) => Ok(Cipher::ChaCha20Poly1305),
        Some(_) | None => Err(DecryptError::CipherUnknown),
    }
}

/// PHP's cast to integer for what Magento writes and for text without any digit, which PHP takes for 0. Half numbers,
/// signs and blanks, where PHP guesses, have no value here.
fn php_integer(text: &str) -> Option<usize> {
    if text.bytes().any(|byte| byte.is_ascii_digit()) {
        let is_decimal = text.bytes().all(|byte| byte.is_ascii_digit());
        return is_decimal.then(|| text.parse().ok()).flatten();
    }
    Some(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_of_parts_decides_the_reading() {
        let zeros = Cipher::Rijndael256 { init_vector: None };
        let cases = [
            ("data", 0, Cipher::Blowfish, "data"),
            ("", 0, Cipher::Blowfish, ""),
            ("0:data", 0, Cipher::Blowfish, "data"),
            ("1:data", 0, Cipher::Rijndael128, "data"),
            ("2:data", 0, zeros, "data"),
            ("3:data", 0, Cipher::ChaCha20Poly1305, "data"),
            ("7:3:data", 7, Cipher::ChaCha20Poly1305, "data"),
            ("x:3:data", 0, Cipher::ChaCha20Poly1305, "data"),
            ("1:9:iv:da:ta", 1, Cipher::Rijndael256 { init_vector: Some("iv") }, "da:ta"),
            ("1:2::data", 1, zeros, "data"),
        ];
        for (value, key_version, cipher, data) in cases {
            assert_eq!(Ciphertext::parse(value), Ok(Ciphertext { key_version, cipher, data }), "{value}");
        }
    }

    #[test]
    fn numbers_that_php_would_guess_are_refused() {
        let cases = [
            ("1x:3:data", DecryptError::KeyVersionUnknown),
            ("-1:3:data", DecryptError::KeyVersionUnknown),
            (" 1:3:data", DecryptError::KeyVersionUnknown),
            ("99999999999999999999:3:data", DecryptError::KeyVersionUnknown),
            ("0:4:data", DecryptError::CipherUnknown),
            ("0:-1:data", DecryptError::CipherUnknown),
            ("3x:data", DecryptError::CipherUnknown),
        ];
        for (value, error) in cases {
            assert_eq!(Ciphertext::parse(value), Err(error), "{value}");
        }
    }
}
