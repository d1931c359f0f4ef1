//! The audit as its users see it: what stands in the file after what.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use super::{Action, Audit, Record};
use crate::{
    auth::{secret::Secret, time::UnixTime},
    clock::Clock,
    config,
    metrics::Metrics,
};

struct Log {
    folder: TempDir,
    path: PathBuf,
    metrics: Arc<Metrics>,
}

impl Log {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log/audit.log");
        fs::create_dir(folder.path().join("log")).unwrap();
        Self { folder, path, metrics: Arc::default() }
    }

    fn open(&self) -> Audit {
        self.open_with(None)
    }

    fn open_with(&self, webhook: Option<config::Webhook>) -> Audit {
        let settings = config::Audit { file: Some(self.path.clone()), replays: 1, webhook };
        let clock = Clock::given(|| UnixTime::from_seconds(1_795_248_000));
        Audit::open(&settings, clock, Arc::clone(&self.metrics)).unwrap()
    }

    fn lines(&self) -> Vec<Value> {
        lines(&self.path)
    }

    /// Action, outcome and the place of the announcement that a line ends.
    fn story(&self) -> Vec<(String, String, Option<usize>)> {
        let lines = self.lines();
        let place = |intent: &Value| lines.iter().position(|line| !intent.is_null() && line["id"] == *intent);
        let word = |line: &Value, key| line[key].as_str().unwrap().to_owned();
        lines
            .iter()
            .map(|line| (word(line, "action"), word(line, "outcome"), place(&line["intent"])))
            .collect()
    }

    fn counted(&self, result: &str) -> bool {
        self.metrics.encode().contains(&format!("portcullis_audit_records_total{{result=\"{result}\"}} "))
    }
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn record(action: Action) -> Record {
    Record::new(action, "cli:root")
}

fn step(action: &str, outcome: &str, ends: Option<usize>) -> (String, String, Option<usize>) {
    (action.to_owned(), outcome.to_owned(), ends)
}

