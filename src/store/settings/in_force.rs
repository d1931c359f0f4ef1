//! Settings in force with their origin: what a decision reads and what `portcullis check` prints come from one reading.

use std::{fmt, time::Duration};

use super::{
    ScopedFlag, SettingRow, SettingScope, Settings, logins,
    values::{self, Value},
};
use crate::{
    auth::route::AccountShare,
    config::{self, WrittenSettings},
};

/// Foreign text longer than this is cut.
const SHOWN: usize = 64;

const AS_BEARER: &str = "oauth/consumer/enable_integration_as_bearer";

/// How a number is read from its text.
type ReadNumber = fn(&str) -> i64;

/// Settings whose part of Magento is not ours yet, with Magento's defaults: `check` shows what they are.
const SHOWN_ONLY: [(&str, &str, ReadNumber); 2] = [
    ("oauth/cleanup/cleanup_probability", "100", values::integer),
    ("oauth/cleanup/expiration_period", "120", |text| values::positive(text, 120)),
];

/// What one reading of all homes yields.
#[derive(Debug)]
pub struct InForce {
    /// What decisions read.
    pub settings: Settings,
    /// Every setting with its origin, for people.
    pub entries: Vec<SettingInForce>,
    /// What an operator should know of values in the store.
    pub warnings: Vec<String>,
}

/// A setting in force, for people.
#[derive(Debug, PartialEq, Eq)]
pub struct SettingInForce {
    /// Its path in `core_config_data`.
    pub path: &'static str,
    /// Its key in the configuration, where it has one.
    pub key: Option<&'static str>,
    /// Its value as text.
    pub value: String,
    /// Where that stands.
    pub origin: Origin,
}

/// Where a setting in force stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// In the configuration file or a variable.
    Written,
    /// In `core_config_data`.
    Store,
    /// Nowhere: Magento's default holds.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Written => "configuration",
            Self::Store => "core_config_data",
            Self::Default => "default",
        })
    }
}

/// A setting: path, key in the configuration, Magento's default.
#[derive(Clone, Copy)]
struct Known(&'static str, &'static str, &'static str);

impl InForce {
    /// Reads every setting: what is written, else the row, else the default.
    #[must_use]
    pub fn read(written: &WrittenSettings, rows: &[SettingRow]) -> Self {
        let WrittenSettings {
            integration_as_bearer,
            jwt_algorithm,
            customer_token_lifetime,
            admin_token_lifetime,
            account_share,
            allow_insecure,
        } = written;
        let mut reader = Reader { rows, entries: Vec::new(), warnings: Vec::new() };
        let settings = Settings {
            integration_as_bearer: reader.as_bearer(*integration_as_bearer),
            jwt_algorithm: reader.take(
                Known("webapi/jwtauth/jwt_alg", "magento.jwt_algorithm", "HS256"),
                jwt_algorithm.map(Some),
                (values::jwt_algorithm, |algorithm| {
                    algorithm.map_or_else(|| "none accepted".to_owned(), |one| one.as_str().to_owned())
                }),
            ),
            customer_token_lifetime: reader.take(
                Known("oauth/access_token_lifetime/customer", "magento.customer_token_lifetime", "1"),
                *customer_token_lifetime,
                (values::lifetime, show_duration),
            ),
            admin_token_lifetime: reader.take(
                Known("oauth/access_token_lifetime/admin", "magento.admin_token_lifetime", "4"),
                *admin_token_lifetime,
                (values::lifetime, show_duration),
            ),
            account_share: reader.take(
                Known("customer/account_share/scope", "magento.account_share", "1"),
                account_share.map(share),
                (values::account_share, |share| show_share(*share)),
            ),
            allow_insecure: reader.take(
                Known("webapi/webapisecurity/allow_insecure", "magento.allow_insecure", "0"),
                *allow_insecure,
                (values::flag, ToString::to_string),
            ),
            logins: logins::read(&mut reader),
        };
        reader.show_the_rest();
        Self { settings, entries: reader.entries, warnings: reader.warnings }
    }
}

/// Reads one setting after the other and keeps what people should see of it.
pub(super) struct Reader<'a> {
    rows: &'a [SettingRow],
    entries: Vec<SettingInForce>,
    warnings: Vec<String>,
}

