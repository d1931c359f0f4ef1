//! What is done to Magento's tables, feature by feature: the least rights that each of them works with.
//!
//! Columns are named where a table holds more than Portcullis should see, such as passwords; where none is named the right is to the
//! whole table.

/// Something that Portcullis does, or leaves to Magento.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feature {
    /// Deciding about requests. Always.
    Lookups,
    /// Sessions as proof: `sessions.handler`.
    Sessions,
    /// Issuing and revoking tokens: `tokens.issuer`.
    Issuing,
    /// The handshake and integrations: `handshake.issuer`, `integrations`.
    Integrations,
    /// Cleaning up: `jobs`.
    Jobs,
    /// Enabling and disabling users from the shell: `portcullis user`.
    Accounts,
}

/// A right to a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// `SELECT`.
    Select,
    /// `INSERT`.
    Insert,
    /// `UPDATE`.
    Update,
    /// `DELETE`.
    Delete,
}

/// A right that a feature needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// What for.
    pub feature: Feature,
    /// The table, without a prefix.
    pub table: &'static str,
    /// The right.
    pub right: Right,
    /// The columns that are read or written.
    pub columns: &'static [&'static str],
    /// Whether the right may be given for these columns alone.
    pub is_by_column: bool,
}

impl Feature {
    /// Every feature.
    pub const ALL: [Self; 6] =
        [Self::Lookups, Self::Sessions, Self::Issuing, Self::Integrations, Self::Jobs, Self::Accounts];

    /// The settings that ask for it.
    #[must_use]
    pub const fn setting(self) -> &'static str {
        match self {
            Self::Lookups => "store.url",
            Self::Sessions => "sessions.handler",
            Self::Issuing => "tokens.issuer",
            Self::Integrations => "handshake.issuer",
            Self::Jobs => "jobs",
            Self::Accounts => "portcullis user",
        }
    }

    /// How to do without it.
    #[must_use]
    pub const fn way_around(self) -> Option<&'static str> {
        match self {
            Self::Lookups | Self::Accounts => None,
            Self::Sessions => Some("sessions.handler = \"off\""),
            Self::Issuing => Some("tokens.issuer = \"upstream\""),
            Self::Integrations => Some("handshake.issuer = \"upstream\" and no integrations.file"),
            Self::Jobs => Some("an interval of 0s for each of [jobs]"),
        }
    }
}

impl Right {
    /// The right in SQL.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Select => "SELECT",
            Self::Insert => "INSERT",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
        }
    }
}

const fn whole(
    feature: Feature,
    table: &'static str,
    right: Right,
    columns: &'static [&'static str],
) -> Need {
    Need { feature, table, right, columns, is_by_column: false }
}

const fn by_column(
    feature: Feature,
    table: &'static str,
    right: Right,
    columns: &'static [&'static str],
) -> Need {
    Need { feature, table, right, columns, is_by_column: true }
}

