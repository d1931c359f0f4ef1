//! What changed under cached facts, whoever changed it: the feed that triggers of the schema write.
//!
//! A subject stands in it once, with the number of its latest change. So a poll is one look at the newest number, and only
//! when that moved the subjects behind the last number seen are read. Nothing is ever cut off the front: whoever was away for
//! a day finds every subject that changed meanwhile.

use super::{
    columns::{Columns, Row},
    statement::query,
    store::SqlStore,
};
use crate::store::{StoreError, Subject};

/// Rows read at a time: a mass revocation must not hold one statement for long.
const PAGE: usize = 1000;

const NEWEST: &str = r#"SELECT max(seq) AS "portcullis_change.seq" FROM {portcullis_change}"#;

const BEHIND: &str = r#"
    SELECT seq AS "portcullis_change.seq", kind AS "portcullis_change.kind",
        subject AS "portcullis_change.subject"
    FROM {portcullis_change} WHERE seq > ?1 ORDER BY seq LIMIT ?2"#;

/// The number of the newest change that somebody has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChangeMark(i64);

/// Something that cached facts depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// Somebody's credentials, or whether they count.
    Subject(Subject),
    /// Roles, rules or settings; stores are read again at the next tick.
    Tables,
}

/// What happened since a mark.
#[derive(Debug, PartialEq, Eq)]
pub enum Changes {
    /// Nothing.
    None,
    /// This; there may be more behind the mark.
    Some(Vec<Changed>, ChangeMark),
    /// The feed is older than the mark: the database was replaced, and everything may have changed.
    Rewound(ChangeMark),
}

impl SqlStore {
    /// The mark of the newest change; take it before anything is cached.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage.
    pub async fn change_mark(&self) -> Result<ChangeMark, StoreError> {
        self.require_own("the feed of changes")?;
        let row = query(NEWEST).fetch_one(&self.readers).await?;
        Ok(ChangeMark(Columns(&row).optional_number("portcullis_change.seq")?.unwrap_or_default()))
    }

    /// What changed since a mark, a page at most.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage, [`StoreError::Corrupt`] where a row makes no sense.
    pub async fn changes_since(&self, seen: ChangeMark) -> Result<Changes, StoreError> {
        let newest = self.change_mark().await?;
        if newest == seen {
            return Ok(Changes::None);
        }
        if newest < seen {
            return Ok(Changes::Rewound(newest));
        }
        let page = query(BEHIND).bind(seen.0).bind(i64::try_from(PAGE).unwrap_or(i64::MAX));
        let rows = page.fetch_all(&self.readers).await?;
        let mut mark = seen;
        let mut changes = Vec::with_capacity(rows.len());
        for row in &rows {
            let (seq, change) = change(row)?;
            mark = mark.max(seq);
            changes.push(change);
        }
        Ok(Changes::Some(changes, mark))
    }
}

