//! What a request needs to know: a token, a user, a consumer with a token. Each is one prepared statement.
//!
//! A presented credential is compared byte for byte (deviation D3). What no column can hold, because it is empty, too
//! long or not UTF-8, is answered without asking the database.

use super::{columns::Columns, mapper, statement::query, store::SqlStore};
use crate::{
    auth::{identity::UserType, secret::Secret},
    store::{
        StoreError,
        rows::{OauthRows, SessionAdminRow, SessionCustomerRow, TokenRow, UserRow},
    },
};

/// Longer than any token or key that Magento can store (32), and short enough to bound the work of a probe.
const MAX_CREDENTIAL_BYTES: usize = 255;

// The owner is the one that `user_type` names: a customer's token must not act for the admin in its other column.
macro_rules! token_columns {
    () => {
        r#"t.entity_id AS "oauth_token.entity_id", t.type AS "oauth_token.type",
        t.user_type AS "oauth_token.user_type", t.consumer_id AS "oauth_token.consumer_id",
        t.secret AS "oauth_token.secret", t.revoked AS "oauth_token.revoked",
        t.created_at AS "oauth_token.created_at",
        a.user_id AS "admin_user.user_id", a.is_active AS "admin_user.is_active",
        c.entity_id AS "customer_entity.entity_id", c.is_active AS "customer_entity.is_active",
        c.website_id AS "customer_entity.website_id",
        r.revoke_before AS "jwt_auth_revoked.revoke_before",
        i.integration_id AS "integration.integration_id", i.name AS "integration.name",
        i.status AS "integration.status", [[p.ends_at|NULL]] AS "portcullis_older_token.ends_at""#
    };
}

macro_rules! token_owners {
    () => {
        "LEFT JOIN {admin_user} AS a ON t.user_type = 2 AND a.user_id = t.admin_id
        LEFT JOIN {customer_entity} AS c ON t.user_type = 3 AND c.entity_id = t.customer_id
        LEFT JOIN {jwt_auth_revoked} AS r
            ON r.user_type_id = t.user_type AND r.user_id = COALESCE(a.user_id, c.entity_id)
        LEFT JOIN {integration} AS i ON i.consumer_id = t.consumer_id
        [[LEFT JOIN {portcullis_older_token} AS p ON p.token_id = t.entity_id]]"
    };
}

pub(super) use {token_columns, token_owners};

const TOKEN: &str = concat!(
    "SELECT ",
    token_columns!(),
    " FROM {oauth_token} AS t ",
    token_owners!(),
    " WHERE same(t.token, ?1)"
);

