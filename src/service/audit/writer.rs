//! The one that writes: lines from everybody, in batches, with one sync for as many announcements as came together.
//!
//! A batch without an announcement is synced within a second. When the file cannot be written, announcements fail, so that
//! the changes are refused; ends of changes are kept and written first once the file is back; the rest is counted as lost.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};
use uuid::Uuid;

use super::{
    file::AuditFile,
    line::{Line, Role},
    webhook::WebhookQueue,
};
use crate::{
    clock::Clock,
    logging::Complaint,
    metrics::{Metrics, RecordLabel},
};

/// Lines written together.
const BATCH: usize = 256;

/// How much a crash of the host may forget of what nobody waits for.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// Announcements remembered as open, and ends kept while the file cannot be written.
const REMEMBERED: usize = 10_000;

/// A line on its way.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: Uuid,
    pub(super) role: Role,
    pub(super) text: Vec<u8>,
    /// Hears whether the line was written, an announcement also synced.
    pub(super) written: Option<oneshot::Sender<io::Result<()>>>,
}

/// What the writer is asked for.
#[derive(Debug)]
pub(super) enum Message {
    /// To write a line.
    Write(Entry),
    /// To say when everything before is on disk.
    Flush(oneshot::Sender<()>),
}

/// The writer's own things.
#[derive(Debug)]
pub(super) struct Writer {
    ledger: Option<Ledger>,
    webhook: Option<WebhookQueue>,
    metrics: Arc<Metrics>,
    complaint: Complaint,
    unsynced_since: Option<Instant>,
}

impl Writer {
    /// A writer into a file, its open changes told of if nobody else can still end them.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub(super) fn new(
        file: AuditFile,
        webhook: Option<WebhookQueue>,
        metrics: Arc<Metrics>,
        clock: &Clock,
    ) -> io::Result<Self> {
        let mut ledger = Ledger { file, open: BTreeMap::new(), owed: VecDeque::new() };
        if ledger.file.is_alone() {
            ledger.reconcile(clock)?;
        }
        ledger.file.share();
        let complaint = Complaint::new("the audit log cannot be written");
        Ok(Self { ledger: Some(ledger), webhook, metrics, complaint, unsynced_since: None })
    }

    /// Writes until nobody can send any more.
    pub(super) async fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        loop {
            let due = self.unsynced_since.map(|since| since + SYNC_INTERVAL);
            let first = tokio::select! {
                first = messages.recv() => first,
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    self.sync().await;
                    continue;
                }
            };
            let Some(first) = first else { break };
            let (mut batch, mut flushes) = (Vec::new(), Vec::new());
            let mut next = Some(first);
            while let Some(message) = next {
                match message {
                    Message::Write(entry) => batch.push(entry),
                    Message::Flush(done) => flushes.push(done),
                }
                next = if batch.len() < BATCH { messages.try_recv().ok() } else { None };
            }
            self.write(batch).await;
            if !flushes.is_empty() {
                self.sync().await;
            }
            for done in flushes {
                let _ = done.send(());
            }
        }
        self.sync().await;
    }

    async fn write(&mut self, batch: Vec<Entry>) {
        if batch.is_empty() {
            return;
        }
        let must_sync = batch.iter().any(|entry| entry.role == Role::Intent);
        let (batch, result) = self
            .blocking(move |ledger| {
                let result = ledger.write(&batch, must_sync);
                (batch, result)
            })
            .await
            .unwrap_or_else(|| (Vec::new(), Err(io::ErrorKind::BrokenPipe.into())));
        self.count(batch.len(), &result);
        if result.is_ok() {
            self.unsynced_since =
                if must_sync { None } else { self.unsynced_since.or_else(|| Some(Instant::now())) };
        }
        for entry in batch {
            if result.is_ok()
                && let Some(webhook) = &self.webhook
            {
                webhook.offer(entry.id, &entry.text);
            }
            if let Some(written) = entry.written {
                let _ = written.send(result.as_ref().map_err(copy).copied());
            }
        }
    }

    async fn sync(&mut self) {
        self.unsynced_since = None;
        if let Some(Err(error)) = self.blocking(|ledger| ledger.file.sync()).await {
            self.complaint.about(&error);
        }
    }

    fn count(&self, lines: usize, result: &io::Result<()>) {
        let word = if result.is_ok() { "written" } else { "failed" };
        self.metrics.audit_records.get_or_create(&RecordLabel { result: word }).inc_by(lines as u64);
        if let Err(error) = result {
            self.complaint.about(error);
        }
    }

    /// Runs on a thread that may wait for a disk; `None` after a panic there, which ends the audit: everything fails then.
    async fn blocking<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Ledger) -> T + Send + 'static,
    ) -> Option<T> {
        let mut ledger = self.ledger.take()?;
        let done = tokio::task::spawn_blocking(move || {
            let result = work(&mut ledger);
            (ledger, result)
        });
        let (ledger, result) = done.await.ok()?;
        self.ledger = Some(ledger);
        Some(result)
    }
}

