//! Which modules are enabled, in which order, and where they are.
//!
//! `app/etc/config.php` gives names and order. A module's folder is one whose `etc/module.xml` gives its name and which is
//! registered: a `registration.php` stands in it or, inside its package, above it. Modules are looked for in
//! `app/code/Vendor/Module` and in every Composer package down to a bounded depth; links are followed, as Composer's own
//! path repositories are links.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{error::ImportError, problem::Problem, xml::Element};
use crate::config::{PhpLiteral, read_bounded};

/// The list of modules, below Magento's root.
pub(super) const CONFIG_PHP: &str = "app/etc/config.php";

/// Magento's own list of 400 modules has 15 KB; with a dump of all settings it can have some hundred.
const MAX_CONFIG_PHP: u64 = 16 << 20;

/// Magento's largest file of a module has 200 KB.
const MAX_XML: u64 = 4 << 20;

/// How far below its package's folder a module may be: `src`, or a folder of several modules.
const MAX_DEPTH: usize = 3;

/// `app/etc/config.php`, read.
#[derive(Debug)]
pub(super) struct ModuleList {
    /// The whole file.
    pub(super) file: PhpLiteral,
    /// The enabled modules in load order, each with the line that enables it.
    pub(super) enabled: Vec<(String, usize)>,
    /// How many are listed and disabled.
    pub(super) disabled: usize,
}

/// A module that was found.
#[derive(Debug)]
pub(super) struct Module {
    /// Its folder below Magento's root.
    pub(super) folder: PathBuf,
}

impl ModuleList {
    pub(super) fn read(root: &Path) -> Result<Self, ImportError> {
        let path = root.join(CONFIG_PHP);
        let text = read_bounded(&path, MAX_CONFIG_PHP)
            .map_err(|source| ImportError::ModuleList { path: path.clone(), source })?;
        let file = PhpLiteral::read_file(&text)
            .map_err(|source| ImportError::ComputedModuleList { path: path.clone(), source })?;
        // In PHP a repeated key keeps its first place and takes its last value.
        let mut names: Vec<(String, bool)> = Vec::new();
        let mut places = HashMap::new();
        for (name, value) in file.entry("modules").iter().flat_map(|modules| modules.named_entries()) {
            let place = *places.entry(name.to_owned()).or_insert(names.len());
            match names.get_mut(place) {
                Some((_, is_enabled)) => *is_enabled = value.is_truthy(),
                None => names.push((name.to_owned(), value.is_truthy())),
            }
        }
        let listed = names.len();
        let lines = lines_of(&text);
        let enabled: Vec<_> = names
            .into_iter()
            .filter(|(_, is_enabled)| *is_enabled)
            .map(|(name, _)| {
                let line = lines.get(name.as_str()).copied().unwrap_or(1);
                (name, line)
            })
            .collect();
        if enabled.is_empty() {
            return Err(ImportError::NoModules { path });
        }
        Ok(Self { file, disabled: listed - enabled.len(), enabled })
    }

    /// The enabled modules that are there, in load order; a problem for each that is not.
    pub(super) fn locate(&self, root: &Path, problems: &mut Vec<Problem>) -> Vec<Module> {
        let enabled: HashSet<&str> = self.enabled.iter().map(|(name, _)| name.as_str()).collect();
        let mut search = Search { root, enabled, found: HashMap::new(), problems };
        search.app_code();
        search.vendor();
        let Search { mut found, .. } = search;
        let mut modules = Vec::new();
        for (name, line) in &self.enabled {
            match found.remove(name) {
                Some(folder) => modules.push(Module { folder }),
                None => problems.push(Problem {
                    file: CONFIG_PHP.into(),
                    line: Some(*line),
                    text: format!("the module {name} is enabled and in neither vendor nor app/code"),
                }),
            }
        }
        modules
    }
}

/// The line of each text between quotes that stands first in its line.
fn lines_of(text: &str) -> HashMap<&str, usize> {
    let quoted = |line: &'_ str| -> Option<(usize, usize)> {
        let start = line.find(['\'', '"'])? + 1;
        let length = line.get(start..)?.find(['\'', '"'])?;
        Some((start, start + length))
    };
    let mut lines = HashMap::new();
    for (line, number) in text.lines().zip(1..) {
        if let Some(name) = quoted(line).and_then(|(start, end)| line.get(start..end)) {
            lines.entry(name).or_insert(number);
        }
    }
    lines
}

