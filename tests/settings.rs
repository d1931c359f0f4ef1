//! Magento's own settings through the real gate: a change in `core_config_data` holds within seconds, and what the
//! configuration writes wins.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot go on must stop, and counts are for people to read"
)]

mod support;

use portcullis::auth::{
    crypt_keys::CryptKeys,
    identity::UserType,
    jwt::{Claims, JwtAlgorithm, JwtVerifier},
    time::UnixTime,
};
use support::{
    gate::{CRYPT_KEY, Gate, Setup},
    upstream::Upstream,
    waiting::until_is,
    wire::{exchange, request},
};

const NOW: i64 = 1_795_248_100;
/// The access token of the integration `full`.
const INTEGRATION: &str = "rcnp1r0ttgql8dyfay14d83fjc7k5q78";
const SELF: &str = "/rest/V1/customers/me";

fn setup(upstream: &Upstream, lines: &str) -> Setup {
    Setup::before(upstream.address)
        .at(NOW)
        .with("cache", "ttl = \"1s\"\nnegative_ttl = \"1s\"")
        .with("magento", lines)
}

/// The kind of caller that the upstream hears of, or the refusal.
fn caller(gate: &Gate, upstream: &Upstream, target: &str, token: Option<&str>) -> String {
    let authorization = token.map(|token| format!("Bearer {token}"));
    let mut headers = vec![("Host", "shop.example.com")];
    headers.extend(authorization.as_deref().map(|value| ("Authorization", value)));
    let answer = exchange(gate.proxy, &request("GET", target, &headers, b""));
    match upstream.take().pop() {
        Some(seen) => seen.header("x-auth-user-type").unwrap_or_default(),
        None => answer.header("x-auth-refused").unwrap_or_default(),
    }
}

/// Waits for a gate to follow its store; a refresh takes a second.
fn becomes(expected: &str, ask: impl FnMut() -> String) {
    until_is("the gate follows", &expected.to_owned(), ask);
}

fn set(gate: &Gate, path: &str, value: &str) {
    set_in(gate, ("default", 0), path, value);
}

fn set_in(gate: &Gate, (scope, id): (&str, u16), path: &str, value: &str) {
    gate.sql(&format!(
        "INSERT INTO core_config_data (scope, scope_id, path, value) VALUES ('{scope}', {id}, '{path}', '{value}')
        ON CONFLICT DO UPDATE SET value = excluded.value"
    ));
}

fn opaque_token(gate: &Gate) -> &'static str {
    let token = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    gate.sql(&format!(
        "INSERT INTO oauth_token (customer_id, user_type, type, token, secret, callback_url, created_at)
        VALUES (1, 3, 'access', '{token}', '', '', datetime({NOW} - 1800, 'unixepoch'))"
    ));
    token
}

fn jwt(keys: &str, algorithm: JwtAlgorithm, user_type: UserType) -> String {
    let (issued_at, expires_at) = (UnixTime::from_seconds(NOW), UnixTime::from_seconds(NOW + 3600));
    let claims = Claims { user_type, user_id: 1, issued_at, expires_at };
    JwtVerifier::new(&CryptKeys::parse(keys).unwrap(), algorithm).sign(&claims)
}

#[test]
fn a_changed_lifetime_holds_for_tokens_that_are_cached() {
    let upstream = Upstream::start();
    let gate = setup(&upstream, "settings = \"store\"").start();
    let token = opaque_token(&gate);
    assert_eq!(caller(&gate, &upstream, SELF, Some(token)), "customer");
    for (value, expected) in [
        ("0.5", "resource_denied"),
        ("2", "customer"),
        ("", "resource_denied"),
        ("1", "customer"),
        ("never", "resource_denied"),
    ] {
        set(&gate, "oauth/access_token_lifetime/customer", value);
        becomes(expected, || caller(&gate, &upstream, SELF, Some(token)));
    }
}

#[test]
fn the_algorithm_of_the_store_is_the_only_one() {
    let upstream = Upstream::start();
    let gate = setup(&upstream, "settings = \"store\"").start();
    let hs256 = jwt(CRYPT_KEY, JwtAlgorithm::Hs256, UserType::Customer);
    let hs512 = jwt(CRYPT_KEY, JwtAlgorithm::Hs512, UserType::Customer);
    let callers = || [&hs256, &hs512].map(|token| caller(&gate, &upstream, SELF, Some(token)));
    assert_eq!(callers(), ["customer", "resource_denied"]);
    set(&gate, "webapi/jwtauth/jwt_alg", "HS512");
    becomes("resource_denied customer", || callers().join(" "));
    set(&gate, "webapi/jwtauth/jwt_alg", "A256GCMKW");
    becomes("resource_denied resource_denied", || callers().join(" "));
}

#[test]
fn the_configuration_wins_over_the_store() {
    let upstream = Upstream::start();
    let written = "settings = \"store\"\njwt_algorithm = \"HS256\"\nallow_insecure = false";
    let gate = setup(&upstream, written).start();
    set(&gate, "webapi/jwtauth/jwt_alg", "HS512");
    set(&gate, "webapi/webapisecurity/allow_insecure", "1");
    set(&gate, "oauth/consumer/enable_integration_as_bearer", "1");
    becomes("integration", || caller(&gate, &upstream, "/rest/V1/store/websites", Some(INTEGRATION)));
    let hs256 = jwt(CRYPT_KEY, JwtAlgorithm::Hs256, UserType::Customer);
    assert_eq!(caller(&gate, &upstream, SELF, Some(&hs256)), "customer");
    assert_eq!(caller(&gate, &upstream, "/rest/V1/store/websites", None), "resource_denied");
}

