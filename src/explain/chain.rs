//! The explanation as data: steps in the order of the stages, each with named findings.
//!
//! One form serves text and JSON, so that both say the same. Every text passes the scrubber at the end, when it knows every
//! secret that turned up on the way.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::scrub::Scrubber;

/// Where the values of a step begin.
const VALUE_COLUMN: usize = 20;

/// Steps, in order.
pub(super) struct Chain {
    steps: Vec<Step>,
    scrubber: Scrubber,
}

/// Steps without secrets; only [`Chain::finish`] makes them.
#[derive(Debug)]
pub(super) struct CleanChain(Vec<Step>);

/// One stage and what it saw.
#[derive(Debug)]
struct Step {
    name: &'static str,
    findings: Vec<(&'static str, Value)>,
}

impl Chain {
    pub(super) const fn new(scrubber: Scrubber) -> Self {
        Self { steps: Vec::new(), scrubber }
    }

    /// Secrets that were learnt on the way.
    pub(super) const fn scrubber(&mut self) -> &mut Scrubber {
        &mut self.scrubber
    }

    /// Begins a step; the findings that follow are its own.
    pub(super) fn step(&mut self, name: &'static str) {
        self.steps.push(Step { name, findings: Vec::new() });
    }

    /// Adds a finding to the last step.
    pub(super) fn find(&mut self, name: &'static str, value: impl Into<Value>) {
        if let Some(step) = self.steps.last_mut() {
            step.findings.push((name, value.into()));
        }
    }

    /// Takes the secrets out: nothing of the chain is shown before.
    pub(super) fn finish(self) -> CleanChain {
        let scrubber = self.scrubber;
        let mut steps = self.steps;
        for (_, value) in steps.iter_mut().flat_map(|step| &mut step.findings) {
            *value = clean(&scrubber, value.take());
        }
        CleanChain(steps)
    }
}

impl CleanChain {
    /// As text: the name of each step, its findings indented below.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        for step in &self.0 {
            let gap = if out.is_empty() { "" } else { "\n" };
            let _ = writeln!(out, "{gap}{}", step.name);
            for (name, value) in &step.findings {
                write_finding(&mut out, name, value);
            }
        }
        out
    }

    /// As JSON: an object of steps, each an object of findings.
    pub(super) fn json(&self) -> Value {
        let steps = self.0.iter().map(|step| {
            let findings: Map<String, Value> =
                step.findings.iter().map(|(name, value)| (name.replace(' ', "_"), value.clone())).collect();
            (step.name.replace(' ', "_"), Value::Object(findings))
        });
        Value::Object(steps.collect())
    }
}

fn clean(scrubber: &Scrubber, value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(scrubber.clean(&text)),
        Value::Array(items) => items.into_iter().map(|item| clean(scrubber, item)).collect(),
        Value::Object(members) => {
            members.into_iter().map(|(name, value)| (scrubber.clean(&name), clean(scrubber, value))).collect()
        }
        other @ (Value::Null | Value::Bool(_) | Value::Number(_)) => other,
    }
}

fn write_finding(out: &mut String, name: &str, value: &Value) {
    let lines = lines(value);
    let mut label = name;
    for line in lines {
        let _ = writeln!(out, "  {label:<VALUE_COLUMN$}{line}");
        label = "";
    }
}

/// A value as lines; a list has one an item.
fn lines(value: &Value) -> Vec<String> {
    match value {
        Value::Null => vec!["-".to_owned()],
        Value::Bool(true) => vec!["yes".to_owned()],
        Value::Bool(false) => vec!["no".to_owned()],
        Value::Number(number) => vec![number.to_string()],
        Value::String(text) => vec![text.clone()],
        Value::Array(items) if items.is_empty() => vec!["none".to_owned()],
        Value::Array(items) => items.iter().flat_map(lines).collect(),
        Value::Object(members) => members
            .iter()
            .flat_map(|(name, value)| lines(value).into_iter().map(move |line| format!("{name}: {line}")))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_and_json_say_the_same() {
        let mut chain = Chain::new(Scrubber::default());
        chain.step("the route");
        chain.find("needs", vec!["a", "b"]);
        chain.find("is hunter2", true);
        chain.find("path", "/hunter2\n");
        chain.step("verdict");
        chain.find("status", 401);
        chain.find("headers", json!({"x": "hunter2"}));
        chain.find("notes", Vec::<String>::new());
        chain.scrubber().hide(b"hunter2", "[hidden]");
        let chain = chain.finish();
        assert_eq!(
            chain.text(),
            "the route\n  needs               a\n                      b\n  is hunter2          yes\n  path                /[hidden]\\u{a}\n\
             \nverdict\n  status              401\n  headers             x: [hidden]\n  notes               none\n"
        );
        assert_eq!(chain.json()["verdict"]["status"], 401);
        assert_eq!(chain.json()["the_route"]["path"], "/[hidden]\\u{a}");
    }
}