/// A file of a module; `None` if there is none.
pub(super) fn read_xml(root: &Path, file: &Path) -> Result<Option<Element>, Problem> {
    let path = root.join(file);
    match fs::metadata(&path) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return Err(Problem::with(file, "is no file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Problem::with(file, format!("cannot be read: {error}"))),
    }
    let text = read_bounded(&path, MAX_XML)
        .map_err(|error| Problem::with(file, format!("cannot be read: {error}")))?;
    Element::parse(&Arc::from(file), &text).map(Some)
}

/// The way through the folders.
struct Search<'a> {
    root: &'a Path,
    enabled: HashSet<&'a str>,
    found: HashMap<String, PathBuf>,
    problems: &'a mut Vec<Problem>,
}

impl Search<'_> {
    fn app_code(&mut self) {
        for module in self.grandchildren("app/code") {
            if self.has(&module, "registration.php") {
                self.take(&module);
            }
        }
    }

    fn vendor(&mut self) {
        for package in self.grandchildren("vendor") {
            self.descend(&package, false, 0);
        }
    }

    /// Modules do not stand inside modules, and most packages are one: the search seldom goes deep.
    fn descend(&mut self, folder: &Path, is_registered: bool, depth: usize) {
        let is_registered = is_registered || self.has(folder, "registration.php");
        if is_registered && self.has(folder, "etc/module.xml") {
            self.take(folder);
        } else if depth < MAX_DEPTH {
            for child in self.folders(folder) {
                self.descend(&child, is_registered, depth + 1);
            }
        }
    }

    fn take(&mut self, folder: &Path) {
        let file = folder.join("etc/module.xml");
        let read = match read_xml(self.root, &file) {
            Ok(Some(read)) => read,
            Ok(None) => return,
            Err(problem) => return self.problems.push(problem),
        };
        let Some(name) = read.below(&["module"]).pop().and_then(|module| module.attribute("name")) else {
            return self.problems.push(Problem::with(&file, "gives no name at config/module"));
        };
        if !self.enabled.contains(name) {
            return;
        }
        if let Some(first) = self.found.get(name) {
            // Magento stops there: a name can be registered once.
            let text = format!("the module {name} is also in {}, which is read", first.display());
            return self.problems.push(Problem::with(folder, text));
        }
        self.found.insert(name.to_owned(), folder.to_owned());
    }

    fn grandchildren(&mut self, top: &str) -> Vec<PathBuf> {
        let children = self.folders(Path::new(top));
        children.iter().flat_map(|child| self.folders(child)).collect()
    }

    /// The folders right below one, by name; hidden ones are nobody's modules.
    fn folders(&mut self, folder: &Path) -> Vec<PathBuf> {
        let entries = match fs::read_dir(self.root.join(folder)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
            Err(error) => {
                self.problems.push(Problem::with(folder, format!("cannot be read: {error}")));
                return Vec::new();
            }
        };
        let mut folders: Vec<_> = entries
            .filter_map(Result::ok)
            .filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
            .filter(|entry| entry.path().is_dir())
            .map(|entry| folder.join(entry.file_name()))
            .collect();
        folders.sort();
        folders
    }

    fn has(&self, folder: &Path, file: &str) -> bool {
        self.root.join(folder).join(file).exists()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Result<ModuleList, ImportError> {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("app/etc")).unwrap();
        fs::write(root.path().join(CONFIG_PHP), text).unwrap();
        ModuleList::read(root.path())
    }

    #[test]
    fn a_repeated_name_keeps_its_first_place_and_takes_its_last_value() {
        let read = list(
            "<?php return ['modules' => [\n'A_A' => 1,\n'B_B' => 1,\n'C_C' => 0,\n'A_A' => 0,\n'D_D' => 1,\n'C_C' => 1]];",
        )
        .unwrap();
        assert_eq!(read.enabled, [("B_B".into(), 3), ("C_C".into(), 4), ("D_D".into(), 6)]);
        assert_eq!(read.disabled, 1);
    }

    #[test]
    fn a_list_without_modules_or_with_code_is_refused() {
        for (text, expected) in [
            ("<?php return [];", "enables no module"),
            ("<?php return ['modules' => ['A_A' => 0]];", "enables no module"),
            ("<?php return [\n'modules' => modules()];", "config.php:2 is not a plain array"),
        ] {
            let error = list(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
