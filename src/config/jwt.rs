//! The words of `[magento]` that speak of user JWTs: which algorithm signs them and which crypt keys count.
//!
//! The algorithm is pinned here (or in the store) and never by the token. Algorithms that wrap a key are refused by name:
//! Magento pads the key so that the wrapping key is a constant (deviation D6).

use figment::value::Value;

use super::{
    finding::shown,
    lenient::{Leaf, found},
    report::Report,
};
use crate::auth::{
    crypt_keys::CryptKeys,
    jwt::{AcceptedKeys, JwtAlgorithm},
};

/// Algorithms of `webapi/jwtauth/jwt_alg` that wrap a key instead of signing, by their beginnings (RFC 7518 §4.1).
const JWE_ALGORITHMS: &[&str] = &["A128", "A192", "A256", "RSA", "ECDH-ES", "PBES2", "dir"];

const ACCEPT_KEYS: &str = "magento.jwt_accept_keys";

impl Leaf for JwtAlgorithm {
    fn read(value: &Value) -> Result<Self, String> {
        let name = value.as_str();
        if let Some(name) = name.filter(|name| JWE_ALGORITHMS.iter().any(|jwe| name.starts_with(jwe))) {
            let reason = "wraps tokens with a constant key, so that anyone could make them";
            return Err(format!("{} {reason}; set HS256 in Magento and here", shown(name)));
        }
        name.and_then(Self::from_name).ok_or_else(|| {
            format!("{} is not known here; write \"HS256\" or \"HS384\" or \"HS512\"", found(value))
        })
    }

    fn show(&self) -> String {
        self.as_str().to_owned()
    }
}

impl Leaf for AcceptedKeys {
    fn read(value: &Value) -> Result<Self, String> {
        match value.as_str() {
            Some("all") => return Ok(Self::All),
            Some("last") => return Ok(Self::Last),
            Some("none") => return Ok(Self::None),
            Some(_) | None => {}
        }
        Vec::<usize>::read(value).map(Self::At).map_err(|_| {
            let hint = "write \"all\", \"last\", \"none\" or places in crypt/key from 1, such as [2]";
            format!("{} names no keys; {hint}", found(value))
        })
    }

    fn show(&self) -> String {
        match self {
            Self::All => "all".to_owned(),
            Self::Last => "last".to_owned(),
            Self::None => "none".to_owned(),
            Self::At(places) => places.show(),
        }
    }
}

/// Holds the places against the keys. Keys that cannot be read are somebody else's mistake to report.
pub(super) fn check_places(accepted: &AcceptedKeys, crypt_key: &str, report: &mut Report) {
    let (AcceptedKeys::At(places), Ok(keys)) = (accepted, CryptKeys::parse(crypt_key)) else { return };
    let count = keys.count();
    if places.is_empty() {
        report.error(ACCEPT_KEYS, "names no key; write \"none\" if user JWTs are to be refused");
    } else if let Some(place) = places.iter().find(|place| !(1..=count).contains(place)) {
        let held = if count == 1 { "1 key".to_owned() } else { format!("{count} keys") };
        report.error(
            ACCEPT_KEYS,
            format!("there is no key {place}: crypt/key holds {held}, counted from 1, the newest last"),
        );
    } else if !places.contains(&count) {
        report.warn(
            ACCEPT_KEYS,
            format!("leaves out key {count}, with which Magento signs: no new user JWT will be accepted"),
        );
    }
}
