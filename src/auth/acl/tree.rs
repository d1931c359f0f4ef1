//! The tree of ACL resources, numbered in preorder.
//!
//! Read once at start from `acl.json`: nested objects with `id`, `title`, `sortOrder`, `disabled` and `children`, as
//! Magento's `AclResource\TreeBuilder` has them (`MAGENTO_AUTH` section 8.1). Disabled resources go with all that is
//! below them, siblings are sorted stably by `sortOrder`. A resource's number is its place in preorder, so that a
//! subtree is a range of numbers. The file is an operator's, yet bounded, and every refusal names the resource.

use std::{collections::HashMap, ops::Range, sync::Arc};

use serde::Deserialize;

use crate::auth::acl::Resource;

/// The resource whose allow rule grants everything, those resources included that no tree knows (`MAGENTO_AUTH`
/// section 8.1, FACT 22). A tree without it has no full access to grant.
pub const ROOT_RESOURCE: &str = "Magento_Backend::all";

/// The JSON reader itself gives up at 63 levels; Magento's own tree has 7.
const MAX_DEPTH: usize = 60;

/// Magento has 261, its largest shops a few thousand.
const MAX_RESOURCES: usize = 100_000;

/// The length of `authorization_rule.resource_id`: nobody can hold a rule for a longer one.
const MAX_ID_BYTES: usize = 255;

/// Words that would mean something else in `X-Auth-Acl` or `X-Auth-Resource`.
const RESERVED_IDS: [&str; 5] = ["all", "anonymous", "digest", "self", "unmatched"];

/// The resources of an installation and how they are nested.
#[derive(Debug, Clone)]
pub struct AclTree {
    resources: Vec<Entry>,
    by_id: HashMap<Arc<str>, ResourceIndex>,
}

/// The place of a resource in its tree's preorder; means nothing to another tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceIndex(pub(super) u32);

/// Why a tree is refused.
#[derive(Debug, thiserror::Error)]
pub enum AclError {
    /// The text is no JSON of the expected form, or nested deeper than the reader goes.
    #[error("the ACL tree is not readable: {0}")]
    Json(#[from] serde_json::Error),
    /// The id cannot stand in a header list, or is longer than a rule can name.
    #[error(
        "the ACL resource id {id:?} is unusable: visible ASCII without commas, no leading =, at most 255 bytes"
    )]
    UnusableId {
        /// The id.
        id: String,
    },
    /// The same id stands at two places.
    #[error("the ACL resource {id} is in the tree twice")]
    DuplicateId {
        /// The id.
        id: String,
    },
    /// The resource lies too deep.
    #[error("the ACL resource {id} is nested deeper than {MAX_DEPTH} levels")]
    TooDeep {
        /// The id.
        id: String,
    },
    /// The tree is too large.
    #[error("the ACL tree has more than {MAX_RESOURCES} resources; {id} is the first beyond")]
    TooMany {
        /// The id.
        id: String,
    },
}

#[derive(Debug, Clone)]
struct Entry {
    id: Arc<str>,
    title: String,
    parent: Option<ResourceIndex>,
    subtree_end: u32,
}

/// A resource as the file has it.
#[derive(Deserialize)]
struct Node {
    id: String,
    #[serde(default)]
    title: Option<String>,
    #[serde(default, rename = "sortOrder")]
    sort_order: Option<i64>,
    #[serde(default)]
    disabled: Option<bool>,
    #[serde(default)]
    children: Vec<Self>,
}

impl AclTree {
    /// Reads a tree.
    ///
    /// # Errors
    /// Refuses what is no such JSON, unusable or repeated ids, and trees that are too deep or too large.
    pub fn from_json(json: &str) -> Result<Self, AclError> {
        let mut tree = Self { resources: Vec::new(), by_id: HashMap::new() };
        tree.append_siblings(serde_json::from_str(json)?, None, 1)?;
        Ok(tree)
    }

