//! Integrations that the configuration declares, through the real gate and the real command.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on must stop"
)]

mod support;

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use portcullis::{
    auth::{
        oauth1::{Reading, Scheme, SignatureMethod, SignedRequest, Signer, SigningKey},
        time::UnixTime,
    },
    clock::Clock,
    config::Config,
    server::{App, integration_service},
    service::{Origin, audit::Audit, integration::IntegrationService},
    store::records::IntegrationStatus,
};
use support::{
    gate::{Gate, Setup},
    upstream::Upstream,
    wire::{exchange, request},
};

const NOW: i64 = 1_795_248_000;
const NAME: &str = "Declared warehouse";
/// A route that needs `Magento_Backend::admin`.
const MODULES: &str = "/rest/V1/modules";

fn declared(email: &str) -> String {
    format!("declared = [{{ name = '{NAME}', email = '{email}', resources = ['Magento_Backend::admin'] }}]")
}

fn setup(upstream: &Upstream, email: &str) -> Setup {
    Setup::before(upstream.address).at(NOW).with("integrations", &declared(email))
}

/// What a signer needs.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Credentials {
    key: String,
    secret: String,
    token: String,
    token_secret: String,
}

/// Does something with the services beside the gate.
fn beside<T>(config: &Config, work: impl AsyncFnOnce(IntegrationService) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let clock = Clock::given(|| UnixTime::from_seconds(NOW));
        work(integration_service(config, Audit::off(), clock).await.unwrap()).await
    })
}

fn activate(config: &Config) -> Credentials {
    beside(config, async |service| {
        let id = service.find_by_name(NAME).await.unwrap().unwrap().id;
        service.activate(id, &Origin::local("cli:root")).await.unwrap();
        let details = service.get(id).await.unwrap();
        let token = details.access_token.unwrap();
        Credentials {
            key: details.consumer_key.unwrap(),
            secret: details.consumer_secret.unwrap().expose().clone(),
            token: token.token.expose().clone(),
            token_secret: token.secret.expose().clone(),
        }
    })
}

fn status(config: &Config) -> IntegrationStatus {
    beside(config, async |service| service.find_by_name(NAME).await.unwrap().unwrap().status)
}

/// The status of a signed request.
fn call(gate: &Gate, by: &Credentials, nonce: &str) -> u16 {
    let key = SigningKey::new(by.secret.as_bytes(), by.token_secret.as_bytes()).unwrap();
    let signer = Signer {
        consumer_key: &by.key,
        token: &by.token,
        key: &key,
        method: SignatureMethod::HmacSha256,
        reading: Reading::Rfc5849,
    };
    let signed = SignedRequest {
        method: "GET",
        scheme: Scheme::Http,
        host: "shop.test",
        path: MODULES,
        query: None,
        form: None,
    };
    let header = signer.authorization(&signed, &NOW.to_string(), nonce);
    let headers = [("Host", "shop.test"), ("Authorization", header.as_str())];
    exchange(gate.proxy, &request("GET", MODULES, &headers, b"")).status()
}

#[test]
fn a_change_of_the_configuration_shuts_out_until_somebody_activates_again() {
    let upstream = Upstream::start();
    let gate = setup(&upstream, "it@example.com").start();
    let config = Config::from_toml(&setup(&upstream, "it@example.com").toml(), &gate.folder).unwrap();
    assert_eq!(status(&config), IntegrationStatus::Inactive);
    let first = activate(&config);
    assert_eq!(call(&gate, &first, "first"), 200);
    let folder = gate.folder.clone();
    let kept = gate.stop();

    let gate = setup(&upstream, "it@example.com").in_folder(&folder).start();
    assert_eq!(call(&gate, &first, "second"), 200, "nothing has changed");
    gate.stop();

    let gate = setup(&upstream, "new@example.com").in_folder(&folder).start();
    assert_eq!(status(&config), IntegrationStatus::Recreated);
    assert_eq!(call(&gate, &first, "third"), 401);
    let second = activate(&config);
    assert!(second.key != first.key && second.token != first.token);
    assert_eq!(call(&gate, &second, "fourth"), 200);
    assert_eq!(call(&gate, &first, "fifth"), 401, "the old credentials stay dead");
    gate.stop();
    drop(kept);
}

