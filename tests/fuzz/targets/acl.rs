//! The ACL's files: a tree and routes over it, or a refusal that says why; and lists of what a caller may do.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::auth::{
    acl::{AclTree, Resource, expand, smallest_list},
    route::RouteTable,
};

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut parts = text.split('\0');
    let tree = parts.next().unwrap_or_default();
    let routes = parts.next().unwrap_or(tree);
    let list = parts.next().unwrap_or_default();
    let Ok(tree) = AclTree::from_json(tree).or_else(|_| AclTree::from_json("[]")) else { return };
    assert!(tree.indices().count() == tree.len());
    for table in [RouteTable::from_json(routes, &tree), RouteTable::from_json_for_whole_paths(routes, &tree)]
    {
        match table {
            Ok(table) => assert!(table.routes().iter().all(|route| !route.resources.is_empty())),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    // What a caller may do survives being written as the shortest list and read back.
    if let Ok(permissions) = expand(list, &tree) {
        let shortest = smallest_list(&permissions, &tree);
        assert!(shortest.len() <= list.len());
        assert_eq!(expand(&shortest, &tree).as_ref(), Ok(&permissions));
        for index in tree.indices() {
            let id = tree.id(index).unwrap_or_default();
            let is_named = list == "all" || list.split(',').any(|item| item.trim_start_matches('=') == id);
            assert!(!is_named || permissions.allows(&Resource::Named(index)), "{id} is on the list");
        }
    }
});
