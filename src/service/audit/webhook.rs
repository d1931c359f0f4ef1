//! The audit's records, posted to a receiver one after another.
//!
//! Headers and signature are those of Standard Webhooks: `webhook-id`, `webhook-timestamp`, `webhook-signature` with HMAC-SHA256
//! over id, timestamp and body. A delivery that fails is tried again, later and later; what finds no room in the queue is
//! dropped and counted. Nobody ever waits for the receiver, and the file has every record all the same.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::{Client, StatusCode, header::CONTENT_TYPE};
use sha2::Sha256;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::{
    auth::secret::Secret,
    clock::Clock,
    config,
    logging::{Complaint, receiver_client},
    metrics::{DeliveryLabel, Metrics},
};

/// Attempts at one record: with the pauses below about eight minutes.
const ATTEMPTS: u32 = 12;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How a key in base64 begins in Standard Webhooks; any other is taken as it stands.
const BASE64_KEY: &str = "whsec_";

/// The way in: bounded, never waited for.
#[derive(Debug, Clone)]
pub(super) struct WebhookQueue {
    records: mpsc::Sender<Delivery>,
    progress: Arc<Progress>,
}

/// What both ends of the queue know.
#[derive(Debug)]
struct Progress {
    /// Records that were taken and not delivered yet.
    waiting: AtomicUsize,
    /// Since when the record that is being delivered waits.
    under_way: Mutex<Option<Instant>>,
    metrics: Arc<Metrics>,
    complaint: Complaint,
}

#[derive(Debug)]
struct Delivery {
    id: Uuid,
    body: Vec<u8>,
    since: Instant,
}

/// The way out.
#[derive(Debug)]
struct Sender {
    client: Client,
    url: Secret<String>,
    key: Secret<Vec<u8>>,
    clock: Clock,
    progress: Arc<Progress>,
}

/// How an attempt ended.
enum Attempt {
    Delivered,
    /// Worth another try.
    Again(String),
    /// The receiver does not want it.
    Refused(StatusCode),
}

impl WebhookQueue {
    /// A queue whose records are posted on the current runtime.
    ///
    /// # Errors
    /// When the certificates of the system cannot be read.
    pub(super) fn start(settings: &config::Webhook, metrics: Arc<Metrics>, clock: Clock) -> io::Result<Self> {
        let (records, waiting) = mpsc::channel(settings.queue);
        let complaint = Complaint::new("the audit webhook does not take records");
        let progress = Arc::new(Progress {
            waiting: AtomicUsize::new(0),
            under_way: Mutex::new(None),
            metrics,
            complaint,
        });
        let sender = Sender {
            client: receiver_client(settings.url.expose(), settings.timeout, None)
                .map_err(io::Error::other)?,
            url: Secret::new(settings.url.expose().clone()),
            key: key(&settings.secret),
            clock,
            progress: Arc::clone(&progress),
        };
        tokio::spawn(sender.run(waiting));
        Ok(Self { records, progress })
    }

    /// Hands a record over, or drops it where there is no room.
    pub(super) fn offer(&self, id: Uuid, text: &[u8]) {
        let body = text.strip_suffix(b"\n").unwrap_or(text).to_vec();
        self.progress.waiting.fetch_add(1, Ordering::AcqRel);
        if self.records.try_send(Delivery { id, body, since: Instant::now() }).is_err() {
            self.progress.waiting.fetch_sub(1, Ordering::AcqRel);
            self.progress.count("dropped");
            self.progress.complaint.about(&"the queue is full");
        }
    }

    /// Brings the figures up to date before they are shown.
    pub(super) fn measure(&self) {
        let metrics = &self.progress.metrics;
        metrics.audit_queue.set(i64::try_from(self.waiting()).unwrap_or(i64::MAX));
        let oldest = self.progress.under_way();
        metrics.audit_lag.set(oldest.map_or(0.0, |since| since.elapsed().as_secs_f64()));
    }

    /// Records that were not delivered yet.
    pub(super) fn waiting(&self) -> usize {
        self.progress.waiting.load(Ordering::Acquire)
    }
}

