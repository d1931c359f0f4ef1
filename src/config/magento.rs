//! `[magento]`: what has to agree with the Magento installation whose credentials are verified.
//!
//! The crypt key signs user tokens and encrypts stored secrets, so that whoever has it is every user. It comes from
//! exactly one place. Settings that Magento keeps in `core_config_data` may be left to the store: a part is `None` where
//! nothing is written, because what is written wins over what stands there.

use std::{path::PathBuf, time::Duration};

use super::{
    env_php, jwt,
    lenient::{Lenient, Words},
    raw::RawMagento,
    report::Report,
    secret,
    store::Store,
    version::MagentoVersion,
};
use crate::auth::{
    jwt::{AcceptedKeys, JwtAlgorithm},
    secret::Secret,
};

const HOUR: Duration = Duration::from_secs(3600);

/// Where a customer's account counts (`customer/account_share/scope`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountShare {
    /// In the website where it was made, Magento's default.
    Website,
    /// Everywhere.
    Global,
}

/// Where the settings are that Magento keeps in `core_config_data` and the configuration does not speak of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingsHome {
    /// In the store, as Magento's admin panel wrote them.
    Store,
    /// Nowhere else: Magento's defaults hold.
    File,
}

/// What has to agree with Magento.
#[derive(Debug, Clone)]
pub struct Magento {
    /// The crypt keys as `app/etc/env.php` has them: oldest first, separated by white space, at least one.
    pub crypt_key: Secret<String>,
    /// The release whose rules hold.
    pub version: MagentoVersion,
    /// Where settings are that are not written.
    pub settings: SettingsHome,
    /// Which crypt keys verify user JWTs.
    pub jwt_accept_keys: AcceptedKeys,
    /// Whether admins may come with a JWT.
    pub jwt_admin: bool,
    /// What is written of the settings that Magento has too.
    pub written: WrittenSettings,
}

/// Settings of `core_config_data` that the configuration speaks of; `None` where it does not.
#[derive(Debug, Clone, Default)]
pub struct WrittenSettings {
    /// Whether an integration's access token works as a bearer token (`oauth/consumer/enable_integration_as_bearer`).
    pub integration_as_bearer: Option<bool>,
    /// How user tokens are signed (`webapi/jwtauth/jwt_alg`).
    pub jwt_algorithm: Option<JwtAlgorithm>,
    /// How long a customer's opaque token lives (`oauth/access_token_lifetime/customer`).
    pub customer_token_lifetime: Option<Duration>,
    /// How long an admin's opaque token lives (`oauth/access_token_lifetime/admin`).
    pub admin_token_lifetime: Option<Duration>,
    /// Where a customer's account counts.
    pub account_share: Option<AccountShare>,
    /// Whether the catalog, CMS and store reads are open to everybody (`webapi/webapisecurity/allow_insecure`).
    pub allow_insecure: Option<bool>,
}

impl Words for AccountShare {
    const WORDS: &'static [(&'static str, Self)] = &[("website", Self::Website), ("global", Self::Global)];
}

impl Words for SettingsHome {
    const WORDS: &'static [(&'static str, Self)] = &[("store", Self::Store), ("file", Self::File)];
}

impl Magento {
    pub(super) fn parse(raw: RawMagento, store: Option<&Store>, report: &mut Report) -> Option<Self> {
        let RawMagento {
            crypt_key,
            crypt_key_file,
            env_php,
            version,
            settings,
            integration_as_bearer,
            jwt_algorithm,
            jwt_accept_keys,
            jwt_admin,
            customer_token_lifetime,
            admin_token_lifetime,
            account_share,
            allow_insecure,
        } = raw;
        let crypt_key = take_crypt_key(report, crypt_key, crypt_key_file, env_php);
        let version = report.take("magento.version", version, MagentoVersion::V246);
        let is_magentos = store.is_some_and(|store| store.database.is_magentos());
        let home = if is_magentos { SettingsHome::Store } else { SettingsHome::File };
        let settings = report.take("magento.settings", settings, home);
        let integration_as_bearer =
            report.take_written("magento.integration_as_bearer", integration_as_bearer, &false);
        let jwt_algorithm = report.take_written("magento.jwt_algorithm", jwt_algorithm, &JwtAlgorithm::Hs256);
        let jwt_accept_keys =
            report.take("magento.jwt_accept_keys", jwt_accept_keys, version.accepted_keys());
        let jwt_admin = report.take("magento.jwt_admin", jwt_admin, true);
        let written = WrittenSettings {
            integration_as_bearer,
            jwt_algorithm,
            customer_token_lifetime: take_lifetime(
                report,
                "magento.customer_token_lifetime",
                customer_token_lifetime,
                HOUR,
            ),
            admin_token_lifetime: take_lifetime(
                report,
                "magento.admin_token_lifetime",
                admin_token_lifetime,
                4 * HOUR,
            ),
            account_share: report.take_written(
                "magento.account_share",
                account_share,
                &AccountShare::Website,
            ),
            allow_insecure: report.take_written("magento.allow_insecure", allow_insecure, &false),
        };
        let crypt_key = crypt_key?;
        jwt::check_places(&jwt_accept_keys, crypt_key.expose(), report);
        Some(Self { crypt_key, version, settings, jwt_accept_keys, jwt_admin, written })
    }
}

/// Zero means what it means in Magento: such tokens are over as soon as they are made.
fn take_lifetime(
    report: &mut Report,
    key: &'static str,
    raw: Lenient<Duration>,
    default: Duration,
) -> Option<Duration> {
    let written = report.take_written(key, raw, &default)?;
    let (shortest, longest) = (Duration::from_secs(60), 366 * 24 * HOUR);
    if !written.is_zero() && !(shortest..=longest).contains(&written) {
        let written = humantime::format_duration(written);
        report
            .error(key, format!("{written} is out of range; choose between 1m and 366days, or 0s for none"));
    }
    Some(written)
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
