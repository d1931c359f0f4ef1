//! `etc/webapi.xml`: the routes and what each asks for (`MAGENTO_AUTH` section 8.7).
//!
//! Merged by `url` and `method`, resources by `ref`, parameters by `name`; attributes of a later `<service>` overwrite.
//! A module can add resources to another's route and take none away. What two elements of one route still say after
//! merging is decided as Magento's `Config\Converter` does: the later one stands.

use serde::{Serialize, Serializer};

use super::{acl::php_int, problem::Problem, shape::Shape, xml::Element};
use crate::{
    auth::{acl::AclTree, route::RouteTable},
    config::is_truthy_text,
};

/// A route in the form of `webapi_routes.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WebapiRoute {
    /// `method`.
    pub method: String,
    /// `url`.
    pub route: String,
    /// What the caller must be allowed, all of it.
    pub resources: Vec<String>,
    /// Whether the route is for HTTPS only.
    pub secure: bool,
    /// Who answers.
    pub service: Service,
    /// Values that Magento puts into the input, by name, in the order of the files.
    #[serde(serialize_with = "as_object")]
    pub parameters: Vec<(String, Parameter)>,
    /// Most elements of an array in the input.
    pub input_array_size_limit: Option<i64>,
}

/// The PHP method behind a route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Service {
    /// The interface.
    pub class: String,
    /// Its method.
    pub method: String,
}

/// A value that Magento puts into the input (`MAGENTO_AUTH` section 8.6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Parameter {
    /// Whether it replaces what the client sent.
    pub force: bool,
    /// The value or its placeholder.
    pub value: Option<String>,
}

/// The structure of the file.
pub(super) static SHAPE: Shape = Shape { name: "routes", required: &[], optional: &[], children: &[&ROUTE] };

static ROUTE: Shape = Shape {
    name: "route",
    required: &["url", "method"],
    optional: &["secure", "soapOperation"],
    children: &[&SERVICE, &RESOURCES, &DATA],
};

static SERVICE: Shape =
    Shape { name: "service", required: &[], optional: &["class", "method"], children: &[] };

static RESOURCES: Shape = Shape { name: "resources", required: &[], optional: &[], children: &[&RESOURCE] };

static RESOURCE: Shape = Shape { name: "resource", required: &["ref"], optional: &[], children: &[] };

static DATA: Shape =
    Shape { name: "data", required: &[], optional: &["input-array-size-limit"], children: &[&PARAMETER] };

static PARAMETER: Shape =
    Shape { name: "parameter", required: &["name"], optional: &["force", "source", "method"], children: &[] };

/// What elements are merged by.
pub(super) fn keys(name: &str) -> &'static [&'static str] {
    match name {
        "route" => &["url", "method"],
        "resource" => &["ref"],
        "parameter" => &["name"],
        _ => &[],
    }
}

/// The routes that a merged document means, those of one URL together, in the order in which URLs were first named.
pub(super) fn routes(root: &Element, problems: &mut Vec<Problem>) -> Vec<WebapiRoute> {
    let mut by_url: Vec<Vec<WebapiRoute>> = Vec::new();
    let mut place_of = std::collections::HashMap::new();
    for element in root.all("route") {
        let Some(route) = route(element, problems) else { continue };
        let place = *place_of.entry(route.route.clone()).or_insert(by_url.len());
        match by_url.get_mut(place) {
            None => by_url.push(vec![route]),
            Some(known) => match known.iter_mut().find(|known| known.method == route.method) {
                None => known.push(route),
                Some(known) => *known = route,
            },
        }
    }
    by_url.into_iter().flatten().collect()
}

/// A route that cannot be used is left out: a request for it then has no route and goes on as guest at most.
fn route(element: &Element, problems: &mut Vec<Problem>) -> Option<WebapiRoute> {
    let read = read_route(element).and_then(|route| match is_usable(&route) {
        Ok(()) => Ok(route),
        Err(reason) => Err(reason),
    });
    read.map_err(|reason| problems.push(Problem::at(&element.place, reason))).ok()
}

fn read_route(element: &Element) -> Result<WebapiRoute, String> {
    let url = element.attribute("url").unwrap_or_default().trim();
    let method = element.attribute("method").unwrap_or_default();
    let service = element.all("service").next();
    let of_service =
        |name| service.and_then(|service| service.attribute(name)).filter(|text| !text.is_empty());
    let (Some(class), Some(service_method)) = (of_service("class"), of_service("method")) else {
        return Err(format!("the route {method} {url} has no service"));
    };
    let mut resources: Vec<String> = Vec::new();
    for name in
        element.below(&["resources", "resource"]).iter().filter_map(|resource| resource.attribute("ref"))
    {
        if !resources.iter().any(|known| known == name) {
            resources.push(name.to_owned());
        }
    }
    let limit = element.all("data").next().and_then(|data| data.attribute("input-array-size-limit"));
    Ok(WebapiRoute {
        method: method.to_owned(),
        route: url.to_owned(),
        resources,
        // Magento casts the text: secure="false" is true.
        secure: is_truthy_text(element.attribute("secure").unwrap_or_default().trim()),
        service: Service { class: class.to_owned(), method: service_method.to_owned() },
        parameters: parameters(element),
        input_array_size_limit: limit.map(php_int),
    })
}

fn parameters(route: &Element) -> Vec<(String, Parameter)> {
    let mut parameters: Vec<(String, Parameter)> = Vec::new();
    for element in route.below(&["data", "parameter"]) {
        let name = element.attribute("name").unwrap_or_default();
        let parameter = Parameter {
            force: element.attribute("force").is_some_and(is_filter_true),
            value: (element.text != "null").then(|| element.text.clone()),
        };
        match parameters.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = parameter,
            None => parameters.push((name.to_owned(), parameter)),
        }
    }
    parameters
}

/// PHP's `FILTER_VALIDATE_BOOLEAN`.
fn is_filter_true(text: &str) -> bool {
    ["1", "true", "on", "yes"].iter().any(|known| text.trim().eq_ignore_ascii_case(known))
}

/// The table's own reader says which routes can be used, so that there is one rule.
fn is_usable(route: &WebapiRoute) -> Result<(), String> {
    let json = serde_json::to_string(&[route]).map_err(|error| error.to_string())?;
    let tree = AclTree::from_json("[]").map_err(|error| error.to_string())?;
    RouteTable::from_json(&json, &tree).map(|_| ()).map_err(|error| error.to_string())
}

fn as_object<S: Serializer>(parameters: &[(String, Parameter)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(parameters.iter().map(|(name, parameter)| (name, parameter)))
}
