//! What loading a configuration has to say: mistakes, warnings, and where a setting came from.
//!
//! A finding names the place, the setting and the way out, because the person who reads it is looking at that place.
//! Values of secrets never enter its text; other foreign text enters through `shown`, escaped and cut.

use std::{fmt, path::PathBuf};

/// Foreign text longer than this is cut in messages.
const SHOWN: usize = 64;

/// Where a setting was written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// Nowhere: the default holds.
    Default,
    /// In the configuration file.
    File(PathBuf),
    /// In the environment variable of this name.
    Environment(String),
}

/// One mistake or warning: where, which setting, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where the setting was written, or the file in which a missing one belongs; the default when there is no file.
    pub source: Source,
    /// The setting as `section.key`; empty when the whole source is at fault.
    pub key: String,
    /// What is wrong and the way out.
    pub text: String,
}

/// Every mistake of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors(Vec<Finding>);

impl ConfigErrors {
    pub(super) const fn new(findings: Vec<Finding>) -> Self {
        Self(findings)
    }

    /// The mistakes in the order in which they were met.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.0.iter()
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "environment variable {name}"),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.source != Source::Default {
            write!(f, "{}: ", self.source)?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.text)
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{finding}")?;
        }
        Ok(())
    }
}

/// Foreign text fit for a message: no control bytes, which could forge lines of a log, and no flood.
pub(super) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_cannot_forge_a_line_or_flood() {
        assert_eq!(shown("a\nb\u{1b}[0m"), "a\\nb\\u{1b}[0m");
        assert_eq!(shown(&"x".repeat(1000)).chars().count(), SHOWN + 1);
    }

    #[test]
    fn errors_stand_one_a_line_with_place_and_key() {
        let finding = |source, key: &str| Finding { source, key: key.into(), text: "is wrong".into() };
        let errors = ConfigErrors::new(vec![
            finding(Source::File("/etc/p.toml".into()), "listen.proxy"),
            finding(Source::Environment("PORTCULLIS__X".into()), "x"),
            finding(Source::File("/etc/p.toml".into()), ""),
        ]);
        assert_eq!(
            errors.to_string(),
            "/etc/p.toml: listen.proxy: is wrong\nenvironment variable PORTCULLIS__X: x: is wrong\n/etc/p.toml: is wrong"
        );
    }
}
