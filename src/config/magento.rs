//! `[magento]`: what has to agree with the Magento installation whose credentials are verified.
//!
//! The crypt key signs user tokens and encrypts stored secrets, so that whoever has it is every user. It comes from
//! exactly one place. Tokens wrapped with a JWE algorithm are refused whatever the key: Magento pads the key so that
//! the wrapping key is a constant (deviation D6).

use std::{path::PathBuf, time::Duration};

use figment::value::Value;

use super::{
    env_php,
    finding::shown,
    lenient::{Leaf, Lenient, Words, found},
    raw::RawMagento,
    report::Report,
    secret,
};
use crate::auth::secret::Secret;

/// Algorithms of `webapi/jwtauth/jwt_alg` that wrap a key instead of signing, by their beginnings (RFC 7518 §4.1).
const JWE_ALGORITHMS: &[&str] = &["A128", "A192", "A256", "RSA", "ECDH-ES", "PBES2", "dir"];

/// How user tokens are signed (`webapi/jwtauth/jwt_alg`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JwtAlgorithm {
    /// HMAC with SHA-256, Magento's default.
    Hs256,
    /// HMAC with SHA-384.
    Hs384,
    /// HMAC with SHA-512.
    Hs512,
}

/// Where a customer's account counts (`customer/account_share/scope`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountShare {
    /// In the website where it was made, Magento's default.
    Website,
    /// Everywhere.
    Global,
}

/// What has to agree with Magento.
#[derive(Debug, Clone)]
pub struct Magento {
    /// The crypt keys as `app/etc/env.php` has them: oldest first, separated by white space, at least one.
    pub crypt_key: Secret<String>,
    /// Whether an integration's access token works as a bearer token (`oauth/consumer/enable_integration_as_bearer`).
    pub integration_as_bearer: bool,
    /// How user tokens are signed.
    pub jwt_algorithm: JwtAlgorithm,
    /// How long a customer's opaque token lives (`oauth/access_token_lifetime/customer`).
    pub customer_token_lifetime: Duration,
    /// How long an admin's opaque token lives (`oauth/access_token_lifetime/admin`).
    pub admin_token_lifetime: Duration,
    /// Where a customer's account counts.
    pub account_share: AccountShare,
}

impl Leaf for JwtAlgorithm {
    fn read(value: &Value) -> Result<Self, String> {
        let name = value.as_str();
        if let Some(name) = name.filter(|name| JWE_ALGORITHMS.iter().any(|jwe| name.starts_with(jwe))) {
            let reason = "wraps tokens with a constant key, so that anyone could make them";
            return Err(format!("{} {reason}; set HS256 in Magento and here", shown(name)));
        }
        match name {
            Some("HS256") => Ok(Self::Hs256),
            Some("HS384") => Ok(Self::Hs384),
            Some("HS512") => Ok(Self::Hs512),
            Some(_) | None => {
                Err(format!("{} is not known here; write \"HS256\" or \"HS384\" or \"HS512\"", found(value)))
            }
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
        }
        .to_owned()
    }
}

impl Words for AccountShare {
    const WORDS: &'static [(&'static str, Self)] = &[("website", Self::Website), ("global", Self::Global)];
}

impl Magento {
    pub(super) fn parse(raw: RawMagento, report: &mut Report) -> Option<Self> {
        let RawMagento {
            crypt_key,
            crypt_key_file,
            env_php,
            integration_as_bearer,
            jwt_algorithm,
            customer_token_lifetime,
            admin_token_lifetime,
            account_share,
        } = raw;
        let crypt_key = take_crypt_key(report, crypt_key, crypt_key_file, env_php);
        let hours = |count: u64| Duration::from_secs(count * 3600);
        let lifetime = Duration::from_secs(60)..=hours(366 * 24);
        let integration_as_bearer =
            report.take("magento.integration_as_bearer", integration_as_bearer, false);
        let jwt_algorithm = report.take("magento.jwt_algorithm", jwt_algorithm, JwtAlgorithm::Hs256);
        let customer_token_lifetime = report.take_within(
            "magento.customer_token_lifetime",
            customer_token_lifetime,
            hours(1),
            lifetime.clone(),
        );
        let admin_token_lifetime =
            report.take_within("magento.admin_token_lifetime", admin_token_lifetime, hours(4), lifetime);
        let account_share = report.take("magento.account_share", account_share, AccountShare::Website);
        Some(Self {
            crypt_key: crypt_key?,
            integration_as_bearer,
            jwt_algorithm,
            customer_token_lifetime,
            admin_token_lifetime,
            account_share,
        })
    }
}

fn take_crypt_key(
    report: &mut Report,
    inline: Lenient<Secret<String>>,
    file: Lenient<PathBuf>,
    env_php: Lenient<PathBuf>,
) -> Option<Secret<String>> {
    let from_file = file.is_written();
    let own = inline.is_written() || from_file;
    let magentos = env_php.is_written();
    let key = secret::take(report, ("magento.crypt_key", inline), ("magento.crypt_key_file", file));
    let path = report.take_path("magento.env_php", env_php);
    let (place, key) = match (own, magentos) {
        (true, true) => {
            report.error("magento.env_php", "the crypt key is set as well; keep one of the two");
            return None;
        }
        (false, false) => {
            report.error(
                "magento.crypt_key",
                "is required; set it, or magento.crypt_key_file, or magento.env_php",
            );
            return None;
        }
        (true, false) => (if from_file { "magento.crypt_key_file" } else { "magento.crypt_key" }, key?),
        (false, true) => ("magento.env_php", env_php::take_crypt_key(report, &path?)?),
    };
    check_not_blank(report, place, key)
}

/// Magento splits the setting at white space; what splits into nothing is no key.
fn check_not_blank(report: &mut Report, place: &'static str, key: Secret<String>) -> Option<Secret<String>> {
    if key.expose().split_ascii_whitespace().next().is_some() {
        return Some(key);
    }
    report.error(place, "the key is blank; write the value of crypt/key in app/etc/env.php");
    None
}
