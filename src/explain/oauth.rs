//! What a signed request presents, and how its signature compares with the ones that the stored secrets give.
//!
//! Base strings and signatures are the engine's own; the token's value is taken out of what is shown, because it may count as
//! a bearer as well. Signatures are cut to their first characters unless asked for: the right one would let a reader
//! send this very request.

use std::sync::Arc;

use http::header::CONTENT_TYPE;
use serde_json::json;

use super::{
    bearer::row_of_token,
    causes::{Cause, Surroundings, Unverified, clock, diagnose},
    explainer::{NonceLook, Telling, text},
    relative::relative,
};
use crate::{
    auth::{
        oauth1::{
            Presented, ProtocolParameters, Reading, SignatureMethod, SignatureMethods, SignedRequest,
            TrialKey, base_string, check, verify,
        },
        rejection::Rejection,
        secret::Secret,
    },
    proxy::{
        authenticate::{has_form, signed_request},
        locate::Destination,
        sanitize::Sanitized,
    },
    store::{
        facts::Lookup,
        grant::{CredentialKey, Fact, OauthFact, Standing},
        nonces::Recorded,
        rows::OauthRows,
        shared_nonces::NonceClaim,
    },
};

/// Longer values are only measured.
const LONGEST_VALUE: usize = 64;

/// How much of a signature is shown.
const SHOWN: usize = 6;

/// Tells about a signed request and returns what the store says of its consumer and token.
pub(super) async fn tell(
    telling: &mut Telling<'_>,
    credentials: &str,
    (sanitized, destination): (&Sanitized<'_>, &Destination<'_>),
    store_codes: Vec<String>,
) -> Option<Arc<Fact>> {
    telling.chain.find("seen", "OAuth 1.0a signature");
    let parameters = ProtocolParameters::parse(credentials);
    tell_parameters(telling, &parameters);
    let rules = &telling.explainer.pipeline.authenticate;
    if let Err(problem) = check(&parameters, rules.signature_methods) {
        telling.chain.find("problem", Rejection::Oauth(problem).reason());
    }
    // A method that is not accepted here is still worth a look.
    let both =
        [SignatureMethod::HmacSha256, SignatureMethod::HmacSha1].into_iter().collect::<SignatureMethods>();
    let presented = check(&parameters, both).ok()?;
    let facts = &telling.explainer.pipeline.facts;
    let (key, token) = (presented.consumer_key(), presented.token());
    telling.chain.find("fingerprint", text(&facts.judge().fingerprint(&[key, b"\0", token])));

    telling.chain.step("consumer and token");
    let Ok(rows) = facts.store().oauth(key, token).await else {
        telling.chain.find("found", "unknown: the store cannot be asked");
        return None;
    };
    tell_rows(telling, &rows);
    let lookup = Lookup::Oauth { consumer_key: key.to_vec(), token: Secret::new(token.to_vec()) };
    let fact = facts.resolve(CredentialKey::oauth(key, token), lookup).await.ok()?;
    let Fact::Oauth(known) = &*fact else { return None };
    telling.chain.find("standing", standing(&known.standing));

    let form = has_form(&telling.inquiry.head.headers).then_some(telling.inquiry.body.as_slice());
    let request = signed_request(rules, sanitized, form);
    let case = Case {
        presented: &presented,
        request,
        known,
        path_is_safe: destination.decoded_path_is_safe(sanitized),
    };
    telling.chain.step("signature");
    case.tell_time_and_nonce(telling).await;
    if let Some(secrets) = secrets(telling, &rows, known) {
        case.tell_readings(telling, credentials, &secrets, store_codes);
    } else {
        telling.chain.find("computed", "nothing: there are no two secrets to sign with");
    }
    Some(fact)
}

