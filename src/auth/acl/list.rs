//! Permissions as the header `X-Auth-Acl`, and back.
//!
//! A list names resources in the tree's order: `ID` stands for the resource and all below it, `=ID` for that one alone.
//! The list is the smallest there is, in items and in bytes. A resource that is allowed while something below it is not
//! can only be named by `=ID`: its own `ID` and those of its ancestors would say too much. A resource that is allowed
//! with all below it needs one item at least unless an ancestor is whole too, and `ID` is the shortest.
//!
//! `all` is more than every resource: it says that resources unknown to the tree are allowed as well. A role that may
//! use every resource but not the unknown ones is written as the list of the top-level resources.

use crate::auth::acl::{AclTree, Permissions, set::ResourceSet};

const EVERYTHING: &str = "all";

/// A list names a resource that the tree does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the ACL list names the unknown resource {0:?}")]
pub struct UnknownResource(pub String);

/// Writes permissions as the smallest list whose expansion is exactly what is allowed; empty if nothing is.
///
/// The right to unknown resources shows only in `all`. A role that has it and lacks a resource (deny rows beside full
/// access; Magento never writes them together) is written without it.
#[must_use]
pub fn smallest_list(permissions: &Permissions, tree: &AclTree) -> String {
    if permissions.allows_unknown && permissions.allowed.contains_all(0..tree.bound()) {
        return EVERYTHING.to_owned();
    }
    let mut list = String::new();
    let mut covered_to = 0;
    for index in tree.indices() {
        if index.0 < covered_to || !permissions.allowed.contains(index.0) {
            continue;
        }
        let subtree = tree.subtree(index);
        let is_whole = permissions.allowed.contains_all(subtree.clone());
        if is_whole {
            covered_to = subtree.end;
        }
        list.push_str(if list.is_empty() { "" } else { "," });
        list.push_str(if is_whole { "" } else { "=" });
        list.push_str(tree.id(index).unwrap_or_default());
    }
    list
}

/// Reads a list of [`smallest_list`] back.
///
/// # Errors
/// Names the first resource that the tree does not know: the list was made with another tree.
///
/// # Example
/// ```
/// use portcullis::auth::acl::{AclTree, expand};
///
/// let tree = AclTree::from_json(r#"[{"id": "sales", "children": [{"id": "orders"}, {"id": "invoices"}]}]"#)?;
/// let permissions = expand("=sales,orders", &tree)?;
/// assert!(permissions.allows(&tree.resource("orders")));
/// assert!(!permissions.allows(&tree.resource("invoices")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn expand(list: &str, tree: &AclTree) -> Result<Permissions, UnknownResource> {
    let mut allowed = ResourceSet::below(tree.bound());
    if list == EVERYTHING {
        allowed.set(0..tree.bound(), true);
        return Ok(Permissions { allowed, allows_unknown: true });
    }
    for item in list.split(',').filter(|_| !list.is_empty()) {
        let (id, is_alone) = item.strip_prefix('=').map_or((item, false), |id| (id, true));
        let index = tree.find(id).ok_or_else(|| UnknownResource(id.to_owned()))?;
        allowed.set(if is_alone { index.0..index.0 + 1 } else { tree.subtree(index) }, true);
    }
    Ok(Permissions { allowed, allows_unknown: false })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::auth::{
        acl::{
            RoleBook,
            testing::{magento_rows, magento_tree, random_tree},
        },
        identity::UserType,
    };

    fn granted(tree: &AclTree, bits: u64, allows_unknown: bool) -> Permissions {
        let mut allowed = ResourceSet::below(tree.bound());
        (0..tree.bound()).for_each(|number| allowed.set(number..number + 1, bits >> number & 1 == 1));
        Permissions { allowed, allows_unknown }
    }

    #[test]
    fn lists_name_whole_subtrees_and_single_resources() {
        let tree = AclTree::from_json(
            r#"[{"id":"Magento_Backend::all"},{"id":"a","children":[{"id":"b","children":[{"id":"c"}]},{"id":"d"}]}]"#,
        )
        .unwrap();
        // Bits from the right: the root, a, b, c, d.
        let cases = [
            (0b00000, false, ""),
            (0b00000, true, ""),
            (0b00010, false, "=a"),
            (0b01110, false, "=a,b"),
            (0b01010, false, "=a,c"),
            (0b10100, false, "=b,d"),
            (0b11110, false, "a"),
            (0b11111, false, "Magento_Backend::all,a"),
            (0b11111, true, "all"),
            (0b01111, true, "Magento_Backend::all,=a,b"),
        ];
        for (bits, allows_unknown, expected) in cases {
            assert_eq!(smallest_list(&granted(&tree, bits, allows_unknown), &tree), expected, "{bits:05b}");
        }
    }

    #[test]
    fn recorded_roles_come_back_from_their_lists() {
        let tree = Arc::new(magento_tree());
        let (roles, rules) = magento_rows();
        let book = RoleBook::build(&tree, &roles, &rules);
        let mut lists = Vec::new();
        for row in &roles {
            let Some(role) = row.user_type.and_then(|user_type| book.role_of(user_type, row.user_id)) else {
                continue;
            };
            let list = smallest_list(&role.permissions, &tree);
            assert_eq!(expand(&list, &tree).as_ref(), Ok(&*role.permissions), "role {}", role.id);
            assert!(list.len() < 4096, "{}", list.len());
            lists.push(list);
        }
        assert!(lists.iter().any(|list| list == "all"));
        assert!(lists.iter().any(String::is_empty));
        let restricted = book.role_of(UserType::Admin, 2).unwrap();
        assert!(smallest_list(&restricted.permissions, &tree).starts_with("=Magento_Backend::admin,"));
    }

    #[test]
    fn a_list_of_another_tree_is_refused() {
        let tree = magento_tree();
        for (list, name) in [
            ("Nobody::knows", "Nobody::knows"),
            ("=Nobody::knows", "Nobody::knows"),
            (",", ""),
            ("All", "All"),
        ] {
            assert_eq!(expand(list, &tree), Err(UnknownResource(name.to_owned())), "{list}");
        }
    }

    /// The least number of items and of bytes over every list that expands to the grant.
    fn brute_force(tree: &AclTree, grant: &Permissions) -> (usize, usize) {
        let items: Vec<String> = tree
            .indices()
            .filter_map(|index| tree.id(index))
            .flat_map(|id| [id.to_owned(), format!("={id}")])
            .collect();
        let mut least = (usize::MAX, usize::MAX);
        for choice in 0u32..1 << items.len() {
            let chosen: Vec<&str> =
                (0..items.len()).filter(|at| choice >> at & 1 == 1).map(|at| items[at].as_str()).collect();
            let list = chosen.join(",");
            if expand(&list, tree).as_ref() == Ok(grant) {
                least = (least.0.min(chosen.len()), least.1.min(list.len()));
            }
        }
        least
    }

    proptest! {
        #[test]
        fn expansion_gives_the_grant_back(tree in random_tree(60), bits: u64) {
            let grant = granted(&tree, bits, false);
            prop_assert_eq!(expand(&smallest_list(&grant, &tree), &tree), Ok(grant));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn no_list_is_smaller(tree in random_tree(5), bits in 0u64..64) {
            let grant = granted(&tree, bits, false);
            let list = smallest_list(&grant, &tree);
            let items = if list.is_empty() { 0 } else { list.split(',').count() };
            prop_assert_eq!((items, list.len()), brute_force(&tree, &grant));
        }
    }
}
