//! Limits that hold before a byte of the body is read: how long it is, and how often its sender signs in.
//!
//! This stage also says what an admitted request becomes: an answer of the gate's own, or a request to the upstream, and
//! what has to be watched on its way there. A client's address is charged once here for every password that its request
//! has checked; what stands in a GraphQL body is charged as it passes.

use std::sync::Arc;

use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
};

use super::{
    address_limit::{AddressLimit, Charge},
    authorize::Permit,
    locate::Destination,
    mutations::TokenMutations,
    own::{OwnEndpoint, Sensitive},
    peer::{Peer, TrustedProxies},
    sanitize::Sanitized,
};
use crate::auth::{
    oauth1::Scheme,
    rejection::{Malformation, Rejection},
    route::StoreView,
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
}

/// How often an address may sign in, and how it is known.
#[derive(Debug)]
pub struct LoginRules {
    /// The limit.
    pub limit: Arc<AddressLimit>,
    /// Whose word about the client's address counts.
    pub trusted_proxies: TrustedProxies,
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

/// Refuses a body that announces more bytes than the limit (one that announces nothing is counted on its way), and an
/// address that signs in too often.
///
/// # Errors
/// [`Rejection::BodyTooLarge`], [`Malformation::Framing`] for a length that is no number, [`Rejection::TooManyLogins`].
pub(super) fn limit(
    rules: &LimitRules,
    permit: Permit,
    sanitized: Sanitized<'_>,
    destination: &Destination<'_>,
    peer: &Peer,
) -> Result<Admitted, Rejection> {
    let head = sanitized.head;
    check_length(&head.headers, rules.max_body)?;
    let sensitive = destination.sensitive();
    let charge = match (&rules.logins, sensitive) {
        (Some(logins), Some(sensitive)) => {
            let client = peer.client(&head.headers, &logins.trusted_proxies);
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
