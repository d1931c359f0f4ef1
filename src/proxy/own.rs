//! Magento's endpoints for credentials: how they are told from other paths, which of them the gate answers, and the port
//! through which it asks for the answer.
//!
//! An own endpoint passes the same stages as any other request; what differs is the last one: an [`OwnCall`] takes the
//! place of header edits, and it can only be made from a request that was admitted. Magento's rule for the endpoint
//! (`anonymous` or `self`) holds whatever the route table says and whatever `acl.mode` is: nobody else would check.

use std::{fmt, net::IpAddr, sync::Arc};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Response, request::Parts};

use super::{limit::Admitted, routes::Labeled};
use crate::{
    auth::{
        acl::AclTree,
        identity::UserContext,
        oauth1::Scheme,
        rejection::{Malformation, Rejection},
        route::{Door, HandshakeStep, RestMatch, Route, RouteTable, StoreView},
        time::UnixTime,
    },
    store::{
        grant::{Fact, Grant},
        reference::Reference,
    },
};

/// Magento's endpoints on REST (`MAGENTO_AUTH` section 6.1), and those of the second factor, which check a password too
/// (section 6.5): whatever their names, the providers' actions are five segments long, or six
/// (`authy/send-token/:via`).
const ROUTES: &str = r#"[
    {"method": "POST", "route": "/V1/integration/admin/token", "resources": ["anonymous"]},
    {"method": "POST", "route": "/V1/integration/customer/token", "resources": ["anonymous"]},
    {"method": "POST", "route": "/V1/integration/customer/revoke-customer-token", "resources": ["self"]},
    {"method": "POST", "route": "/V1/tfa/provider/:provider/:action", "resources": ["anonymous"]},
    {"method": "POST", "route": "/V1/tfa/provider/:provider/:action/:via", "resources": ["anonymous"]}
]"#;

/// An endpoint that the gate can answer in Magento's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OwnEndpoint {
    /// `POST /V1/integration/admin/token`.
    AdminToken,
    /// `POST /V1/integration/customer/token`.
    CustomerToken,
    /// `POST /V1/integration/customer/revoke-customer-token`.
    RevokeCustomerToken,
    /// `/oauth/token/request`.
    RequestToken,
    /// `/oauth/token/access`.
    AccessToken,
}

impl OwnEndpoint {
    const ALL: [Self; 5] = [
        Self::AdminToken,
        Self::CustomerToken,
        Self::RevokeCustomerToken,
        Self::RequestToken,
        Self::AccessToken,
    ];

    /// The path behind `/rest` and the store code, or the whole one.
    #[must_use]
    pub const fn template(self) -> &'static str {
        match self {
            Self::AdminToken => "/V1/integration/admin/token",
            Self::CustomerToken => "/V1/integration/customer/token",
            Self::RevokeCustomerToken => "/V1/integration/customer/revoke-customer-token",
            Self::RequestToken => "/oauth/token/request",
            Self::AccessToken => "/oauth/token/access",
        }
    }

    /// The word for figures and log lines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AdminToken => "admin_token",
            Self::CustomerToken => "customer_token",
            Self::RevokeCustomerToken => "revoke_customer_token",
            Self::RequestToken => "request_token",
            Self::AccessToken => "access_token",
        }
    }

    /// Whether it checks a password.
    #[must_use]
    pub const fn is_login(self) -> bool {
        match self {
            Self::AdminToken | Self::CustomerToken => true,
            Self::RevokeCustomerToken | Self::RequestToken | Self::AccessToken => false,
        }
    }
}

/// A path that gives out credentials, or takes them back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sensitive {
    /// One of Magento's token endpoints.
    Endpoint(OwnEndpoint),
    /// An endpoint of two-factor authentication.
    SecondFactor,
    /// GraphQL, where the body may hold mutations that issue or revoke tokens.
    Graphql,
    /// SOAP, where the query names the services that the body may call, those that issue tokens too.
    Soap,
}

impl Sensitive {
    /// Whether a request to it checks a password.
    #[must_use]
    pub const fn is_login(self) -> bool {
        match self {
            Self::Endpoint(endpoint) => endpoint.is_login(),
            Self::SecondFactor => true,
            Self::Graphql | Self::Soap => false,
        }
    }

