//! Who somebody is who signs in, and how often that name failed.
//!
//! Names compare as their columns do, without regard to case (`oauth_token_request_log` has rows for names that nobody
//! has, too).

use super::{
    columns::Columns,
    statement::{Stamp, query},
    store::SqlStore,
};
use crate::{
    auth::{lockout::Lockout, secret::Secret, time::UnixTime},
    store::{
        StoreError,
        logins::{AdminAccount, CustomerAccount, LoginKind},
    },
};

const ADMIN: &str = r#"
    SELECT a.user_id AS "admin_user.user_id", a.username AS "admin_user.username",
        a.password AS "admin_user.password", a.is_active AS "admin_user.is_active",
        EXISTS (SELECT 1 FROM {authorization_role} AS role
            WHERE role.user_id = a.user_id AND role.user_type = '2' AND role.parent_id > 0)
            AS "authorization_role.exists",
        r.revoke_before AS "jwt_auth_revoked.revoke_before"
    FROM {admin_user} AS a
    LEFT JOIN {jwt_auth_revoked} AS r ON r.user_type_id = 2 AND r.user_id = a.user_id
    WHERE fold(a.username) = fold(?1)"#;

// An address may stand once in each website, and once without one.
const CUSTOMER: &str = r#"
    SELECT c.entity_id AS "customer_entity.entity_id", c.website_id AS "customer_entity.website_id",
        c.password_hash AS "customer_entity.password_hash", c.is_active AS "customer_entity.is_active",
        c.confirmation AS "customer_entity.confirmation", c.failures_num AS "customer_entity.failures_num",
        c.first_failure AS "customer_entity.first_failure", c.lock_expires AS "customer_entity.lock_expires",
        r.revoke_before AS "jwt_auth_revoked.revoke_before"
    FROM {customer_entity} AS c
    LEFT JOIN {jwt_auth_revoked} AS r ON r.user_type_id = 3 AND r.user_id = c.entity_id
    WHERE fold(c.email) = fold(?1) AND (?2 IS NULL OR c.website_id = ?2)
    ORDER BY c.entity_id LIMIT 1"#;

const FAILURES: &str = r#"
    SELECT failures_count AS "oauth_token_request_log.failures_count" FROM {oauth_token_request_log}
    WHERE fold(user_name) = fold(?1) AND user_type = ?2 AND lock_expires_at > ?3"#;

impl SqlStore {
    /// Finds the admin of that name.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage, [`StoreError::Corrupt`] where a row makes no sense.
    pub async fn admin_account(&self, username: &str) -> Result<Option<AdminAccount>, StoreError> {
        let Some(row) = query(ADMIN).bind(username).fetch_optional(&self.pool).await? else {
            return Ok(None);
        };
        let row = Columns(&row);
        Ok(Some(AdminAccount {
            id: row.number("admin_user.user_id")?,
            username: row.text("admin_user.username")?,
            password_hash: row.secret("admin_user.password")?,
            is_active: row.number::<i64>("admin_user.is_active")? == 1,
            has_role: row.number::<i64>("authorization_role.exists")? == 1,
            revoke_before: revoke_before(&row)?,
        }))
    }

    /// Finds the customer of that address: in a website, or anywhere.
    ///
    /// # Errors
    ///
    /// As [`SqlStore::admin_account`].
    pub async fn customer_account(
        &self,
        email: &str,
        website_id: Option<u16>,
    ) -> Result<Option<CustomerAccount>, StoreError> {
        let found = query(CUSTOMER).bind(email).bind(website_id).fetch_optional(&self.pool).await?;
        let Some(row) = found else { return Ok(None) };
        let row = Columns(&row);
        let password_hash = row.optional_text("customer_entity.password_hash")?.map(Secret::new);
        let confirmation = row.optional_text("customer_entity.confirmation")?;
        Ok(Some(CustomerAccount {
            id: row.number("customer_entity.entity_id")?,
            website_id: row.optional_number("customer_entity.website_id")?,
            password_hash: password_hash.filter(|hash| !hash.expose().is_empty()),
            is_active: row.number::<i64>("customer_entity.is_active")? == 1,
            // PHP's truth.
            is_unconfirmed: confirmation.is_some_and(|key| !matches!(key.as_str(), "" | "0")),
            lockout: lockout(&row)?,
            revoke_before: revoke_before(&row)?,
        }))
    }

    /// How often a name failed, as long as its last failure counts.
    ///
    /// # Errors
    ///
    /// As [`SqlStore::admin_account`].
    pub async fn login_failures(
        &self,
        name: &str,
        kind: LoginKind,
        now: UnixTime,
    ) -> Result<u32, StoreError> {
        let now = Stamp::new(now, "oauth_token_request_log.lock_expires_at")?;
        let failures = query(FAILURES).bind(name).bind(kind as i64).bind(now);
        let row = failures.fetch_optional(&self.pool).await?;
        row.map_or(Ok(0), |row| failures_count(&Columns(&row)))
    }
}

/// The count of a name; less than none is none.
pub(super) fn failures_count(row: &Columns<'_>) -> Result<u32, StoreError> {
    let failures: Option<i64> = row.optional_number("oauth_token_request_log.failures_count")?;
    Ok(u32::try_from(failures.unwrap_or_default().max(0)).unwrap_or(u32::MAX))
}

/// The three columns of a customer's own count.
pub(super) fn lockout(row: &Columns<'_>) -> Result<Lockout, StoreError> {
    Ok(Lockout {
        failures: row.optional_number("customer_entity.failures_num")?.unwrap_or_default(),
        first_failure: row.time("customer_entity.first_failure")?,
        lock_expires: row.time("customer_entity.lock_expires")?,
    })
}

fn revoke_before(row: &Columns<'_>) -> Result<Option<UnixTime>, StoreError> {
    let seconds = row.optional_number::<u64>("jwt_auth_revoked.revoke_before")?;
    Ok(seconds.map(|seconds| UnixTime::from_seconds(i64::try_from(seconds).unwrap_or(i64::MAX))))
}