/// Names and values. What nobody should put there, or what is too long to be what its name says, is only measured; the
/// scrubber takes the token and the signature out.
fn tell_parameters(telling: &mut Telling<'_>, parameters: &ProtocolParameters<'_>) {
    let shown = parameters.entries().map(|(name, value)| {
        let is_known = ProtocolParameters::knows(name);
        let name = String::from_utf8_lossy(name);
        if is_known && value.len() <= LONGEST_VALUE {
            return format!("{name}={}", String::from_utf8_lossy(value));
        }
        format!("{name}=[{} bytes]", value.len())
    });
    let shown: Vec<String> = shown.collect();
    telling.chain.find("parameters", shown);
}

fn tell_rows(telling: &mut Telling<'_>, rows: &OauthRows) {
    let OauthRows { consumer, token } = rows;
    let consumer = consumer.as_ref().map(|row| format!("consumer {}", row.id));
    telling.chain.find("consumer", consumer.unwrap_or_else(|| "no consumer has this key".to_owned()));
    match token {
        Some(row) => {
            let of =
                row.consumer_id.map_or_else(|| "of no consumer".to_owned(), |id| format!("of consumer {id}"));
            telling.chain.find("token", of);
            row_of_token(telling, row);
        }
        None => telling.chain.find("token", "no token has this value"),
    }
}

const fn standing(standing: &Standing) -> &'static str {
    match standing {
        Standing::Granted(_) => "an access token of an active integration",
        Standing::Inactive => {
            "an access token of an integration that is not active: a guest, however well signed"
        }
        Standing::ConsumerUnknown => "the consumer is unknown",
        Standing::TokenUnknown => "the token is unknown",
        Standing::OfOtherConsumer => "the token is another consumer's",
        Standing::NotAccess => "not an access token",
        Standing::Revoked => "revoked",
        Standing::SecretUnusable => "a stored secret does not decrypt with magento.crypt_key, or is empty",
    }
}

/// The stored secrets, where the token can be signed with at all; the scrubber learns them.
fn secrets(telling: &mut Telling<'_>, rows: &OauthRows, known: &OauthFact) -> Option<Secrets> {
    if !matches!(known.standing, Standing::Granted(_) | Standing::Inactive) {
        return None;
    }
    let (consumer, token) = (rows.consumer.as_ref()?, rows.token.as_ref()?);
    let judge = telling.explainer.pipeline.facts.judge();
    let (consumer_secret, token_secret) = judge.secrets(&consumer.secret, &token.secret)?;
    for secret in [&consumer_secret, &token_secret, &consumer.secret, &token.secret] {
        telling.chain.scrubber().hide(secret.expose().as_bytes(), "[secret]");
    }
    let stored = (consumer.secret.clone(), token.secret.clone());
    Some(Secrets { consumer: consumer_secret, token: token_secret, stored })
}

/// The secrets of a consumer and its token.
pub(super) struct Secrets {
    pub(super) consumer: Secret<String>,
    pub(super) token: Secret<String>,
    /// As they stand in the store, encrypted.
    pub(super) stored: (Secret<String>, Secret<String>),
}

/// A signed request that is looked at.
struct Case<'a> {
    presented: &'a Presented<'a>,
    request: SignedRequest<'a>,
    known: &'a OauthFact,
    path_is_safe: bool,
}

