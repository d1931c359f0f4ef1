//! Magento's encryption of stored secrets (`Magento\Framework\Encryption\Encryptor`, `MAGENTO_AUTH` section 9.1).
//!
//! Consumer and token secrets lie in the database as `<key version>:<cipher>:<data>`. New values are
//! ChaCha20-Poly1305; values from older installations may still be Blowfish, Rijndael-128 or Rijndael-256 as mcrypt
//! wrote them, and are only ever read. Where Magento answers an empty string for a value that it cannot decrypt,
//! this answers an error: an HMAC keyed with an empty secret is a signature that anybody can make.

mod base64;
mod chacha;
mod ciphertext;
mod crypt;
mod error;
mod legacy;
mod rijndael256;

pub use crypt::Encryptor;
pub use error::{DecryptError, UnusableKey};
