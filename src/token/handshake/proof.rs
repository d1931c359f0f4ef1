//! Whether a request of the handshake is the consumer's own.
//!
//! Magento's order of complaints (`MAGENTO_AUTH` 3.2), but for two: the nonce is recorded last (deviation D1), and the
//! signature is checked before the verifier. Whatever is wrong, a signature is computed, so that the time of an answer
//! does not tell an unknown consumer from a wrong secret.

use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use subtle::ConstantTimeEq as _;

use super::{Asked, Handshake, Problem};
use crate::{
    auth::{
        credential::Credential,
        oauth1::{
            OauthProblem, Operation, Presented, ProtocolParameters, Readings, Scheme, SignatureMethods,
            SignedRequest, SigningKey, TimestampWindow, VerifyingKeys, check_for, verify,
        },
        time::UnixTime,
    },
    service::oauth::Seat,
    store::{
        nonces::Recorded,
        records::{ConsumerRecord, TokenRecord},
        rows::TokenType,
        shared_nonces::NonceClaim,
    },
};

/// `Oauth::LENGTH_TOKEN_VERIFIER`.
const VERIFIER_LENGTH: usize = 32;

/// Seconds until a full store of nonces has room again.
const NONCES_RETRY: u32 = 30;

/// Which signatures count: the rules of the API.
#[derive(Debug, Clone)]
pub struct SignatureRules {
    /// Accepted signature methods.
    pub methods: SignatureMethods,
    /// How far timestamps may be off.
    pub window: TimestampWindow,
    /// How base strings are read.
    pub readings: Readings,
    /// Scheme and host of the base string, where a configuration fixes them.
    pub origin: Option<(Scheme, String)>,
}

/// Who asks, proven, and the token that was presented.
#[derive(Debug)]
pub(super) struct Proven {
    pub(super) consumer: ConsumerRecord,
    pub(super) token: Option<TokenRecord>,
}

impl Handshake {
    /// Proves that the consumer asks for this, for the first time, and that the handshake is there.
    pub(super) async fn prove(&self, operation: Operation, asked: &Asked) -> Result<Proven, Problem> {
        let header = asked.head.headers.get(AUTHORIZATION).map(http::HeaderValue::as_bytes);
        // What holds no signature, or two credentials, lacks every parameter.
        let credentials = match header.map(Credential::parse) {
            Some(Ok(Credential::Oauth(credentials))) => credentials,
            Some(Ok(Credential::None | Credential::Bearer(_)) | Err(_)) | None => "",
        };
        let parameters = ProtocolParameters::parse(credentials);
        let presented = check_for(operation, &parameters, self.rules.methods)?;
        let Seat { consumer, token } = self.seat(operation, &presented).await?;
        let token = token.filter(|_| operation == Operation::AccessToken);
        let has_signed = self.has_signed(operation, &presented, (consumer.as_ref(), token.as_ref()), asked);
        let consumer = consumer.ok_or(OauthProblem::ConsumerKeyUnknown)?;
        if !self.rules.window.accepts(presented.timestamp(), asked.now) {
            return Err(OauthProblem::TimestampRefused.into());
        }
        let problem = self
            .standing(operation, &consumer, token.as_ref(), asked.now)
            .or_else(|| (!has_signed).then_some(Problem::Oauth(OauthProblem::SignatureInvalid)))
            .or_else(|| token.as_ref().and_then(|token| verifier_problem(token, presented.verifier())));
        match problem {
            Some(_) if self.nonces.is_used(consumer.id, presented.nonce()) => {
                Err(OauthProblem::NonceUsed { consumer_id: consumer.id }.into())
            }
            Some(problem) => Err(problem),
            None => {
                self.record_nonce(consumer.id, &presented, asked.now).await?;
                Ok(Proven { consumer, token })
            }
        }
    }

    async fn seat(&self, operation: Operation, presented: &Presented<'_>) -> Result<Seat, Problem> {
        let text = |bytes| std::str::from_utf8(bytes).ok();
        let token = match operation {
            Operation::AccessToken => text(presented.token()),
            Operation::ApiCall | Operation::RequestToken => None,
        };
        let key = text(presented.consumer_key()).filter(|key| !key.is_empty());
        match key {
            Some(key) => Ok(self.oauth.seat(key, token).await?),
            None => Ok(Seat { consumer: None, token: None }),
        }
    }

