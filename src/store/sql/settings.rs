//! Magento's own settings, read whole: the rows of `core_config_data` that bear on authentication.

use super::{columns::Columns, statement::query, store::SqlStore};
use crate::store::{
    StoreError,
    settings::{SettingRow, SettingScope},
};

// By beginnings, so that a setting more needs no other statement; a few dozen rows at most.
const SETTINGS: &str = r#"
    SELECT scope AS "core_config_data.scope", scope_id AS "core_config_data.scope_id",
        path AS "core_config_data.path", value AS "core_config_data.value"
    FROM {core_config_data}
    WHERE path LIKE 'oauth/%' OR path LIKE 'webapi/%' OR path = 'customer/account_share/scope'
        OR path LIKE 'customer/password/%' OR path = 'admin/security/use_case_sensitive_login'
        OR path IN ('customer/create_account/confirm', 'customer/account_information/confirm')
    ORDER BY config_id"#;

impl SqlStore {
    /// Reads the settings that bear on authentication, of every scope. Rows of scopes that Magento does not have are
    /// left out.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage, [`StoreError::Corrupt`] where a row makes no sense.
    pub async fn settings(&self) -> Result<Vec<SettingRow>, StoreError> {
        let rows = query(SETTINGS).fetch_all(&self.readers).await?;
        rows.iter().filter_map(|row| setting(&Columns(row)).transpose()).collect()
    }
}

fn setting(row: &Columns<'_>) -> Result<Option<SettingRow>, StoreError> {
    let scope = match row.text("core_config_data.scope")?.as_str() {
        "default" => SettingScope::Default,
        "websites" => SettingScope::Website(row.number("core_config_data.scope_id")?),
        "stores" => SettingScope::Store(row.number("core_config_data.scope_id")?),
        _ => return Ok(None),
    };
    let value = row.optional_text("core_config_data.value")?.unwrap_or_default();
    Ok(Some(SettingRow { scope, path: row.text("core_config_data.path")?, value }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_scope_is_read_and_foreign_rows_are_not() {
        let store = SqlStore::open("sqlite::memory:").await.unwrap();
        let insert = "INSERT INTO core_config_data (scope, scope_id, path, value) VALUES
            ('default', 0, 'oauth/access_token_lifetime/admin', NULL),
            ('websites', 1, 'oauth/consumer/enable_integration_as_bearer', '1'),
            ('stores', 2, 'oauth/consumer/enable_integration_as_bearer', '0'),
            ('groups', 2, 'oauth/consumer/enable_integration_as_bearer', '1'),
            ('default', 0, 'web/secure/base_url', 'x'),
            ('default', 0, 'customer/account_share/scope', '0')";
        store.execute_for_test(insert).await;
        let row = |scope, path: &str, value: &str| SettingRow {
            scope,
            path: path.to_owned(),
            value: value.to_owned(),
        };
        let as_bearer = "oauth/consumer/enable_integration_as_bearer";
        assert_eq!(
            store.settings().await.unwrap(),
            [
                row(SettingScope::Default, "oauth/access_token_lifetime/admin", ""),
                row(SettingScope::Website(1), as_bearer, "1"),
                row(SettingScope::Store(2), as_bearer, "0"),
                row(SettingScope::Default, "customer/account_share/scope", "0"),
            ]
        );
    }
}
