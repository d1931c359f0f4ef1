//! Which keys of `crypt/key` verify user JWTs.
//!
//! After a rotation Magento goes on trying the old keys (2.4.6) or keeps the last alone (newer code,
//! `MAGENTO_AUTH` section 2.7). A key that leaked must not sign anybody in, so the choice is the operator's.

use crate::auth::crypt_keys::{CryptKey, CryptKeys};

/// The keys that are tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AcceptedKeys {
    /// Every key.
    All,
    /// The newest one.
    Last,
    /// No key: there are no user JWTs, as in a Magento without the module `JwtUserToken`.
    None,
    /// The keys at these places in the setting, from 1; places without a key accept nothing.
    At(Vec<usize>),
}

impl AcceptedKeys {
    /// The accepted ones of these keys.
    pub(super) fn of<'k>(&'k self, keys: &'k CryptKeys) -> impl Iterator<Item = &'k CryptKey> {
        let newest = keys.count();
        (1..).zip(keys.iter()).filter(move |(place, _)| self.accepts(*place, newest)).map(|(_, key)| key)
    }

    fn accepts(&self, place: usize, newest: usize) -> bool {
        match self {
            Self::All => true,
            Self::Last => place == newest,
            Self::None => false,
            Self::At(places) => places.contains(&place),
        }
    }
}