    /// How many resources there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.resources.len()
    }

    /// Whether there is no resource at all.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.resources.is_empty()
    }

    /// All resources, parents before their children.
    pub fn indices(&self) -> impl Iterator<Item = ResourceIndex> + use<> {
        (0..self.bound()).map(ResourceIndex)
    }

    /// The place of the resource with this id.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<ResourceIndex> {
        self.by_id.get(id).copied()
    }

    /// What a route means by this name: one of Magento's two words, a resource, or one that the tree does not know.
    #[must_use]
    pub fn resource(&self, name: &str) -> Resource {
        match name {
            "anonymous" => Resource::Anonymous,
            "self" => Resource::SelfOnly,
            id => self.find(id).map_or_else(|| Resource::Unknown(id.to_owned()), Resource::Named),
        }
    }

    /// The id of a resource; `None` for an index of another tree.
    #[must_use]
    pub fn id(&self, index: ResourceIndex) -> Option<&str> {
        self.entry(index).map(|entry| &*entry.id)
    }

    /// The title of a resource, for people.
    #[must_use]
    pub fn title(&self, index: ResourceIndex) -> Option<&str> {
        self.entry(index).map(|entry| entry.title.as_str())
    }

    /// The resource right above; `None` at the top.
    #[must_use]
    pub fn parent(&self, index: ResourceIndex) -> Option<ResourceIndex> {
        self.entry(index).and_then(|entry| entry.parent)
    }

    /// The number of resources as the bound of their indices.
    pub(super) fn bound(&self) -> u32 {
        u32::try_from(self.resources.len()).unwrap_or(u32::MAX)
    }

    /// The indices of a resource and of all below it.
    pub(super) fn subtree(&self, index: ResourceIndex) -> Range<u32> {
        index.0..self.entry(index).map_or(index.0, |entry| entry.subtree_end)
    }

    fn entry(&self, index: ResourceIndex) -> Option<&Entry> {
        self.resources.get(index.0 as usize)
    }

    fn append_siblings(
        &mut self,
        mut siblings: Vec<Node>,
        parent: Option<ResourceIndex>,
        depth: usize,
    ) -> Result<(), AclError> {
        siblings.retain(|node| node.disabled != Some(true));
        siblings.sort_by_key(|node| node.sort_order.unwrap_or(0));
        siblings.into_iter().try_for_each(|node| self.append(node, parent, depth))
    }

    fn append(&mut self, node: Node, parent: Option<ResourceIndex>, depth: usize) -> Result<(), AclError> {
        let Node { id, title, sort_order: _, disabled: _, children } = node;
        if !is_usable(&id) {
            return Err(AclError::UnusableId { id });
        }
        if depth > MAX_DEPTH {
            return Err(AclError::TooDeep { id });
        }
        if self.resources.len() >= MAX_RESOURCES {
            return Err(AclError::TooMany { id });
        }
        let index = ResourceIndex(self.bound());
        let shared: Arc<str> = id.as_str().into();
        if self.by_id.insert(Arc::clone(&shared), index).is_some() {
            return Err(AclError::DuplicateId { id });
        }
        self.resources.push(Entry {
            id: shared,
            title: title.unwrap_or_default(),
            parent,
            subtree_end: self.bound().saturating_add(1),
        });
        self.append_siblings(children, Some(index), depth + 1)?;
        let subtree_end = self.bound();
        if let Some(entry) = self.resources.get_mut(index.0 as usize) {
            entry.subtree_end = subtree_end;
        }
        Ok(())
    }
}

fn is_usable(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= MAX_ID_BYTES
        && !id.starts_with('=')
        && id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',')
        && !RESERVED_IDS.contains(&id)
}

impl ResourceIndex {
    /// The number itself, for labels and tables kept beside the tree.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::acl::testing::{magento_tree, nested};

