//! `[nonces]`: how many OAuth nonces are remembered, and where they survive a restart.

use std::path::{Path, PathBuf};

use super::{raw::RawNonces, report::Report};

/// How nonces are remembered.
#[derive(Debug, Clone)]
pub struct Nonces {
    /// Most nonces at a time; a further one is refused, never traded for a live one.
    pub max: usize,
    /// The folder of the journal; without one a restart forgets.
    pub journal: Option<PathBuf>,
}

impl Nonces {
    pub(super) fn parse(raw: RawNonces, report: &mut Report) -> Self {
        let RawNonces { max, journal } = raw;
        let max = report.take_within("nonces.max", max, 10_000_000, 1000..=1_000_000_000);
        let journal = report.take("nonces.journal", journal, "nonces".to_owned());
        if journal.is_empty() {
            report.warn(
                "nonces.journal",
                "without a journal a restart forgets nonces, and requests can be replayed",
            );
            return Self { max, journal: None };
        }
        if journal.contains('\0') {
            report.error("nonces.journal", "a path cannot contain a NUL byte");
        }
        Self { max, journal: Some(report.resolve("nonces.journal", Path::new(&journal))) }
    }
}
