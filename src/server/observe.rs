//! From `[log]` and `[tracing]` to what is told of requests.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};

use super::{chores::ended, error::BuildError};
use crate::{
    config::{Config, Ratio, read_bounded},
    logging::traces::{CollectorSettings, TraceQueue},
    metrics::Metrics,
    proxy::observe::{Observation, Samplers, Tracing},
};

/// A bundle of authorities is a few hundred kilobytes.
const MAX_FILE: u64 = 4 << 20;

/// How often the log says how many lines were left out.
const TELL_INTERVAL: Duration = Duration::from_secs(60);

/// What a reload leaves as it is: what was shown already, and the way to the collector.
#[derive(Debug, Clone)]
pub(super) struct Observers {
    samplers: Arc<Samplers>,
    queue: Option<TraceQueue>,
}

impl Observers {
    /// Opens the way to the collector on the current runtime, where there is one.
    ///
    /// # Errors
    /// A file of authorities that cannot be used.
    pub(super) fn open(config: &Config, metrics: &Metrics) -> Result<Self, BuildError> {
        let queue = settings(config)?.map(|settings| TraceQueue::start(settings, &metrics.spans));
        let queue = queue.transpose().map_err(BuildError::Collector)?;
        Ok(Self { samplers: Arc::default(), queue })
    }

    /// What is told under this configuration.
    pub(super) fn observation(&self, config: &Config) -> Observation {
        let tracing = config.tracing.as_ref().zip(self.queue.clone());
        Observation {
            slow_request: config.log.slow_request,
            slow_lines: config.log.slow_sample,
            refused_lines: config.log.refused_sample,
            samplers: Arc::clone(&self.samplers),
            traces: tracing.map(|(tracing, queue)| {
                let Ratio(ratio) = tracing.ratio;
                Tracing { queue, ratio }
            }),
        }
    }

    /// Says now and then how many lines were left out, until the gate drains.
    pub(super) async fn tell(self, mut drain: watch::Receiver<bool>) {
        let mut ticks = interval(TELL_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => self.samplers.tell(),
                () = ended(&mut drain) => return,
            }
        }
    }

    /// Says what was left out last, and sends the last spans, within a bound.
    pub(super) async fn close(&self) {
        self.samplers.tell();
        if let Some(queue) = &self.queue {
            queue.close().await;
        }
    }
}

/// Where spans go, with the file of authorities read.
///
/// # Errors
/// As [`Observers::open`].
pub(super) fn settings(config: &Config) -> Result<Option<CollectorSettings>, BuildError> {
    let Some(tracing) = &config.tracing else { return Ok(None) };
    let read = |path: &std::path::PathBuf| {
        let what = "tracing.ca_file";
        let unreadable = |source: io::Error| BuildError::Unreadable { what, path: path.clone(), source };
        read_bounded(path, MAX_FILE).map(String::into_bytes).map_err(unreadable)
    };
    Ok(Some(CollectorSettings {
        endpoint: tracing.endpoint.clone(),
        headers: tracing.header_map(),
        authorities: tracing.ca_file.as_ref().map(read).transpose()?,
        service: tracing.service.clone(),
        timeout: tracing.timeout,
        queue: tracing.queue,
        batch: tracing.batch,
        delay: tracing.delay,
    }))
}
