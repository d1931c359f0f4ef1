//! Whatever may have lost nonces refuses all that could be a replay, at every replica.

use super::shop::{BEGIN, FLOOR, Shop, assert_unavailable, bearer, gauge, nonce, sign, signed};
use crate::support::{
    servers::redis::{RedisServer, Watched},
    waiting::until,
    wire::exchange,
};

/// Uses a nonce, loses it, and sees that no replica takes it again, neither at once nor when the quarantine is over.
fn assert_nothing_passes_twice(shop: &Shop, now: i64, lose: impl FnOnce()) {
    let used = signed(now, &nonce());
    let ahead = signed(now + 20, &nonce());
    assert_eq!(exchange(shop.gates[0].proxy, &used).status(), 200);
    assert_eq!(exchange(shop.gates[1].proxy, &ahead).status(), 200, "as far ahead as is acceptable");
    let passed = shop.upstream.take().len();
    assert!(passed >= 2);
    lose();
    for _ in 0..5 {
        for gate in &shop.gates {
            assert_unavailable(&exchange(gate.proxy, &used));
            assert_unavailable(&exchange(gate.proxy, &ahead));
        }
    }
    assert_eq!(shop.upstream.take().len(), 0, "the upstream saw nothing");
    for gate in &shop.gates {
        until("the loss is seen", || {
            sign(gate, now);
            gauge(gate, "redis_nonces_quarantined_until_seconds") >= now + FLOOR
        });
        assert_unavailable(&sign(gate, now));
        assert_eq!(bearer(gate), 200);
    }
    let later = shop.settle(now);
    for gate in &shop.gates {
        for replay in [&used, &ahead] {
            assert_unavailable(&exchange(gate.proxy, replay));
        }
        assert_eq!(sign(gate, later).status(), 200);
    }
}

#[test]
#[ignore = "needs redis-server; run tests/all"]
fn flushed_nonces_do_not_pass_again() {
    let redis = RedisServer::open();
    let shop = Shop::settled(2, &format!("url = \"{}\"", redis.link_url()));
    assert_nothing_passes_twice(&shop, BEGIN + FLOOR + 1, || {
        let _: String = redis.run("FLUSHALL");
    });
}

#[test]
#[ignore = "needs redis-server; run tests/all"]
fn the_nonces_of_a_killed_redis_do_not_pass_again() {
    let mut redis = RedisServer::open();
    let shop = Shop::settled(2, &format!("url = \"{}\"", redis.link_url()));
    assert_nothing_passes_twice(&shop, BEGIN + FLOOR + 1, || redis.restart());
}

#[test]
#[ignore = "needs redis-server; run tests/all"]
fn a_restart_from_an_older_snapshot_is_a_loss() {
    let mut redis = RedisServer::open();
    let shop = Shop::settled(2, &format!("url = \"{}\"", redis.link_url()));
    let now = BEGIN + FLOOR + 1;
    // The snapshot has the marker and none of the nonces that follow.
    let _: String = redis.run("SAVE");
    assert_nothing_passes_twice(&shop, now, || redis.restart());
}

#[test]
#[ignore = "needs redis-server; run tests/all"]
fn a_replica_that_was_promoted_is_another_history() {
    let watched = Watched::start();
    let nodes =
        format!("mode = \"sentinel\"\nnodes = [\"{}\"]\nsentinel_master = \"mymaster\"", watched.sentinel());
    let shop = Shop::settled(2, &nodes);
    let (mut master, replica, _sentinel) = watched.into_parts();
    assert_nothing_passes_twice(&shop, BEGIN + FLOOR + 1, || {
        master.kill();
        until("the replica is promoted", || {
            replica.run::<String>("INFO replication").contains("role:master")
        });
    });
}

#[test]
#[ignore = "needs redis-server; run tests/all"]
fn a_master_that_was_a_replica_meanwhile_is_another_history() {
    let (first, second) = (RedisServer::open(), RedisServer::open());
    let replicaof = |server: &RedisServer, of: &RedisServer| {
        let _: String = server.run(&format!("REPLICAOF 127.0.0.1 {}", of.address().port()));
        until("in step", || server.run::<String>("INFO replication").contains("master_link_status:up"));
    };
    // The first replica of a master begins a history of its own; only then do the gates come.
    replicaof(&second, &first);
    let shop = Shop::settled(2, &format!("url = \"{}\"", first.link_url()));
    let now = BEGIN + FLOOR + 1;
    // A copy from before the nonces: the marker is the one of the first server, and so is its run id later on.
    let _: String = second.run("REPLICAOF NO ONE");
    assert_nothing_passes_twice(&shop, now, || {
        replicaof(&first, &second);
        let _: String = first.run("REPLICAOF NO ONE");
    });
}
