//! Replicas that share their limits through a Redis of this test's own.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    ANONYMOUS, class, figure, get, rule, setup, start,
    support::{
        gate::{Gate, Setup},
        servers::redis::RedisServer,
        upstream::Upstream,
    },
};

const REPLICAS: usize = 3;
const BURST: u64 = 20;
const RATE: u64 = 50;
const SYNC: Duration = Duration::from_millis(50);

fn replica(upstream: &Upstream, redis: &RedisServer, on_outage: &str) -> Setup {
    let limits = format!(
        "store = \"redis\"\nsync = \"50ms\"\non_outage = \"{on_outage}\"\n{}{}",
        rule(&format!("name = \"address\"\nby = \"address\"\nrate = \"{RATE}/s\"\nburst = {BURST}")),
        rule("name = \"slow\"\nby = \"address\"\nclass = \"write\"\nrate = \"3/h\"")
    );
    setup(upstream, &limits).with("redis", &format!("url = \"{}\"", redis.url())).on_system_time()
}

fn post(gate: &Gate, address: &str) -> String {
    class(&crate::send(gate, "POST", ANONYMOUS, ("", address)))
}

/// Waits for the gate to say that so many more exchanges took place.
fn exchanges(gate: &Gate, more: u64) {
    let name = "portcullis_ratelimit_exchanges_total{result=\"done\"}";
    let deadline = Instant::now() + Duration::from_secs(20);
    let count = || {
        let page =
            crate::exchange(gate.admin, &crate::request("GET", "/metrics", &[("Connection", "close")], b""));
        let text = page.text();
        text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok()).unwrap_or_default()
    };
    let wanted = count() + more;
    while count() < wanted {
        assert!(Instant::now() < deadline, "no exchange");
        thread::sleep(Duration::from_millis(10));
    }
}

/// The worst caller there is: at all replicas at once, as fast as they answer.
#[test]
#[ignore = "needs redis-server; run tests/all"]
fn replicas_together_stay_within_the_stated_bound() {
    let (upstream, redis) = (Upstream::start(), RedisServer::start());
    let gates: Vec<Gate> = (0..REPLICAS).map(|_| start(replica(&upstream, &redis, "local"))).collect();
    gates.iter().for_each(|gate| exchanges(gate, 1));
    let began = Instant::now();
    let admitted: u64 = thread::scope(|scope| {
        let asking: Vec<_> = gates
            .iter()
            .map(|gate| {
                scope.spawn(move || {
                    let mut admitted = 0;
                    while began.elapsed() < Duration::from_secs(4) {
                        admitted += u64::from(class(&get(gate, ANONYMOUS, "", "192.0.2.1")) == "200");
                    }
                    admitted
                })
            })
            .collect();
        asking.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    let elapsed = began.elapsed();
    let alone = BURST + RATE * u64::try_from(elapsed.as_millis()).unwrap() / 1000;
    // What an exchange takes on a busy machine comes on top of its interval; the stated bound counts it.
    let lag = SYNC * 2 + Duration::from_secs(1);
    let over = (REPLICAS as u64 - 1) * (BURST + RATE * u64::try_from(lag.as_millis()).unwrap() / 1000);
    println!("{admitted} admitted in {elapsed:?}: {alone} alone, {over} over at most");
    assert!(admitted <= alone + over, "{admitted} > {alone} + {over}");
    let apart = REPLICAS as u64 * alone;
    assert!(alone + over < apart, "the bound tells sharing from not sharing");
    assert!(admitted >= RATE * 4 / 2, "{admitted}: the caller was not starved");
}

#[test]
#[ignore = "needs redis-server; run tests/all"]
fn what_one_replica_admitted_the_others_know() {
    let (upstream, redis) = (Upstream::start(), RedisServer::start());
    let gates: Vec<Gate> = (0..2).map(|_| start(replica(&upstream, &redis, "local"))).collect();
    gates.iter().for_each(|gate| exchanges(gate, 1));
    assert_eq!([post(&gates[0], "192.0.2.1"), post(&gates[0], "192.0.2.1")], ["200", "200"]);
    exchanges(&gates[0], 2);
    // The first request at a replica that does not know the address yet is its own; then it has been told.
    assert_eq!(post(&gates[1], "192.0.2.1"), "200");
    exchanges(&gates[1], 2);
    assert_eq!(post(&gates[1], "192.0.2.1"), "429 rate_limited", "three of three, two of them elsewhere");
    assert_eq!(post(&gates[1], "192.0.2.2"), "200", "another address");
    exchanges(&gates[0], 2);
}

#[test]
#[ignore = "needs redis-server; run tests/all"]
fn without_redis_each_replica_limits_alone_or_refuses_as_it_is_set() {
    let upstream = Upstream::start();
    let redis = RedisServer::start();
    let at = redis.address();
    let open = start(replica(&upstream, &redis, "local"));
    let closed = start(replica(&upstream, &redis, "refuse"));
    exchanges(&open, 1);
    exchanges(&closed, 1);
    assert_eq!(post(&closed, "192.0.2.1"), "200");
    drop(redis);
    // An address each: one that asked often before the outage is noticed has spent its three an hour, and 429 comes first.
    let mut strangers = (0..=255).map(|last| format!("198.51.100.{last}"));
    let mut noticed =
        || post(&closed, &strangers.next().expect("noticed within 256 requests")) == "503 limits_unavailable";
    while !noticed() {
        thread::sleep(Duration::from_millis(80));
    }
    let refused = get(&closed, ANONYMOUS, "", "192.0.2.4");
    assert_eq!(class(&refused), "503 limits_unavailable");
    assert_eq!(refused.header("retry-after").as_deref(), Some("1"));
    assert!(figure(&closed, "portcullis_ratelimit_decisions_total{rule=\"address\",outcome=\"outage\"}") > 0);

    let answers: Vec<_> = (0..5).map(|_| post(&open, "192.0.2.5")).collect();
    assert_eq!(answers.iter().filter(|answer| *answer == "200").count(), 3, "{answers:?}");
    assert!(figure(&open, "portcullis_ratelimit_exchanges_total{result=\"failed\"}") > 0);

    let _redis = RedisServer::start_at(at);
    let deadline = Instant::now() + Duration::from_secs(20);
    while post(&closed, "192.0.2.6") == "503 limits_unavailable" {
        assert!(Instant::now() < deadline, "the return is not noticed");
        thread::sleep(Duration::from_millis(20));
    }
    exchanges(&open, 1);
}
