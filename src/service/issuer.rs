//! Issuing tokens to people, and ending them.
//!
//! A JWT is signed as Magento 2.4.4 and later do it (`MAGENTO_AUTH` section 2.7); an opaque token is a row of
//! `oauth_token`, as Magento without the module `JwtUserToken` writes it. Ending a user's tokens writes
//! `jwt_auth_revoked`, which kills both kinds, and deletes the opaque ones where those are issued.
//!
//! Whatever is issued holds at once: a JWT is put before our own verifier first. And in the second of a revocation,
//! whose tokens are all dead by Magento's rule, a token is dated one second later ([`crate::auth::revocation`]).

use super::{
    Origin, ServiceError,
    audit::{Action, Audit, Intent, Record},
    random,
};
use crate::{
    auth::{identity::UserType, jwt::Claims, revocation::issue_time, secret::Secret, time::UnixTime},
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
    /// When the account was read: what happened to it later ends the token.
    pub(super) as_of: UnixTime,
}

impl TokenIssuer {
    /// Issues a token and records that it did. The record of an opaque one is written before its row, where it can be written
    /// at all; that of a JWT before anybody has it.
    pub(super) async fn issue(&self, holder: Holder, record: Record) -> Result<Secret<String>, ServiceError> {
        let issued_at = issue_time(holder.as_of, holder.revoke_before);
        match self.issuer {
            Issuer::Jwt => {
                let token = self.sign(holder, issued_at)?;
                self.audit.witness(record).await;
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
        let intent = self.audit.intend(record.clone()).await;
        let inserted = self.facts.store().insert_access_token(&row, created_at).await;
        if let Ok(intent) = intent {
            conclude(intent, inserted).await?;
        } else {
            // A full disk keeps nobody from signing in: it is told as far as it can be.
            inserted?;
            self.audit.tell(record).await;
        }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        auth::jwt::AcceptedKeys,
        config,
        service::testing::{NOW, Shop, guest},
        store::grant::Fact,
    };

    const CUSTOMER: &str =
        "INSERT INTO customer_entity (entity_id, email, website_id) VALUES (7, 'a@example.com', 1)";

    fn holder(shop: &Shop, revoke_before: Option<i64>) -> Holder {
        let revoke_before = revoke_before.map(UnixTime::from_seconds);
        Holder { user_type: UserType::Customer, id: 7, revoke_before, as_of: shop.desk.now() }
    }

    fn settings(issuer: Issuer) -> TokenSettings {
        TokenSettings { issuer, rehashes: false }
    }

    async fn issue(shop: &Shop, revoke_before: Option<i64>) -> Result<Secret<String>, ServiceError> {
        let record = guest().record(Action::TokenIssued);
        shop.desk.tokens.issue(holder(shop, revoke_before), record).await
    }

    #[tokio::test]
    async fn a_jwt_is_the_one_that_magento_would_issue() {
        let shop = Shop::open(settings(Issuer::Jwt)).await;
        shop.at(1_700_000_000 - NOW);
        let admin = Holder { user_type: UserType::Admin, id: 1, revoke_before: None, as_of: shop.desk.now() };
        let token = shop.desk.tokens.issue(admin, guest().record(Action::TokenIssued)).await.unwrap();
        // MAGENTO_AUTH 2.7.
        assert_eq!(
            token.expose(),
            "eyJraWQiOiIxIiwiYWxnIjoiSFMyNTYifQ.eyJ1aWQiOjEsInV0eXBpZCI6MiwiaWF0IjoxNzAwMDAwMDAwLCJleHAiOjE3MDAwMDM2MDB9.medfRQHPbWCoJC7ZmyOP8Yrrj4PJW3hg27cR1OTdsjE"
        );
    }

    #[tokio::test]
    async fn a_token_holds_at_once_and_its_revocation_too() {
        for issuer in [Issuer::Jwt, Issuer::Opaque] {
            let shop = Shop::open(settings(issuer)).await;
            shop.sql(CUSTOMER).await;
            let token = issue(&shop, None).await.unwrap();
            assert_eq!(token.expose().len() == 32, issuer == Issuer::Opaque);
            assert!(shop.fact(&token).await.is_positive(), "{issuer:?}");
            shop.at(5);
            shop.desk.tokens.revoke(UserType::Customer, 7, &guest()).await.unwrap();
            assert!(!shop.fact(&token).await.is_positive(), "{issuer:?}");
            let left = shop.rows("SELECT CAST(count(*) AS TEXT) FROM oauth_token").await;
            assert_eq!(left, ["0"], "{issuer:?}");
            let revoked =
                "SELECT user_type_id || ' ' || user_id || ' ' || revoke_before FROM jwt_auth_revoked";
            assert_eq!(shop.rows(revoked).await, [format!("3 7 {}", NOW + 5)], "{issuer:?}");
            let in_that_second = issue(&shop, Some(NOW + 5)).await.unwrap();
            assert!(shop.fact(&in_that_second).await.is_positive(), "{issuer:?}");
        }
    }

    /// Whoever killed the gate right after the answer had a JWT that no record told of.
    #[tokio::test]
    async fn the_record_of_a_jwt_is_written_before_anybody_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let to = config::Audit { file: Some(path.clone()), replays: 1, webhook: None };
        let mut shop = Shop::open(settings(Issuer::Jwt)).await;
        let clock = shop.desk.tokens.clock.clone();
        shop.desk.tokens.audit = Audit::open(&to, clock, Arc::default()).unwrap();
        issue(&shop, None).await.unwrap();
        let written = std::fs::read_to_string(&path).unwrap();
        assert!(written.contains("\"action\":\"token_issued\""), "{written}");
    }

    /// A token of the second of a revocation outlived the next revocation in that second.
    #[tokio::test]
    async fn revocations_of_one_second_end_what_was_issued_between_them() {
        let shop = Shop::open(settings(Issuer::Jwt)).await;
        shop.sql(CUSTOMER).await;
        for later in [0, 2, 4] {
            shop.desk.tokens.revoke(UserType::Customer, 7, &guest()).await.unwrap();
            let token = issue(&shop, Some(NOW + later)).await.unwrap();
            assert!(shop.fact(&token).await.is_positive(), "{later}");
            shop.desk.tokens.revoke(UserType::Customer, 7, &guest()).await.unwrap();
            assert!(!shop.fact(&token).await.is_positive(), "{later}");
        }
    }

    #[tokio::test]
    async fn where_jwts_are_issued_a_revocation_leaves_opaque_rows_and_kills_them_all_the_same() {
        let shop = Shop::open(settings(Issuer::Jwt)).await;
        shop.sql(CUSTOMER).await;
        let opaque = TokenIssuer { issuer: Issuer::Opaque, ..shop.desk.tokens.clone() };
        let token = opaque.issue(holder(&shop, None), guest().record(Action::TokenIssued)).await.unwrap();
        assert!(shop.fact(&token).await.is_positive());
        shop.desk.tokens.revoke(UserType::Customer, 7, &guest()).await.unwrap();
        assert!(matches!(&*shop.fact(&token).await, Fact::Refused("token_revoked_by_user")));
        assert_eq!(shop.rows("SELECT token FROM oauth_token").await, [token.expose().clone()]);
    }

    #[tokio::test]
    async fn an_opaque_token_is_the_row_that_magento_would_write() {
        let shop = Shop::open(settings(Issuer::Opaque)).await;
        shop.sql(CUSTOMER).await;
        let token = issue(&shop, None).await.unwrap();
        let row = "SELECT type || ' ' || token || ' ' || customer_id || ' ' || coalesce(admin_id, '-') || ' ' ||
            coalesce(consumer_id, '-') || ' ' || user_type || ' ' || revoked || ' ' || created_at FROM oauth_token";
        let expected = format!("access {} 7 - - 3 0 2026-11-21 07:58:12", token.expose());
        assert_eq!(shop.rows(row).await, [expected]);
        let stored = shop.rows("SELECT secret FROM oauth_token").await;
        let decrypted = shop.facts.judge().encryptor.decrypt(&stored[0]).unwrap();
        assert_eq!(decrypted.expose().len(), 32);
    }

    #[tokio::test]
    async fn what_our_own_rules_would_refuse_is_not_issued() {
        let wrapped = [("webapi/jwtauth/jwt_alg", "A128KW")];
        for (rows, accepted, reason) in [
            (&wrapped[..], AcceptedKeys::All, "jwt_algorithm_refused"),
            (&[], AcceptedKeys::None, "jwt_signature"),
        ] {
            let shop = Shop::with(settings(Issuer::Jwt), rows, &accepted).await;
            match issue(&shop, None).await {
                Err(ServiceError::Misconfigured(cause)) => assert!(cause.starts_with(reason), "{cause}"),
                other => panic!("{other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn lifetimes_and_algorithm_are_those_of_the_settings() {
        let rows = [("webapi/jwtauth/customer_expiration", "5"), ("webapi/jwtauth/jwt_alg", "HS512")];
        let shop = Shop::with(settings(Issuer::Jwt), &rows, &AcceptedKeys::All).await;
        let token = issue(&shop, None).await.unwrap();
        let claims = shop.facts.judge().claims(token.expose().as_bytes()).unwrap();
        assert_eq!((claims.issued_at.seconds(), claims.expires_at.seconds()), (NOW, NOW + 300));
    }

    #[tokio::test]
    async fn a_store_that_does_not_answer_ends_nothing_and_issues_nothing() {
        let shop = Shop::open(settings(Issuer::Opaque)).await;
        shop.store.close().await;
        assert!(matches!(issue(&shop, None).await, Err(ServiceError::Store(_))));
        let revoked = shop.desk.tokens.revoke(UserType::Admin, 1, &guest()).await;
        assert!(matches!(revoked, Err(ServiceError::Store(_))));
    }
}
