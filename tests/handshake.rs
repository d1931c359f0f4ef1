//! Integrations and their handshake through the real gate: who gets a token, when, and what ends it.
//!
//! The clock is given, the third party is a small server of the test's own, and its requests are signed by hand.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on must stop"
)]

#[path = "support/mod.rs"]
mod support;

use std::{io::Write as _, net::SocketAddr, thread, time::Duration};

use portcullis::{
    auth::{secret::Secret, time::UnixTime},
    clock::Clock,
    config::Config,
    server::{App, integration_service},
    service::{
        Origin, ServiceError,
        audit::Audit,
        authorization::Grants,
        callback::{CallbackDoor, CallbackError, CallbackRules, CallbackUrl},
        integration::{Activation, IntegrationChanges, IntegrationService, NewIntegration},
        oauth::AccessToken,
    },
    store::{
        cache::Cached,
        facts::Lookup,
        grant::CredentialKey,
        records::{IntegrationStatus, SetupType},
        sql::{SqlStore, Stale},
    },
};
use support::{
    gate::{Gate, Setup},
    party::{Signature, signed},
    upstream::Upstream,
    wire::{Message, exchange, request},
};

const NOW: i64 = 1_795_248_000;
const SETTINGS: &str =
    "allow_http = true\nallow_networks = [\"127.0.0.0/8\"]\nstore_base_url = \"http://shop.example/\"";
const REQUEST: &str = "/oauth/token/request";
const ACCESS: &str = "/oauth/token/access";
const WEBSITES: &str = "/rest/V1/store/websites";

/// A gate, and the services as a command beside it has them.
struct Shop {
    _upstream: Upstream,
    gate: Gate,
    config: Config,
}

impl Shop {
    /// How many older secrets and tokens the job of rotations deletes.
    fn swept(&self, now: UnixTime) -> Vec<u64> {
        block_on(async {
            let store = SqlStore::open(&self.config.store.database.url()).await.unwrap();
            let mut deleted = Vec::new();
            for stale in [Stale::OlderSecrets(now), Stale::OlderTokens(now)] {
                deleted.push(store.sweep(stale, 100).await.unwrap().deleted);
            }
            deleted
        })
    }

    fn open(more: &str) -> Self {
        let upstream = Upstream::start();
        let setup = || {
            Setup::before(upstream.address)
                .at(NOW)
                .with("handshake", &format!("{SETTINGS}\n{more}"))
                .with("cache", "negative_ttl = \"1s\"")
                // The clock jumps, and a journal whose heartbeat is late refuses.
                .with("nonces", "journal = \"\"")
        };
        let gate = setup().start();
        let config = Config::from_toml(&setup().toml(), &gate.folder).unwrap();
        Self { _upstream: upstream, gate, config }
    }

    /// Does something with the services at a time.
    fn at<T>(&self, now: i64, work: impl AsyncFnOnce(IntegrationService) -> T) -> T {
        block_on(async {
            let clock = Clock::given(move || UnixTime::from_seconds(now));
            let service = integration_service(&self.config, Audit::off(), clock).await.unwrap();
            work(service).await
        })
    }

    /// An integration with a third party, and what that was sent on activation.
    fn with_third_party(&self, name: &str) -> Party {
        let endpoint = third_party();
        let new = integration(name, Some(&format!("http://{}/callback", endpoint.address)));
        let (id, activation) = self.at(NOW, async |service| {
            let id = service.create(&new, &me()).await.unwrap().id;
            (id, service.activate(id, &me()).await.unwrap())
        });
        let Activation::Sent { login_url, consumer_key } = activation else { panic!("was sent") };
        let link = "https://app.example/login?x=1&oauth_consumer_key=";
        assert_eq!(login_url, format!("{link}{consumer_key}"));
        let posted = endpoint.take().pop().unwrap().text();
        let field = |name: &str| {
            let fields = posted.split('&').filter_map(|field| field.split_once('='));
            fields.clone().find(|(known, _)| *known == name).unwrap().1.to_owned()
        };
        assert_eq!(field("store_base_url"), "http%3A%2F%2Fshop.example%2F");
        let (key, secret) = (field("oauth_consumer_key"), field("oauth_consumer_secret"));
        Party { id, key, secret, verifier: field("oauth_verifier") }
    }

    fn rows(&self, query: &str) -> Vec<Vec<String>> {
        self.gate.rows(query)
    }
}

