//! `portcullis integration apply`: the declared integrations, without a gate.
//!
//! What `portcullis serve` does at its start, on its own: before a deployment to see what it would reset, or beside a
//! running gate.

use clap::Args;

use super::{ConfigArgs, Failure, load, printable, runtime, say};
use crate::{
    clock::Clock,
    server,
    service::{
        audit::Audit,
        configured::{Fate, Step},
    },
};

/// What to apply, and how.
#[derive(Debug, Args)]
pub(super) struct ApplyArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Says what would be done, and does nothing
    #[arg(long)]
    dry_run: bool,
    /// Deletes integrations that were declared once and are not any more
    #[arg(long)]
    prune: bool,
}

/// Brings the store to what is declared, and says what was done.
pub(super) fn apply(args: &ApplyArgs) -> Result<(), Failure> {
    let config = load(&args.config)?;
    let steps = runtime()?.block_on(async {
        let configured = server::configured_integrations(&config, Audit::off(), Clock::system());
        let configured = configured.await.map_err(Failure::config)?;
        let steps =
            if args.dry_run { configured.plan(args.prune).await } else { configured.apply(args.prune).await };
        steps.map_err(Failure::runtime)
    })?;
    if steps.is_empty() {
        return say("no integration is declared");
    }
    steps.iter().try_for_each(|step| say(&line(step)))
}

fn line(Step { name, fate }: &Step) -> String {
    let fate = match fate {
        Fate::Unchanged => "unchanged".to_owned(),
        Fate::Created => "made; activate it".to_owned(),
        Fate::Recreated(differing) => {
            format!("recreated, different: {}; activate it again", differing.join(", "))
        }
        Fate::Undeclared => "declared no more; it stays, --prune deletes it".to_owned(),
        Fate::Deleted => "declared no more; deleted".to_owned(),
    };
    format!("{}: {fate}", printable(name))
}
