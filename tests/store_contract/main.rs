//! What every home of the facts must answer, proven on rows recorded from a live Magento.
//!
//! [`keep_the_contract`] is the suite; each kind of database runs it on a freshly loaded store. The tests around it
//! are about opening and migrating, which differ from one kind to the next.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cognitive_complexity,
    reason = "as in any test; clippy exempts only the functions that are marked as tests, not what they call"
)]

#[path = "../support/fixture.rs"]
mod fixture;
mod home;
mod own;
mod server;
#[path = "../support/servers/mod.rs"]
#[allow(dead_code, reason = "every test binary uses another part")]
mod servers;
#[path = "../support/statements.rs"]
mod statements;
#[path = "../support/waiting.rs"]
#[allow(dead_code, reason = "every test binary uses another part")]
mod waiting;
mod writing;

use home::{Home, secret, sqlite_url as url};
use portcullis::{
    auth::{
        acl::{Permission, RoleType},
        identity::UserType,
        time::UnixTime,
    },
    store::{
        SchemaError, StoreError,
        rows::{IntegrationRow, SessionCustomerRow, TokenType, UserRow},
        sql::{
            IntegrationStatus, NewAccessToken, NewAdmin, NewConsumer, NewCustomer, NewIntegration, NewRole,
            RoleOwner, SqlStore, TokenOwner,
        },
    },
};

const FULL_KEY: &str = "2lc1qdbsdd28ay4q20rbrtjl9qufi83n";
const FULL_TOKEN: &str = "rcnp1r0ttgql8dyfay14d83fjc7k5q78";
const RESTRICTED_TOKEN: &str = "1orj8cn4s0qstqz56dx8hd6s626jq1lw";
const INACTIVE_INTEGRATION_TOKEN: &str = "7ge2i3xb7xydqiebw7i7pewqrtzpspl5";
const REVOKED_INTEGRATION_TOKEN: &str = "27gjpxm8fm3vuyj3u1jh5grjj61fdgz6";
const ALICE_TOKEN: &str = "i86q1xzzf2vr9x5x9egnk24hwy9c1gor";
const ALICE_REVOKED_TOKEN: &str = "x1pqqdnws8gp07vgsb01rc6ej3bbuw8k";
const ALICE_REQUEST_TOKEN: &str = "rug4qjthrqdpdkme0out5purnd5x15y9";
const ALICE_VERIFIER_TOKEN: &str = "tuyxybc9uuxsycdobk8u9iips091obtf";
const ADMIN_TOKEN: &str = "96j2rerhxmn3cys4vmy3qfxhviv5f4sc";
const DISABLED_ADMIN_TOKEN: &str = "uw1try3cpup151j90i2ra3o3bail7tph";

const NOW: UnixTime = UnixTime::from_seconds(1_800_000_000);

async fn keep_the_contract(home: &Home) {
    home.store.ping().await.unwrap();
    tokens_are_found_with_their_owner(home).await;
    tokens_match_byte_for_byte(home).await;
    the_owner_is_the_one_that_user_type_names(home).await;
    if home.has_zero_dates() {
        a_zero_date_is_no_time(home).await;
    }
    users_are_found_with_their_revocation(home).await;
    owners_of_sessions_are_found_with_what_ends_them(home).await;
    deleted_users_are_gone_with_their_tokens(home).await;
    consumer_and_token_are_found_independently(home).await;
    reference_is_complete_and_in_order(home).await;
    what_magento_ignores_is_no_reason_to_stop(home).await;
    written_customers_and_tokens_are_read(home).await;
    written_admins_and_roles_are_read(home).await;
    written_integrations_are_read(home).await;
}

