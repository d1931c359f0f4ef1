//! What the route of a request costs: judging its path, finding its route among 390 and 10,000, and the ACL check.

use std::{hint::black_box, sync::Arc};

use criterion::{Criterion, criterion_group, criterion_main};
use portcullis::auth::{
    acl::{AclTree, Permission, RoleBook, RoleRow, RoleType, RuleRow, smallest_list},
    identity::UserType,
    route::{AccountShare, CanonicalPath, Door, RestMatch, RouteTable, StoreScope, StoreView},
};

const TREE: &str = include_str!("../tests/vectors/acl.json");
const ROUTES: &str = include_str!("../tests/vectors/webapi_routes.json");

/// A literal route, one with a variable, a long one, an encoded SKU and a miss.
const PATHS: [&str; 5] = [
    "/rest/V1/store/websites",
    "/rest/default/V1/products/24-MB01",
    "/rest/V1/guest-carts/abcdefghijklmnopqrstuvwxyz012345/selected-payment-method",
    "/rest/V1/products/A%2FB",
    "/rest/V1/no/such/route",
];

fn routing(criterion: &mut Criterion) {
    let tree = AclTree::from_json(TREE).expect("the recorded tree is valid");
    let stores = [(0, "admin", 0), (1, "default", 1)];
    let stores = stores.map(|(id, code, website_id)| StoreView { id, code: code.to_owned(), website_id });
    let scope = StoreScope::new(stores, Some(1), AccountShare::PerWebsite);
    for (name, json) in [("390", ROUTES.to_owned()), ("10000", ten_thousand_routes())] {
        let table = RouteTable::from_json(&json, &tree).expect("the table is valid");
        let mut group = criterion.benchmark_group(format!("route/{name}"));
        for path in PATHS {
            group.bench_function(path, |bencher| bencher.iter(|| find(&scope, &table, black_box(path))));
        }
        group.finish();
    }
}

fn find<'t>(scope: &'t StoreScope, table: &'t RouteTable, path: &str) -> Option<RestMatch<'t>> {
    match CanonicalPath::parse(path).ok()?.door().ok()? {
        Door::Rest(rest) => RestMatch::find(scope, table, "GET", rest).ok(),
        Door::Graphql | Door::Soap | Door::OauthToken(_) | Door::Elsewhere => None,
    }
}

/// The recorded routes and as many more of the same shapes, under other first words.
fn ten_thousand_routes() -> String {
    let mut routes: Vec<serde_json::Value> =
        serde_json::from_str(ROUTES).expect("the recorded table is JSON");
    for number in 0..9_610 {
        let word = number / 5;
        let route = match number % 5 {
            0 => format!("/V1/module{word}"),
            1 => format!("/V1/module{word}/:id"),
            2 => format!("/V1/module{word}/:id/items"),
            3 => format!("/V1/module{word}/:id/items/:itemId"),
            _ => format!("/V1/module{word}/search"),
        };
        routes.push(
            serde_json::json!({"method": "GET", "route": route, "resources": ["Magento_Sales::sales"]}),
        );
    }
    serde_json::Value::Array(routes).to_string()
}

fn permissions(criterion: &mut Criterion) {
    let tree = Arc::new(AclTree::from_json(TREE).expect("the recorded tree is valid"));
    let (roles, rules) = two_hundred_roles(&tree);
    let book = RoleBook::build(&tree, &roles, &rules);
    let resource = tree.resource("Magento_Sales::actions_view");
    criterion.bench_function("acl/role and check", |bencher| {
        bencher.iter(|| {
            let role = book.role_of(UserType::Integration, black_box(100));
            role.is_some_and(|role| role.permissions.allows(black_box(&resource)))
        });
    });
    criterion.bench_function("acl/build 200 roles", |bencher| {
        bencher.iter(|| RoleBook::build(&tree, black_box(&roles), black_box(&rules)));
    });
    let role = book.role_of(UserType::Integration, 100).expect("the role was just built");
    criterion.bench_function("acl/smallest list", |bencher| {
        bencher.iter(|| smallest_list(black_box(&role.permissions), &tree));
    });
}

/// Integrations with a row for every resource, as Magento saves them.
fn two_hundred_roles(tree: &AclTree) -> (Vec<RoleRow>, Vec<RuleRow>) {
    let roles = (1..=200).map(|role_id| RoleRow {
        role_id,
        parent_id: 0,
        tree_level: 1,
        role_type: RoleType::User,
        user_id: role_id,
        user_type: Some(UserType::Integration),
        role_name: Some(format!("1{role_id}")),
    });
    let rules = (1..=200).flat_map(|role_id| {
        tree.indices().filter_map(move |index| {
            let is_allowed = index.get() % 7 == role_id % 7;
            Some(RuleRow {
                role_id,
                resource_id: tree.id(index)?.to_owned(),
                permission: if is_allowed { Permission::Allow } else { Permission::Deny },
            })
        })
    });
    (roles.collect(), rules.collect())
}

criterion_group!(benches, routing, permissions);
criterion_main!(benches);
