//! `portcullis migrate`.

use super::{ConfigArgs, Failure, load, runtime, say, with_causes};
use crate::store::sql::{MigrationReport, SqlStore};

/// Creates or upgrades the schema that `store.url` names.
pub(super) fn migrate(args: &ConfigArgs) -> Result<(), Failure> {
    let config = load(args)?;
    let url = config.store.database.url();
    let report = runtime()?.block_on(SqlStore::migrate(&config.store));
    let report = report.map_err(|error| Failure::runtime(format!("{url}: {}", with_causes(&error))))?;
    say(&match report {
        MigrationReport { from: None, to } => format!("{url}: created at schema version {to}"),
        MigrationReport { from: Some(from), to } if from == to => {
            format!("{url}: schema version {to} is current, nothing to do")
        }
        MigrationReport { from: Some(from), to } => {
            format!("{url}: upgraded from schema version {from} to {to}")
        }
    })
}
