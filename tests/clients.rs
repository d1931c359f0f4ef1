//! Real, unmodified clients of the Magento API through a running gate.
//!
//! Each client runs as a process of its own (`tests/clients/with_*`) and checks the answers it gets: a filtered product
//! list, a SKU with a slash, a JSON POST, a wrong secret, a replay of what it sent itself. This side checks what reached
//! the upstream: who the gate says is calling, and the target byte for byte. The clients are not modified, so the gate
//! runs on the machine's clock. `tests/all` installs them; without them these tests fail and say so.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot go on must stop"
)]

#[path = "support/mod.rs"]
mod support;

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpStream,
    process::{Command, Output, Stdio},
    time::Duration,
};

use portcullis::{
    auth::{
        crypt_keys::CryptKeys,
        identity::UserType,
        jwt::{Claims, JwtAlgorithm, JwtVerifier},
    },
    clock::Clock,
    config::Config,
    server::integration_service,
    service::{Origin, audit::Audit, authorization::Grants, integration::NewIntegration},
    store::records::SetupType,
};
use serde_json::{Value, json};
use support::{
    gate::{CRYPT_KEY, Gate, Setup},
    upstream::Upstream,
    wire::Message,
};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A real client, the script that drives it, and how it spells what clients disagree about.
#[derive(Clone, Copy)]
struct Client {
    name: &'static str,
    script: &'static str,
    /// The Python module or Node package to import.
    module: &'static str,
    /// The folder of its Python, where it is one's.
    python: &'static str,
    /// A pair of brackets in the name of a query parameter.
    brackets: [&'static str; 2],
    /// A blank in the value of a query parameter.
    blank: &'static str,
    /// What it asks for when it wants one product.
    product_target: &'static str,
}

const REQUESTS_OAUTHLIB: Client = Client {
    name: "requests-oauthlib",
    script: "with_requests_oauthlib.py",
    module: "requests_oauthlib",
    python: "python",
    brackets: ["%5B", "%5D"],
    blank: "+",
    product_target: "/rest/V1/products/24%2FMB%2001",
};

const AUTHLIB: Client =
    Client { name: "Authlib", script: "with_authlib.py", module: "authlib", ..REQUESTS_OAUTHLIB };

const MAGENTO_API_REST: Client = Client {
    name: "magento-api-rest",
    script: "with_magento_api_rest.js",
    module: "magento-api-rest",
    python: "",
    brackets: ["[", "]"],
    blank: "%20",
    product_target: "/rest/V1/products/24%2FMB%2001?searchCriteria=",
};

const PYMAGENTO: Client = Client {
    name: "PyMagento",
    script: "with_pymagento.py",
    module: "magento",
    product_target: "/rest/all/V1/products/24%2FMB%2001",
    ..REQUESTS_OAUTHLIB
};

/// Its module has the name of the other one's, so it is installed apart.
const MY_MAGENTO: Client =
    Client { name: "my-magento", script: "with_my_magento.py", python: "python-apart", ..PYMAGENTO };

const SIGNING: [Client; 3] = [REQUESTS_OAUTHLIB, AUTHLIB, MAGENTO_API_REST];

/// What a client that signs goes through.
const SIGNED_STEPS: [&str; 7] =
    ["list 200", "sku 200", "post 200", "wrong_secret 401", "replay 401", "replay 401", "replay 401"];

/// What a client with a bearer token goes through.
const BEARER_STEPS: [&str; 5] = ["list 200", "sku 200", "post 200", "unknown_token 401", "revoked_token 401"];

#[test]
#[ignore = "needs real clients; run tests/all"]
fn signing_clients_are_served_and_refused_as_magento_does() {
    for client in SIGNING {
        let (upstream, gate) = shop("");
        let lines = client.run(&gate, &[("SIGNATURE_METHOD", "HMAC-SHA256")]);
        client.assert_served(&lines, &SIGNED_STEPS, &upstream, &integration("oauth1"));
    }
}

#[test]
#[ignore = "needs real clients; run tests/all"]
fn clients_that_sign_with_hmac_sha1_are_told_so_by_default() {
    for client in SIGNING {
        let (upstream, gate) = shop("");
        let lines = client.run(&gate, &[("SIGNATURE_METHOD", "default"), ("SCENARIO", "refused")]);
        assert_eq!(steps(&lines), ["list 400"], "{}", client.name);
        assert!(upstream.take().is_empty(), "{}: nothing is forwarded", client.name);
    }
}

#[test]
#[ignore = "needs real clients; run tests/all"]
fn clients_that_sign_with_hmac_sha1_are_served_where_it_is_accepted() {
    for client in SIGNING {
        let (upstream, gate) = shop(r#"signature_methods = ["HMAC-SHA256", "HMAC-SHA1"]"#);
        let lines = client.run(&gate, &[("SIGNATURE_METHOD", "default")]);
        client.assert_served(&lines, &SIGNED_STEPS, &upstream, &integration("oauth1"));
    }
}

#[test]
#[ignore = "needs real clients; run tests/all"]
fn pymagento_with_an_admin_jwt_is_served_until_it_is_revoked() {
    let (upstream, gate) = shop("");
    let now = Clock::system().now();
    gate.sql(&format!("INSERT INTO jwt_auth_revoked VALUES (2, 2, {})", now.seconds()));
    let (token, revoked) = (admin_jwt(1), admin_jwt(2));
    let lines = PYMAGENTO.run(&gate, &[("TOKEN", &token), ("REVOKED_TOKEN", &revoked)]);
    let admin = [
        ("x-auth-user-type", "admin"),
        ("x-auth-user-id", "1"),
        ("x-auth-method", "jwt"),
        ("x-auth-role-name", "Administrators"),
    ];
    PYMAGENTO.assert_served(&lines, &BEARER_STEPS, &upstream, &admin);
}

#[test]
#[ignore = "needs real clients; run tests/all"]
fn pymagento_with_an_integration_token_needs_the_setting() {
    let upstream = Upstream::answering(answer);
    let tokens = [("TOKEN", credential("full", "token")), ("REVOKED_TOKEN", credential("revoked", "token"))];
    let [token, revoked] = tokens.each_ref().map(|(name, value)| (*name, value.as_str()));

    let gate = Setup::before(upstream.address).on_system_time().start();
    let lines = PYMAGENTO.run(&gate, &[token, ("SCENARIO", "refused")]);
    assert_eq!(steps(&lines), ["sku 401"]);
    assert!(upstream.take().is_empty(), "nothing is forwarded");

    let gate = Setup::before(upstream.address)
        .on_system_time()
        .with("magento", "integration_as_bearer = true")
        .start();
    let lines = PYMAGENTO.run(&gate, &[token, revoked]);
    PYMAGENTO.assert_served(&lines, &BEARER_STEPS, &upstream, &integration("bearer"));
}

/// It signs in at the gate, which issues the token, and reads the shop through the gate; a refused token makes it sign in again.
#[test]
#[ignore = "needs real clients; run tests/all"]
fn my_magento_signs_in_with_a_password_and_lists_products() {
    let products = json!([
        {"id": 1, "sku": "24-MB01", "name": "Joust Duffle Bag", "price": 34, "status": 1, "type_id": "simple"},
        {"id": 2, "sku": "24-MB04", "name": "Strive Shoulder Pack", "price": 32, "status": 1, "type_id": "simple"},
    ]);
    for (issuer, method) in [("jwt", "jwt"), ("opaque", "bearer")] {
        let list = json!({"items": products, "search_criteria": {"filter_groups": []}, "total_count": 2});
        let websites = json!([{"id": 1, "code": "base", "name": "Main Website", "default_group_id": 1}]);
        let upstream = Upstream::answering(move |request, socket| {
            write_json(socket, if request.target().contains("/products") { &list } else { &websites })
        });
        let setup = Setup::before(upstream.address).on_system_time();
        let gate = setup.with("tokens", &format!("issuer = \"{issuer}\"")).start();
        let lines = MY_MAGENTO.run(&gate, &[("PRODUCTS", &products.to_string())]);
        let refused = "wrong_password Message: \"The account sign-in was incorrect or your account is disabled temporarily. Please wait and try again later.\"";
        assert_eq!(lines, [refused, "login", "list 2", "list_again 2"], "{issuer}");
        let seen = upstream.take();
        let criteria = |group: u8, name: &str| {
            format!("searchCriteria%5Bfilter_groups%5D%5B{group}%5D%5Bfilters%5D%5B0%5D%5B{name}%5D")
        };
        let filter = |group, field: &str, value: &str, condition: &str| {
            let pairs = [("field", field), ("value", value), ("condition_type", condition)];
            pairs.map(|(name, text)| format!("{}={text}", criteria(group, name))).join("&")
        };
        let (sku, status) = (filter(0, "sku", "24-MB%25", "like"), filter(1, "status", "1", "eq"));
        let list = format!("/rest/V1/products/?{sku}&{status}");
        let targets: Vec<_> = seen.iter().map(Message::target).collect();
        assert_eq!(targets, ["/rest/V1/store/websites", &list, "/rest/V1/store/websites", &list], "{issuer}");
        for request in &seen {
            for (header, value) in [
                ("x-auth-user-type", "admin"),
                ("x-auth-user-id", "1"),
                ("x-auth-method", method),
                ("x-auth-role-name", "Administrators"),
            ] {
                assert_eq!(request.all(header), [value], "{issuer}: {header}");
            }
            assert!(request.header("authorization").is_none(), "{issuer}: is stripped");
        }
    }
}

/// Third parties that know of Magento's handshake what its documentation says: they get the post to their callback, fetch
/// their token in three legs, and call the API with it.
#[test]
#[ignore = "needs real clients; run tests/all"]
fn third_parties_fetch_their_token_through_the_handshake() {
    const NODE_OAUTH: Client =
        Client { name: "oauth", script: "third_party.js", module: "oauth", ..MAGENTO_API_REST };
    const PYTHON: Client = Client { script: "third_party.py", ..REQUESTS_OAUTHLIB };
    let settings =
        "allow_http = true\nallow_networks = [\"127.0.0.1\"]\nstore_base_url = \"http://shop.example/\"";
    for client in [PYTHON, NODE_OAUTH] {
        let upstream = Upstream::answering(answer);
        let setup = || Setup::before(upstream.address).on_system_time().with("handshake", settings);
        let gate = setup().start();
        let config = Config::from_toml(&setup().toml(), &gate.folder).unwrap();
        client.assert_installed();
        let mut command = client.interpreter();
        command.arg(format!("{ROOT}/tests/clients/{}", client.script));
        command.env("GATE", format!("http://{}", gate.proxy));
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let port = lines.next().unwrap().strip_prefix("listening ").unwrap().to_owned();
        activate(&config, client.name, &format!("http://127.0.0.1:{port}/callback"));
        let seen: Vec<String> = lines.collect();
        assert!(child.wait().unwrap().success(), "{}: {seen:?}", client.name);
        assert_eq!(seen, ["request 200", "again 401", "access 200", "call 200"], "{}", client.name);
        let forwarded = upstream.take();
        let last = forwarded.last().unwrap();
        assert_eq!(last.all("x-auth-integration-name"), [client.name]);
        assert_eq!(last.all("x-auth-method"), ["oauth1"]);
        let status = format!("SELECT status FROM integration WHERE name = '{}'", client.name);
        assert_eq!(gate.rows(&status), [["1"]]);
    }
}

/// Makes an integration and activates it, as a command beside the gate does.
fn activate(config: &Config, name: &str, endpoint: &str) {
    let new = NewIntegration {
        name: name.to_owned(),
        email: String::new(),
        endpoint: Some(endpoint.to_owned()),
        identity_link_url: Some("https://app.example/login".to_owned()),
        setup_type: SetupType::Manual,
        grants: Grants::Resources(vec!["Magento_Backend::store".to_owned()]),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let service = integration_service(config, Audit::off(), Clock::system()).await.unwrap();
        let origin = Origin::local("test");
        let made = service.create(&new, &origin).await.unwrap();
        service.activate(made.id, &origin).await.unwrap();
    });
}

/// A gate before a shop with one product.
fn shop(oauth: &str) -> (Upstream, Gate) {
    let upstream = Upstream::answering(answer);
    let gate = Setup::before(upstream.address).on_system_time().with("oauth", oauth).start();
    (upstream, gate)
}

/// Answers as Magento does: a search result, a product, or the product that was sent, saved.
fn answer(request: &Message, socket: &mut TcpStream) -> bool {
    let sku = data()["sku"].clone();
    let path = request.target().split('?').next().unwrap_or_default();
    let body = if request.method() == "POST" {
        let sent: Value = serde_json::from_slice(&request.body).unwrap();
        let mut product = sent["product"].clone();
        product["id"] = json!(7);
        product
    } else if path.trim_end_matches('/').ends_with("/products") {
        json!({"items": [{"id": 1, "sku": sku}], "search_criteria": {"page_size": 20}, "total_count": 1})
    } else {
        json!({"id": 1, "sku": sku, "name": "Joust Duffle Bag"})
    };
    write_json(socket, &body)
}

fn write_json(socket: &mut TcpStream, body: &Value) -> bool {
    let body = body.to_string();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\n";
    write!(socket, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).is_ok()
}

impl Client {
    /// Runs the client's script to its end and returns the lines that it printed.
    fn run(&self, gate: &Gate, settings: &[(&str, &str)]) -> Vec<String> {
        self.assert_installed();
        let mut command = self.interpreter();
        command.arg(format!("{ROOT}/tests/clients/{}", self.script));
        command.env("GATE", format!("http://{}", gate.proxy)).env("SCENARIO", "served");
        for (name, key) in [
            ("CONSUMER_KEY", "consumer_key"),
            ("CONSUMER_SECRET", "consumer_secret"),
            ("TOKEN", "token"),
            ("TOKEN_SECRET", "token_secret"),
        ] {
            command.env(name, credential("full", key));
        }
        let Output { status, stdout, stderr } = command.envs(settings.iter().copied()).output().unwrap();
        let (printed, said) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert!(status.success(), "{}: {status}\n{printed}{said}", self.name);
        printed.lines().map(str::to_owned).collect()
    }