async fn tokens_are_found_with_their_owner(home: &Home) {
    let alice = home.token(ALICE_TOKEN).await;
    assert_eq!(alice.token_type, TokenType::Access);
    assert_eq!(alice.user_type, Some(3));
    assert_eq!(alice.consumer_id, None);
    assert_eq!(alice.secret.expose(), "n5p2uy8d0h3say5guxkyx60xuky4tegh");
    assert!(!alice.is_revoked);
    assert_eq!(alice.created_at, Some(UnixTime::from_seconds(1_795_248_018)));
    assert_eq!(
        alice.user,
        Some(UserRow { id: 1, is_active: true, website_id: Some(1), revoke_before: None })
    );
    assert_eq!(alice.integration, None);

    let admin = home.token(ADMIN_TOKEN).await;
    assert_eq!(admin.user_type, Some(2));
    assert_eq!(admin.user, Some(UserRow { id: 1, is_active: true, website_id: None, revoke_before: None }));

    let disabled = home.token(DISABLED_ADMIN_TOKEN).await.user.unwrap();
    assert!(!disabled.is_active);
    assert_eq!(disabled.revoke_before, Some(UnixTime::from_seconds(1_795_247_711)));

    let full = home.token(FULL_TOKEN).await;
    assert_eq!((full.user_type, full.consumer_id, full.user), (Some(1), Some(1), None));
    assert_eq!(full.integration, Some(IntegrationRow { id: 1, name: String::from("full"), is_active: true }));
    assert!(!home.token(INACTIVE_INTEGRATION_TOKEN).await.integration.unwrap().is_active);

    assert!(home.token(REVOKED_INTEGRATION_TOKEN).await.is_revoked);
    assert!(home.token(ALICE_REVOKED_TOKEN).await.is_revoked);
    assert_eq!(home.token(ALICE_REQUEST_TOKEN).await.token_type, TokenType::Request);
    assert_eq!(home.token(ALICE_VERIFIER_TOKEN).await.token_type, TokenType::Verifier);
}

/// Magento's collation would match the first four (deviation D3).
async fn tokens_match_byte_for_byte(home: &Home) {
    let near = [
        ALICE_TOKEN.to_uppercase(),
        ALICE_TOKEN.replacen('i', "I", 1),
        ALICE_TOKEN.replacen('i', "í", 1),
        format!("{ALICE_TOKEN} "),
        format!(" {ALICE_TOKEN}"),
        format!("{ALICE_TOKEN}\0"),
        ALICE_TOKEN[..31].to_owned(),
        String::from("%"),
        String::from("' OR '1' = '1"),
        String::from("0"),
        String::new(),
        "i".repeat(255),
        "i".repeat(256),
    ];
    for token in near {
        assert!(home.store.token(token.as_bytes()).await.unwrap().is_none(), "{token:?}");
    }
    assert!(home.store.token(b"\xff\xfe").await.unwrap().is_none());
    for key in [FULL_KEY.to_uppercase(), format!("{FULL_KEY} ")] {
        let rows = home.store.oauth(key.as_bytes(), format!("{FULL_TOKEN} ").as_bytes()).await.unwrap();
        assert!(rows.consumer.is_none() && rows.token.is_none(), "{key:?}");
    }
}

async fn the_owner_is_the_one_that_user_type_names(home: &Home) {
    home.execute(
        "INSERT INTO oauth_token (token, type, secret, callback_url, user_type, admin_id, customer_id) VALUES
            ('customer-as-admin', 'access', '', '', 2, NULL, 1),
            ('admin-as-customer', 'access', '', '', 3, 1, NULL),
            ('both', 'access', '', '', 2, 2, 3),
            ('integration-with-admin', 'access', '', '', 1, 1, NULL),
            ('no-type', 'access', '', '', NULL, 1, 1),
            ('odd-type', 'odd', '', '', -7, 1, 1)",
    )
    .await;
    for token in ["customer-as-admin", "admin-as-customer", "integration-with-admin", "no-type", "odd-type"] {
        assert_eq!(home.token(token).await.user, None, "{token}");
    }
    let both = home.token("both").await.user.unwrap();
    assert_eq!((both.id, both.website_id), (2, None));
    assert_eq!(home.token("no-type").await.user_type, None);
    let odd = home.token("odd-type").await;
    assert_eq!((odd.user_type, odd.token_type), (Some(-7), TokenType::Unknown));
}

async fn a_zero_date_is_no_time(home: &Home) {
    home.execute(
        "INSERT INTO oauth_token (token, type, secret, callback_url, user_type, customer_id, created_at)
            VALUES ('zero-date', 'access', '', '', 3, 1, '0000-00-00 00:00:00')",
    )
    .await;
    assert_eq!(home.token("zero-date").await.created_at, None);
}

