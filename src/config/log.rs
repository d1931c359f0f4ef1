//! `[log]`: what is logged, how it looks, and where the line of each request goes.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use tracing_subscriber::{EnvFilter, filter::LevelFilter};

use super::{finding::shown, lenient::Words, raw_records::RawLog, report::Report};

/// More lines a minute than this are no sample.
const MOST_LINES: usize = 10_000;

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Plain text.
    Text,
}

/// Where the line of each request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessLog {
    /// To standard output.
    Stdout,
    /// Nowhere.
    Off,
    /// To a file.
    File(PathBuf),
}

/// What is logged.
#[derive(Debug, Clone)]
pub struct Log {
    /// A filter that `tracing_subscriber::EnvFilter` was seen to parse.
    pub level: String,
    /// How lines look.
    pub format: LogFormat,
    /// The line of each request.
    pub access: AccessLog,
    /// How long a request takes that is slow; `None` where none is.
    pub slow_request: Option<Duration>,
    /// Most lines about slow requests a minute.
    pub slow_sample: u32,
    /// Most lines about refused requests a minute, for each reason.
    pub refused_sample: u32,
}

impl Words for LogFormat {
    const WORDS: &'static [(&'static str, Self)] = &[("json", Self::Json), ("text", Self::Text)];
}

impl Log {
    pub(super) fn parse(raw: RawLog, report: &mut Report) -> Self {
        let RawLog { level, format, access, slow_request, slow_sample, refused_sample } = raw;
        let level = report.take("log.level", level, "info".to_owned());
        if !is_filter(&level) {
            let text = format!(
                "\"{}\" is not a filter; write a level such as \"info\", or \"info,portcullis=debug\"",
                shown(&level)
            );
            report.error("log.level", text);
        }
        let format = report.take("log.format", format, LogFormat::Json);
        let access = report.take("log.access", access, "stdout".to_owned());
        let access = AccessLog::parse(&access, report);
        let slow = report.take_within(
            "log.slow_request",
            slow_request,
            Duration::from_secs(1),
            Duration::ZERO..=Duration::from_secs(3600),
        );
        let mut lines = |key, raw| {
            let lines = report.take_within(key, raw, 10, 0..=MOST_LINES);
            u32::try_from(lines).unwrap_or(u32::MAX)
        };
        let slow_sample = lines("log.slow_sample", slow_sample);
        let refused_sample = lines("log.refused_sample", refused_sample);
        let slow_request = Some(slow).filter(|slow| !slow.is_zero());
        Self { level, format, access, slow_request, slow_sample, refused_sample }
    }
}

impl AccessLog {
    fn parse(text: &str, report: &mut Report) -> Self {
        match text {
            "stdout" => Self::Stdout,
            "off" => Self::Off,
            // A word without a dot or slash is rather a slip in one of the two words than a file.
            path if path.contains(['.', '/']) && !path.contains('\0') => {
                Self::File(report.resolve("log.access", Path::new(path)))
            }
            other => {
                let text = format!(
                    "\"{}\" is not known here; write \"stdout\", \"off\" or a path such as \"./access.log\"",
                    shown(other)
                );
                report.error("log.access", text);
                Self::Off
            }
        }
    }
}

/// Whether a text filters as it says. `EnvFilter` takes a lone word for the name of a target, so that `inof` would
/// silence everything else, an empty one for `error`, and blanks for parts of names.
fn is_filter(text: &str) -> bool {
    let lone = |directive: &str| !directive.contains(['=', '[']);
    let is_level = |directive: &str| !directive.is_empty() && directive.parse::<LevelFilter>().is_ok();
    !text.contains(char::is_whitespace)
        && text.split(',').all(|directive| !lone(directive) || is_level(directive))
        && EnvFilter::builder().parse(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_names_levels() {
        for right in [
            "info",
            "off",
            "TRACE",
            "info,portcullis=debug",
            "portcullis=debug,warn",
            "portcullis[request]=trace",
        ] {
            assert!(is_filter(right), "{right}");
        }
        for wrong in ["", "inof", "info,", "portcullis=loud", "info portcullis=debug", "[a=b,c]=info,x"] {
            assert!(!is_filter(wrong), "{wrong}");
        }
    }
}
