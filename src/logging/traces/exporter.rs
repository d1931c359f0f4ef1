//! The way from the queue to the collector: batches, posted one after another.
//!
//! A batch goes when it is full or has waited long enough. One that the collector cannot take now (OTLP names the statuses) is
//! tried again, a few times; meanwhile the queue fills and drops. What is given up is counted, and said once a minute. The
//! collector's own words are not repeated in the log.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use prost::Message as _;
use reqwest::{Client, Response};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until},
};
use uuid::Uuid;

use super::{
    message::{ExportRequest, ExportResponse, Resource, ResourceSpans, Scope, ScopeSpans},
    queue::CollectorSettings,
    record::TracedRequest,
    spans::{self, text},
};
use crate::{logging::Complaint, metrics::SpanMetrics};

/// Attempts at one batch.
const ATTEMPTS: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause that a collector may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// An answer that says how many spans were rejected is shorter.
const MAX_ANSWER: usize = 64 << 10;

/// Posts batches.
#[derive(Debug)]
pub(super) struct Exporter {
    client: Client,
    endpoint: String,
    headers: HeaderMap,
    resource: Resource,
    batch: usize,
    delay: Duration,
    metrics: SpanMetrics,
    complaint: Complaint,
    end: watch::Receiver<bool>,
}

/// Why a batch was not taken.
struct NotTaken {
    reason: String,
    /// When it is worth another try.
    again: Option<Duration>,
}

impl Exporter {
    pub(super) fn new(
        client: Client,
        settings: CollectorSettings,
        metrics: SpanMetrics,
        end: watch::Receiver<bool>,
    ) -> Self {
        let CollectorSettings { endpoint, mut headers, service, batch, delay, .. } = settings;
        let program = concat!("portcullis/", env!("CARGO_PKG_VERSION"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(program));
        let attributes = vec![
            text("service.name", service),
            text("service.version", env!("CARGO_PKG_VERSION")),
            text("service.instance.id", Uuid::now_v7().to_string()),
        ];
        let complaint = Complaint::new("the collector does not take spans");
        let resource = Resource { attributes };
        Self { client, endpoint, headers, resource, batch, delay, metrics, complaint, end }
    }

    /// Posts until it is told to end, and then what is left.
    pub(super) async fn run(mut self, mut requests: mpsc::Receiver<TracedRequest>) {
        let mut batch = Vec::new();
        while self.gather(&mut requests, &mut batch).await {
            self.deliver(&batch).await;
            batch.clear();
        }
    }

    /// Fills a batch; `false` when nothing will come any more.
    async fn gather(
        &mut self,
        requests: &mut mpsc::Receiver<TracedRequest>,
        batch: &mut Vec<TracedRequest>,
    ) -> bool {
        let mut full_or_by = Instant::now();
        while batch.len() < self.batch {
            let (room, was_empty) = (self.batch - batch.len(), batch.is_empty());
            tokio::select! {
                biased;
                received = requests.recv_many(batch, room) => {
                    if received == 0 {
                        return !batch.is_empty();
                    }
                    if was_empty {
                        full_or_by = Instant::now() + self.delay;
                    }
                }
                () = ended(&mut self.end), if !requests.is_closed() => requests.close(),
                () = sleep_until(full_or_by), if !was_empty => break,
            }
        }
        true
    }

    async fn deliver(&mut self, batch: &[TracedRequest]) {
        let count: u64 = batch.iter().map(TracedRequest::spans).sum();
        let body = self.encode(batch);
        for attempt in 1..=ATTEMPTS {
            let NotTaken { reason, again } = match self.post(body.clone()).await {
                Ok(rejected) => return self.count_taken(count, rejected),
                Err(not_taken) => not_taken,
            };
            let pause = again.map(|asked| asked.max(pause(attempt)).min(LONGEST_PAUSE));
            let (Some(pause), false, true) = (pause, *self.end.borrow(), attempt < ATTEMPTS) else {
                self.metrics.count("failed", count);
                return self.complaint.about(&reason);
            };
            tokio::select! {
                () = sleep(pause) => {}
                () = ended(&mut self.end) => {}
            }
        }
    }

    fn count_taken(&self, count: u64, rejected: u64) {
        let rejected = rejected.min(count);
        self.metrics.count("exported", count - rejected);
        if rejected > 0 {
            self.metrics.count("rejected", rejected);
            self.complaint.about(&"some spans of a batch were rejected");
        }
    }

    fn encode(&self, batch: &[TracedRequest]) -> Bytes {
        let mut spans = Vec::with_capacity(batch.len() * 3);
        for request in batch {
            spans::write(request, &mut spans);
        }
        let scope = Scope { name: "portcullis".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
        let scope_spans = vec![ScopeSpans { scope: Some(scope), spans }];
        let resource_spans = vec![ResourceSpans { resource: Some(self.resource.clone()), scope_spans }];
        ExportRequest { resource_spans }.encode_to_vec().into()
    }

    /// Posts a batch; answers how many of its spans were rejected.
    async fn post(&self, body: Bytes) -> Result<u64, NotTaken> {
        let posting = self.client.post(&self.endpoint).headers(self.headers.clone()).body(body);
        let answer = posting.send().await.map_err(|error| NotTaken {
            reason: error.without_url().to_string(),
            again: Some(Duration::ZERO),
        })?;
        if answer.status().is_success() {
            return Ok(rejected(answer).await);
        }
        let reason = format!("the collector answered {}", answer.status());
        Err(NotTaken { reason, again: again(answer.status(), answer.headers()) })
    }
}

/// Whether OTLP/HTTP lets a batch be tried again, and how long the collector wants to be left alone.
fn again(status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
    let is_temporary = [
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::BAD_GATEWAY,
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::GATEWAY_TIMEOUT,
    ];
    let asked = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    is_temporary.contains(&status).then(|| Duration::from_secs(asked.unwrap_or(0)))
}

/// Twice as long each time, and up to half less, so that gates that lost one collector do not come back together.
fn pause(attempt: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(attempt - 1)).mul_f64(rand::random_range(0.5..1.0))
}

/// What the collector did not want of what it took; an answer that cannot be read says nothing.
async fn rejected(mut answer: Response) -> u64 {
    let mut body = Vec::new();
    while let Ok(Some(piece)) = answer.chunk().await {
        if body.len() + piece.len() > MAX_ANSWER {
            return 0;
        }
        body.extend_from_slice(&piece);
    }
    let partial = ExportResponse::decode(&body[..]).ok().and_then(|answer| answer.partial_success);
    partial.map_or(0, |partial| u64::try_from(partial.rejected_spans).unwrap_or(0))
}

async fn ended(end: &mut watch::Receiver<bool>) {
    // Whoever could tell is gone as well when the channel is closed.
    let _ = end.wait_for(|ends| *ends).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_otlp_lets_be_tried_again_is() {
        for (status, asked, expected) in [
            (429, Some("7"), Some(7)),
            (503, None, Some(0)),
            (502, Some("soon"), Some(0)),
            (504, None, Some(0)),
            (500, None, None),
            (400, Some("7"), None),
            (404, None, None),
            (301, None, None),
        ] {
            let value = asked.map(|asked| (header::RETRY_AFTER, HeaderValue::from_static(asked)));
            let headers: HeaderMap = value.into_iter().collect();
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(again(status, &headers), expected.map(Duration::from_secs), "{status} {asked:?}");
        }
    }

    #[test]
    fn pauses_grow() {
        for (attempt, longest) in [(1, 1), (2, 2)] {
            let longest = Duration::from_secs(longest);
            assert!(pause(attempt) <= longest && pause(attempt) >= longest / 2);
        }
    }
}