    /// Whether the signature is made with a secret of the consumer, and the token's where there is one.
    fn has_signed(
        &self,
        operation: Operation,
        presented: &Presented<'_>,
        (consumer, token): (Option<&ConsumerRecord>, Option<&TokenRecord>),
        asked: &Asked,
    ) -> bool {
        let secrets = consumer.map(|consumer| self.oauth.secrets(consumer, asked.now)).unwrap_or_default();
        let mut keys = secrets.iter().filter_map(|secret| {
            let secret = secret.expose().as_bytes();
            match (operation, token) {
                (Operation::RequestToken, _) => SigningKey::without_token(secret),
                (Operation::AccessToken, Some(token)) if token.token_type == TokenType::Request => {
                    SigningKey::new(secret, token.secret.expose().as_bytes())
                }
                (Operation::AccessToken | Operation::ApiCall, _) => None,
            }
        });
        let (current, older) = (keys.next().unwrap_or_else(SigningKey::decoy), keys.next());
        let keys = VerifyingKeys::new(&current, older.as_ref());
        let request = self.signed_request(asked);
        // Magento decodes the path: only one without escapes stays what it is.
        let path_is_safe = !request.path.contains('%');
        verify(presented, &request, keys, self.rules.readings, path_is_safe).is_ok()
    }

    fn signed_request<'a>(&'a self, asked: &'a Asked) -> SignedRequest<'a> {
        let received =
            || asked.head.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let (scheme, host) = match &self.rules.origin {
            Some((scheme, host)) => (*scheme, host.as_str()),
            None => (asked.scheme, received()),
        };
        SignedRequest {
            method: asked.head.method.as_str(),
            scheme,
            host,
            path: asked.head.uri.path(),
            query: asked.head.uri.query(),
            form: form(asked),
        }
    }

    /// Whether the handshake is at this step.
    fn standing(
        &self,
        operation: Operation,
        consumer: &ConsumerRecord,
        token: Option<&TokenRecord>,
        now: UnixTime,
    ) -> Option<Problem> {
        if operation == Operation::RequestToken {
            let may_begin = self.oauth.may_begin(consumer, now);
            return (!may_begin).then(|| Problem::refused("Consumer key has expired"));
        }
        let Some(token) = token else { return Some(Problem::TOKEN_UNKNOWN) };
        if token.consumer_id != Some(consumer.id) {
            let text = "Request token is not associated with the specified consumer";
            return Some(Problem::refused(text));
        }
        if token.token_type != TokenType::Request {
            return Some(Problem::refused("Token is already being used"));
        }
        self.oauth.is_expired(token, now).then_some(Problem::TOKEN_UNKNOWN)
    }

    async fn record_nonce(
        &self,
        consumer_id: u32,
        presented: &Presented<'_>,
        now: UnixTime,
    ) -> Result<(), Problem> {
        let timestamp = presented.timestamp().time();
        let claim = NonceClaim { consumer_id, nonce: presented.nonce().to_vec(), timestamp };
        match self.nonces.record(&claim, now).await {
            Recorded::Fresh => Ok(()),
            Recorded::Used => Err(OauthProblem::NonceUsed { consumer_id }.into()),
            Recorded::Expired => Err(OauthProblem::TimestampRefused.into()),
            Recorded::Full
            | Recorded::Quarantined { .. }
            | Recorded::JournalFailed
            | Recorded::Unanswered => Err(Problem::Unavailable { retry_after: NONCES_RETRY }),
        }
    }
}

/// The body, where its media type says that it is a form.
fn form(asked: &Asked) -> Option<&[u8]> {
    const FORM: &[u8] = b"application/x-www-form-urlencoded";
    let media_type = asked.head.headers.get(CONTENT_TYPE)?.as_bytes();
    let is_form = media_type.get(..FORM.len()).is_some_and(|start| start.eq_ignore_ascii_case(FORM));
    (is_form && !asked.body.is_empty()).then_some(&*asked.body)
}

fn verifier_problem(token: &TokenRecord, presented: &[u8]) -> Option<Problem> {
    if presented.len() != VERIFIER_LENGTH {
        return Some(Problem::refused("Verifier is not the correct length"));
    }
    let is_right = token
        .verifier
        .as_ref()
        .is_some_and(|verifier| bool::from(verifier.expose().as_bytes().ct_eq(presented)));
    (!is_right).then(|| Problem::refused("Token verifier and verifier token do not match"))
}
