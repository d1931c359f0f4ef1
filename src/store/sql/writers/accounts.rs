//! Customers, admins and roles, and the end of what they were issued.
//!
//! Password hashes come finished; hashing is the caller's.

use super::insert::{insert_row, stamp};
use crate::{
    auth::{identity::UserType, revocation::MOST_AHEAD, secret::Secret, time::UnixTime},
    store::{
        StoreError,
        sql::{
            SqlStore,
            connection::{Purpose, Transaction},
            statement::query,
        },
    },
};

/// A customer to be written to `customer_entity`.
#[derive(Debug)]
pub struct NewCustomer<'a> {
    /// `email`.
    pub email: &'a str,
    /// `firstname`.
    pub firstname: &'a str,
    /// `lastname`.
    pub lastname: &'a str,
    /// `website_id`, which must exist.
    pub website_id: u16,
    /// `password_hash`; `None` for an account without a password.
    pub password_hash: Option<&'a Secret<String>>,
}

/// An admin to be written to `admin_user`, with the role row that puts it into a group.
#[derive(Debug)]
pub struct NewAdmin<'a> {
    /// `username`.
    pub username: &'a str,
    /// `email`.
    pub email: &'a str,
    /// `firstname`, which is also the role's name.
    pub firstname: &'a str,
    /// `lastname`.
    pub lastname: &'a str,
    /// `password`: the hash.
    pub password_hash: &'a Secret<String>,
    /// `role_id` of the group; `None` for an admin who may do nothing.
    pub group_id: Option<u32>,
}

/// A role to be written to `authorization_role`, with its rules.
#[derive(Debug)]
pub struct NewRole<'a> {
    /// Whose role it is.
    pub owner: RoleOwner<'a>,
    /// Resources to be allowed.
    pub allowed: &'a [&'a str],
    /// Resources to be denied.
    pub denied: &'a [&'a str],
}

/// Whose role a new role is.
#[derive(Debug, Clone, Copy)]
pub enum RoleOwner<'a> {
    /// A group for admins, by name.
    AdminGroup(&'a str),
    /// One integration, by `integration_id`.
    Integration(u32),
}

impl SqlStore {
    /// Writes a customer and returns its `entity_id`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] where the address is taken on that website or the website is missing,
    /// [`StoreError::Unavailable`] on an outage.
    pub async fn insert_customer(
        &self,
        customer: &NewCustomer<'_>,
        now: UnixTime,
    ) -> Result<u32, StoreError> {
        let now = stamp(now, "customer_entity.created_at")?;
        let insert = query(
            "INSERT INTO {customer_entity}
                (email, firstname, lastname, website_id, password_hash, store_id, group_id, created_at, updated_at)
            VALUES (?1, ?2, ?3, ?4, ?5, NULL, 1, ?6, ?6)",
        )
        .bind(customer.email)
        .bind(customer.firstname)
        .bind(customer.lastname)
        .bind(customer.website_id)
        .bind(customer.password_hash.map(|hash| hash.expose().as_str()))
        .bind(now);
        insert_row(&self.pool, insert, "customer_entity.entity_id").await
    }

    /// Writes an admin and its role row and returns its `user_id`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] where the name is taken or the group is missing, [`StoreError::Unavailable`] on an
    /// outage.
    pub async fn insert_admin(&self, admin: &NewAdmin<'_>, now: UnixTime) -> Result<u32, StoreError> {
        let now = stamp(now, "admin_user.created")?;
        let mut transaction = self.begin(Purpose::Writing).await?;
        let insert = query(
            "INSERT INTO {admin_user} (username, email, firstname, lastname, password, created, modified)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)",
        )
        .bind(admin.username)
        .bind(admin.email)
        .bind(admin.firstname)
        .bind(admin.lastname)
        .bind(admin.password_hash.expose().as_str())
        .bind(now);
        let user_id = insert_row(&mut transaction, insert, "admin_user.user_id").await?;
        if let Some(group_id) = admin.group_id {
            let insert = query(
                "INSERT INTO {authorization_role} (parent_id, tree_level, role_type, user_id, user_type, role_name)
                SELECT role_id, tree_level + 1, 'U', ?2, '2', ?3
                FROM {authorization_role} WHERE role_id = ?1 AND role_type = 'G'",
            )
            .bind(group_id)
            .bind(user_id)
            .bind(admin.firstname);
            insert_row(&mut transaction, insert, "authorization_role.role_id").await?;
        }
        transaction.commit().await?;
        Ok(user_id)
    }

