//! What the store's tables say, read into types but not yet judged.
//!
//! The names are Magento's columns. A row here is a fact; whether it lets anybody in is decided in `facts`.

use crate::auth::{secret::Secret, time::UnixTime};

/// `oauth_token.type`. Text that Magento does not write is kept apart from what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenType {
    /// Usable to call the API.
    Access,
    /// Half-way through the handshake.
    Request,
    /// Before the handshake.
    Verifier,
    /// Anything else.
    Unknown,
}

/// One row of `oauth_token` with the rows that its owner columns point to.
#[derive(Debug, Clone)]
pub struct TokenRow {
    /// `entity_id`.
    pub id: u32,
    /// `type`.
    pub token_type: TokenType,
    /// `user_type` as stored: 1, 2, 3, or something nobody should have written.
    pub user_type: Option<i64>,
    /// `consumer_id`.
    pub consumer_id: Option<u32>,
    /// `secret` as stored: encrypted for access tokens, in clear for the others.
    pub secret: Secret<String>,
    /// `revoked` is not zero.
    pub is_revoked: bool,
    /// `created_at`, UTC; `None` for a zero date.
    pub created_at: Option<UnixTime>,
    /// The admin of `admin_id` where `user_type` is 2, the customer of `customer_id` where it is 3, if the row exists.
    pub user: Option<UserRow>,
    /// The integration whose `consumer_id` is this token's, if any.
    pub integration: Option<IntegrationRow>,
    /// When it ends, if it was rotated out.
    pub ends_at: Option<UnixTime>,
}

/// An `admin_user` or `customer_entity` row with its `jwt_auth_revoked` row.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UserRow {
    /// `user_id` or `entity_id`.
    pub id: u32,
    /// `is_active` is 1.
    pub is_active: bool,
    /// `customer_entity.website_id`; `None` for admins.
    pub website_id: Option<u16>,
    /// `jwt_auth_revoked.revoke_before`: tokens issued at or before it are dead.
    pub revoke_before: Option<UnixTime>,
}

/// A row of `integration`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IntegrationRow {
    /// `integration_id`.
    pub id: u32,
    /// `name`.
    pub name: String,
    /// `status` is 1 (0 is inactive, 2 recreated).
    pub is_active: bool,
}

/// What an OAuth request names: a consumer by key and a token by value, both byte-exact.
#[derive(Debug, Clone)]
pub struct OauthRows {
    /// The row of `oauth_consumer`, if the key exists.
    pub consumer: Option<ConsumerRow>,
    /// The row of `oauth_token`, if the token exists (whoever owns it).
    pub token: Option<TokenRow>,
}

/// A row of `oauth_consumer`.
#[derive(Debug, Clone)]
pub struct ConsumerRow {
    /// `entity_id`.
    pub id: u32,
    /// `secret` as stored, encrypted.
    pub secret: Secret<String>,
    /// The secret before it, encrypted, and when that one ends.
    pub older_secret: Option<(Secret<String>, UnixTime)>,
}

/// The small tables that every decision may need, read whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ReferenceRows {
    /// `store`, ordered by id.
    pub stores: Vec<StoreRow>,
    /// `store_website`, ordered by id.
    pub websites: Vec<WebsiteRow>,
    /// The `store_id` that a request without a store code means: the default store of the default group of the
    /// default website.
    pub default_store_id: Option<u16>,
    /// `authorization_role`, ordered by `tree_level`, then `role_id`.
    pub roles: Vec<RoleRow>,
    /// `authorization_rule`, ordered by `rule_id`.
    pub rules: Vec<RuleRow>,
}

/// A row of `store`: a store view.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StoreRow {
    /// `store_id`; 0 is the admin store.
    pub id: u16,
    /// `code`, as it stands in `/rest/<code>/V1`.
    pub code: String,
    /// `website_id`.
    pub website_id: u16,
}

/// A row of `store_website`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WebsiteRow {
    /// `website_id`; 0 is the admin website.
    pub id: u16,
    /// `code`; empty where there is none.
    pub code: String,
}

/// The customer whom a session names, and what its age is measured by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionCustomerRow {
    /// The customer; `revoke_before` is not asked for, because revoking tokens ends no session.
    pub user: UserRow,
    /// `customer_entity.session_cutoff`: sessions that began before it are dead.
    pub cutoff: Option<UnixTime>,
    /// `customer_visitor.created_at` of the session's visitor, if the row exists.
    pub began_at: Option<UnixTime>,
}

/// The admin whom a session names, and its row in the list of logins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionAdminRow {
    /// The admin.
    pub user: UserRow,
    /// `admin_user_session.status` of the session's row, if it exists and is this admin's: 1 while logged in.
    pub status: Option<i64>,
}

pub use crate::auth::acl::{RoleRow, RuleRow};