/// What a third party knows.
#[derive(Clone)]
struct Party {
    id: u32,
    key: String,
    secret: String,
    verifier: String,
}

impl Party {
    /// Sends a signed request, with the token and its secret where there is one.
    fn send(&self, gate: &Gate, target: &str, token: Option<(&str, &str)>, nonce: &str) -> Message {
        let verifier = (target == ACCESS).then_some(self.verifier.as_str());
        send(gate.proxy, target, self, (token, verifier), (NOW, nonce))
    }

    fn request_token(&self, gate: &Gate, nonce: &str) -> (String, String) {
        pair(&self.send(gate, REQUEST, None, nonce))
    }

    fn access_token(&self, gate: &Gate, (token, secret): &(String, String), nonce: &str) -> (String, String) {
        pair(&self.send(gate, ACCESS, Some((token, secret)), nonce))
    }

    fn calls(&self, gate: &Gate, (token, secret): &(String, String), nonce: &str) -> u16 {
        self.send(gate, WEBSITES, Some((token, secret)), nonce).status()
    }
}

fn send(
    proxy: SocketAddr,
    target: &str,
    party: &Party,
    (token, verifier): (Option<(&str, &str)>, Option<&str>),
    (time, nonce): (i64, &str),
) -> Message {
    let signature = Signature { key: &party.key, secret: &party.secret, token, verifier };
    exchange(proxy, &signed(proxy, target, signature, (time, nonce)))
}

fn pair(answer: &Message) -> (String, String) {
    let text = answer.text();
    let (token, secret) = text.split_once('&').unwrap_or_else(|| panic!("{text}"));
    let value = |field: &str| field.split_once('=').unwrap().1.to_owned();
    (value(token), value(secret))
}

fn third_party() -> Upstream {
    Upstream::answering(|_, socket| write!(socket, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").is_ok())
}

fn integration(name: &str, endpoint: Option<&str>) -> NewIntegration {
    NewIntegration {
        name: name.to_owned(),
        email: "erp@example.com".to_owned(),
        endpoint: endpoint.map(str::to_owned),
        identity_link_url: endpoint.map(|_| "https://app.example/login?x=1".to_owned()),
        setup_type: SetupType::Manual,
        grants: Grants::Resources(vec!["Magento_Backend::store".to_owned()]),
    }
}

fn me() -> Origin {
    Origin::local("cli:test")
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(future)
}

fn text(error: &ServiceError) -> String {
    error.to_string()
}

fn exposed(token: &AccessToken) -> (String, String) {
    (token.token.expose().clone(), token.secret.expose().clone())
}

#[test]
fn a_third_party_gets_a_token_that_works_at_once() {
    let shop = Shop::open("");
    let party = shop.with_third_party("erp");
    let request = party.request_token(&shop.gate, "n1");
    assert_eq!(party.calls(&shop.gate, &request, "n2"), 401, "a request token is no access token");
    let answer = party.send(&shop.gate, ACCESS, Some((&request.0, &request.1)), "n3");
    assert_eq!(answer.header("cache-control").as_deref(), Some("no-store"));
    let access = pair(&answer);
    assert_ne!(access, request);
    // The role was written beside the gate: it is read again within seconds.
    let granted = (0..50).any(|attempt| {
        thread::sleep(Duration::from_millis(200));
        party.calls(&shop.gate, &access, &format!("c{attempt}")) == 200
    });
    assert!(granted);
    let row = shop.rows("SELECT type, token, secret LIKE '0:3:%' FROM oauth_token WHERE verifier IS NOT NULL AND type = 'access' AND callback_url = 'oob' ORDER BY entity_id DESC LIMIT 1");
    assert_eq!(row, [["access", &access.0, "1"]]);
    assert_eq!(
        shop.rows(&format!("SELECT status FROM integration WHERE integration_id = {}", party.id)),
        [["1"]]
    );
}

#[test]
fn of_two_that_race_exactly_one_exchanges() {
    let shop = Shop::open("");
    let party = shop.with_third_party("erp");
    let race = |target: &str, token: Option<(String, String)>| {
        let (gate, party, token) = (&shop.gate, &party, &token);
        thread::scope(|scope| {
            let racers: Vec<_> = (0..8)
                .map(|racer| {
                    let nonce = format!("{}{racer}", target.len());
                    scope.spawn(move || {
                        let token = token.as_ref().map(|(token, secret)| (token.as_str(), secret.as_str()));
                        party.send(gate, target, token, &nonce)
                    })
                })
                .collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).collect::<Vec<_>>()
        })
    };
    let answers = race(REQUEST, None);
    let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status() == 200);
    assert_eq!((won.len(), lost.len()), (1, 7));
    let not_a_verifier =
        "oauth_problem=Cannot+create+request+token+because+consumer+token+is+not+a+verifier+token";
    assert!(lost.iter().all(|answer| answer.text() == not_a_verifier && answer.status() == 401));

    let answers = race(ACCESS, Some(pair(won[0])));
    let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status() == 200);
    assert_eq!((won.len(), lost.len()), (1, 7));
    assert!(lost.iter().all(|answer| answer.text() == "oauth_problem=Specified+token+does+not+exist"));
    assert_eq!(lost[0].header("x-auth-refused").as_deref(), Some("oauth_token_unknown"));
}