fn portcullis(folder: &Path, arguments: &[&str]) -> Output {
    let config = folder.join("portcullis.toml");
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(arguments).args(["--config", config.to_str().unwrap()]).output().unwrap()
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn the_command_applies_file_and_configuration_together() {
    let upstream = Upstream::start();
    let folder = tempfile::tempdir().unwrap();
    let lines = format!("file = 'integrations.json'\n{}", declared("it@example.com"));
    let with = |lines: &str| Setup::before(upstream.address).with("integrations", lines);
    let file = folder.path().join("integrations.json");
    fs::write(&file, r#"[{"name": "Of a module", "email": "a@b.c", "resources": "all"}]"#).unwrap();
    with(&lines).prepare(folder.path());
    let apply = |flags: &[&str]| {
        let arguments = [&["integration", "apply"], flags].concat();
        stdout(&portcullis(folder.path(), &arguments))
    };
    let made = "Of a module: made; activate it\nDeclared warehouse: made; activate it\n";
    assert_eq!(apply(&["--dry-run"]), made);
    assert_eq!(apply(&[]), made);
    assert_eq!(apply(&[]), "Of a module: unchanged\nDeclared warehouse: unchanged\n");
    fs::write(&file, r#"[{"name": "Of a module", "email": "a@b.c", "resources": []}]"#).unwrap();
    let again =
        "Of a module: recreated, different: resources; activate it again\nDeclared warehouse: unchanged\n";
    assert_eq!(apply(&["--dry-run"]), again);
    assert_eq!(apply(&[]), again);
    fs::write(&file, "[]").unwrap();
    let left = "Declared warehouse: unchanged\nOf a module: declared no more; it stays, --prune deletes it\n";
    assert_eq!(apply(&[]), left);
    assert_eq!(apply(&["--prune"]), left.replace("it stays, --prune deletes it", "deleted"));
    assert_eq!(apply(&["--prune"]), "Declared warehouse: unchanged\n");
}

#[test]
fn what_cannot_be_had_keeps_the_gate_from_starting() {
    let upstream = Upstream::start();
    let folder = tempfile::tempdir().unwrap();
    let with = |lines: &str| Setup::before(upstream.address).with("integrations", lines);
    with("").prepare(folder.path());
    let file = folder.path().join("integrations.json");
    let one = |name: &str, resource: &str| {
        format!("declared = [{{ name = '{name}', email = 'a@b.c', resources = ['{resource}'] }}]")
    };
    for (written, lines, reason) in [
        ("", "file = 'missing.json'".to_owned(), "integrations.file: cannot read"),
        ("{", "file = 'integrations.json'".to_owned(), "is not JSON"),
        ("[]", one("Ab", "Magento_Sales::action_view"), "did you mean Magento_Sales::actions_view?"),
        (
            r#"[{"name": "AB", "email": "a@b.c", "resources": []}]"#,
            format!("file = 'integrations.json'\n{}", one("Ab", "Magento_Sales::sales")),
            "integrations: the integration \"Ab\" is declared twice; rename one",
        ),
        (
            "[]",
            one("A", "Magento_Sales::sales"),
            "integrations.declared: integration \"A\": its name is not 2 to",
        ),
    ] {
        fs::write(&file, written).unwrap();
        with(&lines).write(folder.path());
        for command in [&["check"][..], &["integration", "apply"]] {
            let output = portcullis(folder.path(), command);
            let error = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(78), "{error}");
            assert!(error.contains(reason), "{reason}: {error}");
        }
        if let Ok(config) = Config::from_toml(&with(&lines).toml(), folder.path()) {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
            let error = runtime.block_on(App::build(config, Clock::system())).unwrap_err().to_string();
            assert!(error.contains(reason), "{reason}: {error}");
        }
    }
}
