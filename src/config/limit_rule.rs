//! A rate limit as `[[limits.rule]]` writes it, and a class of routes as `[[limits.class]]` does.
//!
//! What is checked here needs no other setting; whether a rule's class exists is for the section.

use std::{fmt::Display, num::NonZeroU32, sync::Arc};

use figment::value::{Dict, Value};

use super::{
    finding::shown,
    keys::edits,
    lenient::{Leaf, Words, kind, text},
};
use crate::auth::{
    identity::UserType,
    quota::{Quota, Rate},
    route::RoutePattern,
};

const RULE_FIELDS: [&str; 7] = ["name", "by", "of", "class", "rate", "burst", "mode"];
const CLASS_FIELDS: [&str; 2] = ["name", "routes"];

/// Longer names would make long metric labels and header fields.
const MAX_NAME: usize = 64;

/// A rate limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitRule {
    /// What log, figures and headers call it.
    pub name: Arc<str>,
    /// Whose requests are counted together.
    pub by: LimitBy,
    /// The kinds of callers that it is for; empty for all.
    pub of: Vec<UserType>,
    /// The requests that it is for; `None` for all.
    pub class: Option<LimitClass>,
    /// How many requests in what time.
    pub rate: Rate,
    /// How many at once.
    pub burst: NonZeroU32,
    /// Whether it refuses.
    pub mode: LimitMode,
}

/// Whose requests are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitBy {
    /// One user; guests by address.
    Identity,
    /// One consumer; callers without one as by identity.
    Consumer,
    /// Everybody with a role; callers without one as by context.
    Role,
    /// Every caller of a kind.
    Context,
    /// A network.
    Address,
}

/// Which requests a rule is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LimitClass {
    /// Nobody has to be known.
    Anonymous,
    /// GET, HEAD and OPTIONS.
    Read,
    /// Every other method.
    Write,
    /// Requests whose credential is not cached: each asks the store.
    Lookup,
    /// The routes of a `[[limits.class]]`.
    Named(String),
}

/// Whether a rule refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitMode {
    /// Yes.
    Enforce,
    /// No: it counts and logs.
    Report,
}

/// Routes with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteClass {
    /// The name.
    pub name: String,
    /// Which routes.
    pub routes: Vec<RoutePattern>,
}

impl Words for LimitBy {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("identity", Self::Identity),
        ("consumer", Self::Consumer),
        ("role", Self::Role),
        ("context", Self::Context),
        ("address", Self::Address),
    ];
}

impl Words for LimitMode {
    const WORDS: &'static [(&'static str, Self)] = &[("enforce", Self::Enforce), ("report", Self::Report)];
}

impl Words for UserType {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("guest", Self::Guest),
        ("customer", Self::Customer),
        ("admin", Self::Admin),
        ("integration", Self::Integration),
    ];
}

impl LimitClass {
    /// Words that no `[[limits.class]]` may be named.
    pub(super) const WORDS: [&'static str; 4] = ["anonymous", "read", "write", "lookup"];

    fn of(word: &str) -> Self {
        match word {
            "anonymous" => Self::Anonymous,
            "read" => Self::Read,
            "write" => Self::Write,
            "lookup" => Self::Lookup,
            named => Self::Named(named.to_owned()),
        }
    }

    fn as_str(&self) -> &str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Read => "read",
            Self::Write => "write",
            Self::Lookup => "lookup",
            Self::Named(name) => name,
        }
    }
}

impl LimitRule {
    fn of(table: &Dict) -> Result<Self, Vec<String>> {
        let mut fields = Fields { table, wrong: unknown(table, &RULE_FIELDS) };
        let name = fields.name();
        let by = fields.required::<LimitBy>("by");
        let rate = fields.required::<Rate>("rate");
        let burst = fields.optional::<NonZeroU32>("burst");
        let rule = Self {
            name: name.into(),
            by: by.unwrap_or(LimitBy::Address),
            of: fields.optional("of").unwrap_or_default(),
            class: fields.optional::<String>("class").as_deref().map(LimitClass::of),
            // Where it is missing that was noted, and no rule comes of it.
            rate: rate.unwrap_or(Rate { count: NonZeroU32::MIN, period: crate::auth::quota::Period::Day }),
            burst: burst.or_else(|| rate.map(|rate| rate.count)).unwrap_or(NonZeroU32::MIN),
            mode: fields.optional("mode").unwrap_or(LimitMode::Enforce),
        };
        let mut wrong = fields.wrong;
        if wrong.is_empty() {
            wrong.extend(rule.mistakes());
        }
        if wrong.is_empty() { Ok(rule) } else { Err(wrong) }
    }

    fn mistakes(&self) -> Option<String> {
        if Quota::new(self.rate, self.burst).burst() < self.burst {
            return Some("its burst takes longer than a day to come back; choose a smaller burst".to_owned());
        }
        (self.class == Some(LimitClass::Lookup) && (self.by != LimitBy::Address || !self.of.is_empty())).then(
            || {
                "its class \"lookup\" is asked before anybody is known; write by = \"address\" without of"
                    .to_owned()
            },
        )
    }
}

