//! `portcullis check`.

use super::{ConfigArgs, Failure, load, runtime, say};
use crate::server::App;

/// Reads the configuration and what it points to; prints every setting with its source.
pub(super) fn check(args: &ConfigArgs) -> Result<(), Failure> {
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