#[tokio::test]
async fn a_change_is_announced_on_disk_and_ended_by_name() {
    let log = Log::new();
    let audit = log.open();
    let mut intent = audit.intend(record(Action::IntegrationCreated)).await.unwrap();
    assert_eq!(log.story(), [step("integration_created", "pending", None)]);
    intent.record_mut().consumer_id = Some(7);
    intent.committed().await;
    audit.intend(record(Action::IntegrationDeleted)).await.unwrap().failed("store").await;
    audit.tell(record(Action::TokenIssued)).await;
    audit.close().await;
    assert_eq!(
        log.story(),
        [
            step("integration_created", "pending", None),
            step("integration_created", "done", Some(0)),
            step("integration_deleted", "pending", None),
            step("integration_deleted", "failed", Some(2)),
            step("token_issued", "done", None),
        ]
    );
    assert_eq!(log.lines()[1]["consumer_id"], 7);
    assert_eq!(log.lines()[3]["cause"], "store");
    assert_eq!(fs::metadata(&log.path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_announce_at_once_and_none_is_missing() {
    let log = Log::new();
    let audit = log.open();
    let changes = (0..500).map(|_| {
        let audit = audit.clone();
        tokio::spawn(async move {
            audit.intend(record(Action::TokenRevoked)).await.unwrap().committed().await;
        })
    });
    for change in changes.collect::<Vec<_>>() {
        change.await.unwrap();
    }
    audit.close().await;
    let story = log.story();
    assert_eq!(story.len(), 1000);
    assert_eq!(story.iter().filter(|(_, outcome, ends)| outcome == "done" && ends.is_some()).count(), 500);
}

#[tokio::test]
async fn what_was_left_open_is_told_once_as_unknown() {
    let log = Log::new();
    let audit = log.open();
    drop(audit.intend(record(Action::IntegrationDeleted)).await.unwrap());
    let beside = log.open();
    beside.close().await;
    assert_eq!(log.story().len(), 1, "another process is alive and may still end it");
    audit.close().await;
    beside.close().await;
    drop((audit, beside));
    // The writers end when nobody can send any more, and let go of the file.
    tokio::time::sleep(Duration::from_millis(100)).await;
    for _ in 0..2 {
        let audit = log.open();
        audit.close().await;
        drop(audit);
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(
            log.story(),
            [step("integration_deleted", "pending", None), step("integration_deleted", "unknown", Some(0))]
        );
    }
}

#[tokio::test]
async fn a_torn_line_is_closed_and_costs_no_other() {
    let log = Log::new();
    fs::write(&log.path, "{\"time\":\"2026-11-21T08:0").unwrap();
    let audit = log.open();
    audit.intend(record(Action::UserChanged)).await.unwrap().committed().await;
    audit.close().await;
    let text = fs::read_to_string(&log.path).unwrap();
    assert!(text.starts_with("{\"time\":\"2026-11-21T08:0\n{\"time\":"), "{text}");
    assert_eq!(log.lines().len(), 2);
}

/// The announcement of a process beside one that was killed inside a line became a part of that line, and was lost.
#[tokio::test]
async fn a_line_that_another_process_tore_costs_no_other() {
    let log = Log::new();
    let audit = log.open();
    let mut beside = fs::OpenOptions::new().append(true).open(&log.path).unwrap();
    beside.write_all(b"{\"time\":\"2026-11-21T08:0").unwrap();
    audit.intend(record(Action::UserChanged)).await.unwrap().committed().await;
    audit.close().await;
    assert_eq!(log.story(), [step("user_changed", "pending", None), step("user_changed", "done", Some(0))]);
}

#[tokio::test]
async fn a_broken_disk_refuses_changes_stops_no_login_and_forgets_no_end() {
    let log = Log::new();
    let audit = log.open();
    let intent = audit.intend(record(Action::UserChanged)).await.unwrap();
    let (here, away) = (log.folder.path().join("log"), log.folder.path().join("away"));
    fs::rename(&here, &away).unwrap();
    let error = audit.intend(record(Action::TokenRevoked)).await.unwrap_err();
    assert!(error.to_string().starts_with("the audit log cannot be written: "), "{error}");
    audit.tell(record(Action::TokenIssued)).await;
    intent.committed().await;
    audit.close().await;
    assert!(log.counted("failed"));
    fs::rename(&away, &here).unwrap();
    audit.tell(record(Action::TokenIssued)).await;
    audit.close().await;
    assert_eq!(
        log.story(),
        [
            step("user_changed", "pending", None),
            step("user_changed", "done", Some(0)),
            step("token_issued", "done", None)
        ]
    );
}

#[tokio::test]
async fn a_rotated_file_is_followed_and_takes_what_is_open_along() {
    let log = Log::new();
    let audit = log.open();
    let intent = audit.intend(record(Action::CredentialRotated)).await.unwrap();
    let forgotten = audit.intend(record(Action::UserChanged)).await.unwrap();
    let before = log.path.with_extension("log.1");
    fs::rename(&log.path, &before).unwrap();
    intent.committed().await;
    audit.close().await;
    assert_eq!(lines(&before).len(), 2);
    assert_eq!(
        log.story(),
        [
            step("credential_rotated", "pending", None),
            step("user_changed", "pending", None),
            step("credential_rotated", "done", Some(0)),
        ]
    );
    drop((forgotten, audit));
    tokio::time::sleep(Duration::from_millis(100)).await;
    fs::rename(&log.path, &before).unwrap();
    log.open().close().await;
    let lines = log.lines();
    assert_eq!(
        (lines.len(), &lines[0]["outcome"]),
        (1, &Value::from("unknown")),
        "also from the file before"
    );
}

#[tokio::test]
async fn an_audit_that_is_off_refuses_nothing() {
    let audit = Audit::off();
    audit.tell(record(Action::TokenIssued)).await;
    audit.intend(record(Action::UserChanged)).await.unwrap().committed().await;
    audit.close().await;
}

#[test]
fn whether_a_file_can_be_written_is_told_without_making_it() {
    let log = Log::new();
    Audit::examine(&log.path).unwrap();
    assert!(fs::read_dir(log.path.parent().unwrap()).unwrap().next().is_none());
    assert!(Audit::examine(&log.folder.path().join("none/audit.log")).is_err());
    assert!(Audit::examine(log.folder.path()).is_err());
}

/// A receiver that answers with these statuses, one a request, and hands over what it got.
fn receiver(statuses: &'static [u16]) -> (String, mpsc::Receiver<(Vec<String>, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook?key=canary", listener.local_addr().unwrap());
    let (got, gets) = mpsc::channel();
    thread::spawn(move || {
        for status in statuses {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream);
            let mut head = Vec::new();
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if line == "\r\n" {
                    break;
                }
                head.push(line.trim_end().to_ascii_lowercase());
            }
            let length = head.iter().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            let mut body = vec![0; length.parse().unwrap()];
            reader.read_exact(&mut body).unwrap();
            let answer = format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            reader.into_inner().write_all(answer.as_bytes()).unwrap();
            got.send((head, String::from_utf8(body).unwrap())).unwrap();
        }
    });
    (url, gets)
}

fn webhook(url: String, queue: usize) -> config::Webhook {
    let secret = Secret::new("0123456789abcdef0123456789abcdef".to_owned());
    config::Webhook { url: Secret::new(url), secret, queue, timeout: Duration::from_secs(2) }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_webhook_gets_what_the_file_has_and_a_failure_is_tried_again() {
    let log = Log::new();
    let (url, gets) = receiver(&[500, 204, 204]);
    let audit = log.open_with(Some(webhook(url, 100)));
    audit.intend(record(Action::UserChanged)).await.unwrap().committed().await;
    audit.close().await;
    let got: Vec<_> = gets.iter().take(3).collect();
    let file = fs::read_to_string(&log.path).unwrap();
    assert_eq!(
        [&*got[0].1, &*got[1].1, &*got[2].1].map(|body| file.lines().position(|line| line == body)),
        [Some(0), Some(0), Some(1)]
    );
    let head = &got[0].0;
    let id = format!("webhook-id: {}", log.lines()[0]["id"].as_str().unwrap());
    for line in [&id, "webhook-timestamp: 1795248000", "content-type: application/json"] {
        assert!(head.iter().any(|given| given == line), "{head:?}");
    }
    assert!(head.iter().any(|line| line.starts_with("webhook-signature: v1,")), "{head:?}");
    assert_eq!(got[0].0[3], got[1].0[3], "the same record has the same id");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_away_holds_up_nobody() {
    let log = Log::new();
    let audit = log.open_with(Some(webhook("http://127.0.0.1:1/hook?key=canary".to_owned(), 2)));
    for _ in 0..10 {
        audit.intend(record(Action::TokenRevoked)).await.unwrap().committed().await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    audit.measure();
    let page = log.metrics.encode();
    assert!(page.contains("portcullis_audit_deliveries_total{result=\"dropped\"}"), "{page}");
    assert!(page.contains("portcullis_audit_queue 3"), "two wait behind the one under way: {page}");
    assert!(!format!("{audit:?}").contains("canary"));
}
