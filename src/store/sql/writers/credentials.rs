//! Consumers, integrations and access tokens.
//!
//! Secrets come encrypted as Magento does (`MAGENTO_AUTH` 7.11); encrypting is the caller's.

use super::insert::{insert_row, stamp};
use crate::{
    auth::{identity::UserType, secret::Secret, time::UnixTime},
    store::{
        StoreError,
        records::IntegrationStatus,
        sql::{SqlStore, statement::query},
    },
};

/// A consumer to be written to `oauth_consumer`.
#[derive(Debug)]
pub struct NewConsumer<'a> {
    /// `name`.
    pub name: &'a str,
    /// `key`.
    pub key: &'a str,
    /// `secret`, encrypted as Magento does.
    pub encrypted_secret: &'a Secret<String>,
}

/// An integration to be written to `integration`.
#[derive(Debug)]
pub struct NewIntegration<'a> {
    /// `name`.
    pub name: &'a str,
    /// `email`.
    pub email: &'a str,
    /// `consumer_id`.
    pub consumer_id: u32,
    /// `status`.
    pub status: IntegrationStatus,
}

/// A token of type `access` to be written to `oauth_token`.
#[derive(Debug)]
pub struct NewAccessToken<'a> {
    /// Whom it acts for.
    pub owner: TokenOwner,
    /// `token`.
    pub token: &'a Secret<String>,
    /// `secret`, encrypted as Magento does.
    pub encrypted_secret: &'a Secret<String>,
}

/// Whom a new token acts for.
#[derive(Debug, Clone, Copy)]
pub enum TokenOwner {
    /// The integration of a consumer, by `oauth_consumer.entity_id`.
    Consumer(u32),
    /// `admin_user.user_id`.
    Admin(u32),
    /// `customer_entity.entity_id`.
    Customer(u32),
}

impl SqlStore {
    /// Writes a consumer and returns its `entity_id`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] where the key or secret is taken, [`StoreError::Unavailable`] on an outage.
    pub async fn insert_consumer(
        &self,
        consumer: &NewConsumer<'_>,
        now: UnixTime,
    ) -> Result<u32, StoreError> {
        let mut change = self.change().await?;
        let id = change.insert_consumer(consumer, (None, ""), now).await?;
        change.commit().await?;
        Ok(id)
    }

    /// Writes an integration and returns its `integration_id`. Its role is written by [`SqlStore::insert_role`].
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] where the name is taken, or the consumer is missing or another integration's;
    /// [`StoreError::Unavailable`] on an outage.
    pub async fn insert_integration(
        &self,
        integration: &NewIntegration<'_>,
        now: UnixTime,
    ) -> Result<u32, StoreError> {
        let now = stamp(now, "integration.created_at")?;
        let insert = query(
            "INSERT INTO {integration} (name, email, status, consumer_id, created_at, updated_at)
            VALUES (?1, ?2, ?3, ?4, ?5, ?5)",
        )
        .bind(integration.name)
        .bind(integration.email)
        .bind(integration.status as i64)
        .bind(integration.consumer_id)
        .bind(now);
        insert_row(&self.pool, insert, "integration.integration_id").await
    }

    /// Sets the status of an integration; `false` where there is no such integration.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage.
    pub async fn set_integration_status(
        &self,
        id: u32,
        status: IntegrationStatus,
        now: UnixTime,
    ) -> Result<bool, StoreError> {
        let now = stamp(now, "integration.updated_at")?;
        let update = query("UPDATE {integration} SET status = ?2, updated_at = ?3 WHERE integration_id = ?1")
            .bind(id)
            .bind(status as i64)
            .bind(now);
        Ok(self.execute_alone(update).await?.rows_affected() > 0)
    }

    /// Writes a token of type `access` and returns its `entity_id`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] where the token is taken or its owner is missing, [`StoreError::Unavailable`] on an
    /// outage.
    pub async fn insert_access_token(
        &self,
        token: &NewAccessToken<'_>,
        now: UnixTime,
    ) -> Result<u32, StoreError> {
        let now = stamp(now, "oauth_token.created_at")?;
        let (user_type, consumer_id, admin_id, customer_id) = match token.owner {
            TokenOwner::Consumer(id) => (UserType::Integration, Some(id), None, None),
            TokenOwner::Admin(id) => (UserType::Admin, None, Some(id), None),
            TokenOwner::Customer(id) => (UserType::Customer, None, None, Some(id)),
        };
        let insert = query(
            "INSERT INTO {oauth_token}
                (type, token, secret, callback_url, user_type, consumer_id, admin_id, customer_id, created_at)
            VALUES ('access', ?1, ?2, '', ?3, ?4, ?5, ?6, ?7)",
        )
        .bind(token.token.expose().as_str())
        .bind(token.encrypted_secret.expose().as_str())
        .bind(user_type as i64)
        .bind(consumer_id)
        .bind(admin_id)
        .bind(customer_id)
        .bind(now);
        insert_row(&self.pool, insert, "oauth_token.entity_id").await
    }

    /// Sets or clears `oauth_token.revoked`; `false` where there is no such token.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage.
    pub async fn set_token_revoked(&self, token: &str, is_revoked: bool) -> Result<bool, StoreError> {
        let update =
            query("UPDATE {oauth_token} SET revoked = ?2 WHERE same(token, ?1)").bind(token).bind(is_revoked);
        Ok(self.execute_alone(update).await?.rows_affected() > 0)
    }

    /// Deletes a token; `false` where there is no such token.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage.
    pub async fn delete_token(&self, token: &str) -> Result<bool, StoreError> {
        let delete = query("DELETE FROM {oauth_token} WHERE same(token, ?1)").bind(token);
        Ok(self.execute_alone(delete).await?.rows_affected() > 0)
    }
}
