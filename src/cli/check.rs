//! `portcullis check`.

use clap::Args;
use http::Uri;

use super::{ConfigArgs, Failure, load, runtime, say, spoof};
use crate::server::App;

/// The prefix of identity headers unless a configuration says otherwise.
const DEFAULT_PREFIX: &str = "X-Auth-";

/// What to check.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Send every spelling of the reserved headers through a running gate, to an endpoint that shows what it gets
    #[arg(long, value_name = "URL")]
    spoof: Option<Uri>,
}

/// Reads the configuration and what it points to and prints every setting with its source; or tries a running gate.
pub(super) fn check(args: &CheckArgs) -> Result<(), Failure> {
    let Some(url) = &args.spoof else {
        return check_configuration(&args.config);
    };
    let prefix = match &args.config.config {
        Some(_) => load(&args.config)?.headers.prefix,
        None => DEFAULT_PREFIX.to_owned(),
    };
    spoof::spoof(url, &prefix)
}

fn check_configuration(args: &ConfigArgs) -> Result<(), Failure> {
    let config = load(args)?;
    for setting in config.effective() {
        say(&format!("{:<32} = {:<24} # {}", setting.key, setting.value, setting.source))?;
    }
    for warning in config.warnings() {
        say(&format!("warning: {warning}"))?;
    }
    runtime()?.block_on(App::examine(&config)).map_err(Failure::config)?;
    say("\nThe configuration can be used.")
}
