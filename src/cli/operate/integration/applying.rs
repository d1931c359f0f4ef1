//! `portcullis integration apply`: the declared integrations, without a gate.
//!
//! What `portcullis serve` does at its start, on its own: before a deployment to see what it would reset, or beside a
//! running gate.

use super::args::ApplyArgs;
use crate::{
    cli::{Failure, printable, say},
    server::Operator,
    service::configured::{Fate, Step},
};

/// Brings the store to what is declared, and says what was done.
pub(super) async fn apply(args: &ApplyArgs, operator: &Operator) -> Result<(), Failure> {
    let configured = operator.configured().map_err(Failure::config)?;
    let steps =
        if args.dry_run { configured.plan(args.prune).await } else { configured.apply(args.prune).await };
    let steps = steps.map_err(Failure::runtime)?;
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
