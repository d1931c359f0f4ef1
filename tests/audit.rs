//! The audit of a running gate: replayed nonces are told, and a log that cannot be written is said before the start.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on must stop; clippy exempts only the functions that are marked as tests"
)]

mod support;

use std::process::Command;

use serde_json::Value;
use support::{
    gate::{Gate, Setup},
    signing::Credentials,
    upstream::Upstream,
    wire::{Message, exchange, request},
};

const NOW: i64 = 1_795_248_000;
const PROTECTED: &str = "/rest/V1/modules";
const ANONYMOUS: &str = "/rest/V1/directory/currency";

fn signed(path: &str, nonce: &str) -> String {
    Credentials::full().authorization(path, NOW, nonce)
}

fn ask(gate: &Gate, path: &str, authorization: &str) -> Message {
    let headers = [("Host", "shop.test"), ("Authorization", authorization)];
    exchange(gate.proxy, &request("GET", path, &headers, b""))
}

fn records(gate: Gate) -> Vec<Value> {
    let kept = gate.folder.clone();
    let _folder = gate.stop();
    let text = std::fs::read_to_string(kept.join("audit.log")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_replay_is_told_with_consumer_client_and_request_and_a_flood_is_counted() {
    let upstream = Upstream::start();
    let gate =
        Setup::before(upstream.address).with("audit", "file = \"audit.log\"\nreplays = 3").at(NOW).start();
    let authorization = signed(PROTECTED, "nonce-1");
    assert_eq!(ask(&gate, PROTECTED, &authorization).status(), 200);
    let refused: Vec<_> = (0..5).map(|_| ask(&gate, PROTECTED, &authorization)).collect();
    assert!(refused.iter().all(|answer| answer.status() == 401));
    let metrics = exchange(gate.admin, &request("GET", "/metrics", &[], b"")).text();
    assert!(metrics.contains("portcullis_audit_records_total{result=\"suppressed\"} 2"), "{metrics}");
    gate.set_time(NOW + 1);
    ask(&gate, PROTECTED, &authorization);

    let records = records(gate);
    assert_eq!(records.len(), 4, "{records:?}");
    let first = &records[0];
    assert_eq!((&first["action"], &first["outcome"]), (&"nonce_replayed".into(), &"refused".into()));
    assert_eq!((&first["consumer_id"], &first["client"]), (&1.into(), &"127.0.0.1".into()));
    assert_eq!(first["request_id"], refused[0].header("x-request-id").unwrap());
    assert_eq!(records[3]["detail"], "replays not told before 2");
}

#[test]
fn a_replay_that_only_made_a_guest_is_told_too() {
    let upstream = Upstream::start();
    let setup = Setup::before(upstream.address)
        .with("audit", "file = \"audit.log\"")
        .with("acl", "anonymous = \"resolve\"");
    let gate = setup.at(NOW).start();
    let authorization = signed(ANONYMOUS, "nonce-1");
    for _ in 0..2 {
        assert_eq!(ask(&gate, ANONYMOUS, &authorization).status(), 200);
    }
    let records = records(gate);
    assert_eq!((records.len(), &records[0]["consumer_id"]), (1, &1.into()), "{records:?}");
}

#[test]
fn a_log_that_cannot_be_written_is_said_before_the_start() {
    let upstream = Upstream::start();
    let folder = tempfile::tempdir().unwrap();
    let setup = || Setup::before(upstream.address).with("audit", "file = \"none/audit.log\"");
    let config = setup().prepare(folder.path());
    let check =
        || Command::new(env!("CARGO_BIN_EXE_portcullis")).arg("check").arg("--config").arg(&config).output();
    let refused = check().unwrap();
    assert_eq!(refused.status.code(), Some(78));
    let text = String::from_utf8(refused.stderr).unwrap();
    assert!(text.contains("audit.file: cannot write ") && text.contains("none/audit.log"), "{text}");
    let error = setup().in_folder(folder.path()).try_start().map(|_| ()).unwrap_err();
    assert!(error.to_string().starts_with("audit.file: cannot write "), "{error}");
    std::fs::create_dir(folder.path().join("none")).unwrap();
    assert!(check().unwrap().status.success());
    assert!(!folder.path().join("none/audit.log").exists(), "a check leaves everything as it is");
}

/// The folder of the log is gone; to whoever writes that is a disk that takes nothing.
#[test]
fn a_log_that_takes_nothing_refuses_changes_and_keeps_nobody_from_signing_in() {
    for issuer in ["jwt", "opaque"] {
        let upstream = Upstream::start();
        let gate = Setup::before(upstream.address)
            .with("tokens", &format!("issuer = \"{issuer}\""))
            .with("audit", "file = \"sessions/audit.log\"")
            .at(NOW)
            .start();
        std::fs::remove_dir_all(gate.folder.join("sessions")).unwrap();
        let post = |target: &str, headers: &[(&str, &str)], body: &str| {
            exchange(gate.proxy, &request("POST", target, headers, body.as_bytes()))
        };
        let login = r#"{"username":"alice@example.com","password":"Passw0rd!alice"}"#;
        let json = ("Content-Type", "application/json");
        let signed_in = post("/rest/V1/integration/customer/token", &[json], login);
        assert_eq!(signed_in.status(), 200, "{issuer}: {}", signed_in.text());
        let token: String = serde_json::from_str(&signed_in.text()).unwrap();
        let bearer = format!("Bearer {token}");
        let revoke = "/rest/V1/integration/customer/revoke-customer-token";
        let revoked = post(revoke, &[("Authorization", &bearer)], "");
        assert_eq!(revoked.status(), 503, "{issuer}");
        assert_eq!(revoked.header("x-auth-refused").as_deref(), Some("audit_unavailable"));
        let own = request("GET", "/rest/V1/customers/me", &[("Authorization", &bearer)], b"");
        assert_eq!(exchange(gate.proxy, &own).status(), 200, "{issuer}: what was not recorded was not done");
        let metrics = exchange(gate.admin, &request("GET", "/metrics", &[], b"")).text();
        assert!(metrics.contains("portcullis_audit_records_total{result=\"failed\"}"), "{metrics}");
    }
}
