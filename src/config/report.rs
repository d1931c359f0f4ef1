//! The clerk of a load: takes settings one after another and writes down mistakes, warnings and values in force.
//!
//! A section asks for each of its settings by name. A wrong one is noted and its default handed out, so that the
//! section can go on and find the rest; a configuration is only built when nothing was noted. Checks across settings
//! ask [`Report::is_wrong`] first, lest one mistake be reported twice.

use std::{
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use figment::{Figment, value::Tag};

use super::{
    finding::{ConfigErrors, Finding, Source},
    lenient::{Leaf, Lenient},
};

/// What `portcullis check` prints for a setting that is not set and has no default.
const NOT_SET: &str = "(not set)";

/// A setting in force: its name, its value as text (secrets as `***`) and where it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The setting as `section.key`.
    pub key: &'static str,
    /// The value as text; secrets are `***`.
    pub value: String,
    /// Where it was written.
    pub source: Source,
}

/// Notes taken while sections read their settings.
pub(super) struct Report {
    sources: Figment,
    home: Source,
    base: PathBuf,
    files: Vec<PathBuf>,
    settings: Vec<Setting>,
    errors: Vec<Finding>,
    warnings: Vec<Finding>,
}

impl Report {
    /// A report over gathered sources; `home` is where a missing setting belongs, `base` where relative paths start.
    pub(super) const fn new(sources: Figment, home: Source, base: PathBuf, errors: Vec<Finding>) -> Self {
        Self { sources, home, base, files: Vec::new(), settings: Vec::new(), errors, warnings: Vec::new() }
    }

    /// The setting, or its default when it is absent or wrong.
    pub(super) fn take<T: Leaf>(&mut self, key: &'static str, raw: Lenient<T>, default: T) -> T {
        if raw.is_written() {
            return self.take_optional(key, raw).unwrap_or(default);
        }
        self.settings.push(Setting { key, value: default.show(), source: Source::Default });
        default
    }

    /// The setting or its default; a value outside the range is noted.
    pub(super) fn take_within<T: Leaf + PartialOrd>(
        &mut self,
        key: &'static str,
        raw: Lenient<T>,
        default: T,
        range: RangeInclusive<T>,
    ) -> T {
        let value = self.take(key, raw, default);
        if !range.contains(&value) {
            let (from, to) = (range.start().show(), range.end().show());
            self.error(key, format!("{} is out of range; choose between {from} and {to}", value.show()));
        }
        value
    }

    /// The setting, if it is written and right; where it is not written `default` is shown, and another home of settings
    /// may still speak.
    pub(super) fn take_written<T: Leaf>(
        &mut self,
        key: &'static str,
        raw: Lenient<T>,
        default: &T,
    ) -> Option<T> {
        if raw.is_written() {
            return self.take_optional(key, raw);
        }
        self.settings.push(Setting { key, value: default.show(), source: Source::Default });
        None
    }

    /// The setting, if it is written and right.
    pub(super) fn take_optional<T: Leaf>(&mut self, key: &'static str, raw: Lenient<T>) -> Option<T> {
        let Some(written) = raw.into_written() else {
            self.settings.push(Setting { key, value: NOT_SET.to_owned(), source: Source::Default });
            return None;
        };
        let source = self.source(written.tag);
        let value = written.read.as_ref().map_or_else(|_| NOT_SET.to_owned(), Leaf::show);
        self.settings.push(Setting { key, value, source });
        written.read.map_err(|reason| self.error(key, reason)).ok()
    }

    /// A setting without a default: its absence is a mistake, and `hint` the way out.
    pub(super) fn require<T: Leaf>(&mut self, key: &'static str, raw: Lenient<T>, hint: &str) -> Option<T> {
        if !raw.is_written() {
            self.error(key, format!("is required; {hint}"));
        }
        self.take_optional(key, raw)
    }

    /// An optional path, made absolute as [`Report::resolve`] does.
    pub(super) fn take_path(&mut self, key: &'static str, raw: Lenient<PathBuf>) -> Option<PathBuf> {
        let path = self.take_optional(key, raw)?;
        Some(self.resolve(key, &path))
    }

    /// A relative path starts at the file's folder; one from the environment at the working directory, as for any
    /// command. The setting is shown resolved.
    pub(super) fn resolve(&mut self, key: &'static str, path: &Path) -> PathBuf {
        let resolved = match self.source_of(key) {
            Source::Environment(_) => path.to_owned(),
            Source::Default | Source::File(_) => self.base.join(path),
        };
        self.show(key, resolved.display().to_string());
        resolved
    }

    /// Replaces how a setting already taken is shown.
    pub(super) fn show(&mut self, key: &'static str, value: String) {
        if let Some(setting) = self.settings.iter_mut().find(|setting| setting.key == key) {
            setting.value = value;
        }
    }

    /// Notes a mistake in a setting.
    pub(super) fn error(&mut self, key: &str, text: impl Into<String>) {
        self.errors.push(Finding { source: self.place_of(key), key: key.to_owned(), text: text.into() });
    }

    /// Notes what an operator should know about a setting that is allowed.
    pub(super) fn warn(&mut self, key: &str, text: impl Into<String>) {
        self.warnings.push(Finding { source: self.place_of(key), key: key.to_owned(), text: text.into() });
    }

    /// Notes that a setting's value was read from a file, which may change.
    pub(super) fn has_read(&mut self, path: &Path) {
        self.files.push(path.to_owned());
    }

    /// The files that were read besides the configuration itself.
    pub(super) fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Whether a setting already taken was written.
    pub(super) fn is_set(&self, key: &str) -> bool {
        !matches!(self.source_of(key), Source::Default)
    }

    /// Whether a mistake was noted in a setting.
    pub(super) fn is_wrong(&self, key: &str) -> bool {
        self.errors.iter().any(|error| error.key == key)
    }

    /// Settings in force and warnings.
    ///
    /// # Errors
    ///
    /// Every mistake noted, if there is one.
    pub(super) fn close(self) -> Result<(Vec<Setting>, Vec<Finding>), ConfigErrors> {
        if self.errors.is_empty() {
            Ok((self.settings, self.warnings))
        } else {
            Err(ConfigErrors::new(self.errors))
        }
    }

    /// Where a finding about a setting points: to what was written, or to where it could be.
    fn place_of(&self, key: &str) -> Source {
        match self.source_of(key) {
            Source::Default => self.home.clone(),
            written @ (Source::File(_) | Source::Environment(_)) => written,
        }
    }

    fn source_of(&self, key: &str) -> Source {
        let setting = self.settings.iter().find(|setting| setting.key == key);
        setting.map_or(Source::Default, |setting| setting.source.clone())
    }

    fn source(&self, tag: Tag) -> Source {
        let written = self.sources.get_metadata(tag).and_then(|metadata| metadata.source.as_ref());
        let file = || Some(Source::File(written?.file_path()?.to_owned()));
        let variable = || Some(Source::Environment(written?.custom()?.to_owned()));
        file().or_else(variable).unwrap_or(Source::Default)
    }
}
