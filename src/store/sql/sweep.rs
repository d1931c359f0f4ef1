//! Deleting what is past its time, a batch a statement.
//!
//! In SQLite, where a writer blocks the others, the rows to go are looked for first and then deleted by their ids in one short
//! write. Every delete looks at the condition of its rows: one that was renewed meanwhile stays.

use super::{
    columns::Columns,
    dialect::Dialect,
    statement::{Query, Stamp, Value, query},
    store::SqlStore,
};
use crate::{
    auth::{identity::UserType, time::UnixTime},
    store::StoreError,
};

/// Rows that are past their time (`MAGENTO_AUTH` 3.4, 4.6, 14.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stale {
    /// `oauth_token_request_log` whose lock expired by this time.
    AuthenticationFailures(UnixTime),
    /// `oauth_token` of such users, issued by this time.
    UserTokens(UserType, UnixTime),
    /// `oauth_nonce` with timestamps up to this one.
    Nonces(UnixTime),
    /// Request and verifier tokens made by this time, of consumers that did nothing since.
    Handshakes(UnixTime),
    /// `jwt_auth_revoked` up to this time.
    Revocations(UnixTime),
    /// `portcullis_older_secret` that ended by this time.
    OlderSecrets(UnixTime),
    /// `oauth_token` that a rotation replaced, and that ended by this time.
    OlderTokens(UnixTime),
}

/// What a batch came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Swept {
    /// Rows deleted.
    pub deleted: u64,
    /// Whether there may be more.
    pub may_be_more: bool,
}

/// What finds and deletes, with ?1 for the time, ?2 for the most rows or for those that were found, ?3 for the type of user.
struct Statements {
    sqlite: (&'static str, &'static str),
    mysql: &'static str,
    postgres: &'static str,
}

