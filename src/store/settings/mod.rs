//! Settings that Magento keeps in `core_config_data`, and which of them are in force.
//!
//! Three homes in this order: what the configuration writes, the rows of the store where it is to be asked, and Magento's
//! shipped defaults (`MAGENTO_AUTH` section 15). Text is read as Magento's PHP reads it; where that would be a fault or a
//! hole (deviations D6, D9), the setting closes what it governs, and a warning says so. Rows are read again together with
//! the reference tables, so that a change in Magento's admin panel holds within seconds; each reading replaces all
//! settings in one step. Rows of the scopes `websites` and `stores` count where Magento asks for the store's value.

mod in_force;
mod logins;
mod values;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::{ArcSwap, Guard};

use super::{error::StoreError, sql::SqlStore};
use crate::{
    auth::{
        jwt::JwtAlgorithm,
        route::{AccountShare, StoreView},
    },
    config::WrittenSettings,
};

pub use in_force::{InForce, Origin, SettingInForce};
pub use logins::LoginSettings;

/// A row of `core_config_data`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingRow {
    /// `scope` and `scope_id`.
    pub scope: SettingScope,
    /// `path`.
    pub path: String,
    /// `value`; empty for NULL, which is the same to everything that reads a setting here.
    pub value: String,
}

/// What a row holds for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingScope {
    /// Everything that no narrower row speaks of.
    Default,
    /// A website, `store_website.website_id`.
    Website(u16),
    /// A store view, `store.store_id`.
    Store(u16),
}

/// The settings in force that decisions read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where an integration's access token counts as bearer (`oauth/consumer/enable_integration_as_bearer`).
    pub integration_as_bearer: ScopedFlag,
    /// How user JWTs are signed (`webapi/jwtauth/jwt_alg`); `None` where no algorithm may be trusted, and no JWT is then.
    pub jwt_algorithm: Option<JwtAlgorithm>,
    /// How long a customer's opaque token lives; zero is not at all.
    pub customer_token_lifetime: Duration,
    /// How long an admin's opaque token lives; zero is not at all.
    pub admin_token_lifetime: Duration,
    /// Where a customer's account counts (`customer/account_share/scope`).
    pub account_share: AccountShare,
    /// Whether the reads of `WebapiSecurity` are open to everybody (`webapi/webapisecurity/allow_insecure`).
    pub allow_insecure: bool,
    /// How people sign in for a token.
    pub logins: LoginSettings,
}

/// A flag that a website or a store view may have otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScopedFlag {
    default: bool,
    websites: BTreeMap<u16, bool>,
    stores: BTreeMap<u16, bool>,
}

impl ScopedFlag {
    /// The same everywhere.
    #[must_use]
    pub const fn everywhere(flag: bool) -> Self {
        Self { default: flag, websites: BTreeMap::new(), stores: BTreeMap::new() }
    }

    /// The flag in a store: its own, else its website's, else the default one.
    #[must_use]
    pub fn in_store(&self, store: Option<&StoreView>) -> bool {
        let Some(store) = store else { return self.default };
        let own = self.stores.get(&store.id).or_else(|| self.websites.get(&store.website_id));
        own.copied().unwrap_or(self.default)
    }

    /// The flag in a website: its own, else the default one.
    #[must_use]
    pub fn in_website(&self, website_id: u16) -> bool {
        self.websites.get(&website_id).copied().unwrap_or(self.default)
    }

    /// Whether it is set at all.
    #[must_use]
    pub fn is_set_somewhere(&self) -> bool {
        self.default || self.websites.values().chain(self.stores.values()).any(|flag| *flag)
    }
}

/// The settings of one process, replaced as a whole.
#[derive(Debug)]
pub struct MagentoSettings {
    written: WrittenSettings,
    reads_store: bool,
    current: ArcSwap<Settings>,
    last: Mutex<Option<Vec<SettingRow>>>,
}

