//! How fast a revocation is seen by a gate that did not make it: two gates over one store.
//!
//! Cached callers would live a minute here, so that only the look at what changed can end them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on must stop; clippy exempts only the functions that are marked as tests"
)]

mod support;

use std::{thread, time::Duration};

use support::{
    gate::{Gate, Setup},
    upstream::Upstream,
    waiting::until_is,
    wire::{exchange, request},
};

/// Needs `Magento_Backend::admin`.
const PROTECTED: &str = "/rest/V1/modules";
/// Integrations: consumers 1, 2 and 4.
const FULL: &str = "rcnp1r0ttgql8dyfay14d83fjc7k5q78";
const RESTRICTED: &str = "1orj8cn4s0qstqz56dx8hd6s626jq1lw";
const OTHER: &str = "v65zhggnap6m7cnl5t2bykm3oouq030c";
/// Admin 1 and admin 7, both administrators.
const ADMIN: &str = "adminadminadminadminadminadmin01";
const LOCKED: &str = "adminadminadminadminadminadmin07";

/// A revocation made elsewhere is seen within the poll of a second, and some.
const PROMISE: Duration = Duration::from_secs(2);

struct Pair {
    /// Kept for its folder.
    first: Gate,
    second: Gate,
    _upstream: Upstream,
}

impl Pair {
    fn start() -> Self {
        let upstream = Upstream::start();
        let setup = || {
            Setup::before(upstream.address)
                .with("magento", "integration_as_bearer = true")
                .with("cache", "ttl = \"60s\"")
        };
        let first = setup().start();
        // Whoever waits for the journal of another process never starts.
        let second = setup().with("nonces", "journal = \"nonces-2\"").in_folder(&first.folder).start();
        for (token, admin) in [(ADMIN, 1), (LOCKED, 7)] {
            first.sql(&format!(
                "INSERT INTO oauth_token (admin_id, type, token, secret, callback_url, user_type, created_at)
                VALUES ({admin}, 'access', '{token}', '', '', 2, '2026-11-21 08:00:00')"
            ));
        }
        Self { first, second, _upstream: upstream }
    }

    /// Both gates know every caller from now on.
    fn warm(&self) {
        for gate in [&self.first, &self.second] {
            for token in [FULL, RESTRICTED, OTHER, ADMIN, LOCKED] {
                ask(gate, token);
            }
            for token in [FULL, OTHER, ADMIN, LOCKED] {
                assert_eq!(ask(gate, token), 200, "{token}");
            }
        }
    }
}

fn ask(gate: &Gate, token: &str) -> u16 {
    let authorization = format!("Bearer {token}");
    exchange(gate.proxy, &request("GET", PROTECTED, &[("Authorization", &authorization)], b"")).status()
}

fn figure(gate: &Gate, name: &str) -> f64 {
    let page = exchange(gate.admin, &request("GET", "/metrics", &[], b"")).text();
    let line = page.lines().find(|line| line.split(' ').next() == Some(name));
    line.unwrap_or_else(|| panic!("no {name}")).split(' ').nth(1).unwrap().parse().unwrap()
}

/// How long it takes until a gate answers with `status`.
fn until(gate: &Gate, token: &str, status: u16) -> Duration {
    until_is(token, &status, || ask(gate, token))
}

#[test]
fn what_is_revoked_elsewhere_is_refused_within_two_seconds_and_others_keep_their_cache() {
    let pair = Pair::start();
    for (statement, token) in [
        ("UPDATE oauth_token SET revoked = 1 WHERE entity_id = 1", FULL),
        ("UPDATE integration SET status = 0 WHERE integration_id = 4", OTHER),
        ("UPDATE admin_user SET is_active = 0 WHERE user_id = 7", LOCKED),
        ("INSERT INTO jwt_auth_revoked VALUES (2, 1, 1795248000)", ADMIN),
    ] {
        pair.first.sql("UPDATE oauth_token SET revoked = 0 WHERE entity_id = 1");
        pair.first.sql("UPDATE integration SET status = 1 WHERE integration_id = 4");
        pair.first.sql("UPDATE admin_user SET is_active = 1");
        pair.first.sql("DELETE FROM jwt_auth_revoked WHERE user_type_id = 2 AND user_id = 1");
        // Negative facts live two seconds, and the changes above are seen by then.
        thread::sleep(Duration::from_millis(2500));
        pair.warm();
        let lookups = figure(&pair.second, "portcullis_store_lookups_total");

        pair.first.sql(statement);
        let (here, there) = (until(&pair.first, token, 401), until(&pair.second, token, 401));
        assert!(here < PROMISE && there < PROMISE, "{statement}: {here:?}, {there:?}");

        for other in [FULL, OTHER, ADMIN, LOCKED].into_iter().filter(|other| *other != token) {
            assert_eq!(ask(&pair.second, other), 200, "{statement}: {other}");
        }
        let asked = figure(&pair.second, "portcullis_store_lookups_total") - lookups;
        assert!((asked - 1.0).abs() < 0.1, "{statement}: {asked} lookups for one caller that changed");
    }
    assert!(figure(&pair.second, "portcullis_cache_lag_seconds") < 5.0);
}

#[test]
fn a_changed_role_holds_within_two_seconds_and_costs_no_caller_its_cache() {
    let pair = Pair::start();
    pair.warm();
    let lookups = figure(&pair.second, "portcullis_store_lookups_total");
    pair.first.sql("UPDATE authorization_rule SET permission = 'deny' WHERE role_id = 15");
    assert!(until(&pair.second, OTHER, 401) < PROMISE);
    assert_eq!(ask(&pair.second, FULL), 200);
    pair.first.sql("UPDATE authorization_rule SET permission = 'allow' WHERE role_id = 15");
    assert!(until(&pair.second, OTHER, 200) < PROMISE);
    assert!((figure(&pair.second, "portcullis_store_lookups_total") - lookups).abs() < 0.1);
}

#[test]
fn writes_that_end_no_grant_cost_nobody_a_lookup() {
    let pair = Pair::start();
    pair.warm();
    let lookups = figure(&pair.second, "portcullis_store_lookups_total");
    for number in 0..20 {
        pair.first.sql(&format!("INSERT INTO oauth_nonce VALUES ('n{number}', 1, 1)"));
        pair.first.sql(&format!(
            "INSERT INTO oauth_token (customer_id, type, token, secret, callback_url, user_type)
            VALUES (1, 'access', 'login{number}', '', '', 3)"
        ));
    }
    thread::sleep(Duration::from_millis(1500));
    for token in [FULL, OTHER, ADMIN, LOCKED] {
        assert_eq!(ask(&pair.second, token), 200);
    }
    assert!((figure(&pair.second, "portcullis_store_lookups_total") - lookups).abs() < 0.1);
}
