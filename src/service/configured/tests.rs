//! Declared integrations in a store of their own.

use std::{sync::Arc, time::Duration};

use super::{ConfiguredError, ConfiguredIntegrations, Fate, Step};
use crate::{
    auth::{acl::AclTree, crypt_keys::CryptKeys, encryptor::Encryptor, time::UnixTime},
    clock::Clock,
    config::{Declaration, DeclaredResources},
    service::{
        Origin,
        audit::Audit,
        authorization::Grants,
        callback::{CallbackDoor, CallbackRules},
        foundation::Foundation,
        integration::{Activation, IntegrationChanges, IntegrationService, NewIntegration},
        oauth::{HandshakeRules, OauthService},
    },
    store::{
        records::{IntegrationRecord, IntegrationStatus, SetupType},
        sql::SqlStore,
    },
};

const TREE: &str = r#"[
    {"id": "Magento_Backend::all"},
    {"id": "Magento_Backend::admin", "children": [{"id": "Shop_A::orders"}, {"id": "Shop_A::stock"}]}
]"#;

fn service(store: SqlStore) -> IntegrationService {
    let keys = CryptKeys::parse("0123456789abcdef0123456789abcdef").unwrap();
    let minute = Duration::from_secs(60);
    let foundation = Foundation {
        store,
        encryptor: Encryptor::new(&keys).unwrap(),
        tree: Arc::new(AclTree::from_json(TREE).unwrap()),
        audit: Audit::off(),
        clock: Clock::given(|| UnixTime::from_seconds(1_795_247_892)),
        memory: None,
    };
    let rules = HandshakeRules {
        store_base_url: None,
        success_callback: None,
        expiry: minute,
        request_token_lifetime: minute,
    };
    let callback = CallbackRules { allow_http: false, allow_networks: Vec::new(), timeout: minute };
    IntegrationService::new(OauthService::new(Arc::new(foundation), rules, CallbackDoor::new(callback)))
}

async fn in_memory() -> IntegrationService {
    service(SqlStore::open("sqlite::memory:").await.unwrap())
}

fn operator() -> Origin {
    Origin::local("cli:root")
}

fn warehouse() -> Declaration {
    Declaration {
        name: "Warehouse".to_owned(),
        email: "it@example.com".to_owned(),
        endpoint: None,
        identity_link_url: None,
        resources: only(&["Shop_A::orders"]),
    }
}

fn only(resources: &[&str]) -> DeclaredResources {
    DeclaredResources::Only(resources.iter().map(ToString::to_string).collect())
}

fn configured(service: &IntegrationService, declared: &[Declaration]) -> ConfiguredIntegrations {
    ConfiguredIntegrations::new(service.clone(), declared).unwrap()
}

async fn apply(service: &IntegrationService, declared: &[Declaration]) -> Vec<Fate> {
    let steps = configured(service, declared).apply(false).await.unwrap();
    steps.into_iter().map(|step| step.fate).collect()
}

async fn found(service: &IntegrationService) -> IntegrationRecord {
    service.find_by_name("warehouse").await.unwrap().expect("there is one")
}

/// The store's rows that belong to integrations, by table.
async fn counts(service: &IntegrationService) -> [String; 5] {
    let mut counts = [const { String::new() }; 5];
    let tables = ["integration", "oauth_consumer", "oauth_token", "authorization_role", "authorization_rule"];
    for (count, table) in counts.iter_mut().zip(tables) {
        let select = format!("SELECT CAST(COUNT(*) AS TEXT) FROM {table}");
        *count = service.foundation().store.read_for_test(&select).await.remove(0);
    }
    counts
}

async fn activate(service: &IntegrationService) {
    let id = found(service).await.id;
    let activation = service.activate(id, &operator()).await.unwrap();
    assert!(matches!(activation, Activation::Active(_)));
}

#[tokio::test]
async fn what_is_not_there_is_made_inactive_and_locked() {
    let service = in_memory().await;
    assert_eq!(apply(&service, &[warehouse()]).await, [Fate::Created]);
    let made = found(&service).await;
    assert_eq!((made.status, made.setup_type), (IntegrationStatus::Inactive, SetupType::Config));
    assert!(made.consumer_id.is_some());
    let resources = service.selected_resources(made.id).await.unwrap();
    assert_eq!(resources, ["Magento_Backend::admin", "Shop_A::orders"]);
    let changes =
        IntegrationChanges { email: Some("x@example.com".to_owned()), ..IntegrationChanges::default() };
    let error = service.update(made.id, &changes, &operator()).await.unwrap_err().to_string();
    assert_eq!(error, "The integrations created in the config file can't be edited.");
    let error = service.delete(made.id, &operator()).await.unwrap_err().to_string();
    assert_eq!(error, "Uninstall the extension to remove integration '%1'.");
}

