//! An integration in the store beside its declaration (`ConfigBasedIntegrationManager::hasDataChanged`).
//!
//! Every field and the set of resources count; the status does not, because whether somebody activated it is no matter of
//! the configuration.

use std::collections::HashSet;

use super::Fate;
use crate::{
    auth::acl::AclTree,
    service::{ServiceError, authorization::allowed, integration::NewIntegration},
    store::{
        records::{IntegrationRecord, SetupType},
        sql::View,
    },
};

/// An integration as it is in the store, beside what is declared.
pub(super) struct Seen {
    pub(super) found: Option<IntegrationRecord>,
    pub(super) fate: Fate,
}

/// Looks at the integration of a name.
pub(super) async fn look(
    view: &mut View,
    tree: &AclTree,
    wanted: &NewIntegration,
) -> Result<Seen, ServiceError> {
    let Some(found) = view.integration_by_name(&wanted.name).await? else {
        return Ok(Seen { found: None, fate: Fate::Created });
    };
    let granted: HashSet<String> = view.allowed_resources(found.id).await?.into_iter().collect();
    let asked = allowed(tree, &wanted.grants)?;
    let is_filled = |url: &&str| !url.is_empty();
    let differs = |stored: &Option<String>, asked: &Option<String>| {
        stored.as_deref().filter(is_filled) != asked.as_deref().filter(is_filled)
    };
    let compared = [
        ("name", found.name != wanted.name),
        ("email", found.email != wanted.email),
        ("endpoint", differs(&found.endpoint, &wanted.endpoint)),
        ("identity_link_url", differs(&found.identity_link_url, &wanted.identity_link_url)),
        ("resources", granted.len() != asked.len() || !asked.iter().all(|id| granted.contains(*id))),
        ("setup_type", found.setup_type != SetupType::Config),
        ("consumer_id", found.consumer_id.is_none()),
    ];
    let differing: Vec<_> =
        compared.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect();
    let fate = if differing.is_empty() { Fate::Unchanged } else { Fate::Recreated(differing) };
    Ok(Seen { found: Some(found), fate })
}
