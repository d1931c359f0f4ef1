//! Which role a caller has, and what it may do.
//!
//! Built anew whenever the rows change, then only read: [`RoleBook::role_of`] is one hash look-up. All admins of a group
//! share one set of permissions. A role that Magento could not load (unknown type, a parent that does not exist, a
//! circle of parents; there the whole ACL fails with an exception) may do nothing here.

use std::{collections::HashMap, sync::Arc};

use crate::auth::{
    acl::{
        AclTree, Permissions,
        loader::Rulings,
        rows::{RoleRow, RoleType, RuleRow},
    },
    identity::UserType,
};

/// Magento nests two levels, group and user. Whoever has more ancestors than this stands in a circle.
const MAX_LINEAGE: usize = 32;

/// The roles of all admins and integrations.
#[derive(Debug)]
pub struct RoleBook {
    tree: Arc<AclTree>,
    by_user: HashMap<(UserType, u32), Arc<Role>>,
}

/// A caller's role as the upstream hears of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// The `role_id` of the parent group, or of the caller's own role if it has none.
    pub id: u32,
    /// That role's name, as stored; empty for NULL.
    pub name: String,
    /// What the caller may do.
    pub permissions: Arc<Permissions>,
}

impl RoleBook {
    /// Judges the rows of `authorization_role` (in any order) and `authorization_rule` (in the order of `rule_id`).
    ///
    /// If several rows are for the same user, the one with the lowest `role_id` counts, as Magento's locator reads them
    /// (`MAGENTO_AUTH` section 8.5). Rows for user 0 (groups), for customers and for guests give nobody a role.
    #[must_use]
    pub fn build(tree: &Arc<AclTree>, roles: &[RoleRow], rules: &[RuleRow]) -> Self {
        let builder = Builder::new(tree, roles, rules);
        Self { tree: Arc::clone(tree), by_user: builder.roles_by_user(roles) }
    }

    /// The groups themselves, those without members included, ordered by `role_id`: what a member would have.
    #[must_use]
    pub fn groups(tree: &AclTree, roles: &[RoleRow], rules: &[RuleRow]) -> Vec<Role> {
        let mut builder = Builder::new(tree, roles, rules);
        let groups = roles.iter().filter(|row| row.role_type == RoleType::Group);
        let mut groups: Vec<_> = groups.map(|row| builder.role(row)).collect();
        groups.sort_by_key(|role| role.id);
        groups
    }

    /// The role of an admin or integration; `None` means that no resource is allowed.
    #[must_use]
    pub fn role_of(&self, user_type: UserType, user_id: u32) -> Option<&Arc<Role>> {
        self.by_user.get(&(user_type, user_id))
    }

    /// Every user that has a role, with it.
    pub fn iter(&self) -> impl Iterator<Item = ((UserType, u32), &Arc<Role>)> {
        self.by_user.iter().map(|(user, role)| (*user, role))
    }

    /// The tree that the permissions are about.
    #[must_use]
    pub const fn tree(&self) -> &Arc<AclTree> {
        &self.tree
    }
}

struct Builder<'a> {
    tree: &'a AclTree,
    rulings: Rulings,
    by_id: HashMap<u32, &'a RoleRow>,
    /// Permissions by the roles with rules that they come from.
    shared: HashMap<Vec<u32>, Arc<Permissions>>,
}

impl<'a> Builder<'a> {
    fn new(tree: &'a AclTree, roles: &'a [RoleRow], rules: &[RuleRow]) -> Self {
        Self {
            tree,
            rulings: Rulings::load(tree, rules),
            by_id: roles.iter().map(|row| (row.role_id, row)).collect(),
            shared: HashMap::new(),
        }
    }

    fn roles_by_user(mut self, rows: &[RoleRow]) -> HashMap<(UserType, u32), Arc<Role>> {
        let mut first: HashMap<(UserType, u32), &RoleRow> = HashMap::new();
        for row in rows {
            if let Some(user) = user_of(row) {
                let known = first.entry(user).or_insert(row);
                if row.role_id < known.role_id {
                    *known = row;
                }
            }
        }
        first.into_iter().map(|(user, row)| (user, Arc::new(self.role(row)))).collect()
    }

    fn role(&mut self, row: &RoleRow) -> Role {
        let permissions = self.permissions(row);
        let shown = self.by_id.get(&row.parent_id).filter(|parent| parent.role_type == RoleType::Group);
        let shown = shown.copied().unwrap_or(row);
        Role { id: shown.role_id, name: shown.role_name.clone().unwrap_or_default(), permissions }
    }

