//! What operators see: one line a request, figures, health; and what nobody may see there.

use std::{io::Write as _, thread, time::Duration};

use serde_json::Value;

use crate::{
    callers::{ANONYMOUS, FULL, OUTSIDE, PROTECTED, UNKNOWN, gate, get, post, signed},
    support::{
        gate::Gate,
        process::Process,
        upstream::Upstream,
        wire::{Client, exchange, request},
    },
};

/// Stops a gate and reads its access log.
fn lines(gate: Gate) -> Vec<Value> {
    let path = gate.folder.join("access.log");
    let kept = gate.stop();
    let text = std::fs::read_to_string(path).unwrap();
    drop(kept);
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
        .collect()
}

fn logging_gate(upstream: &Upstream) -> Gate {
    gate(upstream).with("log", "access = \"./access.log\"").start()
}

#[test]
fn each_request_leaves_one_line_that_tells_what_became_of_it() {
    let upstream = Upstream::start();
    let gate = logging_gate(&upstream);
    let id = |bytes: &[u8]| exchange(gate.proxy, bytes).header("x-request-id").unwrap();
    let ids = [
        id(&get(&format!("{PROTECTED}?secret=1"), &[("Authorization", FULL)])),
        id(&get(PROTECTED, &[("Authorization", UNKNOWN)])),
        id(&get(ANONYMOUS, &[("X-Auth-User-Id", "1"), ("x_auth_acl", "all")])),
        id(&post("/a/../b", &[], b"{}")),
    ];
    let lines = lines(gate);
    assert_eq!(lines.len(), 4);
    for (line, id) in lines.iter().zip(&ids) {
        assert_eq!(line["request_id"], id.as_str());
        assert_eq!(line["client"], "127.0.0.1");
        assert!(line["auth_ms"].as_f64().unwrap() >= 0.0);
        assert!(line["total_ms"].as_f64().unwrap() >= line["auth_ms"].as_f64().unwrap());
    }
    let [passed, refused, guest, malformed] = &lines[..] else { panic!("four lines") };
    assert_eq!(
        (&passed["decision"], &passed["reason"], &passed["status"]),
        (&"forwarded".into(), &"bearer".into(), &200.into())
    );
    assert_eq!((&passed["user_type"], &passed["user_id"]), (&"integration".into(), &1.into()));
    assert_eq!((&passed["route"], &passed["path"]), (&"/V1/modules".into(), &PROTECTED.into()));
    assert!(passed["upstream_ms"].as_f64().is_some());
    let fingerprint = passed["credential"].as_str().unwrap();
    assert!(!fingerprint.is_empty() && !FULL.contains(fingerprint));
    assert_eq!(upstream.take()[0].header("x-auth-credential").as_deref(), Some(fingerprint));

    assert_eq!(
        (&refused["decision"], &refused["reason"], &refused["status"]),
        (&"refused".into(), &"resource_denied".into(), &401.into())
    );
    assert!(refused["cause"].is_string(), "why the bearer did not count: {refused}");
    assert!(refused.get("upstream_ms").is_none() && refused.get("credential").is_none());
    assert_eq!((&guest["user_type"], &guest["spoofed_headers"]), (&"guest".into(), &2.into()));
    assert_eq!((&malformed["reason"], &malformed["method"]), (&"ambiguous_path".into(), &"POST".into()));
}

#[test]
fn broken_exchanges_are_told_as_such() {
    let upstream = Upstream::answering(|request, socket| {
        if request.target() == "/short" {
            socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort").unwrap();
        } else {
            thread::sleep(Duration::from_millis(300));
        }
        false
    });
    let gate = logging_gate(&upstream);
    let mut client = Client::connect(gate.proxy);
    client.send(&get("/short", &[]));
    assert!(client.try_receive().is_err());
    let mut leaving = Client::connect(gate.proxy);
    leaving.send(&get("/left", &[]));
    thread::sleep(Duration::from_millis(100));
    drop(leaving);
    thread::sleep(Duration::from_millis(100));
    assert_eq!(exchange(gate.proxy, &get("/closed", &[])).status(), 502);
    let lines = lines(gate);
    let of = |path: &str| lines.iter().find(|line| line["path"] == path).unwrap();
    assert_eq!((&of("/short")["is_complete"], &of("/short")["bytes"]), (&false.into(), &5.into()));
    assert_eq!((&of("/left")["status"], &of("/left")["is_complete"]), (&499.into(), &false.into()));
    assert_eq!(
        (&of("/closed")["reason"], &of("/closed")["decision"]),
        (&"upstream_unavailable".into(), &"refused".into())
    );
    assert_eq!(lines.len(), 3);
}

