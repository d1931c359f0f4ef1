//! Issuing tokens to people, and ending them.
//!
//! A JWT is signed as Magento 2.4.4 and later do it (`MAGENTO_AUTH` section 2.7); an opaque token is a row of
//! `oauth_token`, as Magento without the module `JwtUserToken` writes it. Ending a user's tokens writes
//! `jwt_auth_revoked`, which kills both kinds, and deletes the opaque ones where those are issued.
//!
//! Whatever is issued holds at once: a JWT is put before our own verifier first. And in the second of a revocation,
//! whose tokens are all dead by Magento's rule, a token is dated one second later.

use std::time::Duration;

use super::{
    Origin, ServiceError,
    audit::{Action, Audit, Intent, Record},
    random,
};
use crate::{
    auth::{identity::UserType, jwt::Claims, secret::Secret, time::UnixTime},
    clock::Clock,
    store::{
        StoreError, Subject,
        facts::Facts,
        sql::{NewAccessToken, TokenOwner},
    },
};

/// What kind of token people get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Issuer {
    /// A JWT, Magento's default since 2.4.4.
    #[default]
    Jwt,
    /// 32 characters, a row of `oauth_token`.
    Opaque,
}

/// How people's tokens are issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TokenSettings {
    /// What kind of token.
    pub issuer: Issuer,
    /// Whether an old password hash is replaced once the password is known; Magento does so in its own pages alone.
    pub rehashes: bool,
}

/// Issues and ends the tokens of admins and customers.
#[derive(Debug, Clone)]
pub(super) struct TokenIssuer {
    pub(super) facts: Facts,
    pub(super) audit: Audit,
    pub(super) clock: Clock,
    pub(super) issuer: Issuer,
}

/// Whom a token is for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Holder {
    pub(super) user_type: UserType,
    pub(super) id: u32,
    pub(super) revoke_before: Option<UnixTime>,
}

impl TokenIssuer {
    /// Issues a token and records that it did. The record of an opaque one is written before its row.
    pub(super) async fn issue(&self, holder: Holder, record: Record) -> Result<Secret<String>, ServiceError> {
        let now = self.clock.now();
        let issued_at =
            if holder.revoke_before == Some(now) { now.plus(Duration::from_secs(1)) } else { now };
        match self.issuer {
            Issuer::Jwt => {
                let token = self.sign(holder, issued_at)?;
                self.audit.tell(record).await;
                Ok(token)
            }
            Issuer::Opaque => self.insert(holder, issued_at, record).await,
        }
    }

    /// Ends every token that a user has.
    pub(super) async fn revoke(
        &self,
        user_type: UserType,
        id: u32,
        origin: &Origin,
    ) -> Result<(), ServiceError> {
        let intent = self.audit.intend(about(origin.record(Action::TokenRevoked), user_type, id)).await?;
        let now = self.clock.now();
        let store = self.facts.store();
        let ended = match self.issuer {
            Issuer::Jwt => store.revoke_user(user_type, id, now).await,
            Issuer::Opaque => store.revoke_user_and_delete_tokens(user_type, id, now).await,
        };
        // Also after a failure: the store may have done it and not said so.
        forget(&self.facts, user_type, id);
        conclude(intent, ended).await
    }

    fn sign(&self, holder: Holder, issued_at: UnixTime) -> Result<Secret<String>, ServiceError> {
        let settings = self.facts.settings().current();
        let lifetime = match holder.user_type {
            UserType::Admin => settings.logins.admin_jwt_lifetime,
            UserType::Customer => settings.logins.customer_jwt_lifetime,
            UserType::Integration | UserType::Guest => {
                return Err(ServiceError::Misconfigured("only admins and customers have JWTs"));
            }
        };
        let algorithm = settings.jwt_algorithm.ok_or(ServiceError::Misconfigured("jwt_algorithm_refused"))?;
        let judge = self.facts.judge();
        let Holder { user_type, id: user_id, .. } = holder;
        let claims = Claims { user_type, user_id, issued_at, expires_at: issued_at.plus(lifetime) };
        let token = Secret::new(judge.jwt.of(algorithm).sign(&claims));
        match judge.claims(token.expose().as_bytes()) {
            Ok(_) => Ok(token),
            Err(reason) => {
                tracing::error!(reason, "a JWT signed here would not be accepted here");
                Err(ServiceError::Misconfigured(reason))
            }
        }
    }

    async fn insert(
        &self,
        holder: Holder,
        created_at: UnixTime,
        record: Record,
    ) -> Result<Secret<String>, ServiceError> {
        let owner = match holder.user_type {
            UserType::Admin => TokenOwner::Admin(holder.id),
            UserType::Customer => TokenOwner::Customer(holder.id),
            UserType::Integration | UserType::Guest => {
                return Err(ServiceError::Misconfigured(
                    "only admins and customers have tokens of their own",
                ));
            }
        };
        let (token, secret) = (random::token()?, random::token()?);
        let encrypted = self.facts.judge().encryptor.encrypt(secret.expose(), random::bytes()?);
        let encrypted_secret = &Secret::new(encrypted);
        let row = NewAccessToken { owner, token: &token, encrypted_secret };
        let intent = self.audit.intend(record).await?;
        let inserted = self.facts.store().insert_access_token(&row, created_at).await;
        conclude(intent, inserted.map(|_| ())).await?;
        Ok(token)
    }
}

/// Names the user that a record is about.
pub(super) fn about(record: Record, user_type: UserType, id: u32) -> Record {
    Record { user_type: Some(user_type), user_id: Some(id), ..record }
}

/// Makes this process ask the store again before it believes anything of a user.
pub(super) fn forget(facts: &Facts, user_type: UserType, id: u32) {
    match user_type {
        UserType::Admin => facts.cache().invalidate(Subject::Admin(id)),
        UserType::Customer => facts.cache().invalidate(Subject::Customer(id)),
        UserType::Integration | UserType::Guest => {}
    }
}

/// Tells how an announced change ended.
pub(super) async fn conclude<T>(intent: Intent, done: Result<T, StoreError>) -> Result<T, ServiceError> {
    match done {
        Ok(done) => {
            intent.committed().await;
            Ok(done)
        }
        Err(error) => {
            intent.failed("store").await;
            Err(error.into())
        }
    }
}
