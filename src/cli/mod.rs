//! The command line: what operators type.
//!
//! Exit codes: 0, 1 for a failure at run time, 2 for wrong usage, 78 for a configuration that cannot be used (`EX_CONFIG`).

mod acl;
mod check;
mod demo;
mod explain;
mod health;
mod import;
mod job;
mod migrate;
mod operate;
mod serve;
mod sign;
mod spoof;

use std::{
    error::Error,
    fmt::Display,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};

use crate::{
    config::{Config, ConfigErrors, environment},
    server::BuildError,
};

/// Wrong usage, as clap has it.
const EX_USAGE: u8 = 2;
/// A configuration that cannot be used.
const EX_CONFIG: u8 = 78;

/// A reverse proxy that takes authentication off a commerce API.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs everything on this machine: a small shop API, one caller of each kind, curl lines to paste
    Demo(demo::DemoArgs),
    /// Serves
    Serve(ConfigArgs),
    /// Asks the running gate's admin listener how it is: exit code 0, or 1 and the reason
    Health(health::HealthArgs),
    /// Reads the configuration and everything it points to, and lists every mistake
    Check(check::CheckArgs),
    /// Creates or upgrades the schema of a standalone store
    Migrate(ConfigArgs),
    /// Reads the ACL and the routes out of a Magento installation's files
    Import(import::ImportArgs),
    /// Shows the ACL: the tree, the routes, who may use a resource
    #[command(subcommand)]
    Acl(acl::AclCommand),
    /// Shows the jobs that clean up, and runs one by hand
    #[command(subcommand)]
    Job(job::JobCommand),
    /// Integrations: made, granted resources, activated, rotated, deleted
    #[command(subcommand)]
    Integration(operate::IntegrationCommand),
    /// Tokens of customers, admins and integrations: issued, listed, revoked
    #[command(subcommand)]
    Token(operate::TokenCommand),
    /// Admins and customers of a standalone store
    #[command(subcommand)]
    User(operate::UserCommand),
    /// Says why a request on standard input (raw HTTP, a curl line or a HAR entry) would pass or fail
    Explain(explain::ExplainArgs),
    /// Signs a request with OAuth 1.0a and prints the Authorization header
    Sign(Box<sign::SignArgs>),
    /// Prints the version
    Version,
}

/// Where the settings are.
#[derive(Debug, Args)]
struct ConfigArgs {
    /// The configuration file; `PORTCULLIS__SECTION__KEY` overrides single settings
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Why a command failed.
enum Failure {
    /// The configuration cannot be used: exit code 78.
    Config(String),
    /// Something went wrong at run time: exit code 1.
    Runtime(String),
    /// The arguments do not fit together: exit code 2.
    Usage(String),
}

impl Failure {
    fn config(error: impl Error) -> Self {
        Self::Config(with_causes(&error))
    }

    /// A store that does not answer is no mistake of whoever wrote the configuration.
    fn build(error: &BuildError) -> Self {
        if error.is_outage() { Self::Runtime(with_causes(error)) } else { Self::Config(with_causes(error)) }
    }

    fn runtime(error: impl Display) -> Self {
        Self::Runtime(error.to_string())
    }
}

impl From<ConfigErrors> for Failure {
    fn from(errors: ConfigErrors) -> Self {
        Self::config(errors)
    }
}

/// An error and what caused it, where it does not say so itself.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let reason = error.to_string();
        if !text.contains(&reason) {
            text = format!("{text}: {reason}");
        }
        cause = error.source();
    }
    text
}

/// Reads the arguments, runs the command and reports its outcome.
#[must_use]
pub fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Demo(args) => demo::demo(&args),
        Command::Serve(args) => serve::serve(&args),
        Command::Health(args) => health::health(&args),
        Command::Check(args) => check::check(&args),
        Command::Migrate(args) => migrate::migrate(&args),
        Command::Import(args) => import::import(&args),
        Command::Acl(command) => acl::acl(&command),
        Command::Job(command) => job::job(&command),
        Command::Integration(command) => operate::integration(&command),
        Command::Token(command) => operate::token(&command),
        Command::User(command) => operate::user(&command),
        Command::Explain(args) => explain::explain(&args),
        Command::Sign(args) => sign::sign(&args),
        Command::Version => say(concat!("portcullis ", env!("CARGO_PKG_VERSION"))),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Config(text)) => complain(&text, EX_CONFIG),
        Err(Failure::Runtime(text)) => complain(&text, 1),
        Err(Failure::Usage(text)) => complain(&text, EX_USAGE),
    }
}

fn complain(text: &str, code: u8) -> ExitCode {
    // Nothing is left to do when standard error is closed.
    let _ = writeln!(io::stderr(), "portcullis: {text}");
    ExitCode::from(code)
}

/// Prints a line; a closed pipe (`| head`) is no failure.
fn say(line: &str) -> Result<(), Failure> {
    match writeln!(io::stdout(), "{line}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::runtime(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Text of others, such as names and identifiers, which must not steer the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}

fn load(args: &ConfigArgs) -> Result<Config, Failure> {
    Ok(Config::load(args.config.as_deref(), environment())?)
}

/// The runtime of everything but the workers: stores, chores, the operator's listener.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("store")
        .enable_all()
        .build()
        .map_err(Failure::runtime)
}
