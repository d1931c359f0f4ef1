//! Cleaning up: by the gate when it is due, by the command at any time, by one process a store.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on must stop; clippy exempts only the functions that are marked as tests"
)]

mod support;

use std::{
    path::Path,
    process::{Command, Output},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use support::{
    gate::{Gate, Setup},
    upstream::Upstream,
    wire::{exchange, request},
};

const AUDIT: &str = "file = \"audit.log\"";

fn job(config: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.arg("job").args(arguments).arg("--config").arg(config).env("USER", "root");
    command.output().unwrap()
}

fn text(output: &Output) -> String {
    let text = [output.stdout.as_slice(), &output.stderr].concat();
    String::from_utf8(text).unwrap()
}

fn records(gate: &Gate, action: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(gate.folder.join("audit.log")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["action"] == action).collect()
}

fn expired_locks(gate: &Gate, count: u32) {
    gate.sql(&format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
        INSERT INTO oauth_token_request_log (user_name, user_type, lock_expires_at)
        SELECT 'user' || i, 2, '2020-01-01 00:00:00' FROM n"
    ));
}

#[test]
fn the_gate_cleans_when_it_is_due_and_one_of_two_gates_does_it() {
    let upstream = Upstream::start();
    let setup = || {
        Setup::before(upstream.address)
            .with("jobs", "authentication_failures = \"1s\"\nbatch = 10")
            .with("audit", AUDIT)
            .on_system_time()
    };
    let first = setup().start();
    let second = setup().with("nonces", "journal = \"nonces-2\"").in_folder(&first.folder).start();
    expired_locks(&first, 35);
    let began = Instant::now();
    while records(&first, "job_run").is_empty() {
        assert!(began.elapsed() < Duration::from_secs(10), "no job ran");
        thread::sleep(Duration::from_millis(50));
    }
    let runs = records(&first, "job_run");
    assert_eq!(runs.len(), 1, "{runs:?}");
    assert_eq!((&runs[0]["actor"], &runs[0]["detail"]), (&"job".into(), &"rows deleted 35".into()));
    let page = |gate: &Gate| exchange(gate.admin, &request("GET", "/metrics", &[], b"")).text();
    let deleted = "portcullis_job_rows_deleted_total{task=\"authentication_failures\"} 35";
    assert_eq!([&first, &second].iter().filter(|gate| page(gate).contains(deleted)).count(), 1);
}

#[test]
fn the_command_runs_a_job_at_any_time_but_not_beside_another() {
    let upstream = Upstream::start();
    let setup = || Setup::before(upstream.address).with("audit", AUDIT);
    let gate = setup().start();
    let config = setup().write(&gate.folder);
    expired_locks(&gate, 3);

    let listed = text(&job(&config, &["list"]));
    assert!(listed.contains("authentication_failures  1m         never"), "{listed}");
    let ran = job(&config, &["run", "authentication_failures"]);
    assert!(
        ran.status.success() && text(&ran).contains("authentication_failures: 3 rows deleted"),
        "{}",
        text(&ran)
    );
    assert!(text(&job(&config, &["run", "authentication_failures"])).contains(" 0 rows deleted"));
    let runs = records(&gate, "job_run");
    assert_eq!(
        (runs.len(), &runs[0]["actor"]),
        (1, &"cli:root".into()),
        "a run that found nothing is no news"
    );
    assert!(!text(&job(&config, &["list"])).contains("authentication_failures  1m         never"));

    gate.sql("INSERT INTO portcullis_job VALUES ('nonces', 'somebody', unixepoch() + 30, NULL)");
    let busy = job(&config, &["run", "nonces"]);
    assert_eq!(busy.status.code(), Some(1));
    assert!(text(&busy).contains("nonces: another process is at it"), "{}", text(&busy));
    let listed = text(&job(&config, &["list"]));
    assert!(listed.lines().any(|line| line.starts_with("nonces ") && line.ends_with("running")), "{listed}");
    gate.sql("UPDATE portcullis_job SET leased_until = unixepoch() - 1");
    assert!(job(&config, &["run", "nonces"]).status.success(), "a killed runner's claim runs out");

    assert_eq!(job(&config, &["run", "everything"]).status.code(), Some(2));
}
