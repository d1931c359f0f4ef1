//! Judging what the rows say: from stored facts to what a credential may do.
//!
//! This is where our rules are stricter than Magento's (deviations D4, D5, D7): only access tokens, only active
//! integrations, only users who exist and are active. Expiry is not judged here: a grant carries it, and every request
//! compares it with its own time.

use std::{sync::Arc, time::Duration};

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderValue;
use sha2::Sha256;

use super::{
    grant::{CallerHeaders, Fact, Grant, IntegrationHeaders, OauthFact, Standing},
    rows::{IntegrationRow, OauthRows, SessionAdminRow, SessionCustomerRow, TokenRow, TokenType, UserRow},
    settings::MagentoSettings,
};
use crate::auth::{
    encryptor::Encryptor,
    header_text::header_text,
    identity::{AuthMethod, Customer, Integration, UserContext, UserType},
    jwt::{Claims, JwtRefusal, JwtVerifiers},
    oauth1::SigningKey,
    secret::Secret,
    session::{SessionContent, SessionId},
};

/// `admin_user_session.status` of a login that is under way.
const LOGGED_IN: i64 = 1;

/// What the configuration and Magento's settings say about credentials.
#[derive(Debug)]
pub struct Judge {
    /// Decrypts consumer and token secrets.
    pub encryptor: Encryptor,
    /// Verify user JWTs, one for each algorithm that the settings may name.
    pub jwt: JwtVerifiers,
    /// Whether admins may come with a JWT.
    pub jwt_admin: bool,
    /// What may change at run time; each judgement reads it once.
    pub settings: Arc<MagentoSettings>,
    /// How long a session id still counts after it was given up (`web/cookie/cookie_lifetime`).
    pub session_lifetime: Duration,
    /// The key of credential fingerprints.
    pub fingerprint_key: Secret<[u8; 32]>,
}

impl Judge {
    /// Judges an opaque token's row.
    #[must_use]
    pub fn opaque(&self, token: &[u8], row: &TokenRow) -> Fact {
        if row.is_revoked {
            return Fact::Refused("token_revoked");
        }
        if row.token_type != TokenType::Access {
            return Fact::Refused("token_not_access");
        }
        let Some(user_type) = row.user_type.and_then(UserType::from_magento) else {
            return Fact::Refused("token_user_type");
        };
        let settings = self.settings.current();
        match user_type {
            UserType::Admin => self.user_token(token, row, user_type, settings.admin_token_lifetime),
            UserType::Customer => self.user_token(token, row, user_type, settings.customer_token_lifetime),
            UserType::Integration => self.integration_token(token, row),
            UserType::Guest => Fact::Refused("token_user_type"),
        }
    }

