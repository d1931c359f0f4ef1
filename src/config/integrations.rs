//! `[integrations]`: the integrations that are declared rather than made by hand.
//!
//! The file is named here and read by the server, like those of the ACL.

use std::path::PathBuf;

use super::{declaration::Declaration, raw::RawIntegrations, report::Report};

/// What is declared, and where.
#[derive(Debug, Clone)]
pub struct Integrations {
    /// The file that `portcullis import` writes, if it counts.
    pub file: Option<PathBuf>,
    /// What the configuration itself declares.
    pub declared: Vec<Declaration>,
}

impl Integrations {
    pub(super) fn parse(raw: RawIntegrations, report: &mut Report) -> Self {
        let RawIntegrations { file, declared } = raw;
        let file = report.take_path("integrations.file", file);
        let declared = report.take("integrations.declared", declared, Vec::new());
        if let Some(name) = Declaration::repeated_name(&declared) {
            let text = format!("two integrations are named \"{}\"; rename one", super::finding::shown(name));
            report.error("integrations.declared", text);
        }
        Self { file, declared }
    }
}
