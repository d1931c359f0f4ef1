//! A path to its route, refused where another reader would reach another route.
//!
//! Magento compares segments as sent. The upstream behind us may be something else, or sit behind a server that decodes
//! or keeps empty segments, so the other readings are tried too, at a cost only for paths that contain `%` or `//`:
//!
//! 1. If the path as sent reaches no route, no decoding of it may reach one: `%2F` as a slash included.
//! 2. If it reaches a route, undoing the escapes of unreserved characters must not lead to another one. Those mean the
//!    same encoded or not (RFC 3986 §6.2.2.2); any other escape in a variable segment is data, `%2F` in a SKU above all.
//! 3. Keeping empty segments must not lead to another route: Magento lets a variable be empty, so that `/V1/products//media` is
//!    its `/V1/products/:sku/media` and our `/V1/products/:sku`.

use crate::auth::{
    rejection::Malformation,
    route::{
        CanonicalPath, RestPath, Route, RouteTable, Segments, StoreScope, StoreView,
        path::Slashes,
        percent::{Decode, decode},
    },
};

/// Where a REST path leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestMatch<'t> {
    /// The store: the one that the path names, else the default one, if the rows know it.
    pub store: Option<&'t StoreView>,
    /// Whether the path names the store; if not, Magento also asks a cookie and a parameter (FACT 26).
    pub names_store: bool,
    /// The route, if one matches.
    pub route: Option<&'t Route>,
    /// The path is `/schema`, Magento's description of its services: open to all, and different for each caller.
    pub is_schema: bool,
    /// The path has the words of the asynchronous API.
    pub is_asynchronous: bool,
}

impl<'t> RestMatch<'t> {
    /// Finds the store and the route of a path behind the door `/rest`.
    ///
    /// The asynchronous forms `/async/V1/…` and `/async/bulk/V1/…` of every method but GET reach the same routes with the
    /// same resources.
    ///
    /// # Errors
    /// [`Malformation::DisguisedRoute`] if the decoded path reaches a route that the path as sent does not,
    /// [`Malformation::AmbiguousPath`] if an empty segment makes a difference.
    pub fn find(
        scope: &'t StoreScope,
        table: &'t RouteTable,
        method: &str,
        path: RestPath<'_>,
    ) -> Result<Self, Malformation> {
        let route = unanimous(path.as_str(), |path, slashes| {
            let (_, path) = scope.enter(path);
            table.match_route(method, Segments::read(synchronous(method, path), slashes))
        })?;
        let (named, rest) = scope.enter(path.as_str());
        let is_schema = rest.trim_matches('/') == "schema";
        let store = named.or_else(|| scope.default_store());
        let is_asynchronous = synchronous(method, rest).len() < rest.len();
        Ok(Self { store, names_store: named.is_some(), route, is_schema, is_asynchronous })
    }
}

impl RouteTable {
    /// Finds the route of a whole path, for an API that is not Magento's.
    ///
    /// # Errors
    /// As [`RestMatch::find`].
    pub fn resolve(&self, method: &str, path: CanonicalPath<'_>) -> Result<Option<&Route>, Malformation> {
        unanimous(path.as_str(), |path, slashes| self.match_route(method, Segments::read(path, slashes)))
    }
}

/// The route of the path as sent, if no other reading of the path reaches another one.
fn unanimous<'t>(
    path: &str,
    find: impl Fn(&str, Slashes) -> Option<&'t Route>,
) -> Result<Option<&'t Route>, Malformation> {
    let route = find(path, Slashes::Collapsed);
    let objects =
        |other: Option<&Route>| other.is_some() && other.map(|it| it.index) != route.map(|it| it.index);
    if has_gap(path) && objects(find(path, Slashes::Spread)) {
        return Err(Malformation::AmbiguousPath);
    }
    if path.contains('%') {
        let decoded = decode(path, if route.is_some() { Decode::Unreserved } else { Decode::All });
        if objects(find(&decoded, Slashes::Collapsed)) {
            return Err(Malformation::DisguisedRoute);
        }
        if has_gap(&decoded) && objects(find(&decoded, Slashes::Spread)) {
            return Err(Malformation::AmbiguousPath);
        }
    }
    Ok(route)
}

/// Whether there is an empty segment between the first and the last.
fn has_gap(path: &str) -> bool {
    path.trim_matches('/').contains("//")
}