async fn users_are_found_with_their_revocation(home: &Home) {
    let user = |user_type, id| home.store.user(user_type, id);
    let alice = user(UserType::Customer, 1).await.unwrap().unwrap();
    assert_eq!(alice, UserRow { id: 1, is_active: true, website_id: Some(1), revoke_before: None });
    assert!(!user(UserType::Customer, 5).await.unwrap().unwrap().is_active);
    let disabled = user(UserType::Admin, 6).await.unwrap().unwrap();
    let revoke_before = Some(UnixTime::from_seconds(1_795_247_711));
    assert_eq!(disabled, UserRow { id: 6, is_active: false, website_id: None, revoke_before });
    // Ids are counted per kind: admin 8 exists, customer 8 does not.
    assert!(user(UserType::Admin, 8).await.unwrap().is_some());
    assert!(user(UserType::Customer, 8).await.unwrap().is_none());
    for id in [0, 4711, u32::MAX] {
        assert!(user(UserType::Admin, id).await.unwrap().is_none());
        assert!(user(UserType::Customer, id).await.unwrap().is_none());
    }
    assert!(user(UserType::Integration, 1).await.unwrap().is_none());
    assert!(user(UserType::Guest, 1).await.unwrap().is_none());

    // A revocation of admin 4 is not one of customer 4. It is never moved back, and further where tokens may be dated behind it.
    for (before, expected) in [(100, 100), (100, 101), (200, 200), (139, 200), (150, 201)] {
        home.store.revoke_user(UserType::Admin, 4, UnixTime::from_seconds(before)).await.unwrap();
        let admin = user(UserType::Admin, 4).await.unwrap().unwrap();
        assert_eq!(admin.revoke_before, Some(UnixTime::from_seconds(expected)));
    }
    assert_eq!(user(UserType::Customer, 4).await.unwrap().unwrap().revoke_before, None);
    let early = home.store.revoke_user(UserType::Admin, 4, UnixTime::from_seconds(-1)).await;
    assert!(matches!(early, Err(StoreError::Unfit { column: "jwt_auth_revoked.revoke_before" })));
}

async fn owners_of_sessions_are_found_with_what_ends_them(home: &Home) {
    home.execute(
        "INSERT INTO customer_visitor (visitor_id, customer_id, created_at) VALUES
            (44, 1, '2026-11-21 08:11:15');
        INSERT INTO admin_user_session (id, user_id, status, ip) VALUES (1, 1, 1, ''), (2, 2, 3, '')",
    )
    .await;
    if home.has_zero_dates() {
        home.execute(
            "INSERT INTO customer_visitor (visitor_id, customer_id, created_at) VALUES (45, 1, '0000-00-00 00:00:00')",
        )
        .await;
    }
    let customer = async |id, visitor| home.store.session_customer(id, visitor).await.unwrap();
    let alice = |cutoff, began_at| {
        let user = UserRow { id: 1, is_active: true, website_id: Some(1), revoke_before: None };
        Some(SessionCustomerRow { user, cutoff, began_at })
    };
    let began_at = Some(UnixTime::from_seconds(1_795_248_675));
    assert_eq!(customer(1, Some(44)).await, alice(None, began_at));
    for visitor in [None, Some(0), Some(45), Some(46), Some(u64::MAX)] {
        assert_eq!(customer(1, visitor).await, alice(None, None), "{visitor:?}");
    }
    home.execute("UPDATE customer_entity SET session_cutoff = '2026-11-21 08:11:16' WHERE entity_id = 1")
        .await;
    assert_eq!(customer(1, Some(44)).await, alice(Some(UnixTime::from_seconds(1_795_248_676)), began_at));
    home.execute("UPDATE customer_entity SET session_cutoff = NULL WHERE entity_id = 1").await;
    // Revoking tokens ends no session.
    home.store.revoke_user(UserType::Customer, 1, NOW).await.unwrap();
    assert_eq!(customer(1, Some(44)).await, alice(None, began_at));
    home.execute("DELETE FROM jwt_auth_revoked WHERE user_type_id = 3 AND user_id = 1").await;
    assert_eq!(customer(4711, Some(44)).await, None);

    let admin = async |id, row| home.store.session_admin(id, row).await.unwrap();
    let status =
        async |id, row| admin(id, row).await.map(|found| (found.user.id, found.user.is_active, found.status));
    assert_eq!(status(1, Some(1)).await, Some((1, true, Some(1))));
    assert_eq!(status(2, Some(2)).await, Some((2, true, Some(3))));
    // The row of another admin says nothing about this one.
    for row in [None, Some(2), Some(4711)] {
        assert_eq!(status(1, row).await, Some((1, true, None)), "{row:?}");
    }
    assert_eq!(status(6, None).await, Some((6, false, None)));
    assert_eq!(status(4711, Some(1)).await, None);
}