#[tokio::test]
async fn what_is_as_declared_is_left_alone_whatever_its_status() {
    let service = in_memory().await;
    let mut everything = warehouse();
    (everything.name, everything.resources) = ("Everything".to_owned(), DeclaredResources::All);
    let mut nothing = warehouse();
    (nothing.name, nothing.resources) = ("Nothing".to_owned(), only(&[]));
    let declared = [warehouse(), everything, nothing];
    apply(&service, &declared).await;
    activate(&service).await;
    let before = (service.list().await.unwrap(), counts(&service).await);
    assert_eq!(apply(&service, &declared).await, [Fate::Unchanged, Fate::Unchanged, Fate::Unchanged]);
    assert_eq!((service.list().await.unwrap(), counts(&service).await), before);
    assert_eq!(found(&service).await.status, IntegrationStatus::Active);
}

#[tokio::test]
async fn whatever_is_changed_resets_and_ends_the_old_credentials() {
    type Change = fn(&mut Declaration);
    let changes: [(&str, Change); 7] = [
        ("name", |declared| declared.name = "WareHouse".to_owned()),
        ("email", |declared| declared.email = "new@example.com".to_owned()),
        ("endpoint", |declared| declared.endpoint = Some("https://a.example.com/c".to_owned())),
        ("identity_link_url", |declared| {
            declared.identity_link_url = Some("https://a.example.com".to_owned())
        }),
        ("resources", |declared| declared.resources = only(&["Shop_A::stock"])),
        ("resources", |declared| declared.resources = only(&["Shop_A::orders", "Shop_A::stock"])),
        ("resources", |declared| declared.resources = DeclaredResources::All),
    ];
    for (what, change) in changes {
        let service = in_memory().await;
        apply(&service, &[warehouse()]).await;
        activate(&service).await;
        let old = found(&service).await;
        let mut changed = warehouse();
        change(&mut changed);
        let planned = configured(&service, &[changed.clone()]).plan(false).await.unwrap();
        let fate = Fate::Recreated(vec![what]);
        assert_eq!(planned, [Step { name: changed.name.clone(), fate: fate.clone() }]);
        assert_eq!(found(&service).await, old, "a plan changes nothing");

        assert_eq!(apply(&service, &[changed.clone()]).await, [fate]);
        let new = found(&service).await;
        assert_eq!(new.status, IntegrationStatus::Recreated, "{what}");
        assert!(new.id != old.id && new.consumer_id != old.consumer_id, "{what}");
        let [integrations, consumers, tokens, roles, _] = counts(&service).await;
        assert_eq!([integrations, consumers, tokens, roles], ["1", "1", "0", "1"], "{what}");
        assert_eq!(apply(&service, &[changed]).await, [Fate::Unchanged], "{what}");
    }
}

#[tokio::test]
async fn a_recreated_one_works_again_once_it_is_activated() {
    let service = in_memory().await;
    apply(&service, &[warehouse()]).await;
    let mut changed = warehouse();
    changed.email = "new@example.com".to_owned();
    apply(&service, &[changed.clone()]).await;
    activate(&service).await;
    assert_eq!(found(&service).await.status, IntegrationStatus::Active);
    assert_eq!(apply(&service, &[changed]).await, [Fate::Unchanged]);
}

#[tokio::test]
async fn one_that_a_person_made_under_the_name_is_converted() {
    let service = in_memory().await;
    let new = NewIntegration {
        name: "WAREHOUSE".to_owned(),
        email: "it@example.com".to_owned(),
        endpoint: None,
        identity_link_url: None,
        setup_type: SetupType::Manual,
        grants: Grants::Resources(vec!["Shop_A::orders".to_owned()]),
    };
    service.create(&new, &operator()).await.unwrap();
    activate(&service).await;
    let fates = apply(&service, &[warehouse()]).await;
    assert_eq!(fates, [Fate::Recreated(vec!["name", "setup_type"])]);
    let made = found(&service).await;
    assert_eq!((made.status, made.setup_type), (IntegrationStatus::Recreated, SetupType::Config));
    assert_eq!(counts(&service).await[..3], ["1", "1", "0"]);
}

