//! `[acl]`: whether permissions are enforced, and by which rules.
//!
//! The files are named here and read by the server; a mode that checks cannot exist without them.

use std::path::PathBuf;

use super::{lenient::Words, raw::RawAcl, report::Report, scope::Authenticate};

/// What to do with credentials on a route that needs none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anonymous {
    /// Nothing: the caller is a guest.
    Ignore,
    /// The identity is injected if it proves itself; otherwise the caller is a guest.
    Resolve,
}

/// What to do with a path or method that no route matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unmatched {
    /// Send it on as guest; the upstream answers.
    Forward,
    /// Answer 404.
    Refuse,
}

/// What is done with a permission that is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AclMode {
    /// The request is refused.
    Enforce(AclFiles),
    /// The request goes on and the refusal is logged.
    Report(AclFiles),
    /// Everything goes on, and our verdict is compared with the upstream's.
    Shadow(AclFiles),
    /// Nothing is checked.
    Off,
}

/// The rules, as `portcullis import` writes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AclFiles {
    /// The tree of resources.
    pub tree: PathBuf,
    /// Which route needs which resource.
    pub routes: PathBuf,
}

impl AclMode {
    /// The rules' files, where there are rules.
    #[must_use]
    pub const fn files(&self) -> Option<&AclFiles> {
        match self {
            Self::Enforce(files) | Self::Report(files) | Self::Shadow(files) => Some(files),
            Self::Off => None,
        }
    }
}

impl AclFiles {
    pub(super) fn paths(&self) -> [PathBuf; 2] {
        [self.tree.clone(), self.routes.clone()]
    }
}

/// How permissions are checked.
#[derive(Debug, Clone)]
pub struct Acl {
    /// What is done with a missing permission, and the rules.
    pub mode: AclMode,
    /// Credentials on routes that need none.
    pub anonymous: Anonymous,
    /// Requests without a route.
    pub unmatched: Unmatched,
}

/// The mode's word, before its files are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ModeWord {
    Enforce,
    Report,
    Shadow,
    Off,
}

impl Words for ModeWord {
    const WORDS: &'static [(&'static str, Self)] =
        &[("enforce", Self::Enforce), ("report", Self::Report), ("shadow", Self::Shadow), ("off", Self::Off)];
}

impl Words for Anonymous {
    const WORDS: &'static [(&'static str, Self)] = &[("ignore", Self::Ignore), ("resolve", Self::Resolve)];
}

impl Words for Unmatched {
    const WORDS: &'static [(&'static str, Self)] = &[("forward", Self::Forward), ("refuse", Self::Refuse)];
}

impl Acl {
    pub(super) fn parse(raw: RawAcl, authenticate: Authenticate, report: &mut Report) -> Option<Self> {
        let RawAcl { mode, anonymous, unmatched, tree, routes } = raw;
        let mode = report.take("acl.mode", mode, ModeWord::Enforce);
        let anonymous = report.take("acl.anonymous", anonymous, Anonymous::Ignore);
        let by_scope = match authenticate {
            Authenticate::Magento => Unmatched::Forward,
            Authenticate::Everything => Unmatched::Refuse,
        };
        let unmatched = report.take("acl.unmatched", unmatched, by_scope);
        let needed = mode != ModeWord::Off && !report.is_wrong("acl.mode");
        let (has_tree, has_routes) = (tree.is_written(), routes.is_written());
        let tree = report.take_path("acl.tree", tree);
        let routes = report.take_path("acl.routes", routes);
        for (key, written) in [("acl.tree", has_tree), ("acl.routes", has_routes)] {
            if needed && !written {
                report.error(
                    key,
                    "is required; name the file that portcullis import writes, or set acl.mode to \"off\"",
                );
            }
        }
        let files = || Some(AclFiles { tree: tree?, routes: routes? });
        let mode = match mode {
            ModeWord::Enforce => AclMode::Enforce(files()?),
            ModeWord::Report => {
                report.warn("acl.mode", "missing permissions are logged and not enforced");
                AclMode::Report(files()?)
            }
            ModeWord::Shadow => {
                report.warn("acl.mode", "everything is forwarded; verdicts are compared with the upstream's");
                AclMode::Shadow(files()?)
            }
            ModeWord::Off => {
                report.warn("acl.mode", "no permission is checked");
                AclMode::Off
            }
        };
        Some(Self { mode, anonymous, unmatched })
    }
}
