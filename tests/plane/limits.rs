//! Limits and times of a client's connection.

use std::{
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    callers::{FULL, OUTSIDE, PROTECTED_POST, UNKNOWN, chunks, gate, get, post},
    support::{
        upstream::Upstream,
        wire::{Client, exchange},
    },
};

fn milliseconds(number: u64) -> Duration {
    Duration::from_millis(number)
}

#[test]
fn a_head_that_is_too_long_or_has_too_many_fields_is_431() {
    let upstream = Upstream::start();
    let gate = gate(&upstream).with("listen", "max_header_bytes = \"8KiB\"\nmax_headers = 20").start();
    let long = "x".repeat(9 * 1024);
    let longest = "x".repeat(300 * 1024);
    let many: Vec<(String, &str)> = (0..21).map(|number| (format!("X-N-{number}"), "1")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    for (what, bytes) in [
        ("long field", get(OUTSIDE, &[("X-Long", &long)])),
        ("long beyond every buffer", get(OUTSIDE, &[("X-Long", &longest)])),
        ("long target", get(&format!("/{long}"), &[])),
        ("many fields", get(OUTSIDE, &many)),
    ] {
        let mut client = Client::connect(gate.proxy);
        let _ = client.try_send(&bytes);
        let status = client.receive().map(|answer| answer.status());
        assert!(matches!(status, Some(431 | 414)), "{what}: {status:?}");
        assert!(client.closes_within(Duration::from_secs(10)));
        assert!(upstream.take().is_empty(), "{what}");
    }
    assert_eq!(exchange(gate.proxy, &get(OUTSIDE, &many[..15])).status(), 200);
    let page = exchange(gate.admin, &get("/metrics", &[])).text();
    assert!(page.contains("reason=\"malformed_head\"} 4"), "{page}");
}

#[test]
fn a_body_over_the_limit_is_413_however_it_is_framed() {
    let upstream = Upstream::start();
    let gate = gate(&upstream).with("listen", "max_body = \"64KiB\"").start();
    let (fits, too_long) = (vec![b'x'; 64 * 1024], vec![b'x'; 64 * 1024 + 1]);
    let authorized = [("Authorization", FULL)];
    let chunked = |body: &[u8]| {
        let mut bytes = post(PROTECTED_POST, &[authorized[0], ("Transfer-Encoding", "chunked")], b"");
        bytes.extend(chunks(&body.chunks(5000).collect::<Vec<_>>(), ""));
        bytes
    };
    assert_eq!(exchange(gate.proxy, &post(PROTECTED_POST, &authorized, &fits)).status(), 200);
    assert_eq!(exchange(gate.proxy, &chunked(&fits)).status(), 200);
    assert_eq!(upstream.take().len(), 2);

    let declared = exchange(gate.proxy, &post(PROTECTED_POST, &authorized, &too_long));
    assert_eq!(declared.status(), 413);
    assert_eq!(declared.header("x-auth-refused").as_deref(), Some("body_too_large"));
    assert_eq!((upstream.take().len(), upstream.broken()), (0, 0), "refused before a byte went on");

    let counted = exchange(gate.proxy, &chunked(&too_long));
    assert_eq!(counted.status(), 413);
    thread::sleep(milliseconds(50));
    assert_eq!((upstream.take().len(), upstream.broken()), (0, 1), "broken off, not completed");
}

#[test]
fn a_refused_client_that_sends_everything_first_still_reads_its_answer() {
    // Closing at once reset the connection, and the answer was lost with it.
    let upstream = Upstream::start();
    let gate = gate(&upstream).with("listen", "max_body = \"1MiB\"").start();
    for (length, headers, expected) in
        [(900 * 1024, [("Authorization", UNKNOWN)], 401), (4 * 1024 * 1024, [("Authorization", FULL)], 413)]
    {
        let mut client = Client::connect(gate.proxy);
        client.send(&post(PROTECTED_POST, &headers, &vec![b'x'; length]));
        assert_eq!(client.receive().map(|answer| answer.status()), Some(expected));
        assert!(upstream.take().is_empty());
    }
}

#[test]
fn a_slow_head_ends_soon_and_an_idle_connection_late() {
    let upstream = Upstream::start();
    let gate =
        gate(&upstream).with("listen", "header_timeout = \"300ms\"\nidle_timeout = \"1500ms\"").start();
    // Silent from the start, and a byte at a time.
    for is_trickling in [false, true] {
        let mut client = Client::connect(gate.proxy);
        let began = Instant::now();
        while is_trickling && began.elapsed() < milliseconds(250) {
            client.send(b"G");
            thread::sleep(milliseconds(40));
        }
        assert!(client.closes_within(Duration::from_secs(5)));
        let lived = began.elapsed();
        assert!(lived > milliseconds(200) && lived < milliseconds(1200), "{is_trickling}: {lived:?}");
    }
    // Idle longer than a head may take, then used again, then idle too long.
    let mut client = Client::connect(gate.proxy);
    for _ in 0..2 {
        client.send(&get(OUTSIDE, &[]));
        assert_eq!(client.receive().unwrap().status(), 200);
        thread::sleep(milliseconds(600));
    }
    let began = Instant::now();
    assert!(client.closes_within(Duration::from_secs(5)));
    assert!(began.elapsed() < milliseconds(2000), "{:?}", began.elapsed());
    // The second head on a connection may not take longer than the first.
    let mut client = Client::connect(gate.proxy);
    client.send(&get(OUTSIDE, &[]));
    assert_eq!(client.receive().unwrap().status(), 200);
    client.send(b"GET /half");
    let began = Instant::now();
    assert!(client.closes_within(Duration::from_secs(5)));
    assert!(began.elapsed() < milliseconds(1200), "{:?}", began.elapsed());
    assert_eq!(upstream.take().len(), 3);
}

#[test]
fn a_body_that_stalls_ends_as_the_clients_fault() {
    let upstream = Upstream::start();
    let gate = gate(&upstream)
        .with("listen", "idle_timeout = \"1s\"")
        .with("upstream", "response_timeout = \"400ms\"")
        .start();
    let mut client = Client::connect(gate.proxy);
    let began = Instant::now();
    client.send(&post(PROTECTED_POST, &[("Authorization", FULL), ("Content-Length", "10")], b""));
    client.send(b"half");
    let answer = client.receive().unwrap();
    assert_eq!(answer.status(), 408, "not the upstream's fault, whose own limit is shorter");
    assert_eq!(answer.header("x-auth-refused").as_deref(), Some("body_stalled"));
    let lived = began.elapsed();
    assert!(lived > milliseconds(800) && lived < milliseconds(3000), "{lived:?}");
    thread::sleep(milliseconds(50));
    assert_eq!((upstream.take().len(), upstream.broken()), (0, 1));
}

#[test]
fn a_long_upload_may_take_longer_than_an_answer() {
    // The limit ran from the request's first byte, so that every long upload became a 504.
    let upstream = Upstream::start();
    let gate = gate(&upstream).with("upstream", "response_timeout = \"400ms\"").start();
    let mut client = Client::connect(gate.proxy);
    client.send(&post(PROTECTED_POST, &[("Authorization", FULL), ("Content-Length", "10")], b""));
    for _ in 0..10 {
        thread::sleep(milliseconds(100));
        client.send(b"x");
    }
    assert_eq!(client.receive().unwrap().status(), 200);
    assert_eq!(upstream.take_one().text(), "xxxxxxxxxx");
}

#[test]
fn a_client_that_does_not_read_is_closed() {
    // Nothing limited how long an answer could wait for its reader: such clients held the upstream's connections.
    let is_cut = Arc::new(AtomicBool::new(false));
    let cut = Arc::clone(&is_cut);
    let upstream = Upstream::answering(move |_, socket| {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n";
        let mut sent = socket.write_all(head.as_bytes());
        let piece = vec![b'x'; 64 * 1024];
        while sent.is_ok() {
            sent = socket.write_all(&piece);
        }
        cut.store(true, Ordering::SeqCst);
        false
    });
    let gate = gate(&upstream).with("listen", "write_timeout = \"1s\"").start();
    let mut client = Client::connect(gate.proxy);
    client.send(&get(OUTSIDE, &[]));
    let began = Instant::now();
    while !is_cut.load(Ordering::SeqCst) {
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "the upstream is held by a client that does not read"
        );
        thread::sleep(milliseconds(50));
    }
    assert!(began.elapsed() > milliseconds(800));
    assert_eq!(upstream.take().len(), 1);
}

#[test]
fn connections_are_limited_and_no_worker_starves() {
    // Workers took their share of the room before a client came: with fewer places than workers, some never served.
    let upstream = Upstream::start();
    let gate = gate(&upstream).with("listen", "workers = 2\nmax_connections = 1").start();
    for _ in 0..20 {
        assert_eq!(exchange(gate.proxy, &get(OUTSIDE, &[("Connection", "close")])).status(), 200);
    }
    let mut first = Client::connect(gate.proxy);
    first.send(&get(OUTSIDE, &[]));
    assert_eq!(first.receive().unwrap().status(), 200);
    let mut second = Client::connect(gate.proxy);
    second.send(&get("/second", &[]));
    second.socket().set_read_timeout(Some(milliseconds(200))).unwrap();
    assert!(second.try_receive().is_err(), "no room while the first is open");
    assert_eq!(upstream.take().len(), 21);
    drop(first);
    second.socket().set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert_eq!(second.receive().unwrap().status(), 200);
    assert_eq!(upstream.take_one().target(), "/second");
}
