//! What every home of the facts must do when it is written to, by one and by several at once.

use std::time::Duration;

use portcullis::{
    auth::{identity::UserType, lockout::LockoutLimits, time::UnixTime},
    store::{
        StoreError,
        logins::{FailedLogin, LoginKind},
        records::{IntegrationColumns, SetupType},
        rows::TokenType,
        sql::{IntegrationStatus, NewConsumer, SqlStore, Stale, Swept, TokenOwner, TokenValues},
    },
};

use super::{
    NOW,
    home::{Home, secret},
};

/// Everything below, on a store with the recorded rows.
pub(crate) async fn is_written_to(home: &Home) {
    names_are_found_in_any_spelling(home).await;
    failures_count_by_name_and_customer(home).await;
    two_failures_at_once_are_two(home).await;
    hashes_are_replaced_where_they_are_the_same(home).await;
    users_are_shut_out_and_let_in(home).await;
    changes_are_whole_and_one_at_a_time(home).await;
    a_view_is_of_one_moment(home).await;
    consumers_and_integrations_change(home).await;
    a_token_goes_through_its_forms_once(home).await;
    people_are_listed(home).await;
    what_is_past_its_time_goes(home).await;
    odd_names_are_nobodys(home).await;
}

async fn names_are_found_in_any_spelling(home: &Home) {
    home.execute(
        "INSERT INTO admin_user (user_id, username, email, password) VALUES (70, 'Zoe', 'Zoe@example.com', 'hash')",
    )
    .await;
    home.execute(
        "INSERT INTO authorization_role (parent_id, role_type, user_id, user_type) VALUES (1, 'U', 70, '2')",
    )
    .await;
    for name in ["Zoe", "zoe", "ZOE"] {
        let admin = home.store.admin_account(name).await.unwrap().unwrap();
        assert_eq!((admin.id, admin.username.as_str(), admin.has_role), (70, "Zoe", true), "{name}");
        assert_eq!(home.store.users_named(UserType::Admin, name).await.unwrap()[0].id, 70);
    }
    assert!(home.store.admin_account("zo").await.unwrap().is_none());
    assert!(home.store.admin_address_is_taken("zoe@EXAMPLE.com").await.unwrap());
    assert!(!home.store.admin_address_is_taken("nobody@example.com").await.unwrap());
    home.execute(
        "INSERT INTO customer_entity (entity_id, email, website_id, firstname, password_hash, confirmation)
        VALUES (71, 'Yann@example.com', 1, 'Y', 'hash', NULL)",
    )
    .await;
    for website in [None, Some(1)] {
        let customer = home.store.customer_account("yann@EXAMPLE.com", website).await.unwrap().unwrap();
        assert_eq!((customer.id, customer.website_id, customer.is_unconfirmed), (71, Some(1), false));
    }
    assert!(home.store.customer_account("yann@example.com", Some(2)).await.unwrap().is_none());
}

async fn failures_count_by_name_and_customer(home: &Home) {
    let limits = LockoutLimits { failures: 2, ..limits() };
    let failed = |name| FailedLogin {
        name,
        kind: LoginKind::Customer,
        counts_until: NOW.plus(Duration::from_secs(60)),
        customer: Some((71, limits)),
    };
    let store = &home.store;
    assert_eq!(store.login_failures("x@example.com", LoginKind::Customer, NOW).await.unwrap(), 0);
    for (name, count) in [("x@example.com", 1), ("X@Example.com", 2), ("x@EXAMPLE.COM", 3)] {
        let counted = store.count_failure(&failed(name), NOW).await.unwrap();
        assert_eq!(counted.failures, count, "{name}");
        assert_eq!(store.login_failures("X@EXAMPLE.com", LoginKind::Customer, NOW).await.unwrap(), count);
    }
    assert_eq!(store.login_failures("x@example.com", LoginKind::Admin, NOW).await.unwrap(), 0);
    let later = NOW.plus(Duration::from_secs(60));
    assert_eq!(store.login_failures("x@example.com", LoginKind::Customer, later).await.unwrap(), 0);
    let customer = store.customer_account("yann@example.com", None).await.unwrap().unwrap();
    assert!(customer.lockout.lock_expires.is_some(), "{:?}", customer.lockout);
    store.forget_failures("X@example.COM", LoginKind::Customer).await.unwrap();
    assert_eq!(store.login_failures("x@example.com", LoginKind::Customer, NOW).await.unwrap(), 0);
}