macro_rules! sweep {
    ($table:literal, $condition:literal) => {
        Statements {
            sqlite: (
                concat!(r#"SELECT rowid AS "row.id" FROM "#, $table, " WHERE ", $condition, " LIMIT ?2"),
                concat!(
                    "DELETE FROM ",
                    $table,
                    " WHERE rowid IN (SELECT value FROM json_each(?2)) AND ",
                    $condition
                ),
            ),
            mysql: concat!("DELETE FROM ", $table, " WHERE ", $condition, " LIMIT ?2"),
            // Where a row stands is its name until it is written again.
            postgres: concat!(
                "DELETE FROM ",
                $table,
                " WHERE ctid = ANY (ARRAY (SELECT ctid FROM ",
                $table,
                " WHERE ",
                $condition,
                " LIMIT ?2)) AND ",
                $condition
            ),
        }
    };
}

impl Stale {
    const fn statements(self) -> Statements {
        match self {
            Self::AuthenticationFailures(_) => sweep!("{oauth_token_request_log}", "lock_expires_at <= ?1"),
            Self::UserTokens(..) => sweep!("{oauth_token}", "created_at <= ?1 AND user_type = ?3"),
            Self::Nonces(_) => sweep!("{oauth_nonce}", r#""timestamp" <= ?1"#),
            // Magento goes by `created_at` alone, which is that of the verifier however old (4.6): a handshake under way could
            // lose its row between two steps. The consumer's `updated_at` moves when one begins (4.2).
            Self::Handshakes(_) => sweep!(
                "{oauth_token}",
                "created_at <= ?1 AND [[type IN ('request', 'verifier')|type = 'request']] AND NOT EXISTS (
                    SELECT 1 FROM {oauth_consumer} AS c
                    WHERE c.entity_id = {oauth_token}.consumer_id AND c.updated_at > ?1)"
            ),
            Self::Revocations(_) => sweep!("{jwt_auth_revoked}", "revoke_before <= ?1"),
            Self::OlderSecrets(_) => sweep!("{portcullis_older_secret}", "ends_at <= ?1"),
            Self::OlderTokens(_) => sweep!(
                "{oauth_token}",
                "entity_id IN (SELECT token_id FROM {portcullis_older_token} WHERE ends_at <= ?1)"
            ),
        }
    }

    /// The time as its column holds it: a time, or seconds.
    fn time(self) -> Result<Value<'static>, StoreError> {
        match self {
            Self::AuthenticationFailures(time) => {
                Ok(Stamp::new(time, "oauth_token_request_log.lock_expires_at")?.into())
            }
            Self::UserTokens(_, time) | Self::Handshakes(time) => {
                Ok(Stamp::new(time, "oauth_token.created_at")?.into())
            }
            Self::OlderSecrets(time) => Ok(Stamp::new(time, "portcullis_older_secret.ends_at")?.into()),
            Self::OlderTokens(time) => Ok(Stamp::new(time, "portcullis_older_token.ends_at")?.into()),
            Self::Nonces(time) | Self::Revocations(time) => Ok(time.seconds().into()),
        }
    }

    /// Whether Magento itself would delete such rows from its database.
    const fn is_magentos(self) -> bool {
        match self {
            Self::AuthenticationFailures(_)
            | Self::UserTokens(..)
            | Self::Nonces(_)
            | Self::Handshakes(_) => true,
            Self::Revocations(_) | Self::OlderSecrets(_) | Self::OlderTokens(_) => false,
        }
    }

    const fn user_type(self) -> Option<i64> {
        match self {
            Self::UserTokens(user_type, _) => Some(user_type as i64),
            Self::AuthenticationFailures(_)
            | Self::Nonces(_)
            | Self::Handshakes(_)
            | Self::Revocations(_)
            | Self::OlderSecrets(_)
            | Self::OlderTokens(_) => None,
        }
    }

    /// Adds the type of user, where the statement asks for it.
    fn bound(self, statement: Query<'_>) -> Query<'_> {
        match self.user_type() {
            Some(user_type) => statement.bind(user_type),
            None => statement,
        }
    }
}

impl SqlStore {
    /// Deletes some of the rows that are past their time. In a Magento's database those stay that Magento never deletes.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage, [`StoreError::Unfit`] for a time that no column can hold.
    pub async fn sweep(&self, stale: Stale, most: u32) -> Result<Swept, StoreError> {
        if self.is_magentos() && !stale.is_magentos() {
            return Ok(Swept { deleted: 0, may_be_more: false });
        }
        let statements = stale.statements();
        let delete = match self.pool.dialect() {
            Dialect::Sqlite => return self.sweep_found(statements.sqlite, stale, most).await,
            Dialect::MySql => statements.mysql,
            Dialect::Postgres => statements.postgres,
        };
        let done = self.execute_alone(stale.bound(query(delete).bind(stale.time()?).bind(most))).await?;
        Ok(Swept { deleted: done.rows_affected(), may_be_more: done.rows_affected() >= u64::from(most) })
    }

    /// Looks for the rows first, which blocks nobody, and then deletes them by their ids in one short write.
    async fn sweep_found(
        &self,
        (find, delete): (&'static str, &'static str),
        stale: Stale,
        most: u32,
    ) -> Result<Swept, StoreError> {
        let rows = stale.bound(query(find).bind(stale.time()?).bind(most)).fetch_all(&self.pool).await?;
        if rows.is_empty() {
            return Ok(Swept { deleted: 0, may_be_more: false });
        }
        let ids: Vec<i64> = rows.iter().map(|row| Columns(row).number("row.id")).collect::<Result<_, _>>()?;
        let ids = ids.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
        let delete = query(delete).bind(stale.time()?).bind(format!("[{ids}]"));
        let done = stale.bound(delete).execute(&self.pool).await?;
        let may_be_more = rows.len() >= usize::try_from(most).unwrap_or(usize::MAX);
        Ok(Swept { deleted: done.rows_affected(), may_be_more })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21 08:00:00.
    const NOW: UnixTime = UnixTime::from_seconds(1_795_248_000);

    async fn store(rows: &'static str) -> SqlStore {
        let store = SqlStore::open("sqlite::memory:").await.unwrap();
        store.execute_for_test(rows).await;
        store
    }

    async fn left(store: &SqlStore, stale: Stale, column: &'static str) -> Vec<String> {
        while store.sweep(stale, 1).await.unwrap().may_be_more {}
        store.read_for_test(column).await
    }

    #[tokio::test]
    async fn locks_go_when_they_expired() {
        let store = store(
            "INSERT INTO oauth_token_request_log (user_name, user_type, lock_expires_at) VALUES
            ('past', 2, '2026-11-21 07:59:59'), ('now', 2, '2026-11-21 08:00:00'),
            ('future', 2, '2026-11-21 08:00:01'), ('zero', 2, '0000-00-00 00:00:00')",
        )
        .await;
        let names = "SELECT user_name FROM oauth_token_request_log";
        assert_eq!(left(&store, Stale::AuthenticationFailures(NOW), names).await, ["future"]);
    }

    #[tokio::test]
    async fn only_tokens_of_such_users_go() {
        let store = store(
            "INSERT INTO oauth_token (type, token, secret, callback_url, user_type, created_at) VALUES
            ('access', 'old', '', '', 3, '2026-11-21 08:00:00'), ('access', 'young', '', '', 3, '2026-11-21 08:00:01'),
            ('access', 'older', '', '', 3, '2025-01-01 00:00:00'), ('access', 'admin', '', '', 2, '2025-01-01 00:00:00'),
            ('access', 'integration', '', '', 1, '2025-01-01 00:00:00'),
            ('access', 'nobody', '', '', NULL, '2025-01-01 00:00:00')",
        )
        .await;
        let tokens = "SELECT token FROM oauth_token ORDER BY entity_id";
        let stale = Stale::UserTokens(UserType::Customer, NOW);
        assert_eq!(left(&store, stale, tokens).await, ["young", "admin", "integration", "nobody"]);
    }

    #[tokio::test]
    async fn handshakes_that_rest_go_and_those_under_way_stay() {
        let store = store(
            "INSERT INTO oauth_consumer (entity_id, name, key, secret, rejected_callback_url, updated_at) VALUES
            (1, '', 'a', 'a', '', '2026-11-21 08:00:01'), (2, '', 'b', 'b', '', '2026-11-20 00:00:00'),
            (3, '', 'c', 'c', '', NULL);
            INSERT INTO oauth_token (consumer_id, type, token, secret, callback_url, user_type, created_at) VALUES
            (1, 'request', 'under way', '', '', 1, '2026-11-20 00:00:00'),
            (2, 'request', 'resting', '', '', 1, '2026-11-20 00:00:00'),
            (2, 'verifier', 'verifier', '', '', 1, '2026-11-20 00:00:00'),
            (3, 'verifier', 'never', '', '', 1, '2026-11-20 00:00:00'),
            (2, 'access', 'access', '', '', 1, '2026-11-20 00:00:00'),
            (2, 'request', 'young', '', '', 1, '2026-11-21 08:00:01')",
        )
        .await;
        let tokens = "SELECT token FROM oauth_token ORDER BY entity_id";
        assert_eq!(left(&store, Stale::Handshakes(NOW), tokens).await, ["under way", "access", "young"]);
    }

    #[tokio::test]
    async fn nonces_and_revocations_go_by_their_seconds() {
        let store = store(
            "INSERT INTO oauth_consumer (entity_id, name, key, secret, rejected_callback_url) VALUES (1, '', 'a', 'a', '');
            INSERT INTO oauth_nonce VALUES ('old', 1795248000, 1), ('young', 1795248001, 1);
            INSERT INTO jwt_auth_revoked VALUES (2, 1, 1795248000), (3, 1, 1795248001)",
        )
        .await;
        assert_eq!(left(&store, Stale::Nonces(NOW), "SELECT nonce FROM oauth_nonce").await, ["young"]);
        let users = "SELECT CAST(user_type_id AS TEXT) FROM jwt_auth_revoked";
        assert_eq!(left(&store, Stale::Revocations(NOW), users).await, ["3"]);
    }

    #[tokio::test]
    async fn a_statement_deletes_a_batch_at_most() {
        let store = store(
            "INSERT INTO oauth_consumer (entity_id, name, key, secret, rejected_callback_url) VALUES (1, '', 'a', 'a', '');
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 250)
            INSERT INTO oauth_nonce SELECT 'n' || i, i, 1 FROM n",
        )
        .await;
        let swept = |deleted, may_be_more| Swept { deleted, may_be_more };
        let stale = Stale::Nonces(UnixTime::from_seconds(220));
        assert_eq!(store.sweep(stale, 100).await.unwrap(), swept(100, true));
        assert_eq!(store.sweep(stale, 100).await.unwrap(), swept(100, true));
        assert_eq!(store.sweep(stale, 100).await.unwrap(), swept(20, false));
        assert_eq!(store.sweep(stale, 100).await.unwrap(), swept(0, false));
    }
}