#[test]
fn the_window_and_the_request_token_end_on_the_second() {
    let shop = Shop::open("");
    let [early, late, never] = ["early", "late", "never"].map(|name| shop.with_third_party(name));
    // Time goes forward alone, as nonces have it.
    let ask = |party: &Party, target: &str, token: Option<&(String, String)>, time: i64| {
        shop.gate.set_time(time);
        let verifier = (target == ACCESS).then_some(party.verifier.as_str());
        let token = token.map(|(token, secret)| (token.as_str(), secret.as_str()));
        send(shop.gate.proxy, target, party, (token, verifier), (time, &time.to_string()))
    };
    let issued_at = NOW + 299;
    let [first, second] = [&early, &late].map(|party| pair(&ask(party, REQUEST, None, issued_at)));
    let too_late = ask(&never, REQUEST, None, NOW + 300).text();
    assert_eq!(too_late, "oauth_problem=Consumer+key+has+expired");
    assert_eq!(ask(&early, ACCESS, Some(&first), issued_at + 7199).status(), 200);
    let too_late = ask(&late, ACCESS, Some(&second), issued_at + 7200).text();
    assert_eq!(too_late, "oauth_problem=Specified+token+does+not+exist");
}

#[test]
fn a_replay_and_a_foreign_signature_get_nothing() {
    let shop = Shop::open("");
    let (party, other) = (shop.with_third_party("erp"), shop.with_third_party("crm"));
    let thief = Party { secret: "0".repeat(32), ..party.clone() };
    let refused = |answer: Message| answer.text();
    let invalid = "oauth_problem=The+signature+is+invalid.+Verify+and+try+again.";
    assert_eq!(refused(thief.send(&shop.gate, REQUEST, None, "n")), invalid);
    // The nonce of a bad signature is not used up.
    let (token, secret) = party.request_token(&shop.gate, "n");
    let used = party.send(&shop.gate, REQUEST, None, "n").text();
    assert!(used.starts_with("oauth_problem=The+nonce+is+already+being+used"), "{used}");
    let token = (token.as_str(), secret.as_str());
    let foreign = other.send(&shop.gate, ACCESS, Some(token), "m").text();
    assert_eq!(foreign, "oauth_problem=Request+token+is+not+associated+with+the+specified+consumer");
    // A wrong verifier is told to nobody who does not hold the secrets.
    let guess = Party { verifier: "0".repeat(32), ..party.clone() };
    let blind = Party { verifier: "0".repeat(32), ..thief };
    let mismatch = "oauth_problem=Token+verifier+and+verifier+token+do+not+match";
    assert_eq!(guess.send(&shop.gate, ACCESS, Some(token), "o").text(), mismatch);
    assert_eq!(blind.send(&shop.gate, ACCESS, Some(token), "p").text(), invalid);
    // None of it burnt the verifier.
    assert_eq!(party.send(&shop.gate, ACCESS, Some(token), "q").status(), 200);
}

#[test]
fn a_new_exchange_ends_the_old_token_and_not_before() {
    let shop = Shop::open("");
    let party = shop.with_third_party("erp");
    let first = party.access_token(&shop.gate, &party.request_token(&shop.gate, "a"), "b");
    let count = "SELECT count(*) FROM oauth_token WHERE consumer_id = (SELECT consumer_id FROM integration WHERE name = 'erp')";
    let endpoint = third_party();
    let url = format!("http://{}/callback", endpoint.address);
    let id: u32 = shop.rows("SELECT consumer_id FROM integration WHERE name = 'erp'")[0][0].parse().unwrap();
    let verifier = shop.at(NOW, async |service| {
        service.oauth().post_to_consumer(id, &url, &me()).await.unwrap().expose().clone()
    });
    assert_eq!(shop.rows(count), [["2"]], "the old token and the new verifier");
    let party = Party { verifier, ..party };
    let second = party.access_token(&shop.gate, &party.request_token(&shop.gate, "c"), "d");
    assert_eq!(shop.rows(count), [["1"]]);
    assert_ne!(first.0, second.0);
}