#[test]
fn nothing_that_a_client_sends_forges_a_line() {
    let upstream = Upstream::start();
    let gate = gate(&upstream)
        .with("log", "access = \"./access.log\"")
        .with("listen", "trusted_proxies = [\"127.0.0.0/8\"]")
        .start();
    let forged = "{\"decision\":\"forwarded\"}";
    let targets: [String; 5] = [
        format!("/a%0a{forged}"),
        format!("/a\"}}%0d%0a{forged}"),
        format!("/\u{fc}\u{202e}\u{2028}{forged}"),
        "/a\\u000a".to_owned(),
        format!("/a\x7f{forged}"),
    ];
    let mut sent = 0;
    for target in targets {
        let headers =
            [("X-Request-Id", "a\tb"), ("X-Forwarded-For", "1.2.3.4\t{}"), ("User-Agent", "a\t\"b")];
        let mut client = Client::connect(gate.proxy);
        client.send(&request("GET", &target, &headers, b""));
        sent += usize::from(client.receive().is_some_and(|answer| answer.header("x-request-id").is_some()));
    }
    let mut client = Client::connect(gate.proxy);
    client.send(b"FO\"O /x HTTP/1.1\r\nHost: a\r\n\r\n");
    sent += usize::from(client.receive().is_some_and(|answer| answer.header("x-request-id").is_some()));
    let lines = lines(gate);
    assert_eq!(lines.len(), sent, "a line for each, and no line more");
    assert!(lines.iter().all(|line| line["client"] == "127.0.0.1"), "{lines:?}");
}

#[test]
fn secrets_stay_out_of_every_log_at_every_level() {
    let upstream = Upstream::answering(|_, socket| {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 13\r\nSet-Cookie: PHPSESSID=canary-set-cookie\r\n\r\n";
        socket.write_all([head, "canary-answer"].concat().as_bytes()).is_ok()
    });
    let folder = tempfile::tempdir().unwrap();
    let config = gate(&upstream)
        .with("log", "level = \"trace\"\naccess = \"stdout\"")
        .with("upstream.proof", "header = \"X-Portcullis-Proof\"\nsecret = \"canary-proof-0123456789\"")
        .prepare(folder.path());
    let process = Process::serve(&config);
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let now = i64::try_from(since).unwrap();
    let good = signed(&format!("{PROTECTED}?q=canary-query"), now, "canary-nonce-1");
    let bad = good.replace("oauth_signature=\"", "oauth_signature=\"canary-signature");
    let signature = good.split("oauth_signature=\"").nth(1).unwrap().trim_end_matches('"').to_owned();
    let authorizations = [
        FULL,
        "Bearer canary-unknown-token",
        "Bearer eyJhbGciOiJIUzI1NiJ9.canaryclaims.canarysignature",
        "Basic canary-basic",
        "Bearer canary-one, OAuth oauth_token=\"canary-two\"",
        &good,
        &bad,
    ];
    for authorization in authorizations {
        for target in [PROTECTED, ANONYMOUS, OUTSIDE, "/a/../b"] {
            let target = format!("{target}?q=canary-query");
            let headers = [
                ("Authorization", authorization),
                ("Cookie", "PHPSESSID=canary-cookie; other=canary-cookie"),
                ("X-Auth-User-Id", "canary-spoofed"),
                ("X-Portcullis-Proof", "canary-guess"),
                ("User-Agent", "canary-agent"),
            ];
            exchange(process.proxy, &post(&target, &headers, b"{\"password\":\"canary-body\"}"));
        }
    }
    let mut broken = Client::connect(process.proxy);
    broken.send(b"GET / HTTP/1.1\r\nAuthorization canary-malformed\r\n\r\n");
    let _ = broken.receive();
    process.terminate();
    let ended = process.wait();
    assert_eq!(ended.code, Some(0));
    assert_eq!(ended.stdout.lines().count(), 28);
    let token = FULL.strip_prefix("Bearer ").unwrap();
    for text in [&ended.stdout, &ended.stderr] {
        for canary in
            ["canary", token, signature.as_str(), "0123456789abcdef0123456789abcdef", "g88pmtkf7gcreq3c"]
        {
            let found = text.lines().find(|line| line.contains(canary));
            assert!(found.is_none(), "{canary}: {found:?}");
        }
    }
}

#[test]
fn figures_count_decisions_by_reason() {
    let upstream = Upstream::start();
    let gate = gate(&upstream).start();
    let admin = |target: &str| exchange(gate.admin, &get(target, &[]));
    assert_eq!((admin("/healthz").status(), admin("/readyz").status()), (200, 200));
    for headers in [vec![("Authorization", FULL)], vec![("Authorization", UNKNOWN)], vec![], vec![]] {
        exchange(gate.proxy, &get(PROTECTED, &headers));
    }
    exchange(gate.proxy, &get(ANONYMOUS, &[("X-Auth-Acl", "all")]));
    exchange(gate.proxy, &get("/a/../b", &[]));
    let page = admin("/metrics").text();
    for line in [
        "decisions_total{context=\"integration\",result=\"forwarded\",reason=\"bearer\"} 1",
        "decisions_total{context=\"guest\",result=\"refused\",reason=\"resource_denied\"} 3",
        "decisions_total{context=\"guest\",result=\"forwarded\",reason=\"none\"} 1",
        "decisions_total{context=\"guest\",result=\"refused\",reason=\"ambiguous_path\"} 1",
        "portcullis_spoofed_requests_total 1",
        "portcullis_requests_in_flight 0",
        "portcullis_store_up 1",
    ] {
        assert!(page.contains(line), "{line} is not on the page:\n{page}");
    }
    // The operator's pages are not on the clients' port, whatever Host says.
    upstream.take();
    for target in ["/metrics", "/healthz", "/readyz"] {
        let host = gate.admin.to_string();
        let answer = exchange(gate.proxy, &get(target, &[("Host", &host)]));
        assert_eq!(answer.text(), r#"{"from":"upstream"}"#, "{target}");
    }
    assert_eq!(upstream.take().len(), 3);
}