/// Takes the words of the asynchronous API away where Magento serves it (`MAGENTO_AUTH` section 6.1).
fn synchronous<'p>(method: &str, path: &'p str) -> &'p str {
    let mut segments = Segments::collapsed(path);
    if method == "GET" || segments.next() != Some("async") {
        return path;
    }
    let rest = segments.remainder();
    if segments.next() == Some("bulk") { segments.remainder() } else { rest }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{
        acl::AclTree,
        route::{AccountShare, Door},
    };

    fn table() -> RouteTable {
        let tree = AclTree::from_json(include_str!("../../../tests/vectors/acl.json")).unwrap();
        RouteTable::from_json(include_str!("../../../tests/vectors/webapi_routes.json"), &tree).unwrap()
    }

    fn scope() -> StoreScope {
        let stores = [(0, "admin", 0), (1, "default", 1), (2, "de", 1)];
        let stores = stores.map(|(id, code, website_id)| StoreView { id, code: code.to_owned(), website_id });
        StoreScope::new(stores, Some(1), AccountShare::PerWebsite)
    }

    /// The store and the template that a path reaches.
    fn reached(method: &str, path: &str) -> Result<(Option<u16>, Option<String>), Malformation> {
        let Door::Rest(rest) = CanonicalPath::parse(path)?.door()? else { panic!("{path} is not REST") };
        let (scope, table) = (scope(), table());
        let found = RestMatch::find(&scope, &table, method, rest)?;
        Ok((found.store.map(|store| store.id), found.route.map(|route| route.template.clone())))
    }

    #[test]
    fn every_path_form_reaches_the_same_route() {
        for (method, path, store, template) in [
            ("GET", "/rest/V1/products/sku-1", 1, Some("/V1/products/:sku")),
            ("GET", "/rest/default/V1/products/sku-1", 1, Some("/V1/products/:sku")),
            ("GET", "/rest/de/V1/products/sku-1/", 2, Some("/V1/products/:sku")),
            ("GET", "/rest/all/V1/products/sku-1", 0, Some("/V1/products/:sku")),
            ("GET", "/rest//V1/directory/currency", 1, Some("/V1/directory/currency")),
            ("GET", "/index.php/rest/all//V1/store/websites/", 0, Some("/V1/store/websites")),
            ("GET", "/pub/index.php/rest/V1/store/websites", 1, Some("/V1/store/websites")),
            ("POST", "/rest/async/V1/products", 1, Some("/V1/products")),
            ("POST", "/rest/all/async/bulk/V1/products", 0, Some("/V1/products")),
            ("PUT", "/rest/default/async/bulk/V1/products/bySku", 1, Some("/V1/products/:sku")),
            ("GET", "/rest/async/V1/products/sku-1", 1, None),
            ("POST", "/rest/bulk/V1/products", 1, None),
            ("POST", "/rest/async/de/V1/products", 1, None),
            ("GET", "/rest/admin/V1/products/sku-1", 1, None),
            ("GET", "/rest/DEFAULT/V1/products/sku-1", 1, None),
            ("GET", "/rest/xx/V1/products/sku-1", 1, None),
            ("GET", "/rest/v1/directory/currency", 1, None),
            ("GET", "/rest", 1, None),
            ("GET", "/rest/de/all/V1/store/websites", 2, None),
            ("HEAD", "/rest/V1/products/sku-1", 1, None),
        ] {
            assert_eq!(
                reached(method, path),
                Ok((Some(store), template.map(str::to_owned))),
                "{method} {path}"
            );
        }
    }

    #[test]
    fn the_schema_and_the_asynchronous_forms_are_told() {
        let (scope, table) = (scope(), table());
        for (method, path, is_schema, is_asynchronous) in [
            ("GET", "/rest/schema", true, false),
            ("GET", "/rest/de/schema/", true, false),
            ("GET", "/rest/V1/schema", false, false),
            ("GET", "/rest/schemas", false, false),
            ("POST", "/rest/async/V1/products", false, true),
            ("POST", "/rest/async/bulk/V1/products", false, true),
            ("GET", "/rest/async/V1/products", false, false),
            ("POST", "/rest/V1/products", false, false),
        ] {
            let Ok(Door::Rest(rest)) = CanonicalPath::parse(path).unwrap().door() else { panic!("{path}") };
            let found = RestMatch::find(&scope, &table, method, rest).unwrap();
            assert_eq!((found.is_schema, found.is_asynchronous), (is_schema, is_asynchronous), "{path}");
        }
    }

    #[test]
    fn encoded_bytes_of_a_variable_are_data() {
        for (path, template) in [
            ("/rest/V1/products/%73ku-1", "/V1/products/:sku"),
            ("/rest/V1/products/A%2FB", "/V1/products/:sku"),
            ("/rest/V1/products/A%252FB", "/V1/products/:sku"),
            ("/rest/V1/products/A%2Fmedia", "/V1/products/:sku"),
            ("/rest/V1/products/sku%2F%C3%BC%2B%26%3D%25/media", "/V1/products/:sku/media"),
            ("/rest/V1/products/skü", "/V1/products/:sku"),
            ("/rest/V1/products/a;b|c", "/V1/products/:sku"),
            ("/rest/V1/products/%ff", "/V1/products/:sku"),
        ] {
            assert_eq!(reached("GET", path), Ok((Some(1), Some(template.to_owned()))), "{path}");
        }
    }

    #[test]
    fn a_route_reached_only_by_decoding_is_refused() {
        for path in [
            "/rest/V1/%70roducts",
            "/rest/%56%31/products",
            "/rest/V1%2Fproducts",
            "/rest/V1/products%2Fsku-1",
            "/rest/%61ll/V1/products",
            "/rest/all%2FV1/products",
            "/rest/V1/order%73",
            "/rest/V1/products/%74ypes",
            "/rest/V1/products/attribute%73",
            "/rest/V1/customers/%6De",
        ] {
            assert_eq!(reached("GET", path), Err(Malformation::DisguisedRoute), "{path}");
        }
        assert_eq!(reached("POST", "/rest/%61sync/V1/products"), Err(Malformation::DisguisedRoute));
        assert_eq!(
            reached("GET", "/rest/V1/nope%20nope"),
            Ok((Some(1), None)),
            "what decodes to no route passes"
        );
    }

    #[test]
    fn an_empty_segment_that_would_be_a_variable_is_refused() {
        for path in ["/rest/V1/products//media", "/rest/de/V1/products//media/", "/rest/V1/products//%6Dedia"]
        {
            assert_eq!(reached("GET", path), Err(Malformation::AmbiguousPath), "{path}");
        }
        for path in ["/rest/V1//products/sku-1", "/rest/V1/products//sku-1", "/rest/V1/products/sku-1//"] {
            assert_eq!(reached("GET", path), Ok((Some(1), Some("/V1/products/:sku".to_owned()))), "{path}");
        }
    }

    #[test]
    fn the_default_store_need_not_be_known() {
        let (scope, table) = (StoreScope::new([], None, AccountShare::Global), table());
        let Ok(Door::Rest(rest)) =
            CanonicalPath::parse("/rest/V1/store/websites").and_then(CanonicalPath::door)
        else {
            panic!("not REST")
        };
        let found = RestMatch::find(&scope, &table, "GET", rest).unwrap();
        assert_eq!((found.store, found.names_store), (None, false));
        assert!(found.route.is_some());
    }

    #[test]
    fn whole_paths_are_held_to_the_same_readings() {
        let tree = AclTree::from_json("[]").unwrap();
        let json = r#"[{"method":"GET","route":"/orders/:id","resources":["self"]},
                       {"method":"GET","route":"/orders/:id/lines","resources":["self"]}]"#;
        let table = RouteTable::from_json_for_whole_paths(json, &tree).unwrap();
        let resolve = |path| {
            let route = table.resolve("GET", CanonicalPath::parse(path)?)?;
            Ok::<_, Malformation>(route.map(|route| route.template.as_str()))
        };
        assert_eq!(resolve("/orders/5"), Ok(Some("/orders/:id")));
        assert_eq!(resolve("/orders/a%2Fb"), Ok(Some("/orders/:id")));
        assert_eq!(resolve("/orders%2F5"), Err(Malformation::DisguisedRoute));
        assert_eq!(resolve("/%6Frders/5"), Err(Malformation::DisguisedRoute));
        assert_eq!(resolve("/orders//lines"), Err(Malformation::AmbiguousPath));
        assert_eq!(resolve("/nothing"), Ok(None));
    }
}