impl Progress {
    fn under_way(&self) -> Option<Instant> {
        *self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_under_way(&self, since: Option<Instant>) {
        *self.under_way.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    fn count(&self, result: &'static str) {
        self.metrics.audit_deliveries.get_or_create(&DeliveryLabel { result }).inc();
    }
}

impl Sender {
    async fn run(self, mut waiting: mpsc::Receiver<Delivery>) {
        while let Some(delivery) = waiting.recv().await {
            self.progress.set_under_way(Some(delivery.since));
            self.deliver(&delivery).await;
            self.progress.set_under_way(None);
            self.progress.waiting.fetch_sub(1, Ordering::AcqRel);
        }
    }

    async fn deliver(&self, delivery: &Delivery) {
        for attempt in 1..=ATTEMPTS {
            let reason = match self.post(delivery).await {
                Attempt::Delivered => return self.progress.count("delivered"),
                Attempt::Again(reason) if attempt < ATTEMPTS => {
                    self.progress.count("retried");
                    self.progress.complaint.about(&reason);
                    tokio::time::sleep(pause(attempt)).await;
                    continue;
                }
                Attempt::Again(reason) => reason,
                Attempt::Refused(status) => format!("the receiver answered {status}"),
            };
            self.progress.count("refused");
            return self.progress.complaint.about(&reason);
        }
    }

    async fn post(&self, delivery: &Delivery) -> Attempt {
        let timestamp = self.clock.now().seconds().to_string();
        let (id, signature) = (delivery.id.to_string(), sign(&self.key, delivery, &timestamp));
        let request = self
            .client
            .post(self.url.expose().as_str())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature)
            .body(delivery.body.clone());
        match request.send().await {
            // The URL may carry a secret.
            Err(error) => Attempt::Again(error.without_url().to_string()),
            Ok(answer) => judge(answer.status()),
        }
    }
}

fn judge(status: StatusCode) -> Attempt {
    let is_temporary = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
    if status.is_success() {
        Attempt::Delivered
    } else if status.is_server_error() || is_temporary.contains(&status) {
        Attempt::Again(format!("the receiver answered {status}"))
    } else {
        Attempt::Refused(status)
    }
}

/// Twice as long each time, and up to half less, so that gates that lost one receiver do not come back together.
fn pause(attempt: u32) -> Duration {
    let full = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(attempt - 1)).min(LONGEST_PAUSE);
    full.mul_f64(rand::random_range(0.5..1.0))
}

fn sign(key: &Secret<Vec<u8>>, delivery: &Delivery, timestamp: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose()).expect("HMAC takes keys of any length");
    for part in [delivery.id.to_string().as_bytes(), b".", timestamp.as_bytes(), b".", &delivery.body] {
        mac.update(part);
    }
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

fn key(secret: &Secret<String>) -> Secret<Vec<u8>> {
    let text = secret.expose().as_str();
    let decoded = text.strip_prefix(BASE64_KEY).and_then(|key| STANDARD.decode(key).ok());
    Secret::new(decoded.unwrap_or_else(|| text.as_bytes().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks specification.
    #[test]
    fn signatures_are_those_of_the_standard() {
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned());
        let mut mac = Hmac::<Sha256>::new_from_slice(key(&secret).expose()).unwrap();
        mac.update(b"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{\"test\": 2432232314}");
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        assert_eq!(signature, "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn pauses_grow_and_end_at_a_minute() {
        assert!(pause(1) <= FIRST_PAUSE && pause(1) >= FIRST_PAUSE / 2);
        assert!(pause(ATTEMPTS) <= LONGEST_PAUSE && pause(ATTEMPTS) >= LONGEST_PAUSE / 2);
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        for (status, again) in
            [(500, true), (503, true), (408, true), (429, true), (400, false), (301, false), (410, false)]
        {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(matches!(judge(status), Attempt::Again(_)), again, "{status}");
        }
        assert!(matches!(judge(StatusCode::NO_CONTENT), Attempt::Delivered));
    }
}
