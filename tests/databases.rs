//! A gate and its commands on each kind of database server, from an empty database to a revocation made in another process.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "as in any test; clippy exempts only the functions that are marked as tests, not what they call"
)]

mod support;

use portcullis::clock::Clock;
use support::{
    servers::{mariadb::MariaDb, postgres::Postgres, rows},
    shop::{Shop, get},
    waiting::until_is,
    wire::{Message, exchange, request},
};

/// Needs `Magento_Backend::store`.
const WEBSITES: &str = "/rest/V1/store/websites";
/// Needs a customer.
const ME: &str = "/rest/V1/customers/me";
/// Part of every server's password.
const PASSWORD: &str = "orr";

/// Over a database; what is cached lasts longer than a test.
fn over(store: &str) -> Shop {
    let cache = "ttl = \"60s\"\nnegative_ttl = \"100ms\"\npoll = \"100ms\"";
    Shop::over(&[("store", store), ("cache", cache)], PASSWORD)
}

fn becomes(what: &str, status: u16, ask: impl Fn() -> Message) {
    until_is(what, &status, || ask().status());
}

fn from_nothing_to_a_revocation(shop: &Shop, shown: &str) {
    let before = shop.run(&["job", "list"]);
    assert!(before.stderr.contains("run `portcullis migrate`"), "{}", before.stderr);
    assert!(shop.says(&["migrate"]).contains(&format!("{shown}: created at schema version 3")));
    assert!(shop.says(&["migrate"]).contains("schema version 3 is current"));
    let checked = shop.says(&["check"]);
    assert!(checked.contains(shown) && checked.contains("The configuration can be used."), "{checked}");

    let names = ["--firstname", "Ada", "--lastname", "Lovelace"];
    let customer = [&["user", "add", "--customer", "ada@example.com"][..], &names].concat();
    shop.says_to(&customer, "Passw0rd!\n");
    let twin = shop
        .run_with(&[&["user", "add", "--customer", "ADA@example.com"][..], &names].concat(), "Passw0rd!\n");
    assert!(twin.stderr.contains("already exists"), "{}", twin.stderr);
    let erp = shop.integration("erp", &["Magento_Backend::store"]);

    let gate = shop.gate();
    let body = br#"{"username":"Ada@example.com","password":"Passw0rd!"}"#;
    let sign_in = || {
        let headers = [("Content-Type", "application/json")];
        exchange(gate.proxy, &request("POST", "/rest/V1/integration/customer/token", &headers, body))
    };
    let answer = sign_in();
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let token = format!("Bearer {}", answer.text().trim_matches('"'));
    assert_eq!(get(&gate, ME, &token).status(), 200);
    let now = Clock::system().now().seconds();
    let once = erp.authorization(WEBSITES, now, "once");
    assert_eq!([get(&gate, WEBSITES, &once).status(), get(&gate, WEBSITES, &once).status()], [200, 401]);
    // Cached for a minute, and ended by a process that the gate hears of through the store alone.
    shop.says(&["user", "disable", "--customer", "ada@example.com"]);
    becomes("disabled", 401, || get(&gate, ME, &token));
    assert_eq!(sign_in().status(), 401);
    shop.says(&["token", "revoke", "--integration", "erp"]);
    becomes("revoked", 401, || shop.signed(&gate, &erp, WEBSITES, now));
    assert!(shop.says(&["job", "run", "nonces"]).contains("nonces: 0 rows deleted"));
    assert!(shop.says(&["job", "list"]).contains("nonces"));
}

#[test]
#[ignore = "needs mariadbd; run tests/all"]
fn mariadb_serves_from_nothing_to_a_revocation() {
    let url = new_mariadb();
    let shop = over(&format!("url = \"{url}\"\nattached = false"));
    let place = url.rsplit('@').next().unwrap();
    from_nothing_to_a_revocation(&shop, &format!("mysql://portcullis@{place}"));
}

#[test]
#[ignore = "needs postgres; run tests/all"]
fn postgres_serves_from_nothing_to_a_revocation() {
    let url = on_a_runtime(async || Postgres::shared().url(&Postgres::shared().new_database().await));
    let shop = over(&format!("url = \"{url}\""));
    let place = url.rsplit('@').next().unwrap();
    from_nothing_to_a_revocation(&shop, &format!("postgres://portcullis@{place}"));
}

#[test]
#[ignore = "needs mariadbd; run tests/all"]
fn a_magentos_database_is_read_and_not_migrated() {
    let url = new_mariadb();
    on_a_runtime(async || {
        let server = MariaDb::shared();
        let mut connection = server.connect(url.rsplit('/').next()).await;
        rows::create_magento(&mut connection, "m2_").await;
        rows::load_mysql(&mut connection, "m2_", "fixture.json").await;
    });
    let shop = over(&format!("url = \"{url}\"\ntable_prefix = \"m2_\""));
    let refused = shop.run(&["migrate"]);
    assert_ne!(refused.code, Some(0));
    assert!(refused.stderr.contains("a Magento's own"), "{}", refused.stderr);
    let checked = shop.says(&["check"]);
    assert!(checked.contains("upstream.credentials") && checked.contains("forward"), "{checked}");
    assert!(shop.says(&["integration", "list"]).contains("restricted"));
    let add = ["user", "add", "--customer", "a@example.com", "--firstname", "A", "--lastname", "B"];
    assert!(shop.run_with(&add, "Passw0rd!\n").stderr.contains("change its users in Magento"));
    let jobs = shop.run(&["job", "list"]);
    assert_eq!(jobs.code, Some(0), "{}", jobs.stderr);
}

fn new_mariadb() -> String {
    on_a_runtime(async || MariaDb::shared().url(&MariaDb::shared().new_database().await))
}

fn on_a_runtime<Done>(work: impl AsyncFnOnce() -> Done) -> Done {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work())
}
