//! Values that must not be printed, compared in variable time, or left in memory.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// A secret value: `Debug` prints only the type's name, dropping wipes it, the bytes come out through
/// [`Secret::expose`] alone.
#[derive(Clone)]
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Takes charge of a secret.
    #[must_use]
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The secret itself; every call is a place to review.
    #[must_use]
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize + AsRef<[u8]>> Secret<T> {
    /// Whether a presented value equals the secret, in time that depends on its length alone.
    #[must_use]
    pub fn equals(&self, presented: &[u8]) -> bool {
        self.0.as_ref().ct_eq(presented).into()
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_the_type_and_never_the_value() {
        assert_eq!(format!("{:?}", Secret::new(String::from("hunter2"))), "Secret");
    }

    #[test]
    fn only_the_same_bytes_are_equal() {
        let secret = Secret::new(String::from("hunter2"));
        assert!(secret.equals(b"hunter2"));
        assert!(!secret.equals(b"hunter3"));
        assert!(!secret.equals(b"hunter22"));
    }
}
