//! Where a request leads: which door, which store, which route, and who has to be known there.
//!
//! The canonical path is resolved once; everything after it (ACL, log, base string) speaks of the route found here. Nobody
//! is evaluated on anonymous and unmatched routes unless the configuration asks for it, as in Magento
//! (MAGENTO_FACTS 5, 6): a bad token there is nobody's business.

use std::sync::Arc;

use http::{HeaderValue, header::COOKIE};

pub use super::routes::Routes;
use super::{
    own::{Found, OwnEndpoint, OwnRules, Sensitive},
    routes::{Labeled, Labels, UNMATCHED},
    sanitize::Sanitized,
};
use crate::{
    auth::{
        acl::Resource,
        oauth1::{Scheme, magento_path},
        rejection::{Malformation, Rejection},
        route::{CanonicalPath, Door, RestMatch, Route, StoreView},
    },
    store::reference::Reference,
};

/// Which paths are whose.
#[derive(Debug)]
pub struct LocateRules {
    /// Which paths are authenticated.
    pub scope: Scope,
    /// The routes; `None` where no ACL is kept.
    pub routes: Option<Routes>,
    /// Whether credentials are looked at on anonymous routes.
    pub resolves_anonymous: bool,
    /// Whether paths without a route are refused.
    pub refuses_unmatched: bool,
    /// Which endpoints the gate answers itself.
    pub own: OwnRules,
}

/// Which paths are authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Magento's doors: `/rest`, `/graphql`, `/soap`.
    Magento,
    /// Every path, matched against the routes as it stands.
    Everything,
}

impl LocateRules {
    /// The routes in force: only a Magento knows `allow_insecure`.
    fn routes(&self, reference: Option<&Reference>) -> Option<&Labeled> {
        let routes = self.routes.as_ref()?;
        let is_open =
            self.scope == Scope::Magento && reference.is_some_and(|reference| reference.allows_insecure);
        Some(if is_open { &routes.open } else { &routes.guarded })
    }
}

/// Whether somebody has to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evaluation {
    /// Nobody: credentials are not looked at.
    Nobody,
    /// Whoever proves itself is told upstream; a bad proof is a guest.
    Informative,
    /// The caller decides the outcome; a bad signature is refused.
    Required,
}

/// Which proofs besides a bearer value a door takes (MAGENTO_AUTH section 1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contexts {
    /// None.
    None,
    /// REST: customer sessions of scripts (FACT 41), admin sessions, signatures.
    Rest,
    /// GraphQL: customer sessions of anybody; no admin sessions, no signatures.
    Graphql,
    /// SOAP: signatures.
    Soap,
}

/// Where a request leads.
#[derive(Debug)]
pub struct Destination<'a> {
    evaluation: Evaluation,
    contexts: Contexts,
    located: Option<Located<'a>>,
    routes: Option<&'a Labeled>,
    labels: Option<&'a Labels>,
    sensitive: Option<Sensitive>,
    rules: &'a LocateRules,
    reference: Option<&'a Reference>,
}

/// A matched route and where it is asked for.
#[derive(Debug)]
pub struct Located<'a> {
    /// The route.
    pub route: &'a Route,
    /// The store that the path means.
    pub store: Option<&'a StoreView>,
    /// Whether the client spoke HTTPS.
    pub is_https: bool,
}

impl<'a> Destination<'a> {
    /// Whether somebody has to be known here.
    #[must_use]
    pub const fn evaluation(&self) -> Evaluation {
        self.evaluation
    }

    /// Which proofs this door takes.
    #[must_use]
    pub const fn contexts(&self) -> Contexts {
        self.contexts
    }