impl MagentoSettings {
    /// What the configuration and the defaults say, until [`MagentoSettings::refresh`] asks the store.
    #[must_use]
    pub fn new(written: WrittenSettings, reads_store: bool) -> Self {
        let settings = InForce::read(&written, &[]).settings;
        Self { written, reads_store, current: ArcSwap::from_pointee(settings), last: Mutex::new(None) }
    }

    /// The settings in force.
    #[must_use]
    pub fn current(&self) -> Guard<Arc<Settings>> {
        self.current.load()
    }

    /// Reads the store where it is to be asked; answers what is in force now if its rows changed.
    ///
    /// # Errors
    /// When the store cannot be read; the settings known so far stay.
    pub async fn refresh(&self, store: &SqlStore) -> Result<Option<InForce>, StoreError> {
        let rows = self.rows(store).await?;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref() == Some(&rows) {
            return Ok(None);
        }
        let in_force = InForce::read(&self.written, &rows);
        self.current.store(Arc::new(in_force.settings.clone()));
        *last = Some(rows);
        Ok(Some(in_force))
    }

    /// Reads all homes and leaves what is in force as it is.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn examine(&self, store: &SqlStore) -> Result<InForce, StoreError> {
        Ok(InForce::read(&self.written, &self.rows(store).await?))
    }

    async fn rows(&self, store: &SqlStore) -> Result<Vec<SettingRow>, StoreError> {
        if self.reads_store { store.settings().await } else { Ok(Vec::new()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(scope: SettingScope, value: &str) -> SettingRow {
        SettingRow {
            scope,
            path: "oauth/consumer/enable_integration_as_bearer".to_owned(),
            value: value.to_owned(),
        }
    }

    #[test]
    fn a_store_view_has_its_own_flag_else_its_websites_else_the_default() {
        use SettingScope::{Default, Store, Website};
        let rows = [row(Default, "1"), row(Website(2), "0"), row(Store(7), "1"), row(Store(1), "")];
        let flag = InForce::read(&WrittenSettings::default(), &rows).settings.integration_as_bearer;
        let in_store =
            |id, website_id| flag.in_store(Some(&StoreView { id, code: String::new(), website_id }));
        assert!(flag.in_store(None));
        assert!(in_store(3, 1), "the default");
        assert!(!in_store(6, 2), "the website's");
        assert!(in_store(7, 2), "the store's own against its website's");
        assert!(!in_store(1, 1), "NULL and empty are off");
        assert!(in_store(0, 0), "the admin store");

        let written = WrittenSettings { integration_as_bearer: Some(false), ..WrittenSettings::default() };
        let flag = InForce::read(&written, &rows).settings.integration_as_bearer;
        assert!(!flag.is_set_somewhere(), "what is written holds in every store");
        assert!(
            ScopedFlag { stores: BTreeMap::from([(1, true)]), ..ScopedFlag::default() }.is_set_somewhere()
        );
    }

    #[tokio::test]
    async fn only_a_change_in_the_store_replaces_the_settings() {
        let store = SqlStore::open("sqlite::memory:").await.unwrap();
        let settings = MagentoSettings::new(WrittenSettings::default(), true);
        assert!(settings.refresh(&store).await.unwrap().is_some(), "the first reading");
        assert!(settings.refresh(&store).await.unwrap().is_none());
        store.set_for_test("webapi/webapisecurity/allow_insecure", "1").await;
        assert!(!settings.current().allow_insecure);
        assert!(settings.refresh(&store).await.unwrap().unwrap().settings.allow_insecure);
        assert!(settings.current().allow_insecure);
        store.close().await;
        assert!(settings.refresh(&store).await.is_err());
        assert!(settings.current().allow_insecure, "an outage changes nothing");
    }

    #[tokio::test]
    async fn a_store_that_is_not_to_be_asked_has_no_say() {
        let store = SqlStore::open("sqlite::memory:").await.unwrap();
        store.set_for_test("webapi/webapisecurity/allow_insecure", "1").await;
        let settings = MagentoSettings::new(WrittenSettings::default(), false);
        settings.refresh(&store).await.unwrap();
        assert!(!settings.current().allow_insecure);
    }
}
