//! What the store says about accounts when somebody signs in, and what it is told afterwards.
//!
//! Rows only: what they mean for a login is the services' to say.

use crate::auth::{
    identity::UserType,
    lockout::{Lockout, LockoutLimits},
    secret::Secret,
    time::UnixTime,
};

/// `oauth_token_request_log.user_type`, which numbers users as no other table does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LoginKind {
    /// Customers.
    Customer = 2,
    /// Admins.
    Admin = 3,
}

/// An admin who signs in.
#[derive(Debug)]
pub struct AdminAccount {
    /// `user_id`.
    pub id: u32,
    /// `username`, as stored.
    pub username: String,
    /// `password`: the hash.
    pub password_hash: Secret<String>,
    /// `is_active`.
    pub is_active: bool,
    /// Whether a row of `authorization_role` puts the admin into a group.
    pub has_role: bool,
    /// `jwt_auth_revoked.revoke_before`.
    pub revoke_before: Option<UnixTime>,
}

/// A customer who signs in.
#[derive(Debug)]
pub struct CustomerAccount {
    /// `entity_id`.
    pub id: u32,
    /// `website_id`.
    pub website_id: Option<u16>,
    /// `password_hash`; `None` for an account without a password.
    pub password_hash: Option<Secret<String>>,
    /// `is_active`.
    pub is_active: bool,
    /// Whether `confirmation` still waits for the customer's answer.
    pub is_unconfirmed: bool,
    /// `failures_num`, `first_failure`, `lock_expires`.
    pub lockout: Lockout,
    /// `jwt_auth_revoked.revoke_before`.
    pub revoke_before: Option<UnixTime>,
}

/// A login that failed, to be counted.
#[derive(Debug, Clone, Copy)]
pub struct FailedLogin<'a> {
    /// The name as it was given.
    pub name: &'a str,
    /// Whose name it is meant to be.
    pub kind: LoginKind,
    /// `lock_expires_at`.
    pub counts_until: UnixTime,
    /// The customer whose own count goes up as well.
    pub customer: Option<(u32, LockoutLimits)>,
}

/// What counting a failure came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailureCounted {
    /// Failures of this name.
    pub failures: u32,
    /// The customer's own count, if it went up.
    pub lockout: Option<Lockout>,
}

/// An admin or a customer, as an operator sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Admin or customer.
    pub user_type: UserType,
    /// `user_id` or `entity_id`.
    pub id: u32,
    /// `username` or `email`.
    pub name: String,
    /// `website_id` of a customer.
    pub website_id: Option<u16>,
    /// `is_active`.
    pub is_active: bool,
}
