//! `upstream.url` and `[[upstream.endpoint]]`: who answers, one or several.
//!
//! Nothing is resolved here. Names tell endpoints apart in figures and in the access log, so there are as many as are
//! written, and no two alike.

use std::collections::HashSet;

use figment::value::{Dict, Value};

use super::{
    finding::shown,
    keys::edits,
    lenient::{Leaf, Lenient, kind, text},
    origin::{Origin, Scheme},
    report::Report,
};

/// What can be said of an endpoint.
const FIELDS: [&str; 4] = ["url", "name", "weight", "max_connections"];

/// More would make each choice slow.
const MOST: usize = 64;

/// The largest share.
const MAX_WEIGHT: usize = 1000;

/// The most connections that make sense to name.
const MAX_CONNECTIONS: usize = 100_000;

/// Longest name.
const MAX_NAME: usize = 64;

/// Someone who answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamEndpoint {
    /// Its name in figures and lines.
    pub name: String,
    /// Where it listens.
    pub origin: Origin,
    /// Its share beside the others'.
    pub weight: u32,
    /// Most connections; `None` for `upstream.max_connections`.
    pub max_connections: Option<usize>,
}

impl UpstreamEndpoint {
    /// The port, which the scheme decides where none is written.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.origin.authority.port.unwrap_or(match self.origin.scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        })
    }

    /// The endpoints of a configuration: those of the list, or the one of the URL.
    pub(super) fn take(
        url: Lenient<Origin>,
        list: Lenient<Vec<Self>>,
        report: &mut Report,
    ) -> Option<Vec<Self>> {
        if !list.is_written() {
            let hint = "write one such as \"http://127.0.0.1:8081\", or several as [[upstream.endpoint]]";
            let origin = report.require("upstream.url", url, hint)?;
            report.take_optional("upstream.endpoint", list);
            return Some(vec![Self::of(origin)]);
        }
        let has_url = url.is_written();
        report.take_optional("upstream.url", url);
        let endpoints = report.take_optional("upstream.endpoint", list)?;
        if has_url {
            report.error("upstream.url", "stands beside [[upstream.endpoint]]; keep one of the two");
        }
        if let Some(mistake) = mistake(&endpoints) {
            report.error("upstream.endpoint", mistake);
            return None;
        }
        Some(endpoints)
    }

    fn of(origin: Origin) -> Self {
        Self { name: origin.authority.to_string(), origin, weight: 1, max_connections: None }
    }

    fn read_table(table: &Dict) -> Result<Self, Vec<String>> {
        let mut wrong = unknown(table);
        let mut noted = |found: Result<Option<usize>, String>| {
            found.unwrap_or_else(|reason| {
                wrong.push(reason);
                None
            })
        };
        let weight = noted(number(table, "weight", 1..=MAX_WEIGHT));
        let max_connections = noted(number(table, "max_connections", 0..=MAX_CONNECTIONS));
        let origin = match table.get("url").map(Origin::read) {
            Some(Ok(origin)) => Some(origin),
            Some(Err(reason)) => {
                wrong.push(format!("its url {reason}"));
                None
            }
            None => {
                wrong.push("its url is missing".to_owned());
                None
            }
        };
        let name = match table.get("name").map(name) {
            Some(Err(reason)) => {
                wrong.push(reason);
                None
            }
            Some(Ok(name)) => Some(name),
            None => None,
        };
        match origin {
            Some(origin) if wrong.is_empty() => Ok(Self {
                name: name.unwrap_or_else(|| origin.authority.to_string()),
                origin,
                weight: weight.and_then(|weight| u32::try_from(weight).ok()).unwrap_or(1),
                max_connections,
            }),
            Some(_) | None => Err(wrong),
        }
    }
}

