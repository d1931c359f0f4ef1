//! Where events and access lines go, and in which form.
//!
//! Events go to standard error, so that standard output can be the access log alone. `error` needs a human, `warn` is
//! degraded service, `info` is the life cycle.

use std::{fs::OpenOptions, io, path::Path, sync::OnceLock};

use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{EnvFilter, filter::ParseError, fmt::writer::BoxMakeWriter, reload};

/// Lines that wait for the log's thread; more are dropped and counted.
const QUEUE: usize = 65_536;

/// How events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventFormat {
    /// JSON lines.
    Json,
    /// For a person at a terminal.
    Text,
}

/// Exchanges the filter of the events that are being written.
type Refilter = Box<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>;

/// Set by the first [`start`].
static REFILTER: OnceLock<Refilter> = OnceLock::new();

/// Starts writing events; the first call of a process counts, later ones change nothing.
///
/// # Errors
/// When `level` is no filter.
pub fn start(level: &str, format: EventFormat) -> Result<(), ParseError> {
    let filter = EnvFilter::try_new(level)?;
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(BoxMakeWriter::new(io::stderr));
    // A second subscriber in one process (tests) is refused, and the first goes on.
    match format {
        EventFormat::Json => {
            let builder = builder.json().flatten_event(true).with_filter_reloading();
            let handle = builder.reload_handle();
            if builder.try_init().is_ok() {
                let _ = REFILTER.set(Box::new(move |filter| handle.reload(filter)));
            }
        }
        EventFormat::Text => {
            let builder = builder.with_filter_reloading();
            let handle = builder.reload_handle();
            if builder.try_init().is_ok() {
                let _ = REFILTER.set(Box::new(move |filter| handle.reload(filter)));
            }
        }
    }
    Ok(())
}

/// Filters the events by another level from now on, if [`start`] was called.
///
/// # Errors
/// When `level` is no filter; the one in force stays.
pub fn refilter(level: &str) -> Result<(), ParseError> {
    let filter = EnvFilter::try_new(level)?;
    if let Some(refilter) = REFILTER.get() {
        // It fails only where the subscriber is gone, and then nothing is written.
        let _ = refilter(filter);
    }
    Ok(())
}

/// A bounded queue into standard output; the guard flushes it when dropped.
pub fn lines_to_stdout() -> (NonBlocking, WorkerGuard) {
    builder().finish(io::stdout())
}

/// A bounded queue into a file, appended to.
///
/// # Errors
/// When the file cannot be opened.
pub fn lines_to_file(path: &Path) -> io::Result<(NonBlocking, WorkerGuard)> {
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    Ok(builder().finish(file))
}

fn builder() -> NonBlockingBuilder {
    NonBlockingBuilder::default().lossy(true).buffered_lines_limit(QUEUE).thread_name("access-log")
}
