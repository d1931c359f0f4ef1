//! Lines about slow and refused requests, from the real binary whose access log is off.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on must stop"
)]

mod support;

use std::{
    io::Write as _,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use support::{
    gate::Setup,
    process::Process,
    upstream::Upstream,
    wire::{Message, exchange, request},
};

const SECRETS: [&str; 3] = ["hunter2", "cookie-of-mine", "nobodys-token"];

/// Longer than what counts as slow; a busy machine makes others slow as well.
const SLOW: Duration = Duration::from_secs(2);

/// An upstream that takes its time for some.
fn upstream() -> Upstream {
    Upstream::answering(|request, socket| {
        if request.target().contains("slow") {
            thread::sleep(SLOW);
        }
        write!(socket, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]").is_ok()
    })
}

fn setup(upstream: &Upstream, lines: &str) -> Setup {
    let log = format!("level = \"info\"\naccess = \"off\"\n{lines}");
    Setup::before(upstream.address).with("log", &log)
}

fn ask(process: &Process, target: &str) -> Message {
    let headers = [("Authorization", "Bearer nobodys-token"), ("Cookie", "a=cookie-of-mine")];
    exchange(process.proxy, &request("GET", target, &headers, b""))
}

fn slow(process: &Process) -> Message {
    ask(process, "/rest/V1/directory/currency?slow=hunter2")
}

fn refused(process: &Process) -> Message {
    ask(process, "/rest/V1/modules?password=hunter2")
}

/// Ends the binary; the events of its log that say this.
fn events(process: Process) -> impl Fn(&str) -> Vec<Value> {
    process.terminate();
    let ended = process.wait();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""), "the access log is off");
    for secret in SECRETS {
        assert!(!ended.stderr.contains(secret), "{secret} is logged");
    }
    let events: Vec<Value> = ended.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    move |message| events.iter().filter(|event| event["message"] == message).cloned().collect()
}

#[test]
fn some_slow_and_refused_requests_are_shown_and_the_others_counted() {
    let (upstream, folder) = (upstream(), tempfile::tempdir().unwrap());
    let lines = "slow_request = \"1500ms\"\nslow_sample = 2\nrefused_sample = 3";
    let process = Process::serve(&setup(&upstream, lines).prepare(folder.path()));
    let late: Vec<_> = (0..3).map(|_| slow(&process)).collect();
    assert!(late.iter().all(|answer| answer.status() == 200));
    assert_eq!(ask(&process, "/rest/V1/directory/currency").status(), 200);
    let turned_away: Vec<_> = (0..5).map(|_| refused(&process)).collect();
    assert!(turned_away.iter().all(|answer| answer.status() == 401));
    assert_eq!(ask(&process, "/rest/V1/./modules").status(), 400, "another reason has lines of its own");

    let events = events(process);
    let slow = events("a request was slow");
    assert_eq!(slow.len(), 2, "{slow:?}");
    let line = &slow[0];
    assert_eq!(line["level"], "WARN");
    assert_eq!(line["request_id"], late[0].header("x-request-id").unwrap());
    assert_eq!(
        (&line["method"], &line["path"], &line["client"], &line["status"], &line["decision"]),
        (
            &"GET".into(),
            &"/rest/V1/directory/currency".into(),
            &"127.0.0.1".into(),
            &200.into(),
            &"forwarded".into()
        )
    );
    assert_eq!(line["endpoint"], upstream.address.to_string());
    let milliseconds = |name: &str| line[name].as_f64().unwrap_or_else(|| panic!("no {name} in {line}"));
    assert!(milliseconds("upstream_ms") >= 2000.0 && milliseconds("total_ms") >= milliseconds("upstream_ms"));
    assert!(milliseconds("auth_ms") < milliseconds("total_ms"));
    for name in ["lookup_ms", "nonce_ms", "form_ms"] {
        assert!(milliseconds(name).abs() < f64::EPSILON, "{name}: it waited for nothing but the upstream");
    }
    assert!(milliseconds("body_ms") <= milliseconds("total_ms"));

    let refused = events("a request was refused");
    assert_eq!(refused.len(), 4, "{refused:?}");
    let line = &refused[0];
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["request_id"], turned_away[0].header("x-request-id").unwrap());
    assert_eq!(
        (&line["reason"], &line["cause"], &line["route"], &line["status"], &line["lookups"]),
        (&"resource_denied".into(), &"token_unknown".into(), &"/V1/modules".into(), &401.into(), &1.into())
    );
    assert_eq!(refused[3]["status"], 400);

    let left_out = |what: &str| {
        let told = events(&format!("{what}: not every one was shown"));
        told.iter().map(|event| event["left_out"].as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!(left_out("refused requests"), 2);
    assert!(left_out("slow requests") >= 1);
}

#[test]
fn the_samples_change_while_the_gate_serves() {
    let (upstream, folder) = (upstream(), tempfile::tempdir().unwrap());
    let by_signal = |lines: &str| setup(&upstream, lines).with("reload", "watch = false");
    let off = "slow_request = \"0s\"\nrefused_sample = 0";
    let process = Process::serve(&by_signal(off).prepare(folder.path()));
    slow(&process);
    refused(&process);
    by_signal("slow_request = \"1500ms\"\nrefused_sample = 1").write(folder.path());
    process.hang_up();
    let began = Instant::now();
    let taken_up = "portcullis_config_reloads_total{result=\"taken_up\"} 1\n";
    while !exchange(process.admin, &request("GET", "/metrics", &[], b"")).text().contains(taken_up) {
        assert!(began.elapsed() < Duration::from_secs(30), "not taken up");
        thread::sleep(Duration::from_millis(10));
    }
    let (late, turned_away) = (slow(&process), refused(&process));
    let events = events(process);
    let ids = |message: &str| -> Vec<Value> {
        events(message).iter().map(|event| event["request_id"].clone()).collect()
    };
    assert_eq!(ids("a request was slow")[0], late.header("x-request-id").unwrap());
    assert_eq!(ids("a request was refused"), [turned_away.header("x-request-id").unwrap()]);
    assert!(events("slow requests: not every one was shown").is_empty(), "what is off is not counted");
}