impl Leaf for UpstreamEndpoint {
    fn read(value: &Value) -> Result<Self, String> {
        if value.as_str().is_some() {
            return Origin::read(value).map(Self::of);
        }
        let Some(table) = value.as_dict() else {
            let way_out =
                "write [[upstream.endpoint]] with url, and name, weight and max_connections as needed";
            return Err(format!("{} is not an endpoint; {way_out}", kind(value)));
        };
        let called = table.get("name").or_else(|| table.get("url")).and_then(Value::as_str);
        // A URL may hold a password, which its reader refuses without repeating it.
        let called = called.filter(|called| !called.contains('@')).map_or_else(|| "?".to_owned(), shown);
        Self::read_table(table).map_err(|wrong| format!("endpoint \"{called}\": {}", wrong.join(", ")))
    }

    fn show(&self) -> String {
        let Self { name, origin, weight, max_connections } = self;
        let limit = max_connections.map_or_else(String::new, |most| format!(" max_connections={most}"));
        format!("{name}={origin} weight={weight}{limit}")
    }
}

fn mistake(endpoints: &[UpstreamEndpoint]) -> Option<String> {
    if endpoints.is_empty() || endpoints.len() > MOST {
        return Some(format!("has {} endpoints; write 1 to {MOST}", endpoints.len()));
    }
    let mut names = HashSet::new();
    let twice = endpoints.iter().find(|endpoint| !names.insert(&endpoint.name))?;
    Some(format!("\"{}\" stands there twice; give each a name of its own", shown(&twice.name)))
}

fn number(
    table: &Dict,
    field: &str,
    range: std::ops::RangeInclusive<usize>,
) -> Result<Option<usize>, String> {
    let Some(value) = table.get(field) else { return Ok(None) };
    let number = usize::read(value).map_err(|reason| format!("its {field}: {reason}"))?;
    if range.contains(&number) {
        return Ok(Some(number));
    }
    Err(format!("its {field} is out of range; choose between {} and {}", range.start(), range.end()))
}

fn name(value: &Value) -> Result<String, String> {
    let name = text(value).map_err(|reason| format!("its name: {reason}"))?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:[]".contains(&byte);
    if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(is_plain) {
        return Err(format!("its name is not 1 to {MAX_NAME} letters, digits, dashes, dots and colons"));
    }
    Ok(name.to_owned())
}

fn unknown(table: &Dict) -> Vec<String> {
    let unknown = table.keys().filter(|field| !FIELDS.contains(&field.as_str()));
    let described = unknown.map(|field| {
        let nearest = FIELDS.into_iter().min_by_key(|known| edits(&shown(field), known));
        format!("{} is not known here; did you mean {}?", shown(field), nearest.unwrap_or_default())
    });
    described.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(table: &str) -> Result<UpstreamEndpoint, String> {
        let value: Value = serde_json::from_str(table).unwrap();
        UpstreamEndpoint::read(&value)
    }

    #[test]
    fn an_endpoint_is_a_url_and_what_stands_beside_it() {
        for (table, shown, port) in [
            (r#""http://a:81""#, "a:81=http://a:81 weight=1", 81),
            (r#"{"url": "http://a"}"#, "a=http://a weight=1", 80),
            (r#"{"url": "https://[::1]", "weight": 3}"#, "[::1]=https://[::1] weight=3", 443),
            (
                r#"{"url": "http://a:81", "name": "one", "max_connections": 5}"#,
                "one=http://a:81 weight=1 max_connections=5",
                81,
            ),
        ] {
            let endpoint = read(table).unwrap();
            assert_eq!((endpoint.show().as_str(), endpoint.port()), (shown, port));
        }
    }

    #[test]
    fn what_is_no_endpoint_is_told() {
        for (table, reason) in [
            ("5", "the number is not an endpoint"),
            ("{}", "its url is missing"),
            (r#"{"url": "http://a/b"}"#, "its url has a path"),
            (r#"{"url": "http://a", "wieght": 2}"#, "wieght is not known here; did you mean weight?"),
            (r#"{"url": "http://a", "weight": 0}"#, "its weight is out of range; choose between 1 and 1000"),
            (r#"{"url": "http://a", "name": "a b"}"#, "its name is not"),
        ] {
            let error = read(table).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
        let secret = read(r#"{"url": "http://user:hunter2@h"}"#).unwrap_err();
        assert!(!secret.contains("hunter2"), "{secret}");
    }
}
