//! `portcullis explain` beside a running gate: the same verdicts, the right causes, no secret, no nonce used up.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::too_many_lines,
    reason = "a test that cannot go on must stop, counts are for people to read, and a table is as long as it is"
)]

#[path = "support/mod.rs"]
mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use portcullis::{
    auth::{
        oauth1::{
            ProtocolParameters, Reading, Scheme, SignatureMethod, SignedRequest, TrialKey, base_string,
        },
        time::UnixTime,
    },
    config::Config,
    explain::{Circumstances, Explainer, Explanation, Inquiry},
    proxy::outcome::{Forward, Outcome},
    server::App,
};
use serde_json::Value;
use support::{
    gate::{CRYPT_KEY, Gate, Setup},
    upstream::Upstream,
    wire::exchange,
};
use tokio::runtime::Runtime;

const NOW: i64 = 1_795_248_000;
const HOST: &str = "127.0.0.1:18000";
const CONSUMER_KEY: &str = "2lc1qdbsdd28ay4q20rbrtjl9qufi83n";
const CONSUMER_SECRET: &str = "rujat3m7nqb7sl263ybba0y7i4wcer0v";
const TOKEN: &str = "rcnp1r0ttgql8dyfay14d83fjc7k5q78";
const TOKEN_SECRET: &str = "g88pmtkf7gcreq3c44dn132wmfz1qhqi";

/// An explainer on the store and the journal of a gate.
struct Desk {
    runtime: Runtime,
    explainer: Explainer,
}

impl Desk {
    fn open(setup: &Setup, folder: &Path) -> Self {
        let config = Config::from_toml(&setup.toml(), folder).unwrap_or_else(|errors| panic!("{errors}"));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let explainer = runtime.block_on(App::explainer(&config)).unwrap();
        Self { runtime, explainer }
    }

    fn explain(&self, request: &[u8], at: i64) -> Explanation {
        self.explain_inquiry(&Inquiry::read(request, None).unwrap(), at)
    }

    fn explain_inquiry(&self, inquiry: &Inquiry, at: i64) -> Explanation {
        let circumstances = Circumstances {
            at: UnixTime::from_seconds(at),
            peer: [127, 0, 0, 1].into(),
            scheme: None,
            shows_signatures: false,
        };
        self.runtime.block_on(self.explainer.explain(inquiry, &circumstances))
    }
}

fn setup(upstream: &Upstream, as_bearer: bool) -> Setup {
    Setup::before(upstream.address)
        .seeded("fixture_extra.json")
        .with("listen", "trusted_proxies = [\"127.0.0.0/8\"]")
        .with("magento", &format!("integration_as_bearer = {as_bearer}"))
}

/// A recorded request.
struct Recorded {
    name: String,
    time: i64,
    as_bearer: bool,
    request: Vec<u8>,
    expect: Value,
}

fn recorded(topic: &str) -> Vec<Recorded> {
    let path = format!("{}/tests/corpus/{topic}.json", env!("CARGO_MANIFEST_DIR"));
    let cases: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut cases: Vec<Recorded> = cases.iter().filter_map(read).collect();
    cases.sort_by_key(|case| case.time);
    cases
}

fn read(case: &Value) -> Option<Recorded> {
    let request = case.get("request")?;
    let line = format!("{} {} HTTP/1.1\r\n", request["method"].as_str()?, request["target"].as_str()?);
    let mut bytes = line.into_bytes();
    for pair in request["headers"].as_array()? {
        bytes.extend(format!("{}: {}\r\n", pair[0].as_str()?, pair[1].as_str()?).bytes());
    }
    bytes.extend(b"\r\n");
    bytes.extend(request["body"].as_str().unwrap_or_default().bytes());
    let flag = &case["preconditions"]["config"]["oauth/consumer/enable_integration_as_bearer"];
    Some(Recorded {
        name: case["name"].as_str()?.to_owned(),
        time: case["time"].as_i64()?,
        as_bearer: *flag == "1",
        request: bytes,
        expect: case["expect"].clone(),
    })
}