#[test]
fn without_a_third_party_the_token_is_shown_and_leftovers_do_not_count() {
    let shop = Shop::open("");
    shop.at(NOW, async |service| {
        let made = service.create(&integration("erp", None), &me()).await.unwrap();
        assert_eq!(made.status, IntegrationStatus::Inactive);
        let consumer_id = made.consumer_id.unwrap();
        assert_eq!(
            service.oauth().load_consumer(consumer_id).await.unwrap().unwrap().name,
            format!("Integration{}", made.id)
        );
        // What an aborted exchange left behind.
        let endpoint = third_party();
        let url = format!("http://{}/", endpoint.address);
        service.oauth().post_to_consumer(consumer_id, &url, &me()).await.unwrap();
        let Activation::Active(first) = service.activate(made.id, &me()).await.unwrap() else {
            panic!("is active")
        };
        let Activation::Active(again) = service.activate(made.id, &me()).await.unwrap() else {
            panic!("is active")
        };
        assert_eq!(exposed(&first), exposed(&again), "a token that is there stays");
        let details = service.get(made.id).await.unwrap();
        assert_eq!(details.integration.status, IntegrationStatus::Active);
        assert_eq!(exposed(&details.access_token.unwrap()), exposed(&first));
        assert_eq!(details.consumer_secret.unwrap().expose().len(), 32);
        assert_eq!(details.resources, ["Magento_Backend::admin", "Magento_Backend::store"]);
        assert!(service.find_active_by_consumer_id(consumer_id).await.unwrap().is_some());

        let Activation::Active(anew) = service.reauthorize(made.id, &me()).await.unwrap() else {
            panic!("is active")
        };
        assert_ne!(exposed(&anew), exposed(&first));
        assert!(!service.oauth().create_access_token(consumer_id, false, &me()).await.unwrap());
        assert!(service.oauth().create_access_token(consumer_id, true, &me()).await.unwrap());
        assert!(service.oauth().delete_integration_token(consumer_id, &me()).await.unwrap());
        assert!(!service.oauth().delete_integration_token(consumer_id, &me()).await.unwrap());
        assert!(service.oauth().access_token(consumer_id).await.unwrap().is_none());
    });
}

#[test]
fn names_are_one_of_a_kind_and_files_have_the_last_word() {
    let shop = Shop::open("");
    shop.at(NOW, async |service| {
        let erp = service.create(&integration("erp", None), &me()).await.unwrap();
        let error = service.create(&integration("ERP", None), &me()).await.unwrap_err();
        assert_eq!(text(&error), "The integration with name \"%1\" exists.");
        let rename =
            |name: &str| IntegrationChanges { name: Some(name.to_owned()), ..IntegrationChanges::default() };
        service.create(&integration("crm", None), &me()).await.unwrap();
        assert!(service.update(erp.id, &rename("CRM"), &me()).await.is_err());
        let changed = service.update(erp.id, &rename("Erp"), &me()).await.unwrap();
        assert_eq!((changed.name.as_str(), changed.email.as_str()), ("Erp", "erp@example.com"));
        assert_eq!(service.selected_resources(erp.id).await.unwrap().len(), 2, "resources stay as they are");
        let error = service.update(4711, &rename("x"), &me()).await.unwrap_err();
        assert_eq!(text(&error), "The integration with ID \"%1\" doesn't exist.");
        for endpoint in ["https://10.0.0.1@evil.example/", "gopher://127.0.0.1:6379/", "https://127.1/"] {
            let changes = IntegrationChanges {
                endpoint: Some(Some(endpoint.to_owned())),
                ..IntegrationChanges::default()
            };
            let error = service.update(erp.id, &changes, &me()).await.unwrap_err();
            assert_eq!(text(&error), "Invalid Callback URL", "{endpoint}");
        }

        let locked = NewIntegration { setup_type: SetupType::Config, ..integration("module", None) };
        let locked = service.create(&locked, &me()).await.unwrap();
        let error = service.update(locked.id, &rename("mine"), &me()).await.unwrap_err();
        assert_eq!(text(&error), "The integrations created in the config file can't be edited.");
        let error = service.delete(locked.id, &me()).await.unwrap_err();
        assert_eq!(text(&error), "Uninstall the extension to remove integration '%1'.");
        assert!(matches!(service.activate(locked.id, &me()).await.unwrap(), Activation::Active(_)));
    });
}