    /// Reads a JWT; no row is needed to refuse one.
    ///
    /// # Errors
    /// The reason why it is none of ours, for the log.
    pub fn claims(&self, token: &[u8]) -> Result<Claims, &'static str> {
        let Some(algorithm) = self.settings.current().jwt_algorithm else {
            return Err("jwt_algorithm_refused");
        };
        let claims = self.jwt.of(algorithm).verify(token).map_err(JwtRefusal::reason)?;
        if claims.user_type == UserType::Admin && !self.jwt_admin {
            return Err("jwt_admin_is_off");
        }
        Ok(claims)
    }

    /// Judges a JWT's claims by the row of the user they name.
    #[must_use]
    pub fn jwt(&self, token: &[u8], claims: &Claims, user: Option<&UserRow>) -> Fact {
        let user = match living(user) {
            Ok(user) => user,
            Err(reason) => return Fact::Refused(reason),
        };
        if claims.is_revoked(user.revoke_before) {
            return Fact::Refused("token_revoked_by_user");
        }
        Fact::Granted(Grant {
            context: context(claims.user_type, user),
            method: AuthMethod::Jwt,
            expires_at: Some(claims.expires_at),
            headers: self.headers(user.id, None, &[token]),
        })
    }

    /// Judges a customer's session. One that cannot show that it began after the last change of the password is taken for
    /// one that did not.
    #[must_use]
    pub fn session_customer(
        &self,
        id: &SessionId,
        content: &SessionContent,
        row: Option<&SessionCustomerRow>,
    ) -> Fact {
        let customer = match living(row.map(|row| &row.user)) {
            Ok(customer) => customer,
            Err(reason) => return Fact::Refused(reason),
        };
        let (cutoff, began_at) = row.map_or((None, None), |row| (row.cutoff, row.began_at));
        if cutoff.is_some_and(|cutoff| began_at.is_none_or(|began_at| cutoff > began_at)) {
            return Fact::SessionExpired;
        }
        self.session_grant(id, content, context(UserType::Customer, customer))
    }

    /// Judges an admin's session (deviation D10). A login that Magento's own list says is over is over here too.
    #[must_use]
    pub fn session_admin(
        &self,
        id: &SessionId,
        content: &SessionContent,
        row: Option<&SessionAdminRow>,
    ) -> Fact {
        let admin = match living(row.map(|row| &row.user)) {
            Ok(admin) => admin,
            Err(reason) => return Fact::Refused(reason),
        };
        let is_listed = content.admin.is_some_and(|admin| admin.session_row.is_some());
        if is_listed && row.and_then(|row| row.status) != Some(LOGGED_IN) {
            return Fact::Refused("session_logged_out");
        }
        self.session_grant(id, content, context(UserType::Admin, admin))
    }

    /// Judges a consumer key and token: who may be let in once the signature verified, and by which key.
    #[must_use]
    pub fn oauth(&self, consumer_key: &[u8], token: &[u8], rows: &OauthRows) -> OauthFact {
        let decoy = |consumer_id, standing| OauthFact {
            consumer_id,
            signing_key: SigningKey::decoy(),
            older_key: None,
            standing,
        };
        let Some(consumer) = &rows.consumer else {
            return decoy(None, Standing::ConsumerUnknown);
        };
        let id = Some(consumer.id);
        let Some(row) = &rows.token else {
            return decoy(id, Standing::TokenUnknown);
        };
        if row.consumer_id != id {
            return decoy(id, Standing::OfOtherConsumer);
        }
        if row.token_type != TokenType::Access {
            return decoy(id, Standing::NotAccess);
        }
        if row.is_revoked {
            return decoy(id, Standing::Revoked);
        }
        let Some(signing_key) = self.signing_key(&consumer.secret, &row.secret) else {
            return decoy(id, Standing::SecretUnusable);
        };
        let standing = match &row.integration {
            Some(integration) if integration.is_active => {
                let credential: &[&[u8]] = &[consumer_key, b"\0", token];
                let grant = self.integration_grant(integration, consumer.id, AuthMethod::Oauth1, credential);
                Standing::Granted(Box::new(Grant { expires_at: row.ends_at, ..grant }))
            }
            Some(_) | None => Standing::Inactive,
        };
        // One that does not open is as good as ended.
        let older_key = consumer
            .older_secret
            .as_ref()
            .and_then(|(secret, ends_at)| self.signing_key(secret, &row.secret).map(|key| (key, *ends_at)));
        OauthFact { consumer_id: id, signing_key, older_key, standing }
    }

    fn session_grant(&self, id: &SessionId, content: &SessionContent, context: UserContext) -> Fact {
        // Magento ends it when the lifetime has passed, not when it passes.
        let lifetime = self.session_lifetime.saturating_add(Duration::from_secs(1));
        Fact::Granted(Grant {
            headers: self.headers(
                context.user_id().unwrap_or_default(),
                None,
                &[b"session\0", id.as_bytes()],
            ),
            context,
            method: AuthMethod::Session,
            expires_at: content.destroyed.map(|destroyed| destroyed.plus(lifetime)),
        })
    }

    fn user_token(&self, token: &[u8], row: &TokenRow, user_type: UserType, lifetime: Duration) -> Fact {
        let user = match living(row.user.as_ref()) {
            Ok(user) => user,
            Err(reason) => return Fact::Refused(reason),
        };
        let Some(created_at) = row.created_at else {
            return Fact::Refused("token_expired");
        };
        if lifetime.is_zero() {
            return Fact::Refused("token_expired");
        }
        if user.revoke_before.is_some_and(|revoke_before| created_at <= revoke_before) {
            return Fact::Refused("token_revoked_by_user");
        }
        Fact::Granted(Grant {
            context: context(user_type, user),
            method: AuthMethod::Bearer,
            expires_at: Some(created_at.plus(lifetime)),
            headers: self.headers(user.id, None, &[token]),
        })
    }

    /// Refuses what counts in no store; in which of them it counts is asked at every request (`authenticate`).
    fn integration_token(&self, token: &[u8], row: &TokenRow) -> Fact {
        if !self.settings.current().integration_as_bearer.is_set_somewhere() {
            return Fact::Refused("integration_as_bearer_is_off");
        }
        match (&row.integration, row.consumer_id) {
            (Some(integration), Some(consumer_id)) if integration.is_active => {
                let grant = self.integration_grant(integration, consumer_id, AuthMethod::Bearer, &[token]);
                Fact::Granted(Grant { expires_at: row.ends_at, ..grant })
            }
            (Some(_), _) => Fact::Refused("integration_inactive"),
            (None, _) => Fact::Refused("integration_missing"),
        }
    }

    fn integration_grant(
        &self,
        row: &IntegrationRow,
        consumer_id: u32,
        method: AuthMethod,
        credential: &[&[u8]],
    ) -> Grant {
        let names = IntegrationHeaders {
            consumer_id: HeaderValue::from(consumer_id),
            integration_id: HeaderValue::from(row.id),
            name: value(&header_text(&row.name)),
        };
        let integration = Integration { id: row.id, name: row.name.clone(), consumer_id };
        Grant {
            context: UserContext::Integration(integration),
            method,
            expires_at: None,
            headers: self.headers(row.id, Some(names), credential),
        }
    }

    fn signing_key(&self, consumer: &Secret<String>, token: &Secret<String>) -> Option<SigningKey> {
        let (consumer, token) = self.secrets(consumer, token)?;
        SigningKey::new(consumer.expose().as_bytes(), token.expose().as_bytes())
    }

    /// Decrypts the stored secrets of a consumer and its token; `None` where one does not open.
    #[must_use]
    pub fn secrets(
        &self,
        consumer: &Secret<String>,
        token: &Secret<String>,
    ) -> Option<(Secret<String>, Secret<String>)> {
        let consumer = self.encryptor.decrypt(consumer.expose()).ok()?;
        Some((consumer, self.encryptor.decrypt(token.expose()).ok()?))
    }

    fn headers(
        &self,
        user_id: u32,
        integration: Option<IntegrationHeaders>,
        credential: &[&[u8]],
    ) -> CallerHeaders {
        CallerHeaders {
            user_id: HeaderValue::from(user_id),
            integration,
            credential: self.fingerprint(credential),
        }
    }

    /// Sixteen hexadecimal digits of a keyed hash: the same credential reads the same in every log line, and the line
    /// is no oracle for guessing it.
    #[must_use]
    pub fn fingerprint(&self, credential: &[&[u8]]) -> HeaderValue {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.fingerprint_key.expose())
            .expect("HMAC takes keys of any length");
        for part in credential {
            mac.update(part);
        }
        let digest = hex::encode(mac.finalize().into_bytes());
        value(digest.get(..16).unwrap_or(&digest))
    }
}

