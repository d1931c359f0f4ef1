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
mod state;
mod tables;

use std::collections::BTreeMap;

use case::{Case, Outcome};
use state::State;
use support::{
    gate::{Gate, Setup},
    redis::RedisServer,
    upstream::Upstream,
};
use tables::Tables;

/// Read anew on every request: the recordings leave no second between a logout and the next case.
const SESSIONS_IN_FILES: &str = "handler = \"files\"\npath = \"sessions\"\nttl = \"0s\"";

/// Topics that this version answers for.
const TOPICS: [&str; 12] = [
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

#[test]
fn every_recorded_case_agrees_or_is_a_documented_deviation() {
    assert_topics(&TOPICS, None);
}

fn assert_topics(topics: &[&str], redis: Option<&RedisServer>) {
    let (tables, state) = (Tables::read(), State::read());
    let mut wrong = Vec::new();
    let (mut used, mut met) = (Vec::new(), Vec::new());
    println!("{:<20} {:>5} {:>6} {:>8} {:>13}", "topic", "cases", "agree", "deviate", "unreplayable");
    for topic in topics {
        let count = replay(Case::of_topic(topic), (&tables, &state), redis, (&mut used, &mut met));
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
    let unknown = state.unknown(&met, topics);
    assert!(unknown.is_empty(), "state for cases that do not exist:\n{}", unknown.join("\n"));
}

fn replay(
    cases: Vec<Case>,
    (tables, state): (&Tables, &State),
    redis: Option<&RedisServer>,
    (used, met): (&mut Vec<String>, &mut Vec<String>),
) -> Count {
    let upstream = Upstream::start();
    let mut gates: BTreeMap<bool, Gate> = BTreeMap::new();
    let mut count = Count::default();
    for case in cases {
        met.push(case.name.clone());
        if tables.is_unreplayable(&case.name) {
            used.push(case.name);
            count.unreplayable += 1;
            continue;
        }
        let as_bearer = case.integration_as_bearer;
        let gate = gates.entry(as_bearer).or_insert_with(|| gate(&upstream, as_bearer, case.time, redis));
        state.prepare(&case.name, gate, redis);
        gate.set_time(case.time);
        let outcome = Outcome::of(&case, gate, &upstream);
        let Some(difference) = case.difference(&outcome) else {
            count.agree += 1;
            continue;
        };
        match tables.deviation(&case.name) {
            Some(deviation) if deviation.ours == outcome.class() => {
                *count.deviate.entry(deviation.number.clone()).or_default() += 1;
                used.push(case.name);
            }
            Some(deviation) => count.wrong.push(format!(
                "{}: listed as {} {}, is {}",
                case.name,
                deviation.number,
                deviation.ours,
                outcome.class()
            )),
            None => count.wrong.push(format!("{} [{}]: {difference}", case.name, outcome.class())),
        }
    }
    count
}

fn gate(upstream: &Upstream, integration_as_bearer: bool, time: i64, redis: Option<&RedisServer>) -> Gate {
    let in_redis = redis.map(|redis| format!("handler = \"redis\"\nredis_url = \"{}\"", redis.url()));
    Setup::before(upstream.address)
        .at(time)
        .seeded("fixture_extra.json")
        .with("listen", "trusted_proxies = [\"127.0.0.0/8\"]")
        .with("sessions", in_redis.as_deref().unwrap_or(SESSIONS_IN_FILES))
        .with("magento", &format!("integration_as_bearer = {integration_as_bearer}"))
        .start()
}
