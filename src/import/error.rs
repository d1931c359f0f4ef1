//! Why an import ends without a result.
//!
//! Only what leaves nothing to go on with: single files that cannot be read are [`Problem`](super::Problem)s.

use std::{io, path::PathBuf};

use crate::{
    auth::{acl::AclError, route::RouteError},
    config::NotLiteral,
};

/// Why an import ends without a result.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The list of modules cannot be read.
    #[error("cannot read {path}: {source}; --magento-root is the folder that holds app/etc/config.php")]
    ModuleList {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The list of modules would have to be computed.
    #[error("{path}:{} {source}; let Magento write it again (setup:upgrade or app:config:dump)", source.line)]
    ComputedModuleList {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: NotLiteral,
    },
    /// The list of modules has no modules.
    #[error("{path} enables no module")]
    NoModules {
        /// The file.
        path: PathBuf,
    },
    /// The tree would not load.
    #[error("the merged resource tree cannot be used: {0}")]
    Tree(#[from] AclError),
    /// The routes would not load.
    #[error("the merged routes cannot be used: {0}")]
    Routes(#[from] RouteError),
    /// The tree or the routes cannot be written as JSON.
    #[error("the result cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A result cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
}
