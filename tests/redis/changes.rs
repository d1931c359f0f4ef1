//! A revocation made through one replica, or a shell, ends at all of them at once; and who waits for it hears the truth.
//!
//! Callers are remembered for a minute here and the store is looked at as rarely: only Redis can be that fast.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::shop::{PROTECTED, Shop, bearer, gauge, setup};
use crate::support::{
    gate::Gate,
    process,
    servers::redis::RedisServer,
    upstream::Upstream,
    waiting::until,
    wire::{exchange, request},
};

/// What the product promises of a change that Redis tells.
const PROMISE: Duration = Duration::from_secs(1);

const ADMIN: &str = "adminadminadminadminadminadmin01";

fn revoke(shop: &Shop, config: &str, arguments: &[&str]) -> process::Ended {
    assert!(!shop.gates.is_empty());
    let mut words = vec!["token", "revoke", "--config", config];
    words.extend(arguments);
    process::run(&words)
}

/// A shop whose gates know their callers, and the file that a shell reads.
fn known(redis: &RedisServer, count: usize) -> (Shop, String) {
    let lines = format!("url = \"{}\"", redis.link_url());
    let shop = Shop::settled(count, &lines);
    let folder = shop.gates[0].folder.clone();
    let config = setup(&shop.upstream, &lines).write(&folder).display().to_string();
    shop.gates[0].sql(&format!(
        "INSERT INTO oauth_token (admin_id, type, token, secret, callback_url, user_type, created_at)
        VALUES (1, 'access', '{ADMIN}', '', '', 2, '2026-11-21 08:00:00')"
    ));
    for gate in &shop.gates {
        assert_eq!((bearer(gate), admin(gate)), (200, 200));
        until("all replicas are known", || gauge(gate, "redis_replicas") == count as i64);
    }
    (shop, config)
}

fn admin(gate: &Gate) -> u16 {
    let authorization = format!("Bearer {ADMIN}");
    exchange(gate.proxy, &request("GET", PROTECTED, &[("Authorization", &authorization)], b"")).status()
}

/// Waits until a gate refuses, and says how long that took.
fn refused(gate: &Gate, ask: impl Fn(&Gate) -> u16, since: Instant) -> Duration {
    let deadline = since + Duration::from_secs(10);
    while ask(gate) == 200 {
        assert!(Instant::now() < deadline, "it still passes");
        thread::sleep(Duration::from_millis(2));
    }
    since.elapsed()
}

