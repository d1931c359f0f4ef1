//! What an operator does with tokens: issues one without a password, looks at those that somebody has, ends them.
//!
//! Tokens are issued and ended by the same hands as behind Magento's endpoints. Whether one still counts is asked of the
//! judge of requests and not worked out a second time. JWTs are kept nowhere, so they are neither listed nor ended one by
//! one; what ends a user's tokens ends them too.

use super::{
    Issuer, LoginDesk, Origin, ServiceError,
    audit::{Action, Record},
    foundation::refused,
    issuer::{Holder, about, conclude, forget},
};
use crate::{
    auth::{identity::UserType, secret::Secret, time::UnixTime},
    store::{
        Subject,
        grant::{Fact, Standing},
        logins::User,
        rows::TokenType,
        sql::TokenOwner,
    },
};

/// Nobody reads more of them; the newest come first.
const MOST_HELD: u32 = 1000;

/// Issues, lists and ends tokens without anybody's password.
#[derive(Debug, Clone)]
pub struct OperatorTokens(LoginDesk);

/// A token that was just issued.
#[derive(Debug)]
pub struct Issued {
    /// What the bearer presents.
    pub token: Secret<String>,
    /// Its kind.
    pub kind: Issuer,
    /// When it dies.
    pub expires_at: UnixTime,
}

/// The tokens of somebody.
#[derive(Debug)]
pub struct Holdings {
    /// Those that are kept, the newest first.
    pub tokens: Vec<HeldToken>,
    /// Whatever was issued to the user up to then is revoked.
    pub revoke_before: Option<UnixTime>,
}

/// A token that is kept, without its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldToken {
    /// `oauth_token.entity_id`.
    pub id: u32,
    /// `oauth_token.type`.
    pub token_type: TokenType,
    /// What `X-Auth-Credential` says of requests with it; an integration's as signed.
    pub fingerprint: String,
    /// `oauth_token.created_at`.
    pub created_at: Option<UnixTime>,
    /// Whether it counts.
    pub state: TokenState,
}

/// Whether a token counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenState {
    /// It does.
    Valid {
        /// When it dies, if by itself.
        until: Option<UnixTime>,
    },
    /// It does not, for this reason.
    Refused(&'static str),
}

/// What ending one token came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// It is gone.
    Done {
        /// Whose it was.
        user_type: Option<UserType>,
        /// The user's or consumer's id.
        id: Option<u32>,
    },
    /// It is a JWT of this user, which cannot be ended alone.
    Jwt(UserType, u32),
    /// Nobody has it.
    Unknown,
}

impl OperatorTokens {
    /// The service at a desk.
    #[must_use]
    pub const fn new(desk: LoginDesk) -> Self {
        Self(desk)
    }

    /// Issues a token to a user who exists, is active and, an admin, has a role.
    ///
    /// # Errors
    /// [`ServiceError::Refused`] for a user who would not be let in, [`ServiceError::Misconfigured`] for a token that would
    /// not count; audit and store.
    pub async fn issue(&self, user: &User, origin: &Origin) -> Result<Issued, ServiceError> {
        let Self(desk) = self;
        let User { user_type, id, .. } = *user;
        let found = desk.facts.store().user(user_type, id).await?;
        let found =
            found.filter(|found| found.is_active).ok_or_else(|| refused("The account is disabled."))?;
        if user_type == UserType::Admin && !self.has_role(user).await? {
            return Err(refused("More permissions are needed to access this."));
        }
        let lifetime = {
            let settings = desk.facts.settings().current();
            match user_type {
                UserType::Admin => settings.admin_token_lifetime,
                UserType::Customer => settings.customer_token_lifetime,
                UserType::Integration | UserType::Guest => {
                    return Err(ServiceError::Misconfigured("only admins and customers have such tokens"));
                }
            }
        };
        let kind = desk.issuer();
        if kind == Issuer::Opaque && lifetime.is_zero() {
            return Err(ServiceError::Misconfigured(
                "opaque tokens of this kind of user live for no time at all",
            ));
        }
        let holder = Holder { user_type, id, revoke_before: found.revoke_before, as_of: desk.now() };
        let record = Record {
            name: Some(user.name.clone()),
            detail: Some("without a password".to_owned()),
            ..about(origin.record(Action::TokenIssued), user_type, id)
        };
        let issued_at = desk.now();
        let token = desk.tokens.issue(holder, record).await?;
        let claims = desk.facts.judge().claims(token.expose().as_bytes());
        let expires_at = claims.map_or_else(|_| issued_at.plus(lifetime), |claims| claims.expires_at);
        Ok(Issued { token, kind, expires_at })
    }

