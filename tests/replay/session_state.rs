//! State that the recordings of sessions imply: what a login, a logout or a change of password left behind.

use std::collections::BTreeMap;

use crate::{
    support::{gate::Gate, servers::redis::RedisServer, sessions},
    tables::lines,
};

/// The steps of `session_state.txt`, by the case that they go before.
pub(crate) struct SessionState(BTreeMap<String, Vec<String>>);

impl SessionState {
    /// Reads the table; every line must be complete.
    pub(crate) fn read() -> Self {
        let mut steps: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for fields in lines(include_str!("session_state.txt")) {
            let [case, step, source] = fields[..] else { panic!("not three fields: {fields:?}") };
            assert!(!source.is_empty(), "{case}: {step} has no source");
            steps.entry(case.to_owned()).or_default().push(step.to_owned());
        }
        Self(steps)
    }

    /// Makes what stands before a case.
    pub(crate) fn prepare(&self, case: &str, gate: &Gate, redis: Option<&RedisServer>) {
        for step in self.0.get(case).into_iter().flatten() {
            make(step, gate, redis);
        }
    }

    /// Cases of these topics that the table names and that do not exist.
    pub(crate) fn unknown(&self, met: &[String], topics: &[&str]) -> Vec<String> {
        let of_topics = |name: &&String| topics.iter().any(|topic| name.starts_with(&format!("{topic}/")));
        self.0.keys().filter(of_topics).filter(|name| !met.contains(name)).cloned().collect()
    }
}

fn make(step: &str, gate: &Gate, redis: Option<&RedisServer>) {
    let folder = gate.folder.join("sessions");
    if let Some(statement) = step.strip_prefix("sql ") {
        return gate.sql(statement);
    }
    match step.split(' ').collect::<Vec<_>>()[..] {
        ["session", id, "of", "customer", customer, "visitor", visitor] => {
            sessions::write_customer(&folder, id, customer.parse().unwrap(), visitor.parse().unwrap());
        }
        ["session", id, "of", "admin"] => sessions::write_admin(&folder, id),
        ["no", "session", id] => sessions::remove(&folder, id),
        ["recorded", "redis"] => redis.expect("sessions are in Redis").load_recorded(),
        _ => panic!("{step} is no step"),
    }
}