const fn limits() -> LockoutLimits {
    LockoutLimits { failures: 1_000, duration: Duration::from_secs(600) }
}

async fn two_failures_at_once_are_two(home: &Home) {
    home.execute("UPDATE customer_entity SET failures_num = 0, first_failure = NULL, lock_expires = NULL WHERE entity_id = 71")
        .await;
    let tasks: Vec<_> = (0..12)
        .map(|number| {
            let store = home.store.clone();
            tokio::spawn(async move {
                let name = if number % 2 == 0 { "many@example.com" } else { "MANY@example.com" };
                let failed = FailedLogin {
                    name,
                    kind: LoginKind::Customer,
                    counts_until: NOW.plus(Duration::from_secs(60)),
                    customer: Some((71, limits())),
                };
                store.count_failure(&failed, NOW).await.unwrap().failures
            })
        })
        .collect();
    let mut counts = Vec::new();
    for task in tasks {
        counts.push(task.await.unwrap());
    }
    counts.sort_unstable();
    assert_eq!(counts, (1..=12).collect::<Vec<_>>());
    let customer = home.store.customer_account("yann@example.com", None).await.unwrap().unwrap();
    assert_eq!(customer.lockout.failures, 12);
}

async fn hashes_are_replaced_where_they_are_the_same(home: &Home) {
    let replace = async |old, new| {
        home.store.replace_password_hash((UserType::Admin, 70), &secret(old), &secret(new)).await.unwrap()
    };
    assert!(!replace("HASH", "newer").await, "another one");
    assert!(replace("hash", "newer").await);
    assert!(!replace("hash", "newest").await, "it is no longer there");
    let admin = home.store.admin_account("zoe").await.unwrap().unwrap();
    assert_eq!(admin.password_hash.expose(), "newer");
    home.store.note_admin_login(70, NOW).await.unwrap();
    assert_eq!(
        home.number("SELECT COUNT(*) FROM admin_user WHERE lognum = 1 AND logdate IS NOT NULL").await,
        1
    );
}

async fn users_are_shut_out_and_let_in(home: &Home) {
    let store = &home.store;
    for user in [(UserType::Admin, 70), (UserType::Customer, 71)] {
        assert!(store.set_user_active(user, false, NOW).await.unwrap());
        let row = store.user(user.0, user.1).await.unwrap().unwrap();
        assert!(!row.is_active && row.revoke_before == Some(NOW));
        assert!(store.set_user_active(user, true, NOW).await.unwrap());
        assert!(store.user(user.0, user.1).await.unwrap().unwrap().is_active);
    }
    assert!(!store.set_user_active((UserType::Admin, 4711), false, NOW).await.unwrap());
    let (token, hidden) = (secret("of-yann"), secret("s-of-yann"));
    let new = portcullis::store::sql::NewAccessToken {
        owner: TokenOwner::Customer(71),
        token: &token,
        encrypted_secret: &hidden,
    };
    store.insert_access_token(&new, NOW).await.unwrap();
    assert_eq!(store.tokens_held(TokenOwner::Customer(71), 5).await.unwrap()[0].1.expose(), "of-yann");
    store.revoke_user_and_delete_tokens(UserType::Customer, 71, NOW).await.unwrap();
    assert!(store.token(b"of-yann").await.unwrap().is_none());
}