#[test]
fn deleting_takes_the_consumer_and_the_role_and_no_admins_role_of_that_name() {
    let shop = Shop::open("");
    let id = shop.at(NOW, async |service| {
        let made = service.create(&integration("erp", None), &me()).await.unwrap();
        service.activate(made.id, &me()).await.unwrap();
        made.id
    });
    shop.gate.sql(&format!(
        "INSERT INTO authorization_role (role_type, user_type, role_name, tree_level) VALUES ('G', '2', '1{id}', 1)"
    ));
    let named =
        format!("SELECT user_type FROM authorization_role WHERE role_name = '1{id}' ORDER BY user_type");
    assert_eq!(shop.rows(&named), [["1"], ["2"]]);
    shop.at(NOW, async |service| service.delete(id, &me()).await.unwrap());
    assert_eq!(shop.rows(&named), [["2"]]);
    let left = format!("SELECT count(*) FROM oauth_consumer WHERE name = 'Integration{id}'");
    assert_eq!(shop.rows(&left), [["0"]]);
    assert_eq!(shop.rows("SELECT count(*) FROM oauth_token AS t WHERE t.consumer_id NOT IN (SELECT entity_id FROM oauth_consumer)"), [["0"]]);
}

#[test]
fn a_rotation_leaves_the_old_ones_valid_until_their_end() {
    let shop = Shop::open("");
    let hour = Duration::from_secs(3600);
    let (party, old_token, new_token, new_secret) = shop.at(NOW, async |service| {
        let new = NewIntegration { grants: Grants::All, ..integration("erp", None) };
        let made = service.create(&new, &me()).await.unwrap();
        let Activation::Active(old) = service.activate(made.id, &me()).await.unwrap() else {
            panic!("is active")
        };
        let details = service.get(made.id).await.unwrap();
        let consumer_id = made.consumer_id.unwrap();
        let party = Party {
            id: consumer_id,
            key: details.consumer_key.unwrap(),
            secret: details.consumer_secret.unwrap().expose().clone(),
            verifier: String::new(),
        };
        let token = service.oauth().rotate_access_token(consumer_id, hour, &me()).await.unwrap();
        let consumer = service.oauth().rotate_secret(consumer_id, hour, &me()).await.unwrap();
        let current = service.oauth().access_token(consumer_id).await.unwrap().unwrap();
        assert_eq!(exposed(&current), exposed(&token));
        let too_long =
            service.oauth().rotate_secret(consumer_id, Duration::from_secs(91 * 86_400), &me()).await;
        assert!(too_long.is_err());
        (party, exposed(&old), exposed(&token), consumer.secret.unwrap().expose().clone())
    });
    let renewed = Party { secret: new_secret, ..party.clone() };
    let status = |party: &Party, token: &(String, String), time: i64, nonce: &str| {
        shop.gate.set_time(time);
        let token = Some((token.0.as_str(), token.1.as_str()));
        send(shop.gate.proxy, WEBSITES, party, (token, None), (time, nonce)).status()
    };
    // The gate reads the new role within seconds.
    let is_known = (0..50).any(|attempt| {
        thread::sleep(Duration::from_millis(200));
        status(&renewed, &new_token, NOW, &format!("k{attempt}")) == 200
    });
    assert!(is_known);
    let (last, end) = (NOW + 3599, NOW + 3600);
    for (name, party, token, expected) in [
        ("both old", &party, &old_token, 401),
        ("old secret", &party, &new_token, 401),
        ("old token", &renewed, &old_token, 401),
        ("both new", &renewed, &new_token, 200),
    ] {
        assert_eq!(status(party, token, last, &format!("{name} last")), 200, "{name}, in its last second");
        assert_eq!(status(party, token, end, &format!("{name} end")), expected, "{name}, at its end");
    }
    let rows = "SELECT count(*) FROM oauth_token WHERE type = 'access' AND consumer_id = ";
    assert_eq!(shop.rows(&format!("{rows}{}", party.id)), [["2"]]);
    assert_eq!(shop.swept(UnixTime::from_seconds(end)), [1, 1], "the secret and the token");
    assert_eq!(shop.rows(&format!("{rows}{}", party.id)), [["1"]]);
    // Nothing is kept where no overlap is asked for: an older token that an earlier rotation had left once outlived it.
    let rotated = shop.at(end, async |service| {
        service.oauth().rotate_access_token(party.id, Duration::from_secs(3600), &me()).await.unwrap();
        let token = service.oauth().rotate_access_token(party.id, Duration::ZERO, &me()).await.unwrap();
        let consumer = service.oauth().rotate_secret(party.id, Duration::ZERO, &me()).await.unwrap();
        (exposed(&token), consumer.secret.unwrap().expose().clone())
    });
    assert_eq!(shop.rows(&format!("{rows}{}", party.id)), [["1"]]);
    assert_eq!(shop.rows("SELECT count(*) FROM portcullis_older_secret"), [["0"]]);
    assert_eq!(rotated.1.len(), 32);
}