async fn deleted_users_are_gone_with_their_tokens(home: &Home) {
    home.execute(
        "INSERT INTO oauth_token (token, type, secret, callback_url, user_type, customer_id)
            VALUES ('of-carol', 'access', '', '', 3, 3)",
    )
    .await;
    assert_eq!(home.token("of-carol").await.user.unwrap().id, 3);
    home.execute("DELETE FROM customer_entity WHERE entity_id = 3").await;
    assert!(home.store.user(UserType::Customer, 3).await.unwrap().is_none());
    assert!(home.store.token(b"of-carol").await.unwrap().is_none());
}

async fn consumer_and_token_are_found_independently(home: &Home) {
    let cases = [
        (FULL_KEY, FULL_TOKEN, Some(1), Some(1)),
        // Another consumer's token is found all the same: the rules compare the two.
        (FULL_KEY, RESTRICTED_TOKEN, Some(1), Some(2)),
        (FULL_KEY, "unknown", Some(1), None),
        (FULL_KEY, "", Some(1), None),
        ("unknown", FULL_TOKEN, None, Some(1)),
        ("", FULL_TOKEN, None, Some(1)),
        ("unknown", "unknown", None, None),
        ("", "", None, None),
        // Keys and tokens do not stand in for each other.
        (FULL_TOKEN, FULL_KEY, None, None),
    ];
    for (key, token, consumer_id, token_consumer_id) in cases {
        let rows = home.store.oauth(key.as_bytes(), token.as_bytes()).await.unwrap();
        assert_eq!(rows.consumer.map(|consumer| consumer.id), consumer_id, "{key} {token}");
        assert_eq!(rows.token.and_then(|token| token.consumer_id), token_consumer_id, "{key} {token}");
    }
    let rows = home.store.oauth(FULL_KEY.as_bytes(), ALICE_TOKEN.as_bytes()).await.unwrap();
    assert_eq!(rows.token.unwrap().user.unwrap().id, 1);
    let rows = home.store.oauth(FULL_KEY.as_bytes(), FULL_TOKEN.as_bytes()).await.unwrap();
    assert!(rows.consumer.unwrap().secret.expose().starts_with("0:3:DEa4CnnY39lQ3yca"));
    let token = rows.token.unwrap();
    assert!(token.secret.expose().starts_with("0:3:TU22Muc4BewT1XlZ"));
    assert_eq!(token.integration.unwrap().id, 1);
}

async fn reference_is_complete_and_in_order(home: &Home) {
    let reference = home.store.reference().await.unwrap();
    let stores: Vec<_> = reference.stores.iter().map(|s| (s.id, s.code.as_str(), s.website_id)).collect();
    assert_eq!(stores, [(0, "admin", 0), (1, "default", 1), (2, "de", 1)]);
    let websites: Vec<_> = reference.websites.iter().map(|row| (row.id, row.code.as_str())).collect();
    assert_eq!(websites, [(0, "admin"), (1, "base")]);
    assert_eq!(reference.default_store_id, Some(1));
    assert_eq!((reference.roles.len(), reference.rules.len()), (19, 790));
    let keys: Vec<_> = reference.roles.iter().map(|role| (role.tree_level, role.role_id)).collect();
    assert!(keys.is_sorted());
    let administrators = &reference.roles[0];
    assert_eq!((administrators.role_id, administrators.parent_id, administrators.user_id), (1, 0, 0));
    assert_eq!(administrators.role_type, RoleType::Group);
    assert_eq!(administrators.role_name.as_deref(), Some("Administrators"));
    let admin = reference.roles.iter().find(|role| role.role_id == 2).unwrap();
    assert_eq!((admin.parent_id, admin.tree_level, admin.user_id), (1, 2, 1));
    assert_eq!((admin.role_type, admin.user_type), (RoleType::User, Some(UserType::Admin)));
    let first = &reference.rules[0];
    assert_eq!((first.role_id, first.resource_id.as_str()), (1, "Magento_Backend::all"));
    assert_eq!((first.permission, reference.rules[1].permission), (Permission::Allow, Permission::Deny));
}