impl Leaf for LimitRule {
    fn read(value: &Value) -> Result<Self, String> {
        read(value, "rule", "write [[limits.rule]] with name, by and rate", Self::of)
    }

    /// The whole rule: a reload compares by what is shown.
    fn show(&self) -> String {
        let Self { name, by, of, class, rate, burst, mode } = self;
        let mut text = format!("{name}: by {}", by.show());
        if !of.is_empty() {
            text.push_str(&format!(" of {}", of.iter().map(Leaf::show).collect::<Vec<_>>().join("+")));
        }
        if let Some(class) = class {
            text.push_str(&format!(" class {}", class.as_str()));
        }
        text.push_str(&format!(" {rate} burst {burst} {}", mode.show()));
        text
    }
}

impl Leaf for RouteClass {
    fn read(value: &Value) -> Result<Self, String> {
        read(value, "class", "write [[limits.class]] with name and routes", |table| {
            let mut fields = Fields { table, wrong: unknown(table, &CLASS_FIELDS) };
            let name = fields.name();
            if LimitClass::WORDS.contains(&name.as_str()) {
                fields.wrong.push("its name is that of a class which is always there".to_owned());
            }
            let routes: Vec<RoutePattern> = fields.required("routes").unwrap_or_default();
            if routes.is_empty() && fields.wrong.is_empty() {
                fields.wrong.push("it has no routes".to_owned());
            }
            if fields.wrong.is_empty() { Ok(Self { name, routes }) } else { Err(fields.wrong) }
        })
    }

    fn show(&self) -> String {
        let routes: Vec<_> = self.routes.iter().map(ToString::to_string).collect();
        format!("{}: {}", self.name, routes.join(" + "))
    }
}

impl Leaf for RoutePattern {
    fn read(value: &Value) -> Result<Self, String> {
        let written = text(value)?;
        Self::parse(written).map_err(|reason| format!("\"{}\" is no pattern: {reason}", shown(written)))
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Leaf for Rate {
    fn read(value: &Value) -> Result<Self, String> {
        let written = text(value)?;
        let way_out = "write \"100/s\", \"600/m\", \"1000/h\" or \"5000/d\"";
        Self::parse(written).ok_or_else(|| format!("\"{}\" is not a rate; {way_out}", shown(written)))
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Leaf for NonZeroU32 {
    fn read(value: &Value) -> Result<Self, String> {
        let number = usize::read(value)?;
        let number = u32::try_from(number).ok().and_then(Self::new);
        number
            .filter(|number| number.get() <= 1_000_000)
            .ok_or_else(|| "is not between 1 and 1000000".to_owned())
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

fn read<T>(
    value: &Value,
    what: &str,
    way_out: &str,
    of: impl FnOnce(&Dict) -> Result<T, Vec<String>>,
) -> Result<T, String> {
    let Some(table) = value.as_dict() else {
        return Err(format!("{} is not a {what}; {way_out}", kind(value)));
    };
    let name = table.get("name").and_then(Value::as_str).unwrap_or("(without a name)");
    of(table).map_err(|wrong| format!("{what} \"{}\": {}", shown(name), wrong.join(", ")))
}

/// A table's fields, and what is wrong with them.
struct Fields<'a> {
    table: &'a Dict,
    wrong: Vec<String>,
}

impl Fields<'_> {
    /// A name is a metric label and a quoted string of a header.
    fn name(&mut self) -> String {
        let name = self.required::<String>("name").unwrap_or_default();
        let is_plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
        if self.wrong.is_empty() && !((1..=MAX_NAME).contains(&name.len()) && name.bytes().all(is_plain)) {
            self.wrong.push(format!("its name is not 1 to {MAX_NAME} of the characters a-z 0-9 - _ ."));
        }
        name
    }

    fn required<T: Leaf>(&mut self, field: &'static str) -> Option<T> {
        if !self.table.contains_key(field) {
            self.wrong.push(format!("its {field} is missing"));
        }
        self.optional(field)
    }

    fn optional<T: Leaf>(&mut self, field: &'static str) -> Option<T> {
        let read = T::read(self.table.get(field)?);
        read.map_err(|reason| self.wrong.push(about(field, reason))).ok()
    }
}

fn about(field: &str, reason: impl Display) -> String {
    format!("its {field}: {reason}")
}

fn unknown(table: &Dict, known: &[&'static str]) -> Vec<String> {
    let unknown = table.keys().filter(|field| !known.contains(&field.as_str()));
    let described = unknown.map(|field| {
        let nearest = known.iter().min_by_key(|known| edits(&shown(field), known));
        format!("{} is not known here; did you mean {}?", shown(field), nearest.unwrap_or(&""))
    });
    described.collect()
}
