//! Who gets a request, and what happens to those whose endpoint dies.

use std::{
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    thread,
    time::Duration,
};

use crate::{
    peer::{Peer, answer, before, figure, get, many, refusal, until, weighted},
    support::{
        gate::Gate,
        wire::{Client, exchange, request},
    },
};

#[test]
fn requests_are_shared_by_weight() {
    let peers = [Peer::start("a"), Peer::start("b"), Peer::start("c")];
    let gate = weighted(&[(&peers[0], 1), (&peers[1], 3), (&peers[2], 6)]).start();
    let statuses: Vec<_> = (0..10).flat_map(|_| many(&gate, 100)).collect();
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    for (peer, expected) in peers.iter().zip([100, 300, 600]) {
        let seen = peer.count();
        assert!(seen.abs_diff(expected) < 90, "{}: {seen} for {expected}", peer.name);
        let counted =
            format!("portcullis_upstream_requests_total{{endpoint=\"{}\",outcome=\"answered\"}}", peer.name);
        assert_eq!(figure(&gate, &counted), Some(seen as f64));
        assert!(peer.connections() <= 4, "connections are held: {}", peer.connections());
    }
}

#[test]
fn a_slow_endpoint_gets_less() {
    let slow = Peer::answering("slow", |_, socket| {
        thread::sleep(Duration::from_millis(60));
        answer(socket, "slow")
    });
    let fast = Peer::start("fast");
    let gate = before(&[&slow, &fast]).with("listen", "workers = 1").start();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert!(many(&gate, 40).iter().all(|status| *status == 200)));
        }
    });
    let (slow, fast) = (slow.count(), fast.count());
    assert_eq!(slow + fast, 320);
    assert!(slow * 2 < fast, "slow {slow}, fast {fast}");
}

/// GETs until `is_over`, and some more; none may be lost.
fn read_on(gate: &Gate, is_over: &AtomicBool) {
    let (mut client, mut left) = (Client::connect(gate.proxy), 50);
    while left > 0 {
        left -= usize::from(is_over.load(SeqCst));
        client.send(&get("/media/x"));
        let answer = client.receive().unwrap();
        assert_eq!(answer.status(), 200, "{}", answer.text());
    }
}

/// As many POSTs; how many were lost.
fn write_on(gate: &Gate, is_over: &AtomicBool) -> usize {
    let (mut client, mut left, mut lost) = (Client::connect(gate.proxy), 50, 0);
    while left > 0 {
        left -= usize::from(is_over.load(SeqCst));
        client.send(&request("POST", "/media/x", &[], b"{}"));
        let answer = client.receive().unwrap();
        if answer.status() != 200 {
            assert_eq!(refusal(&answer), (502, Some("upstream_unavailable".to_owned())), "{}", answer.text());
            lost += 1;
        }
    }
    lost
}

#[test]
fn no_request_that_can_be_repeated_is_lost_when_an_endpoint_dies() {
    let (dying, living) = (Peer::start("dying"), Peer::start("living"));
    let gate = before(&[&dying, &living]).start();
    let is_dead = AtomicBool::new(false);
    let lost: usize = thread::scope(|scope| {
        let readers: Vec<_> = (0..4).map(|_| scope.spawn(|| read_on(&gate, &is_dead))).collect();
        let writers: Vec<_> = (0..2).map(|_| scope.spawn(|| write_on(&gate, &is_dead))).collect();
        until("both serve", || dying.connections() > 0 && living.connections() > 0);
        thread::sleep(Duration::from_millis(200));
        dying.kill();
        is_dead.store(true, SeqCst);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        writers.into_iter().map(|writer| writer.join().unwrap()).sum()
    });
    assert!(lost <= 2, "only those under way at that moment: {lost}");
    dying.take();
    living.take();
    assert!(many(&gate, 50).iter().all(|status| *status == 200));
    assert_eq!((dying.count(), living.count()), (0, 50));
}

#[test]
fn a_post_that_was_not_sent_moves_on() {
    let (dead, living) = (Peer::start("dead"), Peer::start("living"));
    dead.kill();
    let gate = before(&[&dead, &living]).start();
    for number in 0..20 {
        let answer = exchange(gate.proxy, &request("POST", "/media/x", &[], b"body"));
        assert_eq!(answer.text(), "living", "{number}");
    }
    let seen = living.take();
    assert!(seen.len() == 20 && seen.iter().all(|seen| seen.body == b"body"));
}

#[test]
fn a_sent_post_is_never_repeated_and_a_sent_get_once() {
    let breaking = |name| Peer::answering(name, |_, _| false);
    let (one, other) = (breaking("one"), breaking("other"));
    let gate = before(&[&one, &other]).start();
    for (method, body, times) in
        [("POST", &b"{}"[..], 1), ("PUT", b"{}", 1), ("PATCH", b"", 1), ("GET", b"", 2)]
    {
        let answer = exchange(gate.proxy, &request(method, "/media/x", &[], body));
        assert_eq!(refusal(&answer), (502, Some("upstream_unavailable".to_owned())), "{method}");
        assert_eq!(one.count() + other.count(), times, "{method}");
    }
}

#[test]
fn an_endpoint_that_fails_is_ejected_and_returns() {
    let (failing, living) = (Peer::start("failing"), Peer::start("living"));
    let gate = before(&[&failing, &living])
        .with("upstream", "slow_start = \"0s\"")
        .with("upstream.ejection", "failures = 2\ntime = \"5s\"\nmax_time = \"5s\"")
        .with("listen", "workers = 1")
        .start();
    failing.kill();
    assert!(many(&gate, 60).iter().all(|status| *status == 200));
    assert_eq!(living.count(), 60);
    let name = |figure: &str| format!("portcullis_upstream_{figure}{{endpoint=\"failing\"");
    assert_eq!(figure(&gate, &format!("{}}}", name("ejections_total"))), Some(1.0));
    assert_eq!(figure(&gate, &format!("{}}}", name("healthy"))), Some(0.0));
    let refused = format!("{},outcome=\"connect_failed\"}}", name("requests_total"));
    assert_eq!(figure(&gate, &refused), Some(2.0), "after two failures it was asked no more");
    assert_eq!(figure(&gate, "portcullis_upstream_retries_total{result=\"moved\"}"), Some(2.0));

    failing.revive();
    until("it is back", || figure(&gate, &format!("{}}}", name("healthy"))) == Some(1.0));
    assert!(many(&gate, 60).iter().all(|status| *status == 200));
    assert!(failing.count() > 10 && living.count() > 10);
}

#[test]
fn a_websocket_goes_to_an_endpoint_that_is_there() {
    let upgrading = Peer::answering("living", |_, socket| {
        use std::io::Write as _;
        let head = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
        write!(socket, "{head}hello").is_ok()
    });
    let dead = Peer::start("dead");
    dead.kill();
    let gate = before(&[&dead, &upgrading]).start();
    for number in 0..6 {
        let mut client = Client::connect(gate.proxy);
        let headers = [("Connection", "upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")];
        client.send(&request("GET", "/socket", &headers, b""));
        assert_eq!(client.receive_head().unwrap().status(), 101, "{number}");
        assert_eq!(client.read_bytes(5).unwrap(), b"hello");
    }
    assert_eq!(upgrading.count(), 6);
}