async fn nonsense_is_corrupt_and_named(home: &Home) {
    let corrupt = |error: StoreError| {
        let StoreError::Corrupt { column, .. } = error else { panic!("{error:?}") };
        column
    };
    home.execute(
        "INSERT INTO oauth_token (token, type, secret, callback_url, user_type, customer_id, created_at)
            VALUES ('bad-date', 'access', '', '', 3, 1, 'yesterday')",
    )
    .await;
    let bad_date = home.store.token(b"bad-date").await.unwrap_err();
    assert!(!bad_date.is_unavailable());
    assert_eq!(bad_date.to_string(), "oauth_token.created_at holds a text that is no time");
    let bad_date = home.store.oauth(FULL_KEY.as_bytes(), b"bad-date").await.unwrap_err();
    assert_eq!(corrupt(bad_date), "oauth_token.created_at");

    home.execute(
        "INSERT INTO admin_user (user_id, password) VALUES (90, '');
        INSERT INTO jwt_auth_revoked (user_type_id, user_id, revoke_before) VALUES (2, 90, -1)",
    )
    .await;
    let negative = home.store.user(UserType::Admin, 90).await.unwrap_err();
    assert_eq!(corrupt(negative), "jwt_auth_revoked.revoke_before");

    home.execute("INSERT INTO authorization_role (role_id, tree_level) VALUES (900, 65536)").await;
    assert_eq!(corrupt(home.store.reference().await.unwrap_err()), "authorization_role.tree_level");
    home.execute("UPDATE authorization_role SET tree_level = 0, parent_id = 4294967296 WHERE role_id = 900")
        .await;
    assert_eq!(corrupt(home.store.reference().await.unwrap_err()), "authorization_role.parent_id");
    home.execute("DELETE FROM authorization_role WHERE role_id = 900").await;
}

async fn what_magento_ignores_is_no_reason_to_stop(home: &Home) {
    home.execute("INSERT INTO authorization_role (role_id, role_type, user_type) VALUES (900, 'X', 'x')")
        .await;
    let odd =
        home.store.reference().await.unwrap().roles.into_iter().find(|role| role.role_id == 900).unwrap();
    assert_eq!((odd.role_type, odd.user_type), (RoleType::Other, None));
    home.execute("DELETE FROM authorization_role WHERE role_id = 900").await;
    // What Magento ignores is no reason to stop, and no permission either.
    home.execute(
        "INSERT INTO authorization_rule (role_id, resource_id, privileges, permission) VALUES
            (1, NULL, NULL, 'allow'),
            (1, 'a', NULL, 'ALLOW'), (1, 'b', NULL, NULL), (1, 'c', 'view', 'allow'),
            (1, 'd', 'view', 'deny'), (1, 'e', '', 'allow')",
    )
    .await;
    let rules = home.store.reference().await.unwrap().rules;
    let odd: Vec<_> = rules[790..].iter().map(|rule| (rule.resource_id.as_str(), rule.permission)).collect();
    let (other, deny, allow) = (Permission::Other, Permission::Deny, Permission::Allow);
    assert_eq!(odd, [("a", other), ("b", other), ("c", other), ("d", deny), ("e", allow)]);
}

async fn written_customers_and_tokens_are_read(home: &Home) {
    let (store, now) = (&home.store, NOW);
    let customer = NewCustomer {
        email: "dora@example.com",
        firstname: "Dora",
        lastname: "Customer",
        website_id: 1,
        password_hash: None,
    };
    let dora = store.insert_customer(&customer, now).await.unwrap();
    // The address is compared as Magento does, so that one person has one account.
    let twin = store.insert_customer(&NewCustomer { email: "DORA@example.com", ..customer }, now).await;
    assert!(matches!(twin, Err(StoreError::Conflict(_))));
    let (token, token_secret) = (secret("token-of-dora"), secret("secret-of-dora"));
    let new =
        NewAccessToken { owner: TokenOwner::Customer(dora), token: &token, encrypted_secret: &token_secret };
    store.insert_access_token(&new, now).await.unwrap();
    let row = home.token("token-of-dora").await;
    assert_eq!((row.token_type, row.user_type, row.created_at), (TokenType::Access, Some(3), Some(now)));
    assert_eq!(
        row.user,
        Some(UserRow { id: dora, is_active: true, website_id: Some(1), revoke_before: None })
    );

    assert!(store.set_token_revoked("token-of-dora", true).await.unwrap());
    assert!(home.token("token-of-dora").await.is_revoked);
    assert!(store.set_token_revoked("token-of-dora", false).await.unwrap());
    assert!(!home.token("token-of-dora").await.is_revoked);
    assert!(!store.set_token_revoked("TOKEN-OF-DORA", true).await.unwrap());
    assert!(store.delete_token("token-of-dora").await.unwrap());
    assert!(!store.delete_token("token-of-dora").await.unwrap());
    let orphan = NewAccessToken { owner: TokenOwner::Admin(4711), ..new };
    assert!(matches!(store.insert_access_token(&orphan, now).await, Err(StoreError::Conflict(_))));
}