async fn make(store: &SqlStore, name: &str) -> bool {
    let mut change = store.change().await.unwrap();
    if change.integration_by_name(name).await.unwrap().is_some() {
        return false;
    }
    tokio::time::sleep(Duration::from_millis(5)).await;
    let columns = IntegrationColumns {
        name,
        email: "",
        endpoint: None,
        identity_link_url: None,
        setup_type: SetupType::Manual,
    };
    change.insert_integration(&columns, NOW).await.unwrap();
    change.commit().await.unwrap();
    true
}

async fn changes_are_whole_and_one_at_a_time(home: &Home) {
    let store = &home.store;
    let tasks: Vec<_> = (0..10)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { make(&store, "only once").await })
        })
        .collect();
    let mut made = 0;
    for task in tasks {
        made += u32::from(task.await.unwrap());
    }
    assert_eq!(made, 1, "what a change read was still so when it wrote");
    // One that is dropped leaves nothing, and lets the next one in: at its end, half-way, and while it waits for its turn.
    let mut change = store.change().await.unwrap();
    change.insert_admin_group("dropped").await.unwrap();
    drop(change);
    assert!(store.admin_groups_named("dropped").await.unwrap().is_empty());
    let held = store.change().await.unwrap();
    let waiting = tokio::time::timeout(Duration::from_millis(100), store.change()).await;
    assert!(waiting.is_err(), "somebody else changes");
    drop(held);
    for _ in 0..10 {
        let given_up = store.clone();
        let task = tokio::spawn(async move { make(&given_up, "given up").await });
        tokio::time::sleep(Duration::from_millis(2)).await;
        task.abort();
        let _ = task.await;
    }
    store.change().await.unwrap().commit().await.unwrap();
}

async fn a_view_is_of_one_moment(home: &Home) {
    let mut view = home.store.view().await.unwrap();
    let before = view.integrations().await.unwrap().len();
    assert!(make(&home.store, "behind the view").await);
    assert_eq!(view.integrations().await.unwrap().len(), before);
    drop(view);
    assert_eq!(home.store.view().await.unwrap().integrations().await.unwrap().len(), before + 1);
    // Views that are looked at and left do not use up the connections.
    for _ in 0..30 {
        home.store.view().await.unwrap().integration(1).await.unwrap();
    }
}

async fn consumers_and_integrations_change(home: &Home) {
    let mut change = home.store.change().await.unwrap();
    let hidden = secret("0:3:one");
    let new = NewConsumer { name: "c", key: "key-of-writing", encrypted_secret: &hidden };
    let id = change.insert_consumer(&new, (Some("https://e/cb"), ""), NOW).await.unwrap();
    assert!(change.consumer_by_key("KEY-of-writing").await.unwrap().is_none());
    let consumer = change.consumer_by_key("key-of-writing").await.unwrap().unwrap();
    assert_eq!(
        (consumer.id, consumer.updated_at, consumer.callback_url.as_deref()),
        (id, None, Some("https://e/cb"))
    );
    assert!(change.touch_consumer(id, NOW).await.unwrap());
    change.set_consumer_secret(id, &secret("0:3:two")).await.unwrap();
    let consumer = change.consumer(id).await.unwrap().unwrap();
    assert_eq!(consumer.secret.expose(), "0:3:two");
    assert_eq!(consumer.updated_at, Some(NOW), "a secret opens no handshake");
    let integration = change.integration_by_name("ONLY ONCE").await.unwrap().unwrap();
    change.set_integration_consumer(integration.id, id).await.unwrap();
    assert!(change.set_status_by_consumer(id, IntegrationStatus::Active, NOW).await.unwrap());
    let role = change.insert_integration_role(integration.id).await.unwrap();
    change.replace_rules(role, &[("a", true), ("b", false), ("c", true)]).await.unwrap();
    assert_eq!(change.integration_role(integration.id).await.unwrap(), Some(role));
    assert_eq!(change.allowed_resources(integration.id).await.unwrap(), ["a", "c"]);
    change.commit().await.unwrap();
    let mut change = home.store.change().await.unwrap();
    let found = change.integration_by_consumer(id).await.unwrap().unwrap();
    assert_eq!((found.status, found.setup_type), (IntegrationStatus::Active, SetupType::Manual));
    let twin = change.insert_consumer(&new, (None, ""), NOW).await;
    assert!(matches!(twin, Err(StoreError::Conflict(_))), "{twin:?}");
    drop(change);
    let mut change = home.store.change().await.unwrap();
    assert_eq!(change.delete_integration_roles(integration.id).await.unwrap(), 1);
    assert!(change.delete_consumer(id).await.unwrap());
    assert!(change.integration(integration.id).await.unwrap().is_none(), "it goes with its consumer");
    change.commit().await.unwrap();
}