#[test]
#[ignore = "needs redis-server; run tests/all"]
fn who_waits_for_a_revocation_finds_it_in_force_everywhere() {
    let redis = RedisServer::open();
    let (shop, config) = known(&redis, 3);
    let ended = revoke(&shop, &config, &["--admin", "1", "--wait"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("every live replica obeys, after "), "{ended:?}");
    println!("{}", ended.stdout);
    for gate in &shop.gates {
        assert_eq!(admin(gate), 401, "not a moment later");
        assert_eq!(bearer(gate), 200, "nobody else is concerned");
        println!("lag {} s", super::shop::figure(gate, "redis_invalidation_lag_seconds"));
    }
}

#[test]
#[ignore = "needs redis-server; run tests/all"]
fn a_revocation_through_one_replica_is_seen_by_the_others() {
    let redis = RedisServer::open();
    let (shop, _config) = known(&redis, 3);
    // An own endpoint of the first gate: a customer ends all of his tokens.
    let token = "customercustomercustomercustom01";
    shop.gates[0].sql(&format!(
        "INSERT INTO oauth_token (customer_id, type, token, secret, callback_url, user_type, created_at)
        VALUES (1, 'access', '{token}', '', '', 3, '2026-11-21 08:00:00')"
    ));
    let authorization = format!("Bearer {token}");
    let me = |gate: &Gate| {
        exchange(
            gate.proxy,
            &request("GET", "/rest/V1/customers/me", &[("Authorization", &authorization)], b""),
        )
        .status()
    };
    for gate in &shop.gates {
        assert_eq!(me(gate), 200);
    }
    let target = "/rest/V1/integration/customer/revoke-customer-token";
    let revoked =
        exchange(shop.gates[0].proxy, &request("POST", target, &[("Authorization", &authorization)], b""));
    let since = Instant::now();
    assert_eq!(revoked.status(), 200, "{}", revoked.text());
    assert_eq!(me(&shop.gates[0]), 401);
    for gate in &shop.gates[1..] {
        let took = refused(gate, me, since);
        println!("seen after {took:?}");
        assert!(took < PROMISE, "{took:?}");
    }
}

#[test]
#[ignore = "needs redis-server; run tests/all"]
fn a_replica_that_missed_messages_catches_up() {
    let redis = RedisServer::open();
    let (shop, config) = known(&redis, 2);
    let _: i64 = redis.run("CLIENT KILL TYPE pubsub");
    let ended = revoke(&shop, &config, &["--admin", "1", "--wait"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for gate in &shop.gates {
        assert_eq!(admin(gate), 401);
        assert_eq!(bearer(gate), 200);
    }
    // With the list gone as well, nobody can say what was missed: everybody is asked for again.
    let asked = gauge(&shop.gates[0], "store_lookups_total");
    let _: String = redis.run("FLUSHALL");
    for gate in &shop.gates {
        until("the gap is seen", || gauge(gate, "redis_invalidation_gaps_total") >= 1);
        assert_eq!(bearer(gate), 200);
    }
    assert!(gauge(&shop.gates[0], "store_lookups_total") > asked);
}

#[test]
#[ignore = "needs redis-server; run tests/all"]
fn a_replica_that_lags_is_named() {
    let redis = RedisServer::open();
    let (shop, config) = known(&redis, 1);
    // A replica that lives and never obeys.
    let until = "9999999999999";
    let _: i64 = redis::cmd("HSET")
        .arg(&["portcullis:{changes}:replicas", "sluggard", &format!("{until} - 0 1795248000 0.1.0")])
        .query(&mut redis::Client::open(redis.link_url()).unwrap().get_connection().unwrap())
        .unwrap();
    let ended = revoke(&shop, &config, &["--admin", "1", "--wait=500ms"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("sluggard"), "{ended:?}");
    assert_eq!(admin(&shop.gates[0]), 401, "it is revoked all the same");
}

#[test]
#[ignore = "needs redis-server; run tests/all"]
fn without_redis_nobody_can_be_waited_for() {
    let mut redis = RedisServer::open();
    let (shop, config) = known(&redis, 1);
    redis.kill();
    let ended = revoke(&shop, &config, &["--admin", "1", "--wait=500ms"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("revoked, but nobody can say"), "{ended:?}");
    redis.restart();
    until("the gate forgets everybody", || admin(&shop.gates[0]) == 401);

    let upstream = Upstream::start();
    let alone = crate::support::gate::Setup::before(upstream.address);
    let folder = tempfile::tempdir().unwrap();
    let config = alone.prepare(folder.path()).display().to_string();
    let ended = revoke(&shop, &config, &["--admin", "1", "--wait"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("--wait needs [redis]"), "{ended:?}");
    assert!(ended.stderr.contains("nothing was revoked"), "{ended:?}");
}

#[test]
#[ignore = "needs redis-server; run tests/all"]
fn a_role_that_changed_is_read_by_every_replica() {
    let redis = RedisServer::open();
    let (shop, config) = known(&redis, 2);
    let words = ["integration", "grant", "1", "--config", &config, "--none"];
    let ended = process::run(&words);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let since = Instant::now();
    for gate in &shop.gates {
        let took = refused(gate, bearer, since);
        println!("seen after {took:?}");
        assert!(took < PROMISE, "{took:?}");
    }
}

#[test]
#[ignore = "needs redis-server; run tests/all"]
fn check_says_what_redis_says() {
    let mut redis = RedisServer::open();
    let (shop, config) = known(&redis, 2);
    let ended = process::run(&["check", "--config", &config]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let line = ended.stdout.lines().find(|line| line.starts_with("redis: reachable")).unwrap().to_owned();
    for part in ["mode single", "live replicas 2", "role master", "maxmemory-policy noeviction"] {
        assert!(line.contains(part), "{line}");
    }
    redis.kill();
    let ended = process::run(&["check", "--config", &config]);
    assert_eq!(ended.code, Some(0), "a gate starts without it: {ended:?}");
    assert!(ended.stdout.contains("warning: redis: not reachable"), "{ended:?}");
    drop(shop);
}
