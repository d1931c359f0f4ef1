//! What integrations may do: Magento's `AuthorizationService` (`MAGENTO_AUTH` 5.3, 8.3).
//!
//! Rules are written as Magento writes them, so that a Magento on the same tables reads the same permissions: one row
//! for each resource of the tree, allowed or denied. Two traps are not carried over. Magento finds the role to delete by
//! its name alone, which an admins' role may have too; here a role is found by whose it is. And a resource that the tree
//! does not know silently vanishes there; here it is refused.

use std::{collections::HashSet, sync::Arc};

use super::{
    Origin, ServiceError,
    audit::Action,
    foundation::{Foundation, about, conclude, record, refused_about},
};
use crate::{
    auth::acl::{AclTree, ROOT_RESOURCE},
    store::sql::Change,
};

/// Every role that may do anything may do this (`Rules::saveRel`).
const ADMIN_RESOURCE: &str = "Magento_Backend::admin";

/// What is granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grants {
    /// Everything.
    All,
    /// These resources and no other; none at all for nothing.
    Resources(Vec<String>),
}

/// Grants and removes permissions of integrations.
#[derive(Debug, Clone)]
pub struct AuthorizationService {
    foundation: Arc<Foundation>,
}

impl AuthorizationService {
    /// A service on this foundation.
    #[must_use]
    pub const fn new(foundation: Arc<Foundation>) -> Self {
        Self { foundation }
    }

    /// Lets an integration do exactly this.
    ///
    /// # Errors
    /// [`ServiceError::Refused`] where there is no such integration, [`ServiceError::Input`] for a resource that the tree
    /// does not know; audit and store.
    pub async fn grant_permissions(
        &self,
        integration_id: u32,
        resources: &[String],
        origin: &Origin,
    ) -> Result<(), ServiceError> {
        self.set(integration_id, Some(&Grants::Resources(resources.to_vec())), origin).await
    }

    /// Lets an integration do everything.
    ///
    /// # Errors
    /// As [`AuthorizationService::grant_permissions`].
    pub async fn grant_all_permissions(
        &self,
        integration_id: u32,
        origin: &Origin,
    ) -> Result<(), ServiceError> {
        self.set(integration_id, Some(&Grants::All), origin).await
    }

    /// Takes an integration's role and rules away.
    ///
    /// # Errors
    /// As [`AuthorizationService::grant_permissions`].
    pub async fn remove_permissions(&self, integration_id: u32, origin: &Origin) -> Result<(), ServiceError> {
        self.set(integration_id, None, origin).await
    }

    async fn set(
        &self,
        integration_id: u32,
        grants: Option<&Grants>,
        origin: &Origin,
    ) -> Result<(), ServiceError> {
        let mut announced = record(Action::IntegrationChanged, origin, (Some(integration_id), None));
        announced.detail = Some(grants.map_or_else(|| "no resources".to_owned(), describe));
        let intent = self.foundation.announce(announced).await?;
        let outcome = self.write(integration_id, grants).await;
        if outcome.is_ok() {
            self.foundation.forget(None).await;
        }
        conclude(intent, outcome).await
    }

    async fn write(&self, integration_id: u32, grants: Option<&Grants>) -> Result<(), ServiceError> {
        let mut change = self.foundation.store.change().await?;
        if change.integration(integration_id).await?.is_none() {
            return Err(unknown_integration(integration_id));
        }
        match grants {
            Some(grants) => grant(&mut change, &self.foundation.tree, integration_id, grants).await?,
            None => {
                change.delete_integration_roles(integration_id).await?;
            }
        }
        Ok(change.commit().await?)
    }
}

/// Writes the role of an integration and its rules, as a part of a change.
pub(super) async fn grant(
    change: &mut Change,
    tree: &AclTree,
    integration_id: u32,
    grants: &Grants,
) -> Result<(), ServiceError> {
    let rules = rules(tree, grants)?;
    let role_id = match change.integration_role(integration_id).await? {
        Some(role_id) => role_id,
        None => change.insert_integration_role(integration_id).await?,
    };
    Ok(change.replace_rules(role_id, &rules).await?)
}

