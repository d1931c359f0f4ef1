//! `authorization_role` and `authorization_rule` of integrations and of admins' groups.
//!
//! An integration's role is found by `user_id` and `user_type`, never by its name: Magento deletes by the name `1<id>` alone, which an
//! admins' role may have too (`MAGENTO_AUTH` 5.3).

use super::{Change, View};
use crate::store::{
    StoreError,
    sql::{columns::Columns, statement::query, writers::insert::insert_row},
};

impl View {
    /// The role of an integration, the first if there are several.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage.
    pub async fn integration_role(&mut self, integration_id: u32) -> Result<Option<u32>, StoreError> {
        let found = query(
            r#"SELECT role_id AS "authorization_role.role_id" FROM {authorization_role}
            WHERE user_id = ?1 AND user_type = '1' ORDER BY role_id LIMIT 1"#,
        );
        let row = found.bind(integration_id).fetch_optional(self.connection()).await?;
        row.map(|row| Columns(&row).number("authorization_role.role_id")).transpose()
    }

    /// The resources that an integration's rules allow, in the order of the rules.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage.
    pub async fn allowed_resources(&mut self, integration_id: u32) -> Result<Vec<String>, StoreError> {
        let found = query(
            r#"SELECT u.resource_id AS "authorization_rule.resource_id" FROM {authorization_role} AS r
            JOIN {authorization_rule} AS u ON u.role_id = r.role_id
            WHERE r.user_id = ?1 AND r.user_type = '1' AND u.permission = 'allow' AND u.resource_id IS NOT NULL
            ORDER BY u.rule_id"#,
        );
        let rows = found.bind(integration_id).fetch_all(self.connection()).await?;
        rows.iter().map(|row| Columns(row).text("authorization_rule.resource_id")).collect()
    }
}

impl Change {
    /// Writes the role of an integration, without rules, and returns its `role_id`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage.
    pub async fn insert_integration_role(&mut self, integration_id: u32) -> Result<u32, StoreError> {
        let insert = query(
            "INSERT INTO {authorization_role} (parent_id, tree_level, role_type, user_id, user_type, role_name)
            VALUES (0, 1, 'U', ?1, '1', ?2)",
        )
        .bind(integration_id)
        .bind(format!("1{integration_id}"));
        insert_row(self.connection(), insert, "authorization_role.role_id").await
    }

    /// Writes a group for admins, without rules, and returns its `role_id`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage.
    pub async fn insert_admin_group(&mut self, name: &str) -> Result<u32, StoreError> {
        let insert = query(
            "INSERT INTO {authorization_role} (parent_id, tree_level, role_type, user_id, user_type, role_name)
            VALUES (0, 1, 'G', 0, '2', ?1)",
        );
        insert_row(self.connection(), insert.bind(name), "authorization_role.role_id").await
    }

    /// Replaces the rules of a role: each resource with whether it is allowed.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage.
    pub async fn replace_rules(&mut self, role_id: u32, rules: &[(&str, bool)]) -> Result<(), StoreError> {
        let delete = query("DELETE FROM {authorization_rule} WHERE role_id = ?1").bind(role_id);
        delete.execute(self.connection()).await?;
        for (resource, is_allowed) in rules {
            query("INSERT INTO {authorization_rule} (role_id, resource_id, permission) VALUES (?1, ?2, ?3)")
                .bind(role_id)
                .bind(*resource)
                .bind(if *is_allowed { "allow" } else { "deny" })
                .execute(self.connection())
                .await?;
        }
        Ok(())
    }

    /// Deletes the roles of an integration with their rules.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage.
    pub async fn delete_integration_roles(&mut self, integration_id: u32) -> Result<u64, StoreError> {
        let delete = query("DELETE FROM {authorization_role} WHERE user_id = ?1 AND user_type = '1'");
        Ok(delete.bind(integration_id).execute(self.connection()).await?.rows_affected())
    }
}
