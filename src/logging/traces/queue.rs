//! The way from workers to the exporter: bounded, never waited for.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::HeaderMap;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};

use super::{exporter::Exporter, record::TracedRequest};
use crate::{
    logging::{Complaint, receiver_client},
    metrics::SpanMetrics,
};

/// How long a gate that ends waits for its last spans to be taken.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Where spans go, and how.
pub struct CollectorSettings {
    /// Where the collector takes traces.
    pub endpoint: String,
    /// What it wants to be shown; secret.
    pub headers: HeaderMap,
    /// The only authorities (PEM) that are believed over https; the platform's where there are none.
    pub authorities: Option<Vec<u8>>,
    /// What the spans' resource is called.
    pub service: String,
    /// The time for one post.
    pub timeout: Duration,
    /// Traced requests that wait at a time.
    pub queue: usize,
    /// Traced requests posted together.
    pub batch: usize,
    /// How long a batch waits to be full.
    pub delay: Duration,
}

impl fmt::Debug for CollectorSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CollectorSettings")
    }
}

/// The way in; cheap to clone.
#[derive(Debug, Clone)]
pub struct TraceQueue(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    requests: mpsc::Sender<TracedRequest>,
    metrics: SpanMetrics,
    complaint: Complaint,
    end: watch::Sender<bool>,
    exporter: Mutex<Option<JoinHandle<()>>>,
}

impl TraceQueue {
    /// A queue whose spans are posted on the current runtime.
    ///
    /// # Errors
    /// When the authorities, or those of the platform, cannot be read.
    pub fn start(
        settings: CollectorSettings,
        metrics: &SpanMetrics,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let client = receiver_client(&settings.endpoint, settings.timeout, settings.authorities.as_deref())?;
        for result in ["exported", "rejected", "failed", "dropped"] {
            metrics.count(result, 0);
        }
        let (requests, waiting) = mpsc::channel(settings.queue);
        let (end, ends) = watch::channel(false);
        let exporter = Exporter::new(client, settings, metrics.clone(), ends);
        let exporter = Mutex::new(Some(tokio::spawn(exporter.run(waiting))));
        let complaint = Complaint::new("spans of requests are dropped");
        Ok(Self(Arc::new(Inner { requests, metrics: metrics.clone(), complaint, end, exporter })))
    }

    /// Hands a request over, or drops it where there is no room.
    pub fn offer(&self, request: TracedRequest) {
        let spans = request.spans();
        if self.0.requests.try_send(request).is_err() {
            self.0.metrics.count("dropped", spans);
            self.0.complaint.about(&"the queue is full: the collector is away or slow");
        }
    }

    /// Sends what waits, once and within a bound, and takes nothing more.
    pub async fn close(&self) {
        self.0.end.send_replace(true);
        let exporter = self.0.exporter.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut exporter) = exporter else { return };
        if tokio::time::timeout(LAST_WORDS, &mut exporter).await.is_err() {
            exporter.abort();
            tracing::warn!("spans of the last requests are lost: the collector did not take them in time");
        }
    }
}