/// A user who exists and is active, or why there is none (deviation D7).
fn living(user: Option<&UserRow>) -> Result<&UserRow, &'static str> {
    match user {
        Some(user) if user.is_active => Ok(user),
        Some(_) => Err("user_inactive"),
        None => Err("user_missing"),
    }
}

const fn context(user_type: UserType, user: &UserRow) -> UserContext {
    match user_type {
        UserType::Admin => UserContext::Admin { id: user.id },
        UserType::Customer => UserContext::Customer(Customer { id: user.id, website_id: user.website_id }),
        UserType::Integration | UserType::Guest => UserContext::Guest,
    }
}

/// A header value from text that `header_text` or `hex` made.
fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        auth::{
            crypt_keys::CryptKeys,
            jwt::{AcceptedKeys, JwtAlgorithm, JwtVerifier},
            time::UnixTime,
        },
        config::WrittenSettings,
        store::{settings::MagentoSettings, sql::SqlStore},
    };

    const KEY: &str = "0123456789abcdef0123456789abcdef";
    const NOW: i64 = 1_700_000_000;

    fn judge(written: WrittenSettings, reads_store: bool, jwt_admin: bool) -> Judge {
        let keys = CryptKeys::parse(KEY).unwrap();
        Judge {
            encryptor: Encryptor::new(&keys).unwrap(),
            jwt: JwtVerifiers::new(&AcceptedKeys::All, &keys),
            jwt_admin,
            settings: Arc::new(MagentoSettings::new(written, reads_store)),
            session_lifetime: Duration::from_secs(3600),
            fingerprint_key: Secret::new([7; 32]),
        }
    }

    fn token(user_type: UserType, revoke_before: Option<i64>) -> TokenRow {
        let user = UserRow {
            id: 1,
            is_active: true,
            website_id: Some(1),
            revoke_before: revoke_before.map(UnixTime::from_seconds),
        };
        TokenRow {
            id: 1,
            token_type: TokenType::Access,
            user_type: Some(user_type as i64),
            consumer_id: None,
            secret: Secret::new(String::new()),
            is_revoked: false,
            created_at: Some(UnixTime::from_seconds(NOW)),
            user: Some(user),
            integration: None,
            ends_at: None,
        }
    }

    /// `expires` and a number of seconds, or why nobody is let in.
    fn outcome(fact: &Fact) -> String {
        match fact {
            Fact::Granted(grant) => format!("expires {}", grant.expires_at.unwrap().seconds() - NOW),
            Fact::Refused(reason) => (*reason).to_owned(),
            Fact::Oauth(_) => "oauth".to_owned(),
            Fact::SessionExpired => "session expired".to_owned(),
        }
    }

    #[test]
    fn an_opaque_token_of_the_second_of_revocation_is_dead() {
        let judge = judge(WrittenSettings::default(), false, true);
        for user_type in [UserType::Admin, UserType::Customer] {
            for (revoke_before, is_dead) in
                [(None, false), (Some(-1), false), (Some(0), true), (Some(1), true)]
            {
                let row = token(user_type, revoke_before.map(|offset| NOW + offset));
                let refused = outcome(&judge.opaque(b"t", &row)) == "token_revoked_by_user";
                assert_eq!(refused, is_dead, "{user_type:?} {revoke_before:?}");
            }
        }
    }

    #[test]
    fn a_jwt_of_the_second_of_revocation_is_dead() {
        let judge = judge(WrittenSettings::default(), false, true);
        let claims = Claims {
            user_type: UserType::Customer,
            user_id: 1,
            issued_at: UnixTime::from_seconds(NOW),
            expires_at: UnixTime::from_seconds(NOW + 60),
        };
        for (offset, expected) in
            [(-1, "expires 60"), (0, "token_revoked_by_user"), (1, "token_revoked_by_user")]
        {
            let user = token(UserType::Customer, Some(NOW + offset)).user;
            assert_eq!(outcome(&judge.jwt(b"t", &claims, user.as_ref())), expected, "{offset}");
        }
    }

    #[test]
    fn each_kind_of_user_has_its_own_lifetime_and_zero_lets_nobody_in() {
        let written = |customer, admin| WrittenSettings {
            customer_token_lifetime: Some(Duration::from_secs(customer)),
            admin_token_lifetime: Some(Duration::from_secs(admin)),
            ..WrittenSettings::default()
        };
        for (customer, admin, expected) in [
            (60, 120, ["expires 60", "expires 120"]),
            (0, 120, ["token_expired", "expires 120"]),
            (60, 0, ["expires 60", "token_expired"]),
        ] {
            let judge = judge(written(customer, admin), false, true);
            let outcomes = [UserType::Customer, UserType::Admin]
                .map(|user_type| outcome(&judge.opaque(b"t", &token(user_type, None))));
            assert_eq!(outcomes, expected);
        }
    }

    #[test]
    fn admins_with_a_jwt_are_guests_where_that_is_off() {
        let verifier = JwtVerifier::new(&CryptKeys::parse(KEY).unwrap(), JwtAlgorithm::Hs256);
        let jwt = |user_type| {
            let issued_at = UnixTime::from_seconds(NOW);
            verifier.sign(&Claims { user_type, user_id: 1, issued_at, expires_at: issued_at })
        };
        for (jwt_admin, admin) in [(true, None), (false, Some("jwt_admin_is_off"))] {
            let judge = judge(WrittenSettings::default(), false, jwt_admin);
            assert_eq!(judge.claims(jwt(UserType::Admin).as_bytes()).err(), admin);
            assert_eq!(judge.claims(jwt(UserType::Customer).as_bytes()).err(), None);
        }
    }

    /// Deviation D6: a key-wrapping algorithm in the store shuts JWTs out, whatever signed them.
    #[tokio::test]
    async fn an_algorithm_of_the_store_that_signs_nothing_shuts_every_jwt_out() {
        let store = SqlStore::open("sqlite::memory:").await.unwrap();
        store.set_for_test("webapi/jwtauth/jwt_alg", "A128KW").await;
        let issued_at = UnixTime::from_seconds(NOW);
        let claims = Claims { user_type: UserType::Customer, user_id: 1, issued_at, expires_at: issued_at };
        let jwt = JwtVerifier::new(&CryptKeys::parse(KEY).unwrap(), JwtAlgorithm::Hs256).sign(&claims);
        let judge = judge(WrittenSettings::default(), true, true);
        assert_eq!(judge.claims(jwt.as_bytes()), Ok(claims));
        judge.settings.refresh(&store).await.unwrap();
        assert_eq!(judge.claims(jwt.as_bytes()), Err("jwt_algorithm_refused"));
    }
}
