//! `portcullis explain`: why a request passes or fails.

use std::{
    io::{self, IsTerminal as _, Read as _},
    net::{IpAddr, Ipv4Addr},
};

use clap::{Args, ValueEnum};

use super::{ConfigArgs, Failure, load, runtime, say};
use crate::{
    auth::{oauth1::Scheme, time::UnixTime},
    clock::Clock,
    explain::{Circumstances, Inquiry},
    server::App,
};

/// More than any request and most HAR files.
const MOST_INPUT: u64 = 64 * 1024 * 1024;

/// What to explain, and in which circumstances.
#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Judge as of this moment, in seconds since 1970; now without it
    #[arg(long, value_name = "UNIXTIME")]
    at: Option<i64>,
    /// How the client reached the gate; else the URL of a curl line or HAR entry, or a trusted X-Forwarded-Proto, says so
    #[arg(long)]
    scheme: Option<SchemeArg>,
    /// The address that connected to the gate: decides whether X-Forwarded-* headers count
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    peer: IpAddr,
    /// Which entry of a HAR file, counted from 1
    #[arg(long, value_name = "N")]
    entry: Option<usize>,
    /// Show signatures whole; the right one lets its reader send this very request
    #[arg(long)]
    show_signatures: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SchemeArg {
    Http,
    Https,
}

/// Reads a request from standard input and prints its way through the gate. Exit code 0 says that it was explained, not that it
/// would pass.
pub(super) fn explain(args: &ExplainArgs) -> Result<(), Failure> {
    let config = load(&args.config)?;
    let inquiry = Inquiry::read(&input()?, args.entry).map_err(Failure::runtime)?;
    let circumstances = Circumstances {
        at: args.at.map_or_else(|| Clock::system().now(), UnixTime::from_seconds),
        peer: args.peer,
        scheme: args.scheme.map(|scheme| match scheme {
            SchemeArg::Http => Scheme::Http,
            SchemeArg::Https => Scheme::Https,
        }),
        shows_signatures: args.show_signatures,
    };
    let explanation = runtime()?.block_on(async {
        let explainer = App::explainer(&config).await.map_err(Failure::config)?;
        Ok::<_, Failure>(explainer.explain(&inquiry, &circumstances).await)
    })?;
    if args.json {
        return say(&format!("{:#}", explanation.json()));
    }
    say(explanation.text().trim_end())
}

fn input() -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    let stdin = io::stdin();
    if stdin.is_terminal() {
        return Ok(text);
    }
    stdin.lock().take(MOST_INPUT + 1).read_to_end(&mut text).map_err(Failure::runtime)?;
    if text.len() as u64 > MOST_INPUT {
        return Err(Failure::runtime("the input is longer than 64 MiB"));
    }
    Ok(text)
}
