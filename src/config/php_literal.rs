//! The array that a PHP file returns, read without PHP.
//!
//! Magento writes `app/etc/env.php` and `app/etc/config.php` with `var_export`: one array of arrays, text and numbers.
//! This reads such literals and nothing that would have to be run: a file that computes its values is refused, never
//! guessed at. Texts are wiped when dropped, because one of these files is full of secrets.

use crate::auth::secret::Secret;

/// Deeper arrays are not Magento's.
const MAX_DEPTH: usize = 32;

/// A value as PHP writes it.
#[derive(Debug)]
pub enum PhpLiteral {
    /// A quoted text.
    Text(Secret<String>),
    /// An array: what was written, in its order, with the key if one was written.
    Array(Vec<(Option<Self>, Self)>),
    /// A number, `true`, `false` or `null`, as written.
    Scalar(String),
}

/// The file is more than a plain array of literals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a plain array of literals")]
pub struct NotLiteral {
    /// Where the reader gave up, from 1.
    pub line: usize,
}

/// What is left of the file.
struct Reader<'a> {
    rest: &'a str,
}

impl PhpLiteral {
    /// Reads a file that consists of `<?php return …;`.
    ///
    /// # Errors
    /// [`NotLiteral`] for anything that only PHP could read.
    pub fn read_file(text: &str) -> Result<Self, NotLiteral> {
        let mut reader = Reader { rest: text };
        reader.file().ok_or_else(|| {
            let read = text.len() - reader.rest.len();
            NotLiteral { line: 1 + text.bytes().take(read).filter(|byte| *byte == b'\n').count() }
        })
    }

    /// The entry of a name; of several the last one, as in PHP.
    #[must_use]
    pub fn entry(&self, name: &str) -> Option<&Self> {
        self.named_entries().rev().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// The entries whose key is a text, as written; none for what is no array.
    pub fn named_entries(&self) -> impl DoubleEndedIterator<Item = (&str, &Self)> {
        let entries = match self {
            Self::Array(entries) => entries.as_slice(),
            Self::Text(_) | Self::Scalar(_) => &[],
        };
        entries.iter().filter_map(|(key, value)| match key {
            Some(Self::Text(key)) => Some((key.expose().as_str(), value)),
            Some(Self::Array(_) | Self::Scalar(_)) | None => None,
        })
    }

    /// Whether PHP takes the value for true.
    #[must_use]
    pub fn is_truthy(&self) -> bool {
        match self {
            Self::Text(text) => is_truthy_text(text.expose()),
            Self::Array(entries) => !entries.is_empty(),
            Self::Scalar(word) => match word.parse::<f64>() {
                Ok(number) => number != 0.0,
                Err(_) => word.eq_ignore_ascii_case("true"),
            },
        }
    }
}

/// Whether PHP takes a text for true.
#[must_use]
pub fn is_truthy_text(text: &str) -> bool {
    !matches!(text, "" | "0")
}

impl Reader<'_> {
    fn file(&mut self) -> Option<PhpLiteral> {
        self.expect("<?php")?;
        self.expect("return")?;
        let literal = self.literal(0)?;
        self.expect(";")?;
        self.skip_blank();
        matches!(self.rest, "" | "?>").then_some(literal)
    }

