//! Settings about signing in for a token: how long a JWT lives, how many wrong passwords are too many.
//!
//! They stand in `core_config_data` alone (`MAGENTO_AUTH` section 15). Numbers are read by PHP's `(int)`, as Magento does.

use std::time::Duration;

use super::{
    ScopedFlag,
    in_force::{Reader, show_duration},
    values::{self, Value},
};
use crate::auth::lockout::LockoutLimits;

/// What Magento makes of a JWT's lifetime that is not positive, in minutes.
const FALLBACK_MINUTES: i64 = 30;
const MINUTE: u32 = 60;

/// How people sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginSettings {
    /// How long a customer's JWT lives (`webapi/jwtauth/customer_expiration`).
    pub customer_jwt_lifetime: Duration,
    /// How long an admin's JWT lives (`webapi/jwtauth/admin_expiration`).
    pub admin_jwt_lifetime: Duration,
    /// Failures of a name after which it is refused (`oauth/authentication_lock/max_failures_count`); zero refuses all.
    pub throttle_failures: u32,
    /// How long after the last one (`oauth/authentication_lock/timeout`).
    pub throttle_timeout: Duration,
    /// When a customer's account is locked (`customer/password/lockout_failures`, `lockout_threshold`).
    pub customer_lockout: LockoutLimits,
    /// Where new accounts must be confirmed (`customer/create_account/confirm`).
    pub confirms_accounts: ScopedFlag,
    /// Where a changed address must be confirmed (`customer/account_information/confirm`).
    pub confirms_addresses: ScopedFlag,
    /// Whether an admin's name must be spelt as it is stored (`admin/security/use_case_sensitive_login`).
    pub case_sensitive_admins: bool,
    /// The shortest password of a customer (`customer/password/minimum_password_length`).
    pub password_length: u32,
    /// Kinds of characters in it (`customer/password/required_character_classes_number`).
    pub password_classes: u32,
}

impl Default for LoginSettings {
    fn default() -> Self {
        Self {
            customer_jwt_lifetime: Duration::from_secs(3600),
            admin_jwt_lifetime: Duration::from_secs(3600),
            throttle_failures: 6,
            throttle_timeout: Duration::from_secs(1800),
            customer_lockout: LockoutLimits { failures: 10, duration: Duration::from_secs(600) },
            confirms_accounts: ScopedFlag::everywhere(false),
            confirms_addresses: ScopedFlag::everywhere(false),
            case_sensitive_admins: false,
            password_length: 8,
            password_classes: 3,
        }
    }
}

/// Reads them all.
pub(super) fn read(reader: &mut Reader<'_>) -> LoginSettings {
    let minutes = (minutes as fn(&str) -> Value<Duration>, show_duration);
    LoginSettings {
        customer_jwt_lifetime: reader.stored("webapi/jwtauth/customer_expiration", "60", minutes),
        admin_jwt_lifetime: reader.stored("webapi/jwtauth/admin_expiration", "60", minutes),
        throttle_failures: count(reader, "oauth/authentication_lock/max_failures_count", "6"),
        throttle_timeout: duration(reader, "oauth/authentication_lock/timeout", "1800", 1),
        customer_lockout: LockoutLimits {
            failures: count(reader, "customer/password/lockout_failures", "10"),
            duration: duration(reader, "customer/password/lockout_threshold", "10", MINUTE),
        },
        confirms_accounts: reader.stored_flag("customer/create_account/confirm", "0"),
        confirms_addresses: reader.stored_flag("customer/account_information/confirm", "0"),
        case_sensitive_admins: reader.stored(
            "admin/security/use_case_sensitive_login",
            "0",
            (values::flag, ToString::to_string),
        ),
        password_length: count(reader, "customer/password/minimum_password_length", "8"),
        password_classes: count(reader, "customer/password/required_character_classes_number", "3"),
    }
}

fn count(reader: &mut Reader<'_>, path: &'static str, default: &'static str) -> u32 {
    reader.stored(path, default, (|text: &str| Value::plain(natural(text)), ToString::to_string))
}

fn duration(reader: &mut Reader<'_>, path: &'static str, default: &'static str, unit: u32) -> Duration {
    let read = |text: &str| Value::plain(Duration::from_secs(u64::from(natural(text)) * u64::from(unit)));
    reader.stored(path, default, (read, show_duration))
}

/// The lifetime of a JWT, which Magento mends where it is not positive.
fn minutes(text: &str) -> Value<Duration> {
    let minutes = values::positive(text, FALLBACK_MINUTES).unsigned_abs();
    Value::plain(Duration::from_secs(minutes.saturating_mul(u64::from(MINUTE))))
}

/// Below zero nothing differs from zero: every name is refused, nobody is locked, no time passes.
fn natural(text: &str) -> u32 {
    u32::try_from(values::integer(text).max(0)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::WrittenSettings,
        store::settings::{InForce, SettingRow, SettingScope},
    };

    fn read(rows: &[(SettingScope, &str, &str)]) -> LoginSettings {
        let rows: Vec<_> = rows
            .iter()
            .map(|(scope, path, value)| SettingRow {
                scope: *scope,
                path: (*path).to_owned(),
                value: (*value).to_owned(),
            })
            .collect();
        InForce::read(&WrittenSettings::default(), &rows).settings.logins
    }

    #[test]
    fn without_rows_they_are_what_magento_ships() {
        assert_eq!(read(&[]), LoginSettings::default());
    }

    #[test]
    fn numbers_are_read_as_php_reads_them() {
        use SettingScope::Default;
        let settings = read(&[
            (Default, "webapi/jwtauth/customer_expiration", "90"),
            (Default, "webapi/jwtauth/admin_expiration", "-5"),
            (Default, "oauth/authentication_lock/max_failures_count", "3 times"),
            (Default, "oauth/authentication_lock/timeout", "-1"),
            (Default, "customer/password/lockout_failures", ""),
            (Default, "customer/password/lockout_threshold", "99999999999"),
        ]);
        assert_eq!(settings.customer_jwt_lifetime, Duration::from_secs(5400));
        assert_eq!(settings.admin_jwt_lifetime, Duration::from_secs(1800));
        assert_eq!((settings.throttle_failures, settings.throttle_timeout), (3, Duration::ZERO));
        assert_eq!(settings.customer_lockout.failures, 0);
        assert_eq!(settings.customer_lockout.duration, Duration::from_secs(u64::from(u32::MAX) * 60));
    }

    #[test]
    fn confirmation_is_asked_for_by_website() {
        use SettingScope::{Default, Website};
        let path = "customer/create_account/confirm";
        let settings = read(&[(Default, path, "1"), (Website(2), path, "0")]);
        assert!(settings.confirms_accounts.in_website(1));
        assert!(!settings.confirms_accounts.in_website(2));
        assert!(!settings.confirms_addresses.in_website(1));
    }
}