/// The rows of `authorization_rule` that Magento writes.
fn rules<'a>(tree: &'a AclTree, grants: &Grants) -> Result<Vec<(&'a str, bool)>, ServiceError> {
    let resources = match grants {
        Grants::All => return Ok(vec![(ROOT_RESOURCE, true)]),
        Grants::Resources(resources) => resources,
    };
    if let [only] = resources.as_slice()
        && only == ROOT_RESOURCE
    {
        return Ok(vec![(ROOT_RESOURCE, true)]);
    }
    if let Some(unknown) = resources.iter().find(|resource| tree.find(resource).is_none()) {
        return Err(ServiceError::Input(about("The ACL resource \"%1\" doesn't exist.", unknown)));
    }
    if resources.is_empty() {
        return Ok(Vec::new());
    }
    let allowed: HashSet<&str> =
        resources.iter().map(String::as_str).chain(std::iter::once(ADMIN_RESOURCE)).collect();
    let ids = tree.indices().filter_map(|index| tree.id(index));
    Ok(ids.map(|id| (id, allowed.contains(id))).collect())
}

/// The resources that the rules of a grant allow.
pub(super) fn allowed<'a>(tree: &'a AclTree, grants: &Grants) -> Result<Vec<&'a str>, ServiceError> {
    let rules = rules(tree, grants)?.into_iter();
    Ok(rules.filter(|(_, is_allowed)| *is_allowed).map(|(id, _)| id).collect())
}

/// What is granted, for the audit.
pub(super) fn describe(grants: &Grants) -> String {
    match grants {
        Grants::All => "all resources".to_owned(),
        Grants::Resources(resources) => format!("resources: {}", resources.join(", ")),
    }
}

pub(super) fn unknown_integration(id: u32) -> ServiceError {
    refused_about("The integration with ID \"%1\" doesn't exist.", &id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = r#"[
        {"id": "Magento_Backend::all", "title": "All", "sortOrder": 10, "disabled": false, "children": []},
        {"id": "Magento_Backend::admin", "title": "Admin", "sortOrder": 20, "disabled": false, "children": [
            {"id": "Shop_A::a", "title": "A", "sortOrder": 10, "disabled": false, "children": []},
            {"id": "Shop_B::b", "title": "B", "sortOrder": 20, "disabled": false, "children": []}
        ]}
    ]"#;

    fn of(resources: &[&str]) -> Grants {
        Grants::Resources(resources.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn rules_are_the_rows_that_magento_writes() {
        let tree = AclTree::from_json(TREE).unwrap();
        let everything = vec![("Magento_Backend::all", true)];
        for (grants, expected) in [
            (Grants::All, everything.clone()),
            (of(&["Magento_Backend::all"]), everything),
            (of(&[]), vec![]),
            (
                of(&["Shop_A::a"]),
                vec![
                    ("Magento_Backend::all", false),
                    ("Magento_Backend::admin", true),
                    ("Shop_A::a", true),
                    ("Shop_B::b", false),
                ],
            ),
            // Not everything: what is denied by a row of its own stays denied.
            (
                of(&["Shop_A::a", "Magento_Backend::all"]),
                vec![
                    ("Magento_Backend::all", true),
                    ("Magento_Backend::admin", true),
                    ("Shop_A::a", true),
                    ("Shop_B::b", false),
                ],
            ),
        ] {
            assert_eq!(rules(&tree, &grants).unwrap(), expected, "{grants:?}");
        }
        let error = rules(&tree, &of(&["Shop_A::a", "Shop_X::typo"])).unwrap_err();
        assert!(matches!(error, ServiceError::Input(_)), "{error:?}");
    }
}
