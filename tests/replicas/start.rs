//! A gate that is started before its MariaDB, or with one that is not its own.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    shop::{PROTECTED, RECOVERY, SELF, Shop, ask, new_database, numbered, page, signed, sql, within},
    support::{
        servers::mariadb::MariaDb,
        signing::TOKEN,
        wire::{Message, exchange, request},
    },
};

fn assert_unavailable(answer: &Message, what: &str) {
    let refused = answer.header("x-auth-refused");
    assert_eq!((answer.status(), refused.as_deref()), (503, Some("store_unavailable")), "{what}");
    assert!(answer.header("retry-after").is_some(), "{what}");
}

#[test]
#[ignore = "needs mariadbd and redis-server; run tests/all"]
fn a_gate_that_is_there_before_mariadb_serves_when_it_comes() {
    let server = MariaDb::start(&[]);
    let database = new_database(&server);
    let shop = Shop::over(&server.url(&database), &[]);
    shop.fill(&server, &database, 100);
    // What was written last is on the disk after a second.
    thread::sleep(Duration::from_secs(2));
    server.kill();
    let gate = shop.serve();
    for _ in 0..20 {
        assert_eq!(page(gate.admin, "/healthz").status(), 200);
        let ready = page(gate.admin, "/readyz");
        assert_eq!(ready.status(), 503);
        assert!(ready.text().contains("the store does not answer"), "{}", ready.text());
        assert_unavailable(&ask(&gate, PROTECTED, TOKEN), "a valid token");
        assert_unavailable(&ask(&gate, SELF, "nobody"), "an unknown one");
        assert_unavailable(&exchange(gate.proxy, &signed()), "a signature");
        assert_unavailable(&exchange(gate.proxy, &request("GET", PROTECTED, &[], b"")), "a guest");
        thread::sleep(Duration::from_millis(50));
    }
    let began = Instant::now();
    server.restart();
    let restarted = began.elapsed();
    let ready = within(RECOVERY, "ready", || page(gate.admin, "/readyz").status() == 200);
    println!("MariaDB was back after {restarted:?}; the gate was ready {ready:?} later");
    assert_eq!(ask(&gate, PROTECTED, TOKEN).status(), 200);
    assert_eq!(ask(&gate, SELF, &numbered(1)).status(), 200);
    assert_eq!(ask(&gate, SELF, "nobody").status(), 401);
    assert_eq!(exchange(gate.proxy, &signed()).status(), 200);
}

#[test]
#[ignore = "needs mariadbd and redis-server; run tests/all"]
fn what_is_wrong_with_mariadb_ends_the_start_and_is_named() {
    let server = MariaDb::shared();
    let database = new_database(server);
    let (good, empty) = (server.url(&database), server.url(&new_database(server)));
    let newer = new_database(server);
    for (url, what) in [
        (good.replace("portcullis:", "stranger:"), "stranger"),
        (good.replace("corr%2F", "hunter2"), "Access denied"),
        (format!("{good}_not_there"), "_not_there"),
        (empty, "portcullis migrate"),
        (server.url(&newer), "schema"),
        ("mysql://no-host:no-port/x".to_owned(), "store.url"),
    ] {
        let shop = Shop::over(&url, &[]);
        if url.ends_with(&newer) {
            shop.fill(server, &newer, 1);
            sql(
                server,
                &newer,
                "INSERT INTO _sqlx_migrations VALUES (9, 'later', '2030-01-01 00:00:00', 1, X'00', 0)",
            );
        }
        let ended = shop.run(&["serve"]);
        assert_eq!(ended.code, Some(78), "{what}: {ended:?}");
        assert!(ended.stderr.contains(what) && ended.stderr.contains("store.url"), "{what}: {ended:?}");
        for secret in ["corr", "hunter2"] {
            assert!(!ended.stderr.contains(secret) && !ended.stdout.contains(secret), "{what}: {ended:?}");
        }
    }
}