    fn assert_installed(&self) {
        let import = if self.is_python() {
            ["-c".to_owned(), format!("import {}", self.module)]
        } else {
            ["-e".to_owned(), format!("require('{}')", self.module)]
        };
        let is_there = self.interpreter().args(import).output().is_ok_and(|output| output.status.success());
        assert!(is_there, "{} is not installed in tests/.cache: run tests/all, which installs it", self.name);
    }

    /// Python or Node as `tests/all` sets them up; a proxy from the environment must not come between.
    fn interpreter(&self) -> Command {
        let mut command = if self.is_python() {
            Command::new(format!("{ROOT}/tests/.cache/{}/bin/python", self.python))
        } else {
            Command::new("node")
        };
        // my-magento keeps logs where it is run.
        command.current_dir(env!("CARGO_TARGET_TMPDIR"));
        command.env("NODE_PATH", format!("{ROOT}/tests/.cache/node/node_modules"));
        command.env("PYTHONDONTWRITEBYTECODE", "1").env("NO_PROXY", "*").env("no_proxy", "*");
        command
    }

    fn is_python(&self) -> bool {
        self.script.ends_with(".py")
    }

    /// What was printed are these steps, and the three that were served reached the upstream as they were sent.
    fn assert_served(
        &self,
        lines: &[String],
        expected: &[&str],
        upstream: &Upstream,
        identity: &[(&str, &str)],
    ) {
        assert_eq!(steps(lines), expected, "{}", self.name);
        let [list, product, post] = upstream.take().try_into().expect("three requests are forwarded");
        for (request, line) in [&list, &product, &post].into_iter().zip(lines) {
            assert_eq!(Some(request.target()), line.split(' ').nth(2), "{}: goes on as sent", self.name);
            for (header, value) in [identity, &[("x-auth-resource", "Magento_Catalog::products")]].concat() {
                assert_eq!(request.all(header), [value], "{}: {header}", self.name);
            }
            assert_eq!(request.all("x-auth-acl"), ["all"], "{}", self.name);
            assert!(request.header("authorization").is_none(), "{}: is stripped", self.name);
        }
        self.assert_list(list.target());
        assert_eq!(product.target(), self.product_target, "{}", self.name);
        let sent: Value = serde_json::from_slice(&post.body).unwrap();
        assert_eq!(sent["product"], data()["product"], "{}", self.name);
    }

