//! Names that failed too often: Magento's `RequestThrottler` (`MAGENTO_AUTH` section 6.4).
//!
//! Six failures refuse a name until 1800 s after the last of them, right password or wrong. Each kind of user has its own
//! count; names that nobody has are counted too; what is refused here is not counted. A success forgets. The count
//! outlives its window until something deletes the row: one more failure then refuses at once, as in Magento.
//!
//! The count is asked for twice, before the password and after it: guesses sent at the same time would otherwise all
//! pass the first question before one of them is counted. A right password among them counts for nothing once enough
//! wrong ones are.

use super::ServiceError;
use crate::{
    auth::{lockout::LockoutLimits, time::UnixTime},
    store::{
        logins::{FailedLogin, FailureCounted, LoginKind},
        settings::LoginSettings,
        sql::SqlStore,
    },
};

/// The count of one name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Throttle<'a> {
    pub(super) store: &'a SqlStore,
    pub(super) settings: &'a LoginSettings,
    pub(super) name: &'a str,
    pub(super) kind: LoginKind,
}

impl Throttle<'_> {
    /// Whether the name is refused. A limit of zero refuses every name.
    pub(super) async fn is_shut(&self, now: UnixTime) -> Result<bool, ServiceError> {
        let failures = self.store.login_failures(self.name, self.kind, now).await?;
        Ok(failures >= self.settings.throttle_failures)
    }

    /// Counts a failure, for a customer in both places.
    pub(super) async fn failed(
        &self,
        customer: Option<u32>,
        now: UnixTime,
    ) -> Result<FailureCounted, ServiceError> {
        let limits: LockoutLimits = self.settings.customer_lockout;
        let failed = FailedLogin {
            name: self.name,
            kind: self.kind,
            counts_until: now.plus(self.settings.throttle_timeout),
            customer: customer.map(|id| (id, limits)),
        };
        Ok(self.store.count_failure(&failed, now).await?)
    }

    /// Forgets the name's failures.
    pub(super) async fn succeeded(&self) -> Result<(), ServiceError> {
        Ok(self.store.forget_failures(self.name, self.kind).await?)
    }
}
