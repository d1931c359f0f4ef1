//! What a login leaves behind: counted failures, the last login, a newer hash; and the end of a user's tokens.

use super::{accounts::revoke, insert::stamp};
use crate::{
    auth::{
        identity::UserType,
        lockout::{Lockout, LockoutLimits},
        secret::Secret,
        time::UnixTime,
    },
    store::{
        StoreError,
        logins::{FailedLogin, FailureCounted, LoginKind},
        sql::{
            SqlStore,
            columns::Columns,
            connection::{Purpose, Transaction},
            failure::is_deadlock,
            logins,
            statement::query,
        },
    },
};

/// How often a count is begun anew that a server ended because two of them waited for each other.
const COUNT_ATTEMPTS: u32 = 5;

// The column is a small number in Magento; more failures than that are as many.
const COUNT_FAILURE: &str = "
    INSERT INTO {oauth_token_request_log} (user_name, user_type, failures_count, lock_expires_at)
    VALUES (?1, ?2, 1, ?3)
    ON CONFLICT (fold(user_name), user_type) DO UPDATE SET
        failures_count = CASE WHEN COALESCE({oauth_token_request_log}.failures_count, 0) < 65535
            THEN COALESCE({oauth_token_request_log}.failures_count, 0) + 1 ELSE 65535 END,
        lock_expires_at = excluded.lock_expires_at";

const COUNTED: &str = r#"
    SELECT failures_count AS "oauth_token_request_log.failures_count" FROM {oauth_token_request_log}
    WHERE fold(user_name) = fold(?1) AND user_type = ?2"#;

const LOCKOUT: &str = r#"
    SELECT failures_num AS "customer_entity.failures_num", first_failure AS "customer_entity.first_failure",
        lock_expires AS "customer_entity.lock_expires"
    FROM {customer_entity} WHERE entity_id = ?1 FOR UPDATE"#;

impl SqlStore {
    /// Counts a failed login, for its name and for the customer, in one transaction: two at once are two.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage.
    pub async fn count_failure(
        &self,
        failed: &FailedLogin<'_>,
        now: UnixTime,
    ) -> Result<FailureCounted, StoreError> {
        for _ in 1..COUNT_ATTEMPTS {
            match self.try_count_failure(failed, now).await {
                Err(error) if is_deadlock(&error) => {}
                counted => return counted,
            }
        }
        self.try_count_failure(failed, now).await
    }

    async fn try_count_failure(
        &self,
        failed: &FailedLogin<'_>,
        now: UnixTime,
    ) -> Result<FailureCounted, StoreError> {
        let counts_until = stamp(failed.counts_until, "oauth_token_request_log.lock_expires_at")?;
        let mut transaction = self.begin(Purpose::Writing).await?;
        // The write comes first: it makes the next one of that name wait.
        let count = query(COUNT_FAILURE).bind(failed.name).bind(failed.kind as i64).bind(counts_until);
        count.execute(&mut transaction).await?;
        let counted = query(COUNTED).bind(failed.name).bind(failed.kind as i64);
        let failures = logins::failures_count(&Columns(&counted.fetch_one(&mut transaction).await?))?;
        let lockout = match failed.customer {
            Some((id, limits)) => count_for_customer(&mut transaction, id, (limits, now)).await?,
            None => None,
        };
        transaction.commit().await?;
        Ok(FailureCounted { failures, lockout })
    }

    /// Forgets the failures of a name.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage.
    pub async fn forget_failures(&self, name: &str, kind: LoginKind) -> Result<(), StoreError> {
        let delete = query(
            "DELETE FROM {oauth_token_request_log} WHERE fold(user_name) = fold(?1) AND user_type = ?2",
        );
        delete.bind(name).bind(kind as i64).execute(&self.pool).await?;
        Ok(())
    }

    /// Writes that an admin signed in: `logdate` and `lognum`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage.
    pub async fn note_admin_login(&self, id: u32, now: UnixTime) -> Result<(), StoreError> {
        let now = stamp(now, "admin_user.logdate")?;
        let update = query("UPDATE {admin_user} SET logdate = ?2, lognum = lognum + 1 WHERE user_id = ?1");
        update.bind(id).bind(now).execute(&self.pool).await?;
        Ok(())
    }

    /// Puts a newer hash of the same password in the place of `old`; `false` where it is no longer there.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage.
    pub async fn replace_password_hash(
        &self,
        user: (UserType, u32),
        old: &Secret<String>,
        new: &Secret<String>,
    ) -> Result<bool, StoreError> {
        let (user_type, id) = user;
        let statement = match user_type {
            UserType::Admin => {
                "UPDATE {admin_user} SET password = ?3 WHERE user_id = ?1 AND same(password, ?2)"
            }
            UserType::Customer => {
                "UPDATE {customer_entity} SET password_hash = ?3 WHERE entity_id = ?1 AND same(password_hash, ?2)"
            }
            UserType::Integration | UserType::Guest => return Ok(false),
        };
        let update = query(statement).bind(id).bind(old.expose().as_str()).bind(new.expose().as_str());
        Ok(update.execute(&self.pool).await?.rows_affected() > 0)
    }
    /// Lets a user in again, or shuts them out and ends their tokens as Magento does; `false` where there is no such user.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage.
    pub async fn set_user_active(
        &self,
        (user_type, id): (UserType, u32),
        is_active: bool,
        now: UnixTime,
    ) -> Result<bool, StoreError> {
        let statement = match user_type {
            UserType::Admin => "UPDATE {admin_user} SET is_active = ?2, modified = ?3 WHERE user_id = ?1",
            UserType::Customer => {
                "UPDATE {customer_entity} SET is_active = ?2, updated_at = ?3 WHERE entity_id = ?1"
            }
            UserType::Integration | UserType::Guest => return Ok(false),
        };
        let modified = stamp(now, "admin_user.modified")?;
        let mut transaction = self.begin(Purpose::Changing).await?;
        let update = query(statement).bind(id).bind(is_active).bind(modified);
        let is_found = update.execute(&mut transaction).await?.rows_affected() > 0;
        if is_found && !is_active {
            revoke(&mut transaction, user_type, id, now).await?;
        }
        transaction.commit().await?;
        Ok(is_found)
    }
}

async fn count_for_customer(
    transaction: &mut Transaction,
    id: u32,
    (limits, now): (LockoutLimits, UnixTime),
) -> Result<Option<Lockout>, StoreError> {
    let Some(row) = query(LOCKOUT).bind(id).fetch_optional(&mut *transaction).await? else { return Ok(None) };
    let Some(after) = logins::lockout(&Columns(&row))?.after_failure(limits, now) else { return Ok(None) };
    let time =
        |time: Option<UnixTime>| time.map(|time| stamp(time, "customer_entity.lock_expires")).transpose();
    query(
        "UPDATE {customer_entity} SET failures_num = ?2, first_failure = ?3, lock_expires = ?4
        WHERE entity_id = ?1",
    )
    .bind(id)
    .bind(after.failures)
    .bind(time(after.first_failure)?)
    .bind(time(after.lock_expires)?)
    .execute(transaction)
    .await?;
    Ok(Some(after))
}
