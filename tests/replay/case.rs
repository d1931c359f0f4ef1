//! One recorded exchange, and what the gate made of it.

use std::time::Duration;

use serde_json::Value;

use crate::{
    support::{
        gate::Gate,
        upstream::Upstream,
        wire::{Message, exchange},
    },
    tables::Tables,
};

/// A recorded request and what Magento did.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) time: i64,
    pub(crate) integration_as_bearer: bool,
    request: Vec<u8>,
    expect: Value,
    preconditions: Value,
    db_after: Value,
}

/// What the gate did.
pub(crate) struct Outcome {
    answer: Message,
    forwarded: Option<Message>,
}

impl Case {
    /// The cases of a topic, in order of time.
    pub(crate) fn of_topic(topic: &str) -> Vec<Self> {
        let path = format!("{}/tests/corpus/{topic}.json", env!("CARGO_MANIFEST_DIR"));
        let recorded: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let mut cases: Vec<Self> = recorded.iter().filter_map(Self::read).collect();
        cases.sort_by_key(|case| case.time);
        cases
    }

    /// A case with one request; recordings of races have none and are tested on their own.
    pub(crate) fn read(recorded: &Value) -> Option<Self> {
        let request = recorded.get("request")?;
        let name = recorded["name"].as_str()?.to_owned();
        let version = if name.ends_with("/http10") { "1.0" } else { "1.1" };
        let method = request["method"].as_str()?;
        let mut bytes = format!("{method} {} HTTP/{version}\r\n", request["target"].as_str()?).into_bytes();
        for pair in request["headers"].as_array()? {
            bytes.extend(format!("{}: {}\r\n", pair[0].as_str()?, pair[1].as_str()?).bytes());
        }
        bytes.extend(b"\r\n");
        bytes.extend(request["body"].as_str().unwrap_or_default().bytes());
        let flag = &recorded["preconditions"]["config"]["oauth/consumer/enable_integration_as_bearer"];
        Some(Self {
            name,
            time: recorded["time"].as_i64()?,
            integration_as_bearer: *flag == "1",
            request: bytes,
            expect: recorded["expect"].clone(),
            preconditions: recorded["preconditions"].clone(),
            db_after: recorded["db_after"].clone(),
        })
    }

    /// The rows of `core_config_data` under which it was recorded.
    pub(crate) fn config(&self) -> Vec<(String, Value)> {
        let config = self.preconditions["config"].as_object();
        let pairs = config.into_iter().flatten();
        pairs.map(|(path, value)| (path.clone(), value.clone())).collect()
    }

    /// Whether Magento's module of user JWTs was on.
    pub(crate) fn has_jwt_module(&self) -> bool {
        !self.preconditions["modules"].as_str().unwrap_or_default().starts_with("Magento_JwtUserToken")
    }

    /// The rows that Magento's tables of failed logins held afterwards.
    pub(crate) fn login_rows(&self) -> Option<&Value> {
        self.db_after.get("oauth_token_request_log").map(|_| &self.db_after)
    }

    /// What differs from the recording, if anything.
    pub(crate) fn difference(&self, outcome: &Outcome, tables: &Tables) -> Option<String> {
        if let Some(answer) = tables.answer(&self.name) {
            let given = (outcome.answer.status(), outcome.answer.text());
            let expected = (answer.status, answer.body.clone());
            let differs = outcome.forwarded.is_some() || given != expected;
            return differs.then(|| format!("not {} {}", answer.status, answer.body));
        }
        self.answer_differs(outcome)
    }

    /// What differs from the recorded answer.
    pub(crate) fn answer_differs(&self, outcome: &Outcome) -> Option<String> {
        match self.expect["kind"].as_str()? {
            "reply" => self.reply_differs(outcome),
            "forward" => self.context_differs(outcome),
            "token_issued" => self.token_differs(outcome),
            "magento_fault" if outcome.answer.status() >= 500 => Some("a fault became a fault".to_owned()),
            "magento_fault" => None,
            kind => Some(format!("kind {kind} is not replayed here")),
        }
    }

