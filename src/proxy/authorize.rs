//! Whether the caller holds what the route needs.
//!
//! All resources of a route must be allowed. `self` is for customers, in the stores they share (MAGENTO_FACTS 22); anybody
//! else is asked for the null resource, which only a role with everything has. A denial is 401 in Magento's words.

use std::sync::Arc;

use http::HeaderValue;

use super::{
    authenticate::Authenticated,
    locate::{Destination, Located},
    pipeline::Notes,
};
use crate::{
    auth::{
        acl::{Resource, Role},
        identity::{UserContext, UserType},
        rejection::Rejection,
    },
    store::{
        grant::{Fact, Grant},
        reference::{Reference, RoleHeaders},
    },
};

/// What happens to those who may not.
#[derive(Debug, Clone, Copy)]
pub struct AuthorizeRules {
    /// Enforce, report or off.
    pub mode: AclMode,
}

/// How denials are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AclMode {
    /// They are refused.
    Enforce,
    /// They are logged and counted, and pass.
    Report,
    /// Nothing is checked.
    Off,
    /// Everything is forwarded, and our verdict compared with the upstream's.
    Shadow,
}

/// Leave to reach the upstream; only `authorize` makes one.
#[derive(Debug)]
pub struct Permit {
    fact: Option<Arc<Fact>>,
    role: Option<RoleHeaders>,
    role_id: Option<u32>,
    resource: HeaderValue,
}

impl Permit {
    /// The kind of caller.
    #[must_use]
    pub fn user_type(&self) -> UserType {
        self.grant().map_or(UserType::Guest, |grant| grant.context.user_type())
    }

    /// The proven caller; `None` for guests.
    #[must_use]
    pub fn grant(&self) -> Option<&Grant> {
        self.fact.as_deref().and_then(Fact::grant)
    }

    /// The fact that proves the caller.
    #[must_use]
    pub const fn fact(&self) -> Option<&Arc<Fact>> {
        self.fact.as_ref()
    }

    /// The caller's role.
    #[must_use]
    pub const fn role(&self) -> Option<&RoleHeaders> {
        self.role.as_ref()
    }

    /// The caller's role, by `authorization_role.role_id`.
    #[must_use]
    pub const fn role_id(&self) -> Option<u32> {
        self.role_id
    }

    /// What the route needs.
    #[must_use]
    pub const fn resource(&self) -> &HeaderValue {
        &self.resource
    }
}

/// Checks the route's resources against what the caller holds.
///
/// # Errors
/// [`Rejection::ResourceDenied`], [`Rejection::HttpsRequired`], or [`Rejection::StoreUnavailable`] where the roles are
/// not known yet.
pub(super) fn authorize(
    rules: &AuthorizeRules,
    authenticated: Authenticated,
    destination: &Destination<'_>,
    reference: Option<&Reference>,
    notes: &mut Notes,
) -> Result<Permit, Rejection> {
    let context = authenticated.grant().map_or(&UserContext::Guest, |grant| &grant.context);
    // What the gate answers itself nobody else checks: no mode lets a caller through to it.
    let mode = if destination.own().is_some() { AclMode::Enforce } else { rules.mode };
    // Without a tree nobody can say what a role may do: an empty list would say that it may do nothing.
    let role = if mode == AclMode::Off { None } else { role(context, reference)? };
    if let Some(located) = destination.located()
        && mode != AclMode::Off
    {
        let held = Held { context, role: role.map(|(role, _)| role), reference };
        if !located.route.resources.iter().all(|resource| held.allows(resource, located)) {
            let resources = located.route.resource_header.clone();
            deny(mode, Rejection::ResourceDenied { resources }, "reported_resource_denied", notes)?;
        }
        if located.route.requires_https && !located.is_https {
            deny(mode, Rejection::HttpsRequired, "reported_https_required", notes)?;
        }
    }
    let role_id = role.map(|(role, _)| role.id);
    let role = role.map(|(_, headers)| headers.clone());
    let resource = destination.resource();
    Ok(Permit { fact: authenticated.into_fact(), role, role_id, resource })
}

fn deny(
    mode: AclMode,
    rejection: Rejection,
    report: &'static str,
    notes: &mut Notes,
) -> Result<(), Rejection> {
    match mode {
        AclMode::Enforce | AclMode::Shadow => Err(rejection),
        AclMode::Report | AclMode::Off => {
            notes.cause = Some(report);
            Ok(())
        }
    }
}

/// The role of an admin or integration; the others have none.
fn role<'a>(
    context: &UserContext,
    reference: Option<&'a Reference>,
) -> Result<Option<(&'a Arc<Role>, &'a RoleHeaders)>, Rejection> {
    let user_type = context.user_type();
    match (user_type, context.user_id()) {
        (UserType::Admin | UserType::Integration, Some(id)) => {
            let reference = reference.ok_or(Rejection::StoreUnavailable)?;
            Ok(reference.role_of(user_type, id))
        }
        (_, _) => Ok(None),
    }
}

/// What the caller holds.
struct Held<'a> {
    context: &'a UserContext,
    role: Option<&'a Arc<Role>>,
    reference: Option<&'a Reference>,
}

impl Held<'_> {
    fn allows(&self, resource: &Resource, located: &Located<'_>) -> bool {
        match resource {
            Resource::Anonymous => true,
            Resource::SelfOnly if self.acts_for_itself(located) => true,
            Resource::SelfOnly | Resource::Named(_) | Resource::Unknown(_) => {
                self.role.is_some_and(|role| role.permissions.allows(resource))
            }
        }
    }

    fn acts_for_itself(&self, located: &Located<'_>) -> bool {
        match (self.context, self.reference) {
            (UserContext::Customer(customer), Some(reference)) => {
                reference.scope.customer_may_act(customer.website_id, located.store)
            }
            (_, _) => false,
        }
    }
}