    fn literal(&mut self, depth: usize) -> Option<PhpLiteral> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.skip_blank();
        if self.eat("'") {
            return self.single_quoted();
        }
        if self.eat("\"") {
            return self.double_quoted();
        }
        if self.eat("[") {
            return self.entries("]", depth);
        }
        let end = self.rest.find(|c: char| !(c.is_ascii_alphanumeric() || "_.+-".contains(c)))?;
        let (word, rest) = self.rest.split_at(end);
        if word.eq_ignore_ascii_case("array") {
            self.rest = rest;
            self.expect("(")?;
            return self.entries(")", depth);
        }
        if !is_scalar(word) {
            return None;
        }
        self.rest = rest;
        Some(PhpLiteral::Scalar(word.to_owned()))
    }

    fn entries(&mut self, close: &str, depth: usize) -> Option<PhpLiteral> {
        let mut entries = Vec::new();
        loop {
            self.skip_blank();
            if self.eat(close) {
                return Some(PhpLiteral::Array(entries));
            }
            let first = self.literal(depth + 1)?;
            self.skip_blank();
            entries.push(if self.eat("=>") {
                (Some(first), self.literal(depth + 1)?)
            } else {
                (None, first)
            });
            self.skip_blank();
            if !self.eat(",") {
                self.expect(close)?;
                return Some(PhpLiteral::Array(entries));
            }
        }
    }

    /// Only `\\` and `\'` are escapes; any other backslash stands for itself.
    fn single_quoted(&mut self) -> Option<PhpLiteral> {
        let mut text = String::new();
        let mut characters = self.rest.chars();
        loop {
            match characters.next()? {
                '\'' => break,
                '\\' if characters.as_str().starts_with(['\\', '\'']) => text.extend(characters.next()),
                other => text.push(other),
            }
        }
        self.rest = characters.as_str();
        Some(PhpLiteral::Text(Secret::new(text)))
    }

    /// A dollar or backslash would be computed.
    fn double_quoted(&mut self) -> Option<PhpLiteral> {
        let (text, rest) = self.rest.split_once('"')?;
        if text.contains(['$', '\\']) {
            return None;
        }
        self.rest = rest;
        Some(PhpLiteral::Text(Secret::new(text.to_owned())))
    }

    fn expect(&mut self, token: &str) -> Option<()> {
        self.skip_blank();
        self.eat(token).then_some(())
    }

    fn eat(&mut self, token: &str) -> bool {
        let rest = self.rest.strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn skip_blank(&mut self) {
        loop {
            self.rest = self.rest.trim_start();
            let end = if self.rest.starts_with("//") || self.rest.starts_with('#') {
                self.rest.split_once('\n')
            } else if self.rest.starts_with("/*") {
                self.rest.split_once("*/")
            } else {
                return;
            };
            self.rest = end.map_or("", |(_, rest)| rest);
        }
    }
}

/// A number, `true`, `false` or `null`; any other word is a constant or call whose value only PHP knows.
fn is_scalar(word: &str) -> bool {
    word.parse::<f64>().is_ok_and(f64::is_finite)
        || ["true", "false", "null"].iter().any(|known| word.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_keep_their_order_and_the_last_of_a_name_counts() {
        let file = "<?php\nreturn ['b' => 1, 'a' => array('x'), 7 => 0, 'b' => 0];";
        let literal = PhpLiteral::read_file(file).unwrap();
        let names: Vec<_> = literal.named_entries().map(|(name, _)| name).collect();
        assert_eq!(names, ["b", "a", "b"]);
        assert!(!literal.entry("b").unwrap().is_truthy());
        assert!(literal.entry("a").unwrap().is_truthy());
        assert!(literal.entry("c").is_none() && literal.entry("b").unwrap().entry("x").is_none());
    }

    #[test]
    fn truth_is_as_in_php() {
        for (value, expected) in [
            ("1", true),
            ("0", false),
            ("0.0", false),
            ("-1", true),
            ("true", true),
            ("FALSE", false),
            ("null", false),
            ("'0'", false),
            ("''", false),
            ("'false'", true),
            ("[]", false),
            ("[0]", true),
        ] {
            let literal = PhpLiteral::read_file(&format!("<?php return {value} ;")).unwrap();
            assert_eq!(literal.is_truthy(), expected, "{value}");
        }
    }

    #[test]
    fn what_only_php_could_compute_is_refused_with_its_line() {
        for (text, line) in [
            ("", 1),
            ("<?php\nreturn [\n 'a' => getenv('A'),\n];", 3),
            ("<?php\nreturn [\n 'a' => 'b' . 'c',\n];", 3),
            ("<?php\n\nreturn [\"$x\"];", 3),
            ("<?php return ['a'];\n\nunlink('x');", 3),
            ("<?php return [INF, nan];", 1),
        ] {
            assert_eq!(PhpLiteral::read_file(text).unwrap_err(), NotLiteral { line }, "{text}");
        }
    }

    #[test]
    fn a_debug_print_tells_no_text() {
        let literal = PhpLiteral::read_file("<?php return ['key' => 'hunter2'];").unwrap();
        assert!(!format!("{literal:?}").contains("hunter2"));
    }
}
