//! A gate on Magento's own tables in a real MariaDB: what it needs there, and how soon it sees what Magento does.
//!
//! Cached callers would live a minute here, so that only comparing them with their rows can end them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot go on must stop; figures are for people to read"
)]

mod support;

use std::{cell::Cell, thread, time::Duration};

use portcullis::{
    auth::{
        crypt_keys::CryptKeys,
        identity::UserType,
        jwt::{Claims, JwtAlgorithm, JwtVerifier},
        time::UnixTime,
    },
    server::BuildError,
    store::{
        StoreError,
        sql::{Address, Feature, NEEDS, Problem, SqlStore},
    },
};
use support::{
    gate::{CRYPT_KEY, Gate, Setup},
    magento::MagentoDatabase,
    sessions,
    signing::Credentials,
    upstream::Upstream,
    waiting::until_is,
    wire::{exchange, request},
};

/// Needs `Magento_Backend::admin`.
const PROTECTED: &str = "/rest/V1/modules";
/// Needs a customer.
const SELF: &str = "/rest/V1/customers/me";
const NOW: i64 = 1_795_248_000;
/// Integrations: consumers 1 and 4.
const FULL: &str = "rcnp1r0ttgql8dyfay14d83fjc7k5q78";
const OTHER: &str = "v65zhggnap6m7cnl5t2bykm3oouq030c";
/// Admin 7.
const ADMIN: &str = "adminadminadminadminadminadmin07";
/// For a lookup and for reading small tables again, on a machine that is busy.
const SLACK: Duration = Duration::from_secs(3);

thread_local! {
    static NONCE: Cell<u32> = const { Cell::new(0) };
}