    fn permissions(&mut self, row: &RoleRow) -> Arc<Permissions> {
        let mut lineage = self.lineage(row).unwrap_or_default();
        lineage.retain(|role_id| self.rulings.has_any(*role_id));
        if let Some(known) = self.shared.get(&lineage) {
            return Arc::clone(known);
        }
        let permissions = Arc::new(self.rulings.combine(self.tree, &lineage));
        self.shared.insert(lineage, Arc::clone(&permissions));
        permissions
    }

    /// The role and its ancestors, nearest first; `None` if Magento could not load one of them.
    fn lineage(&self, row: &RoleRow) -> Option<Vec<u32>> {
        let mut lineage = Vec::new();
        let mut current = row;
        loop {
            if current.role_type == RoleType::Other || lineage.len() >= MAX_LINEAGE {
                return None;
            }
            lineage.push(current.role_id);
            if current.parent_id == 0 {
                return Some(lineage);
            }
            current = self.by_id.get(&current.parent_id).copied()?;
        }
    }
}

fn user_of(row: &RoleRow) -> Option<(UserType, u32)> {
    let user_type = row.user_type.filter(|user_type| match user_type {
        UserType::Admin | UserType::Integration => true,
        UserType::Customer | UserType::Guest => false,
    })?;
    (row.user_id != 0).then_some((user_type, row.user_id))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;
    use crate::auth::acl::{
        ROOT_RESOURCE, Resource,
        rows::Permission,
        testing::{magento_rows, magento_tree, random_tree, role, rule},
    };

    /// What Magento's own ACL builder answered for every role.
    #[test]
    fn every_role_may_do_what_magento_recorded() {
        let recorded: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/vectors/effective_acl.json")).unwrap();
        let tree = Arc::new(magento_tree());
        let (roles, rules) = magento_rows();
        let mut compared = 0;
        for expected in recorded.as_array().unwrap() {
            let role_id = u32::try_from(expected["role_id"].as_u64().unwrap()).unwrap();
            let Some(row) = roles.iter().find(|row| row.role_id == role_id) else { continue };
            // Groups have no user; a role beside the rows asks for them.
            let mut roles = roles.clone();
            roles.push(RoleRow { parent_id: row.role_id, ..role(999, 0, UserType::Admin, 999) });
            let book = RoleBook::build(&tree, &roles, &rules);
            let permissions = &book.role_of(UserType::Admin, 999).unwrap().permissions;
            let ids: HashSet<_> = tree
                .indices()
                .filter(|index| permissions.allows(&Resource::Named(*index)))
                .filter_map(|index| tree.id(index))
                .collect();
            assert_eq!(ids.len() as u64, expected["allowed_count"].as_u64().unwrap(), "role {role_id}");
            assert_eq!(u64::from(permissions.count()), expected["allowed_count"].as_u64().unwrap());
            assert_eq!(tree.len() as u64, expected["total"].as_u64().unwrap());
            assert_eq!(permissions.allows_unknown(), expected["allowed_null_resource"].as_bool().unwrap());
            if let Some(list) = expected["allowed"].as_array() {
                assert_eq!(ids, list.iter().map(|id| id.as_str().unwrap()).collect(), "role {role_id}");
            }
            compared += 1;
        }
        assert_eq!(compared, 19, "all but the roles of integrations made after the rows were saved");
    }

    #[test]
    fn an_admin_shows_the_group_and_shares_its_permissions() {
        let (roles, rules) = magento_rows();
        let book = RoleBook::build(&Arc::new(magento_tree()), &roles, &rules);
        let first = book.role_of(UserType::Admin, 1).unwrap();
        let other = book.role_of(UserType::Admin, 6).unwrap();
        assert_eq!((first.id, first.name.as_str()), (1, "Administrators"));
        assert!(Arc::ptr_eq(&first.permissions, &other.permissions));
        let integration = book.role_of(UserType::Integration, 1).unwrap();
        assert_eq!((integration.id, integration.name.as_str()), (12, "11"));
        assert_eq!(book.role_of(UserType::Integration, 999), None);
    }

    #[test]
    fn groups_show_what_a_member_would_have() {
        let tree = Arc::new(magento_tree());
        let group = |role_id| RoleRow {
            role_type: RoleType::Group,
            user_id: 0,
            ..role(role_id, 0, UserType::Admin, 0)
        };
        let roles = [group(9), role(5, 9, UserType::Admin, 1), group(2)];
        let rules = [rule(9, ROOT_RESOURCE, Permission::Allow)];
        let groups = RoleBook::groups(&tree, &roles, &rules);
        let shown: Vec<_> =
            groups.iter().map(|role| (role.id, role.name.as_str(), role.permissions.count())).collect();
        assert_eq!(shown, [(2, "role 2", 0), (9, "role 9", u32::try_from(tree.len()).unwrap())]);

        let book = RoleBook::build(&tree, &roles, &rules);
        assert!(Arc::ptr_eq(book.tree(), &tree));
        let members: Vec<_> = book.iter().map(|(user, role)| (user, role.id)).collect();
        assert_eq!(members, [((UserType::Admin, 1), 9)], "the admin shows the group");
    }

    #[test]
    fn only_admins_and_integrations_with_an_id_have_roles() {
        let tree = Arc::new(magento_tree());
        let roles = [
            role(1, 0, UserType::Admin, 0),
            role(2, 0, UserType::Customer, 5),
            role(3, 0, UserType::Guest, 6),
            RoleRow { user_type: None, ..role(4, 0, UserType::Admin, 7) },
        ];
        let rules = [1, 2, 3, 4].map(|role_id| rule(role_id, ROOT_RESOURCE, Permission::Allow));
        let book = RoleBook::build(&tree, &roles, &rules);
        for user_type in [UserType::Integration, UserType::Admin, UserType::Customer, UserType::Guest] {
            for user_id in [0, 5, 6, 7] {
                assert_eq!(book.role_of(user_type, user_id), None);
            }
        }
    }

    #[test]
    fn the_lowest_role_id_of_a_user_counts() {
        let tree = Arc::new(magento_tree());
        let roles =
            [role(9, 0, UserType::Admin, 1), role(3, 0, UserType::Admin, 1), role(5, 0, UserType::Admin, 1)];
        let book = RoleBook::build(&tree, &roles, &[rule(9, ROOT_RESOURCE, Permission::Allow)]);
        let found = book.role_of(UserType::Admin, 1).unwrap();
        assert_eq!(found.id, 3);
        assert_eq!(found.permissions.count(), 0);
    }

    #[test]
    fn a_role_that_magento_could_not_load_may_do_nothing() {
        let tree = Arc::new(magento_tree());
        let cases = [
            ("its own parent", vec![role(1, 1, UserType::Admin, 1)]),
            ("a circle of two", vec![role(1, 2, UserType::Admin, 1), role(2, 1, UserType::Admin, 2)]),
            ("no such parent", vec![role(1, 77, UserType::Admin, 1)]),
            ("unknown type", vec![RoleRow { role_type: RoleType::Other, ..role(1, 0, UserType::Admin, 1) }]),
        ];
        let rules = [1, 2].map(|role_id| rule(role_id, ROOT_RESOURCE, Permission::Allow));
        for (case, roles) in cases {
            let book = RoleBook::build(&tree, &roles, &rules);
            let permissions = &book.role_of(UserType::Admin, 1).unwrap().permissions;
            assert_eq!(permissions.count(), 0, "{case}");
            assert!(!permissions.allows_unknown(), "{case}");
        }
        let book = RoleBook::build(&tree, &[role(1, 0, UserType::Admin, 1)], &rules);
        assert!(book.role_of(UserType::Admin, 1).unwrap().permissions.allows_unknown());
    }

    #[test]
    fn a_resource_that_no_rule_names_is_denied_to_restricted_roles() {
        let tree = Arc::new(
            AclTree::from_json(
                r#"[{"id":"Magento_Backend::all"},{"id":"old","children":[{"id":"new"},{"id":"kept"}]}]"#,
            )
            .unwrap(),
        );
        let roles = [role(1, 0, UserType::Admin, 1), role(2, 0, UserType::Admin, 2)];
        let allowed = |rules: &[RuleRow], user_id, id: &str| {
            let book = RoleBook::build(&tree, &roles, rules);
            book.role_of(UserType::Admin, user_id).unwrap().permissions.allows(&tree.resource(id))
        };
        let with_deny = [
            rule(1, "old", Permission::Allow),
            rule(1, "kept", Permission::Deny),
            rule(2, "old", Permission::Allow),
        ];
        assert!(allowed(&with_deny, 1, "old"));
        assert!(!allowed(&with_deny, 1, "new"), "named by nobody, and role 1 has a deny");
        assert!(allowed(&with_deny, 2, "new"), "role 2 has no deny and inherits from the parent resource");
        assert!(allowed(&with_deny, 2, "kept"));
        let unknown = [rule(1, "old", Permission::Allow), rule(1, "gone", Permission::Deny)];
        assert!(allowed(&unknown, 1, "new"), "a row for an unknown resource makes nobody restricted");
    }

    /// Laminas ACL, slowly: rules for a resource and all below it, then the walk upward with roles depth first.
    struct Laminas<'a> {
        tree: &'a AclTree,
        rules: HashMap<(u32, Option<u32>), bool>,
    }

    impl Laminas<'_> {
        fn set(&mut self, role: u32, resource: Option<u32>, allow: bool) {
            for index in self.tree.indices().map(|index| index.get()) {
                let mut upward = std::iter::successors(self.tree.indices().nth(index as usize), |at| {
                    self.tree.parent(*at)
                });
                if resource.is_none() || upward.any(|above| Some(above.get()) == resource) {
                    self.rules.insert((role, Some(index)), allow);
                }
            }
            if resource.is_none() {
                self.rules.insert((role, None), allow);
            }
        }

        fn load(&mut self, rows: &[RuleRow]) {
            let (mut found, mut denied) = (HashSet::new(), HashSet::new());
            for row in rows {
                let Some(index) = self.tree.find(&row.resource_id) else { continue };
                found.insert(row.resource_id.as_str());
                let allow = row.permission == Permission::Allow;
                if allow && row.resource_id == ROOT_RESOURCE {
                    self.set(row.role_id, None, true);
                }
                if row.permission == Permission::Deny {
                    denied.insert(row.role_id);
                }
                if row.permission != Permission::Other {
                    self.set(row.role_id, Some(index.get()), allow);
                }
            }
            if found.is_empty() || (found.len() == 1 && found.contains(ROOT_RESOURCE)) {
                return;
            }
            for index in self.tree.indices() {
                if !found.contains(self.tree.id(index).unwrap()) {
                    denied.iter().for_each(|role| self.set(*role, Some(index.get()), false));
                }
            }
        }

        fn is_allowed(&self, lineage: &[u32], resource: Option<u32>) -> bool {
            let upward =
                std::iter::successors(resource.and_then(|at| self.tree.indices().nth(at as usize)), |at| {
                    self.tree.parent(*at)
                });
            let places = upward.map(|at| Some(at.get())).chain([None]);
            places
                .flat_map(|place| lineage.iter().map(move |role| (*role, place)))
                .find_map(|key| self.rules.get(&key))
                .copied()
                .unwrap_or(false)
        }
    }

    fn random_rules(resources: usize) -> impl Strategy<Value = Vec<RuleRow>> {
        let permission =
            prop_oneof![Just(Permission::Allow), Just(Permission::Deny), Just(Permission::Other)];
        let row = (1u32..5, 0..=resources, permission).prop_map(move |(role_id, resource, permission)| {
            let id = if resource == 0 { ROOT_RESOURCE.to_owned() } else { format!("n{resource}") };
            rule(role_id, &id, permission)
        });
        prop::collection::vec(row, 0..20)
    }

    proptest! {
        #[test]
        fn permissions_agree_with_laminas(tree in random_tree(12), rules in random_rules(13)) {
            let tree = Arc::new(tree);
            let roles = [
                role(1, 0, UserType::Admin, 1),
                role(2, 1, UserType::Admin, 2),
                role(3, 2, UserType::Admin, 3),
                role(4, 0, UserType::Integration, 4),
            ];
            let book = RoleBook::build(&tree, &roles, &rules);
            let mut laminas = Laminas { tree: &tree, rules: HashMap::new() };
            laminas.load(&rules);
            let lineages: [(UserType, u32, &[u32]); 4] = [
                (UserType::Admin, 1, &[1]),
                (UserType::Admin, 2, &[2, 1]),
                (UserType::Admin, 3, &[3, 2, 1]),
                (UserType::Integration, 4, &[4]),
            ];
            for (user_type, user_id, lineage) in lineages {
                let permissions = &book.role_of(user_type, user_id).unwrap().permissions;
                prop_assert_eq!(permissions.allows_unknown(), laminas.is_allowed(lineage, None));
                for index in tree.indices() {
                    prop_assert_eq!(
                        permissions.allows(&Resource::Named(index)),
                        laminas.is_allowed(lineage, Some(index.get())),
                        "role {} resource {:?}", user_id, tree.id(index)
                    );
                }
            }
        }
    }
}
