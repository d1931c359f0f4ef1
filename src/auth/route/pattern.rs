//! Patterns that name several routes at once, for rules that hold for some routes only.
//!
//! A pattern is an optional method and a path: `POST /V1/carts/*/items`, `/V1/products/**`. `*` stands for one segment, `**`
//! for any number of them. A path is looked at as it was sent and as it reads decoded, so that no spelling of it escapes.

use std::fmt;

use super::percent::{Decode, decode};

/// The longest pattern; each `**` multiplies the work of matching.
const MOST_SEGMENTS: usize = 32;

/// A pattern of routes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutePattern {
    text: String,
    method: Option<String>,
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Named(String),
    One,
    Any,
}

impl RoutePattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (method, path) = match text.split_once(' ') {
            Some((method, path)) => (Some(method), path.trim()),
            None => (None, text),
        };
        if method
            .is_some_and(|method| method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase()))
        {
            return Err("its method is not in capitals; write \"POST /V1/…\"");
        }
        if !path.starts_with('/') || path.contains([' ', '?', '#']) {
            return Err("its path is none; write \"/V1/products/**\"");
        }
        let segments: Vec<_> =
            path.split('/').filter(|segment| !segment.is_empty()).map(Segment::of).collect();
        if segments.len() > MOST_SEGMENTS
            || segments.iter().filter(|segment| **segment == Segment::Any).count() > 2
        {
            return Err("it has more than 32 segments, or more than two \"**\"");
        }
        Ok(Self { text: text.to_owned(), method: method.map(ToOwned::to_owned), segments })
    }

    /// Whether a request is one of those that are meant: `path` is a route's template, or the path as sent.
    #[must_use]
    pub fn matches(&self, method: &str, path: &str) -> bool {
        if self.method.as_deref().is_some_and(|meant| meant != method) {
            return false;
        }
        let fits = |path: &str| fits(&self.segments, path.split('/').filter(|segment| !segment.is_empty()));
        fits(path) || (path.contains('%') && fits(&decode(path, Decode::All)))
    }
}

impl fmt::Display for RoutePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Segment {
    fn of(text: &str) -> Self {
        match text {
            "*" => Self::One,
            "**" => Self::Any,
            named => Self::Named(named.to_owned()),
        }
    }
}

#[expect(single_use_lifetimes, reason = "an iterator argument cannot leave its items' lifetime out yet")]
fn fits<'a>(pattern: &[Segment], mut path: impl Iterator<Item = &'a str> + Clone) -> bool {
    let Some((first, rest)) = pattern.split_first() else {
        return path.next().is_none();
    };
    match first {
        Segment::Named(name) => path.next() == Some(name.as_str()) && fits(rest, path),
        Segment::One => path.next().is_some() && fits(rest, path),
        Segment::Any => loop {
            if fits(rest, path.clone()) {
                return true;
            }
            if path.next().is_none() {
                return false;
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_names_routes() {
        for (pattern, method, path, expected) in [
            ("/V1/products", "GET", "/V1/products", true),
            ("/V1/products", "GET", "/V1/products/1", false),
            ("/V1/products/*", "GET", "/V1/products/:sku", true),
            ("/V1/products/*", "GET", "/V1/products", false),
            ("/V1/products/**", "GET", "/V1/products", true),
            ("/V1/products/**", "DELETE", "/V1/products/:sku/media/:id", true),
            ("GET /V1/products/**", "DELETE", "/V1/products/:sku", false),
            ("POST /V1/carts/*/items", "POST", "/V1/carts/mine/items", true),
            ("**/items", "POST", "x", false),
            ("/**/items", "POST", "/V1/carts/mine/items", true),
            ("/**/items", "POST", "/V1/items/1", false),
            ("/graphql", "POST", "//graph%71l", true),
            ("/graphql", "POST", "/graphq%6D", false),
            ("/graphql", "POST", "/GraphQL", false),
            ("/", "GET", "/", true),
        ] {
            let Ok(pattern) = RoutePattern::parse(pattern) else {
                assert!(!expected, "{pattern}");
                continue;
            };
            assert_eq!(pattern.matches(method, path), expected, "{pattern} {method} {path}");
        }
    }

    #[test]
    fn the_longest_pattern_is_still_one() {
        for text in ["/a".repeat(32).as_str(), "/**/a/**", "/a/b/"] {
            assert!(RoutePattern::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_pattern_is_shown_as_it_was_written() {
        for text in ["POST /V1/products/**", "/V1/*//x", "GET  /V1"] {
            assert_eq!(RoutePattern::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_pattern_is_told() {
        for text in
            ["", "V1/products", "get /V1", " /V1", "GET", "GET V1", "/a?b", "/**/a/**/b/**", &"/a".repeat(33)]
        {
            assert!(RoutePattern::parse(text).is_err(), "{text}");
        }
    }
}