/// Every need. The order is that of the script of grants.
pub const NEEDS: &[Need] = &[
    whole(
        Feature::Lookups,
        "oauth_token",
        Right::Select,
        &[
            "entity_id",
            "consumer_id",
            "admin_id",
            "customer_id",
            "type",
            "token",
            "secret",
            "verifier",
            "callback_url",
            "revoked",
            "user_type",
            "created_at",
        ],
    ),
    whole(
        Feature::Lookups,
        "oauth_consumer",
        Right::Select,
        &[
            "entity_id",
            "name",
            "key",
            "secret",
            "callback_url",
            "rejected_callback_url",
            "created_at",
            "updated_at",
        ],
    ),
    whole(
        Feature::Lookups,
        "integration",
        Right::Select,
        &[
            "integration_id",
            "name",
            "email",
            "endpoint",
            "status",
            "consumer_id",
            "setup_type",
            "identity_link_url",
        ],
    ),
    by_column(Feature::Lookups, "admin_user", Right::Select, &["user_id", "username", "is_active"]),
    by_column(
        Feature::Lookups,
        "customer_entity",
        Right::Select,
        &["entity_id", "email", "website_id", "is_active", "session_cutoff"],
    ),
    whole(Feature::Lookups, "jwt_auth_revoked", Right::Select, &["user_type_id", "user_id", "revoke_before"]),
    whole(
        Feature::Lookups,
        "authorization_role",
        Right::Select,
        &["role_id", "parent_id", "tree_level", "role_type", "user_id", "user_type", "role_name"],
    ),
    whole(
        Feature::Lookups,
        "authorization_rule",
        Right::Select,
        &["rule_id", "role_id", "resource_id", "privileges", "permission"],
    ),
    by_column(
        Feature::Lookups,
        "core_config_data",
        Right::Select,
        &["config_id", "scope", "scope_id", "path", "value"],
    ),
    by_column(Feature::Lookups, "store", Right::Select, &["store_id", "code", "website_id"]),
    by_column(Feature::Lookups, "store_group", Right::Select, &["group_id", "default_store_id"]),
    by_column(
        Feature::Lookups,
        "store_website",
        Right::Select,
        &["website_id", "code", "default_group_id", "is_default"],
    ),
    by_column(Feature::Sessions, "customer_visitor", Right::Select, &["visitor_id", "created_at"]),
    by_column(Feature::Sessions, "admin_user_session", Right::Select, &["id", "user_id", "status"]),
    by_column(Feature::Issuing, "admin_user", Right::Select, &["password", "lognum"]),
    by_column(Feature::Issuing, "admin_user", Right::Update, &["logdate", "lognum", "password"]),
    by_column(
        Feature::Issuing,
        "customer_entity",
        Right::Select,
        &["password_hash", "confirmation", "failures_num", "first_failure", "lock_expires"],
    ),
    by_column(
        Feature::Issuing,
        "customer_entity",
        Right::Update,
        &["password_hash", "failures_num", "first_failure", "lock_expires"],
    ),
    whole(
        Feature::Issuing,
        "oauth_token_request_log",
        Right::Select,
        &["user_name", "user_type", "failures_count", "lock_expires_at"],
    ),
    whole(
        Feature::Issuing,
        "oauth_token_request_log",
        Right::Insert,
        &["user_name", "user_type", "failures_count", "lock_expires_at"],
    ),
    whole(Feature::Issuing, "oauth_token_request_log", Right::Update, &["failures_count", "lock_expires_at"]),
    whole(Feature::Issuing, "oauth_token_request_log", Right::Delete, &[]),
    whole(
        Feature::Issuing,
        "oauth_token",
        Right::Insert,
        &[
            "admin_id",
            "customer_id",
            "consumer_id",
            "type",
            "token",
            "secret",
            "callback_url",
            "user_type",
            "created_at",
        ],
    ),
    whole(Feature::Issuing, "oauth_token", Right::Update, &["revoked"]),
    whole(Feature::Issuing, "oauth_token", Right::Delete, &[]),
    whole(Feature::Issuing, "jwt_auth_revoked", Right::Insert, &["user_type_id", "user_id", "revoke_before"]),
    whole(Feature::Issuing, "jwt_auth_revoked", Right::Update, &["revoke_before"]),
    whole(
        Feature::Integrations,
        "oauth_consumer",
        Right::Insert,
        &["name", "key", "secret", "callback_url", "rejected_callback_url", "created_at"],
    ),
    whole(Feature::Integrations, "oauth_consumer", Right::Update, &["secret", "updated_at"]),
    whole(Feature::Integrations, "oauth_consumer", Right::Delete, &[]),
    whole(
        Feature::Integrations,
        "oauth_token",
        Right::Insert,
        &["consumer_id", "type", "token", "secret", "verifier", "callback_url", "user_type", "created_at"],
    ),
    whole(
        Feature::Integrations,
        "oauth_token",
        Right::Update,
        &["type", "token", "secret", "callback_url", "created_at", "revoked"],
    ),
    whole(Feature::Integrations, "oauth_token", Right::Delete, &[]),
    whole(
        Feature::Integrations,
        "integration",
        Right::Insert,
        &[
            "name",
            "email",
            "endpoint",
            "identity_link_url",
            "setup_type",
            "status",
            "consumer_id",
            "created_at",
            "updated_at",
        ],
    ),
    whole(
        Feature::Integrations,
        "integration",
        Right::Update,
        &[
            "name",
            "email",
            "endpoint",
            "identity_link_url",
            "setup_type",
            "status",
            "consumer_id",
            "updated_at",
        ],
    ),
    whole(Feature::Integrations, "integration", Right::Delete, &[]),
    whole(
        Feature::Integrations,
        "authorization_role",
        Right::Insert,
        &["parent_id", "tree_level", "role_type", "user_id", "user_type", "role_name"],
    ),
    whole(Feature::Integrations, "authorization_role", Right::Delete, &[]),
    whole(
        Feature::Integrations,
        "authorization_rule",
        Right::Insert,
        &["role_id", "resource_id", "permission"],
    ),
    whole(Feature::Integrations, "authorization_rule", Right::Delete, &[]),
    whole(Feature::Jobs, "oauth_token_request_log", Right::Select, &["lock_expires_at"]),
    whole(Feature::Jobs, "oauth_token_request_log", Right::Delete, &[]),
    whole(Feature::Jobs, "oauth_token", Right::Delete, &[]),
    whole(Feature::Jobs, "oauth_nonce", Right::Select, &["timestamp"]),
    whole(Feature::Jobs, "oauth_nonce", Right::Delete, &[]),
    by_column(Feature::Accounts, "admin_user", Right::Update, &["is_active", "modified"]),
    by_column(Feature::Accounts, "customer_entity", Right::Update, &["is_active", "updated_at"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_grants_what_is_needed_and_nothing_else() {
        let script = include_str!("../../../../deploy/mysql/grants.sql");
        let granted: Vec<&str> = script.lines().filter(|line| line.starts_with("GRANT ")).collect();
        let needed: Vec<String> = NEEDS.iter().map(grant).collect();
        assert_eq!(granted, needed);
    }

    fn grant(need: &Need) -> String {
        let quoted: Vec<String> = need.columns.iter().map(|column| format!("`{column}`")).collect();
        let columns = if need.is_by_column { format!(" ({})", quoted.join(", ")) } else { String::new() };
        let (right, table) = (need.right.word(), need.table);
        format!("GRANT {right}{columns} ON `magento`.`{table}` TO 'portcullis'@'%';")
    }
}
