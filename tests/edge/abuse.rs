//! Slow, greedy and many: bodies that trickle, more connections than descriptors, `WebSocket` under TLS, trace contexts.

use std::{
    io::{Read as _, Write as _},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use crate::{
    certificates::{Authority, FULL, OUTSIDE, PROTECTED, gate, tls_gate},
    support::{
        process::Process,
        upstream::Upstream,
        wire::{Client, exchange, request, try_exchange},
    },
};

fn get(target: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    request("GET", target, headers, b"")
}

#[test]
fn a_body_that_trickles_ends_as_the_clients_fault_and_a_steady_one_passes() {
    let upstream = Upstream::start();
    let lines = "min_body_rate = \"1KiB\"\nbody_grace = \"600ms\"";
    let gate = gate(&upstream).with("listen", lines).start();
    let post = |length: &str| {
        request("POST", OUTSIDE, &[("Content-Length", length), ("Content-Type", "application/json")], b"")
    };
    // Never silent for long, and never as fast as it must be.
    let mut slow = Client::connect(gate.proxy);
    slow.send(&post("1000"));
    let mut sender = slow.socket().try_clone().unwrap();
    let began = Instant::now();
    let trickling = thread::spawn(move || {
        while sender.write_all(b"x").is_ok() && began.elapsed() < Duration::from_secs(8) {
            thread::sleep(Duration::from_millis(30));
        }
    });
    let answer = slow.receive().unwrap();
    assert_eq!((answer.status(), answer.header("x-auth-refused").as_deref()), (408, Some("body_stalled")));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    drop(slow);
    trickling.join().unwrap();
    assert!(upstream.take().is_empty());
    // Longer than the grace, at ten times the speed.
    let mut steady = Client::connect(gate.proxy);
    steady.send(&post("10000"));
    for _ in 0..10 {
        thread::sleep(Duration::from_millis(100));
        steady.send(&[b'x'; 1000]);
    }
    assert_eq!(steady.receive().unwrap().status(), 200);
    assert_eq!(upstream.take_one().body.len(), 10_000);
}

#[test]
fn a_slow_head_under_tls_ends_as_soon_as_in_the_clear() {
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    let authority = Authority::new(folder.path());
    authority.sign("shop", &["shop.test"]);
    let gate =
        tls_gate(&upstream, folder.path(), "shop", "").with("listen", "header_timeout = \"500ms\"").start();
    for is_silent in [true, false] {
        let mut socket = authority.client().connect(gate.proxy, "shop.test").unwrap();
        let began = Instant::now();
        while !is_silent && began.elapsed() < Duration::from_millis(400) {
            socket.send(b"G").unwrap();
            thread::sleep(Duration::from_millis(50));
        }
        assert!(socket.receive().is_none());
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    }
    assert!(upstream.take().is_empty());
}

#[test]
fn many_handshakes_that_never_end_keep_nobody_waiting() {
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    let authority = Authority::new(folder.path());
    authority.sign("shop", &["shop.test"]);
    let setup = tls_gate(&upstream, folder.path(), "shop", "handshake_timeout = \"2s\"")
        .with("listen", "workers = 1")
        .with("log", "level = \"info\"");
    let process = Process::serve(&setup.prepare(folder.path()));
    let ask = || {
        let mut socket = authority.client().connect(process.proxy, "shop.test").unwrap();
        assert_eq!(socket.ask(&get(PROTECTED, &[FULL])).unwrap().status(), 200);
    };
    ask();
    let before = process.resident();
    let hello = authority.client().hello("shop.test");
    let mut held: Vec<_> = (0..400)
        .map(|number| {
            let mut client = Client::connect(process.proxy);
            // Half a hello, and a whole one whose answer is not answered.
            client.send(if number % 2 == 0 { &hello[..hello.len() / 2] } else { &hello });
            client
        })
        .collect();
    ask();
    let grown = process.resident().saturating_sub(before);
    assert!(grown < 64 * 1024, "{grown} KiB");
    thread::sleep(Duration::from_secs(3));
    for client in &mut held {
        client.read_rest();
    }
    ask();
    assert_eq!(upstream.take().len(), 3);
}

#[test]
fn a_websocket_works_under_tls() {
    let upstream = Upstream::answering(|request, socket| {
        if request.header("upgrade").is_none() {
            return socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_ok();
        }
        let head = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
        socket.write_all(head.as_bytes()).unwrap();
        let mut bytes = [0; 64];
        while let Ok(read) = socket.read(&mut bytes)
            && read > 0
        {
            socket.write_all(&bytes[..read]).unwrap();
        }
        false
    });
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    authority.sign("shop", &["shop.test"]);
    let gate = tls_gate(&upstream, folder.path(), "shop", "").start();
    let asking = [("Connection", "Upgrade"), ("Upgrade", "websocket")];
    let mut refused = authority.client().connect(gate.proxy, "shop.test").unwrap();
    assert_eq!(refused.ask(&get(PROTECTED, &asking)).unwrap().status(), 401);
    assert!(upstream.take().is_empty());
    let mut socket = authority.client().offering(&["http/1.1"]).connect(gate.proxy, "shop.test").unwrap();
    let answer = socket.ask(&get(PROTECTED, &[asking[0], asking[1], FULL])).unwrap();
    assert_eq!(answer.status(), 101);
    assert_eq!(upstream.take_one().all("x-auth-user-type"), ["integration"]);
    for message in [&b"first"[..], b"second"] {
        socket.send(message).unwrap();
        assert_eq!(socket.read_bytes(message.len()), message);
    }
}

#[test]
fn a_trace_passes_if_it_is_one_and_begins_where_it_is_asked_for() {
    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    for (word, begins) in [("pass", false), ("begin", true)] {
        let log = folder.path().join(word);
        let gate = gate(&upstream)
            .with("listen", &format!("trace_context = \"{word}\""))
            .with("log", &format!("access = \"{}\"", log.display()))
            .start();
        let sent = |headers: &[(&str, &str)]| {
            assert_eq!(exchange(gate.proxy, &get(OUTSIDE, headers)).status(), 200);
            upstream.take_one()
        };
        let good = sent(&[("Traceparent", GOOD), ("tracestate", "a=1")]);
        assert_eq!(
            (good.all("traceparent"), good.all("tracestate")),
            (vec![GOOD.to_owned()], vec!["a=1".to_owned()])
        );
        for broken in [
            &[("traceparent", "00-evil"), ("tracestate", "a=1")][..],
            &[("traceparent", GOOD), ("traceparent", GOOD)],
            &[],
        ] {
            let seen = sent(broken);
            assert_eq!(seen.all("traceparent").len(), usize::from(begins), "{broken:?}");
            assert!(seen.all("tracestate").is_empty(), "{broken:?}");
            assert!(!seen.all("traceparent").contains(&GOOD.to_owned()));
        }
        gate.stop();
        let lines = std::fs::read_to_string(log).unwrap();
        assert!(lines.contains("\"trace_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\""), "{lines}");
        assert_eq!(lines.matches("trace_id").count(), if begins { 4 } else { 1 });
    }
}

#[test]
fn fewer_descriptors_than_connections_are_shared_out_and_nothing_spins() {
    let upstream = Upstream::start();
    let folder = tempfile::tempdir().unwrap();
    let setup = gate(&upstream)
        .with("listen", "workers = 1\nmax_connections = 10000")
        .with("log", "level = \"info\"");
    let config = setup.prepare(folder.path());
    let process = Process::serve_with(&config, |command| {
        let mut limited = Command::new("prlimit");
        limited.args(["--nofile=256:256"]).arg(command.get_program()).args(command.get_args());
        limited
    });
    // Room for 32: the rest waits in the kernel.
    let held: Vec<_> = (0..120).map(|_| Client::connect(process.proxy)).collect();
    thread::sleep(Duration::from_millis(300));
    let before = process.cpu_ticks();
    thread::sleep(Duration::from_secs(1));
    let spent = process.cpu_ticks() - before;
    assert!(spent < 20, "{spent} hundredths of a second spent on waiting");
    drop(held);
    let began = Instant::now();
    while try_exchange(process.proxy, &get(PROTECTED, &[FULL])).map(|answer| answer.status()).ok()
        != Some(200)
    {
        assert!(began.elapsed() < Duration::from_secs(10), "it does not recover");
        thread::sleep(Duration::from_millis(50));
    }
    process.terminate();
    let ended = process.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("file descriptors"), "{}", ended.stderr);
}