    /// Where in a session this request's customer is to be found; `None` while the stores are not known.
    #[must_use]
    pub fn session_namespace(&self) -> Option<&'a str> {
        let scope = &self.reference?.scope;
        let store = match &self.located {
            Some(located) => located.store,
            None => scope.default_store(),
        };
        scope.session_namespace(store?)
    }

    /// The route, if one matches.
    #[must_use]
    pub const fn located(&self) -> Option<&Located<'a>> {
        self.located.as_ref()
    }

    /// The store that the request is for: the path's, else the default one.
    #[must_use]
    pub fn store(&self) -> Option<&'a StoreView> {
        let named = self.located.as_ref().and_then(|located| located.store);
        named.or_else(|| self.reference?.scope.default_store())
    }

    /// The value of `Resource`.
    #[must_use]
    pub fn resource(&self) -> HeaderValue {
        self.labels.map_or(UNMATCHED, |labels| labels.resource.clone())
    }

    /// The matched route's template, for log lines.
    #[must_use]
    pub fn template(&self) -> Option<Arc<str>> {
        let of_handshake = || self.own().and_then(|endpoint| self.rules.own.label(endpoint));
        self.labels.map(|labels| &labels.template).or_else(of_handshake).map(Arc::clone)
    }

    /// What gives out credentials here, or takes them back.
    #[must_use]
    pub const fn sensitive(&self) -> Option<Sensitive> {
        self.sensitive
    }

    /// The endpoint, if the gate answers it itself.
    #[must_use]
    pub fn own(&self) -> Option<OwnEndpoint> {
        self.rules.own.own(self.sensitive?)
    }

    /// Whether Magento's reading of the path, which decodes `%2F` and its like, has the same segments and leads to the same
    /// route (deviation D12).
    #[must_use]
    pub fn decoded_path_is_safe(&self, sanitized: &Sanitized<'_>) -> bool {
        let sent = sanitized.head.uri.path();
        if !sent.contains('%') {
            return true;
        }
        let decoded = magento_path(sent);
        let Ok(path) = CanonicalPath::parse(&decoded) else {
            return false;
        };
        path.segments().count() == sanitized.path.segments().count()
            && self.route_index(sanitized, path) == self.located.as_ref().map(|located| located.route.index)
    }

    fn route_index(&self, sanitized: &Sanitized<'_>, path: CanonicalPath<'_>) -> Option<u32> {
        let method = sanitized.head.method.as_str();
        let routes = self.routes?;
        if self.rules.scope == Scope::Everything {
            return routes.table.resolve(method, path).ok()?.map(|route| route.index);
        }
        match path.door() {
            Ok(Door::Rest(rest)) => {
                let found = RestMatch::find(&self.reference?.scope, &routes.table, method, rest).ok()?;
                found.route.map(|route| route.index)
            }
            _ => None,
        }
    }
}

/// Finds out where a request leads.
///
/// # Errors
/// [`Rejection::Malformed`] for a path that leads elsewhere when decoded, [`Rejection::NoRoute`] where unmatched paths are
/// refused, [`Rejection::StoreUnavailable`] while the stores are not known yet.
pub fn locate<'a>(
    rules: &'a LocateRules,
    sanitized: &Sanitized<'_>,
    reference: Option<&'a Reference>,
) -> Result<Destination<'a>, Rejection> {
    let door = sanitized.path.door().map_err(Rejection::Malformed)?;
    if let Door::Rest(rest) = door
        // Magento would cut such a request at the second `/rest` and route what follows.
        && rules.scope == Scope::Magento
        && rest.names_rest_again(sanitized.head.uri.query())
    {
        return Err(Rejection::Malformed(Malformation::AmbiguousPath));
    }
    let found = rules.own.find(sanitized.head.method.as_str(), door, reference)?;
    let Some(found) = found else {
        return by_door(rules, sanitized, door, reference);
    };
    let is_own = rules.own.own(found.what).is_some();
    match rules.scope {
        Scope::Everything if !is_own => return by_door(rules, sanitized, door, reference),
        Scope::Everything | Scope::Magento => found.refuse_asynchronous(is_own)?,
    }
    let sensitive = Some(found.what);
    if is_own {
        return Ok(Destination { sensitive, ..own(rules, sanitized, &found, reference)? });
    }
    Ok(Destination { sensitive, ..by_door(rules, sanitized, door, reference)? })
}

/// Nothing known yet.
fn bare<'a>(
    rules: &'a LocateRules,
    reference: Option<&'a Reference>,
    (evaluation, contexts): (Evaluation, Contexts),
) -> Destination<'a> {
    Destination {
        evaluation,
        contexts,
        located: None,
        routes: rules.routes(reference),
        labels: None,
        sensitive: None,
        rules,
        reference,
    }
}

/// An endpoint that the gate answers: guarded as Magento guards it, whatever the configured routes say.
fn own<'a>(
    rules: &'a LocateRules,
    sanitized: &Sanitized<'_>,
    found: &Found<'a>,
    reference: Option<&'a Reference>,
) -> Result<Destination<'a>, Rejection> {
    let Some(rest) = found.rest else {
        return Ok(bare(rules, reference, (Evaluation::Nobody, Contexts::None)));
    };
    let bare = bare(rules, reference, (Evaluation::Nobody, Contexts::Rest));
    let bare = Destination { routes: Some(&rules.own.routes), ..bare };
    let store = store_of(&rest, reference, sanitized);
    matched(rules, sanitized, (rest.route, store), bare)
}

