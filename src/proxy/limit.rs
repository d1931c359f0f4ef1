//! Limits that hold before a byte of the body is read: how long it is, how often its sender asks, and how often it signs in.
//!
//! Rate limits by address come first (`screen`), before the caller is known, those of lookups when one is to be made
//! (`screen_lookup`), all others here. A request that is decided again, with what it lacked, is not charged again.
//!
//! This stage also says what an admitted request becomes: an answer of the gate's own, or a request to the upstream, and
//! what has to be watched on its way there. A client's address is charged once here for every password that its request
//! has checked; what stands in a GraphQL body is charged as it passes.

use std::{net::IpAddr, sync::Arc};

use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
};

use super::{
    address_limit::{AddressLimit, Charge},
    authorize::Permit,
    locate::{Destination, Evaluation},
    mutations::TokenMutations,
    own::{OwnEndpoint, Sensitive},
    peer::{Peer, TrustedProxies},
    pipeline::{Known, Notes},
    quotas::{Asked, Caller, QuotaRules, Requested},
    sanitize::Sanitized,
};
use crate::{
    auth::{
        identity::{UserContext, UserType},
        oauth1::Scheme,
        quota::Tick,
        rejection::{Malformation, Rejection},
        route::StoreView,
    },
    store::grant::Grant,
};

/// In the names of Magento's SOAP services that check passwords.
const ISSUING_SERVICES: [&[u8]; 2] = [b"TokenService", b"twoFactorAuth"];

/// What is limited.
#[derive(Debug)]
pub struct LimitRules {
    /// The longest announced body.
    pub max_body: Option<u64>,
    /// How often an address may sign in; `None` for any number of times.
    pub logins: Option<LoginRules>,
    /// How often who may ask.
    pub quotas: QuotaRules,
    /// Whose word about the client's address counts.
    pub trusted_proxies: TrustedProxies,
}

/// How often an address may sign in, and how it is known.
#[derive(Debug)]
pub struct LoginRules {
    /// The limit.
    pub limit: Arc<AddressLimit>,
}

/// A request whose sender's address is within limits; only `screen` makes one.
#[derive(Debug)]
pub(super) struct Screened {
    /// The client and the moment, where any rule wants to know.
    asked: Option<(IpAddr, Tick)>,
}

/// A permit whose request is within limits; only `limit` makes one.
#[derive(Debug)]
pub struct Admitted {
    permit: Permit,
    spoofed: Vec<HeaderName>,
    sensitive: Option<Sensitive>,
    own: Option<OwnEndpoint>,
    store: Option<StoreView>,
    scheme: Scheme,
    charge: Option<Charge>,
}

impl Admitted {
    pub(super) fn into_parts(self) -> (Permit, Vec<HeaderName>) {
        (self.permit, self.spoofed)
    }

    pub(super) const fn permit(&self) -> &Permit {
        &self.permit
    }

    /// What gives out credentials there, or takes them back.
    pub(super) const fn sensitive(&self) -> Option<Sensitive> {
        self.sensitive
    }

    /// The endpoint, if the gate answers it itself.
    pub(super) const fn own(&self) -> Option<OwnEndpoint> {
        self.own
    }

    pub(super) const fn store(&self) -> Option<&StoreView> {
        self.store.as_ref()
    }

    pub(super) const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Who is charged for what the body holds.
    pub(super) fn charge(&self) -> Option<Charge> {
        self.charge.clone()
    }
}

/// Asks the limits that need not know the caller. A request that comes again with what it lacked was asked already.
///
/// # Errors
/// [`Rejection::RateLimited`], [`Rejection::LimitsUnavailable`].
pub(super) fn screen(
    rules: &LimitRules,
    (sanitized, destination): (&Sanitized<'_>, &Destination<'_>),
    peer: &Peer,
    known: Known<'_>,
    notes: &mut Notes,
) -> Result<Screened, Rejection> {
    let quotas = &rules.quotas;
    let Some(now) = quotas.tick() else { return Ok(Screened { asked: None }) };
    let client = peer.client(&sanitized.head.headers, &rules.trusted_proxies);
    let screened = Screened { asked: Some((client, now)) };
    if quotas.early.is_empty() {
        return Ok(screened);
    }
    let asked = Asked { client, now, caller: Caller::UNKNOWN, request: requested(sanitized, destination) };
    if known.is_first() {
        quotas.charge(&quotas.early, &asked, &mut notes.limits)?;
    } else {
        quotas.look(&quotas.early, &asked, &mut notes.limits);
    }
    Ok(screened)
}

/// Asks the limits of lookups: one is about to be made.
///
/// # Errors
/// As [`screen`].
pub(super) fn screen_lookup(
    rules: &LimitRules,
    screened: &Screened,
    (sanitized, destination): (&Sanitized<'_>, &Destination<'_>),
    notes: &mut Notes,
) -> Result<(), Rejection> {
    let Some((client, now)) = screened.asked else { return Ok(()) };
    let asked = Asked { client, now, caller: Caller::UNKNOWN, request: requested(sanitized, destination) };
    rules.quotas.charge(&rules.quotas.lookups, &asked, &mut notes.limits)
}

