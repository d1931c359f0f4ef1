//! `oauth_token`, as far as it is a consumer's.
//!
//! One row goes through the handshake: verifier, request, access. Each step names the row as it found it, so that of two
//! that race one finds nothing. A row that was rotated out is nobody's current token: only its id is listed elsewhere.

use super::{Change, View};
use crate::{
    auth::{secret::Secret, time::UnixTime},
    store::{
        StoreError,
        records::TokenRecord,
        rows::TokenType,
        sql::{
            columns::Columns,
            mapper::token_type,
            statement::query,
            writers::insert::{insert_row, stamp},
        },
    },
};

macro_rules! token {
    ($condition:literal) => {
        concat!(
            r#"SELECT t.entity_id AS "oauth_token.entity_id", t.consumer_id AS "oauth_token.consumer_id",
            t.type AS "oauth_token.type", t.token AS "oauth_token.token", t.secret AS "oauth_token.secret",
            t.verifier AS "oauth_token.verifier", t.created_at AS "oauth_token.created_at",
            [[r.ends_at|NULL]] AS "portcullis_older_token.ends_at"
            FROM {oauth_token} AS t
            [[LEFT JOIN {portcullis_older_token} AS r ON r.token_id = t.entity_id]] WHERE "#,
            $condition
        )
    };
}

/// The values that a step gives a token.
#[derive(Debug)]
pub struct TokenValues<'a> {
    /// `type`.
    pub token_type: TokenType,
    /// `token`.
    pub token: &'a Secret<String>,
    /// `secret`: encrypted for access tokens, in clear for the others.
    pub secret: &'a Secret<String>,
    /// `callback_url`.
    pub callback_url: &'a str,
}

impl View {
    /// Finds a token by its value, byte for byte.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage, [`StoreError::Corrupt`] where a row makes no sense.
    pub async fn token(&mut self, token: &str) -> Result<Option<TokenRecord>, StoreError> {
        let found = query(token!("same(t.token, ?1)")).bind(token).fetch_optional(self.connection()).await?;
        found.map(|row| record(&Columns(&row))).transpose()
    }

    /// The tokens of a consumer, the newest last; those that were rotated out among them.
    ///
    /// # Errors
    ///
    /// As [`View::token`].
    pub async fn tokens_of(&mut self, consumer_id: u32) -> Result<Vec<TokenRecord>, StoreError> {
        let found = query(token!("t.consumer_id = ?1 AND t.user_type = 1 ORDER BY t.entity_id"));
        let rows = found.bind(consumer_id).fetch_all(self.connection()).await?;
        rows.iter().map(|row| record(&Columns(row))).collect()
    }
}

impl Change {
    /// Writes a token of a consumer and returns its `entity_id`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] where the token is taken or the consumer missing, [`StoreError::Unavailable`] on an
    /// outage.
    pub async fn insert_token(
        &mut self,
        consumer_id: u32,
        values: &TokenValues<'_>,
        (verifier, now): (Option<&Secret<String>>, UnixTime),
    ) -> Result<u32, StoreError> {
        let now = stamp(now, "oauth_token.created_at")?;
        let insert = query(
            "INSERT INTO {oauth_token} (consumer_id, type, token, secret, verifier, callback_url, user_type, created_at)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7)",
        )
        .bind(consumer_id)
        .bind(word(values.token_type))
        .bind(values.token.expose().as_str())
        .bind(values.secret.expose().as_str())
        .bind(verifier.map(|verifier| verifier.expose().as_str()))
        .bind(values.callback_url)
        .bind(now);
        insert_row(self.connection(), insert, "oauth_token.entity_id").await
    }

    /// Turns a token into its next form; `false` where it is no longer what `found` says. Its age begins anew.
    ///
    /// # Errors
    ///
    /// As [`Change::insert_token`].
    pub async fn replace_token(
        &mut self,
        found: &TokenRecord,
        values: &TokenValues<'_>,
        now: UnixTime,
    ) -> Result<bool, StoreError> {
        let now = stamp(now, "oauth_token.created_at")?;
        let update = query(
            "UPDATE {oauth_token} SET type = ?4, token = ?5, secret = ?6, callback_url = ?7, created_at = ?8
            WHERE entity_id = ?1 AND type = ?2 AND same(token, ?3)",
        )
        .bind(found.id)
        .bind(word(found.token_type))
        .bind(found.token.expose().as_str())
        .bind(word(values.token_type))
        .bind(values.token.expose().as_str())
        .bind(values.secret.expose().as_str())
        .bind(values.callback_url)
        .bind(now);
        Ok(update.execute(self.connection()).await?.rows_affected() == 1)
    }

    /// Deletes a token.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage.
    pub async fn delete_token(&mut self, id: u32) -> Result<(), StoreError> {
        let delete = query("DELETE FROM {oauth_token} WHERE entity_id = ?1").bind(id);
        delete.execute(self.connection()).await?;
        Ok(())
    }

    /// Deletes the tokens of a consumer, all but one; answers how many went.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage.
    pub async fn delete_tokens_of(&mut self, consumer_id: u32, but: Option<u32>) -> Result<u64, StoreError> {
        let delete = query(
            "DELETE FROM {oauth_token} WHERE consumer_id = ?1 AND user_type = 1 AND (?2 IS NULL OR entity_id <> ?2)",
        );
        Ok(delete.bind(consumer_id).bind(but).execute(self.connection()).await?.rows_affected())
    }

    /// Deletes request tokens that were issued at or before a time; answers how many went.
    ///
    /// # Errors
    ///
    /// As [`Change::insert_token`].
    pub async fn delete_request_tokens(&mut self, until: UnixTime) -> Result<u64, StoreError> {
        let until = stamp(until, "oauth_token.created_at")?;
        let delete = query("DELETE FROM {oauth_token} WHERE type = 'request' AND created_at <= ?1");
        Ok(delete.bind(until).execute(self.connection()).await?.rows_affected())
    }
}

fn record(row: &Columns<'_>) -> Result<TokenRecord, StoreError> {
    Ok(TokenRecord {
        id: row.number("oauth_token.entity_id")?,
        consumer_id: row.optional_number("oauth_token.consumer_id")?,
        token_type: token_type(&row.text("oauth_token.type")?),
        token: row.secret("oauth_token.token")?,
        secret: row.secret("oauth_token.secret")?,
        verifier: row.optional_text("oauth_token.verifier")?.map(Secret::new),
        created_at: row.time("oauth_token.created_at")?,
        ends_at: row.time("portcullis_older_token.ends_at")?,
    })
}

/// `oauth_token.type`; what is none of the three matches no row.
const fn word(token_type: TokenType) -> &'static str {
    match token_type {
        TokenType::Access => "access",
        TokenType::Request => "request",
        TokenType::Verifier => "verifier",
        TokenType::Unknown => "",
    }
}