/// A gate's own services: what they end is over in its memory too, before anything expires.
#[test]
fn reauthorizing_ends_a_cached_token_at_once() {
    let upstream = Upstream::start();
    let shop = Shop::open("");
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(shop.gate.folder.join("portcullis.db"), folder.path().join("portcullis.db")).unwrap();
    let setup = Setup::before(upstream.address).with("handshake", SETTINGS).with("nonces", "journal = \"\"");
    let config = Config::from_toml(&setup.toml(), folder.path()).unwrap();
    block_on(async {
        let app = App::build(config, Clock::given(|| UnixTime::from_seconds(NOW))).await.unwrap();
        let service = app.integrations().await;
        let made = service.create(&integration("cached", None), &me()).await.unwrap();
        let Activation::Active(token) = service.activate(made.id, &me()).await.unwrap() else {
            panic!("is active")
        };
        let key = service.get(made.id).await.unwrap().consumer_key.unwrap();
        let facts = &app.shared().facts;
        let cache_key = CredentialKey::oauth(key.as_bytes(), token.token.expose().as_bytes());
        let lookup = || Lookup::Oauth {
            consumer_key: key.as_bytes().to_vec(),
            token: Secret::new(token.token.expose().as_bytes().to_vec()),
        };
        let fact = facts.resolve(cache_key, lookup()).await.unwrap();
        assert!(fact.grant().is_some());
        assert!(matches!(facts.cached(&cache_key), Cached::Fresh(_)));
        service.reauthorize(made.id, &me()).await.unwrap();
        assert!(matches!(facts.cached(&cache_key), Cached::Missing));
        assert!(facts.resolve(cache_key, lookup()).await.unwrap().grant().is_none());

        // Roles follow at once too.
        let shared = app.shared();
        let reference = shared.pipeline.reference.current();
        let user_type = portcullis::auth::identity::UserType::Integration;
        let role = |reference: &portcullis::store::reference::Reference| {
            reference.role_of(user_type, made.id).map(|(role, _)| role.permissions.count())
        };
        assert_eq!(role(reference.as_ref().unwrap()), Some(2));
        let everything = IntegrationChanges { grants: Some(Grants::All), ..IntegrationChanges::default() };
        service.update(made.id, &everything, &me()).await.unwrap();
        let shared = app.shared();
        let reference = shared.pipeline.reference.current();
        assert!(role(reference.as_ref().unwrap()).unwrap() > 2);
    });
}

#[test]
fn a_failed_post_says_so_and_the_verifier_stays() {
    let shop = Shop::open("timeout = \"300ms\"");
    let silent = Upstream::raw(|socket| {
        thread::sleep(Duration::from_secs(2));
        drop(socket);
    });
    let new = integration("erp", Some(&format!("http://{}/", silent.address)));
    let failed =
        "The attempt to post data to consumer failed due to an unexpected error. Please try again later.";
    shop.at(NOW, async |service| {
        let made = service.create(&new, &me()).await.unwrap();
        let error = service.activate(made.id, &me()).await.unwrap_err();
        assert_eq!(text(&error), failed);
        assert_eq!(service.get(made.id).await.unwrap().integration.status, IntegrationStatus::Inactive);
    });
    assert_eq!(shop.rows("SELECT count(*) FROM oauth_token AS t JOIN integration AS i ON i.consumer_id = t.consumer_id WHERE i.name = 'erp' AND t.type = 'verifier'"), [["1"]]);
}