async fn a_token_goes_through_its_forms_once(home: &Home) {
    let store = &home.store;
    let hidden = secret("0:3:handshake");
    let new = NewConsumer { name: "h", key: "key-of-handshake", encrypted_secret: &hidden };
    let consumer = store.insert_consumer(&new, NOW).await.unwrap();
    let values = |token_type, token| TokenValues { token_type, token, secret: token, callback_url: "oob" };
    let (verifier, request, access) = (secret("t-verifier"), secret("t-request"), secret("t-access"));
    let mut change = store.change().await.unwrap();
    let verified = (Some(&verifier), NOW);
    let id = change.insert_token(consumer, &values(TokenType::Verifier, &verifier), verified).await.unwrap();
    assert!(change.token("T-VERIFIER").await.unwrap().is_none());
    let found = change.token("t-verifier").await.unwrap().unwrap();
    assert_eq!((found.id, found.created_at, found.ends_at), (id, Some(NOW), None));
    assert!(change.replace_token(&found, &values(TokenType::Request, &request), NOW).await.unwrap());
    assert!(
        !change.replace_token(&found, &values(TokenType::Access, &access), NOW).await.unwrap(),
        "it was used"
    );
    let found = change.token("t-request").await.unwrap().unwrap();
    assert!(change.replace_token(&found, &values(TokenType::Access, &access), NOW).await.unwrap());
    let other = change.insert_token(consumer, &values(TokenType::Request, &request), verified).await.unwrap();
    assert_eq!(change.tokens_of(consumer).await.unwrap().len(), 2);
    assert_eq!(change.delete_tokens_of(consumer, Some(other)).await.unwrap(), 1);
    assert_eq!(change.delete_request_tokens(UnixTime::from_seconds(1)).await.unwrap(), 0);
    assert_eq!(change.delete_tokens_of(consumer, None).await.unwrap(), 1);
    change.commit().await.unwrap();
}

async fn people_are_listed(home: &Home) {
    let admins = home.store.users(UserType::Admin, 0, 3).await.unwrap();
    assert_eq!(admins.len(), 3);
    assert!(home.store.users(UserType::Admin, 69, 3).await.unwrap().iter().any(|user| user.name == "Zoe"));
    let principals = home.store.principals().await.unwrap();
    assert_eq!(principals.find(UserType::Admin, 70).unwrap().name, "Zoe");
    assert!(principals.find(UserType::Integration, 1).unwrap().is_active);
    assert!(home.store.website_exists(1).await.unwrap() && !home.store.website_exists(99).await.unwrap());
    assert!(!home.store.some_consumer_secrets().await.unwrap().is_empty());
    home.execute(
        "INSERT INTO core_config_data (scope, scope_id, path, value) VALUES
            ('stores', 2, 'oauth/consumer/enable_integration_as_bearer', '1'),
            ('default', 0, 'web/secure/base_url', 'x')",
    )
    .await;
    let settings = home.store.settings().await.unwrap();
    assert!(settings.iter().any(|row| row.value == "1" && row.path.ends_with("integration_as_bearer")));
    assert!(settings.iter().all(|row| row.path != "web/secure/base_url"));
}

