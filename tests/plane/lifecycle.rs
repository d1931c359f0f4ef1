//! Start to stop: nothing that was accepted is lost, and nothing that was used is usable again.

use std::{
    io::Write as _,
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use crate::{
    callers::{FULL, OUTSIDE, PROTECTED, gate, get, signed},
    support::{
        process::Process,
        upstream::Upstream,
        waiting::until,
        wire::{Client, exchange},
    },
};

/// Answers `/slow…` after a while, everything else at once.
fn slow() -> Upstream {
    Upstream::answering(|request, socket| {
        if request.target().starts_with("/slow") {
            thread::sleep(Duration::from_millis(700));
        }
        socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_ok()
    })
}

#[test]
fn a_draining_gate_finishes_what_it_began() {
    let upstream = slow();
    let gate = gate(&upstream).start();
    let (proxy, admin) = (gate.proxy, gate.admin);
    let ready = move || exchange(admin, &get("/readyz", &[])).status();
    assert_eq!(ready(), 200);
    let mut idle = Client::connect(proxy);
    idle.send(&get(OUTSIDE, &[]));
    assert_eq!(idle.receive().unwrap().status(), 200);
    let mut busy = Client::connect(proxy);
    busy.send(&get("/slow", &[]));
    let mut fresh = Client::connect(proxy);
    thread::sleep(Duration::from_millis(100));

    let stopping = thread::spawn(move || gate.stop());
    until("not ready", || ready() == 503);
    assert!(idle.closes_within(Duration::from_secs(1)), "idle connections are closed");
    fresh.send(&get("/fresh", &[]));
    assert_eq!(fresh.receive().unwrap().status(), 200, "its first request was on its way");
    until("new connections are refused", || TcpStream::connect(proxy).is_err());
    let answer = busy.receive().unwrap();
    assert_eq!((answer.status(), answer.text().as_str()), (200, "ok"), "requests under way finish");
    assert!(busy.closes_within(Duration::from_secs(1)));
    stopping.join().unwrap();
    assert!(TcpStream::connect(admin).is_err());
    assert_eq!(upstream.take().len(), 3);
}

/// The one that its worker had accepted and had no room for was reset, and so were those behind it in the kernel.
#[test]
fn those_who_wait_for_room_are_served_in_the_drain() {
    let upstream = slow();
    let gate = gate(&upstream).with("listen", "workers = 1\nmax_connections = 1").start();
    let proxy = gate.proxy;
    let mut busy = Client::connect(proxy);
    busy.send(&get("/slow", &[]));
    until("it is under way", || upstream.connections() == 1);
    let waiting: Vec<_> = (0..3)
        .map(|number| {
            let mut client = Client::connect(proxy);
            client.send(&get(&format!("/waiting/{number}"), &[]));
            client
        })
        .collect();
    thread::sleep(Duration::from_millis(100));
    let stopping = thread::spawn(move || gate.stop());
    assert_eq!(busy.receive().unwrap().status(), 200);
    for mut client in waiting {
        assert_eq!(client.receive().map(|answer| answer.status()), Some(200));
        assert!(client.closes_within(Duration::from_secs(1)));
    }
    stopping.join().unwrap();
    assert_eq!(upstream.take().len(), 4);
}

#[test]
fn a_drain_does_not_wait_longer_than_it_may() {
    let upstream = Upstream::answering(|_, _| {
        thread::sleep(Duration::from_secs(3));
        false
    });
    let gate = gate(&upstream).with("listen", "drain_timeout = \"300ms\"").start();
    let mut client = Client::connect(gate.proxy);
    client.send(&get(OUTSIDE, &[]));
    thread::sleep(Duration::from_millis(100));
    let began = Instant::now();
    gate.stop();
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert!(client.receive().is_none(), "cut, not answered with something made up");
}

#[test]
fn sigterm_loses_no_request_and_exits_cleanly() {
    let upstream = slow();
    let folder = tempfile::tempdir().unwrap();
    let config = gate(&upstream).with("log", "level = \"info\"\naccess = \"stdout\"").prepare(folder.path());
    let process = Process::serve(&config);
    let proxy = process.proxy;
    let clients: Vec<_> = (0..12)
        .map(|number| thread::spawn(move || exchange(proxy, &get(&format!("/slow/{number}"), &[])).status()))
        .collect();
    until("all requests arrived", || upstream.connections() == 12);
    let mut idle = Client::connect(proxy);
    idle.send(&get(OUTSIDE, &[]));
    assert_eq!(idle.receive().unwrap().status(), 200);
    process.terminate();
    assert!(idle.closes_within(Duration::from_secs(5)));
    for client in clients {
        assert_eq!(client.join().unwrap(), 200);
    }
    let ended = process.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.stdout.lines().count(), 13, "every access line was written before the end");
    assert!(ended.stderr.contains("draining") && ended.stderr.contains("stopped"), "{}", ended.stderr);
    assert_eq!(upstream.take().len(), 13);
}

#[test]
fn a_replay_is_refused_also_after_a_kill() {
    let upstream = Upstream::start();
    let folder = tempfile::tempdir().unwrap();
    let setup = gate(&upstream).with("log", "level = \"info\"");
    let config = setup.prepare(folder.path());
    let now = || {
        let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
        i64::try_from(since.as_secs()).unwrap()
    };
    let send = |process: &Process, nonce: &str, timestamp| {
        let authorization = signed(PROTECTED, timestamp, nonce);
        exchange(process.proxy, &get(PROTECTED, &[("Authorization", &authorization)]))
    };
    let began = now();
    let process = Process::serve(&config);
    assert_eq!(send(&process, "first", began).status(), 200);
    assert_eq!(upstream.take_one().header("x-auth-method").as_deref(), Some("oauth1"));
    let replay = send(&process, "first", began);
    assert_eq!(
        (replay.status(), replay.header("x-auth-refused").as_deref()),
        (401, Some("oauth_nonce_used"))
    );
    process.kill();

    let process = Process::serve(&config);
    let replay = send(&process, "first", began);
    assert_eq!(
        (replay.status(), replay.header("x-auth-refused").as_deref()),
        (401, Some("oauth_nonce_used"))
    );
    assert!(upstream.take().is_empty(), "a replay reached the upstream");
    assert_eq!(send(&process, "second", now()).status(), 200, "no blackout");
    assert_eq!(exchange(process.proxy, &get(PROTECTED, &[("Authorization", FULL)])).status(), 200);
    assert_eq!(upstream.take().len(), 2);
    process.terminate();
    assert_eq!(process.wait().code, Some(0));

    let process = Process::serve(&config);
    for nonce in ["first", "second"] {
        assert_eq!(send(&process, nonce, began).status(), 401, "{nonce}");
    }
    assert!(upstream.take().is_empty());
    process.kill();
}
