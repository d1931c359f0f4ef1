//! Rule rows to decisions, as Magento's `Acl\Loader\Rule` and Laminas ACL make them (`MAGENTO_AUTH` section 8.3).
//!
//! Laminas stores a rule for the resource **and for everything below it** (`Acl::setRule` adds the child resources), so
//! a later row overwrites an earlier one in its whole subtree. Magento writes parents before children, where this
//! equals the nearest rule upward. The order of rows therefore matters and is the order of `rule_id`. It also means that
//! a role which has a rule for a resource has one for all below: looking upward from a resource can find nothing that is
//! not already there, and a role's decisions are two bits a resource: is there a rule, and does it allow.

use std::collections::HashMap;

use crate::auth::acl::{
    AclTree, Permissions, ResourceIndex,
    rows::{Permission, RuleRow},
    set::ResourceSet,
    tree::ROOT_RESOURCE,
};

/// The rules of every role that has any.
#[derive(Debug)]
pub(super) struct Rulings(HashMap<u32, Ruling>);

/// The rules of one role, parents not considered.
#[derive(Debug)]
struct Ruling {
    decided: ResourceSet,
    allowed: ResourceSet,
    allows_unknown: bool,
    has_denies: bool,
}

impl Rulings {
    /// Loads the rows in their order. Rows for resources that the tree does not know say nothing.
    pub(super) fn load(tree: &AclTree, rows: &[RuleRow]) -> Self {
        let mut rulings = Self(HashMap::new());
        let mut named = ResourceSet::below(tree.bound());
        for RuleRow { role_id, resource_id, permission } in rows {
            if let Some(resource) = tree.find(resource_id) {
                named.set(resource.0..resource.0 + 1, true);
                rulings.of(*role_id, tree).apply(tree, resource, *permission);
            }
        }
        rulings.deny_unnamed(tree, &named);
        rulings
    }

    /// Whether the role has rules of its own.
    pub(super) fn has_any(&self, role_id: u32) -> bool {
        self.0.contains_key(&role_id)
    }

    /// What a role may do that has these rules, the first in the row being nearest: for each resource the first role
    /// with a rule decides, and without a rule it is denied.
    pub(super) fn combine(&self, tree: &AclTree, lineage: &[u32]) -> Permissions {
        let mut decided = ResourceSet::below(tree.bound());
        let mut allowed = decided.clone();
        let mut allows_unknown = false;
        for ruling in lineage.iter().filter_map(|role_id| self.0.get(role_id)) {
            allowed.add_outside(&ruling.allowed, &decided);
            decided.add(&ruling.decided);
            allows_unknown |= ruling.allows_unknown;
        }
        Permissions { allowed, allows_unknown }
    }

    fn of(&mut self, role_id: u32, tree: &AclTree) -> &mut Ruling {
        self.0.entry(role_id).or_insert_with(|| Ruling::empty(tree))
    }

    /// Denies to every role with a deny what no row of any role names: a module installed since the roles were saved
    /// must not be open through its parent. Not where the only named resource is the root.
    fn deny_unnamed(&mut self, tree: &AclTree, named: &ResourceSet) {
        let names_root_alone =
            named.count() == 1 && tree.find(ROOT_RESOURCE).is_some_and(|root| named.contains(root.0));
        if names_root_alone {
            return;
        }
        for ruling in self.0.values_mut().filter(|ruling| ruling.has_denies) {
            for resource in tree.indices().filter(|resource| !named.contains(resource.0)) {
                ruling.decide(tree, resource, false);
            }
        }
    }
}

impl Ruling {
    fn empty(tree: &AclTree) -> Self {
        let none = ResourceSet::below(tree.bound());
        Self { decided: none.clone(), allowed: none, allows_unknown: false, has_denies: false }
    }

    fn apply(&mut self, tree: &AclTree, resource: ResourceIndex, permission: Permission) {
        match permission {
            Permission::Allow if tree.id(resource) == Some(ROOT_RESOURCE) => self.allow_everything(tree),
            Permission::Allow => self.decide(tree, resource, true),
            Permission::Deny => {
                self.has_denies = true;
                self.decide(tree, resource, false);
            }
            Permission::Other => {}
        }
    }

    fn allow_everything(&mut self, tree: &AclTree) {
        self.decided.set(0..tree.bound(), true);
        self.allowed.set(0..tree.bound(), true);
        self.allows_unknown = true;
    }

    fn decide(&mut self, tree: &AclTree, resource: ResourceIndex, is_allowed: bool) {
        self.decided.set(tree.subtree(resource), true);
        self.allowed.set(tree.subtree(resource), is_allowed);
    }
}
