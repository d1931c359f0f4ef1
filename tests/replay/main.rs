//! The recordings of a live Magento, replayed through the real gate.
//!
//! Every case agrees byte for byte on status, content type and body, or on the forwarded identity, or it stands in
//! `deviations.txt` with the number of the documented deviation and what the gate does instead, or in `unreplayable.txt` with
//! the reason why the recordings do not hold its state. Topics run in order of `time` from a fresh seed.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot go on must stop, and counts are for people to read"
)]

#[path = "../support/mod.rs"]
mod support;

mod case;
mod handshake;
mod session_state;
mod state;
mod stateful;
mod tables;

use std::collections::BTreeMap;

use case::{Case, Outcome};
use session_state::SessionState;
use support::{
    gate::{Gate, Setup},
    magento::{self, with_stores_in_mariadb},
    servers::redis::RedisServer,
    statements,
    upstream::Upstream,
};
use tables::Tables;

/// Read anew on every request: the recordings leave no second between a logout and the next case.
const SESSIONS_IN_FILES: &str = "handler = \"files\"\npath = \"sessions\"\nttl = \"0s\"";

/// Topics that this version answers for.
const TOPICS: [&str; 23] = [
    "guest",
    "bearer_header",
    "bearer_acl",
    "bearer_invalid",
    "oauth_signed",
    "oauth_encoding",
    "oauth_nonce_extra",
    "integration_bearer",
    "session",
    "session_cutoff",
    "precedence",
    "random",
    "store_scope",
    "async_soap",
    "body_order_without_braintree",
    "bearer_revoke",
    "jwt_algorithms",
    "opaque_mode",
    "webapi_allow_insecure",
    "account_state",
    "graphql",
    "token_issue",
    handshake::TOPIC,
];

#[derive(Default)]
struct Count {
    agree: usize,
    deviate: BTreeMap<String, usize>,
    unreplayable: usize,
    wrong: Vec<String>,
}

/// The topic whose sessions are in Redis.
#[test]
#[ignore = "needs redis; run tests/all"]
fn every_recorded_case_with_sessions_in_redis_agrees() {
    let redis = RedisServer::start();
    assert_topics(&["session_redis"], Some(&redis));
}

/// The same recordings, from Magento's own tables in MariaDB.
#[test]
#[ignore = "needs mariadbd; run tests/all"]
fn every_recorded_case_agrees_from_magentos_own_database() {
    magento::note_statements();
    with_stores_in_mariadb(|| assert_topics(&TOPICS, None));
    let unlisted = statements::unlisted(&magento::noted_statements(), "");
    assert!(unlisted.is_empty(), "not in deploy/mysql/STATEMENTS.md:\n{}", unlisted.join("\n"));
}

#[test]
fn every_recorded_case_agrees_or_is_a_documented_deviation() {
    assert_topics(&TOPICS, None);
}

fn assert_topics(topics: &[&str], redis: Option<&RedisServer>) {
    let (tables, sessions) = (Tables::read(), SessionState::read());
    let mut wrong = Vec::new();
    let (mut used, mut met) = (Vec::new(), Vec::new());
    println!("{:<20} {:>5} {:>6} {:>8} {:>13}", "topic", "cases", "agree", "deviate", "unreplayable");
    for topic in topics {
        let count = if *topic == handshake::TOPIC {
            handshake::replay(&tables, &mut used)
        } else if state::TOPICS.contains(topic) {
            stateful::replay(topic, &tables, &mut used)
        } else {
            replay(topic, (&tables, &sessions), redis, (&mut used, &mut met))
        };
        let deviating: usize = count.deviate.values().sum();
        let cases = count.agree + deviating + count.unreplayable + count.wrong.len();
        let by_number: Vec<String> =
            count.deviate.iter().map(|(number, cases)| format!("{number}: {cases}")).collect();
        println!(
            "{topic:<20} {cases:>5} {:>6} {deviating:>8} {:>13}  {}",
            count.agree,
            count.unreplayable,
            by_number.join(", ")
        );
        wrong.extend(count.wrong);
    }
    assert!(wrong.is_empty(), "{} cases differ:\n{}", wrong.len(), wrong.join("\n"));
    let unused = tables.unused(&used, topics);
    assert!(unused.is_empty(), "listed, but they agree or do not exist:\n{}", unused.join("\n"));
    let unknown = sessions.unknown(&met, topics);
    assert!(unknown.is_empty(), "state for cases that do not exist:\n{}", unknown.join("\n"));
}

fn replay(
    topic: &str,
    (tables, sessions): (&Tables, &SessionState),
    redis: Option<&RedisServer>,
    (used, met): (&mut Vec<String>, &mut Vec<String>),
) -> Count {
    let upstream = Upstream::start();
    let mut gates: BTreeMap<bool, Gate> = BTreeMap::new();
    let mut count = Count::default();
    for case in Case::of_topic(topic) {
        met.push(case.name.clone());
        if tables.is_unreplayable(&case.name) {
            used.push(case.name);
            count.unreplayable += 1;
            continue;
        }
        let as_bearer = case.integration_as_bearer;
        let gate =
            gates.entry(as_bearer).or_insert_with(|| gate(topic, &upstream, as_bearer, (case.time, redis)));
        sessions.prepare(&case.name, gate, redis);
        gate.set_time(case.time);
        let outcome = Outcome::of(&case, gate, &upstream);
        count.add(&case, &outcome, tables, used);
    }
    count
}

impl Count {
    fn add(&mut self, case: &Case, outcome: &Outcome, tables: &Tables, used: &mut Vec<String>) {
        let Some(difference) = case.difference(outcome, tables) else {
            self.agree += 1;
            return;
        };
        match tables.deviation(&case.name) {
            Some(deviation) if deviation.ours == outcome.class() => {
                *self.deviate.entry(deviation.number.clone()).or_default() += 1;
                used.push(case.name.clone());
            }
            Some(deviation) => self.wrong.push(format!(
                "{}: listed as {} {}, is {}",
                case.name,
                deviation.number,
                deviation.ours,
                outcome.class()
            )),
            None => self.wrong.push(format!("{} [{}]: {difference}", case.name, outcome.class())),
        }
    }
}

fn gate(
    topic: &str,
    upstream: &Upstream,
    integration_as_bearer: bool,
    (time, redis): (i64, Option<&RedisServer>),
) -> Gate {
    let in_redis = redis.map(|redis| format!("handler = \"redis\"\nredis_url = \"{}\"", redis.url()));
    let setup = Setup::before(upstream.address);
    let setup = if topic == "store_scope" { setup.seeded("fixture_store_scope.json") } else { setup };
    setup
        .at(time)
        .seeded("fixture_extra.json")
        .with("listen", "trusted_proxies = [\"127.0.0.0/8\"]")
        .with("sessions", in_redis.as_deref().unwrap_or(SESSIONS_IN_FILES))
        .with("tokens", "address_rate = 0")
        .with("magento", &format!("integration_as_bearer = {integration_as_bearer}"))
        .start()
}