fn change(row: &Row) -> Result<(ChangeMark, Changed), StoreError> {
    let row = Columns(row);
    let seq = ChangeMark(row.number("portcullis_change.seq")?);
    let subject = || row.number("portcullis_change.subject");
    let change = match row.number::<i64>("portcullis_change.kind")? {
        0 => Changed::Tables,
        1 => Changed::Subject(Subject::Consumer(subject()?)),
        2 => Changed::Subject(Subject::Admin(subject()?)),
        3 => Changed::Subject(Subject::Customer(subject()?)),
        other => {
            let column = "portcullis_change.kind";
            return Err(StoreError::Corrupt { column, problem: other.to_string() });
        }
    };
    Ok((seq, change))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONSUMER: Changed = Changed::Subject(Subject::Consumer(4));
    const ADMIN: Changed = Changed::Subject(Subject::Admin(2));
    const CUSTOMER: Changed = Changed::Subject(Subject::Customer(3));

    async fn store() -> SqlStore {
        let store = SqlStore::open("sqlite::memory:").await.unwrap();
        let rows = "
            INSERT INTO admin_user (user_id, username, password) VALUES (2, 'ann', '');
            INSERT INTO customer_entity (entity_id, email, website_id) VALUES (3, 'a@b', 1);
            INSERT INTO oauth_consumer (entity_id, name, key, secret, rejected_callback_url) VALUES (4, '', 'k', 's', '');
            INSERT INTO integration (integration_id, name, email, status, consumer_id) VALUES (1, 'i', '', 1, 4);
            INSERT INTO oauth_token (consumer_id, type, token, secret, callback_url, user_type)
                VALUES (4, 'access', 'tc', '', '', 1);
            INSERT INTO oauth_token (admin_id, type, token, secret, callback_url, user_type)
                VALUES (2, 'access', 'ta', '', '', 2);
            INSERT INTO oauth_token (customer_id, type, token, secret, callback_url, user_type)
                VALUES (3, 'access', 'tu', '', '', 3);
            INSERT INTO authorization_role (role_id, role_name) VALUES (1, 'r')";
        store.execute_for_test(rows).await;
        store
    }

    async fn after(store: &SqlStore, statement: &'static str) -> Vec<Changed> {
        let mark = store.change_mark().await.unwrap();
        store.execute_for_test(statement).await;
        match store.changes_since(mark).await.unwrap() {
            Changes::None => Vec::new(),
            Changes::Some(changes, _) => changes,
            Changes::Rewound(_) => panic!("rewound by {statement}"),
        }
    }

    #[tokio::test]
    async fn what_may_end_a_grant_is_a_change_of_its_subject() {
        let store = store().await;
        for (statement, expected) in [
            ("UPDATE oauth_token SET revoked = 1 WHERE token = 'tc'", vec![CONSUMER]),
            // A cached caller outlived the end that a rotation gave its token.
            (
                "INSERT OR REPLACE INTO portcullis_older_token (token_id, ends_at)
                SELECT entity_id, '2027-01-01 00:00:00' FROM oauth_token WHERE token = 'tc'",
                vec![CONSUMER],
            ),
            ("UPDATE OR IGNORE oauth_token SET revoked = 1 WHERE token = 'tc'", vec![CONSUMER]),
            (
                "UPDATE oauth_token SET customer_id = 3, admin_id = NULL WHERE token = 'ta'",
                vec![ADMIN, CUSTOMER],
            ),
            ("DELETE FROM oauth_token WHERE token = 'tu'", vec![CUSTOMER]),
            ("UPDATE integration SET status = 0", vec![CONSUMER]),
            ("UPDATE admin_user SET is_active = 0", vec![ADMIN]),
            ("UPDATE customer_entity SET is_active = 0", vec![CUSTOMER]),
            ("INSERT INTO jwt_auth_revoked VALUES (3, 3, 5)", vec![CUSTOMER]),
            (
                "INSERT INTO jwt_auth_revoked VALUES (3, 3, 6) ON CONFLICT DO UPDATE SET revoke_before = 6",
                vec![CUSTOMER],
            ),
            ("INSERT OR REPLACE INTO jwt_auth_revoked VALUES (2, 2, 6)", vec![ADMIN]),
            ("INSERT INTO authorization_rule (role_id, resource_id) VALUES (1, 'x')", vec![Changed::Tables]),
            ("UPDATE authorization_rule SET permission = 'deny'", vec![Changed::Tables]),
            ("DELETE FROM authorization_role", vec![Changed::Tables]),
            ("INSERT INTO core_config_data (path, value) VALUES ('oauth/x', '1')", vec![Changed::Tables]),
            ("DELETE FROM integration", vec![CONSUMER]),
            ("DELETE FROM oauth_consumer", vec![CONSUMER]),
            ("DELETE FROM customer_entity", vec![CUSTOMER]),
            ("DELETE FROM admin_user", vec![ADMIN]),
        ] {
            assert_eq!(after(&store, statement).await, expected, "{statement}");
        }
    }

    #[tokio::test]
    async fn what_ends_no_grant_is_no_change() {
        let store = store().await;
        for statement in [
            "INSERT INTO oauth_nonce VALUES ('n', 1, 4)",
            "INSERT INTO oauth_token_request_log (user_name, user_type) VALUES ('x', 2)",
            "INSERT INTO oauth_token (customer_id, type, token, secret, callback_url, user_type)
                VALUES (3, 'access', 'new', '', '', 3)",
            "UPDATE admin_user SET logdate = '2026-01-01 00:00:00', failures_num = 3",
            "UPDATE customer_entity SET failures_num = 1, lock_expires = '2026-01-01 00:00:00'",
            "UPDATE oauth_consumer SET updated_at = '2026-01-01 00:00:00', callback_url = 'x'",
            "INSERT INTO jwt_auth_revoked VALUES (1, 3, 5)",
            "DELETE FROM jwt_auth_revoked",
        ] {
            assert_eq!(after(&store, statement).await, [], "{statement}");
        }
    }

    #[tokio::test]
    async fn a_subject_stands_once_and_pages_follow_each_other() {
        let store = store().await;
        let begin = store.change_mark().await.unwrap();
        for _ in 0..3 {
            after(&store, "UPDATE customer_entity SET is_active = 1").await;
        }
        let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)
            INSERT INTO jwt_auth_revoked SELECT 3, i, 1 FROM n";
        store.execute_for_test(fill).await;
        let Changes::Some(first, mark) = store.changes_since(begin).await.unwrap() else { panic!() };
        let Changes::Some(second, mark) = store.changes_since(mark).await.unwrap() else { panic!() };
        assert_eq!((first.len(), second.len()), (1000, 500));
        assert_eq!(store.changes_since(mark).await.unwrap(), Changes::None);
        store.execute_for_test("DELETE FROM portcullis_change WHERE seq > 5").await;
        assert!(matches!(store.changes_since(mark).await.unwrap(), Changes::Rewound(_)));
    }
}
