//! The small tables that every decision may need, read whole: store views, roles and rules.
//!
//! All of it comes from one read transaction, so that a role written between two statements cannot appear without its
//! rules.

use super::{
    columns::Columns,
    connection::{Purpose, Transaction},
    mapper,
    statement::query,
    store::SqlStore,
};
use crate::store::{StoreError, rows::ReferenceRows};

const STORES: &str = r#"
    SELECT store_id AS "store.store_id", code AS "store.code", website_id AS "store.website_id"
    FROM {store} ORDER BY store_id"#;

const WEBSITES: &str = r#"
    SELECT website_id AS "store_website.website_id", code AS "store_website.code"
    FROM {store_website} ORDER BY website_id"#;

const DEFAULT_STORE: &str = r#"
    SELECT s.store_id AS "store.store_id"
    FROM {store_website} AS w
    JOIN {store_group} AS g ON g.group_id = w.default_group_id
    JOIN {store} AS s ON s.store_id = g.default_store_id
    WHERE w.is_default = 1 ORDER BY w.website_id LIMIT 1"#;

const ROLES: &str = r#"
    SELECT role_id AS "authorization_role.role_id", parent_id AS "authorization_role.parent_id",
        tree_level AS "authorization_role.tree_level", role_type AS "authorization_role.role_type",
        user_id AS "authorization_role.user_id", user_type AS "authorization_role.user_type",
        role_name AS "authorization_role.role_name"
    FROM {authorization_role} ORDER BY tree_level, role_id"#;

// A rule without a resource names none of the tree and has no effect in Magento (MAGENTO_AUTH 8.3).
const RULES: &str = r#"
    SELECT role_id AS "authorization_rule.role_id", resource_id AS "authorization_rule.resource_id",
        privileges AS "authorization_rule.privileges", permission AS "authorization_rule.permission"
    FROM {authorization_rule} WHERE resource_id IS NOT NULL ORDER BY rule_id"#;

impl SqlStore {
    /// Reads the store views, the default one, the roles and the rules as they stood at one moment.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage, [`StoreError::Corrupt`] where a row makes no sense.
    pub async fn reference(&self) -> Result<ReferenceRows, StoreError> {
        let mut transaction = self.readers.begin(Purpose::Reading).await?;
        let rows = ReferenceRows {
            stores: all(&mut transaction, STORES, mapper::store).await?,
            websites: all(&mut transaction, WEBSITES, mapper::website).await?,
            default_store_id: all(&mut transaction, DEFAULT_STORE, |row| row.number("store.store_id"))
                .await?
                .first()
                .copied(),
            roles: all(&mut transaction, ROLES, mapper::role).await?,
            rules: all(&mut transaction, RULES, mapper::rule).await?,
        };
        transaction.commit().await?;
        Ok(rows)
    }
}

async fn all<T>(
    transaction: &mut Transaction,
    statement: &'static str,
    map: impl Fn(&Columns<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let rows = query(statement).fetch_all(transaction).await?;
    rows.iter().map(|row| map(&Columns(row))).collect()
}
