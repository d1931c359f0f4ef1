//! A table of routes and a path: the route that Magento's own search finds, and one ACL resource for it.

#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use portcullis::auth::{
    acl::{AclTree, Permissions, Resource},
    route::{CanonicalPath, RouteTable},
};
use portcullis_fuzz::matched;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // A path, then a template a line.
    let mut lines = text.split('\n');
    let Some(Ok(path)) = lines.next().map(CanonicalPath::parse) else { return };
    let templates: BTreeSet<&str> = lines.filter(|line| line.starts_with('/')).take(64).collect();
    let entries: Vec<_> = templates
        .iter()
        .map(|template| serde_json::json!({"method": "GET", "route": template, "resources": ["self"]}))
        .collect();
    let json = serde_json::Value::from(entries).to_string();
    let tree = AclTree::from_json("[]").expect("an empty tree is one");
    // Slashes mean more than one thing to other readers; what comes of that is the target `target`.
    let is_plain = !path.as_str().trim_matches('/').contains("//") && !path.as_str().starts_with("//");
    let templates: Vec<&str> = templates.into_iter().collect();
    for (table, is_magento) in [
        (RouteTable::from_json(&json, &tree), true),
        (RouteTable::from_json_for_whole_paths(&json, &tree), false),
    ] {
        let Ok(table) = table else { return };
        let found = table.match_route("GET", path.segments());
        if is_plain && !path.as_str().ends_with("//") {
            let expected = matched(&templates, path.as_str(), is_magento);
            assert_eq!(found.map(|route| route.template.as_str()), expected);
        }
        assert!(table.match_route("POST", path.segments()).is_none(), "nobody declared it");
        // Whoever reaches a route is asked for its resource: nobody without a role passes one that is not anonymous.
        if let Some(route) = found {
            assert_eq!(route.resources, [Resource::SelfOnly]);
            assert!(!route.resources.iter().all(|resource| Permissions::none().allows(resource)));
        }
        if let Ok(Some(resolved)) = table.resolve("GET", path) {
            assert_eq!(Some(resolved.index), found.map(|route| route.index), "no decoding finds another one");
        }
    }
});