#[test]
fn an_explanation_says_what_the_running_gate_then_does() {
    let mut compared = 0;
    for topic in ["guest", "bearer_header", "bearer_acl", "oauth_signed", "oauth_encoding"] {
        let upstream = Upstream::start();
        let mut gates: BTreeMap<bool, (Gate, Desk)> = BTreeMap::new();
        for case in recorded(topic) {
            let (gate, desk) = gates.entry(case.as_bearer).or_insert_with(|| {
                let gate = setup(&upstream, case.as_bearer).at(case.time).start();
                let desk = Desk::open(&setup(&upstream, case.as_bearer), &gate.folder);
                (gate, desk)
            });
            gate.set_time(case.time);
            let Ok(inquiry) = Inquiry::read(&case.request, None) else {
                let answer = exchange(gate.proxy, &case.request);
                assert_eq!(answer.status(), 400, "{}: what cannot be read, hyper refuses", case.name);
                continue;
            };
            // Asked before and twice: an explanation that used a nonce up would make the gate refuse it.
            let explained = desk.explain_inquiry(&inquiry, case.time).verdict.outcome;
            let again = desk.explain_inquiry(&inquiry, case.time).verdict.outcome;
            assert_eq!(format!("{explained:?}"), format!("{again:?}"), "{}", case.name);
            let answer = exchange(gate.proxy, &case.request);
            match (explained, upstream.take().pop()) {
                (Ok(Outcome::Forward(Forward { edits, .. })), Some(forwarded)) => {
                    for (name, value) in edits.set {
                        assert_eq!(
                            forwarded.header(name.as_str()).as_deref(),
                            value.to_str().ok(),
                            "{} {name}",
                            case.name
                        );
                    }
                }
                (Err(rejection), None) => {
                    assert_eq!(answer.status(), rejection.status(), "{}", case.name);
                    let refused = answer.header("x-auth-refused");
                    assert_eq!(refused.as_deref(), Some(rejection.reason()), "{}", case.name);
                }
                (explained, forwarded) => {
                    panic!("{}: explained {explained:?}, forwarded {}", case.name, forwarded.is_some())
                }
            }
            compared += 1;
        }
    }
    println!("{compared} recorded requests: explanation and gate agree");
    assert!(compared > 300);
}

