//! What happened to the store between recorded cases: the one seeding table.
//!
//! A recording holds what Magento did to its own tables only in `db_after`, `rows_left`, `jwt_auth_revoked` and in the
//! descriptions; of what the gate does not do itself, in front of a silent upstream, it has to be told. Each line says before which case the store
//! changes, how, and where the recording says so. Settings need no line: they are a case's `preconditions.config`.

/// A change of the store.
pub(crate) struct Change {
    /// The first case that met it.
    pub(crate) before: &'static str,
    /// What Magento, or the recorder, had done.
    pub(crate) sql: &'static str,
}

/// Topics whose cases change what later ones meet, or run under settings of their own.
pub(crate) const TOPICS: [&str; 7] = [
    "bearer_revoke",
    "jwt_algorithms",
    "opaque_mode",
    "webapi_allow_insecure",
    "account_state",
    "graphql",
    "token_issue",
];

const fn before(case: &'static str, sql: &'static str) -> Change {
    Change { before: case, sql }
}

pub(crate) const CHANGES: &[Change] = &[
    // Description: "bob opaque before revoke"; it was made in the second of the case.
    before(
        "bearer_revoke/before_opaque",
        "INSERT INTO oauth_token (customer_id, user_type, type, token, secret, callback_url, created_at) VALUES
        (2, 3, 'access', 'vq4zqgn9asn8dgoos6kx2v2c6fz61fdw', '', '', datetime(1795248020, 'unixepoch'))",
    ),
    // Description: "jwt_auth_revoked row deleted by SQL".
    before(
        "bearer_revoke/row_deleted_cache_still",
        "DELETE FROM jwt_auth_revoked WHERE user_type_id = 3 AND user_id = 2",
    ),
    // Description: "revoke_before in the future, written by SQL"; how far is not told.
    before("bearer_revoke/row_inserted_future", "INSERT INTO jwt_auth_revoked VALUES (3, 3, 1795249022)"),
    // Description: "the (future) revocation is gone".
    before(
        "bearer_revoke/row_deleted_flush",
        "DELETE FROM jwt_auth_revoked WHERE user_type_id = 3 AND user_id = 3",
    ),
    // Description: "revocation row for user type 1".
    before("bearer_revoke/row_type1", "INSERT INTO jwt_auth_revoked VALUES (1, 3, 1795248024)"),
    // `db_after` of customer_issue and admin_issue; the second customer token is the one that use_second presents. The
    // fixture holds the admin's token as it was at the end.
    before(
        "opaque_mode/customer_issue_again",
        "INSERT OR REPLACE INTO oauth_token (customer_id, admin_id, user_type, type, token, secret, callback_url, created_at) VALUES
        (2, NULL, 3, 'access', 'ap6e68w2gcmnmawu6h3jodccsz9kqxd1', '', '', datetime(1795249805, 'unixepoch')),
        (NULL, 1, 2, 'access', 'r5ninriqhp0fwytmmu0nt50byx5my5ag', '', '', datetime(1795249805, 'unixepoch'))",
    ),
    before(
        "opaque_mode/use_first",
        "INSERT INTO oauth_token (customer_id, user_type, type, token, secret, callback_url, created_at) VALUES
        (2, 3, 'access', 'aoj3nes92l18asua96riuitfk2w0nuun', '', '', datetime(1795249806, 'unixepoch'))",
    ),
    // Descriptions: "created_at … s ago".
    before(
        "opaque_mode/age_cust_3599",
        "UPDATE oauth_token SET created_at = datetime(1795249806 - 3590, 'unixepoch') WHERE token LIKE 'ap6e%'",
    ),
    before(
        "opaque_mode/age_cust_3600",
        "UPDATE oauth_token SET created_at = datetime(1795249807 - 3600, 'unixepoch') WHERE token LIKE 'ap6e%'",
    ),
    before(
        "opaque_mode/age_admin_14399",
        "UPDATE oauth_token SET created_at = datetime(1795249807 - 14390, 'unixepoch') WHERE token LIKE 'r5ni%'",
    ),
    before(
        "opaque_mode/age_admin_14400",
        "UPDATE oauth_token SET created_at = datetime(1795249807 - 14400, 'unixepoch') WHERE token LIKE 'r5ni%'",
    ),
    // A token of this second, so that the lifetime alone can refuse it; then "30 days old"; then fresh again.
    before(
        "opaque_mode/lifetime_empty",
        "UPDATE oauth_token SET created_at = datetime(1795249811, 'unixepoch') WHERE token LIKE 'ap6e%'",
    ),
    before(
        "opaque_mode/lifetime_empty_30d",
        "UPDATE oauth_token SET created_at = datetime(1795249811 - 30 * 86400, 'unixepoch') WHERE token LIKE 'ap6e%'",
    ),
    before(
        "opaque_mode/lifetime_half",
        "UPDATE oauth_token SET created_at = datetime(1795249813, 'unixepoch') WHERE token LIKE 'ap6e%'",
    ),
    // The token that customer_issue_after_revoke answered is the one that use_after_revoke presents; dated as the gate dates
    // one that it issues in the second of a revocation.
    before(
        "opaque_mode/use_after_revoke",
        "INSERT INTO oauth_token (customer_id, user_type, type, token, secret, callback_url, created_at) VALUES
        (2, 3, 'access', '0wt4ei2pt0dfboao7d911bawjfqvmsbg', '', '', datetime(1795249817, 'unixepoch'))",
    ),
    // `jwt_auth_revoked` of pw_change_after: somebody else's row, from an earlier topic.
    before("account_state/pw_change_after", "INSERT INTO jwt_auth_revoked VALUES (3, 1, 1795248679)"),
    // Description: "admin_user.is_active=0 by SQL".
    before("account_state/admin_inactive_sql", "UPDATE admin_user SET is_active = 0 WHERE user_id = 3"),
    // What the deletion of customer 3 left: no row, and the revocation that Magento's plugin writes (MAGENTO_FACTS 19).
    before("account_state/customer_deleted_jwt_self", "DELETE FROM customer_entity WHERE entity_id = 3"),
    before(
        "account_state/customer_deleted_jwt_self",
        "INSERT INTO jwt_auth_revoked VALUES (3, 3, 1795249050)",
    ),
    // Descriptions: which lock is still there; `db_after`: every row of the log was given this date.
    before(
        "token_issue/cust_lock_log_expired_entity_locked",
        "UPDATE oauth_token_request_log SET lock_expires_at = '2020-01-01 00:00:00'",
    ),
    before(
        "token_issue/cust_lock_all_expired",
        "UPDATE customer_entity SET lock_expires = '2020-01-01 00:00:00' WHERE email = 'lockcust@example.com'",
    ),
    before(
        "token_issue/admin_lock_log_expired",
        "UPDATE oauth_token_request_log SET lock_expires_at = '2020-01-01 00:00:00'",
    ),
    before(
        "token_issue/admin_lock_all_expired",
        "UPDATE admin_user SET lock_expires = '2020-01-01 00:00:00' WHERE username = 'lockadmin'",
    ),
    // What revokeCustomerToken of the case before wrote.
    before("graphql/after_revoke_me", "INSERT INTO jwt_auth_revoked VALUES (3, 2, 1795252282)"),
];

/// The changes that a case is the first to meet.
pub(crate) fn changes_before(case: &str) -> impl Iterator<Item = &'static str> {
    CHANGES.iter().filter(move |change| change.before == case).map(|change| change.sql)
}