    fn of(route: &Route) -> Self {
        let endpoint = OwnEndpoint::ALL.into_iter().find(|endpoint| endpoint.template() == route.template);
        endpoint.map_or(Self::SecondFactor, Self::Endpoint)
    }
}

/// Which endpoints the gate answers, and how all of them are known.
#[derive(Debug)]
pub struct OwnRules {
    answered: Vec<OwnEndpoint>,
    pub(super) routes: Labeled,
    handshake: [Arc<str>; 2],
}

/// A sensitive path, and where it is asked for.
#[derive(Debug)]
pub(super) struct Found<'a> {
    pub(super) what: Sensitive,
    pub(super) rest: Option<RestMatch<'a>>,
}

impl OwnRules {
    /// Rules by which the gate answers these endpoints.
    #[must_use]
    pub fn answering(answered: impl IntoIterator<Item = OwnEndpoint>) -> Self {
        let tree = AclTree::from_json("[]").expect("an empty list is a tree");
        let table = RouteTable::from_json(ROUTES, &tree).expect("the routes are a table: a test reads them");
        let handshake = [OwnEndpoint::RequestToken, OwnEndpoint::AccessToken];
        Self {
            answered: answered.into_iter().collect(),
            routes: Labeled::new(table),
            handshake: handshake.map(|endpoint| endpoint.template().into()),
        }
    }

    /// The endpoint, if the gate answers it.
    pub(super) fn own(&self, what: Sensitive) -> Option<OwnEndpoint> {
        match what {
            Sensitive::Endpoint(endpoint) if self.answered.contains(&endpoint) => Some(endpoint),
            Sensitive::Endpoint(_) | Sensitive::SecondFactor | Sensitive::Graphql | Sensitive::Soap => None,
        }
    }

    /// What a handshake endpoint is called in log lines.
    pub(super) fn label(&self, endpoint: OwnEndpoint) -> Option<&Arc<str>> {
        self.handshake.iter().find(|label| ***label == *endpoint.template())
    }

    /// Tells whether a path is sensitive.
    ///
    /// # Errors
    /// As [`RestMatch::find`]: a path that is one only when decoded; [`Rejection::StoreUnavailable`] while the store codes
    /// are not known.
    pub(super) fn find<'a>(
        &'a self,
        method: &str,
        door: Door<'_>,
        reference: Option<&'a Reference>,
    ) -> Result<Option<Found<'a>>, Rejection> {
        let whole = |what| Ok(Some(Found { what, rest: None }));
        match door {
            // All of them are posted to: most requests are not looked at twice.
            Door::Rest(_) if method != "POST" => Ok(None),
            Door::Rest(path) => {
                let scope = &reference.ok_or(Rejection::StoreUnavailable)?.scope;
                let rest =
                    RestMatch::find(scope, &self.routes.table, method, path).map_err(Rejection::Malformed)?;
                Ok(rest.route.map(|route| Found { what: Sensitive::of(route), rest: Some(rest) }))
            }
            Door::Graphql => whole(Sensitive::Graphql),
            Door::Soap => whole(Sensitive::Soap),
            Door::OauthToken(Some(HandshakeStep::Request)) => {
                whole(Sensitive::Endpoint(OwnEndpoint::RequestToken))
            }
            Door::OauthToken(Some(HandshakeStep::Access)) => {
                whole(Sensitive::Endpoint(OwnEndpoint::AccessToken))
            }
            Door::OauthToken(None) | Door::Elsewhere => Ok(None),
        }
    }
}

impl Found<'_> {
    /// Refuses the asynchronous forms of what checks a password or is answered here: Magento would write the password into
    /// its queue, and whoever waits for a token never sees it.
    pub(super) fn refuse_asynchronous(&self, is_own: bool) -> Result<(), Rejection> {
        let is_asynchronous = self.rest.is_some_and(|rest| rest.is_asynchronous);
        if is_asynchronous && (is_own || self.what.is_login()) {
            return Err(Rejection::Malformed(Malformation::Asynchronous));
        }
        Ok(())
    }
}

/// An admitted request that the gate answers itself, or asks itself about before it is forwarded.
#[derive(Clone)]
pub struct OwnCall {
    endpoint: OwnEndpoint,
    caller: Option<Arc<Fact>>,
    store: Option<StoreView>,
    scheme: Scheme,
}