#[test]
fn the_cause_of_every_recorded_bad_signature_is_named() {
    let upstream = Upstream::start();
    let gate = setup(&upstream, false).start();
    let strict = Setup::before(HOST.parse().unwrap())
        .with("listen", "trusted_proxies = [\"127.0.0.0/8\"]")
        .with("oauth", "readings = [\"magento\"]");
    let desk = Desk::open(&strict, &gate.folder);
    let named: BTreeMap<&str, &str> = BTreeMap::from([
        ("oauth_signed/bad_signature", "secrets"),
        ("oauth_signed/bad_token_secret", "secrets"),
        ("oauth_signed/sig_empty", "signature_empty"),
        ("oauth_signed/sig_garbage", "signature_unreadable"),
        ("oauth_signed/sig_urlsafe_b64", "signature_unreadable"),
        ("oauth_signed/nonce_bad_sig_first", "secrets"),
        ("oauth_signed/hdr_realm_comma", "header_unsigned"),
        ("oauth_signed/hdr_dup_nonce_last_bad", "header_repeated"),
        ("oauth_signed/hdr_extra_oauth_param_unsigned", "header_unsigned"),
        ("oauth_encoding/space_plus_as_space", "plus"),
        ("oauth_encoding/two_equals_signed", "odd_parameter"),
        ("oauth_encoding/semicolon", "odd_parameter"),
        ("oauth_encoding/repeat_both", "repeated_parameter"),
        ("oauth_encoding/repeat_first", "repeated_parameter"),
        ("oauth_encoding/repeat_brackets_both", "repeated_parameter"),
        ("oauth_encoding/nat_sort_rfc", "sorting"),
        ("oauth_encoding/trailing_slash_unsigned", "trailing_slash"),
        ("oauth_encoding/host_mismatch", "host"),
        ("oauth_encoding/port_80_signed", "default_port"),
        ("oauth_encoding/xfh_ignored", "host"),
        ("oauth_encoding/https_HTTPS_upper", "scheme"),
        ("oauth_encoding/path_sku_utf8", "path_encoding"),
        ("oauth_encoding/path_sku_utf8_lower_norm", "path_encoding"),
        ("oauth_encoding/path_unreserved_pct", "path_encoding"),
        ("oauth_encoding/store_default_signed_without", "store_code"),
        ("oauth_encoding/method_mismatch_real", "method"),
        ("oauth_encoding/requests_space", "plus"),
        ("oauth_encoding/requests_groups10", "sorting"),
    ]);
    let mut wrong = Vec::new();
    let mut met = BTreeSet::new();
    for case in recorded("oauth_signed").into_iter().chain(recorded("oauth_encoding")) {
        if !case.expect["body"].as_str().unwrap_or_default().contains("signature is invalid") {
            continue;
        }
        let explained = desk.explain(&case.request, case.time);
        let causes: Vec<&str> = explained.causes.iter().map(|cause| cause.name).collect();
        let expected = named.get(case.name.as_str()).copied();
        met.insert(case.name.clone());
        if !expected.is_some_and(|expected| causes.contains(&expected)) {
            wrong.push(format!("{}: {causes:?}, not {expected:?}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(met.len(), named.len(), "every case of the table was met");
}

/// What a client signs, rightly or wrongly.
struct Client {
    signed: SignedRequest<'static>,
    key: TrialKey,
    method: SignatureMethod,
    reading: Reading,
    timestamp: String,
    rewrite: fn(&str) -> String,
    spell: fn(&str) -> String,
}

/// The query of every request that is signed wrongly below.
const QUERY: &str = "a%5Bb%5D=x+y&c=%7E&d=1&d=2&e=s%20t";

impl Client {
    fn new() -> Self {
        Self {
            signed: SignedRequest {
                method: "GET",
                scheme: Scheme::Http,
                host: HOST,
                path: "/rest/default/V1/products/a%2Fb",
                query: Some(QUERY),
                form: None,
            },
            key: TrialKey::joined(CONSUMER_SECRET.as_bytes(), TOKEN_SECRET.as_bytes()),
            method: SignatureMethod::HmacSha256,
            reading: Reading::Rfc5849,
            timestamp: NOW.to_string(),
            rewrite: str::to_owned,
            spell: str::to_owned,
        }
    }

    fn signing(change: impl FnOnce(&mut SignedRequest<'static>)) -> Self {
        let mut client = Self::new();
        change(&mut client.signed);
        client
    }

    fn keyed(key: TrialKey) -> Self {
        Self { key, ..Self::new() }
    }

    fn rewriting(rewrite: fn(&str) -> String) -> Self {
        Self { rewrite, ..Self::new() }
    }

    fn authorization(&self) -> String {
        let credentials = format!(
            "oauth_consumer_key=\"{CONSUMER_KEY}\", oauth_nonce=\"n\", oauth_signature_method=\"HMAC-SHA256\", \
             oauth_timestamp=\"{}\", oauth_token=\"{TOKEN}\"",
            self.timestamp
        );
        let base = base_string(self.reading, &ProtocolParameters::parse(&credentials), &self.signed);
        let signature = self.key.signature(self.method, &(self.rewrite)(&base));
        let encoded: String =
            (self.spell)(signature.expose()).bytes().map(|byte| format!("%{byte:02X}")).collect();
        format!("OAuth {credentials}, oauth_signature=\"{encoded}\"")
    }

    /// The request that is sent, whatever was signed.
    fn request(&self) -> String {
        format!(
            "GET /rest/default/V1/products/a%2Fb?{QUERY} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: {}\r\n\r\n",
            self.authorization()
        )
    }
}

#[test]
fn every_usual_mistake_is_named() {
    let upstream = Upstream::start();
    let gate = setup(&upstream, false).start();
    let desk = Desk::open(&setup(&upstream, false), &gate.folder);
    let good = desk.explain(Client::new().request().as_bytes(), NOW);
    assert!(good.verdict.outcome.is_ok() && good.causes.is_empty(), "{}", good.text());

    let (consumer, token) = (CONSUMER_SECRET.as_bytes(), TOKEN_SECRET.as_bytes());
    let mistakes: Vec<(&[&str], Client)> = vec![
        (&["scheme"], Client::signing(|signed| signed.scheme = Scheme::Https)),
        (&["port"], Client::signing(|signed| signed.host = "127.0.0.1")),
        (&["port"], Client::signing(|signed| signed.host = "127.0.0.1:8080")),
        (
            &["scheme", "port"],
            Client::signing(|signed| {
                signed.scheme = Scheme::Https;
                signed.host = "127.0.0.1";
            }),
        ),
        (
            &["scheme", "port", "store_code"],
            Client::signing(|signed| {
                signed.scheme = Scheme::Https;
                signed.host = "127.0.0.1";
                signed.path = "/rest/V1/products/a%2Fb";
            }),
        ),
        (&["store_code"], Client::signing(|signed| signed.path = "/rest/V1/products/a%2Fb")),
        (&["encoded_slash"], Client::signing(|signed| signed.path = "/rest/default/V1/products/a/b")),
        (&["double_encoding"], Client::signing(|signed| signed.path = "/rest/default/V1/products/a%252Fb")),
        (
            &["path_prefix"],
            Client::signing(|signed| signed.path = "/index.php/rest/default/V1/products/a%2Fb"),
        ),
        (&["method"], Client::signing(|signed| signed.method = "POST")),
        (&["query_unsigned"], Client::signing(|signed| signed.query = None)),
        (&["plus"], Client::signing(|signed| signed.query = Some("a%5Bb%5D=x%2By&c=%7E&d=1&d=2&e=s%20t"))),
        (
            &["double_encoding"],
            Client::signing(|signed| {
                signed.query = Some("a%255Bb%255D=x+y&c=%257E&d=1&d=2&e=s%2520t");
            }),
        ),
        (
            &["brackets"],
            Client::signing(|signed| signed.query = Some("a%255Bb%255D=x+y&c=%7E&d=1&d=2&e=s%20t")),
        ),
        (&["brackets"], Client::rewriting(|base| base.replace("%255B", "%5B").replace("%255D", "%5D"))),
        (
            &["repeated_parameter"],
            Client::signing(|signed| signed.query = Some("a%5Bb%5D=x+y&c=%7E&d=1&e=s%20t")),
        ),
        (
            &["parameter_unsigned"],
            Client::signing(|signed| signed.query = Some("a%5Bb%5D=x+y&d=1&d=2&e=s%20t")),
        ),
        (&["plus"], Client::rewriting(|base| base.replace("%2520", "%2B"))),
        (&["tilde"], Client::rewriting(|base| base.replace('~', "%257E"))),
        (
            &["encoded_once"],
            Client::rewriting(|base| {
                base.replace("%255B", "%5B").replace("%255D", "%5D").replace("%2520", "%20")
            }),
        ),
        (&["secrets_swapped"], Client::keyed(TrialKey::joined(token, consumer))),
        (&["token_secret_empty"], Client::keyed(TrialKey::joined(consumer, b""))),
        (&["token_secret_missing"], Client::keyed(TrialKey::verbatim(consumer))),
        (&["consumer_secret_empty"], Client::keyed(TrialKey::joined(b"", token))),
        (&["key_for_secret"], Client::keyed(TrialKey::joined(CONSUMER_KEY.as_bytes(), token))),
        (&["token_for_secret"], Client::keyed(TrialKey::joined(consumer, TOKEN.as_bytes()))),
        (&["signature_method"], Client { method: SignatureMethod::HmacSha1, ..Client::new() }),
        (&["scheme", "secrets_swapped"], {
            let mut client = Client::keyed(TrialKey::joined(token, consumer));
            client.signed.scheme = Scheme::Https;
            client
        }),
        (
            &["signature_spelling"],
            Client { spell: |text| text.trim_end_matches('=').to_owned(), ..Client::new() },
        ),
        (&["clock"], Client { timestamp: (NOW - 3600).to_string(), ..Client::new() }),
        (&["clock"], Client { timestamp: (NOW + 3600).to_string(), ..Client::new() }),
        (&["milliseconds"], Client { timestamp: format!("{NOW}000"), ..Client::new() }),
        (&["secrets"], Client::keyed(TrialKey::joined(b"another", b"pair"))),
        (
            &["version_not_sent"],
            Client::rewriting(|base| {
                base.replace(
                    "rcnp1r0ttgql8dyfay14d83fjc7k5q78",
                    "rcnp1r0ttgql8dyfay14d83fjc7k5q78%26oauth_version%3D1.0",
                )
            }),
        ),
    ];
    for (expected, client) in mistakes {
        let explained = desk.explain(client.request().as_bytes(), NOW);
        let mut causes: Vec<&str> = explained.causes.iter().map(|cause| cause.name).collect();
        let mut expected = expected.to_vec();
        causes.sort_unstable();
        expected.sort_unstable();
        assert_eq!(causes, expected, "{}", explained.text());
        assert!(explained.verdict.outcome.is_err(), "{expected:?}");
    }
}

#[test]
fn bodies_that_are_signed_wrongly_are_named() {
    let upstream = Upstream::start();
    let gate = setup(&upstream, false).start();
    let desk = Desk::open(&setup(&upstream, false), &gate.folder);
    let path = "/rest/default/V1/products/a%2Fb";
    for (kind, body, signed, cause) in [
        ("application/x-www-form-urlencoded", "p=1&q=2", None, Some("form_unsigned")),
        ("application/x-www-form-urlencoded", "p=1&q=2", Some("p=1&q=2"), None),
        ("application/json", r#"{"p":"1","q":2}"#, None, None),
        ("application/json", r#"{"p":"1","q":2}"#, Some("p=1&q=2"), Some("body_signed")),
        ("text/plain", "p=1", Some("p=1"), Some("body_signed")),
    ] {
        let client = Client::signing(|request| {
            request.method = "PUT";
            request.query = None;
            request.form = signed.map(str::as_bytes);
        });
        let request = format!(
            "PUT {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nAuthorization: {}\r\n\r\n{body}",
            body.len(),
            client.authorization()
        );
        let explained = desk.explain(request.as_bytes(), NOW);
        let names: Vec<&str> = explained.causes.iter().map(|cause| cause.name).collect();
        assert_eq!(names, Vec::from_iter(cause), "{}", explained.text());
    }
}

/// Every secret of the recordings: passwords, secrets, tokens, the crypt key.
fn canaries() -> Vec<String> {
    fn collect(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    let is_secret = ["secret", "password", "token"].iter().any(|part| name.contains(part));
                    match value.as_str() {
                        Some(text) if is_secret && text.len() > 8 && name != "token_type" => {
                            found.push(text.to_owned());
                        }
                        _ => collect(value, found),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let path = format!("{}/tests/corpus/fixture_credentials.json", env!("CARGO_MANIFEST_DIR"));
    let mut found = vec![CRYPT_KEY.to_owned()];
    collect(&serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap(), &mut found);
    assert!(found.len() > 20, "{}", found.len());
    found
}

/// What a request carries that no explanation may repeat.
fn credentials_of(request: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(request);
    let head = text.split("\r\n\r\n").next().unwrap_or_default();
    let mut found = Vec::new();
    for line in head.split("\r\n").skip(1) {
        let (name, value) = line.split_once(':').unwrap_or_default();
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "authorization" if value.to_ascii_lowercase().starts_with("bearer ") => {
                found.extend(value.split_whitespace().skip(1).map(str::to_owned));
            }
            "authorization" => {
                for parameter in ["oauth_token=\"", "oauth_signature=\""] {
                    let rest = value.split(parameter).nth(1).unwrap_or_default();
                    found.push(rest.split('"').next().unwrap_or_default().to_owned());
                }
            }
            "cookie" => found.extend(value.split([';', '=']).map(|part| part.trim().to_owned())),
            _ => {}
        }
    }
    found.retain(|secret| secret.len() >= 12);
    found
}

#[test]
fn no_explanation_holds_a_secret_token_or_cookie() {
    let upstream = Upstream::start();
    let gate = setup(&upstream, true).start();
    let desk = Desk::open(&setup(&upstream, true), &gate.folder);
    let canaries = canaries();
    let mut explained = 0;
    let topics = [
        "guest",
        "bearer_header",
        "bearer_acl",
        "bearer_invalid",
        "oauth_signed",
        "oauth_encoding",
        "oauth_nonce_extra",
        "integration_bearer",
        "session",
        "jwt_algorithms",
        "opaque_mode",
        "graphql",
        "token_issue",
        "oauth_handshake",
        "random",
    ];
    for topic in topics {
        for (number, case) in recorded(topic).into_iter().enumerate() {
            if topic == "random" && number % 8 != 0 {
                continue;
            }
            let Ok(inquiry) = Inquiry::read(&case.request, None) else { continue };
            let explanation = desk.explain_inquiry(&inquiry, case.time);
            let said = explanation.text() + &explanation.json().to_string();
            for secret in canaries.iter().chain(&credentials_of(&case.request)) {
                assert!(!said.contains(secret.as_str()), "{} tells {secret}:\n{said}", case.name);
            }
            explained += 1;
        }
    }
    println!("{explained} explanations without a secret");
    assert!(explained > 700);
}

#[test]
fn misplaced_secrets_are_taken_out_too() {
    let upstream = Upstream::start();
    let gate = setup(&upstream, true).start();
    let desk = Desk::open(&setup(&upstream, true), &gate.folder);
    let authorization = Client::new().authorization();
    for request in [
        format!(
            "GET /rest/V1/{TOKEN}?access_token={TOKEN}&password=hunter2hunter2 HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
        ),
        format!(
            "GET /rest/V1/products HTTP/1.1\r\nHost: {TOKEN}\r\nAuthorization: Bearer {TOKEN}\r\nCookie: PHPSESSID={TOKEN_SECRET}\r\n\r\n"
        ),
        format!(
            "GET /rest/V1/products?s={CONSUMER_SECRET}&t={TOKEN_SECRET} HTTP/1.1\r\nHost: h\r\nAuthorization: {authorization}\r\n\r\n"
        ),
        format!(
            "POST /rest/V1/products HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\nAuthorization: {authorization}\r\n\r\npassword=hunter2hunter2&b={CONSUMER_SECRET}"
        ),
        format!(
            "GET /rest/V1/products HTTP/1.1\r\nHost: h\r\nAuthorization: {authorization}, oauth_consumer_secret=\"{CONSUMER_SECRET}\"\r\n\r\n"
        ),
        format!("GET /rest/V1/products HTTP/1.1\r\nHost: h\r\nAuthorization: Basic {TOKEN_SECRET}\r\n\r\n"),
        format!(
            "curl -u {TOKEN}:{TOKEN_SECRET} 'https://x:{CONSUMER_SECRET}@h/rest/V1/products' -H 'Authorization: Bearer {TOKEN}' -b 'a={TOKEN_SECRET}'"
        ),
    ] {
        let explanation = desk.explain(request.as_bytes(), NOW);
        let said = explanation.text() + &explanation.json().to_string();
        for secret in [CONSUMER_SECRET, TOKEN_SECRET, TOKEN, "hunter2hunter2"] {
            assert!(!said.contains(secret), "{secret} in\n{said}");
        }
    }
}

#[test]
fn a_nonce_of_a_running_gate_is_seen() {
    let upstream = Upstream::start();
    let gate = setup(&upstream, false).at(NOW).start();
    let desk = Desk::open(&setup(&upstream, false), &gate.folder);
    let request = Client::new().request();
    assert!(desk.explain(request.as_bytes(), NOW).text().contains("not used yet"));
    assert_eq!(exchange(gate.proxy, request.as_bytes()).status(), 200);
    let explained = desk.explain(request.as_bytes(), NOW);
    assert!(explained.text().contains("used before by consumer 1"), "{}", explained.text());
    assert_eq!(explained.verdict.outcome.unwrap_err().reason(), "oauth_nonce_used");
    let without = setup(&upstream, false).with("nonces", "journal = \"\"");
    let desk = Desk::open(&without, &gate.folder);
    assert!(desk.explain(request.as_bytes(), NOW).text().contains("nonce               not checked"));
}

#[test]
fn the_command_reads_standard_input_beside_a_running_gate() {
    let upstream = Upstream::start();
    let gate = setup(&upstream, false).at(NOW).start();
    let file = gate.folder.join("portcullis.toml");
    std::fs::write(&file, setup(&upstream, false).toml()).unwrap();
    let run = |arguments: &[&str], input: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.arg("explain").arg("--config").arg(&file).args(arguments);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap(), error)
    };
    let mut wrong = Client::signing(|signed| signed.scheme = Scheme::Https);
    wrong.timestamp = NOW.to_string();
    let curl = format!(
        "curl 'http://{HOST}/rest/default/V1/products/a%2Fb?{QUERY}' -g \\\n  -H 'Authorization: {}'",
        wrong.authorization()
    );
    let at = NOW.to_string();
    let (code, text, _) = run(&["--at", &at], &curl);
    println!("{text}");
    assert_eq!(code, 0, "explained, though it would be refused");
    assert!(text.contains("likely cause\n  scheme "), "{text}");
    assert!(text.contains("oauth_signature_invalid"), "{text}");
    let (code, json, _) = run(&["--at", &at, "--json", "--scheme", "https"], &curl);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, json["verdict"]["outcome"].as_str()), (0, Some("forwarded to the upstream")));
    assert_eq!(json["signature"]["rfc5849"]["matches"], true);
    let shown = |arguments: &[&str]| {
        let json: Value = serde_json::from_str(&run(arguments, &curl).1).unwrap();
        json["signature"]["presented"].as_str().unwrap().chars().count()
    };
    assert_eq!(shown(&["--at", &at, "--json"]), 7);
    assert_eq!(shown(&["--at", &at, "--json", "--show-signatures"]), 44);
    let (code, _, error) = run(&[], "");
    assert_eq!(code, 1);
    assert!(error.contains("no request on standard input"), "{error}");
}