/// Refuses a body that announces more bytes than the limit (one that announces nothing is counted on its way), a caller
/// that asks too often, and an address that signs in too often.
///
/// # Errors
/// [`Rejection::BodyTooLarge`], [`Malformation::Framing`] for a length that is no number, [`Rejection::TooManyLogins`], and
/// those of [`screen`].
pub(super) fn limit(
    rules: &LimitRules,
    (permit, screened): (Permit, Screened),
    sanitized: Sanitized<'_>,
    (destination, peer): (&Destination<'_>, &Peer),
    notes: &mut Notes,
) -> Result<Admitted, Rejection> {
    let head = sanitized.head;
    check_length(&head.headers, rules.max_body)?;
    if let Some((client, now)) = screened.asked {
        let request = requested(&sanitized, destination);
        let asked = Asked { client, now, caller: Caller::of(&permit), request };
        rules.quotas.charge(&rules.quotas.late, &asked, &mut notes.limits)?;
    }
    let sensitive = destination.sensitive();
    let charge = match (&rules.logins, sensitive) {
        (Some(logins), Some(sensitive)) => {
            let client = peer.client(&head.headers, &rules.trusted_proxies);
            let charge = logins.limit.charge(client);
            charge_head(&charge, sensitive, &sanitized)?;
            Some(charge)
        }
        (_, None) | (None, _) => None,
    };
    // Only for whoever asks: a store view is a string to copy.
    let store = destination.store().filter(|_| matches!(sensitive, Some(Sensitive::Endpoint(_)))).cloned();
    let (own, scheme) = (destination.own(), sanitized.scheme);
    Ok(Admitted { permit, spoofed: sanitized.spoofed, sensitive, own, store, scheme, charge })
}

impl Caller {
    /// Nobody is known yet.
    const UNKNOWN: Self =
        Self { user_type: UserType::Guest, user_id: None, consumer_id: None, role_id: None };

    fn of(permit: &Permit) -> Self {
        let context = permit.grant().map_or(&UserContext::Guest, |grant: &Grant| &grant.context);
        let consumer_id = match context {
            UserContext::Integration(integration) => Some(integration.consumer_id),
            UserContext::Guest | UserContext::Customer(_) | UserContext::Admin { .. } => None,
        };
        let (user_type, user_id) = (context.user_type(), context.user_id());
        Self { user_type, user_id, consumer_id, role_id: permit.role_id() }
    }
}

fn requested<'a>(sanitized: &Sanitized<'a>, destination: &Destination<'a>) -> Requested<'a> {
    let template = destination.located().map(|located| located.route.template.as_str());
    Requested {
        method: sanitized.head.method.as_str(),
        path: template.unwrap_or_else(|| sanitized.head.uri.path()),
        is_anonymous: destination.evaluation() != Evaluation::Required,
    }
}

fn check_length(headers: &HeaderMap, max_body: Option<u64>) -> Result<(), Rejection> {
    let announced = headers
        .get(CONTENT_LENGTH)
        .map(|value| value.to_str().ok().and_then(|text| text.parse::<u64>().ok()));
    match (announced, max_body) {
        (Some(None), _) => Err(Rejection::Malformed(Malformation::Framing)),
        (Some(Some(length)), Some(most)) if length > most => Err(Rejection::BodyTooLarge),
        (_, _) => Ok(()),
    }
}

/// Charges for what the head tells. A GraphQL body in a coding cannot be looked into: it costs all that fits at once.
fn charge_head(charge: &Charge, sensitive: Sensitive, sanitized: &Sanitized<'_>) -> Result<(), Rejection> {
    let head = sanitized.head;
    let taken = match sensitive {
        Sensitive::Endpoint(_) | Sensitive::SecondFactor => charge.take(u32::from(sensitive.is_login())),
        // Magento takes mutations by POST alone.
        Sensitive::Graphql if head.method == Method::POST && head.headers.contains_key(CONTENT_ENCODING) => {
            charge.take_whole()
        }
        Sensitive::Graphql => charge.take(TokenMutations::in_text(head.uri.query().unwrap_or_default())),
        Sensitive::Soap => {
            let query = head.uri.query().unwrap_or_default();
            charge.take(u32::from(names_issuing_service(query) || is_form(&head.headers)))
        }
    };
    Ok(taken?)
}

/// Whether PHP would read parameters from the body, and with them which SOAP services are asked for.
fn is_form(headers: &HeaderMap) -> bool {
    const FORMS: [&[u8]; 2] = [b"application/x-www-form-urlencoded", b"multipart/form-data"];
    let media_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    FORMS
        .iter()
        .any(|form| media_type.get(..form.len()).is_some_and(|start| start.eq_ignore_ascii_case(form)))
}

/// Whether a query asks for a SOAP service that checks passwords. Magento calls no other services than those that the
/// parameters name, and one operation a request.
fn names_issuing_service(query: &str) -> bool {
    let text = decoded(query.as_bytes());
    ISSUING_SERVICES.iter().any(|name| text.windows(name.len()).any(|part| part == *name))
}

fn decoded(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let digit = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        let escaped = digit(0).zip(digit(1)).filter(|_| *first == b'%');
        let byte = escaped.and_then(|(high, low)| u8::try_from(high << 4 | low).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    bytes
}
