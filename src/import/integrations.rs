//! `etc/integration.xml`, `etc/integration/config.xml` and `etc/integration/api.xml` (`MAGENTO_AUTH` sections 12.1, 12.2).
//!
//! The first kind says everything about an integration; of the two older ones the first says who it is and the second
//! what it may do. Each kind is merged by name; where both ways know an integration, the first kind's word counts alone.
//! Ancestors of resources are added. A resource that no `acl.xml` has vanishes in Magento without a word; here it
//! vanishes with a note, and nothing is stopped by it: the integration may do less, never more.

use std::collections::HashSet;

use super::{merge::Merged, problem::Problem, shape::Shape, xml::Element};
use crate::{
    auth::acl::{AclTree, ResourceIndex},
    config::{Declaration, DeclaredResources},
};

/// A kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `integration.xml`.
    Consolidated,
    /// `integration/config.xml`.
    Config,
    /// `integration/api.xml`.
    Api,
}

/// The merged files, one a kind.
#[derive(Debug)]
pub(super) struct Documents {
    pub(super) consolidated: Merged,
    pub(super) config: Merged,
    pub(super) api: Merged,
}

static CONSOLIDATED: Shape =
    Shape { name: "config", required: &[], optional: &[], children: &[&CONSOLIDATED_INTEGRATION] };

static CONSOLIDATED_INTEGRATION: Shape = Shape {
    name: "integration",
    required: &["name"],
    optional: &[],
    children: &[&EMAIL, &ENDPOINT_URL, &IDENTITY_LINK_URL, &RESOURCES],
};

static CONFIG: Shape =
    Shape { name: "integrations", required: &[], optional: &[], children: &[&CONFIG_INTEGRATION] };

static CONFIG_INTEGRATION: Shape = Shape {
    name: "integration",
    required: &["name"],
    optional: &[],
    children: &[&EMAIL, &ENDPOINT_URL, &IDENTITY_LINK_URL],
};

static API: Shape =
    Shape { name: "integrations", required: &[], optional: &[], children: &[&API_INTEGRATION] };

static API_INTEGRATION: Shape =
    Shape { name: "integration", required: &["name"], optional: &[], children: &[&RESOURCES] };

static EMAIL: Shape = Shape { name: "email", required: &[], optional: &[], children: &[] };

static ENDPOINT_URL: Shape = Shape { name: "endpoint_url", required: &[], optional: &[], children: &[] };

static IDENTITY_LINK_URL: Shape =
    Shape { name: "identity_link_url", required: &[], optional: &[], children: &[] };

static RESOURCES: Shape = Shape { name: "resources", required: &[], optional: &[], children: &[&RESOURCE] };

static RESOURCE: Shape = Shape { name: "resource", required: &["name"], optional: &[], children: &[] };

impl Kind {
    pub(super) const fn file(self) -> &'static str {
        match self {
            Self::Consolidated => "etc/integration.xml",
            Self::Config => "etc/integration/config.xml",
            Self::Api => "etc/integration/api.xml",
        }
    }

    pub(super) const fn shape(self) -> &'static Shape {
        match self {
            Self::Consolidated => &CONSOLIDATED,
            Self::Config => &CONFIG,
            Self::Api => &API,
        }
    }
}

/// What elements are merged by.
pub(super) fn keys(name: &str) -> &'static [&'static str] {
    if name == "integration" || name == "resource" { &["name"] } else { &[] }
}

/// What the schemas ask of a single file, before it is merged (`MAGENTO_AUTH` section 12.1).
pub(super) fn check(kind: Kind, root: &Element, problems: &mut Vec<Problem>) {
    let mut names = HashSet::new();
    for integration in root.all("integration") {
        let name = integration.attribute("name").unwrap_or_default();
        if !names.insert(name) {
            let text = format!("the integration {name} stands in this file twice");
            problems.push(Problem::at(&integration.place, text));
        }
        check_children(kind, integration, problems);
        let resources = integration.below(&["resources", "resource"]);
        for resource in resources {
            let id = resource.attribute("name").unwrap_or_default();
            if !is_resource_name(id) {
                let text = format!("<resource> has a name that is not like Vendor_Module::name: {id:?}");
                problems.push(Problem::at(&resource.place, text));
            }
        }
    }
}

