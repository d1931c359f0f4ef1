//! A request's path: canonical or refused, and then of one door and of one route, however often it is asked.

#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use portcullis::auth::{
    acl::AclTree,
    route::{AccountShare, CanonicalPath, Door, RestMatch, RouteTable, Segments, StoreScope, StoreView},
};

static TREE: LazyLock<Arc<AclTree>> = LazyLock::new(|| {
    Arc::new(
        AclTree::from_json(include_str!("../../../config/magento/acl.json")).expect("the tree is Magento's"),
    )
});
static TABLE: LazyLock<RouteTable> = LazyLock::new(|| {
    let routes = include_str!("../../../config/magento/webapi_routes.json");
    RouteTable::from_json(routes, &TREE).expect("the routes are Magento's")
});
static SCOPE: LazyLock<StoreScope> = LazyLock::new(|| {
    let view = |id, code: &str| StoreView { id, code: code.to_owned(), website_id: id };
    StoreScope::new(
        vec![view(0, "admin"), view(1, "default"), view(2, "fr")],
        Some(1),
        AccountShare::PerWebsite,
    )
});

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(path) = CanonicalPath::parse(text) else { return };
    assert_eq!(path.as_str(), text, "bytes go upstream as received");
    for bad in ["\\", "%5c", "%5C", "%00", "#", "/../", "/./"] {
        assert!(!text.contains(bad), "{text} means two things");
    }
    let segments: Segments<'_> = path.segments();
    assert!(segments.clone().count() <= text.len());
    let Ok(Door::Rest(rest)) = path.door() else { return };
    for method in ["GET", "POST", "PUT", "DELETE"] {
        if let Ok(found) = RestMatch::find(&SCOPE, &TABLE, method, rest) {
            let again = RestMatch::find(&SCOPE, &TABLE, method, rest).expect("as before");
            assert_eq!(found.route.map(|route| route.index), again.route.map(|route| route.index));
        }
    }
});
