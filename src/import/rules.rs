//! The files as they will be written, and writing them.
//!
//! A [`Rules`] has been loaded by the gate's own readers, so that what is written can be served. All files are written
//! beside their targets and synced before the first is renamed into place: whoever reads meanwhile sees the old file or
//! the new one, never a half. A file that would not change is not touched, lest a watching gate reload for nothing.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};

use super::{changes::Previous, error::ImportError, read::Imported};
use crate::auth::{
    acl::{AclTree, Resource},
    route::RouteTable,
};

/// `acl.json`, `webapi_routes.json` and `integrations.json`, ready to be served.
#[derive(Debug)]
pub struct Rules {
    /// The text of `acl.json`.
    pub tree: String,
    /// The text of `webapi_routes.json`.
    pub routes: String,
    /// The text of `integrations.json`.
    pub integrations: String,
    /// Resources that routes ask for and the tree does not have: nobody but full access passes those routes.
    pub unknown_resources: Vec<String>,
}

/// Where the files go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The resource tree.
    pub tree: PathBuf,
    /// The routes.
    pub routes: PathBuf,
    /// The integrations; `None` where they are not wanted.
    pub integrations: Option<PathBuf>,
}

impl Rules {
    /// Makes the files of what was read.
    ///
    /// # Errors
    /// [`ImportError::Tree`] and [`ImportError::Routes`] if the gate would not load them.
    pub fn of(imported: &Imported) -> Result<Self, ImportError> {
        // The widths are those of the files that ship in config/magento: a comparison shows rules, not layout.
        let tree = pretty(&imported.tree, b"    ")?;
        let routes = pretty(&imported.routes, b" ")?;
        let integrations = pretty(&imported.integrations, b"    ")?;
        let loaded = AclTree::from_json(&tree)?;
        let table = RouteTable::from_json(&routes, &loaded)?;
        let asked = table.routes().iter().flat_map(|route| &route.resources);
        let mut unknown_resources: Vec<_> = asked
            .filter_map(|resource| match resource {
                Resource::Unknown(name) => Some(name.clone()),
                Resource::Anonymous | Resource::SelfOnly | Resource::Named(_) => None,
            })
            .collect();
        unknown_resources.sort();
        unknown_resources.dedup();
        Ok(Self { tree, routes, integrations, unknown_resources })
    }

    /// What stands at the destination now, file by file: the tree, the routes, the integrations.
    #[must_use]
    pub fn compare<'a>(&self, destination: &'a Destination) -> Vec<(&'a Path, Previous)> {
        let Destination { tree, routes, integrations } = destination;
        let mut files = vec![
            (tree.as_path(), Previous::of_tree(tree, &self.tree)),
            (routes.as_path(), Previous::of_routes(routes, &self.routes)),
        ];
        let of_integrations =
            |path: &'a PathBuf| (path.as_path(), Previous::of_integrations(path, &self.integrations));
        files.extend(integrations.as_ref().map(of_integrations));
        files
    }

    /// Puts the files in place, the tree first.
    ///
    /// # Errors
    /// [`ImportError::Write`]; unless a rename after the first failed, nothing has changed.
    pub fn write(&self, destination: &Destination) -> Result<(), ImportError> {
        let Destination { tree, routes, integrations } = destination;
        let rules = [(tree, &self.tree), (routes, &self.routes)];
        let targets = rules.into_iter().chain(integrations.as_ref().map(|path| (path, &self.integrations)));
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| ImportError::Write { path, source }
        };
        let mut staged = Vec::new();
        for (path, text) in targets {
            if fs::read(path).is_ok_and(|old| old == text.as_bytes()) {
                continue;
            }
            staged.push((path, Staged::write(path, text).map_err(failed(path))?));
        }
        staged.into_iter().try_for_each(|(path, file)| file.publish().map_err(failed(path)))
    }
}

fn pretty(value: &impl Serialize, indent: &[u8]) -> Result<String, serde_json::Error> {
    let mut bytes = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut bytes, PrettyFormatter::with_indent(indent)))?;
    String::from_utf8(bytes).map_err(serde::ser::Error::custom)
}

/// A file written beside its target; removed again unless it is published.
struct Staged {
    temporary: PathBuf,
    target: PathBuf,
}

impl Staged {
    fn write(path: &Path, text: &str) -> io::Result<Self> {
        // A link stays a link: what it points to is replaced.
        let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let name = target.file_name().ok_or_else(|| io::Error::other("is no file name"))?;
        let mut temporary_name = std::ffi::OsString::from(".");
        temporary_name.push(name);
        temporary_name.push(format!(".{}.new", std::process::id()));
        let temporary = target.with_file_name(temporary_name);
        // A file that stands there already is somebody else's, as is what a link there points to.
        let mut file = File::options().write(true).create_new(true).open(&temporary)?;
        let staged = Self { temporary, target };
        if let Ok(old) = fs::metadata(&staged.target) {
            file.set_permissions(old.permissions())?;
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        Ok(staged)
    }

    fn publish(self) -> io::Result<()> {
        fs::rename(&self.temporary, &self.target)?;
        let folder = self.target.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // After publishing there is nothing to remove.
        let _ = fs::remove_file(&self.temporary);
    }
}
