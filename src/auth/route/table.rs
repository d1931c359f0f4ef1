//! The routes of an API and what each asks for.
//!
//! Read once at start from `webapi_routes.json`, which holds Magento's merged `webapi.xml`: objects with `method`,
//! `route`, `resources` and `secure`; other members are not looked at. Matching is Magento's (`MAGENTO_AUTH` section 8.7):
//! a path equal to a template wins; else of all templates with as many segments, equal literals and variables for the
//! rest, the last in byte order. `:` sorts after digits and before letters, so that a literal word beats a variable.

use std::collections::BTreeMap;

use hashbrown::HashMap;
use serde::Deserialize;

use crate::auth::{
    acl::{AclTree, Resource},
    route::{
        Segments,
        trie::{PrefixRule, Trie},
    },
};

const MAX_ROUTES: usize = 100_000;
const MAX_SEGMENTS: usize = 32;
const MAX_TEMPLATE_BYTES: usize = 1024;
const METHODS: [&str; 4] = ["GET", "POST", "PUT", "DELETE"];

/// The routes of an API, ready to be matched.
#[derive(Debug, Clone)]
pub struct RouteTable {
    routes: Vec<Route>,
    methods: [MethodRoutes; METHODS.len()],
}

/// A route and what it asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The HTTP method.
    pub method: &'static str,
    /// The path with its variables, as `/V1/products/:sku`.
    pub template: String,
    /// What the caller must be allowed, all of it; never empty.
    pub resources: Vec<Resource>,
    /// The names of the resources joined by `, `: the value of `X-Auth-Resource` and of Magento's denial.
    pub resource_header: String,
    /// Whether the route is for HTTPS only.
    pub requires_https: bool,
    /// The route's place in its table, for labels and counters kept beside it.
    pub index: u32,
}

/// Why a table is refused.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// The text is no JSON of the expected form.
    #[error("the route table is not readable: {0}")]
    Json(#[from] serde_json::Error),
    /// The method is none of Magento's four.
    #[error("the route {route} has the method {method:?}, not GET, POST, PUT or DELETE")]
    UnknownMethod {
        /// The template.
        route: String,
        /// The method.
        method: String,
    },
    /// The template is no path, has an empty or a dot segment, or is too long.
    #[error(
        "the route {route:?} is unusable: visible ASCII segments between single slashes, at most 32 and 1024 bytes"
    )]
    UnusableTemplate {
        /// The template.
        route: String,
    },
    /// No resource would mean that everybody may.
    #[error("the route {method} {route} asks for no resource; write \"anonymous\" if everybody may use it")]
    NoResources {
        /// The template.
        route: String,
        /// The method.
        method: String,
    },
    /// A resource that cannot be named in a header.
    #[error("the route {method} {route} asks for the unusable resource {resource:?}")]
    UnusableResource {
        /// The template.
        route: String,
        /// The method.
        method: String,
        /// The resource.
        resource: String,
    },
    /// The table is too large.
    #[error("the route table has more than {MAX_ROUTES} routes")]
    TooMany,
}

#[derive(Debug, Clone)]
struct MethodRoutes {
    exact: HashMap<Box<str>, u32>,
    trie: Trie,
}

/// A route as the file has it.
#[derive(Deserialize)]
struct Entry {
    method: String,
    route: String,
    resources: Vec<String>,
    #[serde(default)]
    secure: bool,
}

/// What the entries of one template and method say together.
#[derive(Default)]
struct Merged {
    resources: Vec<String>,
    requires_https: bool,
}

impl RouteTable {
    /// Reads a Magento table, whose templates are matched behind `/rest` and the store code.
    ///
    /// Entries with the same template and method are united: all their resources are asked for.
    ///
    /// # Errors
    /// Refuses what is no such JSON, unknown methods, unusable templates and resources, and routes without resources.
    pub fn from_json(json: &str, tree: &AclTree) -> Result<Self, RouteError> {
        Self::build(serde_json::from_str(json)?, tree, PrefixRule::Magento)
    }

