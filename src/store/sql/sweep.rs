//! Deleting what is past its time, a batch a statement.
//!
//! The rows to go are looked for first, which blocks nobody, and then deleted by their ids in one short write that looks at the
//! condition again: a row that was renewed between the two stays.

use sqlx::{query, query_scalar};

use super::{sqlite::SqlStore, timestamp};
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

macro_rules! sweep {
    ($table:literal, $condition:literal) => {
        (
            concat!("SELECT rowid FROM ", $table, " WHERE ", $condition, " LIMIT ?3"),
            concat!(
                "DELETE FROM ",
                $table,
                " WHERE rowid IN (SELECT value FROM json_each(?3)) AND ",
                $condition
            ),
        )
    };
}

impl Stale {
    /// The statements that find and delete, with ?1 for the time and ?2 for the type of user.
    const fn statements(self) -> (&'static str, &'static str) {
        match self {
            Self::AuthenticationFailures(_) => sweep!("oauth_token_request_log", "lock_expires_at <= ?1"),
            Self::UserTokens(..) => sweep!("oauth_token", "created_at <= ?1 AND user_type = ?2"),
            Self::Nonces(_) => sweep!("oauth_nonce", "timestamp <= ?1"),
            // Magento goes by `created_at` alone, which is that of the verifier however old (4.6): a handshake under way could
            // lose its row between two steps. The consumer's `updated_at` moves when one begins (4.2).
            Self::Handshakes(_) => sweep!(
                "oauth_token",
                "created_at <= ?1 AND type IN ('request', 'verifier') AND NOT EXISTS (
                    SELECT 1 FROM oauth_consumer AS c
                    WHERE c.entity_id = oauth_token.consumer_id AND c.updated_at > ?1)"
            ),
            Self::Revocations(_) => sweep!("jwt_auth_revoked", "revoke_before <= ?1"),
            Self::OlderSecrets(_) => sweep!("portcullis_older_secret", "ends_at <= ?1"),
            Self::OlderTokens(_) => sweep!(
                "oauth_token",
                "entity_id IN (SELECT token_id FROM portcullis_older_token WHERE ends_at <= ?1)"
            ),
        }
    }

    /// The time as its column holds it: text, or seconds.
    fn time(self) -> Result<Time, StoreError> {
        let text = |time, column| timestamp::format(time).map(Time::Text).ok_or(StoreError::Unfit { column });
        match self {
            Self::AuthenticationFailures(time) => text(time, "oauth_token_request_log.lock_expires_at"),
            Self::UserTokens(_, time) | Self::Handshakes(time) => text(time, "oauth_token.created_at"),
            Self::OlderSecrets(time) => text(time, "portcullis_older_secret.ends_at"),
            Self::OlderTokens(time) => text(time, "portcullis_older_token.ends_at"),
            Self::Nonces(time) | Self::Revocations(time) => Ok(Time::Seconds(time.seconds())),
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
}

enum Time {
    Text(String),
    Seconds(i64),
}

impl SqlStore {
    /// Deletes some of the rows that are past their time.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage, [`StoreError::Unfit`] for a time that no column can hold.
    pub async fn sweep(&self, stale: Stale, most: u32) -> Result<Swept, StoreError> {
        let (find, delete) = stale.statements();
        let time = stale.time()?;
        let find = match &time {
            Time::Text(text) => query_scalar::<_, i64>(find).bind(text.as_str()),
            Time::Seconds(seconds) => query_scalar(find).bind(seconds),
        };
        let found = find.bind(stale.user_type()).bind(most).fetch_all(&self.pool).await?;
        if found.is_empty() {
            return Ok(Swept { deleted: 0, may_be_more: false });
        }
        let delete = match &time {
            Time::Text(text) => query(delete).bind(text.as_str()),
            Time::Seconds(seconds) => query(delete).bind(seconds),
        };
        let ids = found.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
        let done = delete.bind(stale.user_type()).bind(format!("[{ids}]")).execute(&self.pool).await?;
        let may_be_more = found.len() >= usize::try_from(most).unwrap_or(usize::MAX);
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
        sqlx::raw_sql(rows).execute(&store.pool).await.unwrap();
        store
    }

    async fn left(store: &SqlStore, stale: Stale, column: &'static str) -> Vec<String> {
        while store.sweep(stale, 1).await.unwrap().may_be_more {}
        query_scalar(column).fetch_all(&store.pool).await.unwrap()
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