impl Case<'_> {
    async fn tell_time_and_nonce(&self, telling: &mut Telling<'_>) {
        let now = telling.circumstances.at;
        let window = telling.explainer.pipeline.authenticate.window;
        let timestamp = self.presented.timestamp();
        telling.chain.find("timestamp", relative(timestamp.time(), now));
        let (past, future) = (window.past.as_secs(), window.future.as_secs());
        let is_inside = window.accepts(timestamp, now);
        let inside = if is_inside { "inside" } else { "outside" };
        telling.chain.find("window", format!("{inside} -{past}s..+{future}s"));
        if !is_inside {
            telling.causes.push(clock(self.presented, window, now));
        }
        let nonce = self.nonce(telling).await;
        telling.chain.find("nonce", nonce);
    }

    /// Looks the nonce up; never uses it.
    async fn nonce(&self, telling: &Telling<'_>) -> String {
        let Some(look) = &telling.explainer.nonces else {
            return "not checked: without nonces.journal only a running gate knows its nonces".to_owned();
        };
        let Some(consumer_id) = self.known.consumer_id else {
            return "not checked: nonces are kept by consumer".to_owned();
        };
        let timestamp = self.presented.timestamp().time();
        let (nonce, now) = (self.presented.nonce(), telling.circumstances.at);
        let seen = match look {
            NonceLook::Journal(peek) => peek.look(consumer_id, nonce, timestamp, now),
            NonceLook::Shared(shared) => {
                Ok(shared.look(&NonceClaim { consumer_id, nonce: nonce.to_vec(), timestamp }, now).await)
            }
        };
        match seen {
            Ok(Recorded::Fresh) => "not used yet (and not used by this explanation)".to_owned(),
            Ok(Recorded::Used) => format!("used before by consumer {consumer_id}"),
            Ok(Recorded::Expired) => "its timestamp is outside what is kept".to_owned(),
            Ok(Recorded::Quarantined { until }) => {
                let why = match look {
                    NonceLook::Journal(_) => "the host crashed",
                    NonceLook::Shared(_) => "Redis may have lost nonces",
                };
                format!("refused with all timestamps up to {}: {why}", until.seconds())
            }
            Ok(Recorded::Unanswered) => "not checked: Redis does not answer".to_owned(),
            Ok(Recorded::Full | Recorded::JournalFailed) => "not checked".to_owned(),
            Err(error) => format!("not checked: {error}"),
        }
    }

    fn tell_readings(
        &self,
        telling: &mut Telling<'_>,
        credentials: &str,
        secrets: &Secrets,
        store_codes: Vec<String>,
    ) {
        let rules = &telling.explainer.pipeline.authenticate;
        let shows = telling.circumstances.shows_signatures;
        let presented = String::from_utf8_lossy(self.presented.signature()).into_owned();
        telling.chain.find("presented", cut(&presented, shows));
        let key = TrialKey::joined(secrets.consumer.expose().as_bytes(), secrets.token.expose().as_bytes());
        for reading in [Reading::Rfc5849, Reading::Magento] {
            let base = base_string(reading, self.presented.parameters(), &self.request);
            let computed = key.signature(self.presented.method(), &base);
            let findings = json!({
                "base string": base,
                "computed": cut(computed.expose(), shows),
                "matches": computed.equals(self.presented.signature()),
                "tried": rules.readings.iter().any(|tried| tried == reading),
            });
            telling.chain.find(reading.as_str(), findings);
        }
        let keys = self.known.keys(telling.circumstances.at);
        let verified = verify(self.presented, &self.request, keys, rules.readings, self.path_is_safe);
        telling.chain.find("verifies", verified.is_ok());
        if verified.is_err() {
            let causes = self.diagnose(telling, credentials, secrets, store_codes);
            telling.causes.extend(causes);
        }
    }

    fn diagnose(
        &self,
        telling: &Telling<'_>,
        credentials: &str,
        secrets: &Secrets,
        store_codes: Vec<String>,
    ) -> Vec<Cause> {
        let (explainer, inquiry) = (telling.explainer, telling.inquiry);
        let headers = &inquiry.head.headers;
        let surroundings = Surroundings {
            headers,
            is_trusted: telling.peer.is_trusted,
            called: inquiry.called.as_ref().map(|(_, authority)| authority.as_str()),
            other_hosts: &explainer.other_hosts,
            store_codes,
            body: &inquiry.body,
            media_type: headers.get(CONTENT_TYPE).map(text).unwrap_or_default().to_ascii_lowercase(),
        };
        diagnose(&Unverified {
            presented: self.presented,
            credentials,
            request: self.request,
            signing_key: &self.known.signing_key,
            secrets,
            readings: explainer.pipeline.authenticate.readings,
            path_is_safe: self.path_is_safe,
            surroundings,
        })
    }
}

/// The first characters of a signature, or all of it.
fn cut(signature: &str, shows: bool) -> String {
    match signature.char_indices().nth(SHOWN) {
        Some((at, _)) if !shows => format!("{}…", signature.get(..at).unwrap_or_default()),
        _ => signature.to_owned(),
    }
}
