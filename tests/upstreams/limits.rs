//! What bounds the load on an endpoint: connections, the line before them, breakers, the budget of repeats, time.

use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    peer::{Peer, answer, before, figure, get, many, refusal, until},
    support::{gate::Gate, wire::exchange},
};

/// An endpoint that takes its time, and the most requests that it had at once.
fn slow(time: Duration) -> (Peer, Arc<AtomicUsize>) {
    let (now, most) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&most);
    let peer = Peer::answering("slow", move |_, socket| {
        seen.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
        thread::sleep(time);
        now.fetch_sub(1, SeqCst);
        answer(socket, "slow")
    });
    (peer, most)
}

/// As many clients at once; what each got, sorted.
fn at_once(gate: &Gate, clients: usize) -> Vec<(u16, Option<String>)> {
    let start = Barrier::new(clients);
    let mut answers: Vec<_> = thread::scope(|scope| {
        let ask = || {
            start.wait();
            let answer = exchange(gate.proxy, &get("/media/x"));
            assert!(answer.status() != 503 || answer.header("retry-after").is_some());
            refusal(&answer)
        };
        let asking: Vec<_> = (0..clients).map(|_| scope.spawn(ask)).collect();
        asking.into_iter().map(|asking| asking.join().unwrap()).collect()
    });
    answers.sort();
    answers
}

#[test]
fn no_more_connections_than_allowed_and_the_others_wait() {
    let (peer, most) = slow(Duration::from_millis(40));
    let gate = before(&[&peer]).with("upstream", "max_connections = 2\npending_timeout = \"20s\"").start();
    let answers = at_once(&gate, 16);
    assert!(answers.iter().all(|(status, _)| *status == 200), "{answers:?}");
    assert_eq!((most.load(SeqCst), peer.count()), (2, 16));
    let answers = at_once(&gate, 16);
    assert!(
        answers.iter().all(|(status, _)| *status == 200),
        "held connections are no obstacle: {answers:?}"
    );
    assert_eq!(most.load(SeqCst), 2);
    let open = figure(&gate, "portcullis_upstream_connections{endpoint=\"slow\"}").unwrap();
    assert!(open <= 2.0, "{open}");
}

#[test]
fn a_held_connection_of_one_worker_is_given_up_for_another() {
    let (peer, _) = slow(Duration::from_millis(1));
    let gate = before(&[&peer])
        .with("upstream", "max_connections = 1\npending_timeout = \"20s\"")
        .with("listen", "workers = 4")
        .start();
    for number in 0..40 {
        let began = Instant::now();
        assert_eq!(exchange(gate.proxy, &get("/media/x")).status(), 200, "{number}");
        assert!(began.elapsed() < Duration::from_secs(15), "{number}");
    }
    assert_eq!(peer.count(), 40);
}

#[test]
fn who_finds_the_line_full_or_waits_too_long_is_sent_away() {
    let busy = || (503, Some("upstream_busy".to_owned()));
    let (peer, _) = slow(Duration::from_millis(400));
    let gate = before(&[&peer])
        .with("upstream", "max_connections = 1\nmax_pending = 2\npending_timeout = \"20s\"")
        .start();
    let answers = at_once(&gate, 6);
    assert_eq!(answers.iter().filter(|(status, _)| *status == 200).count(), 3, "{answers:?}");
    assert_eq!(answers[3..], [busy(), busy(), busy()]);
    assert_eq!(peer.count(), 3, "the others never reached it");

    let gate = before(&[&peer]).with("upstream", "max_connections = 1\npending_timeout = \"100ms\"").start();
    let answers = at_once(&gate, 4);
    assert_eq!(answers.iter().filter(|(status, _)| *status == 200).count(), 1, "{answers:?}");
    assert_eq!(answers[1..], [busy(), busy(), busy()]);
    let counted = "portcullis_upstream_requests_total{endpoint=\"slow\",outcome=\"busy\"}";
    assert_eq!(figure(&gate, counted), Some(3.0));
}