    /// The tokens of an owner.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn held(&self, owner: TokenOwner) -> Result<Holdings, ServiceError> {
        let store = self.0.facts.store();
        let (user, key) = match owner {
            TokenOwner::Admin(id) => (store.user(UserType::Admin, id).await?, None),
            TokenOwner::Customer(id) => (store.user(UserType::Customer, id).await?, None),
            TokenOwner::Consumer(id) => {
                (None, store.view().await?.consumer(id).await?.map(|consumer| consumer.key))
            }
        };
        let mut tokens = Vec::new();
        for (id, token) in store.tokens_held(owner, MOST_HELD).await? {
            // One that went meanwhile is not held any more.
            tokens.extend(self.look_at((id, &token), key.as_deref()).await?);
        }
        Ok(Holdings { tokens, revoke_before: user.and_then(|user| user.revoke_before) })
    }

    /// Ends every token of a user.
    ///
    /// # Errors
    /// [`ServiceError::Audit`] where it cannot be recorded: nothing is revoked then. [`ServiceError::Store`].
    pub async fn revoke_user(
        &self,
        user_type: UserType,
        id: u32,
        origin: &Origin,
    ) -> Result<(), ServiceError> {
        self.0.tokens.revoke(user_type, id, origin).await
    }

    /// Ends one token, whoever has it.
    ///
    /// # Errors
    /// As [`OperatorTokens::revoke_user`].
    pub async fn revoke_token(
        &self,
        token: &Secret<String>,
        origin: &Origin,
    ) -> Result<Revocation, ServiceError> {
        let facts = &self.0.facts;
        if let Ok(claims) = facts.judge().claims(token.expose().as_bytes()) {
            return Ok(Revocation::Jwt(claims.user_type, claims.user_id));
        }
        let Some(row) = facts.store().token(token.expose().as_bytes()).await? else {
            return Ok(Revocation::Unknown);
        };
        let user_type = row.user_type.and_then(UserType::from_magento);
        let id = row.user.as_ref().map(|user| user.id);
        let record = Record {
            user_type,
            user_id: id.or_else(|| row.integration.as_ref().map(|integration| integration.id)),
            consumer_id: row.consumer_id,
            detail: Some("one token".to_owned()),
            ..origin.record(Action::TokenRevoked)
        };
        let intent = self.0.audit().intend(record).await?;
        let deleted = facts.store().delete_token(token.expose()).await;
        if let (Some(user_type), Some(id)) = (user_type, id) {
            forget(facts, user_type, id);
        }
        if let Some(consumer_id) = row.consumer_id {
            facts.cache().invalidate(Subject::Consumer(consumer_id));
        }
        conclude(intent, deleted).await?;
        Ok(Revocation::Done { user_type, id: id.or(row.consumer_id) })
    }

    async fn has_role(&self, admin: &User) -> Result<bool, ServiceError> {
        let account = self.0.facts.store().admin_account(&admin.name).await?;
        Ok(account.is_some_and(|account| account.id == admin.id && account.has_role))
    }

    async fn look_at(
        &self,
        (id, token): (u32, &Secret<String>),
        consumer_key: Option<&str>,
    ) -> Result<Option<HeldToken>, ServiceError> {
        let (store, judge) = (self.0.facts.store(), self.0.facts.judge());
        let value = token.expose().as_bytes();
        let Some(row) = store.token(value).await? else { return Ok(None) };
        let (fingerprint, state) = match consumer_key.map(str::as_bytes) {
            None => (judge.fingerprint(&[value]), bearer(judge.opaque(value, &row))),
            Some(key) => {
                let fact = judge.oauth(key, value, &store.oauth(key, value).await?);
                (judge.fingerprint(&[key, b"\0", value]), signed(fact.standing))
            }
        };
        let state = match state {
            TokenState::Valid { until: Some(until) } if until <= self.0.now() => {
                TokenState::Refused("token_expired")
            }
            state @ (TokenState::Valid { .. } | TokenState::Refused(_)) => state,
        };
        let fingerprint = fingerprint.to_str().unwrap_or_default().to_owned();
        let (token_type, created_at) = (row.token_type, row.created_at);
        Ok(Some(HeldToken { id, token_type, fingerprint, created_at, state }))
    }
}

