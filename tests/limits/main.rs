//! Rate limits on the real gate: who passes, who is refused, what each of them is told, and what the store was asked.
//!
//! The gate's clock stands still unless a test moves it, so counts are exact.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "as in any test; clippy exempts only the functions that are marked as tests, not what they call"
)]

#[path = "../support/mod.rs"]
mod support;

mod floods;
mod settings;
mod shared;
mod told;

use support::{
    gate::{Gate, Setup},
    upstream::Upstream,
    wire::{Message, exchange, request},
};

const NOW: i64 = 1_795_248_000;
const SELF: &str = "/rest/V1/customers/me";
/// A route that needs `Magento_Backend::admin`.
const PROTECTED: &str = "/rest/V1/modules";
const ANONYMOUS: &str = "/rest/V1/directory/currency";

const FULL: &str = "Bearer rcnp1r0ttgql8dyfay14d83fjc7k5q78";
const OTHER: &str = "Bearer v65zhggnap6m7cnl5t2bykm3oouq030c";
const ALICE: &str = "Bearer customer1customer1customer1custo";
const BOB: &str = "Bearer customer2customer2customer2custo";
const ROOT: &str = "Bearer admin1admin1admin1admin1admin1ad";
const LOCK: &str = "Bearer admin7admin7admin7admin7admin7ad";

fn setup(upstream: &Upstream, limits: &str) -> Setup {
    Setup::before(upstream.address)
        .at(NOW)
        .with("magento", "integration_as_bearer = true")
        .with("listen", "trusted_proxies = [\"127.0.0.0/8\"]")
        .with("cache", "ttl = \"1h\"")
        .with("limits", limits)
}

/// A running gate that knows two customers and two admins by token besides the recordings' integrations.
fn start(setup: Setup) -> Gate {
    let gate = setup.start();
    let people = [("customer_id", 3, [1, 2].as_slice(), "customer"), ("admin_id", 2, &[1, 7], "admin")];
    for (column, user_type, ids, word) in people {
        for id in ids {
            let token: String = format!("{word}{id}").chars().cycle().take(32).collect();
            gate.sql(&format!(
                "INSERT INTO oauth_token ({column}, type, token, secret, user_type, callback_url, verifier, created_at) \
                 VALUES ({id}, 'access', '{token}', 's', {user_type}, '', '', datetime({NOW} - 60, 'unixepoch'))"
            ));
        }
    }
    gate
}

fn send(gate: &Gate, method: &str, target: &str, (who, address): (&str, &str)) -> Message {
    let mut headers = vec![("X-Forwarded-For", address), ("Content-Type", "application/json")];
    if !who.is_empty() {
        headers.push(("Authorization", who));
    }
    exchange(gate.proxy, &request(method, target, &headers, b""))
}

fn get(gate: &Gate, target: &str, who: &str, address: &str) -> Message {
    send(gate, "GET", target, (who, address))
}

/// Status and class of a refusal, if it is one.
fn class(answer: &Message) -> String {
    let refused = answer.header("x-auth-refused").map(|reason| format!(" {reason}"));
    format!("{}{}", answer.status(), refused.unwrap_or_default())
}

/// How many of some equal requests passed; the others were refused for their number.
fn passed(times: usize, ask: impl Fn() -> Message) -> usize {
    let answers: Vec<_> = (0..times).map(|_| class(&ask())).collect();
    assert!(answers.iter().all(|answer| answer == "200" || answer == "429 rate_limited"), "{answers:?}");
    answers.iter().filter(|answer| *answer == "200").count()
}

fn figure(gate: &Gate, name: &str) -> u64 {
    let page = exchange(gate.admin, &request("GET", "/metrics", &[("Connection", "close")], b"")).text();
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {page}")).parse().unwrap()
}

fn rule(text: &str) -> String {
    format!("[[limits.rule]]\n{text}\n")
}

/// Each key: its owner has a bucket, another owner another one, and whoever lacks the key a coarser one.
#[test]
fn each_key_counts_its_owner_and_nobody_escapes_for_want_of_one() {
    let upstream = Upstream::start();
    let (one, two) = ("192.0.2.1", "192.0.2.2");
    let cases = [
        // By, route, who has used two of two, and then: who has how many left.
        ("identity", SELF, (ALICE, one), vec![(ALICE, two, 0), (BOB, one, 2), (ALICE, one, 0)]),
        ("identity", ANONYMOUS, ("", one), vec![("", one, 0), ("", two, 2)]),
        ("consumer", PROTECTED, (FULL, one), vec![(FULL, two, 0), (OTHER, one, 2), (ROOT, one, 2)]),
        ("consumer", SELF, (ALICE, one), vec![(ALICE, two, 0), (BOB, one, 2)]),
        ("consumer", ANONYMOUS, ("", one), vec![("", one, 0), ("", two, 2)]),
        ("role", PROTECTED, (ROOT, one), vec![(ROOT, two, 0), (LOCK, one, 0), (FULL, one, 2)]),
        ("role", SELF, (ALICE, one), vec![(BOB, two, 0)]),
        ("context", SELF, (ALICE, one), vec![(BOB, two, 0)]),
        ("context", PROTECTED, (ROOT, one), vec![(LOCK, two, 0), (FULL, one, 2)]),
        ("address", PROTECTED, (ROOT, one), vec![(FULL, one, 0), (FULL, two, 2)]),
        (
            "address",
            ANONYMOUS,
            ("", "2001:db8:1:2::1"),
            vec![("", "2001:db8:1:2:ffff::9", 0), ("", "2001:db8:1:3::1", 2)],
        ),
    ];
    for (by, route, (first, address), others) in cases {
        let gate = start(setup(&upstream, &rule(&format!("name = \"r\"\nby = \"{by}\"\nrate = \"2/h\""))));
        assert_eq!(passed(4, || get(&gate, route, first, address)), 2, "{by} {route}");
        for (who, address, left) in others {
            assert_eq!(passed(3, || get(&gate, route, who, address)), left, "{by} {route} {who} {address}");
        }
        gate.set_time(NOW + 1800);
        assert_eq!(passed(3, || get(&gate, route, first, address)), 1, "{by}: half an hour is one request");
    }
}