#[tokio::test]
async fn one_that_is_declared_no_more_stays_until_it_is_pruned() {
    let service = in_memory().await;
    apply(&service, &[warehouse()]).await;
    activate(&service).await;
    assert_eq!(apply(&service, &[]).await, [Fate::Undeclared]);
    assert_eq!(found(&service).await.status, IntegrationStatus::Active);
    let empty = configured(&service, &[]);
    assert_eq!(empty.plan(true).await.unwrap()[0].fate, Fate::Deleted);
    assert_eq!(found(&service).await.status, IntegrationStatus::Active);
    assert_eq!(empty.apply(true).await.unwrap()[0].fate, Fate::Deleted);
    assert_eq!(counts(&service).await, ["0"; 5]);
}

#[tokio::test]
async fn one_that_a_person_made_is_never_pruned() {
    let service = in_memory().await;
    let new = NewIntegration {
        name: "By hand".to_owned(),
        email: String::new(),
        endpoint: None,
        identity_link_url: None,
        setup_type: SetupType::Manual,
        grants: Grants::All,
    };
    service.create(&new, &operator()).await.unwrap();
    assert_eq!(configured(&service, &[]).apply(true).await.unwrap(), []);
    assert_eq!(counts(&service).await[0], "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_at_once_make_it_once() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("p.db").display());
    SqlStore::migrate(&url).await.unwrap();
    let mut declared: Vec<Declaration> = Vec::new();
    for number in 0..5 {
        declared.push(Declaration { name: format!("Warehouse {number}"), ..warehouse() });
    }
    for (email, kept) in
        [("it@example.com", IntegrationStatus::Inactive), ("b@c.d", IntegrationStatus::Recreated)]
    {
        declared.iter_mut().for_each(|declared| email.clone_into(&mut declared.email));
        let mut processes = Vec::new();
        for _ in 0..4 {
            let store = SqlStore::open(&url).await.unwrap();
            let configured = configured(&service(store), &declared);
            processes.push(tokio::spawn(async move { configured.apply(false).await.unwrap() }));
        }
        let mut changes = 0;
        for process in processes {
            let steps = process.await.unwrap();
            changes += steps.iter().filter(|step| step.fate != Fate::Unchanged).count();
        }
        assert_eq!(changes, 5);
        let service = service(SqlStore::open(&url).await.unwrap());
        let made = service.list().await.unwrap();
        assert!(made.len() == 5 && made.iter().all(|made| made.status == kept), "{made:?}");
        assert_eq!(counts(&service).await[1], "5");
    }
}

#[tokio::test]
async fn what_cannot_be_had_is_named_before_anything_is_changed() {
    let service = in_memory().await;
    let mut unknown = warehouse();
    unknown.name = "Other".to_owned();
    unknown.resources = only(&["Shop_A::order"]);
    let mut stranger = unknown.clone();
    stranger.resources = only(&["x"]);
    let mut plain = warehouse();
    plain.endpoint = Some("http://a.example.com/c".to_owned());
    let mut twice = warehouse();
    twice.name = "WAREHOUSE".to_owned();
    for (declared, text) in [
        (
            unknown,
            "the integration \"Other\" names \"Shop_A::order\", which acl.tree does not have; did you mean Shop_A::orders?",
        ),
        (
            stranger,
            "the integration \"Other\" names \"x\", which acl.tree does not have; see portcullis acl tree",
        ),
        (plain, "the integration \"Warehouse\" is declared twice; rename one"),
        (twice, "the integration \"WAREHOUSE\" is declared twice; rename one"),
    ] {
        let error = ConfiguredIntegrations::new(service.clone(), &[warehouse(), declared]).unwrap_err();
        assert!(matches!(error, ConfiguredError::Unfit { .. }));
        assert_eq!(error.to_string(), text);
    }
    let plain = Declaration { endpoint: Some("http://a.example.com/c".to_owned()), ..warehouse() };
    let error = ConfiguredIntegrations::new(service.clone(), &[plain]).unwrap_err().to_string();
    assert!(error.contains("has an endpoint that is not posted to"), "{error}");
    assert_eq!(counts(&service).await, ["0"; 5]);
}