    /// Reads the table of another API, whose templates are matched on the whole path and may have variables in their
    /// first two segments; in a Magento table those never match.
    ///
    /// # Errors
    /// As [`RouteTable::from_json`].
    pub fn from_json_for_whole_paths(json: &str, tree: &AclTree) -> Result<Self, RouteError> {
        Self::build(serde_json::from_str(json)?, tree, PrefixRule::None)
    }

    /// The route that a method and a path reach.
    #[must_use]
    pub fn match_route(&self, method: &str, segments: Segments<'_>) -> Option<&Route> {
        let place = METHODS.iter().position(|known| *known == method)?;
        let routes = self.methods.get(place)?;
        let exact = routes.exact.get(segments.remainder()).copied();
        self.routes.get(exact.or_else(|| routes.trie.find(segments))? as usize)
    }

    /// All routes, in the order of their `index`.
    #[must_use]
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// Changes what GET routes ask for; templates and places must stay.
    pub(super) fn change_reads(&mut self, change: impl Fn(&mut Route)) {
        let reads = self.methods.first().map(|reads| reads.exact.values().copied().collect::<Vec<_>>());
        for index in reads.unwrap_or_default() {
            if let Some(route) = self.routes.get_mut(index as usize) {
                change(route);
            }
        }
    }

    fn build(entries: Vec<Entry>, tree: &AclTree, rule: PrefixRule) -> Result<Self, RouteError> {
        if entries.len() > MAX_ROUTES {
            return Err(RouteError::TooMany);
        }
        let empty = || MethodRoutes { exact: HashMap::new(), trie: Trie::new(rule) };
        let mut table = Self { routes: Vec::new(), methods: std::array::from_fn(|_| empty()) };
        for ((template, method), merged) in merge(entries)? {
            table.append(template, method, &merged, tree);
        }
        Ok(table)
    }

    /// Appends the next route in the order of the templates' bytes.
    fn append(&mut self, template: String, method: usize, merged: &Merged, tree: &AclTree) {
        let index = u32::try_from(self.routes.len()).unwrap_or(u32::MAX);
        if let Some(routes) = self.methods.get_mut(method) {
            routes.exact.insert(Segments::collapsed(&template).remainder().into(), index);
            routes.trie.insert(Segments::collapsed(&template), index);
        }
        self.routes.push(Route {
            method: METHODS.get(method).copied().unwrap_or_default(),
            template,
            resources: merged.resources.iter().map(|name| tree.resource(name)).collect(),
            resource_header: merged.resources.join(", "),
            requires_https: merged.requires_https,
            index,
        });
    }
}

/// Unites entries of the same template and method, and sorts them by template.
fn merge(entries: Vec<Entry>) -> Result<BTreeMap<(String, usize), Merged>, RouteError> {
    let mut routes: BTreeMap<(String, usize), Merged> = BTreeMap::new();
    for entry in entries {
        let place = judge(&entry)?;
        let Entry { method: _, route, resources, secure } = entry;
        let merged = routes.entry((route, place)).or_default();
        merged.requires_https |= secure;
        for resource in resources {
            if !merged.resources.contains(&resource) {
                merged.resources.push(resource);
            }
        }
    }
    Ok(routes)
}

/// Judges an entry; answers the place of its method.
fn judge(entry: &Entry) -> Result<usize, RouteError> {
    let Entry { method, route, resources, secure: _ } = entry;
    let Some(place) = METHODS.iter().position(|known| known == method) else {
        return Err(RouteError::UnknownMethod { route: route.clone(), method: method.clone() });
    };
    if !is_usable_template(route) {
        return Err(RouteError::UnusableTemplate { route: route.clone() });
    }
    if resources.is_empty() {
        return Err(RouteError::NoResources { route: route.clone(), method: method.clone() });
    }
    match resources.iter().find(|resource| !is_usable_resource(resource)) {
        None => Ok(place),
        Some(resource) => Err(RouteError::UnusableResource {
            route: route.clone(),
            method: method.clone(),
            resource: resource.clone(),
        }),
    }
}

