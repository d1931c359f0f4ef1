//! Judging what the rows say: from stored facts to what a credential may do.
//!
//! This is where our rules are stricter than Magento's (deviations D4, D5, D7): only access tokens, only active
//! integrations, only users who exist and are active. Expiry is not judged here: a grant carries it, and every request
//! compares it with its own time.

use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderValue;
use sha2::Sha256;

use super::{
    grant::{CallerHeaders, Fact, Grant, IntegrationHeaders, OauthFact, Standing},
    rows::{IntegrationRow, OauthRows, TokenRow, TokenType, UserRow},
};
use crate::auth::{
    encryptor::Encryptor,
    header_text::header_text,
    identity::{AuthMethod, Customer, Integration, UserContext, UserType},
    jwt::{Claims, JwtRefusal, JwtVerifier},
    oauth1::SigningKey,
    secret::Secret,
};

/// What the configuration says about credentials.
#[derive(Debug)]
pub struct Judge {
    /// Decrypts consumer and token secrets.
    pub encryptor: Encryptor,
    /// Verifies user JWTs.
    pub jwt: JwtVerifier,
    /// Whether an integration's access token counts as bearer (`oauth/consumer/enable_integration_as_bearer`).
    pub integration_as_bearer: bool,
    /// How long an opaque customer token lives.
    pub customer_token_lifetime: Duration,
    /// How long an opaque admin token lives.
    pub admin_token_lifetime: Duration,
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
        match user_type {
            UserType::Admin => self.user_token(token, row, user_type, self.admin_token_lifetime),
            UserType::Customer => self.user_token(token, row, user_type, self.customer_token_lifetime),
            UserType::Integration => self.integration_token(token, row),
            UserType::Guest => Fact::Refused("token_user_type"),
        }
    }

    /// Reads a JWT; no row is needed to refuse one.
    ///
    /// # Errors
    /// The reason why it is none of ours.
    pub fn claims(&self, token: &[u8]) -> Result<Claims, JwtRefusal> {
        self.jwt.verify(token)
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

    /// Judges a consumer key and token: who may be let in once the signature verified, and by which key.
    #[must_use]
    pub fn oauth(&self, consumer_key: &[u8], token: &[u8], rows: &OauthRows) -> OauthFact {
        let decoy =
            |consumer_id, standing| OauthFact { consumer_id, signing_key: SigningKey::decoy(), standing };
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
                Standing::Granted(Box::new(grant))
            }
            Some(_) | None => Standing::Inactive,
        };
        OauthFact { consumer_id: id, signing_key, standing }
    }

    fn user_token(&self, token: &[u8], row: &TokenRow, user_type: UserType, lifetime: Duration) -> Fact {
        let user = match living(row.user.as_ref()) {
            Ok(user) => user,
            Err(reason) => return Fact::Refused(reason),
        };
        let Some(created_at) = row.created_at else {
            return Fact::Refused("token_expired");
        };
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

    fn integration_token(&self, token: &[u8], row: &TokenRow) -> Fact {
        if !self.integration_as_bearer {
            return Fact::Refused("integration_as_bearer_is_off");
        }
        match (&row.integration, row.consumer_id) {
            (Some(integration), Some(consumer_id)) if integration.is_active => {
                Fact::Granted(self.integration_grant(integration, consumer_id, AuthMethod::Bearer, &[token]))
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