fn bearer(fact: Fact) -> TokenState {
    match fact {
        Fact::Granted(grant) => TokenState::Valid { until: grant.expires_at },
        Fact::Refused(reason) => TokenState::Refused(reason),
        Fact::SessionExpired | Fact::Oauth(_) => TokenState::Refused("token_unknown"),
    }
}

fn signed(standing: Standing) -> TokenState {
    TokenState::Refused(match standing {
        Standing::Granted(grant) => return TokenState::Valid { until: grant.expires_at },
        Standing::Inactive => "integration_inactive",
        Standing::NotAccess => "token_not_access",
        Standing::Revoked => "token_revoked",
        Standing::SecretUnusable => "secret_unusable",
        Standing::ConsumerUnknown | Standing::TokenUnknown | Standing::OfOtherConsumer => "token_unknown",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::{
        TokenSettings,
        testing::{NOW, Shop, secret},
        users::Users,
    };

    const PEOPLE: &str = "INSERT INTO customer_entity (entity_id, email, website_id, is_active) VALUES
            (7, 'a@example.com', 1, 1), (8, 'off@example.com', 1, 0);
        INSERT INTO admin_user (user_id, username, password, is_active) VALUES
            (1, 'ada', 'x', 1), (2, 'roleless', 'x', 1);
        INSERT INTO authorization_role (role_id, parent_id, role_type, user_id, user_type, role_name) VALUES
            (1, 0, 'G', 0, '2', 'Clerks'), (2, 1, 'U', 1, '2', '')";

    async fn shop(issuer: Issuer) -> (Shop, OperatorTokens) {
        let shop = Shop::open(TokenSettings { issuer, rehashes: false }).await;
        shop.sql(PEOPLE).await;
        let tokens = OperatorTokens::new(shop.desk.clone());
        (shop, tokens)
    }

    async fn user(shop: &Shop, user_type: UserType, name: &str) -> User {
        Users::new(shop.desk.clone()).find(user_type, name).await.unwrap().remove(0)
    }

    fn operator() -> Origin {
        Origin::local("cli:root")
    }

    #[tokio::test]
    async fn a_token_goes_to_whoever_would_be_let_in_and_to_nobody_else() {
        for issuer in [Issuer::Jwt, Issuer::Opaque] {
            let (shop, tokens) = shop(issuer).await;
            for (user_type, name) in [(UserType::Customer, "a@example.com"), (UserType::Admin, "ada")] {
                let issued = tokens.issue(&user(&shop, user_type, name).await, &operator()).await.unwrap();
                let fact = shop.fact(&issued.token).await;
                assert_eq!(fact.grant().unwrap().expires_at, Some(issued.expires_at), "{name}");
                assert_eq!(issued.kind, issuer);
            }
            for (user_type, name, refusal) in [
                (UserType::Customer, "off@example.com", "The account is disabled."),
                (UserType::Admin, "roleless", "More permissions are needed to access this."),
            ] {
                let refused = tokens.issue(&user(&shop, user_type, name).await, &operator()).await;
                assert_eq!(refused.unwrap_err().to_string(), refusal);
            }
        }
    }

    #[tokio::test]
    async fn a_token_that_would_be_dead_at_once_is_not_issued() {
        let settings = TokenSettings { issuer: Issuer::Opaque, rehashes: false };
        let rows = [("oauth/access_token_lifetime/customer", "0")];
        let shop = Shop::with(settings, &rows, &crate::auth::jwt::AcceptedKeys::All).await;
        shop.sql(PEOPLE).await;
        let tokens = OperatorTokens::new(shop.desk.clone());
        let customer = user(&shop, UserType::Customer, "a@example.com").await;
        let refused = tokens.issue(&customer, &operator()).await;
        assert!(matches!(refused, Err(ServiceError::Misconfigured(_))), "{refused:?}");
        assert!(shop.rows("SELECT token FROM oauth_token").await.is_empty());
    }

    #[tokio::test]
    async fn what_is_held_says_whether_it_counts() {
        let (shop, tokens) = shop(Issuer::Opaque).await;
        let customer = user(&shop, UserType::Customer, "a@example.com").await;
        let issued = tokens.issue(&customer, &operator()).await.unwrap();
        let held = tokens.held(TokenOwner::Customer(7)).await.unwrap();
        let [token] = held.tokens.as_slice() else { panic!("{held:?}") };
        assert_eq!(token.state, TokenState::Valid { until: Some(issued.expires_at) });
        assert_eq!(token.created_at, Some(UnixTime::from_seconds(NOW)));
        let grant = shop.fact(&issued.token).await.grant().unwrap().headers.credential.clone();
        assert_eq!(token.fingerprint.as_bytes(), grant.as_bytes());
        assert!(!format!("{held:?}").contains(issued.token.expose().as_str()));
        shop.at(100_000);
        let later = tokens.held(TokenOwner::Customer(7)).await.unwrap();
        assert_eq!(later.tokens[0].state, TokenState::Refused("token_expired"));
        assert!(tokens.held(TokenOwner::Admin(7)).await.unwrap().tokens.is_empty());
    }

    #[tokio::test]
    async fn one_token_ends_alone_and_a_jwt_does_not() {
        let (shop, tokens) = shop(Issuer::Opaque).await;
        let customer = user(&shop, UserType::Customer, "a@example.com").await;
        let first = tokens.issue(&customer, &operator()).await.unwrap().token;
        let second = tokens.issue(&customer, &operator()).await.unwrap().token;
        assert!(shop.fact(&first).await.is_positive());
        let done = Revocation::Done { user_type: Some(UserType::Customer), id: Some(7) };
        assert_eq!(tokens.revoke_token(&first, &operator()).await.unwrap(), done);
        assert!(!shop.fact(&first).await.is_positive());
        assert!(shop.fact(&second).await.is_positive());
        assert_eq!(tokens.revoke_token(&first, &operator()).await.unwrap(), Revocation::Unknown);
        assert_eq!(tokens.revoke_token(&secret(""), &operator()).await.unwrap(), Revocation::Unknown);

        let jwts = OperatorTokens::new(shop.rebuilt(TokenSettings::default()));
        let jwt = jwts.issue(&customer, &operator()).await.unwrap().token;
        let alone = Revocation::Jwt(UserType::Customer, 7);
        assert_eq!(jwts.revoke_token(&jwt, &operator()).await.unwrap(), alone);
        assert!(shop.fact(&jwt).await.is_positive());
        jwts.revoke_user(UserType::Customer, 7, &operator()).await.unwrap();
        assert!(!shop.fact(&jwt).await.is_positive());
        assert!(!shop.fact(&second).await.is_positive());
        let held = jwts.held(TokenOwner::Customer(7)).await.unwrap();
        assert_eq!(held.revoke_before, Some(UnixTime::from_seconds(NOW)));
        assert_eq!(held.tokens[0].state, TokenState::Refused("token_revoked_by_user"));
    }
}
