//! An integration as a configuration declares it: in `[[integrations.declared]]`, or in the file that `portcullis import`
//! writes.
//!
//! Both have the same form and the same reader, so that there is one rule. What is checked here needs no tree: Magento's
//! schemas (`MAGENTO_AUTH` section 12.1) and the widths of the columns. Whether a resource exists and a callback may be
//! posted to is for whoever has the tree and the rules.

use std::collections::HashSet;

use figment::value::{Dict, Value};
use serde::{Serialize, Serializer};

use super::{
    finding::shown,
    keys::edits,
    lenient::{Leaf, kind, text},
};
use crate::auth::acl::ROOT_RESOURCE;

/// `integration.name`, `email`, `endpoint` and `identity_link_url` are this wide.
const MAX_TEXT: usize = 255;

/// What can be said of an integration.
const FIELDS: [&str; 5] = ["name", "email", "endpoint", "identity_link_url", "resources"];

/// The word for everything.
const ALL: &str = "all";

/// An integration as a configuration declares it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Declaration {
    /// Its name, which no other one has in any case of its letters.
    pub name: String,
    /// Whom to write to.
    pub email: String,
    /// Where the verifier is posted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Where a person signs in at the third party.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity_link_url: Option<String>,
    /// What it may do.
    pub resources: DeclaredResources,
}

/// What a declared integration may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeclaredResources {
    /// Everything.
    All,
    /// These resources and no other.
    Only(Vec<String>),
}

impl Declaration {
    /// Reads the file that `portcullis import` writes.
    ///
    /// # Errors
    /// Why it is none, with every mistake.
    pub fn read_file(text: &str) -> Result<Vec<Self>, String> {
        let value = serde_json::from_str::<Value>(text).map_err(|error| format!("is not JSON: {error}"))?;
        if value.as_array().is_none() {
            return Err("is not a list of integrations; write it with portcullis import".to_owned());
        }
        <Vec<Self> as Leaf>::read(&value)
    }

    /// The name that two declarations have, in any case of its letters.
    #[must_use]
    pub fn repeated_name(declarations: &[Self]) -> Option<&str> {
        let mut names = HashSet::new();
        let mut repeated =
            declarations.iter().filter(|declared| !names.insert(declared.name.to_ascii_lowercase()));
        repeated.next().map(|declared| declared.name.as_str())
    }

    /// What Magento's schemas and the columns say against it; empty for nothing.
    #[must_use]
    pub fn mistakes(&self) -> Vec<String> {
        let Self { name, email, endpoint, identity_link_url, resources: _ } = self;
        let mut mistakes = Vec::new();
        if name.trim().chars().count() < 2 || !is_line(name) {
            mistakes.push("its name is not 2 to 255 characters of one line".to_owned());
        }
        if !is_email(email) {
            mistakes.push("its email is no address such as it@example.com".to_owned());
        }
        for (field, url) in [("endpoint", endpoint), ("identity_link_url", identity_link_url)] {
            if url.as_deref().is_some_and(|url| !is_url(url)) {
                mistakes
                    .push(format!("its {field} is no http or https URL of at most {MAX_TEXT} characters"));
            }
        }
        mistakes
    }

    fn of(table: &Dict) -> Result<Self, Vec<String>> {
        let mut fields = Fields { table, wrong: unknown_fields(table) };
        let declared = Self {
            name: fields.required("name"),
            email: fields.required("email"),
            endpoint: fields.optional("endpoint"),
            identity_link_url: fields.optional("identity_link_url"),
            resources: fields.resources(),
        };
        let mut wrong = fields.wrong;
        if wrong.is_empty() {
            wrong = declared.mistakes();
        }
        if wrong.is_empty() { Ok(declared) } else { Err(wrong) }
    }
}

impl Leaf for Declaration {
    fn read(value: &Value) -> Result<Self, String> {
        let Some(table) = value.as_dict() else {
            let way_out = "declare it as [[integrations.declared]] with name, email and resources";
            return Err(format!("{} is not an integration; {way_out}", kind(value)));
        };
        let name = table.get("name").and_then(Value::as_str).unwrap_or("(without a name)");
        Self::of(table).map_err(|wrong| format!("integration \"{}\": {}", shown(name), wrong.join(", ")))
    }

    fn show(&self) -> String {
        self.name.clone()
    }
}

impl Serialize for DeclaredResources {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::All => serializer.serialize_str(ALL),
            Self::Only(resources) => resources.serialize(serializer),
        }
    }
}

/// A declaration's fields, and what is wrong with them.
struct Fields<'a> {
    table: &'a Dict,
    wrong: Vec<String>,
}

impl Fields<'_> {
    fn required(&mut self, field: &'static str) -> String {
        let found = self.optional(field);
        if found.is_none() && !self.table.contains_key(field) {
            self.wrong.push(format!("its {field} is missing"));
        }
        found.unwrap_or_default()
    }

    fn optional(&mut self, field: &'static str) -> Option<String> {
        match text(self.table.get(field)?) {
            Ok(text) => Some(text.to_owned()),
            Err(reason) => {
                self.wrong.push(format!("its {field}: {reason}"));
                None
            }
        }
    }

    fn resources(&mut self) -> DeclaredResources {
        let way_out = "write a list of resources, or \"all\"";
        let found = match self.table.get("resources") {
            None => Err(format!("its resources are missing; {way_out}")),
            Some(value) if value.as_str() == Some(ALL) => Ok(DeclaredResources::All),
            Some(value) if value.as_array().is_none() => Err(format!("its resources are no list; {way_out}")),
            Some(value) => <Vec<String> as Leaf>::read(value)
                .map(DeclaredResources::Only)
                .map_err(|reason| format!("its resources: {reason}")),
        };
        let has_all = |list: &[String]| list.iter().any(|id| id == ROOT_RESOURCE || id == ALL);
        let found = match found {
            Ok(DeclaredResources::Only(list)) if has_all(&list) => {
                Err("its resources name everything in a list; write resources = \"all\"".to_owned())
            }
            other => other,
        };
        found.unwrap_or_else(|reason| {
            self.wrong.push(reason);
            DeclaredResources::Only(Vec::new())
        })
    }
}

