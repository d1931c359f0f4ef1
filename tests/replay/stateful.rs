//! Topics whose cases change the store, or run under settings of their own.
//!
//! The gate reads its settings from the store (`settings = "store"`). Whenever the store changes it is started again on the same
//! folder, so that nothing it had cached outlives the recorded moment; that a running gate follows a change within
//! seconds is tested elsewhere. Magento's module `JwtUserToken` switched off is `jwt_accept_keys = "none"`.

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    Count,
    case::{Case, Outcome},
    state,
    support::{
        gate::{Gate, Setup},
        upstream::Upstream,
    },
    tables::Tables,
};

/// Replays a topic from a fresh seed, in order of time.
pub(crate) fn replay(topic: &str, tables: &Tables, used: &mut Vec<String>) -> Count {
    let mut stage = Stage { upstream: Upstream::start(), gate: None, folder: None, config: Vec::new() };
    let mut count = Count::default();
    let cases = Case::of_topic(topic);
    for change in state::CHANGES.iter().filter(|change| change.before.starts_with(&format!("{topic}/"))) {
        assert!(cases.iter().any(|case| case.name == change.before), "{} is no case", change.before);
    }
    for case in cases {
        let outcome = stage.play(&case);
        count.add(&case, &outcome, tables, used);
        if let Some(difference) = stage.rows_differ(&case) {
            count.wrong.push(format!("{}: {difference}", case.name));
        }
    }
    count
}

struct Stage {
    upstream: Upstream,
    gate: Option<Gate>,
    folder: Option<TempDir>,
    config: Vec<(String, Value)>,
}

impl Stage {
    fn play(&mut self, case: &Case) -> Outcome {
        self.prepare(case);
        let gate = self.gate.as_ref().unwrap();
        gate.set_time(case.time);
        Outcome::of(case, gate, &self.upstream)
    }

    /// What differs in the tables of failed logins. A customer who is not active is refused here and not by Magento (D7).
    fn rows_differ(&self, case: &Case) -> Option<String> {
        let recorded = case.login_rows()?;
        for (table, query) in [
            (
                "oauth_token_request_log",
                "SELECT user_name, user_type, failures_count, lock_expires_at FROM oauth_token_request_log \
                 WHERE user_name NOT LIKE 'disabledcust%' ORDER BY user_name, user_type",
            ),
            (
                "customer_lock",
                "SELECT email, failures_num, first_failure, lock_expires FROM customer_entity \
                 WHERE failures_num > 0 ORDER BY entity_id",
            ),
            (
                "admin_lock",
                "SELECT username, failures_num, first_failure, lock_expires, logdate, lognum FROM admin_user \
                 ORDER BY user_id",
            ),
        ] {
            let mut expected: Vec<Vec<String>> = serde_json::from_value(recorded[table].clone()).unwrap();
            let mut rows = self.gate.as_ref().unwrap().rows(query);
            expected.sort();
            rows.sort();
            if rows != expected {
                return Some(format!("{table} holds {rows:?}, Magento's {expected:?}"));
            }
        }
        None
    }

    /// Brings the gate and its store to where the case met Magento.
    fn prepare(&mut self, case: &Case) {
        let changes: Vec<&str> = state::changes_before(&case.name).collect();
        let config = case.config();
        if self.gate.is_none() {
            self.start(case);
        }
        if config != self.config || !changes.is_empty() {
            let gate = self.gate.as_ref().unwrap();
            changes.iter().for_each(|sql| gate.sql(sql));
            gate.sql("DELETE FROM core_config_data");
            config.iter().for_each(|(path, value)| gate.sql(&config_row(path, value)));
            self.config = config;
            self.start(case);
        }
    }

    fn start(&mut self, case: &Case) {
        if let Some(folder) = self.gate.take().and_then(Gate::stop) {
            self.folder = Some(folder);
        }
        let (keys, issuer) = if case.has_jwt_module() { ("all", "jwt") } else { ("none", "opaque") };
        let setup = Setup::before(self.upstream.address)
            .at(case.time)
            .seeded("fixture_extra.json")
            .with("tokens", &format!("issuer = \"{issuer}\"\naddress_rate = 0"))
            .with("compat", "query_credentials = true")
            .with("magento", &format!("settings = \"store\"\njwt_accept_keys = \"{keys}\""));
        let setup = match &self.folder {
            Some(folder) => setup.in_folder(folder.path()),
            None => setup,
        };
        self.gate = Some(setup.start());
    }
}

fn config_row(path: &str, value: &Value) -> String {
    let value = value.as_str().map_or_else(|| "NULL".to_owned(), |text| format!("'{text}'"));
    format!("INSERT INTO core_config_data (path, value) VALUES ('{path}', {value})")
}
