//! Tokens for customers: Magento's `CustomerTokenService` (`MAGENTO_AUTH` sections 5.2 and 6.6).
//!
//! Whatever is wrong, the caller hears the same and the name's count goes up; a wrong password also counts for the
//! account, whose own lock holds beside the throttle. Stricter than Magento (deviation D7): a customer who is not active
//! gets no token. The password is hashed in every case, so that a locked account answers as slowly as any.
//!
//! Not done here: the exclusion of websites by customer group (`customer_group_excluded_website` is none of our tables).

use super::{
    LoginDesk, Origin, ServiceError,
    credentials::Credentials,
    issuer::Holder,
    login::{Attempt, Counts, Denial, Proven},
    passwords::Verdict,
};
use crate::{
    auth::{
        identity::UserType,
        route::{AccountShare, StoreScope, StoreView},
        secret::Secret,
        time::UnixTime,
    },
    store::{
        StoreError,
        logins::{CustomerAccount, LoginKind},
    },
};

/// Issues and ends customers' tokens.
#[derive(Debug, Clone)]
pub struct CustomerTokenService(LoginDesk);

/// The website whose customers sign in at a store view: its own; at the admin store (`all`) that of the default view.
#[must_use]
pub fn login_website(scope: &StoreScope, store: Option<&StoreView>) -> Option<u16> {
    let store = store.filter(|store| store.id != 0).or_else(|| scope.default_store())?;
    Some(store.website_id)
}

impl CustomerTokenService {
    /// The service at a desk.
    #[must_use]
    pub const fn new(desk: LoginDesk) -> Self {
        Self(desk)
    }

    /// Issues a token to a customer who knows the password. `website_id` is [`login_website`]'s, and counts where accounts
    /// are not shared; without one nobody is found then.
    ///
    /// # Errors
    /// As [`super::admin_token::AdminTokenService::create_admin_access_token`].
    pub async fn create_customer_access_token(
        &self,
        username: Option<&str>,
        password: Option<&Secret<String>>,
        website_id: Option<u16>,
        origin: &Origin,
    ) -> Result<Secret<String>, ServiceError> {
        let Self(desk) = self;
        let credentials = Credentials::require(username, password)?;
        let settings = desk.facts.settings().current().logins.clone();
        let (kind, now) = (LoginKind::Customer, desk.now());
        let attempt = Attempt { credentials, kind, settings: &settings, origin, now };
        desk.admit(&attempt).await?;
        let before = self.account(credentials.username, website_id).await?;
        let stored = before.as_ref().and_then(|account| account.password_hash.as_ref());
        let verdict = desk.check(&attempt, stored).await?;
        // As for admins: what the account is now counts.
        let as_of = desk.now();
        let account = self.account(credentials.username, website_id).await?;
        let now = account.as_ref().and_then(|account| account.password_hash.as_ref());
        let verdict = verdict.of((stored, now));
        match judge(account, verdict, (&attempt, as_of)) {
            Ok(proven) => desk.welcome(&attempt, proven).await,
            Err(denial) => Err(desk.deny(&attempt, denial).await),
        }
    }

    /// Ends every token of a customer.
    ///
    /// # Errors
    /// As [`super::admin_token::AdminTokenService::revoke_admin_access_token`].
    pub async fn revoke_customer_access_token(
        &self,
        customer_id: u32,
        origin: &Origin,
    ) -> Result<(), ServiceError> {
        self.0.tokens.revoke(UserType::Customer, customer_id, origin).await
    }

    async fn account(
        &self,
        email: &str,
        website_id: Option<u16>,
    ) -> Result<Option<CustomerAccount>, StoreError> {
        let share = self.0.facts.settings().current().account_share;
        let store = self.0.facts.store();
        match (share, website_id) {
            (AccountShare::Global, _) => store.customer_account(email, None).await,
            (AccountShare::PerWebsite, Some(website_id)) => {
                store.customer_account(email, Some(website_id)).await
            }
            (AccountShare::PerWebsite, None) => Ok(None),
        }
    }
}

fn judge(
    account: Option<CustomerAccount>,
    verdict: Verdict,
    (attempt, as_of): (&Attempt<'_>, UnixTime),
) -> Result<Proven, Denial> {
    let Some(account) = account else {
        return Err(Denial::generic("user_unknown", None, Counts::ForName));
    };
    let CustomerAccount { id, website_id, password_hash, is_active, is_unconfirmed, lockout, revoke_before } =
        account;
    let denial = |cause, counts| Err(Denial::generic(cause, Some(id), counts));
    if lockout.is_locked(attempt.now) {
        return denial("account_locked", Counts::ForName);
    }
    let (Some(password_hash), Verdict::Right { needs_upgrade }) = (password_hash, verdict) else {
        return denial("password_wrong", Counts::ForCustomer(id));
    };
    let website_id = website_id.unwrap_or_default();
    let settings = attempt.settings;
    let confirms = settings.confirms_accounts.in_website(website_id)
        || settings.confirms_addresses.in_website(website_id);
    if is_unconfirmed && confirms {
        return denial("unconfirmed", Counts::ForName);
    }
    if !is_active {
        return denial("user_inactive", Counts::ForName);
    }
    let holder = Holder { user_type: UserType::Customer, id, revoke_before, as_of };
    Ok(Proven { holder, password_hash, needs_upgrade })
}