    #[test]
    fn a_tree_without_resources_is_empty() {
        let empty = AclTree::from_json("[]").unwrap();
        assert_eq!((empty.is_empty(), empty.len()), (true, 0));
        let one = AclTree::from_json(r#"[{"id": "a"}]"#).unwrap();
        assert_eq!((one.is_empty(), one.len()), (false, 1));
    }

    #[test]
    fn magentos_tree_is_read_whole_and_in_order() {
        let tree = magento_tree();
        assert_eq!(tree.len(), 261);
        let all = tree.find(ROOT_RESOURCE).unwrap();
        let admin = tree.find("Magento_Backend::admin").unwrap();
        assert_eq!((all.get(), admin.get()), (0, 1));
        assert_eq!(tree.subtree(admin), 1..261);
        let analytics = tree.find("Magento_Analytics::analytics").unwrap();
        let api = tree.find("Magento_Analytics::analytics_api").unwrap();
        assert_eq!(tree.parent(api), Some(analytics));
        assert_eq!(tree.subtree(analytics), analytics.get()..api.get() + 1);
        assert_eq!(tree.id(api), Some("Magento_Analytics::analytics_api"));
        assert_eq!(tree.title(api), Some("API"));
        for index in tree.indices() {
            let within = tree.parent(index).map_or(0..261, |parent| tree.subtree(parent));
            assert!(within.contains(&index.get()), "{:?}", tree.id(index));
        }
    }

    #[test]
    fn siblings_are_sorted_stably_and_disabled_subtrees_dropped() {
        let tree = AclTree::from_json(
            r#"[{"id":"c","sortOrder":20},{"id":"a","sortOrder":10,"children":[{"id":"z"},{"id":"y","sortOrder":-1}]},
                {"id":"off","disabled":true,"children":[{"id":"c"}]},{"id":"b","sortOrder":10}]"#,
        )
        .unwrap();
        let ids: Vec<_> = tree.indices().filter_map(|index| tree.id(index)).collect();
        assert_eq!(ids, ["a", "y", "z", "b", "c"]);
        assert_eq!(tree.find("off"), None);
    }

    #[test]
    fn unusable_trees_are_refused_by_name() {
        let too_long = "x".repeat(256);
        let cases = [
            (r#"[{"id":"a","children":[{"id":"a"}]}]"#.to_owned(), "a is in the tree twice"),
            (r#"[{"id":"a,b"}]"#.to_owned(), "\"a,b\" is unusable"),
            (r#"[{"id":"=a"}]"#.to_owned(), "\"=a\" is unusable"),
            (r#"[{"id":"all"}]"#.to_owned(), "\"all\" is unusable"),
            (r#"[{"id":""}]"#.to_owned(), "\"\" is unusable"),
            (r#"[{"id":"a\nb"}]"#.to_owned(), "\"a\\nb\" is unusable"),
            (format!(r#"[{{"id":"{too_long}"}}]"#), "is unusable"),
            (nested(61), "n61 is nested deeper than 60 levels"),
            (nested(500), "recursion limit"),
            (r#"[{"title":"x"}]"#.to_owned(), "missing field `id`"),
            ("{}".to_owned(), "not readable"),
        ];
        for (json, expected) in cases {
            let error = AclTree::from_json(&json).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert_eq!(AclTree::from_json(&nested(60)).unwrap().len(), 60);
        assert!(AclTree::from_json(&format!(r#"[{{"id":"{}"}}]"#, "x".repeat(255))).is_ok());
    }

    #[test]
    fn a_tree_of_more_than_a_hundred_thousand_is_refused() {
        let nodes: Vec<_> = (0..=MAX_RESOURCES).map(|n| format!(r#"{{"id":"n{n}"}}"#)).collect();
        let error = AclTree::from_json(&format!("[{}]", nodes.join(","))).unwrap_err().to_string();
        assert!(error.contains("n100000 is the first beyond"), "{error}");
    }

    #[test]
    fn names_of_routes_are_told_apart() {
        let tree = magento_tree();
        assert_eq!(tree.resource("anonymous"), Resource::Anonymous);
        assert_eq!(tree.resource("self"), Resource::SelfOnly);
        assert_eq!(tree.resource(ROOT_RESOURCE), Resource::Named(ResourceIndex(0)));
        let missing = "Magento_AdobeStockImage::actions_view";
        assert_eq!(tree.resource(missing), Resource::Unknown(missing.to_owned()));
    }
}