/// Somebody who asks.
enum Caller {
    Bearer(String, &'static str),
    Signed,
    Session(&'static str),
}

impl Caller {
    fn status(&self, gate: &Gate) -> u16 {
        match self {
            Self::Bearer(token, path) => {
                let authorization = format!("Bearer {token}");
                exchange(gate.proxy, &request("GET", path, &[("Authorization", &authorization)], b""))
            }
            Self::Signed => {
                let nonce = NONCE.replace(NONCE.get() + 1);
                let authorization =
                    Credentials::full().authorization(PROTECTED, NOW, &format!("attached{nonce:024}"));
                let headers = [("Authorization", authorization.as_str())];
                exchange(gate.proxy, &request("GET", PROTECTED, &headers, b""))
            }
            Self::Session(id) => {
                let cookie = format!("PHPSESSID={id}");
                let headers = [("Cookie", cookie.as_str()), ("X-Requested-With", "XMLHttpRequest")];
                exchange(gate.proxy, &request("GET", SELF, &headers, b""))
            }
        }
        .status()
    }
}

fn jwt(user_type: UserType, user_id: u32) -> String {
    let verifier = JwtVerifier::new(&CryptKeys::parse(CRYPT_KEY).unwrap(), JwtAlgorithm::Hs256);
    let (issued_at, expires_at) = (UnixTime::from_seconds(NOW - 10), UnixTime::from_seconds(NOW + 3000));
    verifier.sign(&Claims { user_type, user_id, issued_at, expires_at })
}

fn bearer(token: &str) -> Caller {
    Caller::Bearer(token.to_owned(), PROTECTED)
}

fn setup(upstream: &Upstream) -> Setup {
    Setup::before(upstream.address)
        .attached()
        .seeded("fixture_extra.json")
        .with("magento", "integration_as_bearer = true")
        .with("sessions", "handler = \"files\"\npath = \"sessions\"\nttl = \"60s\"")
        .with("cache", "ttl = \"60s\"\nnegative_ttl = \"100ms\"\npoll = \"500ms\"")
}

fn figure(gate: &Gate, name: &str) -> f64 {
    let page = exchange(gate.admin, &request("GET", "/metrics", &[], b"")).text();
    let line = page.lines().find(|line| line.split(' ').next() == Some(name));
    line.unwrap_or_else(|| panic!("no {name}")).split(' ').nth(1).unwrap().parse().unwrap()
}

/// How long it takes until a caller is refused, or let in.
fn until(gate: &Gate, caller: &Caller, status: u16, what: &str) -> Duration {
    until_is(what, &status, || caller.status(gate))
}

/// What Magento does, and whom it ends.
fn changes() -> Vec<(&'static str, Caller, String)> {
    let customer = |id| Caller::Bearer(jwt(UserType::Customer, id), SELF);
    vec![
        ("token row deleted", bearer(OTHER), format!("DELETE FROM oauth_token WHERE token = '{OTHER}'")),
        ("token revoked", bearer(FULL), "UPDATE oauth_token SET revoked = 1 WHERE entity_id = 1".to_owned()),
        (
            "token revoked, signed",
            Caller::Signed,
            "UPDATE oauth_token SET revoked = 1 WHERE entity_id = 1".to_owned(),
        ),
        (
            "consumer secret changed",
            Caller::Signed,
            "UPDATE oauth_consumer SET secret = 'none' WHERE entity_id = 1".to_owned(),
        ),
        (
            "consumer key changed",
            Caller::Signed,
            "UPDATE oauth_consumer SET `key` = 'x' WHERE entity_id = 1".to_owned(),
        ),
        (
            "integration deactivated",
            bearer(FULL),
            "UPDATE integration SET status = 0 WHERE consumer_id = 1".to_owned(),
        ),
        (
            "admin deactivated, opaque",
            bearer(ADMIN),
            "UPDATE admin_user SET is_active = 0 WHERE user_id = 7".to_owned(),
        ),
        (
            "admin deactivated, JWT",
            bearer(&jwt(UserType::Admin, 1)),
            "UPDATE admin_user SET is_active = 0 WHERE user_id = 1".to_owned(),
        ),
        ("customer deleted", customer(2), "DELETE FROM customer_entity WHERE entity_id = 2".to_owned()),
        ("revoke_before raised", customer(3), format!("INSERT INTO jwt_auth_revoked VALUES (3, 3, {NOW})")),
        (
            "session cut off",
            Caller::Session("sessionrevoked"),
            "UPDATE customer_entity SET session_cutoff = '2026-11-21 07:59:59' WHERE entity_id = 1"
                .to_owned(),
        ),
        (
            "session's customer deactivated",
            Caller::Session("sessioninactive"),
            "UPDATE customer_entity SET session_cutoff = NULL, is_active = 0 WHERE entity_id = 1".to_owned(),
        ),
        ("role rule denied", bearer(FULL), "UPDATE authorization_rule SET permission = 'deny'".to_owned()),
    ]
}

#[test]
#[ignore = "needs mariadbd; run tests/all"]
fn what_magento_ends_is_refused_within_the_promise() {
    let upstream = Upstream::start();
    let gate = setup(&upstream).start();
    gate.sql(&format!(
        "INSERT INTO oauth_token (admin_id, type, token, secret, callback_url, user_type, created_at)
        VALUES (7, 'access', '{ADMIN}', '', '', 2, '2026-11-21 08:00:00');
        INSERT INTO customer_visitor (visitor_id, customer_id, created_at) VALUES (44, 1, '2026-11-21 07:59:00');
        DELETE FROM jwt_auth_revoked; UPDATE customer_entity SET is_active = 1, session_cutoff = NULL;
        UPDATE admin_user SET is_active = 1"
    ));
    for id in ["revoked", "inactive"] {
        sessions::write_customer(&gate.folder.join("sessions"), &format!("session{id}"), 1, 44);
    }
    let restore = "UPDATE oauth_token SET revoked = 0 WHERE entity_id = 1;
        UPDATE oauth_consumer SET `key` = '2lc1qdbsdd28ay4q20rbrtjl9qufi83n' WHERE entity_id = 1;
        UPDATE integration SET status = 1 WHERE consumer_id = 1; UPDATE customer_entity SET session_cutoff = NULL";
    let secret = gate.rows("SELECT secret FROM oauth_consumer WHERE entity_id = 1")[0][0].clone();
    for (what, caller, change) in &changes() {
        gate.sql(restore);
        gate.sql(&format!("UPDATE oauth_consumer SET secret = '{secret}' WHERE entity_id = 1"));
        until(&gate, caller, 200, what);
        let promise = Duration::from_secs_f64(figure(&gate, "portcullis_cache_promise_seconds"));
        gate.sql(change);
        // Magento's own answer to a session that is over.
        let refused = if *what == "session cut off" { 400 } else { 401 };
        let took = until(&gate, caller, refused, what);
        println!("{what:<32} {took:>10.0?} of {promise:.0?}");
        assert!(took < promise + SLACK, "{what}: {took:?}");
    }
    assert!(figure(&gate, "portcullis_cache_lag_seconds") < 10.0);
}

#[test]
#[ignore = "needs mariadbd; run tests/all"]
fn what_a_replica_has_not_heard_of_is_seen_all_the_same() {
    let upstream = Upstream::start();
    let folder = tempfile::tempdir().unwrap();
    // It never hears of anything.
    let replica = MagentoDatabase::create(folder.path(), &["fixture.json"]);
    let gate = setup(&upstream).with("store", &format!("read_url = \"{}\"", replica.url())).start();
    until(&gate, &bearer(FULL), 200, "from the replica");
    gate.sql("UPDATE oauth_token SET revoked = 1 WHERE entity_id = 1");
    until(&gate, &bearer(FULL), 401, "from the primary");
    for _ in 0..100 {
        assert_eq!(bearer(FULL).status(&gate), 401, "the replica let it in again");
        thread::sleep(Duration::from_millis(20));
    }
}

fn examine(url: &str, features: &[Feature]) -> Vec<Problem> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = SqlStore::open(url).await.unwrap();
        let examined = store.examine(features).await.unwrap();
        store.close().await;
        assert!(examined.warnings.is_empty(), "{:?}", examined.warnings);
        examined.problems
    })
}