fn unknown_fields(table: &Dict) -> Vec<String> {
    let unknown = table.keys().filter(|field| !FIELDS.contains(&field.as_str()));
    let described = unknown.map(|field| {
        let nearest = FIELDS.into_iter().min_by_key(|known| edits(&shown(field), known));
        format!("{} is not known here; did you mean {}?", shown(field), nearest.unwrap_or_default())
    });
    described.collect()
}

fn is_line(text: &str) -> bool {
    text.len() <= MAX_TEXT && !text.chars().any(char::is_control)
}

/// `[^@]+@[^\.]+\..+`, the pattern of Magento's schemas.
fn is_email(text: &str) -> bool {
    let host = text.split_once('@').filter(|(local, _)| !local.is_empty()).map(|(_, host)| host);
    let labels = host.and_then(|host| host.split_once('.'));
    is_line(text) && labels.is_some_and(|(first, rest)| !first.is_empty() && !rest.is_empty())
}

/// Something that a browser opens or a callback is posted to; Magento's schemas take any four characters.
fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    is_line(text)
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && rest.is_some_and(|rest| !rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(name: &str, email: &str, endpoint: Option<&str>) -> Declaration {
        Declaration {
            name: name.to_owned(),
            email: email.to_owned(),
            endpoint: endpoint.map(str::to_owned),
            identity_link_url: None,
            resources: DeclaredResources::All,
        }
    }

    #[test]
    fn what_the_schemas_and_columns_refuse_is_a_mistake() {
        let long = format!("https://{}", "a".repeat(248));
        for (name, email, endpoint, mistakes) in [
            ("ab", "a@b.c", None, 0),
            ("Warehouse 2", "it@shop.example.com", Some("https://a"), 0),
            ("ab", "a@b@c.d", Some("http://a/b?c=d"), 0),
            ("a", "a@b.c", None, 1),
            ("  a ", "a@b.c", None, 1),
            ("a\nb", "a@b.c", None, 1),
            ("ab", "", None, 1),
            ("ab", "a@b", None, 1),
            ("ab", "@b.c", None, 1),
            ("ab", "a@.c", None, 1),
            ("ab", "a@b.", None, 1),
            ("ab", "a@b.c\n", None, 1),
            ("ab", "a@b.c", Some(""), 1),
            ("ab", "a@b.c", Some("https://"), 1),
            ("ab", "a@b.c", Some("ftp://a"), 1),
            ("ab", "a@b.c", Some("https://a b"), 1),
            ("ab", "a@b.c", Some(&long), 1),
            ("a", "b", Some("c"), 3),
        ] {
            let found = declared(name, email, endpoint).mistakes();
            assert_eq!(found.len(), mistakes, "{name} {email} {endpoint:?}: {found:?}");
        }
    }

    #[test]
    fn a_file_is_read_as_it_was_written() {
        let mut some = declared("Warehouse", "it@example.com", Some("https://a/b"));
        some.resources = DeclaredResources::Only(vec!["A_B::c".to_owned()]);
        let all = declared("Other", "it@example.com", None);
        let text = serde_json::to_string(&[&some, &all]).unwrap();
        assert!(
            text.contains(r#""resources":["A_B::c"]"#) && text.contains(r#""resources":"all""#),
            "{text}"
        );
        assert_eq!(Declaration::read_file(&text).unwrap(), [some, all]);
        assert_eq!(Declaration::read_file("[]").unwrap(), []);
    }

    #[test]
    fn wrong_files_are_refused_with_every_mistake() {
        for (text, reason) in [
            ("{", "is not JSON"),
            ("\"a\"", "is not a list of integrations"),
            ("{}", "is not a list of integrations"),
            ("[1]", "the number is not an integration"),
            (r#"[{"name": "ab"}]"#, "integration \"ab\": its email is missing, its resources are missing"),
            (r#"[{"name": 1, "email": "a@b.c", "resources": []}]"#, "its name: the number is not text"),
            (r#"[{"name": "ab", "email": "a@b.c", "resources": "none"}]"#, "are no list"),
            (r#"[{"name": "ab", "email": "a@b.c", "resources": ["all"]}]"#, "write resources = \"all\""),
            (r#"[{"name": "ab", "email": "a@b.c", "resources": ["Magento_Backend::all"]}]"#, "= \"all\""),
            (
                r#"[{"name": "ab", "mail": "a@b.c", "resources": []}]"#,
                "mail is not known here; did you mean email?",
            ),
            (r#"[{"name": "a", "email": "b", "resources": []}, {"name": "c\n"}]"#, "; integration \"c\\n\""),
        ] {
            let error = Declaration::read_file(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn names_are_the_same_in_any_case_of_their_letters() {
        let named =
            |names: &[&str]| names.iter().map(|name| declared(name, "a@b.c", None)).collect::<Vec<_>>();
        assert_eq!(Declaration::repeated_name(&named(&["Ab", "bc"])), None);
        assert_eq!(Declaration::repeated_name(&named(&["Ab", "bc", "aB"])), Some("aB"));
    }
}