impl OwnCall {
    /// Only an admitted request becomes a call.
    pub(super) fn new(endpoint: OwnEndpoint, admitted: &Admitted) -> Self {
        Self {
            endpoint,
            caller: admitted.permit().fact().cloned(),
            store: admitted.store().cloned(),
            scheme: admitted.scheme(),
        }
    }

    /// What is asked for.
    #[must_use]
    pub const fn endpoint(&self) -> OwnEndpoint {
        self.endpoint
    }

    /// The proven caller; `None` for guests, and where nobody was evaluated.
    #[must_use]
    pub fn caller(&self) -> Option<&UserContext> {
        self.caller.as_deref().and_then(Fact::grant).map(|grant: &Grant| &grant.context)
    }

    /// The store that is asked for.
    #[must_use]
    pub const fn store(&self) -> Option<&StoreView> {
        self.store.as_ref()
    }

    /// The scheme that the client spoke, as far as anybody may be believed.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }
}

impl fmt::Debug for OwnCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnCall").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// A call with everything that its answer may depend on. Body, query and headers hold credentials: they are not shown.
pub struct OwnRequest {
    /// What is asked for, and who asks.
    pub call: OwnCall,
    /// The head as received.
    pub head: Parts,
    /// The whole body.
    pub body: Bytes,
    /// The client, as far as anybody may be believed.
    pub client: IpAddr,
    /// The request's id, for the audit.
    pub request_id: String,
    /// The time of the decision.
    pub now: UnixTime,
}

impl fmt::Debug for OwnRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnRequest").field("call", &self.call).finish_non_exhaustive()
    }
}

/// An answer of the gate's own. A refusal in the words of Magento's REST is a [`Rejection`] instead.
#[derive(Debug)]
pub struct OwnAnswer {
    /// The answer.
    pub response: Response<Bytes>,
    /// The class of the refusal, if it is one in a form of its own; one of a closed set of words.
    pub refused: Option<&'static str>,
    /// The consumer whose nonce was used before, if that is why it is refused.
    pub replayed: Option<u32>,
}

/// Whoever answers the gate's own endpoints. The futures wait for whatever they wait for elsewhere, never on the worker.
pub trait Endpoints: Send + Sync + fmt::Debug {
    /// Answers an endpoint.
    fn answer(&self, request: OwnRequest) -> BoxFuture<'static, Result<OwnAnswer, Rejection>>;

    /// Looks at a login that the upstream will answer, and refuses it where the upstream need not even be asked.
    fn screen(&self, request: OwnRequest) -> BoxFuture<'static, Result<(), Rejection>>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::route::CanonicalPath;

    #[test]
    fn every_endpoint_on_rest_is_known_by_its_route() {
        let rules = OwnRules::answering([OwnEndpoint::AdminToken]);
        let sensitive = |path: &str| {
            let route =
                rules.routes.table.match_route("POST", CanonicalPath::parse(path).unwrap().segments());
            route.map(Sensitive::of)
        };
        for endpoint in OwnEndpoint::ALL {
            let is_on_rest = endpoint.template().starts_with("/V1/");
            let found = sensitive(endpoint.template());
            assert_eq!(found, is_on_rest.then_some(Sensitive::Endpoint(endpoint)), "{endpoint:?}");
            let is_own = endpoint == OwnEndpoint::AdminToken;
            assert_eq!(rules.own(Sensitive::Endpoint(endpoint)).is_some(), is_own, "{endpoint:?}");
            assert_eq!(rules.label(endpoint).is_some(), !is_on_rest, "{endpoint:?}");
        }
        // The last one went past every limit: it is a segment longer.
        for path in [
            "/V1/tfa/provider/google/authenticate",
            "/V1/tfa/provider/u2fkey/verify",
            "/V1/tfa/provider/authy/send-token/sms",
        ] {
            assert_eq!(sensitive(path), Some(Sensitive::SecondFactor), "{path}");
        }
        assert_eq!(sensitive("/V1/tfa/provider/google"), None);
        assert_eq!(sensitive("/V1/integration/customer/token/x"), None);
    }
}