    fn reply_differs(&self, outcome: &Outcome) -> Option<String> {
        let expected = (
            self.expect["status"].as_u64().unwrap_or_default(),
            self.expect["content_type"].as_str().unwrap_or_default().to_owned(),
            self.expect["body"].as_str().unwrap_or_default().to_owned(),
        );
        let given = (
            u64::from(outcome.answer.status()),
            outcome.answer.header("content-type").unwrap_or_default(),
            outcome.answer.text(),
        );
        (outcome.forwarded.is_some() || expected != given)
            .then(|| format!("Magento answered {} {}", expected.0, expected.2))
    }

    fn token_differs(&self, outcome: &Outcome) -> Option<String> {
        let kind = outcome.answer.header("content-type").unwrap_or_default();
        let accepts_xml = String::from_utf8_lossy(&self.request).contains("Accept: application/xml");
        let body = outcome.answer.text();
        let token = if accepts_xml {
            let element = body.strip_prefix("<?xml version=\"1.0\"?>\n<response>");
            element.and_then(|rest| rest.strip_suffix("</response>\n")).map(str::to_owned)
        } else {
            serde_json::from_str::<String>(&body).ok()
        };
        let is_token = token.is_some_and(|token| token.len() == 32 || token.split('.').count() == 3);
        let is_like_magentos = outcome.forwarded.is_none()
            && u64::from(outcome.answer.status()) == self.expect["status"].as_u64().unwrap_or_default()
            && kind == self.expect["content_type"].as_str().unwrap_or_default()
            && is_token;
        (!is_like_magentos).then(|| "Magento issued a token".to_owned())
    }

    fn context_differs(&self, outcome: &Outcome) -> Option<String> {
        let Some(forwarded) = &outcome.forwarded else {
            return Some(format!("Magento forwarded, context {}", self.expect["context"]));
        };
        let context = &self.expect["context"];
        let number = context["user_type"].as_u64()?;
        let user_type = ["integration", "admin", "customer", "guest"][number as usize - 1];
        let id = context["user_id"].as_u64().filter(|id| *id > 0).map(|id| id.to_string());
        let given = (forwarded.header("x-auth-user-type"), forwarded.header("x-auth-user-id"));
        (given != (Some(user_type.to_owned()), id)).then(|| format!("Magento's context is {context}"))
    }
}

impl Outcome {
    /// Sends a case through the gate.
    pub(crate) fn of(case: &Case, gate: &Gate, upstream: &Upstream) -> Self {
        await_heartbeat(case);
        let answer = exchange(gate.proxy, &case.request);
        let mut seen = upstream.take();
        assert!(seen.len() <= 1, "{}: one request is forwarded once", case.name);
        Self { answer, forwarded: seen.pop() }
    }

    /// Whether a step of the handshake issued a token, as Magento writes one.
    pub(crate) fn is_issue(&self) -> bool {
        let values: Vec<String> = self.answer.text().split('&').map(str::to_owned).collect();
        let is_token = |text: &String, name: &str| {
            text.strip_prefix(name).is_some_and(|value| {
                value.len() == 32
                    && value.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
            })
        };
        let [token, secret] = values.as_slice() else { return false };
        self.answer.status() == 200
            && self.answer.header("content-type").as_deref() == Some("text/html; charset=UTF-8")
            && is_token(token, "oauth_token=")
            && is_token(secret, "oauth_token_secret=")
    }

    /// What happened, in a word or two: `forward guest`, `401 resource_denied`.
    pub(crate) fn class(&self) -> String {
        match &self.forwarded {
            Some(request) => format!("forward {}", request.header("x-auth-user-type").unwrap_or_default()),
            None => {
                let reason = self.answer.header("x-auth-refused").unwrap_or_else(|| "hyper".to_owned());
                format!("{} {reason}", self.answer.status())
            }
        }
    }
}

/// Lets the heartbeat of the nonce journal catch up, which is real, with the clock of the recordings, which runs ten times as fast:
/// timestamps at the far end of the window are not accepted before a beat.
fn await_heartbeat(case: &Case) {
    let request = String::from_utf8_lossy(&case.request);
    let timestamp = request.split("oauth_timestamp=").nth(1).map(|rest| rest.trim_start_matches('"'));
    let digits = timestamp.map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default());
    if digits
        .and_then(|digits| digits.parse::<i64>().ok())
        .is_some_and(|timestamp| timestamp > case.time + 570)
    {
        std::thread::sleep(Duration::from_millis(1500));
    }
}
