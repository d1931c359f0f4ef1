//! Route templates as a tree of segments, one for each method.
//!
//! Magento walks the sorted list of routes and lets the last match win. Here every template carries its place in that
//! order as a rank, a path is walked down the tree, and the highest rank at its end wins: the same answer without
//! looking at routes that cannot match. Names of variables are not kept; of two templates that differ in them alone the
//! higher rank always wins.

use hashbrown::HashMap;

use crate::auth::route::Segments;

/// The templates of one method.
#[derive(Debug, Clone)]
pub(super) struct Trie {
    nodes: Vec<Node>,
    rule: PrefixRule,
}

/// Whether the first two segments are compared as Magento's prefix filter has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PrefixRule {
    /// A path must match `^/?\w+/\w+`, and a template must start with what that matched: a variable never stands in the
    /// first two segments, and numbers there are compared as text (`MAGENTO_AUTH` section 8.7).
    Magento,
    /// All segments are alike.
    None,
}

#[derive(Debug, Clone, Default)]
struct Node {
    literals: HashMap<Box<str>, usize>,
    /// Those of the literals that PHP takes for numbers, which equal other spellings of the same number.
    numbers: Vec<(Number, usize)>,
    variable: Option<usize>,
    /// The rank of the template that ends here.
    rank: Option<u32>,
    /// The highest rank here and below.
    best_below: u32,
}

/// A numeric string as PHP 8 compares it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Number {
    Int(i64),
    Float(f64),
}

impl Trie {
    /// A tree without templates.
    pub(super) fn new(rule: PrefixRule) -> Self {
        Self { nodes: vec![Node::default()], rule }
    }

    /// Adds a template. Ranks must come in ascending order.
    pub(super) fn insert(&mut self, template: Segments<'_>, rank: u32) {
        let mut at = 0;
        self.raise(at, rank);
        for segment in template {
            at = self.child(at, segment);
            self.raise(at, rank);
        }
        if let Some(node) = self.nodes.get_mut(at) {
            node.rank = Some(rank);
        }
    }

    /// The highest rank of the templates that match.
    pub(super) fn find(&self, segments: Segments<'_>) -> Option<u32> {
        let mut best = None;
        match self.rule {
            PrefixRule::None => self.walk(0, segments, &mut best),
            PrefixRule::Magento => self.walk_behind_prefix(segments, &mut best)?,
        }
        best
    }

    fn walk_behind_prefix(&self, mut segments: Segments<'_>, best: &mut Option<u32>) -> Option<()> {
        let first = segments.next().filter(|segment| segment.bytes().all(is_word))?;
        let second = segments.next().filter(|segment| segment.bytes().next().is_some_and(is_word))?;
        let parent = self.nodes.get(*self.nodes.first()?.literals.get(first)?)?;
        for start in parent.literals.get(second).copied().into_iter().chain(parent.longer_spellings(second)) {
            self.walk(start, segments.clone(), best);
        }
        Some(())
    }

    /// Follows every branch that the segments fit and that could still beat the best rank. As deep as the longest
    /// template.
    fn walk(&self, at: usize, mut segments: Segments<'_>, best: &mut Option<u32>) {
        let Some(node) = self.nodes.get(at).filter(|node| best.is_none_or(|best| node.best_below > best))
        else {
            return;
        };
        let Some(segment) = segments.next() else {
            *best = (*best).max(node.rank);
            return;
        };
        if let Some(literal) = node.literals.get(segment) {
            self.walk(*literal, segments.clone(), best);
        }
        for number in node.other_spellings(segment) {
            self.walk(number, segments.clone(), best);
        }
        if let Some(variable) = node.variable {
            self.walk(variable, segments, best);
        }
    }

    fn raise(&mut self, at: usize, rank: u32) {
        if let Some(node) = self.nodes.get_mut(at) {
            node.best_below = rank;
        }
    }

    fn child(&mut self, at: usize, segment: &str) -> usize {
        let next = self.nodes.len();
        let Some(node) = self.nodes.get_mut(at) else { return next };
        let child = if segment.starts_with(':') {
            *node.variable.get_or_insert(next)
        } else {
            *node.literals.entry(segment.into()).or_insert(next)
        };
        if child == next {
            node.numbers.extend(Number::parse(segment).map(|number| (number, next)));
            self.nodes.push(Node::default());
        }
        child
    }
}

impl Node {
    /// Other spellings of a number that begin with its first word: a template with `1.0` begins with what was matched of `1`.
    fn longer_spellings(&self, segment: &str) -> impl Iterator<Item = usize> {
        let word = segment.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default();
        let begins = move |at: usize| {
            self.literals.iter().any(|(literal, place)| *place == at && literal.starts_with(word))
        };
        self.other_spellings(segment).filter(move |at| begins(*at))
    }

    fn other_spellings(&self, segment: &str) -> impl Iterator<Item = usize> {
        let number = if self.numbers.is_empty() { None } else { Number::parse(segment) };
        self.numbers
            .iter()
            .filter(move |(known, _)| number.is_some_and(|number| number.equals(*known)))
            .map(|(_, at)| *at)
    }
}

impl Number {
    /// Reads what PHP 8 takes for a numeric string; blanks around it cannot occur in a path.
    fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
        if !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
            return None;
        }
        text.parse().map(Self::Int).or_else(|_| text.parse().map(Self::Float)).ok()
    }

    /// `==` of two numeric strings. Two that both exceed the integers are compared as text, which the caller has done.
    fn equals(self, other: Self) -> bool {
        match (self, other) {
            (Self::Int(one), Self::Int(other)) => one == other,
            (Self::Int(int), Self::Float(float)) | (Self::Float(float), Self::Int(int)) => {
                int as f64 == float
            }
            (Self::Float(one), Self::Float(other)) => one == other && one.abs() < i64::MAX as f64,
        }
    }
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_as_php_8_does() {
        let equal =
            [("1", "01"), ("1", "1.0"), ("1", "1e0"), ("+1", "1"), ("0", "-0"), (".5", "0.5"), ("1.", "1")];
        let different =
            [("1", "2"), ("1", "1a"), ("1", "0x1"), ("a", "A"), ("1", ""), ("1", "%31"), ("1", "inf")];
        let loosely = |one, other| {
            Number::parse(one).zip(Number::parse(other)).is_some_and(|(one, other)| one.equals(other))
        };
        for (one, other) in equal {
            assert!(loosely(one, other), "{one} {other}");
        }
        for (one, other) in different {
            assert!(!loosely(one, other), "{one} {other}");
        }
        assert!(!loosely("9223372036854775808", "9223372036854775808.0"), "the first beyond the integers");
        assert!(loosely("1e18", "1000000000000000000.0"), "both are within");
        assert!(!loosely("99999999999999999999", "99999999999999999998"), "beyond the integers text decides");
    }
}
