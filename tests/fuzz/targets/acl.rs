//! The ACL's files: a tree and routes over it, or a refusal that says why.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::auth::{acl::AclTree, route::RouteTable};

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (tree, routes) = text.split_once('\0').unwrap_or((text, text));
    let Ok(tree) = AclTree::from_json(tree).or_else(|_| AclTree::from_json("[]")) else { return };
    assert!(tree.indices().count() == tree.len());
    for table in [RouteTable::from_json(routes, &tree), RouteTable::from_json_for_whole_paths(routes, &tree)]
    {
        match table {
            Ok(table) => assert!(table.routes().iter().all(|route| !route.resources.is_empty())),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
});
