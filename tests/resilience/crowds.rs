//! Many who ask for the same at once, many whose time is up at once, and many who are nobody.

use std::{
    collections::HashSet,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use portcullis::{
    auth::secret::Secret,
    store::{
        facts::{Lookup, LookupFailed},
        grant::CredentialKey,
    },
};

use crate::{
    callers::{FULL, PROTECTED, SELF, ask_on, figure, numbered, setup, tokens, within},
    support::{gate::Gate, upstream::Upstream, wire::Client},
};

/// Many look credentials up at once, as the workers do; how many were granted, and how many sent away.
fn look_up(gate: &Gate, credentials: impl Iterator<Item = String>) -> (usize, usize) {
    let tasks: Vec<_> = credentials
        .map(|token| {
            let facts = gate.facts.clone();
            gate.runtime().spawn(async move {
                let lookup = Lookup::Bearer(Secret::new(token.clone().into_bytes()));
                facts.resolve(CredentialKey::bearer(token.as_bytes()), lookup).await
            })
        })
        .collect();
    let (mut granted, mut shed) = (0, 0);
    for task in tasks {
        match gate.runtime().block_on(task).unwrap() {
            Ok(fact) => granted += usize::from(fact.is_positive()),
            Err(failed) => shed += usize::from(failed == LookupFailed::Overloaded),
        }
    }
    (granted, shed)
}

#[test]
fn ten_thousand_who_miss_one_credential_cost_one_query() {
    let upstream = Upstream::start();
    let gate = setup(&upstream).with("cache", "ttl = \"60s\"").start();
    let before = gate.facts.lookups();
    assert_eq!(look_up(&gate, (0..10_000).map(|_| FULL.to_owned())), (10_000, 0));
    assert_eq!(gate.facts.lookups() - before, 1);
    // The same over sockets, all at once.
    gate.facts.cache().invalidate_everyone();
    let before = gate.facts.lookups();
    let (ready, go) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| {
                let mut client = Client::connect(gate.proxy);
                ready.fetch_add(1, Ordering::SeqCst);
                while !go.load(Ordering::SeqCst) {
                    thread::yield_now();
                }
                assert_eq!(ask_on(&mut client, PROTECTED, FULL), 200);
            });
        }
        within(Duration::from_secs(20), "connected", || ready.load(Ordering::SeqCst) == 100);
        go.store(true, Ordering::SeqCst);
    });
    assert_eq!(gate.facts.lookups() - before, 1);
}

#[test]
fn lookups_are_bounded_and_those_beyond_are_sent_away_at_once() {
    let upstream = Upstream::start();
    let setup = setup(&upstream).with("store", "max_lookups = 8\nlookup_timeout = \"30s\"");
    let gate = setup.with("cache", "ttl = \"60s\"").start();
    gate.sql(&tokens(0..2000));
    let before = gate.facts.lookups();
    let (granted, shed) = look_up(&gate, (0..2000).map(numbered));
    assert_eq!(granted + shed, 2000);
    assert!(granted >= 8, "{granted}");
    assert_eq!(gate.facts.lookups() - before, granted as u64, "whoever is sent away costs no query");
    assert!(figure(&gate, "portcullis_store_lookups_under_way").abs() < 0.1);
    assert!(figure(&gate, "portcullis_store_lookups_waiting").abs() < 0.1);
}

#[test]
fn entries_that_were_filled_together_do_not_end_together() {
    const TTL: Duration = Duration::from_secs(20);
    let upstream = Upstream::start();
    let setup = setup(&upstream).with("store", "max_lookups = 65536\nlookup_timeout = \"60s\"");
    let gate = setup.with("cache", "ttl = \"20s\"\nmax_stale = \"60s\"").start();
    gate.sql(&tokens(0..10_000));
    let began = std::time::Instant::now();
    assert_eq!(look_up(&gate, (0..10_000).map(numbered)), (10_000, 0));
    let filled = began.elapsed();
    let mut fresh: HashSet<usize> = (0..10_000).collect();
    let mut slices = Vec::new();
    while !fresh.is_empty() {
        thread::sleep(TTL / 100);
        let before = fresh.len();
        fresh.retain(|number| {
            let cached = gate.facts.cached(&CredentialKey::bearer(numbered(*number).as_bytes()));
            matches!(cached, portcullis::store::cache::Cached::Fresh(_))
        });
        let at = began.elapsed();
        assert!(at < TTL * 2 + filled, "{} never ended", fresh.len());
        if at < (TTL * 9 / 10).saturating_sub(Duration::from_millis(200)) {
            assert_eq!(before, fresh.len(), "{at:?}: none ends more than a tenth early");
        }
        slices.push(before - fresh.len());
    }
    // A tenth of the time in steps of a hundredth: all at once would be one slice.
    let largest = slices.iter().max().unwrap();
    assert!(*largest < 10_000 / 2, "{largest} of 10,000 ended in one hundredth of their time");
    assert!(slices.iter().filter(|ended| **ended > 0).count() >= 5, "{slices:?}");
}

#[test]
fn a_flood_of_random_tokens_pushes_nobody_out() {
    const BOUND: f64 = 200.0;
    let upstream = Upstream::start();
    let cache = "ttl = \"60s\"\nnegative_ttl = \"60s\"\nnegative_entries = 200";
    let gate = setup(&upstream).with("cache", cache).start();
    gate.sql(&tokens(0..50));
    assert_eq!(look_up(&gate, (0..50).map(numbered)), (50, 0));
    let before = gate.facts.lookups();
    let (is_over, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for flooder in 0..4 {
            let (gate, asked) = (&gate, &asked);
            scope.spawn(move || {
                let mut client = Client::connect(gate.proxy);
                for number in 0..1000 {
                    let status = ask_on(&mut client, SELF, &format!("random{flooder:06}{number:020}"));
                    assert!([401, 503].contains(&status), "{status}");
                    asked.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let honest = scope.spawn(|| {
            let mut client = Client::connect(gate.proxy);
            let mut served = 0;
            while !is_over.load(Ordering::SeqCst) {
                assert_eq!(ask_on(&mut client, SELF, &numbered(served % 50)), 200);
                served += 1;
            }
            served
        });
        within(Duration::from_secs(120), "the flood is over", || asked.load(Ordering::SeqCst) == 4000);
        is_over.store(true, Ordering::SeqCst);
        let served = honest.join().unwrap();
        assert!(served > 5, "{served}");
    });
    assert_eq!(gate.facts.lookups() - before, 4000, "those who were cached cost nothing");
    // The bound is kept a moment behind.
    within(Duration::from_secs(10), "bounded", || {
        look_up(&gate, (0..50).map(|number| format!("nobody{number:026}")));
        figure(&gate, "portcullis_cache_refusals") <= BOUND
    });
    assert!(figure(&gate, "portcullis_cache_grants") >= 50.0);
}