#[test]
#[ignore = "needs mariadbd; run tests/all"]
fn the_granted_rights_are_enough_and_one_less_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let database = MagentoDatabase::create(folder.path(), &["fixture.json"]);
    assert_eq!(examine(&database.url(), &Feature::ALL), []);
    let is_lookup = |number: usize| NEEDS[number].feature == Feature::Lookups;
    database.create_user("reader", is_lookup);
    assert_eq!(examine(&database.url_of("reader"), &[Feature::Lookups]), []);
    assert!(!examine(&database.url_of("reader"), &[Feature::Issuing]).is_empty());

    for (number, need) in NEEDS.iter().enumerate() {
        let user = format!("less{number}");
        let is_same = |other: usize| (NEEDS[other].table, NEEDS[other].right) == (need.table, need.right);
        // Another feature may need the same right; a column's is its own.
        let is_other = |other: usize| if need.is_by_column { other != number } else { !is_same(other) };
        database.create_user(&user, is_other);
        let problems = examine(&database.url_of(&user), &[need.feature]);
        let text: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(text.len(), 1, "{need:?}: {text:?}");
        assert!(text[0].contains(need.table), "{need:?}: {text:?}");
        let is_named = text[0].starts_with(need.right.word()) || text[0].contains("nothing of it is granted");
        assert!(is_named, "{need:?}: {text:?}");
    }
}

#[test]
#[ignore = "needs mariadbd; run tests/all"]
fn what_is_wrong_with_the_database_is_said_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let database = MagentoDatabase::create(folder.path(), &["fixture.json"]);
    database.sql("RENAME TABLE admin_user_session TO shop_admin_user_session");
    database.sql("ALTER TABLE oauth_token RENAME COLUMN revoked TO withdrawn");
    database.sql("ALTER TABLE oauth_consumer MODIFY `key` varchar(32) CHARACTER SET utf16 NOT NULL");
    database.sql(&format!("GRANT ALL ON `{0}`.* TO '{0}'@'%'", database.name()));
    let problems: Vec<String> = examine(&database.url(), &[Feature::Lookups, Feature::Sessions])
        .iter()
        .map(ToString::to_string)
        .collect();
    let expected = [
        "oauth_token.revoked is not there",
        "admin_user_session is not there, but shop_admin_user_session is: set store.table_prefix to \"shop_\"",
        "oauth_consumer.key is in utf16",
    ];
    assert_eq!(problems.len(), expected.len(), "{problems:?}");
    for expected in expected {
        assert!(problems.iter().any(|problem| problem.starts_with(expected)), "{expected}: {problems:?}");
    }
}

fn build_error(lines: &str) -> BuildError {
    let upstream = Upstream::start();
    setup(&upstream).with("store", lines).try_start().map(drop).unwrap_err()
}

#[test]
#[ignore = "needs mariadbd; run tests/all"]
fn who_is_not_let_in_hears_why() {
    let folder = tempfile::tempdir().unwrap();
    let url = MagentoDatabase::create(folder.path(), &["fixture.json"]).url();
    let store = |url: String| build_error(&format!("url = \"{url}\""));
    let denied = store(url.replace(":secret@", ":wrong@"));
    assert!(matches!(denied, BuildError::NotLetIn { .. }) && !denied.is_outage(), "{denied}");
    assert!(
        denied.to_string().contains("does not let this user in") && !denied.to_string().contains("wrong@")
    );
    let elsewhere = store(format!("{url}x"));
    assert!(matches!(elsewhere, BuildError::NotLetIn { .. } | BuildError::NoDatabase { .. }), "{elsewhere}");
    let upstream = Upstream::start();
    let silent = format!("url = \"{}\"", url.replace("127.0.0.1:", "127.0.0.2:"));
    assert!(setup(&upstream).with("store", &silent).try_start().is_ok(), "a silent server is waited for");
    let other_key = "crypt_key = \"ffffffffffffffffffffffffffffffff\"";
    let wrong = setup(&upstream).with("magento", other_key).try_start().map(drop).unwrap_err();
    assert!(matches!(wrong, BuildError::WrongKey { consumers } if consumers > 3), "{wrong}");
}

#[tokio::test]
#[ignore = "needs mariadbd; run tests/all"]
async fn old_character_sets_and_dates_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let database = MagentoDatabase::create(folder.path(), &["fixture.json"]);
    database.sql(&format!(
        "ALTER TABLE oauth_token MODIFY token varchar(32) CHARACTER SET latin1 NOT NULL;
        ALTER TABLE oauth_consumer MODIFY `key` varchar(32) CHARACTER SET latin1 NOT NULL;
        UPDATE oauth_token SET created_at = '0000-00-00 00:00:00' WHERE token = '{FULL}'"
    ));
    let address = Address { table_prefix: String::new(), ..Address::from(database.url().as_str()) };
    let store = SqlStore::open(address).await.unwrap();
    let row = store.token(FULL.as_bytes()).await.unwrap().unwrap();
    assert_eq!(row.created_at, None);
    let upper = FULL.to_uppercase();
    let (blank, accented) = (format!("{FULL} "), FULL.replacen('a', "á", 1));
    for other in [upper.as_str(), blank.as_str(), accented.as_str()] {
        let found: Result<_, StoreError> = store.token(other.as_bytes()).await;
        assert!(found.unwrap().is_none(), "{other:?} is no token");
    }
}