async fn what_is_past_its_time_goes(home: &Home) {
    let hidden = secret("0:3:sweep");
    let new = NewConsumer { name: "s", key: "key-of-sweep", encrypted_secret: &hidden };
    let consumer = home.store.insert_consumer(&new, NOW).await.unwrap();
    home.execute("DELETE FROM oauth_nonce").await;
    home.execute("DELETE FROM oauth_token WHERE type IN ('request', 'verifier')").await;
    home.execute("DELETE FROM oauth_token_request_log").await;
    for number in 1..=25 {
        home.execute(&format!("INSERT INTO oauth_nonce VALUES ('n{number}', {number}, {consumer})")).await;
    }
    home.execute(&format!(
        "INSERT INTO oauth_token (consumer_id, type, token, secret, callback_url, user_type, created_at) VALUES
            ({consumer}, 'request', 'resting', '', '', 1, '2026-11-20 00:00:00'),
            ({consumer}, 'verifier', 'young', '', '', 1, '2027-01-15 08:00:01'),
            ({consumer}, 'access', 'kept', '', '', 1, '2026-11-20 00:00:00');
        INSERT INTO oauth_token_request_log (user_name, user_type, lock_expires_at) VALUES
            ('past', 2, '2027-01-15 07:59:59'), ('future', 2, '2027-01-15 08:00:01')"
    ))
    .await;
    let swept = |deleted, may_be_more| Swept { deleted, may_be_more };
    let nonces = Stale::Nonces(UnixTime::from_seconds(22));
    for expected in [swept(10, true), swept(10, true), swept(2, false), swept(0, false)] {
        assert_eq!(home.store.sweep(nonces, 10).await.unwrap(), expected);
    }
    assert_eq!(home.store.sweep(Stale::Handshakes(NOW), 10).await.unwrap(), swept(1, false));
    assert!(home.store.token(b"kept").await.unwrap().is_some());
    assert!(home.store.token(b"young").await.unwrap().is_some());
    assert_eq!(home.store.sweep(Stale::AuthenticationFailures(NOW), 10).await.unwrap(), swept(1, false));
    for stale in
        [Stale::OlderSecrets(NOW), Stale::OlderTokens(NOW), Stale::Revocations(UnixTime::from_seconds(1))]
    {
        assert_eq!(home.store.sweep(stale, 10).await.unwrap(), swept(0, false), "{stale:?}");
    }
    let of_admins = "SELECT COUNT(*) FROM oauth_token WHERE user_type = 2";
    let of_others = "SELECT COUNT(*) FROM oauth_token WHERE user_type <> 2";
    let (admins, others) = (home.number(of_admins).await, home.number(of_others).await);
    let gone = home.store.sweep(Stale::UserTokens(UserType::Admin, NOW), 100).await.unwrap().deleted;
    assert!(gone > 0);
    assert_eq!(home.number(of_admins).await, admins - i64::try_from(gone).unwrap());
    assert_eq!(home.number(of_others).await, others);
}

/// A character that no column of Magento's holds made the comparison read the whole table; a NUL was an error of PostgreSQL's.
async fn odd_names_are_nobodys(home: &Home) {
    for name in ["zoe\u{1f600}", "zoe\0", "\u{1f600}", "zoe' OR '1' = '1", "%"] {
        assert!(home.store.admin_account(name).await.unwrap().is_none(), "{name:?}");
        assert!(home.store.customer_account(name, None).await.unwrap().is_none(), "{name:?}");
        assert!(home.store.token(name.as_bytes()).await.unwrap().is_none(), "{name:?}");
        let failed = FailedLogin {
            name,
            kind: LoginKind::Admin,
            counts_until: NOW.plus(Duration::from_secs(60)),
            customer: None,
        };
        assert!(home.store.count_failure(&failed, NOW).await.unwrap().failures > 0, "{name:?}");
    }
}
