//! The crypt key out of Magento's `app/etc/env.php`.
//!
//! Magento writes that file with `var_export`: one array of arrays, text and numbers. This reads such literals and
//! nothing that would have to be run: a file that computes its values is refused, never guessed at.

use std::path::Path;

use super::{gather::read_bounded, report::Report};
use crate::auth::secret::Secret;

/// More than this is not Magento's file.
const MAX_FILE: u64 = 1 << 20;

/// Deeper arrays are not Magento's.
const MAX_DEPTH: usize = 32;

/// A PHP literal; numbers and constants are passed over.
enum Literal {
    Text(Secret<String>),
    Array(Vec<(Option<Self>, Self)>),
    Scalar,
}

/// What is left of the file.
struct Reader<'a> {
    rest: &'a str,
}

/// Takes `crypt/key` from the file; a mistake is noted and names the file, never its content.
pub(super) fn take_crypt_key(report: &mut Report, path: &Path) -> Option<Secret<String>> {
    let reason = match read_bounded(path, MAX_FILE).map(Secret::new) {
        Err(error) => format!("cannot read {}: {error}; name a readable file", path.display()),
        Ok(text) => match crypt_key(text.expose()) {
            Ok(key) => return Some(key),
            Err(reason) => format!("{} {reason}; set magento.crypt_key_file instead", path.display()),
        },
    };
    report.error("magento.env_php", reason);
    None
}

fn crypt_key(text: &str) -> Result<Secret<String>, &'static str> {
    let file = Reader { rest: text }.file().ok_or("is not a plain array of literals")?;
    let key = file.entry("crypt").and_then(|crypt| crypt.entry("key"));
    match key {
        Some(Literal::Text(key)) => Ok(key),
        Some(Literal::Array(_) | Literal::Scalar) | None => Err("has no text at crypt/key"),
    }
}

impl Literal {
    /// The entry of a name; of several the last one, as in PHP.
    fn entry(self, name: &str) -> Option<Self> {
        let named = |key: &Option<Self>| matches!(key, Some(Self::Text(key)) if key.expose() == name);
        match self {
            Self::Array(entries) => {
                entries.into_iter().rev().find(|(key, _)| named(key)).map(|(_, value)| value)
            }
            Self::Text(_) | Self::Scalar => None,
        }
    }
}

impl Reader<'_> {
    fn file(mut self) -> Option<Literal> {
        self.expect("<?php")?;
        self.expect("return")?;
        let literal = self.literal(0)?;
        self.expect(";")?;
        self.skip_blank();
        matches!(self.rest, "" | "?>").then_some(literal)
    }

    fn literal(&mut self, depth: usize) -> Option<Literal> {
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
        self.rest = rest;
        if word.eq_ignore_ascii_case("array") {
            self.expect("(")?;
            return self.entries(")", depth);
        }
        is_scalar(word).then_some(Literal::Scalar)
    }

    fn entries(&mut self, close: &str, depth: usize) -> Option<Literal> {
        let mut entries = Vec::new();
        loop {
            self.skip_blank();
            if self.eat(close) {
                return Some(Literal::Array(entries));
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
                return Some(Literal::Array(entries));
            }
        }
    }

    /// Only `\\` and `\'` are escapes; any other backslash stands for itself.
    fn single_quoted(&mut self) -> Option<Literal> {
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
        Some(Literal::Text(Secret::new(text)))
    }

    /// A dollar or backslash would be computed.
    fn double_quoted(&mut self) -> Option<Literal> {
        let (text, rest) = self.rest.split_once('"')?;
        self.rest = rest;
        (!text.contains(['$', '\\'])).then(|| Literal::Text(Secret::new(text.to_owned())))
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
    word.parse::<f64>().is_ok()
        || ["true", "false", "null"].iter().any(|known| word.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Result<String, &'static str> {
        crypt_key(text).map(|key| key.expose().clone())
    }

    #[test]
    fn the_key_is_found_as_magento_writes_it() {
        let short = "<?php\nreturn [\n    'backend' => ['frontName' => 'admin'],\n    'crypt' => [\n        'key' => 'abc'\n    ],\n    'cache_types' => ['config' => 1, 'x' => -1.5, 'y' => null, 'z' => true],\n];\n";
        assert_eq!(key(short).as_deref(), Ok("abc"));
        let long = "<?php\n// note\nreturn array (\n  'crypt' => \n  array (\n    'key' => 'old\nnew',\n  ),\n 0 => 'a', /* b */\n);";
        assert_eq!(key(long).as_deref(), Ok("old\nnew"));
        assert_eq!(key("<?php return ['crypt' => ['key' => 'a\\'b\\\\c\\d']];").as_deref(), Ok("a'b\\c\\d"));
        assert_eq!(key("<?php return ['crypt' => ['key' => \"abc\"]];").as_deref(), Ok("abc"));
    }

    #[test]
    fn the_last_of_equal_names_counts_as_in_php() {
        assert_eq!(key("<?php return ['crypt' => ['key' => 'a', 'key' => 'b']];").as_deref(), Ok("b"));
    }

    #[test]
    fn a_file_without_a_key_is_refused() {
        for text in [
            "<?php return [];",
            "<?php return ['crypt' => 'key'];",
            "<?php return ['crypt' => ['key' => 1]];",
            "<?php return 'x';",
        ] {
            assert_eq!(key(text), Err("has no text at crypt/key"), "{text}");
        }
    }

    #[test]
    fn what_only_php_could_compute_is_refused() {
        let deep = format!("<?php return {}{};", "[".repeat(1000), "]".repeat(1000));
        for text in [
            "",
            "return [];",
            "<?php return [",
            "<?php return ['crypt' => ['key' => getenv('KEY')]];",
            "<?php return ['crypt' => ['key' => 'a' . 'b']];",
            "<?php return ['crypt' => ['key' => \"a$b\"]];",
            "<?php return ['crypt' => ['key' => 'a']]; unlink('x');",
            "<?php return ['crypt' => ['key' => 'a'",
            "<?php return ['crypt' => ['key' => 'a",
            "<?php return ['crypt' => ['key' => KEY]];",
            &deep,
        ] {
            assert_eq!(key(text), Err("is not a plain array of literals"), "{text}");
        }
    }
}
