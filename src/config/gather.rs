//! Gathering what was written: the file first, then the environment over it.
//!
//! Names are checked here, source by source, before anything is merged: a variable that names a section would
//! otherwise replace the whole section of the file, and a mistyped setting would silently leave its default in force.
//! figment merges the rest and remembers for every value which source wrote it.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use figment::{
    Error, Figment, Metadata, Profile, Provider,
    providers::{Format, Toml},
    value::{Dict, Map, Value},
};

use super::{
    finding::{Finding, Source, shown},
    keys,
};

/// The beginning of every environment variable that is a setting. One underscore is not enough: Kubernetes injects
/// `PORTCULLIS_PORT` and its like for a service of that name.
const PREFIX: &str = "PORTCULLIS__";

/// More than this is not a configuration file.
const MAX_FILE: u64 = 1 << 20;

/// One source's values, with the place they were written at.
struct Written {
    place: figment::Source,
    values: Dict,
}

/// Everything that was written and the mistakes in its names.
pub(super) struct Gathered {
    pub(super) figment: Figment,
    pub(super) errors: Vec<Finding>,
}

impl Gathered {
    pub(super) fn new() -> Self {
        Self { figment: Figment::new(), errors: Vec::new() }
    }

    /// Adds a file's text; `false` when it is not TOML, which is noted.
    pub(super) fn add_text(&mut self, path: &Path, text: &str) -> bool {
        let source = Source::File(path.to_owned());
        match <Toml as Format>::from_str::<Dict>(text) {
            Ok(values) => {
                let values = self.known(values, "", &source);
                self.merge(Written { place: path.into(), values });
                true
            }
            // The error's own display quotes the line, and the line may hold a secret.
            Err(error) => {
                let line = error
                    .span()
                    .and_then(|span| text.get(..span.start))
                    .map_or(0, |before| before.matches('\n').count());
                let reason = error.message().replace('\n', ", ");
                let text =
                    format!("line {} is not TOML: {}; correct it and check again", line + 1, shown(&reason));
                self.errors.push(Finding { source, key: String::new(), text });
                false
            }
        }
    }

    /// Adds the variables that begin with the prefix; others are none of our business.
    pub(super) fn add_environment(&mut self, variables: impl Iterator<Item = (String, String)>) {
        let mut ours: Vec<_> = variables.filter(|(name, _)| name.starts_with(PREFIX)).collect();
        ours.sort();
        for (name, text) in ours {
            match variable(&name, &text) {
                Ok(values) => self.merge(Written { place: figment::Source::Custom(name), values }),
                Err(text) => {
                    let key = shown(&key_of(&name));
                    self.errors.push(Finding { source: Source::Environment(shown(&name)), key, text });
                }
            }
        }
    }

    fn merge(&mut self, written: Written) {
        self.figment = std::mem::take(&mut self.figment).merge(written);
    }

    /// The values whose names are known; the others are noted.
    fn known(&mut self, values: Dict, section: &str, source: &Source) -> Dict {
        let mut known = Dict::new();
        for (name, value) in values {
            let path = if section.is_empty() { name.clone() } else { format!("{section}.{name}") };
            // A quoted name with a dot in it would look like a setting here and be none to the reader.
            let reason = if name.contains('.') {
                unknown(&path)
            } else if keys::is_key(&path) {
                known.insert(name, value);
                continue;
            } else if !keys::is_section(&path) {
                unknown(&path)
            } else if let Value::Dict(tag, below) = value {
                let below = self.known(below, &path, source);
                known.insert(name, Value::Dict(tag, below));
                continue;
            } else {
                not_a_setting(&path)
            };
            self.errors.push(Finding { source: source.clone(), key: shown(&path), text: reason });
        }
        known
    }
}

impl Provider for Written {
    fn metadata(&self) -> Metadata {
        Metadata::from("configuration", self.place.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}

/// The file's text.
///
/// # Errors
///
/// Why it cannot be read, with the way out.
pub(super) fn file_text(path: &Path) -> Result<String, Finding> {
    read_bounded(path, MAX_FILE).map_err(|error| Finding {
        source: Source::File(path.to_owned()),
        key: String::new(),
        text: format!("cannot be read: {error}; name a readable configuration file"),
    })
}

/// The text of a file of at most `max` bytes.
///
/// # Errors
///
/// The system's, or one that says that the file is too large or not UTF-8.
pub(crate) fn read_bounded(path: &Path, max: u64) -> io::Result<String> {
    let mut text = String::new();
    let length = File::open(path)?.take(max + 1).read_to_string(&mut text)?;
    if u64::try_from(length).is_ok_and(|length| length <= max) {
        return Ok(text);
    }
    Err(io::Error::other(format!("it is larger than {max} bytes")))
}

/// The folder at which a file's relative paths start.
pub(super) fn folder_of(path: &Path) -> PathBuf {
    path.parent().map(Path::to_owned).unwrap_or_default()
}

/// What one variable sets.
fn variable(name: &str, text: &str) -> Result<Dict, String> {
    let key = key_of(name);
    if name.bytes().any(|byte| byte.is_ascii_lowercase()) {
        return Err(format!(
            "the names of variables are upper case; rename it to {}",
            shown(&name.to_ascii_uppercase())
        ));
    }
    if name.contains('.') {
        return Err(unknown(&key));
    }
    if keys::is_section(&key) {
        return Err(not_a_setting(&key));
    }
    if !keys::is_key(&key) {
        return Err(unknown(&key));
    }
    // Bytes that were not UTF-8 arrive replaced; half a secret must not become the secret.
    if text.contains(char::REPLACEMENT_CHARACTER) {
        return Err("the value is not UTF-8; write it in UTF-8".to_owned());
    }
    let nested = key
        .rsplit('.')
        .fold(Value::from(text), |value, name| Value::from(Dict::from([(name.to_owned(), value)])));
    Ok(nested.into_dict().unwrap_or_default())
}

fn key_of(variable: &str) -> String {
    variable.strip_prefix(PREFIX).unwrap_or(variable).replace("__", ".").to_ascii_lowercase()
}

fn unknown(path: &str) -> String {
    let way_out = keys::nearest(path).map_or_else(
        || "remove it, or see the sample file for what exists".to_owned(),
        |known| format!("did you mean {known}?"),
    );
    format!("is not a known setting; {way_out}")
}

fn not_a_setting(section: &str) -> String {
    format!("is a section and has no value of its own; set one of its keys, such as {}", example(section))
}

fn example(section: &str) -> &'static str {
    let below = |key: &str| key.strip_prefix(section).is_some_and(|rest| rest.starts_with('.'));
    keys::KEYS.iter().copied().find(|key| below(key)).unwrap_or_default()
}