async fn written_admins_and_roles_are_read(home: &Home) {
    let (store, now) = (&home.store, NOW);
    let group = NewRole {
        owner: RoleOwner::AdminGroup("Pickers"),
        allowed: &["Magento_Backend::admin"],
        denied: &["Magento_Sales::sales"],
    };
    let group_id = store.insert_role(&group).await.unwrap();
    let hash = secret("hash");
    let admin = NewAdmin {
        username: "picker",
        email: "picker@example.com",
        firstname: "Pia",
        lastname: "Picker",
        password_hash: &hash,
        group_id: Some(group_id),
    };
    let pia = store.insert_admin(&admin, now).await.unwrap();
    let ungrouped = NewAdmin { username: "stray", group_id: Some(4711), ..admin };
    assert!(matches!(store.insert_admin(&ungrouped, now).await, Err(StoreError::Conflict(_))));
    let reference = store.reference().await.unwrap();
    let role = reference.roles.iter().find(|role| role.user_id == pia && role.tree_level == 2).unwrap();
    assert_eq!((role.parent_id, role.user_type), (group_id, Some(UserType::Admin)));
    let rules = reference.rules.iter().filter(|rule| rule.role_id == group_id);
    let rules: Vec<_> = rules.map(|rule| (rule.resource_id.as_str(), rule.permission)).collect();
    assert_eq!(
        rules,
        [("Magento_Backend::admin", Permission::Allow), ("Magento_Sales::sales", Permission::Deny)]
    );
}

async fn written_integrations_are_read(home: &Home) {
    let (store, now) = (&home.store, NOW);
    let consumer = NewConsumer { name: "Erp", key: "key-of-erp", encrypted_secret: &secret("0:3:erp") };
    let consumer_id = store.insert_consumer(&consumer, now).await.unwrap();
    let erp = NewIntegration { name: "erp", email: "", consumer_id, status: IntegrationStatus::Inactive };
    let integration_id = store.insert_integration(&erp, now).await.unwrap();
    let (token, token_secret) = (secret("token-of-erp"), secret("0:3:token"));
    let new = NewAccessToken {
        owner: TokenOwner::Consumer(consumer_id),
        token: &token,
        encrypted_secret: &token_secret,
    };
    store.insert_access_token(&new, now).await.unwrap();
    for (status, is_active) in [
        (IntegrationStatus::Active, true),
        (IntegrationStatus::Recreated, false),
        (IntegrationStatus::Inactive, false),
    ] {
        assert!(store.set_integration_status(integration_id, status, now).await.unwrap());
        let rows = store.oauth(b"key-of-erp", b"token-of-erp").await.unwrap();
        assert_eq!(rows.consumer.unwrap().id, consumer_id);
        let integration = rows.token.unwrap().integration.unwrap();
        assert_eq!(integration, IntegrationRow { id: integration_id, name: String::from("erp"), is_active });
    }
    assert!(!store.set_integration_status(4711, IntegrationStatus::Active, now).await.unwrap());
    let far = store.insert_access_token(&new, UnixTime::from_seconds(i64::MAX)).await;
    assert!(matches!(far, Err(StoreError::Unfit { column: "oauth_token.created_at" })));
}

#[tokio::test]
async fn sqlite_keeps_the_contract() {
    keep_the_contract(&Home::recorded().await).await;
    nonsense_is_corrupt_and_named(&Home::recorded().await).await;
    own::is_our_own(&Home::empty().await).await;
    writing::is_written_to(&Home::recorded().await).await;
}

#[tokio::test]
#[ignore = "needs mariadbd; run tests/all"]
async fn mariadb_keeps_the_contract() {
    keep_the_contract(&Home::mariadb().await.with_recorded().await).await;
    own::is_our_own(&Home::mariadb().await).await;
    writing::is_written_to(&Home::mariadb().await.with_recorded().await).await;
}

