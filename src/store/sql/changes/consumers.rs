//! `oauth_consumer`.

use super::{Change, View};
use crate::{
    auth::{secret::Secret, time::UnixTime},
    store::{
        StoreError,
        records::ConsumerRecord,
        sql::{
            columns::Columns,
            mapper::older_secret,
            statement::query,
            writers::{
                NewConsumer,
                insert::{insert_row, stamp},
            },
        },
    },
};

macro_rules! consumer {
    ($condition:literal) => {
        concat!(
            r#"SELECT o.entity_id AS "oauth_consumer.entity_id", o.name AS "oauth_consumer.name",
            o."key" AS "oauth_consumer.key", o.secret AS "oauth_consumer.secret",
            o.callback_url AS "oauth_consumer.callback_url",
            o.rejected_callback_url AS "oauth_consumer.rejected_callback_url",
            o.updated_at AS "oauth_consumer.updated_at",
            [[p.secret|NULL]] AS "portcullis_older_secret.secret", [[p.ends_at|NULL]] AS "portcullis_older_secret.ends_at"
            FROM {oauth_consumer} AS o
            [[LEFT JOIN {portcullis_older_secret} AS p ON p.consumer_id = o.entity_id]] WHERE "#,
            $condition
        )
    };
}

impl View {
    /// Finds a consumer by its id.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage, [`StoreError::Corrupt`] where a row makes no sense.
    pub async fn consumer(&mut self, id: u32) -> Result<Option<ConsumerRecord>, StoreError> {
        let found = query(consumer!("o.entity_id = ?1")).bind(id).fetch_optional(self.connection()).await?;
        found.map_or(Ok(None), |row| record(&Columns(&row)))
    }

    /// Finds a consumer by its key, byte for byte.
    ///
    /// # Errors
    ///
    /// As [`View::consumer`].
    pub async fn consumer_by_key(&mut self, key: &str) -> Result<Option<ConsumerRecord>, StoreError> {
        let found =
            query(consumer!(r#"same(o."key", ?1)"#)).bind(key).fetch_optional(self.connection()).await?;
        found.map_or(Ok(None), |row| record(&Columns(&row)))
    }
}

impl Change {
    /// Writes a consumer and returns its `entity_id`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] where the key or secret is taken, [`StoreError::Unavailable`] on an outage.
    pub async fn insert_consumer(
        &mut self,
        consumer: &NewConsumer<'_>,
        (callback_url, rejected_callback_url): (Option<&str>, &str),
        now: UnixTime,
    ) -> Result<u32, StoreError> {
        let now = stamp(now, "oauth_consumer.created_at")?;
        let insert = query(
            r#"INSERT INTO {oauth_consumer} (name, "key", secret, callback_url, rejected_callback_url, created_at)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6)"#,
        )
        .bind(consumer.name)
        .bind(consumer.key)
        .bind(consumer.encrypted_secret.expose().as_str())
        .bind(callback_url)
        .bind(rejected_callback_url)
        .bind(now);
        insert_row(self.connection(), insert, "oauth_consumer.entity_id").await
    }

    /// Notes that a consumer was posted to: the handshake may begin. Says whether there is such a consumer.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage.
    pub async fn touch_consumer(&mut self, id: u32, now: UnixTime) -> Result<bool, StoreError> {
        let now = stamp(now, "oauth_consumer.updated_at")?;
        let update = query("UPDATE {oauth_consumer} SET updated_at = ?2 WHERE entity_id = ?1");
        Ok(update.bind(id).bind(now).execute(self.connection()).await?.rows_affected() > 0)
    }

    /// Replaces a consumer's secret. `updated_at` stays: the handshake's window is not to open by it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage.
    pub async fn set_consumer_secret(
        &mut self,
        id: u32,
        encrypted: &Secret<String>,
    ) -> Result<(), StoreError> {
        // Magento's column moves by itself, unless it is named.
        let update =
            query("UPDATE {oauth_consumer} SET secret = ?2, updated_at = updated_at WHERE entity_id = ?1");
        update.bind(id).bind(encrypted.expose().as_str()).execute(self.connection()).await?;
        Ok(())
    }

    /// Deletes a consumer, and with it its tokens, its nonces and its integration.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage.
    pub async fn delete_consumer(&mut self, id: u32) -> Result<bool, StoreError> {
        let delete = query("DELETE FROM {oauth_consumer} WHERE entity_id = ?1").bind(id);
        Ok(delete.execute(self.connection()).await?.rows_affected() > 0)
    }
}

fn record(row: &Columns<'_>) -> Result<Option<ConsumerRecord>, StoreError> {
    Ok(Some(ConsumerRecord {
        id: row.number("oauth_consumer.entity_id")?,
        name: row.text("oauth_consumer.name")?,
        key: row.text("oauth_consumer.key")?,
        secret: row.secret("oauth_consumer.secret")?,
        callback_url: row.optional_text("oauth_consumer.callback_url")?,
        rejected_callback_url: row.text("oauth_consumer.rejected_callback_url")?,
        updated_at: row.time("oauth_consumer.updated_at")?,
        older_secret: older_secret(row)?,
    }))
}
