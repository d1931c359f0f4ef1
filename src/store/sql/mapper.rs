//! Columns into the rows of [`crate::store::rows`].
//!
//! A joined row that does not exist has NULL in its primary key, and only there is that key's NULL no complaint.

use super::columns::Columns;
use crate::{
    auth::{
        acl::{Permission, RoleType},
        identity::UserType,
        secret::Secret,
        time::UnixTime,
    },
    store::{
        StoreError,
        rows::{
            ConsumerRow, IntegrationRow, RoleRow, RuleRow, SessionAdminRow, SessionCustomerRow, StoreRow,
            TokenRow, TokenType, UserRow, WebsiteRow,
        },
    },
};

pub(super) fn token(row: &Columns<'_>) -> Result<Option<TokenRow>, StoreError> {
    let Some(id) = row.optional_number("oauth_token.entity_id")? else { return Ok(None) };
    let user = match admin(row)? {
        Some(admin) => Some(admin),
        None => customer(row)?,
    };
    Ok(Some(TokenRow {
        id,
        token_type: token_type(&row.text("oauth_token.type")?),
        user_type: row.optional_number("oauth_token.user_type")?,
        consumer_id: row.optional_number("oauth_token.consumer_id")?,
        secret: row.secret("oauth_token.secret")?,
        is_revoked: row.number::<i64>("oauth_token.revoked")? != 0,
        created_at: row.time("oauth_token.created_at")?,
        user,
        integration: integration(row)?,
        ends_at: row.time("portcullis_older_token.ends_at")?,
    }))
}

pub(super) fn consumer(row: &Columns<'_>) -> Result<Option<ConsumerRow>, StoreError> {
    let Some(id) = row.optional_number("oauth_consumer.entity_id")? else { return Ok(None) };
    let secret = row.secret("oauth_consumer.secret")?;
    Ok(Some(ConsumerRow { id, secret, older_secret: older_secret(row)? }))
}

/// The secret before the current one, while it is valid.
pub(super) fn older_secret(row: &Columns<'_>) -> Result<Option<(Secret<String>, UnixTime)>, StoreError> {
    let Some(ends_at) = row.time("portcullis_older_secret.ends_at")? else { return Ok(None) };
    Ok(Some((row.secret("portcullis_older_secret.secret")?, ends_at)))
}

pub(super) fn admin(row: &Columns<'_>) -> Result<Option<UserRow>, StoreError> {
    let Some(id) = row.optional_number("admin_user.user_id")? else { return Ok(None) };
    let is_active = row.number::<i64>("admin_user.is_active")? == 1;
    Ok(Some(UserRow { id, is_active, website_id: None, revoke_before: revoke_before(row)? }))
}

pub(super) fn customer(row: &Columns<'_>) -> Result<Option<UserRow>, StoreError> {
    let Some(id) = row.optional_number("customer_entity.entity_id")? else { return Ok(None) };
    Ok(Some(UserRow {
        id,
        is_active: row.number::<i64>("customer_entity.is_active")? == 1,
        website_id: row.optional_number("customer_entity.website_id")?,
        revoke_before: revoke_before(row)?,
    }))
}

pub(super) fn store(row: &Columns<'_>) -> Result<StoreRow, StoreError> {
    Ok(StoreRow {
        id: row.number("store.store_id")?,
        code: row.text("store.code")?,
        website_id: row.number("store.website_id")?,
    })
}

pub(super) fn website(row: &Columns<'_>) -> Result<WebsiteRow, StoreError> {
    Ok(WebsiteRow {
        id: row.number("store_website.website_id")?,
        code: row.optional_text("store_website.code")?.unwrap_or_default(),
    })
}

pub(super) fn session_customer(row: &Columns<'_>) -> Result<Option<SessionCustomerRow>, StoreError> {
    let Some(user) = customer(row)? else { return Ok(None) };
    Ok(Some(SessionCustomerRow {
        user,
        cutoff: row.time("customer_entity.session_cutoff")?,
        began_at: row.time("customer_visitor.created_at")?,
    }))
}

pub(super) fn session_admin(row: &Columns<'_>) -> Result<Option<SessionAdminRow>, StoreError> {
    let Some(user) = admin(row)? else { return Ok(None) };
    Ok(Some(SessionAdminRow { user, status: row.optional_number("admin_user_session.status")? }))
}

pub(super) fn role(row: &Columns<'_>) -> Result<RoleRow, StoreError> {
    let user_type = row.optional_text("authorization_role.user_type")?;
    Ok(RoleRow {
        role_id: row.number("authorization_role.role_id")?,
        parent_id: row.number("authorization_role.parent_id")?,
        tree_level: row.number("authorization_role.tree_level")?,
        role_type: RoleType::from_magento(&row.text("authorization_role.role_type")?),
        user_id: row.number("authorization_role.user_id")?,
        user_type: user_type.and_then(|text| UserType::from_magento(text.parse().ok()?)),
        role_name: row.optional_text("authorization_role.role_name")?,
    })
}

pub(super) fn rule(row: &Columns<'_>) -> Result<RuleRow, StoreError> {
    let privileges = row.optional_text("authorization_rule.privileges")?.unwrap_or_default();
    let permission = row.optional_text("authorization_rule.permission")?.unwrap_or_default();
    Ok(RuleRow {
        role_id: row.number("authorization_rule.role_id")?,
        resource_id: row.text("authorization_rule.resource_id")?,
        // Magento writes no privileges. To Laminas ACL an allow of some is no allow of the resource, while a deny of
        // some denies it (MAGENTO_AUTH 8.3).
        permission: match Permission::from_magento(&permission) {
            Permission::Allow if privileges.is_empty() => Permission::Allow,
            Permission::Deny => Permission::Deny,
            Permission::Allow | Permission::Other => Permission::Other,
        },
    })
}

fn integration(row: &Columns<'_>) -> Result<Option<IntegrationRow>, StoreError> {
    let Some(id) = row.optional_number("integration.integration_id")? else { return Ok(None) };
    let is_active = row.number::<i64>("integration.status")? == 1;
    Ok(Some(IntegrationRow { id, name: row.text("integration.name")?, is_active }))
}

fn revoke_before(row: &Columns<'_>) -> Result<Option<UnixTime>, StoreError> {
    // The column is unsigned in Magento; a negative time would revoke nothing.
    let seconds = row.optional_number::<u64>("jwt_auth_revoked.revoke_before")?;
    Ok(seconds.map(|seconds| UnixTime::from_seconds(i64::try_from(seconds).unwrap_or(i64::MAX))))
}

pub(super) fn token_type(text: &str) -> TokenType {
    match text {
        "access" => TokenType::Access,
        "request" => TokenType::Request,
        "verifier" => TokenType::Verifier,
        _ => TokenType::Unknown,
    }
}
