//! What an import changes against the files already there.
//!
//! Entries are compared by id and by method and route, and described in one line each, so that an operator sees what an
//! upgrade of Magento opens or closes before the gate serves it.

use std::{collections::BTreeMap, fs, io, path::Path};

use serde_json::Value;

/// The file that stands where the new one goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Previous {
    /// None.
    Missing,
    /// One that cannot be compared, and why.
    Unreadable(String),
    /// The same, byte for byte.
    Same,
    /// Another one.
    Different(Changes),
}

/// Entries that come, go or say something else, one line each. All empty: only layout or order differ.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// New entries.
    pub added: Vec<String>,
    /// Entries that are no more.
    pub removed: Vec<String>,
    /// Entries that say something else.
    pub changed: Vec<String>,
}

/// Entries by key, each as text.
type Entries = BTreeMap<String, String>;

impl Previous {
    pub(super) fn of_tree(path: &Path, new: &str) -> Self {
        Self::compare(path, new, |value| {
            let mut entries = Entries::new();
            resources(value, "the top", &mut entries);
            entries
        })
    }

    pub(super) fn of_routes(path: &Path, new: &str) -> Self {
        Self::compare(path, new, routes)
    }

    pub(super) fn of_integrations(path: &Path, new: &str) -> Self {
        Self::compare(path, new, integrations)
    }

    fn compare(path: &Path, new: &str, entries: impl Fn(&Value) -> Entries) -> Self {
        let old = match fs::read_to_string(path) {
            Ok(old) => old,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Self::Missing,
            Err(error) => return Self::Unreadable(error.to_string()),
        };
        if old == new {
            return Self::Same;
        }
        match (serde_json::from_str(&old), serde_json::from_str(new)) {
            (Ok(old), Ok(new)) => Self::Different(Changes::between(&entries(&old), &entries(&new))),
            (Err(error), _) | (_, Err(error)) => Self::Unreadable(error.to_string()),
        }
    }
}

impl Changes {
    fn between(old: &Entries, new: &Entries) -> Self {
        let absent = |from: &Entries, to: &Entries| -> Vec<String> {
            let only = from.iter().filter(|(key, _)| !to.contains_key(*key));
            only.map(|(key, text)| format!("{key} {text}")).collect()
        };
        let both = new.iter().filter_map(|(key, text)| Some((key, old.get(key)?, text)));
        let changed = both.filter(|(_, old, new)| old != new);
        Self {
            added: absent(new, old),
            removed: absent(old, new),
            changed: changed.map(|(key, old, new)| format!("{key} {old} -> {new}")).collect(),
        }
    }
}

fn resources(siblings: &Value, parent: &str, entries: &mut Entries) {
    for node in siblings.as_array().into_iter().flatten() {
        let id = text(node, "id");
        let order = node.get("sortOrder").and_then(Value::as_i64).unwrap_or(0);
        let place = format!("{:?} below {parent} at {order}", text(node, "title"));
        entries.insert(id.to_owned(), place);
        if let Some(children) = node.get("children") {
            resources(children, id, entries);
        }
    }
}

fn routes(table: &Value) -> Entries {
    let described = |route: &Value| {
        let resources = route.get("resources").and_then(Value::as_array).into_iter().flatten();
        let resources: Vec<_> = resources.filter_map(Value::as_str).collect();
        let mut words = vec![format!("({})", resources.join(", "))];
        if route.get("secure") == Some(&Value::Bool(true)) {
            words.push("HTTPS only".to_owned());
        }
        words.push(service(route));
        words.retain(|word| !word.is_empty());
        words.join(" ")
    };
    let key = |route: &Value| format!("{} {}", text(route, "method"), text(route, "route"));
    let routes = table.as_array().into_iter().flatten();
    routes.map(|route| (key(route), described(route))).collect()
}

fn integrations(list: &Value) -> Entries {
    let described = |integration: &Value| {
        let resources = integration.get("resources").and_then(Value::as_array).into_iter().flatten();
        let mut resources: Vec<_> = resources.filter_map(Value::as_str).collect();
        if integration.get("resources").and_then(Value::as_str).is_some() {
            resources.push(text(integration, "resources"));
        }
        let mut words = ["email", "endpoint", "identity_link_url"].map(|key| text(integration, key)).to_vec();
        words.retain(|word| !word.is_empty());
        format!("{} ({})", words.join(" "), resources.join(", "))
    };
    let list = list.as_array().into_iter().flatten();
    list.map(|integration| (text(integration, "name").to_owned(), described(integration))).collect()
}

/// Who answers and with which forced values, where a change of them is the only one.
fn service(route: &Value) -> String {
    let service = route.get("service").unwrap_or(&Value::Null);
    let mut text = format!("{}::{}", text(service, "class"), text(service, "method"));
    for (name, parameter) in route.get("parameters").and_then(Value::as_object).into_iter().flatten() {
        let mark = if parameter.get("force") == Some(&Value::Bool(true)) { "!" } else { "" };
        text.push_str(&format!(" {name}={mark}{}", self::text(parameter, "value")));
    }
    text
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}
