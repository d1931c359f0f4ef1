//! Admins and customers as an operator looks at them.

use super::{
    columns::Columns,
    statement::{Query, query},
    store::SqlStore,
};
use crate::{
    auth::identity::UserType,
    store::{StoreError, logins::User},
};

macro_rules! admins {
    ($condition:literal) => {
        concat!(
            r#"SELECT user_id AS "user.id", username AS "user.name", is_active AS "user.is_active",
            NULL AS "user.website_id" FROM {admin_user} WHERE "#,
            $condition
        )
    };
}

macro_rules! customers {
    ($condition:literal) => {
        concat!(
            r#"SELECT entity_id AS "user.id", email AS "user.name", is_active AS "user.is_active",
            website_id AS "user.website_id" FROM {customer_entity} WHERE "#,
            $condition
        )
    };
}

impl SqlStore {
    /// Lists the users of a kind whose id is above `after`, by id, `limit` at most. There are users of two kinds.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage, [`StoreError::Corrupt`] where a row makes no sense.
    pub async fn users(&self, user_type: UserType, after: u32, limit: u32) -> Result<Vec<User>, StoreError> {
        let statement = match user_type {
            UserType::Admin => admins!("user_id > ?1 ORDER BY user_id LIMIT ?2"),
            UserType::Customer => customers!("entity_id > ?1 ORDER BY entity_id LIMIT ?2"),
            UserType::Integration | UserType::Guest => return Ok(Vec::new()),
        };
        self.list(user_type, query(statement).bind(after).bind(limit)).await
    }

    /// The users of a kind that have this name: one admin, or a customer in each website.
    ///
    /// # Errors
    ///
    /// As [`SqlStore::users`].
    pub async fn users_named(&self, user_type: UserType, name: &str) -> Result<Vec<User>, StoreError> {
        let statement = match user_type {
            UserType::Admin => admins!("fold(username) = fold(?1)"),
            UserType::Customer => customers!("fold(email) = fold(?1) ORDER BY entity_id"),
            UserType::Integration | UserType::Guest => return Ok(Vec::new()),
        };
        self.list(user_type, query(statement).bind(name)).await
    }

    /// The groups of admins that have this name, by id; names are not unique in Magento.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage.
    pub async fn admin_groups_named(&self, name: &str) -> Result<Vec<u32>, StoreError> {
        let found = query(
            r#"SELECT role_id AS "authorization_role.role_id" FROM {authorization_role}
            WHERE role_type = 'G' AND user_type = '2' AND role_name = ?1 ORDER BY role_id"#,
        );
        let rows = found.bind(name).fetch_all(&self.pool).await?;
        rows.iter().map(|row| Columns(row).number("authorization_role.role_id")).collect()
    }

    /// Whether an admin has this address; it is no key.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage.
    pub async fn admin_address_is_taken(&self, email: &str) -> Result<bool, StoreError> {
        let found = query("SELECT 1 FROM {admin_user} WHERE lower(email) = lower(?1) LIMIT 1");
        Ok(found.bind(email).fetch_optional(&self.pool).await?.is_some())
    }

    /// Whether there is such a website.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage.
    pub async fn website_exists(&self, website_id: u16) -> Result<bool, StoreError> {
        let found = query("SELECT 1 FROM {store_website} WHERE website_id = ?1");
        Ok(found.bind(website_id).fetch_optional(&self.pool).await?.is_some())
    }

    async fn list(&self, user_type: UserType, found: Query<'_>) -> Result<Vec<User>, StoreError> {
        let rows = found.fetch_all(&self.pool).await?;
        rows.iter().map(|row| user(user_type, &Columns(row))).collect()
    }
}

fn user(user_type: UserType, row: &Columns<'_>) -> Result<User, StoreError> {
    Ok(User {
        user_type,
        id: row.number("user.id")?,
        name: row.optional_text("user.name")?.unwrap_or_default(),
        website_id: row.optional_number("user.website_id")?,
        is_active: row.number::<i64>("user.is_active")? == 1,
    })
}