impl<'a> Reader<'a> {
    fn take<T>(
        &mut self,
        known: Known,
        written: Option<T>,
        (read, show): (impl Fn(&str) -> Value<T>, impl Fn(&T) -> String),
    ) -> T {
        let Known(path, key, default) = known;
        let (value, origin) = match (written, self.row(path)) {
            (Some(written), _) => (written, Origin::Written),
            (None, Some(text)) => (self.noted(path, text, &read), Origin::Store),
            (None, None) => (read(default).value, Origin::Default),
        };
        self.entries.push(SettingInForce { path, key: Some(key), value: show(&value), origin });
        value
    }

    fn noted<T>(&mut self, path: &str, text: &str, read: impl Fn(&str) -> Value<T>) -> T {
        let Value { value, problem } = read(text);
        if let Some(problem) = problem {
            self.warnings.push(format!("core_config_data: {path}: \"{}\" {problem}", shown(text)));
        }
        value
    }

    /// A setting that Magento asks for at the scope of the request's store.
    fn as_bearer(&mut self, written: Option<bool>) -> ScopedFlag {
        let default = self.take(
            Known(AS_BEARER, "magento.integration_as_bearer", "0"),
            written,
            (values::flag, ToString::to_string),
        );
        if written.is_some() {
            return ScopedFlag::everywhere(default);
        }
        self.narrowed(AS_BEARER, default)
    }

    /// A flag that stands in the store alone and that Magento asks for at a narrower scope.
    pub(super) fn stored_flag(&mut self, path: &'static str, default: &'static str) -> ScopedFlag {
        let flag = self.stored(path, default, (values::flag, ToString::to_string));
        self.narrowed(path, flag)
    }

    /// A setting that stands in the store alone.
    pub(super) fn stored<T>(
        &mut self,
        path: &'static str,
        default: &'static str,
        (read, show): (impl Fn(&str) -> Value<T>, impl Fn(&T) -> String),
    ) -> T {
        let (value, origin) = match self.row(path) {
            Some(text) => (self.noted(path, text, &read), Origin::Store),
            None => (read(default).value, Origin::Default),
        };
        self.entries.push(SettingInForce { path, key: None, value: show(&value), origin });
        value
    }

    /// The rows of websites and store views beside the default just read.
    fn narrowed(&mut self, path: &str, default: bool) -> ScopedFlag {
        let mut flag = ScopedFlag::everywhere(default);
        for row in self.rows.iter().filter(|row| row.path == path) {
            let own = values::flag(&row.value).value;
            match row.scope {
                SettingScope::Default => {}
                SettingScope::Website(id) => _ = flag.websites.insert(id, own),
                SettingScope::Store(id) => _ = flag.stores.insert(id, own),
            }
        }
        self.show_narrower(&flag);
        flag
    }

    fn show_narrower(&mut self, flag: &ScopedFlag) {
        let Some(entry) = self.entries.last_mut() else { return };
        for (kind, ids) in [("website", &flag.websites), ("store", &flag.stores)] {
            for (id, own) in ids {
                entry.value.push_str(&format!(", {kind} {id}: {own}"));
                entry.origin = Origin::Store;
            }
        }
    }

    fn show_the_rest(&mut self) {
        for (path, default, read) in SHOWN_ONLY {
            let (value, origin) = match self.row(path) {
                Some(text) => (read(text), Origin::Store),
                None => (read(default), Origin::Default),
            };
            self.entries.push(SettingInForce { path, key: None, value: value.to_string(), origin });
        }
    }

    fn row(&self, path: &str) -> Option<&'a str> {
        let is_it = |row: &&SettingRow| row.scope == SettingScope::Default && row.path == path;
        self.rows.iter().find(is_it).map(|row| row.value.as_str())
    }
}

const fn share(share: config::AccountShare) -> AccountShare {
    match share {
        config::AccountShare::Website => AccountShare::PerWebsite,
        config::AccountShare::Global => AccountShare::Global,
    }
}

fn show_share(share: AccountShare) -> String {
    match share {
        AccountShare::PerWebsite => "website",
        AccountShare::Global => "global",
    }
    .to_owned()
}

pub(super) fn show_duration(duration: &Duration) -> String {
    humantime::format_duration(*duration).to_string()
}

