//! A gate and its commands on each kind of database server, from an empty database to a revocation made in another process.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "as in any test; clippy exempts only the functions that are marked as tests, not what they call"
)]

mod support;

use std::path::PathBuf;

use portcullis::clock::Clock;
use serde_json::Value;
use support::{
    gate::{Gate, Setup},
    process::{Ended, run_with},
    servers::{mariadb::MariaDb, postgres::Postgres, rows},
    signing::Credentials,
    upstream::Upstream,
    waiting::until_is,
    wire::{Message, exchange, request},
};
use tempfile::TempDir;

/// Needs `Magento_Backend::store`.
const WEBSITES: &str = "/rest/V1/store/websites";
/// Needs a customer.
const ME: &str = "/rest/V1/customers/me";
/// Part of every server's password.
const PASSWORD: &str = "orr";

/// A configuration over a database.
struct Shop {
    folder: TempDir,
    config: PathBuf,
    upstream: Upstream,
    store: String,
}

impl Shop {
    fn over(store: String) -> Self {
        let (folder, upstream) = (tempfile::tempdir().unwrap(), Upstream::start());
        let config = setup(&upstream, &store).write(folder.path());
        Self { folder, config, upstream, store }
    }

    fn gate(&self) -> Gate {
        let setup = setup(&self.upstream, &self.store).in_folder(self.folder.path());
        setup.at(Clock::system().now().seconds()).start()
    }

    fn run(&self, arguments: &[&str], input: &str) -> Ended {
        let config = ["--config", self.config.to_str().unwrap()];
        let ended = run_with(&[arguments, &config].concat(), input);
        assert!(!format!("{ended:?}").contains(PASSWORD), "{ended:?}");
        ended
    }

    /// The output of a command that succeeds.
    fn says(&self, arguments: &[&str], input: &str) -> String {
        let ended = self.run(arguments, input);
        assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.stderr);
        ended.stdout
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.says(&[arguments, &["--json"]].concat(), "")).unwrap()
    }
}

fn setup(upstream: &Upstream, store: &str) -> Setup {
    Setup::before(upstream.address)
        .with("store", store)
        .with("cache", "ttl = \"60s\"\nnegative_ttl = \"100ms\"\npoll = \"100ms\"")
}

fn get(gate: &Gate, path: &str, authorization: &str) -> Message {
    exchange(gate.proxy, &request("GET", path, &[("Authorization", authorization)], b""))
}

fn becomes(what: &str, status: u16, ask: impl Fn() -> Message) {
    until_is(what, status, || ask().status());
}

fn from_nothing_to_a_revocation(shop: &Shop, shown: &str) {
    let before = shop.run(&["job", "list"], "");
    assert!(before.stderr.contains("run `portcullis migrate`"), "{}", before.stderr);
    assert!(shop.says(&["migrate"], "").contains(&format!("{shown}: created at schema version 3")));
    assert!(shop.says(&["migrate"], "").contains("schema version 3 is current"));
    let checked = shop.says(&["check"], "");
    assert!(checked.contains(shown) && checked.contains("The configuration can be used."), "{checked}");

    let names = ["--firstname", "Ada", "--lastname", "Lovelace"];
    let customer = [&["user", "add", "--customer", "ada@example.com"][..], &names].concat();
    shop.says(&customer, "Passw0rd!\n");
    let twin =
        shop.run(&[&["user", "add", "--customer", "ADA@example.com"][..], &names].concat(), "Passw0rd!\n");
    assert!(twin.stderr.contains("already exists"), "{}", twin.stderr);
    let create = ["integration", "create", "--name", "erp", "--resource", "Magento_Backend::store"];
    shop.json(&create);
    let made = shop.json(&["integration", "activate", "erp"]);
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    let erp = Credentials {
        key: text("consumer_key"),
        secret: text("consumer_secret"),
        token: text("access_token"),
        token_secret: text("access_token_secret"),
    };

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
    let signed = |nonce: &str| {
        let at = Clock::system().now().seconds();
        get(&gate, WEBSITES, &erp.authorization(WEBSITES, at, nonce))
    };
    assert_eq!(signed("one").status(), 200);
    assert_eq!(signed("one").status(), 401, "a nonce is used once");
    // Cached for a minute, and ended by a process that the gate hears of through the store alone.
    shop.says(&["user", "disable", "--customer", "ada@example.com"], "");
    becomes("disabled", 401, || get(&gate, ME, &token));
    assert_eq!(sign_in().status(), 401);
    shop.says(&["token", "revoke", "--integration", "erp"], "");
    let nonce = std::cell::Cell::new(0);
    becomes("revoked", 401, || {
        nonce.set(nonce.get() + 1);
        signed(&format!("again{}", nonce.get()))
    });
    assert!(shop.says(&["job", "run", "nonces"], "").contains("nonces: 0 rows deleted"));
    assert!(shop.says(&["job", "list"], "").contains("nonces"));
}

#[test]
#[ignore = "needs mariadbd; run tests/all"]
fn mariadb_serves_from_nothing_to_a_revocation() {
    let url = new_mariadb();
    let shop = Shop::over(format!("url = \"{url}\"\nattached = false"));
    let place = url.rsplit('@').next().unwrap();
    from_nothing_to_a_revocation(&shop, &format!("mysql://portcullis@{place}"));
}

#[test]
#[ignore = "needs postgres; run tests/all"]
fn postgres_serves_from_nothing_to_a_revocation() {
    let url = on_a_runtime(async || Postgres::shared().url(&Postgres::shared().new_database().await));
    let shop = Shop::over(format!("url = \"{url}\""));
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
    let shop = Shop::over(format!("url = \"{url}\"\ntable_prefix = \"m2_\""));
    let refused = shop.run(&["migrate"], "");
    assert_ne!(refused.code, Some(0));
    assert!(refused.stderr.contains("a Magento's own"), "{}", refused.stderr);
    let checked = shop.says(&["check"], "");
    assert!(checked.contains("upstream.credentials") && checked.contains("forward"), "{checked}");
    assert!(shop.says(&["integration", "list"], "").contains("restricted"));
    let add = ["user", "add", "--customer", "a@example.com", "--firstname", "A", "--lastname", "B"];
    assert!(shop.run(&add, "Passw0rd!\n").stderr.contains("change its users in Magento"));
    let jobs = shop.run(&["job", "list"], "");
    assert_eq!(jobs.code, Some(0), "{}", jobs.stderr);
}

fn new_mariadb() -> String {
    on_a_runtime(async || MariaDb::shared().url(&MariaDb::shared().new_database().await))
}

fn on_a_runtime<Done>(work: impl AsyncFnOnce() -> Done) -> Done {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work())
}