#[test]
fn a_rule_is_for_some_callers_and_some_requests() {
    let upstream = Upstream::start();
    let limits = [
        rule("name = \"customers\"\nby = \"identity\"\nof = [\"customer\"]\nrate = \"1/h\""),
        rule(
            "name = \"writes\"\nby = \"identity\"\nof = [\"integration\"]\nclass = \"write\"\nrate = \"2/h\"",
        ),
        rule("name = \"open\"\nby = \"address\"\nclass = \"anonymous\"\nrate = \"3/h\""),
        rule("name = \"catalog\"\nby = \"identity\"\nof = [\"admin\"]\nclass = \"heavy\"\nrate = \"1/h\""),
        "[[limits.class]]\nname = \"heavy\"\nroutes = [\"GET /V1/products/**\", \"/V1/categories\"]\n"
            .to_owned(),
    ];
    let gate = start(setup(&upstream, &limits.concat()));
    let one = "192.0.2.1";
    assert_eq!(passed(3, || get(&gate, SELF, ALICE, one)), 1);
    assert_eq!(passed(5, || get(&gate, PROTECTED, FULL, one)), 5, "integrations may read");
    assert_eq!(passed(5, || send(&gate, "POST", "/rest/V1/products", (FULL, one))), 2);
    assert_eq!(passed(5, || get(&gate, ANONYMOUS, "", one)), 3);
    assert_eq!(passed(5, || get(&gate, ANONYMOUS, "", "192.0.2.2")), 3);
    assert_eq!(passed(5, || get(&gate, PROTECTED, ROOT, one)), 5, "not of the class");
    let heavy = ["/rest/V1/products/24-MB01", "/rest/default/V1/products/x/media", "/rest/V1/categories"];
    let answers: Vec<_> = heavy.iter().map(|path| class(&get(&gate, path, ROOT, one))).collect();
    assert_eq!(answers, ["200", "429 rate_limited", "429 rate_limited"]);
    assert_eq!(passed(2, || send(&gate, "POST", "/rest/V1/products", (ROOT, one))), 2, "another method");
}

/// Charging the first of two rules for a request that the second refuses would let one caller use up what others share.
#[test]
fn a_refused_request_is_taken_from_no_rule() {
    let upstream = Upstream::start();
    let limits = [
        rule("name = \"all\"\nby = \"context\"\nof = [\"customer\"]\nrate = \"4/h\""),
        rule("name = \"each\"\nby = \"identity\"\nof = [\"customer\"]\nrate = \"2/h\""),
    ];
    let gate = start(setup(&upstream, &limits.concat()));
    assert_eq!(passed(9, || get(&gate, SELF, ALICE, "192.0.2.1")), 2);
    assert_eq!(passed(9, || get(&gate, SELF, BOB, "192.0.2.1")), 2);
    let count = |rule: &str, outcome: &str| {
        let labels = format!("rule=\"{rule}\",outcome=\"{outcome}\"");
        figure(&gate, &format!("portcullis_ratelimit_decisions_total{{{labels}}}"))
    };
    assert_eq!([count("all", "admitted"), count("each", "admitted")], [4, 4]);
    assert_eq!([count("all", "refused"), count("each", "refused")], [7, 7], "the first that refuses is told");
}

#[test]
fn networks_are_as_wide_as_they_are_set() {
    let upstream = Upstream::start();
    let limits = "ipv4_prefix = 24\nipv6_prefix = 48\n".to_owned()
        + &rule("name = \"net\"\nby = \"address\"\nrate = \"2/h\"");
    let gate = start(setup(&upstream, &limits));
    for (addresses, expected) in [
        (["192.0.2.1", "192.0.2.77", "192.0.2.200"], ["200", "200", "429 rate_limited"]),
        (["2001:db8:1:2::1", "2001:db8:1:3::1", "2001:db8:1:4::1"], ["200", "200", "429 rate_limited"]),
        (["198.51.100.1", "2001:db8:2::1", "2001:db8:3::1"], ["200", "200", "200"]),
    ] {
        let answers = addresses.map(|address| class(&get(&gate, ANONYMOUS, "", address)));
        assert_eq!(answers, expected, "{addresses:?}");
    }
}