    /// Writes a role with its rules and returns its `role_id`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage.
    pub async fn insert_role(&self, role: &NewRole<'_>) -> Result<u32, StoreError> {
        let mut change = self.change().await?;
        let role_id = match role.owner {
            RoleOwner::AdminGroup(name) => change.insert_admin_group(name).await?,
            RoleOwner::Integration(id) => change.insert_integration_role(id).await?,
        };
        let allowed = role.allowed.iter().map(|resource| (*resource, true));
        let denied = role.denied.iter().map(|resource| (*resource, false));
        change.replace_rules(role_id, &allowed.chain(denied).collect::<Vec<_>>()).await?;
        change.commit().await?;
        Ok(role_id)
    }

    /// Kills every token of a user that was issued at or before a time. A revocation is never moved back, so that a
    /// clock that was set back revives nothing; another one in the same second goes one second further
    /// ([`crate::auth::revocation`]).
    ///
    /// # Errors
    ///
    /// [`StoreError::Unfit`] for a time before 1970, [`StoreError::Unavailable`] on an outage.
    pub async fn revoke_user(
        &self,
        user_type: UserType,
        id: u32,
        before: UnixTime,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin(Purpose::Changing).await?;
        revoke(&mut transaction, user_type, id, before).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Kills every token of a user as [`SqlStore::revoke_user`] does, and deletes the opaque ones, as a Magento without
    /// JWTs does; in one transaction.
    ///
    /// # Errors
    ///
    /// As [`SqlStore::revoke_user`].
    pub async fn revoke_user_and_delete_tokens(
        &self,
        user_type: UserType,
        id: u32,
        before: UnixTime,
    ) -> Result<(), StoreError> {
        let delete = match user_type {
            UserType::Admin => Some("DELETE FROM {oauth_token} WHERE admin_id = ?1"),
            UserType::Customer => Some("DELETE FROM {oauth_token} WHERE customer_id = ?1"),
            UserType::Integration | UserType::Guest => None,
        };
        let mut transaction = self.begin(Purpose::Changing).await?;
        revoke(&mut transaction, user_type, id, before).await?;
        if let Some(delete) = delete {
            query(delete).bind(id).execute(&mut transaction).await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}

pub(super) async fn revoke(
    transaction: &mut Transaction,
    user_type: UserType,
    id: u32,
    before: UnixTime,
) -> Result<(), StoreError> {
    if before.seconds() < 0 {
        return Err(StoreError::Unfit { column: "jwt_auth_revoked.revoke_before" });
    }
    query(
        "INSERT INTO {jwt_auth_revoked} (user_type_id, user_id, revoke_before) VALUES (?1, ?2, ?3)
        ON CONFLICT (user_type_id, user_id) DO UPDATE SET revoke_before = CASE
            WHEN {jwt_auth_revoked}.revoke_before BETWEEN excluded.revoke_before AND ?4
                THEN {jwt_auth_revoked}.revoke_before + 1
            WHEN {jwt_auth_revoked}.revoke_before > excluded.revoke_before THEN {jwt_auth_revoked}.revoke_before
            ELSE excluded.revoke_before END",
    )
    .bind(user_type as i64)
    .bind(id)
    .bind(before.seconds())
    .bind(before.plus(MOST_AHEAD).seconds())
    .execute(transaction)
    .await?;
    Ok(())
}
