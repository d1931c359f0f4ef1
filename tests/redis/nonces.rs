//! A signature passes once, whichever replica it comes to; without Redis none passes, and nobody else is concerned.

use std::{
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use super::shop::{BEGIN, FLOOR, Shop, assert_unavailable, bearer, gauge, nonce, sign, signed};
use crate::support::{servers::redis::RedisServer, waiting::until, wire::exchange};

#[test]
#[ignore = "needs redis-server; run tests/all"]
fn a_replay_to_another_replica_is_refused() {
    let redis = RedisServer::open();
    let shop = Shop::settled(2, &format!("url = \"{}\"", redis.link_url()));
    let now = BEGIN + FLOOR + 1;
    let request = signed(now, &nonce());
    let before = shop.upstream.take().len();
    assert_eq!(exchange(shop.gates[0].proxy, &request).status(), 200);
    for gate in [&shop.gates[1], &shop.gates[0], &shop.gates[1]] {
        let replay = exchange(gate.proxy, &request);
        assert_eq!(replay.status(), 401);
        assert!(replay.text().contains("nonce is already being used"), "{}", replay.text());
    }
    assert_eq!(shop.upstream.take().len(), 1, "{before} before");
    // Kept for as long as its timestamp is acceptable, and then no longer.
    shop.set_time(now + 600);
    assert_eq!(exchange(shop.gates[1].proxy, &request).status(), 401);
    let key: Vec<Vec<u8>> = redis.run("KEYS portcullis:{n0}:*");
    let longest = key.len();
    assert!(longest >= 3, "a marker and nonces");
}

#[test]
#[ignore = "needs redis-server; run tests/all"]
fn of_racing_clients_at_several_replicas_one_passes() {
    let redis = RedisServer::open();
    let shop = Shop::settled(3, &format!("url = \"{}\"\ntimeout = \"2s\"", redis.link_url()));
    let now = BEGIN + FLOOR + 1;
    for _ in 0..10 {
        let (request, barrier) = (signed(now, &nonce()), Barrier::new(24));
        let statuses: Vec<u16> = thread::scope(|scope| {
            let clients: Vec<_> = (0..24)
                .map(|number| {
                    let (gate, request, barrier) = (&shop.gates[number % 3], &request, &barrier);
                    scope.spawn(move || {
                        barrier.wait();
                        exchange(gate.proxy, request).status()
                    })
                })
                .collect();
            clients.into_iter().map(|client| client.join().unwrap()).collect()
        });
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
        assert!(statuses.iter().all(|status| [200, 401].contains(status)), "{statuses:?}");
    }
}

#[test]
#[ignore = "needs redis-server; run tests/all"]
fn a_redis_that_hangs_refuses_signatures_alone_and_no_nonce_passes_twice() {
    let redis = RedisServer::open();
    let shop = Shop::settled(2, &format!("url = \"{}\"", redis.link_url()));
    let now = BEGIN + FLOOR + 1;
    assert_eq!(bearer(&shop.gates[0]), 200);
    redis.pause();
    let unanswered = signed(now, &nonce());
    let began = Instant::now();
    assert_unavailable(&exchange(shop.gates[0].proxy, &unanswered));
    println!("refused after {:?} with redis.timeout at 100 ms", began.elapsed());
    for gate in &shop.gates {
        assert_unavailable(&sign(gate, now));
        assert_eq!(bearer(gate), 200);
    }
    redis.resume();
    // Whether the first attempt was carried out late or never: it was refused, so at most one later one may pass.
    let mut passed = 0;
    for _ in 0..5 {
        for gate in &shop.gates {
            passed += usize::from(exchange(gate.proxy, &unanswered).status() == 200);
        }
    }
    assert!(passed <= 1, "{passed}");
    for gate in &shop.gates {
        until("signatures pass again", || sign(gate, now).status() == 200);
    }
}

#[test]
#[ignore = "needs redis-server; run tests/all"]
fn a_lost_connection_fails_at_once_and_comes_back() {
    let mut redis = RedisServer::open();
    let shop = Shop::settled(1, &format!("url = \"{}\"\ntimeout = \"5s\"", redis.link_url()));
    let (gate, now) = (&shop.gates[0], BEGIN + FLOOR + 1);
    redis.kill();
    until("the loss is seen", || gauge(gate, "redis_connected") == 0);
    let began = Instant::now();
    for _ in 0..20 {
        assert_unavailable(&sign(gate, now));
    }
    assert!(began.elapsed() < Duration::from_secs(5), "nothing waits for its timeout");
    assert_eq!(bearer(gate), 200);
    redis.restart();
    until("Redis is back", || gauge(gate, "redis_connected") == 1);
    assert_eq!(gauge(gate, "redis_reconnects_total"), 1);
    shop.settle(now);
}

#[test]
#[ignore = "needs redis-server; run tests/all"]
fn a_redis_without_memory_refuses_and_keeps_what_it_has() {
    let redis = RedisServer::open();
    let shop = Shop::settled(2, &format!("url = \"{}\"", redis.link_url()));
    let (gate, now) = (&shop.gates[0], BEGIN + FLOOR + 1);
    let used = signed(now, &nonce());
    assert_eq!(exchange(gate.proxy, &used).status(), 200);
    let _: String = redis.run("CONFIG SET maxmemory 1000");
    assert_unavailable(&sign(gate, now));
    assert_eq!(gauge(gate, "redis_nonces_full"), 1);
    assert_eq!(gauge(gate, "redis_may_evict"), 0, "noeviction is the default");
    assert_eq!(bearer(gate), 200);
    let _: String = redis.run("CONFIG SET maxmemory 0");
    until("signatures pass again", || sign(gate, now).status() == 200);
    assert_eq!(gauge(gate, "redis_nonces_full"), 0);
    for gate in &shop.gates {
        assert_eq!(exchange(gate.proxy, &used).status(), 401);
    }
}

#[test]
#[ignore = "needs redis-server; run tests/all"]
fn a_redis_that_may_evict_takes_no_nonces() {
    let redis = RedisServer::open_with(&["--maxmemory", "100mb"]);
    let shop = Shop::settled(1, &format!("url = \"{}\"", redis.link_url()));
    let (gate, now) = (&shop.gates[0], BEGIN + FLOOR + 1);
    let _: String = redis.run("CONFIG SET maxmemory-policy volatile-lru");
    until("the policy is seen", || gauge(gate, "redis_may_evict") == 1);
    assert_unavailable(&sign(gate, now));
    assert_eq!(bearer(gate), 200);
    let _: String = redis.run("CONFIG SET maxmemory-policy noeviction");
    until("signatures pass again", || sign(gate, now).status() == 200);
}
