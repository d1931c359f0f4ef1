//! What must not be guessed: tokens, keys, secrets, verifiers, salts.
//!
//! Every character comes straight from the operating system's generator and is equally likely. Where that gives nothing,
//! nothing is made: the caller is told to come back, and the log says why.

use rand::{TryRng as _, rngs::SysRng};
use zeroize::Zeroizing;

use super::ServiceError;
use crate::auth::secret::Secret;

/// Magento's tokens, keys, secrets, verifiers and salts are all this long.
const LENGTH: usize = 32;
const LOWER_AND_DIGITS: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";
const ALPHANUMERIC: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
/// Seconds until it is worth asking again: a generator is missing only while a machine starts.
const RETRY_AFTER: u32 = 5;

/// Makes a token, consumer key, secret or verifier as Magento does: 32 of `0-9a-z`.
///
/// # Errors
/// [`ServiceError::Busy`] where the operating system gives no randomness.
pub fn token() -> Result<Secret<String>, ServiceError> {
    characters(LOWER_AND_DIGITS).map(Secret::new)
}

/// Makes the salt of a password hash: 32 of `0-9a-zA-Z` (`MAGENTO_AUTH` 9.2).
///
/// # Errors
/// As [`token`].
pub fn salt() -> Result<String, ServiceError> {
    characters(ALPHANUMERIC)
}

/// Makes raw bytes: the nonce of a cipher.
///
/// # Errors
/// As [`token`].
pub fn bytes<const N: usize>() -> Result<[u8; N], ServiceError> {
    let mut bytes = [0; N];
    SysRng.try_fill_bytes(&mut bytes).map_err(|error| {
        tracing::error!(%error, "the operating system gives no randomness");
        ServiceError::Busy { retry_after: RETRY_AFTER }
    })?;
    Ok(bytes)
}

fn characters(alphabet: &[u8]) -> Result<String, ServiceError> {
    let mut text = String::with_capacity(LENGTH);
    // A byte beyond the last whole multiple of the alphabet would make its first characters likelier.
    let fair = 256 / alphabet.len() * alphabet.len();
    while text.len() < LENGTH {
        let drawn = Zeroizing::new(bytes::<LENGTH>()?);
        let fair_bytes = drawn.iter().map(|byte| usize::from(*byte)).filter(|byte| *byte < fair);
        let picked = fair_bytes.filter_map(|byte| alphabet.get(byte % alphabet.len()));
        text.extend(picked.take(LENGTH - text.len()).map(|byte| char::from(*byte)));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn tokens_are_32_characters_of_the_whole_alphabet_and_never_the_same() {
        let tokens: BTreeSet<String> = (0..200).map(|_| token().unwrap().expose().clone()).collect();
        assert_eq!(tokens.len(), 200);
        assert!(tokens.iter().all(|token| token.len() == 32));
        let seen: BTreeSet<u8> = tokens.iter().flat_map(|token| token.bytes()).collect();
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), LOWER_AND_DIGITS);
    }

    #[test]
    fn salts_are_alphanumeric() {
        let salt = salt().unwrap();
        assert_eq!(salt.len(), 32);
        assert!(salt.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    }
}
