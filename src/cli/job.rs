//! `portcullis job`: what is cleaned up, and doing it by hand.

use clap::{Args, Subcommand, builder::PossibleValuesParser};
use tokio::sync::watch;

use super::{ConfigArgs, Failure, load, printable, runtime, say, with_causes};
use crate::{
    clock::{Clock, rfc3339},
    config::{Config, environment},
    jobs::{Job, JobOutcome, JobReport},
    server::App,
    store::sql::{JobRow, SqlStore},
};

/// What to do with jobs.
#[derive(Debug, Subcommand)]
pub(super) enum JobCommand {
    /// Lists the jobs: how often each runs, when it was last done, and who runs it now
    List(ConfigArgs),
    /// Runs a job now, unless another process is at it
    Run(RunArgs),
}

/// Which job.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// The job
    #[arg(value_parser = PossibleValuesParser::new(Job::ALL.map(Job::name)))]
    name: String,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Lists or runs.
pub(super) fn job(command: &JobCommand) -> Result<(), Failure> {
    match command {
        JobCommand::List(args) => list(&load(args)?),
        JobCommand::Run(args) => run(args),
    }
}

fn list(config: &Config) -> Result<(), Failure> {
    let rows = runtime()?.block_on(async {
        let store = SqlStore::open(&config.store).await?;
        let rows = store.jobs().await;
        store.close().await;
        rows
    });
    let rows = rows.map_err(|error| Failure::runtime(with_causes(&error)))?;
    let now = Clock::system().now();
    say(&format!("{:<24} {:<10} {:<22} now", "job", "every", "last done"))?;
    for job in Job::ALL {
        let row = rows.iter().find(|row| row.name == job.name());
        let every = job
            .interval(&config.jobs)
            .map_or_else(|| "never".to_owned(), |interval| humantime::format_duration(interval).to_string());
        let done = row.and_then(|row| row.finished_at).map_or_else(|| "never".to_owned(), rfc3339);
        let running = |row: &JobRow| row.owner.is_some() && row.leased_until > now;
        let state = if row.is_some_and(running) { "running" } else { "-" };
        say(&format!("{:<24} {every:<10} {done:<22} {state}", job.name()))?;
    }
    Ok(())
}

fn run(args: &RunArgs) -> Result<(), Failure> {
    let config = load(&args.config)?;
    let job = Job::named(&args.name).ok_or_else(|| Failure::runtime("there is no such job"))?;
    let outcome = runtime()?.block_on(async {
        let runner = App::job_runner(&config, actor()).await.map_err(Failure::config)?;
        let (_never, drain) = watch::channel(false);
        let outcome = runner.run(job, &drain).await;
        runner.audit.close().await;
        runner.store.close().await;
        outcome.map_err(|error| Failure::runtime(with_causes(&error)))
    })?;
    let JobReport { deleted, is_complete, took } = match outcome {
        JobOutcome::Done(report) => report,
        JobOutcome::Elsewhere => {
            return Err(Failure::runtime(format!("{}: another process is at it", job.name())));
        }
    };
    let rest = if is_complete { "" } else { "; there is more, run it again" };
    say(&format!("{}: {deleted} rows deleted in {} ms{rest}", job.name(), took.as_millis()))
}

/// Who asks, by the shell's word.
fn actor() -> String {
    let user = environment().find(|(name, _)| name == "USER");
    user.map_or_else(|| "cli".to_owned(), |(_, user)| format!("cli:{}", printable(&user)))
}
