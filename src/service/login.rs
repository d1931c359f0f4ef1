//! What signing in has in common for admins and customers: counting, recording, and the token in the end.
//!
//! The order is Magento's (`MAGENTO_AUTH` sections 5.1 and 5.2): fields, throttle, account and password, then what the
//! account lacks; on success the last login, the forgotten failures, the token. Every refusal of an account or a password
//! has the same words. Attempts are recorded after the fact and stop for no full disk.
//!
//! Whoever drops the future of a login half-way leaves what was done by then: callers let it run to its end.

use super::{
    Issuer, Origin, ServiceError, TokenSettings,
    audit::{Action, Audit, Outcome, Record},
    credentials::Credentials,
    issuer::{Holder, TokenIssuer, about, conclude},
    passwords::{PasswordPool, Verdict},
    throttle::Throttle,
};
use crate::{
    auth::{identity::UserType, rejection::Message, secret::Secret, time::UnixTime},
    clock::Clock,
    store::{facts::Facts, logins::LoginKind, settings::LoginSettings},
};

const GENERIC: &str = "The account sign-in was incorrect or your account is disabled temporarily. Please wait and try again later.";
/// `oauth_token_request_log.user_name`; longer than any account's name.
const NAME_MAX: usize = 255;

/// Where admins and customers sign in: what both services share; cheap to clone.
#[derive(Debug, Clone)]
pub struct LoginDesk {
    pub(super) facts: Facts,
    pub(super) passwords: PasswordPool,
    pub(super) tokens: TokenIssuer,
    rehashes: bool,
}

/// One attempt to sign in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt<'a> {
    pub(super) credentials: Credentials<'a>,
    pub(super) kind: LoginKind,
    pub(super) settings: &'a LoginSettings,
    pub(super) origin: &'a Origin,
    pub(super) now: UnixTime,
}

/// Why nobody is let in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Denial {
    pub(super) cause: &'static str,
    pub(super) user_id: Option<u32>,
    pub(super) text: &'static str,
    pub(super) counts: Counts,
}

/// Where a failure is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counts {
    Nowhere,
    ForName,
    /// For the name and for this customer.
    ForCustomer(u32),
}

/// Who proved to be who.
#[derive(Debug)]
pub(super) struct Proven {
    pub(super) holder: Holder,
    pub(super) password_hash: Secret<String>,
    pub(super) needs_upgrade: bool,
}

impl LoginDesk {
    /// Everything that a login needs. Call its services on the runtime of the store, never on one that proxies.
    #[must_use]
    pub fn new(
        facts: Facts,
        passwords: PasswordPool,
        audit: Audit,
        clock: Clock,
        settings: TokenSettings,
    ) -> Self {
        let TokenSettings { issuer, rehashes } = settings;
        let tokens = TokenIssuer { facts: facts.clone(), audit, clock, issuer };
        Self { facts, passwords, tokens, rehashes }
    }

    /// What kind of token people get here.
    #[must_use]
    pub const fn issuer(&self) -> Issuer {
        self.tokens.issuer
    }

    pub(super) const fn audit(&self) -> &Audit {
        &self.tokens.audit
    }

    pub(super) fn now(&self) -> UnixTime {
        self.tokens.clock.now()
    }

    /// Refuses a name that failed too often.
    pub(super) async fn admit(&self, attempt: &Attempt<'_>) -> Result<(), ServiceError> {
        if attempt.credentials.username.chars().count() > NAME_MAX {
            return Err(self.deny(attempt, Denial::generic("name_too_long", None, Counts::Nowhere)).await);
        }
        if self.throttle(attempt).is_shut(attempt.now).await? {
            return Err(self.deny(attempt, Denial::generic("throttled", None, Counts::Nowhere)).await);
        }
        Ok(())
    }

    /// Checks the password against what is stored, which may be nothing.
    pub(super) async fn check(
        &self,
        attempt: &Attempt<'_>,
        stored: Option<&Secret<String>>,
    ) -> Result<Verdict, ServiceError> {
        self.passwords.verify(attempt.credentials.password, stored).await
    }

