//! `etc/acl.xml`: the tree of resources (`MAGENTO_AUTH` section 8.1).
//!
//! Merged by `id` along the nesting path, later attributes overriding. Then, as Magento's `TreeBuilder` does, disabled
//! resources are dropped with all that is below them and siblings sorted stably by `sortOrder`.

use std::collections::HashSet;

use serde::Serialize;
use serde_json::json;

use super::{problem::Problem, shape::Shape, xml::Element};
use crate::auth::acl::AclTree;

/// A resource in the form of `acl.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ResourceNode {
    /// `id`.
    pub id: String,
    /// `title`; `None` if no module gives one.
    pub title: Option<String>,
    /// `sortOrder`; 0 where none is given.
    #[serde(rename = "sortOrder")]
    pub sort_order: i64,
    /// Always absent: what is disabled is not in the tree. The form of the file has it.
    pub disabled: Option<bool>,
    /// What is right below.
    pub children: Vec<Self>,
}

impl ResourceNode {
    /// How many resources this is with all below.
    #[must_use]
    pub fn count(&self) -> usize {
        1 + self.children.iter().map(Self::count).sum::<usize>()
    }
}

/// The structure of the file.
pub(super) static SHAPE: Shape = Shape { name: "config", required: &[], optional: &[], children: &[&ACL] };

static ACL: Shape = Shape { name: "acl", required: &[], optional: &[], children: &[&RESOURCES] };

static RESOURCES: Shape = Shape { name: "resources", required: &[], optional: &[], children: &[&RESOURCE] };

static RESOURCE: Shape = Shape {
    name: "resource",
    required: &["id"],
    optional: &["title", "translate", "sortOrder", "disabled", "module"],
    children: &[&RESOURCE],
};

/// What elements are merged by.
pub(super) fn keys(name: &str) -> &'static [&'static str] {
    if name == "resource" { &["id"] } else { &[] }
}

/// The tree that a merged document means.
pub(super) fn tree(root: &Element, problems: &mut Vec<Problem>) -> Vec<ResourceNode> {
    let mut seen = HashSet::new();
    let resources = root.below(&["acl", "resources", "resource"]);
    siblings(resources.into_iter(), &mut seen, problems)
}

fn siblings<'a>(
    elements: impl Iterator<Item = &'a Element>,
    seen: &mut HashSet<&'a str>,
    problems: &mut Vec<Problem>,
) -> Vec<ResourceNode> {
    let mut nodes: Vec<_> = elements.filter_map(|element| node(element, seen, problems)).collect();
    nodes.sort_by_key(|node| node.sort_order);
    nodes
}

fn node<'a>(
    element: &'a Element,
    seen: &mut HashSet<&'a str>,
    problems: &mut Vec<Problem>,
) -> Option<ResourceNode> {
    let id = element.attribute("id")?;
    // Magento compares with this one word: disabled="1" disables nothing.
    if element.attribute("disabled") == Some("true") {
        return None;
    }
    // The tree's own reader says which ids can be used, so that there is one rule.
    if let Err(error) = AclTree::from_json(&json!([{ "id": id }]).to_string()) {
        problems.push(Problem::at(&element.place, error.to_string()));
        return None;
    }
    if !seen.insert(id) {
        // Magento's ACL cannot be built then: Laminas refuses the id.
        let text = format!("the ACL resource {id} is in the tree already, below another parent");
        problems.push(Problem::at(&element.place, text));
        return None;
    }
    Some(ResourceNode {
        id: id.to_owned(),
        title: element.attribute("title").map(str::to_owned),
        sort_order: element.attribute("sortOrder").map_or(0, php_int),
        disabled: None,
        children: siblings(element.all("resource"), seen, problems),
    })
}

/// PHP's `(int)` of a text: the number at its beginning, else 0.
pub(super) fn php_int(text: &str) -> i64 {
    let text = text.trim_start();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = digits.bytes().map_while(|byte| byte.is_ascii_digit().then(|| i64::from(byte - b'0')));
    sign * digits.fold(0_i64, |number, digit| number.saturating_mul(10).saturating_add(digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sort_orders_are_read_as_php_does() {
        for (text, number) in [
            ("10", 10),
            ("-5", -5),
            ("+7", 7),
            (" 3", 3),
            ("4x", 4),
            ("", 0),
            ("x", 0),
            ("99999999999999999999", i64::MAX),
        ] {
            assert_eq!(php_int(text), number, "{text:?}");
        }
    }
}