// A row of one constant on the left, so that a missing consumer does not hide the token, nor the other way round.
const OAUTH: &str = concat!(
    r#"SELECT o.entity_id AS "oauth_consumer.entity_id", o.secret AS "oauth_consumer.secret",
    [[q.secret|NULL]] AS "portcullis_older_secret.secret", [[q.ends_at|NULL]] AS "portcullis_older_secret.ends_at", "#,
    token_columns!(),
    " FROM (SELECT 1) AS request
    LEFT JOIN {oauth_consumer} AS o ON same(o.\"key\", ?1)
    [[LEFT JOIN {portcullis_older_secret} AS q ON q.consumer_id = o.entity_id]]
    LEFT JOIN {oauth_token} AS t ON same(t.token, ?2) ",
    token_owners!()
);

const ADMIN: &str = r#"
    SELECT a.user_id AS "admin_user.user_id", a.is_active AS "admin_user.is_active",
        r.revoke_before AS "jwt_auth_revoked.revoke_before"
    FROM {admin_user} AS a
    LEFT JOIN {jwt_auth_revoked} AS r ON r.user_type_id = 2 AND r.user_id = a.user_id
    WHERE a.user_id = ?1"#;

const CUSTOMER: &str = r#"
    SELECT c.entity_id AS "customer_entity.entity_id", c.is_active AS "customer_entity.is_active",
        c.website_id AS "customer_entity.website_id", r.revoke_before AS "jwt_auth_revoked.revoke_before"
    FROM {customer_entity} AS c
    LEFT JOIN {jwt_auth_revoked} AS r ON r.user_type_id = 3 AND r.user_id = c.entity_id
    WHERE c.entity_id = ?1"#;

// No join with jwt_auth_revoked: revoking a customer's tokens ends no session (recorded: session/xhr__after_revoke).
const SESSION_CUSTOMER: &str = r#"
    SELECT c.entity_id AS "customer_entity.entity_id", c.is_active AS "customer_entity.is_active",
        c.website_id AS "customer_entity.website_id", NULL AS "jwt_auth_revoked.revoke_before",
        c.session_cutoff AS "customer_entity.session_cutoff", v.created_at AS "customer_visitor.created_at"
    FROM {customer_entity} AS c
    LEFT JOIN {customer_visitor} AS v ON v.visitor_id = ?2
    WHERE c.entity_id = ?1"#;

const SESSION_ADMIN: &str = r#"
    SELECT a.user_id AS "admin_user.user_id", a.is_active AS "admin_user.is_active",
        NULL AS "jwt_auth_revoked.revoke_before", s.status AS "admin_user_session.status"
    FROM {admin_user} AS a
    LEFT JOIN {admin_user_session} AS s ON s.id = ?2 AND s.user_id = a.user_id
    WHERE a.user_id = ?1"#;

impl SqlStore {
    /// Finds a token by the value that a bearer presents, with its owner.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage, [`StoreError::Corrupt`] where a row makes no sense.
    pub async fn token(&self, token: &[u8]) -> Result<Option<TokenRow>, StoreError> {
        let Some(token) = storable(token) else { return Ok(None) };
        let row = query(TOKEN).bind(token).fetch_optional(&self.readers).await?;
        row.map_or(Ok(None), |row| mapper::token(&Columns(&row)))
    }

    /// Finds an admin or a customer by id. The other kinds of caller are no users and have no row.
    ///
    /// # Errors
    ///
    /// As [`SqlStore::token`].
    pub async fn user(&self, user_type: UserType, id: u32) -> Result<Option<UserRow>, StoreError> {
        let statement = match user_type {
            UserType::Admin => ADMIN,
            UserType::Customer => CUSTOMER,
            UserType::Integration | UserType::Guest => return Ok(None),
        };
        let Some(row) = query(statement).bind(id).fetch_optional(&self.readers).await? else {
            return Ok(None);
        };
        match user_type {
            UserType::Admin => mapper::admin(&Columns(&row)),
            UserType::Customer => mapper::customer(&Columns(&row)),
            UserType::Integration | UserType::Guest => Ok(None),
        }
    }

    /// Finds the customer whom a session names, and the session's visitor.
    ///
    /// # Errors
    ///
    /// As [`SqlStore::token`].
    pub async fn session_customer(
        &self,
        customer_id: u32,
        visitor_id: Option<u64>,
    ) -> Result<Option<SessionCustomerRow>, StoreError> {
        // A number that the column cannot hold is no visitor's.
        let visitor_id = visitor_id.and_then(|id| i64::try_from(id).ok());
        let found = query(SESSION_CUSTOMER).bind(customer_id).bind(visitor_id);
        let row = found.fetch_optional(&self.readers).await?;
        row.map_or(Ok(None), |row| mapper::session_customer(&Columns(&row)))
    }

    /// Finds the admin whom a session names, and the row of that login.
    ///
    /// # Errors
    ///
    /// As [`SqlStore::token`].
    pub async fn session_admin(
        &self,
        user_id: u32,
        session_row: Option<u32>,
    ) -> Result<Option<SessionAdminRow>, StoreError> {
        let found = query(SESSION_ADMIN).bind(user_id).bind(session_row);
        let row = found.fetch_optional(&self.readers).await?;
        row.map_or(Ok(None), |row| mapper::session_admin(&Columns(&row)))
    }

    /// Finds a consumer by its key and a token by its value, each on its own: whether the token is the consumer's is
    /// for the rules to say.
    ///
    /// # Errors
    ///
    /// As [`SqlStore::token`].
    pub async fn oauth(&self, consumer_key: &[u8], token: &[u8]) -> Result<OauthRows, StoreError> {
        let (consumer_key, token) = (storable(consumer_key), storable(token));
        if consumer_key.is_none() && token.is_none() {
            return Ok(OauthRows { consumer: None, token: None });
        }
        let row = query(OAUTH).bind(consumer_key).bind(token).fetch_one(&self.readers).await?;
        let row = Columns(&row);
        Ok(OauthRows { consumer: mapper::consumer(&row)?, token: mapper::token(&row)? })
    }

    /// The newest consumer secrets as stored, some hundred of them: enough to tell whether a crypt key is theirs.
    ///
    /// # Errors
    ///
    /// As [`SqlStore::token`].
    pub async fn some_consumer_secrets(&self) -> Result<Vec<Secret<String>>, StoreError> {
        let secrets = query(
            r#"SELECT secret AS "oauth_consumer.secret" FROM {oauth_consumer} ORDER BY entity_id DESC LIMIT 256"#,
        );
        let rows = secrets.fetch_all(&self.readers).await?;
        rows.iter().map(|row| Columns(row).secret("oauth_consumer.secret")).collect()
    }
}

/// A presented credential as text, if a column could hold it.
fn storable(credential: &[u8]) -> Option<&str> {
    let is_sized = (1..=MAX_CREDENTIAL_BYTES).contains(&credential.len());
    if is_sized { std::str::from_utf8(credential).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_lookup_scans_a_table() {
        let store = SqlStore::open("sqlite::memory:").await.unwrap();
        for (statement, searches) in
            [(TOKEN, 6), (OAUTH, 8), (ADMIN, 2), (CUSTOMER, 2), (SESSION_CUSTOMER, 2), (SESSION_ADMIN, 2)]
        {
            let plan = store.plan_for_test(statement).await;
            assert_eq!(plan.iter().filter(|step| step.starts_with("SEARCH")).count(), searches, "{plan:#?}");
            // The constant row of OAUTH is no table.
            let scans = |step: &&String| {
                step.starts_with("SCAN") && !["SCAN CONSTANT ROW", "SCAN request"].contains(&step.as_str())
            };
            assert_eq!(plan.iter().filter(scans).count(), 0, "{plan:#?}");
        }
    }

    #[tokio::test]
    async fn what_no_column_can_hold_is_answered_without_a_query() {
        let store = SqlStore::open("sqlite::memory:").await.unwrap();
        store.close().await;
        for token in [&b""[..], b"\xff\xfe", &[b'a'; 256]] {
            assert!(store.token(token).await.unwrap().is_none());
            let rows = store.oauth(token, token).await.unwrap();
            assert!(rows.consumer.is_none() && rows.token.is_none());
        }
        assert!(store.user(UserType::Guest, 1).await.unwrap().is_none());
        assert!(store.user(UserType::Integration, 1).await.unwrap().is_none());
        assert!(store.token(&[b'a'; 255]).await.unwrap_err().is_unavailable());
    }
}
