//! What everybody else sees of the audit: telling, announcing, ending.

use std::{io, path::Path, sync::Arc, time::Duration};

use thiserror::Error;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use uuid::Uuid;

use super::{
    file::{AuditFile, probe},
    line::{Line, Role},
    record::{Outcome, Record},
    webhook::WebhookQueue,
    writer::{Entry, Message, Writer},
};
use crate::{
    clock::Clock,
    config,
    logging::Complaint,
    metrics::{Metrics, RecordLabel},
};

/// Lines that wait for the writer.
const QUEUE: usize = 8192;

/// A disk that takes longer to answer is as good as full.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where records go; cheap to clone.
#[derive(Debug, Clone)]
pub struct Audit(Option<Arc<Journal>>);

#[derive(Debug)]
struct Journal {
    messages: mpsc::Sender<Message>,
    webhook: Option<WebhookQueue>,
    metrics: Arc<Metrics>,
    clock: Clock,
    complaint: Complaint,
}

/// The audit's disk is full or gone.
#[derive(Debug, Error)]
#[error("the audit log cannot be written: {0}")]
pub struct AuditError(#[from] io::Error);

/// A change that was announced and whose end is still to be told. One that is dropped stays open in the log.
#[derive(Debug)]
#[must_use = "tell how it ended"]
pub struct Intent {
    audit: Audit,
    id: Uuid,
    record: Record,
}

impl Audit {
    /// An audit that forgets.
    #[must_use]
    pub const fn off() -> Self {
        Self(None)
    }

    /// The audit that a configuration asks for; its writer lives on the current runtime. Changes that an earlier process left
    /// open are told of first.
    ///
    /// # Errors
    /// When the file cannot be opened, read or written.
    pub fn open(settings: &config::Audit, clock: Clock, metrics: Arc<Metrics>) -> io::Result<Self> {
        let Some(path) = &settings.file else { return Ok(Self::off()) };
        let file = AuditFile::open(path)?;
        let webhook = settings.webhook.as_ref();
        let webhook =
            webhook.map(|to| WebhookQueue::start(to, Arc::clone(&metrics), clock.clone())).transpose()?;
        let writer = Writer::new(file, webhook.clone(), Arc::clone(&metrics), &clock)?;
        let (messages, waiting) = mpsc::channel(QUEUE);
        tokio::spawn(writer.run(waiting));
        let complaint = Complaint::new("audit records are dropped");
        Ok(Self(Some(Arc::new(Journal { messages, webhook, metrics, clock, complaint }))))
    }

    /// Whether the audit that a configuration asks for could be opened; leaves everything as it is.
    ///
    /// # Errors
    /// The reason why not.
    pub fn examine(path: &Path) -> io::Result<()> {
        probe(path)
    }

    /// Tells what happened. A record that cannot be written is counted and logged, and stops nobody.
    #[expect(clippy::unused_async, reason = "callers need not know that telling waits for nobody")]
    pub async fn tell(&self, record: Record) {
        self.offer(&record);
    }

    /// Tells what happened, and returns when the line is in the file, where it outlives this process: for a credential that no
    /// announcement came before. One that cannot be written is counted and logged, and stops nobody.
    pub async fn witness(&self, record: Record) {
        let Some(journal) = &self.0 else { return };
        let Ok(mut entry) = journal.entry(Uuid::now_v7(), &record, Role::Event) else { return };
        let (told, written) = oneshot::channel();
        entry.written = Some(told);
        if journal.messages.try_send(Message::Write(entry)).is_err() {
            return journal.dropped();
        }
        // The writer counts a line that it cannot write, and still has one that is late.
        let _ = timeout(PATIENCE, written).await;
    }

    /// [`Audit::tell`] for those who cannot wait at all.
    pub fn offer(&self, record: &Record) {
        let Some(journal) = &self.0 else { return };
        let Ok(entry) = journal.entry(Uuid::now_v7(), record, Role::Event) else { return };
        if journal.messages.try_send(Message::Write(entry)).is_err() {
            journal.dropped();
        }
    }

    /// Announces a change; the announcement is on disk when this returns.
    ///
    /// # Errors
    ///
    /// [`AuditError`] where it cannot be written: the change must not be made then.
    pub async fn intend(&self, record: Record) -> Result<Intent, AuditError> {
        let id = Uuid::now_v7();
        if let Some(journal) = &self.0 {
            let late = |_| io::Error::from(io::ErrorKind::TimedOut);
            timeout(PATIENCE, journal.announce(id, &record)).await.map_err(late)??;
        }
        Ok(Intent { audit: self.clone(), id, record })
    }

    /// Waits until everything told so far is on disk and, for a moment, until the webhook has it.
    pub async fn close(&self) {
        let Some(journal) = &self.0 else { return };
        let (done, flushed) = oneshot::channel();
        let flush = async {
            if journal.messages.send(Message::Flush(done)).await.is_ok() {
                let _ = flushed.await;
            }
            while journal.webhook.as_ref().is_some_and(|webhook| webhook.waiting() > 0) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if timeout(PATIENCE, flush).await.is_err() {
            tracing::warn!("audit records were not all written or delivered at the end");
        }
    }

    /// Brings the figures up to date before they are shown.
    pub fn measure(&self) {
        if let Some(webhook) = self.0.as_ref().and_then(|journal| journal.webhook.as_ref()) {
            webhook.measure();
        }
    }

    async fn end(&self, intent: Uuid, record: &Record) {
        let Some(journal) = &self.0 else { return };
        let Ok(entry) = journal.entry(Uuid::now_v7(), record, Role::End(intent)) else { return };
        // An end is worth waiting for room, though not for ever: without it the change stays open in the log.
        if !matches!(timeout(PATIENCE, journal.messages.send(Message::Write(entry))).await, Ok(Ok(()))) {
            journal.dropped();
        }
    }
}

impl Journal {
    async fn announce(&self, id: Uuid, record: &Record) -> io::Result<()> {
        let mut entry = self.entry(id, record, Role::Intent)?;
        let (told, written) = oneshot::channel();
        entry.written = Some(told);
        let gone = || io::Error::other("its writer is gone");
        self.messages.send(Message::Write(entry)).await.map_err(|_| gone())?;
        written.await.map_err(|_| gone())?
    }

    fn entry(&self, id: Uuid, record: &Record, role: Role) -> io::Result<Entry> {
        let text = Line::new(record, role, (id, self.clock.now())).text()?;
        Ok(Entry { id, role, text, written: None })
    }

    fn dropped(&self) {
        self.metrics.audit_records.get_or_create(&RecordLabel { result: "dropped" }).inc();
        self.complaint.about(&"too many wait to be written");
    }
}

impl Intent {
    /// What was announced: who is affected is often known only later.
    pub const fn record_mut(&mut self) -> &mut Record {
        &mut self.record
    }

    /// Tells that the change took effect.
    pub async fn committed(self) {
        self.audit.end(self.id, &self.record).await;
    }

    /// Tells that the change was not made, and why. A record that says [`Outcome::Refused`] keeps that word.
    pub async fn failed(mut self, cause: &'static str) {
        if self.record.outcome == Outcome::Done {
            self.record.outcome = Outcome::Failed;
        }
        self.record.cause = Some(cause);
        self.audit.end(self.id, &self.record).await;
    }
}