fn check_children(kind: Kind, integration: &Element, problems: &mut Vec<Problem>) {
    let mut seen: Vec<&str> = Vec::new();
    for child in &integration.children {
        if seen.contains(&child.name.as_str()) {
            let text = format!("<{}> stands in <integration> twice", child.name);
            problems.push(Problem::at(&child.place, text));
        }
        seen.push(&child.name);
    }
    let order = CONFIG_INTEGRATION.children;
    let places = seen.iter().filter_map(|name| order.iter().position(|known| known.name == *name));
    if kind == Kind::Config && !places.is_sorted() {
        let text = "<integration> has its elements not in the order email, endpoint_url, identity_link_url";
        problems.push(Problem::at(&integration.place, text));
    }
    if kind == Kind::Config && !seen.contains(&"email") {
        problems.push(Problem::at(&integration.place, "<integration> has no <email>"));
    }
    if kind == Kind::Api && !seen.contains(&"resources") {
        problems.push(Problem::at(&integration.place, "<integration> has no <resources>"));
    }
}

/// `.+_.+::.+`, the pattern of Magento's schemas.
fn is_resource_name(id: &str) -> bool {
    let is_module = |module: &str| {
        let inner = module.get(1..module.len().saturating_sub(1));
        inner.is_some_and(|inner| inner.contains('_'))
    };
    let mut cuts = id.match_indices("::").map(|(at, cut)| (at, at + cut.len()));
    cuts.any(|(at, end)| id.get(..at).is_some_and(is_module) && end < id.len())
}

/// The integrations that merged documents mean, and what is worth knowing about them.
pub(super) fn declarations(
    documents: &Documents,
    tree: &AclTree,
    problems: &mut Vec<Problem>,
) -> (Vec<Declaration>, Vec<Problem>) {
    let mut reader = Reader { tree, problems, notes: Vec::new(), declared: Vec::new() };
    for integration in all(&documents.consolidated) {
        reader.take(integration, integration);
    }
    let consolidated: HashSet<&str> = all(&documents.consolidated).filter_map(name).collect();
    for api in all(&documents.api) {
        if !all(&documents.config).any(|known| name(known) == name(api)) {
            let text = format!(
                "the integration {} is in no integration/config.xml; it is passed over",
                name(api).unwrap_or_default()
            );
            reader.notes.push(Problem::at(&api.place, text));
        }
    }
    for integration in all(&documents.config) {
        if name(integration).is_some_and(|name| consolidated.contains(name)) {
            let text = "an integration.xml declares this integration too, and counts alone";
            reader.notes.push(Problem::at(&integration.place, text));
            continue;
        }
        let api = all(&documents.api).find(|api| name(api) == name(integration));
        reader.take(integration, api.unwrap_or(integration));
    }
    (reader.declared, reader.notes)
}

fn all(merged: &Merged) -> impl Iterator<Item = &Element> {
    merged.root.iter().flat_map(|root| root.all("integration"))
}

fn name(integration: &Element) -> Option<&str> {
    integration.attribute("name")
}

struct Reader<'a> {
    tree: &'a AclTree,
    problems: &'a mut Vec<Problem>,
    notes: Vec<Problem>,
    declared: Vec<Declaration>,
}

impl Reader<'_> {
    /// Reads who an integration is out of one element and what it may do out of the other.
    fn take(&mut self, integration: &Element, resources: &Element) {
        let text = |field| integration.all(field).last().map(|element| element.text.trim().to_owned());
        let declared = Declaration {
            name: name(integration).unwrap_or_default().to_owned(),
            email: text("email").unwrap_or_default(),
            endpoint: text("endpoint_url"),
            identity_link_url: text("identity_link_url"),
            resources: DeclaredResources::Only(self.resources(resources)),
        };
        let mut mistakes = declared.mistakes();
        if self.declared.iter().any(|known| known.name.eq_ignore_ascii_case(&declared.name)) {
            mistakes.push("there is another one of this name, in whatever case of its letters".to_owned());
        }
        if mistakes.is_empty() {
            self.declared.push(declared);
        }
        for mistake in mistakes {
            let text = format!("the integration {}: {mistake}", name(integration).unwrap_or_default());
            self.problems.push(Problem::at(&integration.place, text));
        }
    }

    /// The resources with their ancestors, each once, the root first (`Converter::addParentsToResource`).
    fn resources(&mut self, integration: &Element) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        for element in integration.below(&["resources", "resource"]) {
            let id = element.attribute("name").unwrap_or_default();
            let Some(index) = self.below_admin(id) else {
                let text = format!("the ACL resource {id} is in no acl.xml below {ADMIN}; it is passed over");
                self.notes.push(Problem::at(&element.place, text));
                continue;
            };
            let mut chain: Vec<_> = self.chain(index).filter_map(|index| self.tree.id(index)).collect();
            chain.reverse();
            for id in chain {
                if !found.iter().any(|known| known == id) {
                    found.push(id.to_owned());
                }
            }
        }
        found
    }

    /// Magento looks below its second resource only: full access cannot be declared.
    fn below_admin(&self, id: &str) -> Option<ResourceIndex> {
        let admin = self.tree.find(ADMIN)?;
        self.tree.find(id).filter(|index| self.chain(*index).any(|above| above == admin))
    }

    /// A resource and all above it, from below.
    fn chain(&self, index: ResourceIndex) -> impl Iterator<Item = ResourceIndex> {
        std::iter::successors(Some(index), |index| self.tree.parent(*index))
    }
}

