//! Who is calling: the contexts of a door in Magento's order, evaluated only where somebody needs to know.
//!
//! A bad bearer value is a guest, never an error (MAGENTO_FACTS 3). A bad signature is an error (MAGENTO_FACTS 4), except on
//! routes that resolve identity for information only. A session stands between the two: it outranks a signature
//! (MAGENTO_FACTS 43), and one that proves nobody falls through. The nonce is recorded last, after everything else about the
//! request verified (deviation D1): nobody can burn nonces who does not hold the secrets.

use std::sync::Arc;

use http::{
    HeaderMap,
    header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING},
};

use super::{
    locate::{Contexts, Destination, Evaluation},
    pipeline::{Known, Pipeline},
    sanitize::Sanitized,
    session::{SessionRules, session},
};
use crate::{
    auth::{
        bearer::BearerToken,
        credential::Credential,
        identity::UserType,
        oauth1::{
            OauthProblem, ProtocolParameters, Readings, Scheme, SignatureMethods, SignedRequest,
            TimestampWindow, check, has_countable_query, verify,
        },
        rejection::Rejection,
        secret::Secret,
        time::UnixTime,
    },
    store::{
        cache::Cached,
        facts::Lookup,
        grant::{CredentialKey, Fact, Grant, OauthFact, Standing},
        nonces::Recorded,
        shared_nonces::NonceClaim,
    },
};

/// Which proofs count.
#[derive(Debug)]
pub struct AuthenticateRules {
    /// Accepted signature methods.
    pub signature_methods: SignatureMethods,
    /// How far timestamps may be off.
    pub window: TimestampWindow,
    /// How base strings are read.
    pub readings: Readings,
    /// Scheme and host of the base string, where a configuration fixes them.
    pub origin: Option<(Scheme, String)>,
    /// Which sessions count, if any do.
    pub sessions: Option<SessionRules>,
}

/// Who is calling, as far as it was proven; only `authenticate` makes one.
#[derive(Debug)]
pub struct Authenticated {
    fact: Option<Arc<Fact>>,
    cause: Option<&'static str>,
    reading: Option<&'static str>,
    replayed: Option<u32>,
}

impl Authenticated {
    pub(super) const fn guest(cause: Option<&'static str>) -> Self {
        Self { fact: None, cause, reading: None, replayed: None }
    }

    /// Somebody whose fact is a grant at this time, else a guest with the reason.
    pub(super) fn by_fact(fact: Arc<Fact>, now: UnixTime, expired: &'static str) -> Self {
        let cause = match &*fact {
            Fact::Granted(grant) if grant.expires_at.is_some_and(|expiry| expiry <= now) => expired,
            Fact::Granted(_) => {
                return Self { fact: Some(fact), cause: None, reading: None, replayed: None };
            }
            Fact::Refused(reason) => reason,
            Fact::SessionExpired | Fact::Oauth(_) => "credential_kind",
        };
        Self::guest(Some(cause))
    }

    /// The proven caller; `None` for guests.
    #[must_use]
    pub fn grant(&self) -> Option<&Grant> {
        self.fact.as_deref().and_then(Fact::grant)
    }

    /// Why a presented credential did not count.
    #[must_use]
    pub const fn cause(&self) -> Option<&'static str> {
        self.cause
    }

    /// The reading that verified a signature.
    #[must_use]
    pub const fn reading(&self) -> Option<&'static str> {
        self.reading
    }

    /// The consumer whose nonce was used before, where that only made a guest.
    #[must_use]
    pub const fn replayed(&self) -> Option<u32> {
        self.replayed
    }

    pub(crate) fn into_fact(self) -> Option<Arc<Fact>> {
        self.fact
    }
}

/// Why a stage does not go on.
#[derive(Debug)]
pub enum Stop {
    /// The request is refused.
    Refuse(Rejection),
    /// The store must be asked first.
    NeedFacts(CredentialKey, Lookup),
    /// The form body must be collected first.
    NeedForm,
    /// The nonce must be recorded first.
    NeedNonce(NonceClaim),
}