/// Text of the store fit for a line of a log.
fn shown(text: &str) -> String {
    text.chars().take(SHOWN).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{auth::jwt::JwtAlgorithm, store::settings::LoginSettings};

    fn row(path: &str, value: &str) -> SettingRow {
        SettingRow { scope: SettingScope::Default, path: path.to_owned(), value: value.to_owned() }
    }

    fn entry<'a>(in_force: &'a InForce, path: &str) -> (&'a str, Origin) {
        let entry = in_force.entries.iter().find(|entry| entry.path == path).unwrap();
        (&entry.value, entry.origin)
    }

    #[test]
    fn nothing_written_and_no_rows_is_what_magento_ships() {
        let in_force = InForce::read(&WrittenSettings::default(), &[]);
        let hour = Duration::from_secs(3600);
        assert_eq!(
            in_force.settings,
            Settings {
                integration_as_bearer: ScopedFlag::everywhere(false),
                jwt_algorithm: Some(JwtAlgorithm::Hs256),
                customer_token_lifetime: hour,
                admin_token_lifetime: 4 * hour,
                account_share: AccountShare::PerWebsite,
                allow_insecure: false,
                logins: LoginSettings::default(),
            }
        );
        assert!(in_force.warnings.is_empty());
        assert!(in_force.entries.iter().all(|entry| entry.origin == Origin::Default));
    }

    #[test]
    fn shown_defaults_are_those_of_a_live_magento() {
        let live: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/vectors/config_defaults.json")).unwrap();
        for (path, default, _) in SHOWN_ONLY {
            assert_eq!(live[path], default, "{path}");
        }
        let in_force = |rows: &[SettingRow]| InForce::read(&WrittenSettings::default(), rows).settings;
        let rows: Vec<_> = live
            .as_object()
            .unwrap()
            .iter()
            .filter_map(|(path, value)| Some(row(path, value.as_str()?)))
            .collect();
        assert_eq!(in_force(&rows), in_force(&[]));
    }

    #[test]
    fn the_configuration_wins_over_the_store_and_the_store_over_the_default() {
        let rows = [
            row("oauth/access_token_lifetime/customer", "2"),
            row("oauth/access_token_lifetime/admin", "8"),
            row("webapi/jwtauth/jwt_alg", "HS512"),
            row("customer/account_share/scope", "0"),
            row("webapi/jwtauth/customer_expiration", "abc"),
        ];
        let written = WrittenSettings {
            admin_token_lifetime: Some(Duration::from_secs(60)),
            ..WrittenSettings::default()
        };
        let in_force = InForce::read(&written, &rows);
        assert_eq!(in_force.settings.account_share, AccountShare::Global);
        for (path, expected) in [
            ("oauth/access_token_lifetime/customer", ("2h", Origin::Store)),
            ("oauth/access_token_lifetime/admin", ("1m", Origin::Written)),
            ("webapi/jwtauth/jwt_alg", ("HS512", Origin::Store)),
            ("customer/account_share/scope", ("global", Origin::Store)),
            ("webapi/webapisecurity/allow_insecure", ("false", Origin::Default)),
            ("webapi/jwtauth/customer_expiration", ("30", Origin::Store)),
            ("webapi/jwtauth/admin_expiration", ("60", Origin::Default)),
        ] {
            assert_eq!(entry(&in_force, path), expected, "{path}");
        }
    }

    #[test]
    fn odd_values_close_what_they_govern_and_are_warned_about() {
        let rows = [
            row("oauth/access_token_lifetime/customer", "0.5"),
            row("webapi/jwtauth/jwt_alg", "A128KW\n\u{1b}[0m"),
        ];
        let in_force = InForce::read(&WrittenSettings::default(), &rows);
        assert_eq!(in_force.settings.customer_token_lifetime, Duration::ZERO);
        assert_eq!(in_force.settings.jwt_algorithm, None);
        assert_eq!(in_force.warnings.len(), 2);
        assert!(in_force.warnings[0].starts_with("core_config_data: webapi/jwtauth/jwt_alg: \"A128KW\\n"));
        assert!(in_force.warnings[1].contains("\"0.5\" is no whole number of hours"));
        let written = WrittenSettings {
            jwt_algorithm: Some(JwtAlgorithm::Hs256),
            customer_token_lifetime: Some(Duration::from_secs(3600)),
            ..WrittenSettings::default()
        };
        assert!(InForce::read(&written, &rows).warnings.is_empty(), "a row that has no say is not judged");
    }

    #[test]
    fn rows_of_narrower_scopes_count_only_where_magento_asks_for_them() {
        let mut lifetime = row("oauth/access_token_lifetime/customer", "9");
        lifetime.scope = SettingScope::Store(1);
        let mut bearer = row(AS_BEARER, "1");
        bearer.scope = SettingScope::Store(2);
        let in_force = InForce::read(&WrittenSettings::default(), &[lifetime, bearer]);
        assert_eq!(entry(&in_force, "oauth/access_token_lifetime/customer"), ("1h", Origin::Default));
        assert_eq!(entry(&in_force, AS_BEARER), ("false, store 2: true", Origin::Store));
    }
}