#[test]
fn a_gate_with_its_settings_in_the_file_does_not_ask_the_store() {
    let upstream = Upstream::start();
    let first = setup(&upstream, "settings = \"store\"").start();
    set(&first, "webapi/webapisecurity/allow_insecure", "1");
    becomes("guest", || caller(&first, &upstream, "/rest/V1/store/websites", None));
    let folder = first.stop().unwrap();
    let gate = setup(&upstream, "settings = \"file\"").in_folder(folder.path()).start();
    assert_eq!(caller(&gate, &upstream, "/rest/V1/store/websites", None), "resource_denied");
}

#[test]
fn allow_insecure_opens_reads_alone() {
    let upstream = Upstream::start();
    let gate = setup(&upstream, "settings = \"store\"").start();
    let read = || caller(&gate, &upstream, "/rest/de/V1/products/sku-1", None);
    assert_eq!(read(), "resource_denied");
    set(&gate, "webapi/webapisecurity/allow_insecure", "1");
    becomes("guest", read);
    assert_eq!(caller(&gate, &upstream, "/rest/V1/orders", None), "resource_denied");
    let write = request("DELETE", "/rest/V1/products/sku-1", &[("Host", "shop.example.com")], b"");
    assert_eq!(exchange(gate.proxy, &write).status(), 401);
    let answer = exchange(gate.proxy, &request("GET", "/rest/V1/products", &[("Host", "s")], b""));
    assert_eq!(answer.status(), 200);
    assert_eq!(upstream.take_one().header("x-auth-resource").as_deref(), Some("anonymous"));
    set(&gate, "webapi/webapisecurity/allow_insecure", "0");
    becomes("resource_denied", read);
}

#[test]
fn an_integration_counts_as_bearer_in_the_stores_that_say_so() {
    let upstream = Upstream::start();
    let gate = setup(&upstream, "settings = \"store\"").start();
    let path = "oauth/consumer/enable_integration_as_bearer";
    let ask =
        |store: &str| caller(&gate, &upstream, &format!("/rest{store}/V1/store/websites"), Some(INTEGRATION));
    let stores = || ["", "/default", "/de", "/all"].map(ask).join(" ");
    let (yes, no) = ("integration", "resource_denied");
    assert_eq!(stores(), [no; 4].join(" "));
    set_in(&gate, ("stores", 2), path, "1");
    becomes(&[no, no, yes, no].join(" "), stores);
    set(&gate, path, "1");
    becomes(&[yes; 4].join(" "), stores);
    set_in(&gate, ("websites", 1), path, "0");
    becomes(&[no, no, yes, yes].join(" "), stores);
}

#[test]
fn shared_accounts_follow_the_store() {
    let upstream = Upstream::start();
    let gate = setup(&upstream, "settings = \"store\"").seeded("fixture_store_scope.json").start();
    let token = jwt(CRYPT_KEY, JwtAlgorithm::Hs256, UserType::Customer);
    let elsewhere = || caller(&gate, &upstream, "/rest/w2/V1/customers/me", Some(&token));
    assert_eq!(elsewhere(), "resource_denied");
    set(&gate, "customer/account_share/scope", "0");
    becomes("customer", elsewhere);
    set(&gate, "customer/account_share/scope", "1");
    becomes("resource_denied", elsewhere);
}

#[test]
fn a_key_that_leaked_is_shut_out() {
    let upstream = Upstream::start();
    // The older one still opens the secrets of the fixture.
    let newest = "fedcba9876543210fedcba9876543210";
    let keys = format!("crypt_key = \"{CRYPT_KEY} {newest}\"");
    let old = jwt(CRYPT_KEY, JwtAlgorithm::Hs256, UserType::Customer);
    let new = jwt(newest, JwtAlgorithm::Hs256, UserType::Customer);
    for (accepted, expected) in [
        ("version = \"2.4.6\"", ["customer", "customer"]),
        ("version = \"2.4.8\"", ["resource_denied", "customer"]),
        ("jwt_accept_keys = \"last\"", ["resource_denied", "customer"]),
        ("jwt_accept_keys = [2]", ["resource_denied", "customer"]),
        ("jwt_accept_keys = \"none\"", ["resource_denied", "resource_denied"]),
    ] {
        let gate = setup(&upstream, &format!("{keys}\n{accepted}")).start();
        let callers = [&old, &new].map(|token| caller(&gate, &upstream, SELF, Some(token)));
        assert_eq!(callers, expected, "{accepted}");
    }
}

#[test]
fn admins_with_a_jwt_are_guests_where_that_is_off() {
    let upstream = Upstream::start();
    let admin = jwt(CRYPT_KEY, JwtAlgorithm::Hs256, UserType::Admin);
    let customer = jwt(CRYPT_KEY, JwtAlgorithm::Hs256, UserType::Customer);
    for (flag, expected) in [(true, "admin"), (false, "resource_denied")] {
        let gate = setup(&upstream, &format!("jwt_admin = {flag}")).start();
        assert_eq!(caller(&gate, &upstream, "/rest/V1/store/websites", Some(&admin)), expected);
        assert_eq!(caller(&gate, &upstream, SELF, Some(&customer)), "customer");
    }
}
