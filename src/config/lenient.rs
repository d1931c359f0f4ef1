//! Reading one value without stopping at a mistake.
//!
//! A derived `Deserialize` ends at the first wrong value, which would show an operator one mistake a start. A
//! [`Lenient`] field never fails: it keeps the value or the reason, and which source wrote it, for the section to
//! report. What a kind of value looks like is told by its [`Leaf`].
//!
//! Every kind can also be read from text, because text is all that an environment variable has: `"100"` is the
//! number 100, `"a, b"` a list of two.

use figment::value::{Tag, Value};
use serde::{Deserialize, Deserializer};

use super::finding::shown;

/// A kind of value that a setting can have.
pub(super) trait Leaf: Sized {
    /// The value, or why it is none; the reason never repeats a secret.
    fn read(value: &Value) -> Result<Self, String>;

    /// The value as `portcullis check` prints it.
    fn show(&self) -> String;
}

/// A closed set of values, each with its word in the file.
pub(super) trait Words: Copy + PartialEq + 'static {
    /// Each word and what it means.
    const WORDS: &'static [(&'static str, Self)];
}

/// A setting as written, if it was written.
#[derive(Debug)]
pub(super) struct Lenient<T>(Option<Written<T>>);

/// What was written and by whom.
#[derive(Debug)]
pub(super) struct Written<T> {
    pub(super) read: Result<T, String>,
    pub(super) tag: Tag,
}

impl<T> Lenient<T> {
    /// What was written, if anything.
    pub(super) fn into_written(self) -> Option<Written<T>> {
        self.0
    }

    /// What was written, if it is right, for a section that stands before this one.
    pub(super) fn peek(&self) -> Option<&T> {
        self.0.as_ref()?.read.as_ref().ok()
    }

    /// Whether the setting was written, rightly or wrongly.
    pub(super) const fn is_written(&self) -> bool {
        self.0.is_some()
    }
}

impl<T> Default for Lenient<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Leaf> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = <Value as Deserialize>::deserialize(deserializer)?;
        Ok(Self(Some(Written { read: T::read(&value), tag: value.tag() })))
    }
}

impl<T: Words> Leaf for T {
    fn read(value: &Value) -> Result<Self, String> {
        let word = value.as_str();
        let meant = T::WORDS.iter().find(|(known, _)| Some(*known) == word).map(|(_, meaning)| *meaning);
        meant.ok_or_else(|| {
            let known: Vec<_> = T::WORDS.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            format!("{} is not known here; write {}", found(value), known.join(" or "))
        })
    }

    fn show(&self) -> String {
        let word = T::WORDS.iter().find(|(_, meaning)| meaning == self);
        word.map_or_else(String::new, |(word, _)| (*word).to_owned())
    }
}

impl<T: Leaf> Leaf for Vec<T> {
    fn read(value: &Value) -> Result<Self, String> {
        let from_text: Vec<Value>;
        let entries = match (value.as_array(), value.as_str()) {
            (Some(entries), _) => entries,
            (None, Some(text)) => {
                from_text = text
                    .split(',')
                    .map(str::trim)
                    .filter(|entry| !entry.is_empty())
                    .map(Value::from)
                    .collect();
                &from_text
            }
            (None, None) => return Err(format!("{} is not a list; write [\"…\", \"…\"]", kind(value))),
        };
        let (mut read, mut wrong) = (Self::new(), Vec::new());
        for entry in entries {
            match T::read(entry) {
                Ok(entry) => read.push(entry),
                Err(reason) => wrong.push(reason),
            }
        }
        if wrong.is_empty() { Ok(read) } else { Err(wrong.join("; ")) }
    }

    fn show(&self) -> String {
        self.iter().map(Leaf::show).collect::<Vec<_>>().join(", ")
    }
}

/// The text of a value that has to be one; the reason does not repeat the value, which may be a secret.
pub(super) fn text(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| format!("{} is not text; write it in quotes", kind(value)))
}

/// What stands there, for a message about a value that is no secret.
pub(super) fn found(value: &Value) -> String {
    value.as_str().map_or_else(|| kind(value).to_owned(), |text| format!("\"{}\"", shown(text)))
}

pub(super) const fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(..) | Value::Char(..) => "text",
        Value::Bool(..) => "true or false",
        Value::Num(..) => "the number",
        Value::Empty(..) => "nothing",
        Value::Dict(..) => "a table or date",
        Value::Array(..) => "a list",
    }
}