/// The file, and what is open in it.
#[derive(Debug)]
struct Ledger {
    file: AuditFile,
    /// Announcements whose end was not told, with their lines: a new file must hold them too.
    open: BTreeMap<Uuid, Vec<u8>>,
    /// Ends that could not be written yet.
    owed: VecDeque<(Uuid, Vec<u8>)>,
}

impl Ledger {
    fn write(&mut self, batch: &[Entry], must_sync: bool) -> io::Result<()> {
        self.write_lines(batch, must_sync).inspect_err(|_| self.owe(batch))?;
        for (ended, _) in self.owed.drain(..) {
            self.open.remove(&ended);
        }
        for entry in batch {
            match entry.role {
                Role::Event => {}
                Role::Intent if self.open.len() < REMEMBERED => {
                    self.open.insert(entry.id, entry.text.clone());
                }
                Role::Intent => {}
                Role::End(intent) => {
                    self.open.remove(&intent);
                }
            }
        }
        Ok(())
    }

    fn write_lines(&mut self, batch: &[Entry], must_sync: bool) -> io::Result<()> {
        let is_new = self.file.follow()?;
        let carried = self.open.values().filter(|_| is_new);
        let owed = self.owed.iter().map(|(_, text)| text);
        let texts = carried.chain(owed).chain(batch.iter().map(|entry| &entry.text));
        let lines: Vec<u8> = texts.flatten().copied().collect();
        self.file.append(&lines)?;
        if must_sync { self.file.sync() } else { Ok(()) }
    }

    fn owe(&mut self, batch: &[Entry]) {
        for entry in batch {
            if let Role::End(intent) = entry.role
                && self.owed.len() < REMEMBERED
            {
                self.owed.push_back((intent, entry.text.clone()));
            }
        }
    }

    /// Tells of every change whose end nobody told, and nobody can tell any more.
    fn reconcile(&mut self, clock: &Clock) -> io::Result<()> {
        let mut open: BTreeMap<Uuid, Line<'static>> = BTreeMap::new();
        for tail in self.file.tails()? {
            for line in tail.split(|byte| *byte == b'\n').filter_map(Line::parse) {
                if let Some(ended) = line.intent {
                    open.remove(&ended);
                } else if line.is_intent() {
                    open.insert(line.id, line);
                }
            }
        }
        let mut lines = Vec::new();
        for (intent, line) in open {
            let (action, actor) = (line.action.clone(), line.actor.clone());
            tracing::warn!(audit.intent = %intent, %action, %actor, "a change was announced and its end is unknown");
            lines.extend(line.unknown((Uuid::now_v7(), clock.now())).text()?);
        }
        if lines.is_empty() {
            return Ok(());
        }
        self.file.append(&lines)?;
        self.file.sync()
    }
}

/// An error that several hear of.
fn copy(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), error.to_string())
}
