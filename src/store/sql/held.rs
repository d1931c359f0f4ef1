//! The tokens that somebody has, for an operator who looks at them.

use super::{SqlStore, TokenOwner, columns::Columns, statement::query};
use crate::{auth::secret::Secret, store::StoreError};

// By the column and by the kind: a customer's token is not the admin's in its other column.
const OF_CONSUMER: &str = r#"SELECT entity_id AS "oauth_token.entity_id", token AS "oauth_token.token" FROM {oauth_token}
    WHERE consumer_id = ?1 AND user_type = 1 ORDER BY entity_id DESC LIMIT ?2"#;
const OF_ADMIN: &str = r#"SELECT entity_id AS "oauth_token.entity_id", token AS "oauth_token.token" FROM {oauth_token}
    WHERE admin_id = ?1 AND user_type = 2 ORDER BY entity_id DESC LIMIT ?2"#;
const OF_CUSTOMER: &str = r#"SELECT entity_id AS "oauth_token.entity_id", token AS "oauth_token.token" FROM {oauth_token}
    WHERE customer_id = ?1 AND user_type = 3 ORDER BY entity_id DESC LIMIT ?2"#;

impl SqlStore {
    /// The tokens of an owner with their `entity_id`, the newest first, `limit` at most.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage, [`StoreError::Corrupt`] where a row makes no sense.
    pub async fn tokens_held(
        &self,
        owner: TokenOwner,
        limit: u32,
    ) -> Result<Vec<(u32, Secret<String>)>, StoreError> {
        let (statement, id) = match owner {
            TokenOwner::Consumer(id) => (OF_CONSUMER, id),
            TokenOwner::Admin(id) => (OF_ADMIN, id),
            TokenOwner::Customer(id) => (OF_CUSTOMER, id),
        };
        let rows = query(statement).bind(id).bind(limit).fetch_all(&self.pool).await?;
        let held =
            |row: Columns<'_>| Ok((row.number("oauth_token.entity_id")?, row.secret("oauth_token.token")?));
        rows.iter().map(|row| held(Columns(row))).collect()
    }
}
