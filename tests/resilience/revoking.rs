//! Revoking while others ask: nobody who begins after the promise is let in, however often it is done.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    callers::{NOW, SELF, ask_on, numbered, setup, tokens},
    support::{
        gate::Gate,
        upstream::Upstream,
        wire::{Client, exchange, request},
    },
};

const CLIENTS: usize = 4;
const ROUNDS: usize = 40;

/// Clients that ask without end by whatever token is current; `rounds` exchanges it and says from when on it is dead.
fn under_load(gate: &Gate, target: &'static str, rounds: impl FnOnce(&Mutex<(String, Option<Instant>)>)) {
    let current: Mutex<(String, Option<Instant>)> = Mutex::new((String::new(), None));
    let (is_over, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    let client = || {
        let mut client = Client::connect(gate.proxy);
        while !is_over.load(Ordering::SeqCst) {
            let (token, dead_since) = current.lock().unwrap().clone();
            let began = Instant::now();
            let status = ask_on(&mut client, target, &token);
            served.fetch_add(usize::from(status == 200), Ordering::SeqCst);
            if let Some(dead_since) = dead_since.filter(|dead| *dead <= began) {
                assert_eq!(status, 401, "asked {:?} after the revocation held", began - dead_since);
            }
        }
    };
    thread::scope(|scope| {
        (0..CLIENTS).for_each(|_| drop(scope.spawn(client)));
        rounds(&current);
        is_over.store(true, Ordering::SeqCst);
    });
    assert!(served.into_inner() > ROUNDS, "there was load");
}

#[test]
fn a_revocation_by_the_gate_holds_for_every_request_after_its_answer() {
    let upstream = Upstream::start();
    let gate = setup(&upstream).with("tokens", "issuer = \"opaque\"").start();
    under_load(&gate, SELF, |current| {
        for round in 0..ROUNDS {
            // Later than the revocation before it, which ends what was issued until its second.
            let now = NOW + 10 * (round as i64 + 1);
            gate.set_time(now);
            let token = format!("revoked{round:025}");
            gate.sql(&format!(
                "INSERT INTO oauth_token (customer_id, type, token, secret, callback_url, user_type, created_at)
                VALUES (1, 'access', '{token}', '', '', 3, datetime({now}, 'unixepoch'))"
            ));
            *current.lock().unwrap() = (token.clone(), None);
            thread::sleep(Duration::from_millis(20));
            let path = "/rest/V1/integration/customer/revoke-customer-token";
            let authorization = format!("Bearer {token}");
            let headers = [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
            let answer = exchange(gate.proxy, &request("POST", path, &headers, b"{}"));
            assert_eq!((answer.status(), answer.text().as_str()), (200, "true"));
            current.lock().unwrap().1 = Some(Instant::now());
            thread::sleep(Duration::from_millis(20));
        }
    });
}

#[test]
fn a_revocation_by_somebody_else_holds_within_the_promise() {
    const PROMISE: Duration = Duration::from_secs(1);
    let upstream = Upstream::start();
    let gate =
        setup(&upstream).with("cache", "ttl = \"60s\"\nnegative_ttl = \"100ms\"\npoll = \"100ms\"").start();
    gate.sql(&tokens(0..6));
    under_load(&gate, SELF, |current| {
        for round in 0..6 {
            *current.lock().unwrap() = (numbered(round), None);
            thread::sleep(Duration::from_millis(500));
            gate.sql(&format!("UPDATE oauth_token SET revoked = 1 WHERE token = '{}'", numbered(round)));
            current.lock().unwrap().1 = Some(Instant::now() + PROMISE);
            thread::sleep(PROMISE + Duration::from_millis(500));
        }
    });
}
