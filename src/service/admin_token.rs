//! Tokens for admins: Magento's `AdminTokenService` (`MAGENTO_AUTH` section 5.1).
//!
//! As on Magento's REST, `admin_user.failures_num` and `lock_expires` are neither consulted nor written: they belong to
//! the login of the admin panel, and recorded logins of a locked admin succeed. The throttle by name is what guards this
//! door. Deviation D7 asks that the admin exists and is active, which Magento asks here too. Only a wrong password is
//! counted: a right one for a disabled admin, or for one without a role, is not.

use super::{
    LoginDesk, Origin, ServiceError,
    credentials::Credentials,
    issuer::Holder,
    login::{Attempt, Counts, Denial, Proven},
    passwords::Verdict,
};
use crate::{
    auth::{identity::UserType, secret::Secret, time::UnixTime},
    store::{
        StoreError,
        logins::{AdminAccount, LoginKind},
    },
};

const NO_ROLE: &str = "More permissions are needed to access this.";

/// Issues and ends admins' tokens.
#[derive(Debug, Clone)]
pub struct AdminTokenService(LoginDesk);

impl AdminTokenService {
    /// The service at a desk.
    #[must_use]
    pub const fn new(desk: LoginDesk) -> Self {
        Self(desk)
    }

    /// Issues a token to an admin who knows the password.
    ///
    /// # Errors
    /// [`ServiceError::Input`] for missing fields, [`ServiceError::Authentication`] for everything wrong with the name, the
    /// password or the account, [`ServiceError::Busy`], and what the store and the audit come to.
    pub async fn create_admin_access_token(
        &self,
        username: Option<&str>,
        password: Option<&Secret<String>>,
        origin: &Origin,
    ) -> Result<Secret<String>, ServiceError> {
        let Self(desk) = self;
        let credentials = Credentials::require(username, password)?;
        let settings = desk.facts.settings().current().logins.clone();
        let (kind, now) = (LoginKind::Admin, desk.now());
        let attempt = Attempt { credentials, kind, settings: &settings, origin, now };
        desk.admit(&attempt).await?;
        let before = self.account(&attempt).await?;
        let stored = before.as_ref().map(|account| &account.password_hash);
        let verdict = desk.check(&attempt, stored).await?;
        // Checking takes its time, and the account may have been given another password or been shut meanwhile.
        let as_of = desk.now();
        let account = self.account(&attempt).await?;
        let verdict = verdict.of((stored, account.as_ref().map(|account| &account.password_hash)));
        match judge(account, verdict, as_of) {
            Ok(proven) => desk.welcome(&attempt, proven).await,
            Err(denial) => Err(desk.deny(&attempt, denial).await),
        }
    }

    async fn account(&self, attempt: &Attempt<'_>) -> Result<Option<AdminAccount>, StoreError> {
        let name = attempt.credentials.username;
        let account = self.0.facts.store().admin_account(name).await?;
        Ok(account.filter(|account| !attempt.settings.case_sensitive_admins || account.username == name))
    }

    /// Ends every token of an admin; Magento has no route for it. An id that nobody has is no error.
    ///
    /// # Errors
    /// [`ServiceError::Audit`] where it cannot be recorded: nothing is revoked then. [`ServiceError::Store`].
    pub async fn revoke_admin_access_token(
        &self,
        admin_id: u32,
        origin: &Origin,
    ) -> Result<(), ServiceError> {
        self.0.tokens.revoke(UserType::Admin, admin_id, origin).await
    }
}

fn judge(account: Option<AdminAccount>, verdict: Verdict, as_of: UnixTime) -> Result<Proven, Denial> {
    let Some(account) = account else {
        return Err(Denial::generic("user_unknown", None, Counts::ForName));
    };
    let id = Some(account.id);
    let Verdict::Right { needs_upgrade } = verdict else {
        return Err(Denial::generic("password_wrong", id, Counts::ForName));
    };
    if !account.is_active {
        return Err(Denial::generic("user_inactive", id, Counts::Nowhere));
    }
    if !account.has_role {
        return Err(Denial { text: NO_ROLE, ..Denial::generic("no_role", id, Counts::Nowhere) });
    }
    let AdminAccount { id, password_hash, revoke_before, .. } = account;
    let holder = Holder { user_type: UserType::Admin, id, revoke_before, as_of };
    Ok(Proven { holder, password_hash, needs_upgrade })
}