    /// Counts and records a refusal, and says what the caller hears; an outage comes before the refusal.
    pub(super) async fn deny(&self, attempt: &Attempt<'_>, denial: Denial) -> ServiceError {
        let customer = match denial.counts {
            Counts::Nowhere => None,
            Counts::ForName => Some(None),
            Counts::ForCustomer(id) => Some(Some(id)),
        };
        if let Some(customer) = customer
            && let Err(error) = self.count(attempt, customer).await
        {
            return error;
        }
        let refused = Record {
            outcome: Outcome::Refused,
            cause: Some(denial.cause),
            user_id: denial.user_id,
            ..attempt.record(Action::TokenIssued)
        };
        self.audit().tell(refused).await;
        ServiceError::Authentication(Message::plain(denial.text))
    }

    /// Lets somebody in, unless too many guesses were counted meanwhile.
    pub(super) async fn welcome(
        &self,
        attempt: &Attempt<'_>,
        proven: Proven,
    ) -> Result<Secret<String>, ServiceError> {
        let Holder { user_type, id, .. } = proven.holder;
        if self.throttle(attempt).is_shut(attempt.now).await? {
            return Err(self.deny(attempt, Denial::generic("throttled", Some(id), Counts::Nowhere)).await);
        }
        if user_type == UserType::Admin {
            self.facts.store().note_admin_login(id, attempt.now).await?;
        }
        self.throttle(attempt).succeeded().await?;
        if self.rehashes && proven.needs_upgrade {
            self.rehash(attempt, &proven).await;
        }
        let record = about(attempt.record(Action::TokenIssued), user_type, id);
        self.tokens.issue(proven.holder, record).await
    }

    async fn count(&self, attempt: &Attempt<'_>, customer: Option<u32>) -> Result<(), ServiceError> {
        let counted = self.throttle(attempt).failed(customer, attempt.now).await?;
        let is_locked = counted.lockout.is_some_and(|lockout| lockout.is_locked(attempt.now));
        let throttled = (counted.failures == attempt.settings.throttle_failures).then_some("throttled");
        for cause in throttled.into_iter().chain(is_locked.then_some("account_locked")) {
            let locked =
                Record { cause: Some(cause), user_id: customer, ..attempt.record(Action::LockedOut) };
            self.audit().tell(locked).await;
        }
        Ok(())
    }

    /// An old hash that stays old is no reason to turn anybody away.
    async fn rehash(&self, attempt: &Attempt<'_>, proven: &Proven) {
        let Holder { user_type, id, .. } = proven.holder;
        let done = async {
            let new = self.passwords.hash(attempt.credentials.password).await?;
            let record = about(attempt.record(Action::UserChanged), user_type, id);
            let record = Record { detail: Some("password hashed anew".to_owned()), ..record };
            let intent = self.audit().intend(record).await?;
            let store = self.facts.store();
            let replaced = store.replace_password_hash((user_type, id), &proven.password_hash, &new).await;
            // Nothing to replace: the password was changed meanwhile.
            match replaced {
                Ok(false) => {
                    intent.failed("changed_meanwhile").await;
                    Ok(())
                }
                replaced => conclude(intent, replaced.map(|_| ())).await,
            }
        };
        if let Err(error) = done.await {
            let user_type = user_type.as_str();
            tracing::warn!(user.kind = user_type, user.id = id, %error, "an old password hash stays");
        }
    }

    fn throttle<'a>(&'a self, attempt: &Attempt<'a>) -> Throttle<'a> {
        Throttle {
            store: self.facts.store(),
            settings: attempt.settings,
            name: attempt.credentials.username,
            kind: attempt.kind,
        }
    }
}

impl Attempt<'_> {
    fn record(&self, action: Action) -> Record {
        let user_type = match self.kind {
            LoginKind::Customer => UserType::Customer,
            LoginKind::Admin => UserType::Admin,
        };
        let name = self.credentials.username.chars().take(NAME_MAX).collect();
        Record { user_type: Some(user_type), name: Some(name), ..self.origin.record(action) }
    }
}

impl Denial {
    /// A refusal in the words that tell nothing.
    pub(super) const fn generic(cause: &'static str, user_id: Option<u32>, counts: Counts) -> Self {
        Self { cause, user_id, text: GENERIC, counts }
    }
}
