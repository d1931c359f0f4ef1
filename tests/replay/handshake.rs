//! The handshake: exchanges whose tokens are made anew each time, and posts that begin with the shop.
//!
//! A recording knows the tokens that Magento made, the gate makes others. So before each case the consumer's rows are put to
//! what the recording says of the moment before, and afterwards ours are compared with what it says then: the same
//! rows of the same type, and a new token exactly where Magento made one. `created_at` is not compared: here a request
//! token's age begins with it (`service/oauth/mod.rs`). What Magento did on its own, the post to a callback, is done by the
//! service on the same store and compared with what the recorder's endpoint got.

use std::{collections::BTreeMap, io::Write as _};

use portcullis::{
    auth::{crypt_keys::CryptKeys, encryptor::Encryptor, time::UnixTime},
    clock::Clock,
    config::Config,
    server::integration_service,
    service::{Origin, audit::Audit},
};
use serde_json::Value;

use crate::{
    Count,
    case::{Case, Outcome},
    support::{
        gate::{CRYPT_KEY, Gate, Setup},
        upstream::Upstream,
    },
    tables::Tables,
};

pub(crate) const TOPIC: &str = "oauth_handshake";

/// Consumers, by id, key and secret: the first two as the callback got them (`callback_post`, `repost`), of the third the
/// recording holds nothing.
const CONSUMERS: [(u32, &str, &str); 3] = [
    (9, "z94kjr3er2oe6hsyz9t25cv3xvszs3sz", "8g33kmwefqv1o022v2a68zbdp8zbjypc"),
    (10, "cssonwcsmszvtzvw2zyx6p0svwspm8hm", "m4dwrhggk5kw1uf99z42odbcwka6c96h"),
    (11, "consumer11consumer11consumer11co", "secret11secret11secret11secret11"),
];

/// `db_after`: the token rows of a consumer, its integration's status, when it was posted to.
type Row = Vec<String>;

#[derive(Clone, Default, Debug)]
struct State {
    tokens: Vec<Row>,
    status: String,
    updated_at: String,
}

pub(crate) fn replay(tables: &Tables, used: &mut Vec<String>) -> Count {
    let mut stage = Stage::start();
    let mut count = Count::default();
    for recorded in recorded() {
        let name = recorded["name"].as_str().unwrap().to_owned();
        if tables.is_unreplayable(&name) {
            used.push(name);
            count.unreplayable += 1;
        } else if let Some(case) = Case::read(&recorded) {
            let outcome = stage.play(&case, &recorded);
            match stage.differs(&case, &recorded, &outcome) {
                None => count.agree += 1,
                Some(_) if issued(&recorded) && outcome.is_issue() => {
                    count.wrong.push(format!("{name}: rows"))
                }
                Some(_) => count.add(&case, &outcome, tables, used),
            }
        } else {
            match stage.post(&recorded) {
                None => count.agree += 1,
                Some(difference) => count.wrong.push(format!("{name}: {difference}")),
            }
        }
        stage.remember(&recorded);
    }
    count
}