fn by_door<'a>(
    rules: &'a LocateRules,
    sanitized: &Sanitized<'_>,
    door: Door<'_>,
    reference: Option<&'a Reference>,
) -> Result<Destination<'a>, Rejection> {
    let bare = |evaluation, contexts| bare(rules, reference, (evaluation, contexts));
    match (rules.scope, door) {
        (Scope::Everything, _) => whole_path(rules, sanitized, bare(Evaluation::Required, Contexts::Rest)),
        (Scope::Magento, Door::Rest(rest)) => {
            let Some(routes) = rules.routes(reference) else {
                return Ok(bare(Evaluation::Required, Contexts::Rest));
            };
            let known = reference.ok_or(Rejection::StoreUnavailable)?;
            let method = sanitized.head.method.as_str();
            let found =
                RestMatch::find(&known.scope, &routes.table, method, rest).map_err(Rejection::Malformed)?;
            if found.is_schema {
                return Ok(bare(Evaluation::Informative, Contexts::Rest));
            }
            let store = store_of(&found, reference, sanitized);
            matched(rules, sanitized, (found.route, store), bare(Evaluation::Nobody, Contexts::Rest))
        }
        (Scope::Magento, Door::Graphql) => Ok(bare(Evaluation::Informative, Contexts::Graphql)),
        (Scope::Magento, Door::Soap) => Ok(bare(Evaluation::Required, Contexts::Soap)),
        (Scope::Magento, Door::OauthToken(_) | Door::Elsewhere) => {
            Ok(bare(Evaluation::Nobody, Contexts::None))
        }
    }
}

/// The store that a path means.
fn store_of<'a>(
    found: &RestMatch<'a>,
    reference: Option<&'a Reference>,
    sanitized: &Sanitized<'_>,
) -> Option<&'a StoreView> {
    let chosen = reference.filter(|_| !found.names_store).and_then(|known| chosen_store(known, sanitized));
    chosen.or(found.store)
}

/// The store that cookie or parameter choose where the path does not.
fn chosen_store<'a>(reference: &'a Reference, sanitized: &Sanitized<'_>) -> Option<&'a StoreView> {
    let cookies = sanitized.head.headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
    reference.scope.chosen(sanitized.head.uri.query(), cookies)
}

fn whole_path<'a>(
    rules: &'a LocateRules,
    sanitized: &Sanitized<'_>,
    bare: Destination<'a>,
) -> Result<Destination<'a>, Rejection> {
    let Some(routes) = bare.routes else {
        return Ok(bare);
    };
    let method = sanitized.head.method.as_str();
    let route = routes.table.resolve(method, sanitized.path).map_err(Rejection::Malformed)?;
    let store = bare.reference.and_then(|reference| reference.scope.default_store());
    matched(rules, sanitized, (route, store), bare)
}

fn matched<'a>(
    rules: &'a LocateRules,
    sanitized: &Sanitized<'_>,
    (route, store): (Option<&'a Route>, Option<&'a StoreView>),
    bare: Destination<'a>,
) -> Result<Destination<'a>, Rejection> {
    let Some(route) = route else {
        return if rules.refuses_unmatched {
            Err(Rejection::NoRoute)
        } else {
            Ok(Destination { evaluation: Evaluation::Nobody, ..bare })
        };
    };
    let is_anonymous = route.resources.iter().all(|resource| *resource == Resource::Anonymous);
    let evaluation = match (is_anonymous, rules.resolves_anonymous) {
        (false, _) => Evaluation::Required,
        (true, true) => Evaluation::Informative,
        (true, false) => Evaluation::Nobody,
    };
    let labels = bare.routes.and_then(|routes| routes.labels(route));
    let is_https = sanitized.scheme == Scheme::Https;
    let located = Some(Located { route, store, is_https });
    Ok(Destination { evaluation, located, labels, ..bare })
}

#[cfg(test)]
mod tests {
    use http::{Request, request::Parts};

    use super::*;
    use crate::auth::{acl::AclTree, credential::Credential, route::RouteTable};

