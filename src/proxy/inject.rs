//! The last stage before forwarding: what the upstream will read, as data.
//!
//! `HeaderEdits` knows no engine: the inline proxy applies it to a request, another door may turn it into an answer of its
//! own. Reserved names are in `remove` on every path, whoever the caller is; what is not set stays absent.

use http::{HeaderName, HeaderValue};

use super::{limit::Admitted, reserved::HeaderNames};
use crate::{
    auth::identity::{AuthMethod, UserType},
    store::{grant::CallerHeaders, reference::RoleHeaders},
};

/// Headers to remove, then headers to set.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct HeaderEdits {
    /// Names that the client must not send, as the client spelled them.
    pub remove: Vec<HeaderName>,
    /// Names and values that the upstream may trust.
    pub set: Vec<(HeaderName, HeaderValue)>,
}

/// More than the most that a caller needs.
const MOST_HEADERS: usize = 13;

/// Writes the identity and ACL headers of an admitted request (DESIGN: what the upstream reads).
#[must_use]
pub fn inject(names: &HeaderNames, admitted: Admitted) -> HeaderEdits {
    let (permit, remove) = admitted.into_parts();
    let mut set = Vec::with_capacity(MOST_HEADERS);
    let user_type = permit.user_type().as_str();
    set.push((names.user_type.clone(), HeaderValue::from_static(user_type)));
    let method = permit.grant().map_or(AuthMethod::None, |grant| grant.method);
    set.push((names.method.clone(), HeaderValue::from_static(method.as_str())));
    if let Some(grant) = permit.grant() {
        caller(names, &grant.headers, &mut set);
    }
    if let Some(role) = permit.role() {
        role_and_acl(names, role, &mut set);
    }
    set.push((names.resource.clone(), permit.resource().clone()));
    HeaderEdits { remove, set }
}

/// The headers of a guest whom nobody checked.
#[must_use]
pub fn inject_unchecked(names: &HeaderNames, remove: Vec<HeaderName>) -> HeaderEdits {
    let guest = HeaderValue::from_static(UserType::Guest.as_str());
    let none = HeaderValue::from_static(AuthMethod::None.as_str());
    HeaderEdits { remove, set: vec![(names.user_type.clone(), guest), (names.method.clone(), none)] }
}

fn caller(names: &HeaderNames, caller: &CallerHeaders, set: &mut Vec<(HeaderName, HeaderValue)>) {
    let CallerHeaders { user_id, integration, credential } = caller;
    set.push((names.user_id.clone(), user_id.clone()));
    set.push((names.credential.clone(), credential.clone()));
    if let Some(integration) = integration {
        set.push((names.consumer_id.clone(), integration.consumer_id.clone()));
        set.push((names.integration_id.clone(), integration.integration_id.clone()));
        set.push((names.integration_name.clone(), integration.name.clone()));
    }
}

fn role_and_acl(names: &HeaderNames, role: &RoleHeaders, set: &mut Vec<(HeaderName, HeaderValue)>) {
    let RoleHeaders { id, name, acl, digest } = role;
    set.push((names.role_id.clone(), id.clone()));
    set.push((names.role_name.clone(), name.clone()));
    set.push((names.acl.clone(), acl.clone()));
    if let Some(digest) = digest {
        set.push((names.acl_digest.clone(), digest.clone()));
    }
}