/// Finds out who is calling.
///
/// # Errors
/// [`Stop::Refuse`] for a signature that does not hold, or what is missing to tell.
pub(super) fn authenticate(
    pipeline: &Pipeline,
    sanitized: &Sanitized<'_>,
    destination: &Destination<'_>,
    moment: (UnixTime, Known<'_>),
) -> Result<Authenticated, Stop> {
    match destination.evaluation() {
        Evaluation::Nobody => Ok(Authenticated::guest(None)),
        Evaluation::Required => prove(pipeline, sanitized, destination, moment),
        Evaluation::Informative => match prove(pipeline, sanitized, destination, moment) {
            Err(Stop::Refuse(rejection)) => {
                let replayed = rejection.replayed();
                Ok(Authenticated { replayed, ..Authenticated::guest(Some(rejection.reason())) })
            }
            answer => answer,
        },
    }
}

fn prove(
    pipeline: &Pipeline,
    sanitized: &Sanitized<'_>,
    destination: &Destination<'_>,
    (now, known): (UnixTime, Known<'_>),
) -> Result<Authenticated, Stop> {
    let bearer = match &sanitized.credential {
        Credential::Bearer(token) => bearer(pipeline, token, destination, (now, known))?,
        Credential::None | Credential::Oauth(_) => Authenticated::guest(None),
    };
    if bearer.grant().is_some() {
        return Ok(bearer);
    }
    let session = session(pipeline, sanitized, destination, (now, known))?;
    if session.grant().is_some() {
        return Ok(session);
    }
    match &sanitized.credential {
        Credential::None => Ok(session),
        Credential::Bearer(_) => Ok(bearer),
        Credential::Oauth(parameters) => match destination.contexts() {
            Contexts::Rest | Contexts::Soap => {
                let signed = Signed { pipeline, sanitized, destination, parameters };
                signed.verify(now, known)
            }
            Contexts::Graphql | Contexts::None => Ok(Authenticated::guest(Some("oauth_not_taken_here"))),
        },
    }
}

fn bearer(
    pipeline: &Pipeline,
    token: &BearerToken<'_>,
    destination: &Destination<'_>,
    (now, known): (UnixTime, Known<'_>),
) -> Result<Authenticated, Stop> {
    let key = CredentialKey::bearer(token.as_bytes());
    let fact = fact(pipeline, key, known, || Lookup::Bearer(Secret::new(token.as_bytes().to_vec())))?;
    Ok(by_bearer(pipeline, fact, destination, now))
}

/// Whom a bearer token proves, by its fact, at this time and place; a guest with the cause, if nobody.
pub(crate) fn by_bearer(
    pipeline: &Pipeline,
    fact: Arc<Fact>,
    destination: &Destination<'_>,
    now: UnixTime,
) -> Authenticated {
    if let Fact::Granted(grant) = &*fact
        && !counts_as_bearer(pipeline, grant, destination)
    {
        return Authenticated::guest(Some("integration_as_bearer_is_off"));
    }
    Authenticated::by_fact(fact, now, "token_expired")
}

/// Magento reads `oauth/consumer/enable_integration_as_bearer` at the scope of the store that is asked for.
fn counts_as_bearer(pipeline: &Pipeline, grant: &Grant, destination: &Destination<'_>) -> bool {
    match grant.context.user_type() {
        UserType::Integration => {
            pipeline.facts.settings().current().integration_as_bearer.in_store(destination.store())
        }
        UserType::Admin | UserType::Customer | UserType::Guest => true,
    }
}

/// The fact about a credential: fetched a moment ago, cached, or still to be fetched.
pub(super) fn fact(
    pipeline: &Pipeline,
    key: CredentialKey,
    known: Known<'_>,
    lookup: impl FnOnce() -> Lookup,
) -> Result<Arc<Fact>, Stop> {
    if let Some((_, fact)) = known.facts.iter().find(|(fetched, _)| *fetched == key) {
        return fact.clone().ok_or(Stop::Refuse(Rejection::StoreUnavailable));
    }
    match pipeline.facts.cached(&key) {
        Cached::Fresh(fact) => Ok(fact),
        Cached::Stale(_) | Cached::Missing => Err(Stop::NeedFacts(key, lookup())),
    }
}

/// A request that claims to be signed.
struct Signed<'a> {
    pipeline: &'a Pipeline,
    sanitized: &'a Sanitized<'a>,
    destination: &'a Destination<'a>,
    parameters: &'a str,
}

impl Signed<'_> {
    /// Magento's order of checks (MAGENTO_AUTH section 3.2), but for the nonce, which comes last.
    fn verify(&self, now: UnixTime, known: Known<'_>) -> Result<Authenticated, Stop> {
        let rules = &self.pipeline.authenticate;
        let parameters = ProtocolParameters::parse(self.parameters);
        if parameters.is_empty() && !self.has_other_parameters() {
            return Ok(Authenticated::guest(Some("oauth_without_parameters")));
        }
        let presented = check(&parameters, rules.signature_methods).map_err(Rejection::Oauth)?;
        let key = CredentialKey::oauth(presented.consumer_key(), presented.token());
        let found = fact(self.pipeline, key, known, || Lookup::Oauth {
            consumer_key: presented.consumer_key().to_vec(),
            token: Secret::new(presented.token().to_vec()),
        })?;
        let Fact::Oauth(fact) = &*found else {
            return Ok(Authenticated::guest(Some("credential_kind")));
        };
        let timestamp = presented.timestamp();
        let in_window = rules.window.accepts(timestamp, now);
        let standing = refused_standing(&fact.standing, now);
        // An unknown consumer, a bad token and a bad timestamp are checked like a bad signature, form and all but read:
        // the time an answer takes does not tell which it was.
        let signature = match (known.form, standing.is_none() && in_window) {
            (None, true) if has_form(&self.sanitized.head.headers) => return Err(Stop::NeedForm),
            (form, _) => verify(
                &presented,
                &signed_request(rules, self.sanitized, form),
                fact.keys(now),
                rules.readings,
                self.destination.decoded_path_is_safe(self.sanitized),
            ),
        };
        let Some(consumer_id) = fact.consumer_id else {
            return Err(refuse(OauthProblem::ConsumerKeyUnknown));
        };
        if !in_window {
            return Err(refuse(OauthProblem::TimestampRefused));
        }
        match (standing, signature) {
            (None, Ok(verified)) => {
                self.record(consumer_id, presented.nonce(), (timestamp.time(), now), known)?;
                Ok(admitted(fact, &found, verified.reading().as_str()))
            }
            (problem, _) => {
                let problem = problem.unwrap_or(OauthProblem::SignatureInvalid);
                let moment = (timestamp.time(), now);
                Err(refuse(self.nonce_first(consumer_id, presented.nonce(), moment, problem)))
            }
        }
    }

    /// Magento looks at the nonce before the token and the signature: a replay with a fault is told of the replay.
    fn nonce_first(
        &self,
        consumer_id: u32,
        nonce: &[u8],
        moment: (UnixTime, UnixTime),
        problem: OauthProblem,
    ) -> OauthProblem {
        if self.pipeline.nonces.is_used(consumer_id, nonce, moment) {
            OauthProblem::NonceUsed { consumer_id }
        } else {
            problem
        }
    }

    fn record(
        &self,
        consumer_id: u32,
        nonce: &[u8],
        moment: (UnixTime, UnixTime),
        known: Known<'_>,
    ) -> Result<(), Stop> {
        let recorded = self.pipeline.nonces.record(consumer_id, nonce, moment, known.nonce);
        match recorded.map_err(Stop::NeedNonce)? {
            Recorded::Fresh => Ok(()),
            Recorded::Used => Err(refuse(OauthProblem::NonceUsed { consumer_id })),
            Recorded::Expired => Err(refuse(OauthProblem::TimestampRefused)),
            Recorded::Full
            | Recorded::Quarantined { .. }
            | Recorded::JournalFailed
            | Recorded::Unanswered => Err(Stop::Refuse(Rejection::NonceStoreUnavailable)),
        }
    }

    /// Parameters outside the header make a header without any a faulty signature, not a guest (MAGENTO_FACTS 4).
    fn has_other_parameters(&self) -> bool {
        let query = self.sanitized.head.uri.query().unwrap_or_default();
        has_countable_query(query) || has_form(&self.sanitized.head.headers)
    }
}

/// What a signature of this request covers: scheme and host as configured, else as received.
#[must_use]
pub fn signed_request<'a>(
    rules: &'a AuthenticateRules,
    sanitized: &Sanitized<'a>,
    form: Option<&'a [u8]>,
) -> SignedRequest<'a> {
    let head = sanitized.head;
    let (scheme, host) = match &rules.origin {
        Some((scheme, host)) => (*scheme, host.as_str()),
        None => (sanitized.scheme, sanitized.host),
    };
    SignedRequest {
        method: head.method.as_str(),
        scheme,
        host,
        path: head.uri.path(),
        query: head.uri.query(),
        form,
    }
}