#[test]
fn the_window_of_a_sign_in_closes_itself_on_the_operators_listener() {
    let shop = Shop::open("");
    let path = "/integration/loginSuccessCallback?x=%3Cscript%3E";
    let host = shop.gate.admin.to_string();
    let answer = exchange(shop.gate.admin, &request("GET", path, &[("Host", &host)], b""));
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.header("content-type").as_deref(), Some("text/html; charset=UTF-8"));
    assert!(answer.text().contains("self.close()") && !answer.text().contains("x="));
}

fn door(networks: &[&str]) -> CallbackDoor {
    CallbackDoor::new(CallbackRules {
        allow_http: true,
        allow_networks: networks.iter().map(|network| network.parse().unwrap()).collect(),
        timeout: Duration::from_secs(2),
    })
}

fn post(door: &CallbackDoor, url: &str) -> Result<(), CallbackError> {
    let url = CallbackUrl::parse(url, door.rules()).unwrap();
    block_on(door.post(&url, &[("a", "b c"), ("d", "é&=")]))
}

#[test]
fn a_post_goes_where_it_may_and_follows_nothing() {
    let elsewhere = third_party();
    let location = format!("http://{}/elsewhere", elsewhere.address);
    let redirecting = Upstream::answering(move |_, socket| {
        let head =
            format!("HTTP/1.1 307 Temporary Redirect\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        socket.write_all(head.as_bytes()).is_ok()
    });
    let port = redirecting.address.port();
    let loopback = ["127.0.0.0/8", "::1/128"];
    post(&door(&loopback), &format!("http://127.0.0.1:{port}/x?y=z")).unwrap();
    post(&door(&loopback), &format!("http://localhost:{port}/x")).unwrap();
    let posted = redirecting.take();
    assert_eq!(posted.len(), 2);
    assert_eq!((posted[0].method(), posted[0].target()), ("POST", "/x?y=z"));
    assert_eq!(posted[0].text(), "a=b+c&d=%C3%A9%26%3D");
    assert_eq!(posted[0].header("user-agent").as_deref(), Some("Portcullis"));
    assert!(elsewhere.take().is_empty(), "a redirect is not followed");
    for url in [format!("http://127.0.0.1:{port}/"), format!("http://localhost:{port}/")] {
        let refused = post(&door(&[]), &url);
        assert!(matches!(refused, Err(CallbackError::NotPublic)), "{url}: {refused:?}");
    }
    assert!(redirecting.take().is_empty(), "nothing was connected to");
    let unknown = post(&door(&[]), "http://name.invalid/");
    assert!(matches!(unknown, Err(CallbackError::Unresolved(_) | CallbackError::Timeout)), "{unknown:?}");
}

#[test]
fn a_flood_of_an_answer_ends_at_eight_kibibytes_and_a_trickle_at_the_time() {
    let flood = Upstream::raw(|mut socket| {
        let _ = std::io::Read::read(&mut socket, &mut [0; 4096]);
        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        while socket.write_all(format!("1000\r\n{}\r\n", "x".repeat(4096)).as_bytes()).is_ok() {}
    });
    let started = std::time::Instant::now();
    post(&door(&["127.0.0.0/8"]), &format!("http://{}/", flood.address)).unwrap();
    assert!(started.elapsed() < Duration::from_secs(2));
    let trickle = Upstream::raw(|mut socket| {
        let _ = std::io::Read::read(&mut socket, &mut [0; 4096]);
        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\n");
        while socket.write_all(b"X: y\r\n").is_ok() {
            thread::sleep(Duration::from_millis(100));
        }
    });
    let late = post(&door(&["127.0.0.0/8"]), &format!("http://{}/", trickle.address));
    assert!(matches!(late, Err(CallbackError::Timeout)), "{late:?}");
}

#[test]
fn a_callback_that_does_not_speak_tls_gets_nothing() {
    let plain = Upstream::raw(|mut socket| {
        let mut seen = [0; 1024];
        let length = std::io::Read::read(&mut socket, &mut seen).unwrap_or(0);
        assert!(!seen[..length].windows(3).any(|window| window == b"a=b"));
        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    });
    let refused = post(&door(&["127.0.0.0/8"]), &format!("https://{}/", plain.address));
    assert!(
        matches!(refused, Err(CallbackError::Transport(_) | CallbackError::Certificates(_))),
        "{refused:?}"
    );
}