fn is_usable_template(route: &str) -> bool {
    let inner = route.strip_prefix('/').unwrap_or(route);
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    route.len() <= MAX_TEMPLATE_BYTES
        && route.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'\\'))
        && inner.split('/').count() <= MAX_SEGMENTS
        && inner.split('/').all(|segment| !matches!(segment, "" | "." | ".." | ":"))
}

fn is_usable_resource(name: &str) -> bool {
    !name.is_empty() && name.len() <= 255 && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',')
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::auth::route::plain_walk;

    fn empty_tree() -> AclTree {
        AclTree::from_json("[]").unwrap()
    }

    fn magento() -> (AclTree, RouteTable) {
        let tree = AclTree::from_json(include_str!("../../../tests/vectors/acl.json")).unwrap();
        let table =
            RouteTable::from_json(include_str!("../../../tests/vectors/webapi_routes.json"), &tree).unwrap();
        (tree, table)
    }

    /// A table of GET routes, each asking for a resource named after its template.
    fn table_of(templates: &[&str]) -> RouteTable {
        RouteTable::from_json(&json_of(templates), &empty_tree()).unwrap()
    }

    fn json_of(templates: &[&str]) -> String {
        let entries =
            templates.iter().map(|route| json!({"method": "GET", "route": route, "resources": [route]}));
        serde_json::Value::from_iter(entries).to_string()
    }

    fn matched<'t>(table: &'t RouteTable, method: &str, path: &str) -> Option<&'t str> {
        table.match_route(method, Segments::collapsed(path)).map(|route| route.template.as_str())
    }

    #[test]
    fn magentos_table_is_read_whole() {
        let (tree, table) = magento();
        assert_eq!(table.routes().len(), 390);
        let count = |resource: &Resource| {
            table.routes().iter().filter(|route| route.resources[0] == *resource).count()
        };
        assert_eq!((count(&Resource::Anonymous), count(&Resource::SelfOnly)), (42, 38));
        assert!(table.routes().iter().all(|route| route.resources.len() == 1));
        assert!(table.routes().iter().zip(0..).all(|(route, index)| route.index == index));
        let secure: Vec<_> = table.routes().iter().filter(|route| route.requires_https).collect();
        assert_eq!(
            secure.iter().map(|route| route.template.as_str()).collect::<Vec<_>>(),
            ["/V1/analytics/link"]
        );
        let unknown = table.routes().iter().filter_map(|route| match &route.resources[0] {
            Resource::Unknown(name) => Some(name.as_str()),
            Resource::Anonymous | Resource::SelfOnly | Resource::Named(_) => None,
        });
        assert_eq!(unknown.collect::<HashSet<_>>(), HashSet::from(["Magento_AdobeStockImage::actions_view"]));
        let orders = table.match_route("GET", Segments::collapsed("/V1/orders")).unwrap();
        assert_eq!(orders.resource_header, "Magento_Sales::actions_view");
        assert_eq!(orders.resources, [tree.resource("Magento_Sales::actions_view")]);
    }

    #[test]
    fn magentos_routes_match_as_recorded() {
        let (_, table) = magento();
        for (method, path, expected) in [
            ("GET", "/V1/products/sku-1", Some("/V1/products/:sku")),
            ("GET", "/V1/products/types", Some("/V1/products/types")),
            ("GET", "/V1/products/attributes", Some("/V1/products/attributes")),
            ("GET", "/V1/products/A%2FB/media", Some("/V1/products/:sku/media")),
            ("GET", "/V1/store/websites/", Some("/V1/store/websites")),
            ("GET", "//V1//store/websites", Some("/V1/store/websites")),
            ("GET", "/V1/customers/me", Some("/V1/customers/me")),
            ("GET", "/V1/customers/5", Some("/V1/customers/:customerId")),
            ("GET", "/V1/guest-carts/abc", Some("/V1/guest-carts/:cartId")),
            ("DELETE", "/V1/products/sku-1", Some("/V1/products/:sku")),
            ("GET", "/v1/directory/currency", None),
            ("GET", "/V1/Directory/currency", None),
            ("GET", "/V1/%70roducts", None),
            ("GET", "/V1", None),
            ("GET", "/", None),
            ("GET", "/V1/nope", None),
            ("GET", "/V1/products/sku-1/", Some("/V1/products/:sku")),
            ("HEAD", "/V1/products/sku-1", None),
            ("get", "/V1/products/sku-1", None),
            ("PATCH", "/V1/products/sku-1", None),
            ("", "/V1/products/sku-1", None),
        ] {
            assert_eq!(matched(&table, method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn the_last_template_in_byte_order_wins_unless_one_is_equal() {
        let table =
            table_of(&["/V1/a/:x", "/V1/a/1", "/V1/a/b", "/V1/a/:y/c", "/V1/a/b/:z", "/V1/a/:w", "/V1/:v/d"]);
        for (path, expected) in [
            ("/V1/a/1", Some("/V1/a/1")),
            ("/V1/a/1/", Some("/V1/a/:x")),
            ("/V1/a/b", Some("/V1/a/b")),
            ("/V1/a/9", Some("/V1/a/:x")),
            ("/V1/a/:w", Some("/V1/a/:w")),
            ("/V1/a/b/c", Some("/V1/a/b/:z")),
            ("/V1/a/x/c", Some("/V1/a/:y/c")),
            ("/V1/q/d", None),
        ] {
            assert_eq!(matched(&table, "GET", path), expected, "{path}");
        }
    }

    #[test]
    fn numeric_literals_match_other_spellings_of_the_number() {
        let table = table_of(&["/V1/a/1/x", "/1/2/x", "/1/3.0/x"]);
        assert_eq!(matched(&table, "GET", "/V1/a/01/x"), Some("/V1/a/1/x"));
        assert_eq!(matched(&table, "GET", "/V1/a/1.0/x"), Some("/V1/a/1/x"));
        assert_eq!(matched(&table, "GET", "/1/2/x"), Some("/1/2/x"));
        assert_eq!(matched(&table, "GET", "/01/2/x"), None, "the prefix is compared as text");
        assert_eq!(matched(&table, "GET", "/1/02/x"), None, "of both segments");
        // A number that begins with the other's word was not found.
        assert_eq!(matched(&table, "GET", "/1/2.0/x"), Some("/1/2/x"));
        assert_eq!(matched(&table, "GET", "/1/3/x"), Some("/1/3.0/x"));
    }

    #[test]
    fn other_apis_have_variables_anywhere() {
        let templates = ["/orders/:id", "/:tenant/orders", "/status"];
        let table = RouteTable::from_json_for_whole_paths(&json_of(&templates), &empty_tree()).unwrap();
        for (path, expected) in [
            ("/orders/5", Some("/orders/:id")),
            ("/orders/orders", Some("/orders/:id")),
            ("/acme/orders", Some("/:tenant/orders")),
            ("/status/", Some("/status")),
            ("/", None),
        ] {
            assert_eq!(matched(&table, "GET", path), expected, "{path}");
        }
        assert_eq!(matched(&table_of(&templates), "GET", "/orders/5"), None, "Magento's prefix filter");
    }

    #[test]
    fn repeated_entries_are_united() {
        let json = json!([
            {"method": "GET", "route": "/V1/a", "resources": ["X::a"], "secure": true},
            {"method": "POST", "route": "/V1/a", "resources": ["anonymous"]},
            {"method": "GET", "route": "/V1/a", "resources": ["X::b", "X::a"]},
        ]);
        let table = RouteTable::from_json(&json.to_string(), &empty_tree()).unwrap();
        let route = table.match_route("GET", Segments::collapsed("/V1/a")).unwrap();
        assert_eq!(route.resource_header, "X::a, X::b");
        assert_eq!(route.resources, [Resource::Unknown("X::a".into()), Resource::Unknown("X::b".into())]);
        assert!(route.requires_https);
        assert_eq!(
            table.match_route("POST", Segments::collapsed("/V1/a")).unwrap().resource_header,
            "anonymous"
        );
    }

    #[test]
    fn a_hundred_thousand_routes_are_read_and_no_more() {
        let entries = |count: usize| {
            let entry = |_| Entry {
                method: "GET".to_owned(),
                route: "/V1/a".to_owned(),
                resources: vec!["self".to_owned()],
                secure: false,
            };
            (0..count).map(entry).collect()
        };
        let build = |count| RouteTable::build(entries(count), &empty_tree(), PrefixRule::Magento);
        assert_eq!(build(MAX_ROUTES).unwrap().routes().len(), 1, "the same one is one");
        assert!(matches!(build(MAX_ROUTES + 1), Err(RouteError::TooMany)));
    }

    #[test]
    fn unusable_tables_are_refused_by_name() {
        let route = |method: &str, route: &str, resources: &[&str]| {
            json!([{"method": method, "route": route, "resources": resources}]).to_string()
        };
        let cases = [
            (route("PATCH", "/V1/a", &["self"]), "the route /V1/a has the method \"PATCH\""),
            (route("GET", "/V1//a", &["self"]), "\"/V1//a\" is unusable"),
            (route("GET", "/V1/../a", &["self"]), "is unusable"),
            (route("GET", "/V1/ä", &["self"]), "is unusable"),
            (route("GET", "", &["self"]), "is unusable"),
            (route("GET", &"/a".repeat(33), &["self"]), "is unusable"),
            (route("GET", "/V1/a", &[]), "GET /V1/a asks for no resource"),
            (route("GET", &format!("/{}", "a".repeat(1024)), &["self"]), "is unusable"),
            (route("GET", "/V1/a", &[&"a".repeat(256)]), "asks for the unusable resource"),
            (route("GET", "/V1/a", &["a,b"]), "asks for the unusable resource \"a,b\""),
            (route("GET", "/V1/a", &["a\r\nb"]), "asks for the unusable resource"),
            (r#"[{"method":"GET","route":"/V1/a"}]"#.to_owned(), "missing field `resources`"),
        ];
        for (json, expected) in cases {
            let error = RouteTable::from_json(&json, &empty_tree()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        for (template, resource) in
            [("/a".repeat(32), "self"), (format!("/{}", "a".repeat(1023)), &*"a".repeat(255))]
        {
            let json = route("GET", &template, &[resource]);
            assert!(RouteTable::from_json(&json, &empty_tree()).is_ok(), "as long as may be");
        }
    }

    fn segment() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec!["a", "b", "a-b", "1", "01", "2", ":x", ":y", ":x1", "_", "%61", "A"])
    }

    fn random_path(longest: usize) -> impl Strategy<Value = String> {
        prop::collection::vec(segment(), 1..=longest).prop_map(|segments| format!("/{}", segments.join("/")))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8 * ProptestConfig::default().cases))]
        #[test]
        fn matching_agrees_with_the_plain_walk(
            templates in prop::collection::hash_set(random_path(4), 1..25),
            paths in prop::collection::vec((random_path(4), prop::sample::select(vec!["", "/"])), 20),
        ) {
            let templates: Vec<_> = templates.iter().map(String::as_str).collect();
            let json = json_of(&templates);
            let magento = RouteTable::from_json(&json, &empty_tree()).unwrap();
            let whole = RouteTable::from_json_for_whole_paths(&json, &empty_tree()).unwrap();
            for (path, slash) in paths {
                let path = format!("{path}{slash}");
                for (table, is_magento) in [(&magento, true), (&whole, false)] {
                    let expected = plain_walk::matched(&templates, &path, is_magento);
                    prop_assert_eq!(matched(table, "GET", &path), expected, "{} in {:?}", path, templates);
                }
            }
        }
    }
}
