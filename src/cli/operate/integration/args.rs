//! What can be asked for, and who does it.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::{activating, applying, changing, resources::ResourceArgs, rotating, showing};
use crate::cli::{ConfigArgs, Failure, operate::session::operate};

/// What to do with integrations.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum IntegrationCommand {
    /// Makes one, inactive at first
    Create(CreateArgs),
    /// Lists all
    List(ListArgs),
    /// Shows one: what it may do, what it signs with (as fingerprints)
    Show(ShowArgs),
    /// Lets one do exactly these resources
    Grant(GrantArgs),
    /// Gives one its access token: shown here, or fetched by a third party with --endpoint and --identity-link
    Activate(ActivateArgs),
    /// Ends its tokens and activates it anew
    Reauthorize(ActivateArgs),
    /// Replaces its secret or its token; the old one stays valid for a while
    Rotate(RotateArgs),
    /// Deletes one with its consumer, its tokens and its role
    Delete(DeleteArgs),
    /// Makes and resets the declared ones, as each start of a gate does
    Apply(ApplyArgs),
}

/// What to apply, and how.
#[derive(Debug, Args)]
pub(in crate::cli) struct ApplyArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Says what would be done, and does nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Deletes integrations that were declared once and are not any more
    #[arg(long)]
    pub(super) prune: bool,
}

/// One integration.
#[derive(Debug, Args)]
pub(super) struct OneArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// The integration's id or name; a number is an id where there is one
    #[arg(value_name = "ID|NAME")]
    pub(super) integration: String,
}

/// What to make.
#[derive(Debug, Args)]
pub(in crate::cli) struct CreateArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// A name that no other integration has
    #[arg(long)]
    pub(super) name: String,
    /// Whom to write to
    #[arg(long, default_value = "")]
    pub(super) email: String,
    /// Where a third party is sent its key, secret and verifier
    #[arg(long, value_name = "URL", requires = "identity_link")]
    pub(super) endpoint: Option<String>,
    /// Where a person signs in at the third party
    #[arg(long, value_name = "URL", requires = "endpoint")]
    pub(super) identity_link: Option<String>,
    #[command(flatten)]
    pub(super) resources: ResourceArgs,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

/// How to list.
#[derive(Debug, Args)]
pub(in crate::cli) struct ListArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

/// Which one to show.
#[derive(Debug, Args)]
pub(in crate::cli) struct ShowArgs {
    #[command(flatten)]
    pub(super) one: OneArgs,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

/// What to let it do.
#[derive(Debug, Args)]
#[group(id = "granted", args = ["resource", "all", "none"], required = true, multiple = true)]
pub(in crate::cli) struct GrantArgs {
    #[command(flatten)]
    pub(super) one: OneArgs,
    #[command(flatten)]
    pub(super) resources: ResourceArgs,
    /// Nothing any more
    #[arg(long, conflicts_with_all = ["resource", "all"])]
    none: bool,
}

/// Which one to activate.
#[derive(Debug, Args)]
pub(in crate::cli) struct ActivateArgs {
    #[command(flatten)]
    pub(super) one: OneArgs,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

/// What to replace.
#[derive(Debug, Args)]
#[group(id = "replaced", args = ["secret", "token"], required = true, multiple = false)]
pub(in crate::cli) struct RotateArgs {
    #[command(flatten)]
    pub(super) one: OneArgs,
    /// The consumer's secret
    #[arg(long)]
    pub(super) secret: bool,
    /// The access token and its secret
    #[arg(long)]
    token: bool,
    /// How long the old one stays valid, such as 1h; 0s ends it now
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = humantime::parse_duration)]
    pub(super) overlap: Duration,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

/// Which one to delete.
#[derive(Debug, Args)]
pub(in crate::cli) struct DeleteArgs {
    #[command(flatten)]
    pub(super) one: OneArgs,
    /// Do not ask
    #[arg(long)]
    pub(super) yes: bool,
}

/// Does it.
pub(in crate::cli) fn integration(command: &IntegrationCommand) -> Result<(), Failure> {
    match command {
        IntegrationCommand::Create(args) => {
            operate(&args.config, async |operator, origin| changing::create(args, operator, origin).await)
        }
        IntegrationCommand::List(args) => {
            operate(&args.config, async |operator, _| showing::list(args, operator).await)
        }
        IntegrationCommand::Show(args) => {
            operate(&args.one.config, async |operator, _| showing::show(args, operator).await)
        }
        IntegrationCommand::Grant(args) => {
            operate(&args.one.config, async |operator, origin| changing::grant(args, operator, origin).await)
        }
        IntegrationCommand::Activate(args) => operate(&args.one.config, async |operator, origin| {
            activating::activate(args, operator, origin).await
        }),
        IntegrationCommand::Reauthorize(args) => operate(&args.one.config, async |operator, origin| {
            activating::reauthorize(args, operator, origin).await
        }),
        IntegrationCommand::Rotate(args) => {
            operate(&args.one.config, async |operator, origin| rotating::rotate(args, operator, origin).await)
        }
        IntegrationCommand::Apply(args) => {
            operate(&args.config, async |operator, _| applying::apply(args, operator).await)
        }
        IntegrationCommand::Delete(args) => {
            operate(&args.one.config, async |operator, origin| changing::delete(args, operator, origin).await)
        }
    }
}