    /// Every filter is there, in this client's spelling.
    fn assert_list(&self, target: &str) {
        let ([open, close], blank) = (self.brackets, self.blank);
        for (group, place, name, value) in [
            (0, 0, "value", format!("%25Duffle{blank}Bag%25")),
            (0, 1, "value", "MB%2B01".to_owned()),
            (1, 0, "value", "Caf%C3%A9".to_owned()),
            (2, 0, "condition_type", "eq".to_owned()),
        ] {
            let index = [
                "filter_groups".to_owned(),
                group.to_string(),
                "filters".to_owned(),
                place.to_string(),
                name.to_owned(),
            ];
            let index: String = index.iter().map(|part| format!("{open}{part}{close}")).collect();
            let parameter = format!("searchCriteria{index}={value}");
            assert!(target.contains(&parameter), "{}: {parameter} in {target}", self.name);
        }
    }
}

/// `step status` of every line.
fn steps(lines: &[String]) -> Vec<String> {
    lines.iter().map(|line| line.splitn(3, ' ').take(2).collect::<Vec<_>>().join(" ")).collect()
}

/// What the upstream reads of the recordings' first integration.
fn integration(method: &'static str) -> [(&'static str, &'static str); 6] {
    [
        ("x-auth-user-type", "integration"),
        ("x-auth-user-id", "1"),
        ("x-auth-method", method),
        ("x-auth-consumer-id", "1"),
        ("x-auth-integration-id", "1"),
        ("x-auth-integration-name", "full"),
    ]
}

/// A JWT as Magento issues it, an hour long.
fn admin_jwt(user_id: u32) -> String {
    let now = Clock::system().now();
    let expires_at = now.plus(Duration::from_secs(3600));
    let claims = Claims { user_type: UserType::Admin, user_id, issued_at: now, expires_at };
    JwtVerifier::new(&CryptKeys::parse(CRYPT_KEY).unwrap(), JwtAlgorithm::Hs256).sign(&claims)
}

fn credential(integration: &str, key: &str) -> String {
    let credentials: Value = serde_json::from_str(include_str!("corpus/fixture_credentials.json")).unwrap();
    credentials["integrations"][integration][key].as_str().unwrap().to_owned()
}

/// What the clients send and expect (`tests/clients/steps.json`).
fn data() -> Value {
    serde_json::from_str(include_str!("clients/steps.json")).unwrap()
}
