//! What a rotation leaves valid for a while.

use super::Change;
use crate::{
    auth::{secret::Secret, time::UnixTime},
    store::{
        StoreError,
        sql::{statement::query, writers::insert::stamp},
    },
};

impl Change {
    /// Keeps a consumer's secret valid until a time; the one that was kept before ends now.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage.
    pub async fn keep_older_secret(
        &mut self,
        consumer_id: u32,
        encrypted: &Secret<String>,
        ends_at: UnixTime,
    ) -> Result<(), StoreError> {
        self.require_own("an older secret beside the current one")?;
        let ends_at = stamp(ends_at, "portcullis_older_secret.ends_at")?;
        let insert = query(
            "INSERT INTO {portcullis_older_secret} (consumer_id, secret, ends_at) VALUES (?1, ?2, ?3)
            ON CONFLICT (consumer_id) DO UPDATE SET secret = excluded.secret, ends_at = excluded.ends_at",
        );
        let insert = insert.bind(consumer_id).bind(encrypted.expose().as_str()).bind(ends_at);
        insert.execute(self.connection()).await?;
        Ok(())
    }

    /// Ends a consumer's older secret now.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage.
    pub async fn delete_older_secret(&mut self, consumer_id: u32) -> Result<(), StoreError> {
        if self.is_magentos() {
            return Ok(());
        }
        let delete = query("DELETE FROM {portcullis_older_secret} WHERE consumer_id = ?1").bind(consumer_id);
        delete.execute(self.connection()).await?;
        Ok(())
    }

    /// Keeps a token valid until a time; it is no longer its consumer's current one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage.
    pub async fn keep_older_token(&mut self, token_id: u32, ends_at: UnixTime) -> Result<(), StoreError> {
        self.require_own("an older token beside the current one")?;
        let ends_at = stamp(ends_at, "portcullis_older_token.ends_at")?;
        let insert = query(
            "INSERT INTO {portcullis_older_token} (token_id, ends_at) VALUES (?1, ?2)
            ON CONFLICT (token_id) DO UPDATE SET ends_at = excluded.ends_at",
        );
        insert.bind(token_id).bind(ends_at).execute(self.connection()).await?;
        Ok(())
    }
}
