//! Where a request leads, what is needed there, and what the caller holds of it.

use super::explainer::Telling;
use crate::{
    auth::{acl::Resource, identity::UserType, oauth1::Scheme, route::Door},
    proxy::{
        locate::{Contexts, Destination, Evaluation, Located},
        pipeline::Notes,
        sanitize::Sanitized,
    },
    store::{
        grant::{Fact, Grant},
        reference::Reference,
    },
};

/// Tells about door, store and route; without a destination the path itself is refused.
pub(super) fn tell(telling: &mut Telling<'_>, sanitized: &Sanitized<'_>, found: Option<&Destination<'_>>) {
    let chain = &mut telling.chain;
    chain.step("route");
    chain.find("scheme", if sanitized.scheme() == Scheme::Https { "https" } else { "http" });
    let door = match sanitized.path().door() {
        Ok(Door::Rest(_)) => "REST",
        Ok(Door::Graphql) => "GraphQL",
        Ok(Door::Soap) => "SOAP",
        Ok(Door::OauthToken(_)) => "the OAuth handshake",
        Ok(Door::Elsewhere) => "none: not a path of the API",
        Err(_) => "ambiguous",
    };
    chain.find("door", door);
    let Some(destination) = found else {
        return chain.find("matched", "refused before a route was looked for");
    };
    match destination.located() {
        Some(Located { route, store, is_https: _ }) => {
            chain.find("matched", route.template.as_str());
            let store =
                store.map(|store| format!("{} (id {}, website {})", store.code, store.id, store.website_id));
            chain.find("store", store.unwrap_or_else(|| "unknown".to_owned()));
        }
        None => chain.find("matched", "no route of acl.routes"),
    }
    let evaluation = match destination.evaluation() {
        Evaluation::Nobody => "nobody: credentials are not looked at here, good or bad",
        Evaluation::Informative => "whoever proves itself is told upstream; a bad proof is a guest",
        Evaluation::Required => "the caller decides; a bad signature is refused",
    };
    chain.find("who is asked", evaluation);
    let contexts = match (destination.evaluation(), destination.contexts()) {
        (Evaluation::Nobody, _) => "none",
        (_, Contexts::None) => "bearer token",
        (_, Contexts::Rest) => "bearer token, then session, then OAuth signature",
        (_, Contexts::Graphql) => "bearer token, then session; signatures do not count at this door",
        (_, Contexts::Soap) => "bearer token, then OAuth signature",
    };
    chain.find("contexts tried", contexts);
}

/// Tells what the route needs and what the caller has, or would have if its proof were good.
pub(super) fn tell_permission(
    telling: &mut Telling<'_>,
    (destination, notes): (&Destination<'_>, &Notes),
    fact: Option<&Fact>,
    reference: Option<&Reference>,
) {
    let Some(located) = destination.located() else { return };
    telling.chain.step("permission");
    telling.chain.find("needs", located.route.resource_header.as_str());
    let grant = fact.and_then(Fact::grant);
    let is_proven = notes.user_id.is_some();
    let who = grant.map_or("guest", |grant| grant.context.user_type().as_str());
    telling.chain.find(
        "caller",
        if is_proven || grant.is_none() { who.to_owned() } else { format!("{who}, if its proof counted") },
    );
    let role = grant.and_then(|grant| role_of(grant, reference));
    if let Some((role, headers)) = role {
        telling.chain.find("role", format!("{} \"{}\"", role.id, role.name));
        let digest = headers.digest.as_ref().and_then(|digest| digest.to_str().ok());
        let list = digest.and_then(|digest| reference?.long_list(digest));
        telling.chain.find("holds", list.map_or_else(|| super::explainer::text(&headers.acl), str::to_owned));
    } else if grant.is_some_and(|grant| has_role(grant.context.user_type())) {
        telling.chain.find("role", "none");
    }
    let holds = |resource: &Resource| match resource {
        Resource::Anonymous => true,
        Resource::SelfOnly | Resource::Named(_) | Resource::Unknown(_) => {
            role.is_some_and(|(role, _)| role.permissions.allows(resource))
        }
    };
    let is_customer = grant.is_some_and(|grant| grant.context.user_type() == UserType::Customer);
    if is_customer && located.route.resources.contains(&Resource::SelfOnly) {
        telling.chain.find("acts for itself", "in the stores that share the customer's account");
    }
    telling.chain.find("role has it", located.route.resources.iter().all(holds));
    if located.route.requires_https {
        telling
            .chain
            .find("https required", if located.is_https { "yes, and used" } else { "yes, and not used" });
    }
}

const fn has_role(user_type: UserType) -> bool {
    match user_type {
        UserType::Admin | UserType::Integration => true,
        UserType::Customer | UserType::Guest => false,
    }
}

fn role_of<'a>(
    grant: &Grant,
    reference: Option<&'a Reference>,
) -> Option<(&'a crate::auth::acl::Role, &'a crate::store::reference::RoleHeaders)> {
    let user_type = grant.context.user_type();
    let id = grant.context.user_id().filter(|_| has_role(user_type))?;
    reference?.role_of(user_type, id).map(|(role, headers)| (&**role, headers))
}
