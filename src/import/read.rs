//! One pass over an installation.
//!
//! Files are read in module order and merged as they come. A file that cannot be read is noted and left out whole; where
//! Magento would stop with an exception, the import notes it and goes on, so that one run names everything.

use std::path::{Path, PathBuf};

use super::{
    acl::{self, ResourceNode},
    error::ImportError,
    insecure,
    integrations::{self, Documents, Kind},
    merge::Merged,
    modules::{Module, ModuleList, read_xml},
    problem::Problem,
    shape::Shape,
    webapi::{self, WebapiRoute},
    xml::Element,
};
use crate::{auth::acl::AclTree, config::Declaration};

/// What an installation's files say.
#[derive(Debug)]
pub struct Imported {
    /// How many enabled modules were found and read.
    pub modules: usize,
    /// How many listed modules are disabled.
    pub disabled_modules: usize,
    /// The resources.
    pub tree: Vec<ResourceNode>,
    /// The routes.
    pub routes: Vec<WebapiRoute>,
    /// Who said that the routes of section 8.8 are open to everybody; `None` if they are not.
    pub insecure_by: Option<String>,
    /// The integrations that modules declare.
    pub integrations: Vec<Declaration>,
    /// What is passed over as Magento passes over it, and lets nobody do more.
    pub notes: Vec<Problem>,
    /// What could not be read.
    pub problems: Vec<Problem>,
}

/// Reads an installation; `allow_insecure` opens the routes of `MAGENTO_AUTH` section 8.8 whatever its files say.
///
/// # Errors
/// Only where there is nothing to go on with: see [`ImportError`]. The rest is in [`Imported::problems`].
pub fn read(root: &Path, allow_insecure: bool) -> Result<Imported, ImportError> {
    let list = ModuleList::read(root)?;
    let mut problems = Vec::new();
    let modules = list.locate(root, &mut problems);
    let mut reader = Reader { root, modules: &modules, problems };

    let resources = reader.merge("etc/acl.xml", &acl::SHAPE, Merged::new(acl::keys));
    let routes = reader.merge("etc/webapi.xml", &webapi::SHAPE, Merged::new(webapi::keys));
    let documents = reader.integrations();
    let by_file = reader.insecure_by();
    let mut problems = reader.problems;
    let tree = resources.root.map(|root| acl::tree(&root, &mut problems)).unwrap_or_default();
    let known = AclTree::from_json(&serde_json::to_string(&tree)?)?;
    let (integrations, notes) = integrations::declarations(&documents, &known, &mut problems);
    let mut routes = routes.root.map(|root| webapi::routes(&root, &mut problems)).unwrap_or_default();

    let by_dump = insecure::in_config_php(&list.file).map(|value| (value, "app/etc/config.php".to_owned()));
    let by_flag = allow_insecure.then(|| (true, "--allow-insecure".to_owned()));
    let decided = by_flag.or(by_dump).or(by_file);
    let insecure_by = decided.and_then(|(is_insecure, who)| is_insecure.then_some(who));
    if insecure_by.is_some() {
        insecure::open(&mut routes);
    }
    Ok(Imported {
        modules: modules.len(),
        disabled_modules: list.disabled,
        tree,
        routes,
        insecure_by,
        integrations,
        notes,
        problems,
    })
}

struct Reader<'a> {
    root: &'a Path,
    modules: &'a [Module],
    problems: Vec<Problem>,
}

impl Reader<'_> {
    /// One kind of file from every module, merged.
    fn merge(&mut self, file: &str, shape: &Shape, merged: Merged) -> Merged {
        self.merge_checked(file, shape, merged, |_, _| {})
    }

    fn integrations(&mut self) -> Documents {
        let mut merged = |kind: Kind| {
            let check =
                |root: &Element, problems: &mut Vec<Problem>| integrations::check(kind, root, problems);
            self.merge_checked(kind.file(), kind.shape(), Merged::new(integrations::keys), check)
        };
        Documents {
            consolidated: merged(Kind::Consolidated),
            config: merged(Kind::Config),
            api: merged(Kind::Api),
        }
    }

    /// The same; each file is looked at before it is merged.
    fn merge_checked(
        &mut self,
        file: &str,
        shape: &Shape,
        mut merged: Merged,
        check: impl Fn(&Element, &mut Vec<Problem>),
    ) -> Merged {
        for module in self.modules {
            let Some(mut root) = self.read(&module.folder.join(file)) else { continue };
            if shape.fit(&mut root, &mut self.problems) {
                check(&root, &mut self.problems);
                merged.add(root, &mut self.problems);
            }
        }
        merged
    }

    /// The last `config.xml` that says something: the installation's own come before those of the modules.
    fn insecure_by(&mut self) -> Option<(bool, String)> {
        let mut said = None;
        for file in self.installation_files().into_iter().chain(self.module_files()) {
            said = self.read(&file).and_then(|root| insecure::in_config_xml(&root)).or(said);
        }
        said
    }

    fn module_files(&self) -> Vec<PathBuf> {
        self.modules.iter().map(|module| module.folder.join("etc/config.xml")).collect()
    }

    /// `config.xml` in `app/etc` and in the folders right below it (Magento's scope "primary").
    fn installation_files(&self) -> Vec<PathBuf> {
        let top = Path::new("app/etc");
        let below = std::fs::read_dir(self.root.join(top)).into_iter().flatten().filter_map(Result::ok);
        let mut files: Vec<_> = below.map(|entry| top.join(entry.file_name()).join("config.xml")).collect();
        files.retain(|file| self.root.join(file).is_file());
        files.sort();
        files.insert(0, top.join("config.xml"));
        files
    }

    fn read(&mut self, file: &Path) -> Option<Element> {
        read_xml(self.root, file).unwrap_or_else(|problem| {
            self.problems.push(problem);
            None
        })
    }
}