fn recorded() -> Vec<Value> {
    let path = format!("{}/tests/corpus/{TOPIC}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Whether Magento issued a token.
fn issued(recorded: &Value) -> bool {
    recorded["expect"]["body"].as_str().is_some_and(|body| body.starts_with("oauth_token="))
}

struct Stage {
    upstream: Upstream,
    gate: Gate,
    states: BTreeMap<u32, State>,
}

impl Stage {
    fn start() -> Self {
        let upstream = Upstream::start();
        let gate = setup(&upstream).start();
        let encryptor = Encryptor::new(&CryptKeys::parse(CRYPT_KEY).unwrap()).unwrap();
        for (id, key, secret) in CONSUMERS {
            let encrypted = encryptor.encrypt(secret, [u8::try_from(id).unwrap(); 12]);
            gate.sql(&format!(
                "INSERT INTO oauth_consumer (entity_id, name, key, secret, rejected_callback_url)
                VALUES ({id}, 'Integration{id}', '{key}', '{encrypted}', '');
                INSERT INTO integration (integration_id, name, email, status, consumer_id)
                VALUES ({id}, 'handshake{id}', '', 0, {id});
                INSERT INTO authorization_role (role_id, tree_level, role_type, user_id, user_type, role_name)
                VALUES (90{id}, 1, 'U', {id}, '1', '1{id}');
                INSERT INTO authorization_rule (role_id, resource_id, permission)
                VALUES (90{id}, 'Magento_Backend::all', 'allow')"
            ));
        }
        // Once more, so that the roles are there from the first request on.
        let folder = gate.stop().unwrap();
        let gate = setup(&upstream).in_folder(&folder.keep()).start();
        Self { upstream, gate, states: BTreeMap::new() }
    }

    fn play(&mut self, case: &Case, recorded: &Value) -> Outcome {
        if let Some(consumer) = consumer_of(recorded) {
            let before = self.states.entry(consumer).or_default().clone();
            // No exchange moves it, so what holds afterwards held before.
            let updated_at = recorded["db_after"]["consumer_updated_at"][0][1].as_str();
            let updated_at = updated_at.map_or_else(|| before.updated_at.clone(), str::to_owned);
            self.write(consumer, &State { updated_at, ..before });
        }
        self.gate.set_time(case.time);
        Outcome::of(case, &self.gate, &self.upstream)
    }

    fn write(&self, consumer: u32, state: &State) {
        let mut sql = format!(
            "DELETE FROM oauth_token WHERE consumer_id = {consumer};
            UPDATE oauth_consumer SET updated_at = '{}' WHERE entity_id = {consumer};
            UPDATE integration SET status = {} WHERE consumer_id = {consumer};",
            state.updated_at,
            if state.status.is_empty() { "0" } else { &state.status }
        );
        for row in &state.tokens {
            let values: Vec<String> = row.iter().map(|value| format!("'{value}'")).collect();
            sql.push_str(&format!(
                "INSERT INTO oauth_token (consumer_id, type, token, secret, verifier, callback_url, revoked, authorized,
                user_type, created_at) VALUES ({});",
                values.join(", ")
            ));
        }
        self.gate.sql(&sql);
    }

    /// What differs, in the answer or in the rows.
    fn differs(&self, case: &Case, recorded: &Value, outcome: &Outcome) -> Option<String> {
        if issued(recorded) {
            if !outcome.is_issue() {
                return Some("Magento issued a token".to_owned());
            }
        } else if let Some(difference) = case.answer_differs(outcome) {
            return Some(difference);
        }
        let consumer = consumer_of(recorded)?;
        let expected = state_of(&recorded["db_after"])?;
        self.rows_differ(consumer, &expected)
    }

    fn rows_differ(&self, consumer: u32, expected: &State) -> Option<String> {
        let before = self.states.get(&consumer).cloned().unwrap_or_default();
        let ours = self.rows(consumer);
        let fate = |after: &[Row]| -> Vec<(Row, bool, bool)> {
            let is_known = |row: &Row| before.tokens.iter().any(|known| known[2] == row[2]);
            let kept = |row: &Row| [&row[..2], &row[4..9]].concat();
            after.iter().map(|row| (kept(row), is_known(row), row[3].starts_with("0:3:"))).collect()
        };
        let (ours_after, magentos) = (fate(&ours), fate(&expected.tokens));
        if ours_after != magentos {
            return Some(format!("rows {ours_after:?}, Magento's {magentos:?}"));
        }
        let found = self.gate.rows(&format!("SELECT status FROM integration WHERE consumer_id = {consumer}"));
        (found != [[expected.status.clone()]]).then(|| format!("status {found:?}"))
    }

    fn rows(&self, consumer: u32) -> Vec<Row> {
        self.gate.rows(&format!(
            "SELECT consumer_id, type, token, secret, verifier, callback_url, revoked, authorized, user_type, created_at
            FROM oauth_token WHERE consumer_id = {consumer} ORDER BY entity_id"
        ))
    }

    /// What Magento did by itself: a post to the callback.
    fn post(&self, recorded: &Value) -> Option<String> {
        let consumer = consumer_of(recorded).unwrap();
        let expected = state_of(&recorded["db_after"]).unwrap();
        self.write(consumer, &self.states.get(&consumer).cloned().unwrap_or_default());
        let third_party = third_party(recorded["name"].as_str().unwrap());
        let posted = self.post_to(consumer, &third_party, &expected.updated_at);
        let got = third_party.take();
        let returned = &recorded["postToConsumer_returns"];
        if let Some(error) = returned["error"].as_str() {
            let text = posted.err().unwrap_or_default();
            return (!error.ends_with(&text)).then(|| format!("says {text}"));
        }
        let (Ok(verifier), [got]) = (posted, got.as_slice()) else {
            return Some("was not posted".to_owned());
        };
        let ours = self.rows(consumer).iter().any(|row| row[1] == "verifier" && row[4] == verifier);
        let reused = self
            .states
            .get(&consumer)
            .is_some_and(|state| state.tokens.iter().any(|row| row[1] == "verifier" && row[4] == verifier));
        let was_reused = expected.tokens.iter().any(|row| {
            row[1] == "verifier" && self.states.get(&consumer).is_some_and(|state| state.tokens.contains(row))
        });
        if !ours || reused != was_reused {
            return Some(format!("verifier stored: {ours}, reused: {reused}, by Magento: {was_reused}"));
        }
        let body = recorded["request_from_magento"]["body"].as_str()?;
        let magentos = body.replace(returned["verifier"].as_str().unwrap(), &verifier);
        let given = (got.method(), got.header("content-type").unwrap_or_default(), got.text());
        let expected = ("POST", "application/x-www-form-urlencoded".to_owned(), magentos);
        (given != expected).then(|| format!("posted {given:?}"))
    }

    fn post_to(&self, consumer: u32, third_party: &Upstream, updated_at: &str) -> Result<String, String> {
        let config = Config::from_toml(
            &setup(&self.upstream).toml_with(self.gate.magento.as_ref()),
            &self.gate.folder,
        )
        .unwrap();
        let found = self.gate.rows(&format!("SELECT unixepoch('{updated_at}')"));
        let now: i64 = found[0][0].parse().unwrap();
        let clock = Clock::given(move || UnixTime::from_seconds(now));
        let url = format!("http://{}/callback", third_party.address);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let service = integration_service(&config, Audit::off(), clock).await.unwrap();
            let posted = service.oauth().post_to_consumer(consumer, &url, &Origin::local("test")).await;
            posted.map(|verifier| verifier.expose().clone()).map_err(|error| error.to_string())
        })
    }

    fn remember(&mut self, recorded: &Value) {
        if let (Some(consumer), Some(state)) = (consumer_of(recorded), state_of(&recorded["db_after"])) {
            self.states.insert(consumer, state);
        }
    }
}

