//! A store that is away when the gate starts, comes later, or turns out to be the wrong one.

use std::{fs, path::Path};

use crate::{
    callers::{FULL, PROTECTED, RECOVERY, SELF, ask, figure, page, seed, setup, within},
    lock::Lock,
    support::{
        gate::Gate,
        process::run,
        upstream::Upstream,
        wire::{Message, exchange, request},
    },
};

fn send(gate: &Gate, method: &str, target: &str, body: &str) -> Message {
    exchange(gate.proxy, &request(method, target, &[("Content-Type", "application/json")], body.as_bytes()))
}

fn assert_unavailable(answer: &Message, what: &str) {
    let refused = answer.header("x-auth-refused");
    assert_eq!((answer.status(), refused.as_deref()), (503, Some("store_unavailable")), "{what}");
    assert!(answer.header("retry-after").is_some(), "{what}");
}

/// Nothing of what needs the store is decided, whoever asks.
fn assert_decides_nothing(gate: &Gate, upstream: &Upstream) {
    assert_unavailable(&ask(gate, PROTECTED, FULL), "a valid token");
    assert_unavailable(&ask(gate, PROTECTED, "00000000000000000000000000000000"), "an unknown one");
    assert_unavailable(&send(gate, "GET", PROTECTED, ""), "a guest where a permission is needed");
    // Which route a path means depends on the codes of the stores.
    assert_unavailable(&send(gate, "GET", "/rest/V1/directory/currency", ""), "an anonymous route");
    let login = r#"{"username":"alice@example.com","password":"Password123"}"#;
    assert_unavailable(&send(gate, "POST", "/rest/V1/integration/customer/token", login), "a login");
    assert_unavailable(&send(gate, "POST", "/oauth/token/request", ""), "the handshake");
    let by_bearer = crate::callers::by_bearer("/soap/default?services=x", FULL);
    assert_unavailable(&exchange(gate.proxy, &by_bearer), "a token on SOAP");
    assert!(upstream.take().is_empty(), "the upstream heard of none");
    for token in ["", FULL] {
        let answer = exchange(gate.proxy, &crate::callers::by_bearer("/graphql", token));
        assert_eq!(answer.status(), 200, "GraphQL, {token:?}");
        assert_eq!(upstream.take_one().header("x-auth-user-type").as_deref(), Some("guest"), "{token:?}");
    }
    assert_eq!(send(gate, "GET", "/media/picture.png", "").status(), 200, "what needs nobody goes on");
    upstream.take();
    assert_eq!(page(gate, "/healthz").status(), 200);
    assert!((figure(gate, "portcullis_store_breaker_state") - 3.0).abs() < 0.1);
}

fn start_locked(folder: &Path, upstream: &Upstream) -> (Gate, Lock) {
    let setup = || {
        let handshake = "issuer = \"portcullis\"";
        setup(upstream).with("tokens", "issuer = \"opaque\"").with("handshake", handshake)
    };
    let database = seed(&setup(), folder);
    let lock = Lock::take(&database);
    let gate = setup().in_folder(folder).try_start().expect("it starts without its store");
    (gate, lock)
}

#[test]
fn a_gate_starts_without_its_store_and_serves_when_it_is_there() {
    let (folder, upstream) = (tempfile::tempdir().unwrap(), Upstream::start());
    let (gate, lock) = start_locked(folder.path(), &upstream);
    let ready = page(&gate, "/readyz");
    assert_eq!(ready.status(), 503);
    assert!(ready.text().contains("the store does not answer"), "{}", ready.text());
    let started = page(&gate, "/startupz");
    assert_eq!((started.status(), started.text()), (503, ready.text()), "for the same reason");
    assert_decides_nothing(&gate, &upstream);
    lock.release();
    within(RECOVERY, "ready", || page(&gate, "/readyz").status() == 200);
    assert_eq!(page(&gate, "/startupz").status(), 200);
    assert_eq!(ask(&gate, PROTECTED, FULL).status(), 200);
    assert_eq!(send(&gate, "GET", PROTECTED, "").status(), 401);
    assert_eq!(ask(&gate, SELF, "00000000000000000000000000000000").status(), 401);
    assert!(figure(&gate, "portcullis_store_breaker_state").abs() < 0.1);
}

#[test]
fn a_store_that_comes_up_wrong_is_never_served_from_and_mending_it_is_enough() {
    for (break_it, mend_it, complaint) in [
        (
            "UPDATE _sqlx_migrations SET version = 9999 WHERE version = 1",
            "UPDATE _sqlx_migrations SET version = 1 WHERE version = 9999",
            "the schema is at version",
        ),
        (
            "UPDATE oauth_consumer SET secret = 'x' || secret",
            "UPDATE oauth_consumer SET secret = substr(secret, 2)",
            "none of the",
        ),
    ] {
        let (folder, upstream) = (tempfile::tempdir().unwrap(), Upstream::start());
        let (gate, mut lock) = start_locked(folder.path(), &upstream);
        lock.execute(break_it);
        lock.release();
        within(RECOVERY, "told", || page(&gate, "/readyz").text().contains(complaint));
        assert_eq!(page(&gate, "/readyz").status(), 503);
        assert_decides_nothing(&gate, &upstream);
        gate.sql(mend_it);
        within(RECOVERY, "ready", || page(&gate, "/readyz").status() == 200);
        assert_eq!(ask(&gate, PROTECTED, FULL).status(), 200);
    }
}

#[test]
fn a_change_of_what_credentials_are_worth_waits_for_the_store_and_others_do_not() {
    let (folder, upstream) = (tempfile::tempdir().unwrap(), Upstream::start());
    let (gate, lock) = start_locked(folder.path(), &upstream);
    let base = || {
        let handshake = "issuer = \"portcullis\"";
        setup(&upstream).with("tokens", "issuer = \"opaque\"").with("handshake", handshake)
    };
    let error = gate.reload(&base().with("magento", "integration_as_bearer = false")).unwrap_err();
    assert!(error.to_string().contains("has not been proven yet"), "{error}");
    gate.reload(&base().with("acl", "unmatched = \"refuse\"")).unwrap();
    assert_unavailable(&ask(&gate, PROTECTED, FULL), "still nothing is decided");
    lock.release();
    within(RECOVERY, "ready", || page(&gate, "/readyz").status() == 200);
    assert_eq!(ask(&gate, PROTECTED, FULL).status(), 200);
    assert_eq!(send(&gate, "GET", "/rest/V1/no/such/route", "").status(), 404, "the reload held");
}

#[test]
fn what_is_wrong_at_the_first_look_ends_the_start() {
    let upstream = Upstream::start();
    let folder = tempfile::tempdir().unwrap();
    let config = setup(&upstream).write(folder.path());
    let database = folder.path().join("portcullis.db");
    let serve = || run(&["serve", "--config", config.to_str().unwrap()]);
    let missing = serve();
    assert_eq!(missing.code, Some(78), "{missing:?}");
    assert!(missing.stderr.contains("portcullis migrate"), "{missing:?}");
    fs::write(&database, "not a database at all, and long enough to look like one".repeat(40)).unwrap();
    let foreign = serve();
    assert_eq!(foreign.code, Some(78), "{foreign:?}");
    fs::remove_file(&database).unwrap();
    fs::create_dir(&database).unwrap();
    let folder_instead = serve();
    assert_eq!(
        folder_instead.code,
        Some(78),
        "an embedded database does not come by itself: {folder_instead:?}"
    );
}
