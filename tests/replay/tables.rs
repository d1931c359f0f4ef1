//! The cases that may differ, each with its reason.

use std::collections::BTreeMap;

/// A documented deviation.
pub(crate) struct Deviation {
    /// `D8`.
    pub(crate) number: String,
    /// What the gate does.
    pub(crate) ours: String,
}

/// What one of the gate's own endpoints answers.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// All tables.
pub(crate) struct Tables {
    answers: BTreeMap<String, Answer>,
    deviations: BTreeMap<String, Deviation>,
    unreplayable: BTreeMap<String, String>,
}

impl Tables {
    /// Reads the tables; every line must be complete.
    pub(crate) fn read() -> Self {
        let deviations = lines(include_str!("deviations.txt"));
        let deviations = deviations.map(|fields| {
            let [number, name, ours, reason] = fields[..] else { panic!("not four fields: {fields:?}") };
            let digits = number.strip_prefix('D').and_then(|digits| digits.parse::<u8>().ok());
            assert!(
                digits.is_some_and(|number| (1..=16).contains(&number)),
                "{name}: {number} is no deviation"
            );
            assert!(!reason.is_empty(), "{name} has no reason");
            (name.to_owned(), Deviation { number: number.to_owned(), ours: ours.to_owned() })
        });
        let unreplayable = lines(include_str!("unreplayable.txt"));
        let unreplayable = unreplayable.map(|fields| {
            let [name, reason] = fields[..] else { panic!("not two fields: {fields:?}") };
            (name.to_owned(), reason.to_owned())
        });
        let answers = lines(include_str!("answers.txt")).map(|fields| {
            let [name, status, body, _source] = fields[..] else { panic!("not four fields: {fields:?}") };
            (name.to_owned(), Answer { status: status.parse().unwrap(), body: body.to_owned() })
        });
        Self {
            answers: answers.collect(),
            deviations: deviations.collect(),
            unreplayable: unreplayable.collect(),
        }
    }

    pub(crate) fn answer(&self, name: &str) -> Option<&Answer> {
        self.answers.get(name)
    }

    pub(crate) fn deviation(&self, name: &str) -> Option<&Deviation> {
        self.deviations.get(name)
    }

    pub(crate) fn is_unreplayable(&self, name: &str) -> bool {
        self.unreplayable.contains_key(name)
    }

    /// Listed cases of these topics that were not met: a table must not outlive its reasons.
    pub(crate) fn unused(&self, used: &[String], topics: &[&str]) -> Vec<String> {
        let of_topics = |name: &&String| topics.iter().any(|topic| name.starts_with(&format!("{topic}/")));
        let listed = self.deviations.keys().chain(self.unreplayable.keys());
        listed.filter(of_topics).filter(|name| !used.contains(name)).cloned().collect()
    }
}

/// The lines of a table, split into fields.
pub(crate) fn lines(table: &str) -> impl Iterator<Item = Vec<&str>> {
    table
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split(" | ").map(str::trim).collect())
}