#[test]
fn a_full_endpoint_is_passed_over() {
    let (full, _) = slow(Duration::from_millis(600));
    let free = Peer::start("free");
    let gate = before(&[&full, &free])
        .with("upstream", "max_connections = 1\npending_timeout = \"50ms\"\nmax_idle = 0")
        .with("listen", "workers = 1")
        .start();
    thread::scope(|scope| {
        let first = scope.spawn(|| {
            while full.connections() == 0 {
                assert_eq!(exchange(gate.proxy, &get("/media/x")).status(), 200);
            }
        });
        until("one is full", || full.connections() == 1);
        for _ in 0..10 {
            assert_eq!(exchange(gate.proxy, &get("/media/x")).text(), "free");
        }
        first.join().unwrap();
    });
}

#[test]
fn an_endpoint_that_hangs_costs_few_requests() {
    let hanging = Peer::answering("hanging", |_, _| {
        thread::sleep(Duration::from_secs(5));
        false
    });
    let living = Peer::start("living");
    let gate = before(&[&hanging, &living])
        .with("upstream", "response_timeout = \"200ms\"")
        .with("upstream.ejection", "failures = 3\ntime = \"60s\"")
        .start();
    let mut statuses = many(&gate, 40);
    statuses.sort_unstable();
    assert_eq!(statuses.iter().filter(|status| **status == 504).count(), 3, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 37);
    assert_eq!(hanging.count(), 3, "what was sent and not answered is not repeated");
    let counted = "portcullis_upstream_requests_total{endpoint=\"hanging\",outcome=\"timeout\"}";
    assert_eq!(figure(&gate, counted), Some(3.0));
}

#[test]
fn a_breaker_opens_tries_and_closes() {
    let peer = Peer::start("only");
    let gate = before(&[&peer])
        .with("upstream.breaker", "requests = 4\nopen = \"600ms\"")
        .with("listen", "workers = 1")
        .start();
    let state = || figure(&gate, "portcullis_upstream_breaker_state{endpoint=\"only\"}");
    assert_eq!(many(&gate, 3), [200; 3]);
    peer.kill();
    assert_eq!(many(&gate, 4), [502; 4]);
    let answer = exchange(gate.proxy, &get("/media/x"));
    assert_eq!(refusal(&answer), (503, Some("upstream_suspended".to_owned())));
    assert_eq!((answer.header("retry-after").as_deref(), state()), (Some("1"), Some(2.0)));

    until("it may be tried", || state() == Some(1.0));
    assert_eq!(many(&gate, 3), [502, 503, 503], "one try, and it is open again");
    peer.take();
    peer.revive();
    until("it may be tried", || state() == Some(1.0));
    assert_eq!(many(&gate, 5), [200; 5]);
    assert_eq!((state(), peer.count()), (Some(0.0), 5));
}

#[test]
fn repeats_keep_to_their_budget() {
    for (budget, repeats) in [(0, 0..=0), (20, 20..=50), (100, 60..=200)] {
        let (dead, living) = (Peer::start("dead"), Peer::start("living"));
        dead.kill();
        let gate = before(&[&dead, &living])
            .with("upstream", &format!("retry_budget = {budget}"))
            .with("upstream.ejection", "failures = 0")
            .with("listen", "workers = 1")
            .start();
        let statuses = many(&gate, 200);
        let moved = figure(&gate, "portcullis_upstream_retries_total{result=\"moved\"}").unwrap_or(0.0);
        assert!(repeats.contains(&(moved as usize)), "{moved} with {budget} %");
        let lost = statuses.iter().filter(|status| **status == 502).count();
        assert_eq!(lost + living.count(), 200);
        assert!(budget != 100 || lost == 0, "{lost} lost");
        assert!(budget != 0 || lost > 50, "{lost} lost");
    }
}