fn setup(upstream: &Upstream) -> Setup {
    Setup::before(upstream.address).at(1_795_248_564).with(
        "handshake",
        "allow_http = true\nallow_networks = [\"127.0.0.0/8\"]\nstore_base_url = \"http://127.0.0.1:18000/\"",
    )
}

/// An endpoint that behaves as the recorder's did; one that refuses hangs up.
fn third_party(name: &str) -> Upstream {
    let status = match name.rsplit('/').next().unwrap() {
        "callback_500" => "500 Internal Server Error",
        "callback_302" => "302 Found\r\nLocation: http://127.0.0.1:1/elsewhere",
        "callback_refused" => return Upstream::raw(drop),
        _ => "200 OK",
    };
    Upstream::answering(move |_, socket| {
        write!(socket, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").is_ok()
    })
}

/// Whose rows a case is about: those of its key, else those that it lists.
fn consumer_of(recorded: &Value) -> Option<u32> {
    let listed = recorded["db_after"]["oauth_token"][0][0].as_str().and_then(|id| id.parse().ok());
    let header = recorded["request"]["headers"].to_string();
    listed.or_else(|| CONSUMERS.iter().find(|(_, key, _)| header.contains(key)).map(|(id, _, _)| *id))
}

fn state_of(db_after: &Value) -> Option<State> {
    let status = db_after["integration_status"][0][0].as_i64()?.to_string();
    let rows = db_after["oauth_token"].as_array()?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let tokens = rows.iter().map(|row| row.as_array().unwrap().iter().map(text).collect()).collect();
    Some(State { tokens, status, updated_at: text(&db_after["consumer_updated_at"][0][1]) })
}