    const ROUTES: &str = r#"[
        {"method": "GET", "route": "/orders/:id", "resources": ["Shop::orders"]},
        {"method": "GET", "route": "/health", "resources": ["anonymous"]}
    ]"#;

    /// The rules of an API that is not Magento's.
    fn rules(routes: bool, resolves_anonymous: bool, refuses_unmatched: bool) -> LocateRules {
        let tree = AclTree::from_json(r#"[{"id": "Shop::orders"}]"#).unwrap();
        let table = || RouteTable::from_json_for_whole_paths(ROUTES, &tree).unwrap();
        LocateRules {
            scope: Scope::Everything,
            routes: routes.then(|| Routes::new(table())),
            resolves_anonymous,
            refuses_unmatched,
            own: OwnRules::answering([]),
        }
    }

    fn head(target: &str) -> Parts {
        Request::get(target).body(()).unwrap().into_parts().0
    }

    fn sanitized(head: &Parts) -> Sanitized<'_> {
        Sanitized {
            head,
            host: "api.test",
            scheme: Scheme::Https,
            path: CanonicalPath::parse(head.uri.path()).unwrap(),
            credential: Credential::None,
            spoofed: Vec::new(),
        }
    }

    /// What has to be known at a path, and the route that it reaches.
    fn found(rules: &LocateRules, target: &str) -> Result<(Evaluation, Option<String>), Rejection> {
        let head = head(target);
        let destination = locate(rules, &sanitized(&head), None)?;
        let located = destination.located().map(|located| located.route.template.clone());
        assert_eq!(destination.template().as_deref(), located.as_deref());
        Ok((destination.evaluation(), located))
    }

    #[test]
    fn of_an_api_that_is_not_magentos_every_path_is_matched_whole() {
        let rules = rules(true, false, false);
        for (target, evaluation, template) in [
            ("/orders/7", Evaluation::Required, Some("/orders/:id")),
            ("/orders/a%2Fb", Evaluation::Required, Some("/orders/:id")),
            ("/health", Evaluation::Nobody, Some("/health")),
            ("/other", Evaluation::Nobody, None),
            ("/rest/orders/7", Evaluation::Nobody, None),
            ("/graphql", Evaluation::Nobody, None),
        ] {
            assert_eq!(found(&rules, target), Ok((evaluation, template.map(str::to_owned))), "{target}");
        }
        let disguised = Err(Rejection::Malformed(Malformation::DisguisedRoute));
        assert_eq!(found(&rules, "/%68ealth"), disguised, "a route that only decoding reaches");
    }

    #[test]
    fn an_anonymous_route_is_resolved_and_an_unknown_one_refused_where_asked_for() {
        let strict = rules(true, true, true);
        assert_eq!(found(&strict, "/health").unwrap().0, Evaluation::Informative);
        assert_eq!(found(&strict, "/orders/7").unwrap().0, Evaluation::Required);
        assert_eq!(found(&strict, "/other"), Err(Rejection::NoRoute));
    }

    #[test]
    fn without_routes_somebody_has_to_be_known_everywhere() {
        for target in ["/", "/orders/7", "/rest/V1/x"] {
            assert_eq!(
                found(&rules(false, false, true), target),
                Ok((Evaluation::Required, None)),
                "{target}"
            );
        }
    }

    #[test]
    fn a_route_tells_its_resource_and_no_store() {
        let rules = rules(true, false, false);
        for (target, resource) in
            [("/orders/7", "Shop::orders"), ("/health", "anonymous"), ("/other", "unmatched")]
        {
            let head = head(target);
            let destination = locate(&rules, &sanitized(&head), None).unwrap();
            assert_eq!(destination.resource(), resource, "{target}");
            assert_eq!(destination.contexts(), Contexts::Rest);
            assert_eq!((destination.store(), destination.session_namespace()), (None, None));
            assert_eq!((destination.sensitive(), destination.own()), (None, None));
        }
    }

    /// Magento decodes the path before it makes a base string of it; an API whose routes it does not know may not.
    #[test]
    fn a_path_may_be_decoded_only_where_it_stays_on_its_route() {
        let rules = rules(true, false, false);
        for (target, is_safe) in
            [("/orders/7", true), ("/orders/%C3%BC", true), ("/orders/a%2Fb", false), ("/other/%41", true)]
        {
            let head = head(target);
            let sanitized = sanitized(&head);
            let destination = locate(&rules, &sanitized, None).unwrap();
            assert_eq!(destination.decoded_path_is_safe(&sanitized), is_safe, "{target}");
        }
    }
}