#[tokio::test]
#[ignore = "needs mariadbd; run tests/all"]
async fn a_magentos_mariadb_keeps_the_contract() {
    let home = Home::magentos().await.with_recorded().await;
    keep_the_contract(&home).await;
    own::is_a_magentos(&Home::magentos().await).await;
    let written = Home::magentos().await.with_recorded().await;
    writing::is_written_to(&written).await;
    let statements = [home.store.statements(), written.store.statements()].concat();
    let unlisted = statements::unlisted(&statements, home::PREFIX);
    assert!(unlisted.is_empty(), "not in deploy/mysql/STATEMENTS.md:\n{}", unlisted.join("\n"));
}

#[tokio::test]
#[ignore = "needs postgres; run tests/all"]
async fn postgres_keeps_the_contract() {
    keep_the_contract(&Home::postgres().await.with_recorded().await).await;
    own::is_our_own(&Home::postgres().await).await;
    writing::is_written_to(&Home::postgres().await.with_recorded().await).await;
}

#[tokio::test]
async fn the_default_store_is_found_among_several_websites() {
    let home = Home::recorded().await;
    home.load("fixture_store_scope.json").await;
    let reference = home.store.reference().await.unwrap();
    let stores: Vec<_> = reference.stores.iter().map(|s| (s.id, s.code.as_str(), s.website_id)).collect();
    // Inactive store views work on REST, so they are there (recorded: fact 26).
    assert_eq!(stores, [(0, "admin", 0), (1, "default", 1), (2, "de", 1), (3, "w2", 2), (4, "inact", 1)]);
    assert_eq!(reference.default_store_id, Some(1));
    home.execute("UPDATE store_website SET is_default = website_id = 2").await;
    assert_eq!(home.store.reference().await.unwrap().default_store_id, Some(3));
    home.execute("UPDATE store_website SET is_default = 0").await;
    assert_eq!(home.store.reference().await.unwrap().default_store_id, None);
}

#[tokio::test]
async fn a_fresh_store_has_one_website_and_no_roles() {
    let file = Home::empty().await;
    for store in [&file.store, &SqlStore::open("sqlite::memory:").await.unwrap()] {
        let reference = store.reference().await.unwrap();
        let stores: Vec<_> = reference.stores.iter().map(|s| (s.id, s.code.as_str(), s.website_id)).collect();
        assert_eq!(stores, [(0, "admin", 0), (1, "default", 1)]);
        assert_eq!(reference.default_store_id, Some(1));
        assert!(reference.roles.is_empty() && reference.rules.is_empty());
    }
}

#[tokio::test]
async fn a_database_in_memory_serves_many_at_once_and_nobody_else() {
    let store = SqlStore::open("sqlite::memory:").await.unwrap();
    let token = secret("t");
    let consumer = NewConsumer { name: "c", key: "k", encrypted_secret: &token };
    store.insert_consumer(&consumer, NOW).await.unwrap();
    let lookups: Vec<_> = (0..32)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.oauth(b"k", b"t").await.unwrap().consumer.unwrap().id })
        })
        .collect();
    for lookup in lookups {
        assert_eq!(lookup.await.unwrap(), 1);
    }
    let other = SqlStore::open("sqlite::memory:").await.unwrap();
    assert!(other.oauth(b"k", b"t").await.unwrap().consumer.is_none());
}

#[tokio::test]
async fn migrating_again_changes_nothing() {
    let home = Home::recorded().await;
    let report = SqlStore::migrate(&home.url).await.unwrap();
    assert_eq!((report.from, report.to, report.is_changed()), (Some(3), 3, false));
    assert!(home.store.token(ALICE_TOKEN.as_bytes()).await.unwrap().is_some());
    let report = SqlStore::migrate("sqlite::memory:").await.unwrap();
    assert_eq!((report.from, report.to, report.is_changed()), (None, 3, true));
}