/// Whether a form body follows: its media type says so, whatever its case, and it is not empty.
#[must_use]
pub fn has_form(headers: &HeaderMap) -> bool {
    const FORM: &[u8] = b"application/x-www-form-urlencoded";
    let is_form = headers.get(CONTENT_TYPE).is_some_and(|value| {
        value.as_bytes().get(..FORM.len()).is_some_and(|start| start.eq_ignore_ascii_case(FORM))
    });
    let is_empty = headers.get(CONTENT_LENGTH).is_none_or(|length| length == "0")
        && !headers.contains_key(TRANSFER_ENCODING);
    is_form && !is_empty
}

/// A good signature of an integration that is not active is a guest, and has used its nonce.
fn admitted(fact: &OauthFact, found: &Arc<Fact>, reading: &'static str) -> Authenticated {
    match &fact.standing {
        Standing::Granted(_) => {
            let fact = Some(Arc::clone(found));
            Authenticated { fact, cause: None, reading: Some(reading), replayed: None }
        }
        Standing::Inactive
        | Standing::ConsumerUnknown
        | Standing::TokenUnknown
        | Standing::OfOtherConsumer
        | Standing::NotAccess
        | Standing::Revoked
        | Standing::SecretUnusable => {
            let cause = Some("integration_inactive");
            Authenticated { fact: None, cause, reading: Some(reading), replayed: None }
        }
    }
}

/// Why no signature can help this token.
fn refused_standing(standing: &Standing, now: UnixTime) -> Option<OauthProblem> {
    match standing {
        // A token that was rotated out is as unknown at its end as it will be once its row is gone.
        Standing::Granted(grant) if grant.expires_at.is_some_and(|end| end <= now) => {
            Some(OauthProblem::TokenUnknown)
        }
        Standing::Granted(_) | Standing::Inactive => None,
        Standing::ConsumerUnknown => Some(OauthProblem::ConsumerKeyUnknown),
        Standing::TokenUnknown => Some(OauthProblem::TokenUnknown),
        Standing::OfOtherConsumer => Some(OauthProblem::TokenOfOtherConsumer),
        Standing::NotAccess => Some(OauthProblem::TokenNotAccess),
        Standing::Revoked => Some(OauthProblem::TokenRevoked),
        Standing::SecretUnusable => Some(OauthProblem::SignatureInvalid),
    }
}

const fn refuse(problem: OauthProblem) -> Stop {
    Stop::Refuse(Rejection::Oauth(problem))
}
