//! Questions about health, readiness, and what is done when nobody is well.

use std::{
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use crate::{
    peer::{Peer, answer, before, figure, many, until},
    support::{
        gate::{Gate, Setup},
        wire::{exchange, request},
    },
};

/// An endpoint that is well while the flag says so.
fn patient(name: &'static str) -> (Peer, Arc<AtomicBool>) {
    let is_well = Arc::new(AtomicBool::new(true));
    let flag = Arc::clone(&is_well);
    let peer = Peer::answering(name, move |request, socket| {
        if request.target() == "/health" && !flag.load(SeqCst) {
            return write!(socket, "HTTP/1.1 503 Ill\r\nContent-Length: 0\r\n\r\n").is_ok();
        }
        answer(socket, name)
    });
    (peer, is_well)
}

fn asked(setup: Setup) -> Setup {
    setup.with("upstream", "slow_start = \"0s\"").with(
        "upstream.health",
        "path = \"/health\"\nhost = \"shop.test\"\ninterval = \"100ms\"\nunhealthy = 2",
    )
}

fn healthy(gate: &Gate, name: &str) -> Option<f64> {
    figure(gate, &format!("portcullis_upstream_healthy{{endpoint=\"{name}\"}}"))
}

fn ready(gate: &Gate) -> u16 {
    exchange(gate.admin, &request("GET", "/readyz", &[("Connection", "close")], b"")).status()
}

#[test]
fn an_endpoint_that_says_it_is_ill_gets_nothing_until_it_is_well() {
    let ((changing, is_well), (steady, _)) = (patient("changing"), patient("steady"));
    let gate = asked(before(&[&changing, &steady])).start();
    for peer in [&changing, &steady] {
        until("it is asked", || {
            let asked = peer.take();
            let question = asked.first().map(|seen| (seen.method(), seen.target(), seen.header("host")));
            question.is_some_and(|question| question == ("GET", "/health", Some("shop.test".to_owned())))
        });
    }

    is_well.store(false, SeqCst);
    until("it is found ill", || healthy(&gate, "changing") == Some(0.0));
    changing.take();
    assert!(many(&gate, 40).iter().all(|status| *status == 200));
    assert_eq!((changing.count(), steady.count()), (0, 40));

    is_well.store(true, SeqCst);
    until("it is found well", || healthy(&gate, "changing") == Some(1.0));
    assert!(many(&gate, 40).iter().all(|status| *status == 200));
    assert!(changing.count() > 5);
}

#[test]
fn a_dead_endpoint_is_found_before_a_request_meets_it() {
    let ((dying, _), (steady, _)) = (patient("dying"), patient("steady"));
    let gate = asked(before(&[&dying, &steady])).start();
    until("both are known", || healthy(&gate, "dying") == Some(1.0));
    dying.kill();
    until("it is found ill", || healthy(&gate, "dying") == Some(0.0));
    assert!(many(&gate, 40).iter().all(|status| *status == 200));
    assert_eq!(figure(&gate, "portcullis_upstream_retries_total{result=\"moved\"}"), None, "nothing met it");
}

#[test]
fn readiness_hears_of_it_only_where_it_is_asked_to_and_requests_go_on() {
    for (setting, expected) in [("require_healthy = false", 200), ("require_healthy = true", 503)] {
        let ((one, one_is_well), (other, other_is_well)) = (patient("one"), patient("other"));
        let gate = asked(before(&[&one, &other])).with("upstream", setting).start();
        assert_eq!(ready(&gate), 200);
        one_is_well.store(false, SeqCst);
        until("one is ill", || healthy(&gate, "one") == Some(0.0));
        assert_eq!(ready(&gate), 200, "one is enough");
        other_is_well.store(false, SeqCst);
        until("the other is ill", || healthy(&gate, "other") == Some(0.0));
        assert_eq!(ready(&gate), expected, "{setting}");
        one.take();
        other.take();
        assert!(many(&gate, 40).iter().all(|status| *status == 200), "better a try than nothing");
        assert!(one.count() > 5 && other.count() > 5);
        other_is_well.store(true, SeqCst);
        until("the other is well", || ready(&gate) == 200);
    }
}