/// One of two was told now and then that the database is locked, while both switched the new file to WAL.
#[tokio::test]
async fn those_that_migrate_at_once_do_not_collide() {
    for _ in 0..10 {
        let directory = tempfile::tempdir().unwrap();
        let url = url(&directory.path().join("new.db"));
        let migrate = || SqlStore::migrate(&url);
        let (one, two, three) = tokio::join!(migrate(), migrate(), migrate());
        let reports = [one.unwrap(), two.unwrap(), three.unwrap()];
        assert_eq!(reports.iter().filter(|report| report.is_changed()).count(), 1);
        SqlStore::open(&url).await.unwrap();
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_new_database_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::recorded().await;
    for name in ["portcullis.db", "portcullis.db-wal"] {
        let metadata = std::fs::metadata(home._directory.as_ref().unwrap().path().join(name)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_missing_file_is_named_and_not_created() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("absent.db");
    let error = SqlStore::open(&url(&path)).await.unwrap_err();
    let text = format!("no database at {}: run `portcullis migrate` to create it", path.display());
    assert_eq!(error.to_string(), text);
    assert!(!path.exists());
    let nowhere = directory.path().join("no/such/folder.db");
    assert!(matches!(SqlStore::migrate(&url(&nowhere)).await, Err(StoreError::NotCreated { .. })));
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notes.db");
    let notes = "not a database. ".repeat(1000);
    std::fs::write(&path, &notes).unwrap();
    for error in
        [SqlStore::open(&url(&path)).await.unwrap_err(), SqlStore::migrate(&url(&path)).await.unwrap_err()]
    {
        assert_eq!(error.to_string(), format!("{} is not a SQLite database", path.display()));
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), notes);
    let error = SqlStore::open(&url(directory.path())).await.unwrap_err();
    assert!(matches!(error, StoreError::NotOpened { .. }), "no waiting mends it: {error:?}");
}

#[tokio::test]
async fn opening_without_the_right_schema_is_refused() {
    let empty = tempfile::tempdir().unwrap();
    std::fs::write(empty.path().join("empty.db"), "").unwrap();
    let error = SqlStore::open(&url(&empty.path().join("empty.db"))).await.unwrap_err();
    assert!(matches!(error, StoreError::Schema(SchemaError::Missing)), "{error:?}");

    let cases = [
        (
            "INSERT INTO _sqlx_migrations VALUES (7, 'later', '2030-01-01 00:00:00', 1, X'00', 0)",
            SchemaError::Newer { found: 7, known: 3 },
        ),
        (
            "INSERT INTO _sqlx_migrations VALUES (-1, 'odd', '2030-01-01 00:00:00', 1, X'00', 0)",
            SchemaError::Altered { version: -1 },
        ),
        ("UPDATE _sqlx_migrations SET checksum = X'00'", SchemaError::Altered { version: 1 }),
        ("UPDATE _sqlx_migrations SET success = 0", SchemaError::Incomplete { version: 1 }),
    ];
    for (sql, expected) in cases {
        let home = Home::empty().await;
        home.execute(sql).await;
        for error in
            [SqlStore::open(&home.url).await.unwrap_err(), SqlStore::migrate(&home.url).await.unwrap_err()]
        {
            assert!(matches!(error, StoreError::Schema(found) if found == expected), "{sql}: {error:?}");
        }
    }
    let home = Home::empty().await;
    home.execute("DELETE FROM _sqlx_migrations").await;
    let error = SqlStore::open(&home.url).await.unwrap_err();
    assert!(matches!(error, StoreError::Schema(SchemaError::Missing)), "{error:?}");
    home.execute("DROP TABLE _sqlx_migrations").await;
    let error = SqlStore::migrate(&home.url).await.unwrap_err();
    assert!(matches!(error, StoreError::Schema(SchemaError::Foreign)), "{error:?}");
}

#[tokio::test]
async fn a_locked_or_closed_store_is_unavailable() {
    let home = Home::recorded().await;
    let mut writer = home.sqlite().begin_with("BEGIN IMMEDIATE").await.unwrap();
    sqlx::query("UPDATE oauth_token SET revoked = 1").execute(&mut *writer).await.unwrap();
    // Readers go on beside a writer, and see nothing of what is not committed.
    assert!(!home.token(ALICE_TOKEN).await.is_revoked);
    let error = home.store.delete_token(ALICE_TOKEN).await.unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");
    writer.rollback().await.unwrap();
    home.store.close().await;
    assert!(home.store.ping().await.unwrap_err().is_unavailable());
    assert!(home.store.token(ALICE_TOKEN.as_bytes()).await.unwrap_err().is_unavailable());
    assert!(home.store.reference().await.unwrap_err().is_unavailable());
}