/// What every resource that can be declared stands below.
const ADMIN: &str = "Magento_Backend::admin";

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Arc};

    use super::*;

    const TREE: &str = r#"[
        {"id": "Magento_Backend::all"},
        {"id": "Magento_Backend::admin", "children": [
            {"id": "A_B::top", "children": [
                {"id": "A_B::middle", "children": [{"id": "A_B::leaf"}, {"id": "A_B::other"}]}
            ]},
            {"id": "C_D::top"}
        ]}
    ]"#;

    struct Read {
        declared: Vec<Declaration>,
        notes: Vec<String>,
        problems: Vec<String>,
    }

    /// Reads files as modules in this order have them.
    fn read(files: &[(Kind, &str)]) -> Read {
        let mut problems = Vec::new();
        let new = || Merged::new(keys);
        let mut documents = Documents { consolidated: new(), config: new(), api: new() };
        for (number, (kind, text)) in files.iter().enumerate() {
            let path: Arc<Path> = Arc::from(Path::new(&format!("{number}.xml")));
            let mut root = Element::parse(&path, text).unwrap();
            assert!(kind.shape().fit(&mut root, &mut problems));
            check(*kind, &root, &mut problems);
            let merged = match kind {
                Kind::Consolidated => &mut documents.consolidated,
                Kind::Config => &mut documents.config,
                Kind::Api => &mut documents.api,
            };
            merged.add(root, &mut problems);
        }
        let (declared, notes) = declarations(&documents, &AclTree::from_json(TREE).unwrap(), &mut problems);
        let lines = |problems: Vec<Problem>| problems.iter().map(ToString::to_string).collect();
        Read { declared, notes: lines(notes), problems: lines(problems) }
    }

    fn one(body: &str) -> String {
        format!("<config>\n<integration name=\"One\">\n{body}\n</integration></config>")
    }

    fn resources(read: &Read, place: usize) -> Vec<&str> {
        let DeclaredResources::Only(list) = &read.declared[place].resources else { panic!("all") };
        list.iter().map(String::as_str).collect()
    }

    #[test]
    fn ancestors_are_added_once_and_unknown_resources_pass_with_a_note() {
        for (listed, expected, notes) in [
            (&["A_B::leaf"][..], &[ADMIN, "A_B::top", "A_B::middle", "A_B::leaf"][..], 0),
            (
                &["A_B::leaf", "A_B::middle", "C_D::top"],
                &[ADMIN, "A_B::top", "A_B::middle", "A_B::leaf", "C_D::top"],
                0,
            ),
            (&["X_Y::z", "C_D::top"], &[ADMIN, "C_D::top"], 1),
            (&["X_Y::z"], &[], 1),
            (&["Magento_Backend::all"], &[], 1),
            (&["Magento_Backend::admin"], &[ADMIN], 0),
            (&[], &[], 0),
        ] {
            let listed: String = listed.iter().map(|id| format!("<resource name=\"{id}\"/>\n")).collect();
            let body = format!("<email>a@b.c</email><resources>\n{listed}</resources>");
            let found = read(&[(Kind::Consolidated, &one(&body))]);
            assert_eq!(found.problems, [""; 0]);
            assert_eq!(resources(&found, 0), expected, "{listed}");
            assert_eq!(found.notes.len(), notes, "{listed}");
        }
        let body = "<email>a@b.c</email><resources>\n<resource name=\"X_Y::z\"/></resources>";
        let found = read(&[(Kind::Consolidated, &one(body))]);
        assert_eq!(
            found.notes,
            [
                "0.xml:4: the ACL resource X_Y::z is in no acl.xml below Magento_Backend::admin; it is passed over"
            ]
        );
    }

    #[test]
    fn later_modules_add_resources_and_overwrite_texts() {
        let found = read(&[
            (
                Kind::Consolidated,
                &one("<resources><resource name=\"C_D::top\"/></resources><email>a@b.c</email>"),
            ),
            (
                Kind::Consolidated,
                &one(
                    "<endpoint_url>https://a.b/c</endpoint_url><resources><resource name=\"A_B::top\"/></resources>",
                ),
            ),
            (Kind::Consolidated, &one("<email> new@b.c </email>")),
        ]);
        assert_eq!((found.problems, found.notes), (vec![], vec![]));
        let [declared] = found.declared.as_slice() else { panic!("{:?}", found.declared) };
        assert_eq!(declared.email, "new@b.c");
        assert_eq!(declared.endpoint.as_deref(), Some("https://a.b/c"));
        assert_eq!(
            declared.resources,
            DeclaredResources::Only([ADMIN, "C_D::top", "A_B::top"].map(str::to_owned).to_vec())
        );
    }

    #[test]
    fn the_older_files_count_where_no_newer_one_does() {
        let config = "<integrations><integration name=\"One\"><email>old@b.c</email></integration>
            <integration name=\"Two\"><email>two@b.c</email></integration>
            <integration name=\"Three\"><email>three@b.c</email></integration></integrations>";
        let api = "<integrations><integration name=\"One\"><resources><resource name=\"A_B::top\"/></resources></integration>
            <integration name=\"Two\"><resources><resource name=\"A_B::top\"/></resources></integration>
            <integration name=\"Four\"><resources/></integration></integrations>";
        let found = read(&[
            (Kind::Config, config),
            (Kind::Api, api),
            (Kind::Consolidated, &one("<email>a@b.c</email>")),
        ]);
        assert_eq!(found.problems, [""; 0]);
        let known: Vec<_> =
            found.declared.iter().map(|one| (one.name.as_str(), one.email.as_str())).collect();
        assert_eq!(known, [("One", "a@b.c"), ("Two", "two@b.c"), ("Three", "three@b.c")]);
        assert_eq!(
            [resources(&found, 0), resources(&found, 1), resources(&found, 2)],
            [vec![], vec![ADMIN, "A_B::top"], vec![]]
        );
        assert_eq!(
            found.notes,
            [
                "1.xml:3: the integration Four is in no integration/config.xml; it is passed over",
                "0.xml:1: an integration.xml declares this integration too, and counts alone",
            ]
        );
    }

    fn assert_problem(kind: Kind, text: &str, problem: &str) {
        let found = read(&[(kind, text)]).problems;
        assert!(found.iter().any(|line| line.starts_with(problem)), "{text}: {found:?}");
    }

    #[test]
    fn what_the_newer_schema_refuses_is_a_problem_with_its_line() {
        const EMAIL: &str = "<email>a@b.c</email>";
        for (name, body, problem) in [
            ("One", "", "0.xml:2: the integration One: its email is no address such as it@example.com"),
            ("One", "<email>a@b</email>", "0.xml:2: the integration One: its email"),
            ("One", "EMAIL<endpoint_url>ftp</endpoint_url>", "0.xml:2: the integration One: its endpoint"),
            ("One", "EMAIL\nEMAIL", "0.xml:4: <email> stands in <integration> twice"),
            (
                "One",
                "EMAIL<resources><resource name=\"Sales::x\"/></resources>",
                "0.xml:3: <resource> has a name that is not like Vendor_Module::name: \"Sales::x\"",
            ),
            ("One", "EMAIL<phone/>", "0.xml:3: <phone> is unknown in <integration>"),
            ("O", "EMAIL", "0.xml:2: the integration O: its name is not 2 to 255"),
        ] {
            let text = one(&body.replace("EMAIL", EMAIL)).replace("One", name);
            assert_problem(Kind::Consolidated, &text, problem);
        }
    }

    #[test]
    fn what_the_older_schemas_refuse_is_a_problem_with_its_line() {
        let named = |name: &str| format!("<integration name=\"{name}\"><email>a@b.c</email></integration>");
        let url_first = named("One").replace("<email>", "<endpoint_url>https://a</endpoint_url><email>");
        for (kind, body, problem) in [
            (Kind::Config, url_first, "0.xml:2: <integration> has its elements not in the order"),
            (Kind::Config, "<integration name=\"One\"/>".into(), "0.xml:2: <integration> has no <email>"),
            (Kind::Api, "<integration name=\"One\"/>".into(), "0.xml:2: <integration> has no <resources>"),
            (
                Kind::Config,
                named("One") + "\n" + &named("One"),
                "0.xml:3: the integration One stands in this file twice",
            ),
            (
                Kind::Config,
                named("One") + "\n" + &named("ONE"),
                "0.xml:3: the integration ONE: there is another one",
            ),
            (Kind::Config, named(""), "0.xml:2: <integration> has no name"),
        ] {
            assert_problem(kind, &format!("<integrations>\n{body}\n</integrations>"), problem);
        }
    }

    #[test]
    fn resource_names_are_those_of_the_schemas_pattern() {
        for (name, expected) in [
            ("Magento_Sales::actions", true),
            ("a_b::c", true),
            ("a_b::c::d", true),
            ("a::b_c::d", true),
            ("a::b", false),
            ("_b::c", false),
            ("a_::c", false),
            ("a_b::", false),
            ("a_b:c", false),
            ("", false),
        ] {
            assert_eq!(is_resource_name(name), expected, "{name}");
        }
    }
}
