//! `[nonces]`: where OAuth nonces are remembered, how many, and where they survive a restart.

use std::path::{Path, PathBuf};

use super::{lenient::Words, raw::RawNonces, report::Report};

/// How nonces are remembered.
#[derive(Debug, Clone)]
pub struct Nonces {
    /// Where they are kept.
    pub store: NonceHome,
    /// Most nonces at a time; a further one is refused, never traded for a live one.
    pub max: usize,
    /// The folder of the journal; without one a restart forgets.
    pub journal: Option<PathBuf>,
}

/// Where nonces are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NonceHome {
    /// In the process, with a journal: for one replica.
    Memory,
    /// In Redis, for all replicas.
    Redis,
}

impl Words for NonceHome {
    const WORDS: &'static [(&'static str, Self)] = &[("memory", Self::Memory), ("redis", Self::Redis)];
}

impl Nonces {
    pub(super) fn parse(raw: RawNonces, report: &mut Report) -> Self {
        let RawNonces { store, max, journal } = raw;
        let store = report.take("nonces.store", store, NonceHome::Memory);
        let journal_is_written = journal.is_written();
        let max = report.take_within("nonces.max", max, 10_000_000, 1000..=1_000_000_000);
        let journal = report.take("nonces.journal", journal, "nonces".to_owned());
        if store == NonceHome::Redis {
            if journal_is_written && !journal.is_empty() {
                report.warn("nonces.journal", "has no effect where nonces.store is \"redis\"");
            }
            return Self { store, max, journal: None };
        }
        if journal.is_empty() {
            report.warn(
                "nonces.journal",
                "without a journal a restart forgets nonces, and requests can be replayed",
            );
            return Self { store, max, journal: None };
        }
        if journal.contains('\0') {
            report.error("nonces.journal", "a path cannot contain a NUL byte");
        }
        Self { store, max, journal: Some(report.resolve("nonces.journal", Path::new(&journal))) }
    }
}
