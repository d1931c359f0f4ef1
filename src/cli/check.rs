//! `portcullis check`.

use clap::Args;
use http::Uri;

use super::{ConfigArgs, Failure, load, printable, runtime, say, spoof};
use crate::{
    config::Setting,
    server::{App, RedisStatus},
    store::settings::{InForce, Origin},
};

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
    let examined = runtime()?.block_on(App::examine(&config));
    let in_force = examined.as_ref().ok();
    for setting in config.effective() {
        say(&line(setting, in_force))?;
    }
    for setting in in_force.iter().flat_map(|in_force| &in_force.entries) {
        if setting.key.is_none() {
            say(&row(setting.path, &setting.value, &setting.origin.to_string()))?;
        }
    }
    for warning in config.warnings() {
        say(&format!("warning: {warning}"))?;
    }
    for warning in in_force.iter().flat_map(|in_force| &in_force.warnings) {
        say(&format!("warning: {warning}"))?;
    }
    examined.map_err(|error| Failure::build(&error))?;
    let asked = runtime()?.block_on(App::redis_status(&config)).map_err(Failure::config)?;
    for line in asked.iter().flat_map(redis_lines) {
        say(&line)?;
    }
    say("\nThe configuration can be used.")
}

/// A setting as it is in force: what the configuration leaves open the store may say.
fn line(setting: &Setting, in_force: Option<&InForce>) -> String {
    let mut entries = in_force.iter().flat_map(|in_force| &in_force.entries);
    match entries.find(|entry| entry.key == Some(setting.key) && entry.origin == Origin::Store) {
        Some(entry) => row(setting.key, &entry.value, &format!("{} {}", entry.origin, entry.path)),
        None => row(setting.key, &setting.value, &setting.source.to_string()),
    }
}

/// What Redis says; one that is away keeps no gate from starting.
fn redis_lines(status: &RedisStatus) -> Vec<String> {
    let RedisStatus { mode, live, says } = status;
    let mut lines = Vec::new();
    match live {
        Ok(live) => {
            let said: Vec<_> =
                says.iter().map(|(name, value)| format!("{name} {}", printable(value))).collect();
            lines.push(format!("\nredis: reachable, mode {mode}, live replicas {live}, {}", said.join(", ")));
        }
        Err(error) => lines.push(format!("\nwarning: redis: not reachable, mode {mode}: {error}")),
    }
    let said = |name| says.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
    let has_limit = said("maxmemory").is_some_and(|limit| limit != "0");
    if has_limit && said("maxmemory-policy").is_some_and(|policy| policy != "noeviction") {
        lines.push(
            "warning: redis: maxmemory-policy may evict nonces, and evicted ones can be replayed: set it to noeviction"
                .to_owned(),
        );
    }
    lines
}

fn row(name: &str, value: &str, source: &str) -> String {
    format!("{name:<32} = {value:<24} # {source}")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{
        config::Config,
        store::settings::{SettingRow, SettingScope},
    };

    #[test]
    fn each_setting_is_shown_with_the_home_that_decides() {
        let text = "[upstream]\nurl = 'http://127.0.0.1:1'\n[store]\nurl = 'sqlite::memory:'\n[acl]\nmode = 'off'\n\
            [magento]\ncrypt_key = 'k'\nsettings = 'store'\nadmin_token_lifetime = '2h'\n";
        let config = Config::from_toml(text, Path::new("")).unwrap();
        let row = |path: &str| SettingRow {
            scope: SettingScope::Default,
            path: path.to_owned(),
            value: "9".to_owned(),
        };
        let rows = [row("oauth/access_token_lifetime/customer"), row("oauth/access_token_lifetime/admin")];
        let in_force = InForce::read(&config.magento.written, &rows);
        let shown = |key| {
            let setting = config.effective().iter().find(|setting| setting.key == key).unwrap();
            line(setting, Some(&in_force)).split_ascii_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            shown("magento.customer_token_lifetime"),
            "magento.customer_token_lifetime = 9h # core_config_data oauth/access_token_lifetime/customer"
        );
        assert_eq!(shown("magento.admin_token_lifetime"), "magento.admin_token_lifetime = 2h # <text>");
        assert_eq!(shown("magento.allow_insecure"), "magento.allow_insecure = false # default");
    }
}
