//! What an account may lack, where it counts, and what becomes of old hashes; making and shutting out users.

use crate::{
    auth::{
        identity::UserType,
        jwt::AcceptedKeys,
        rejection::{Message, Parameters},
        secret::Secret,
    },
    service::{
        Issuer, Origin, ServiceError, TokenSettings,
        admin_token::AdminTokenService,
        testing::{GENERIC, Shop, guest, refusal, secret},
        users::{AdminDraft, CustomerDraft, Users},
    },
};

/// The MD5 form of `Password1`, which is quick to write down.
const HASH: &str = "a4383d17c440a6fb97868c84cdc7453c:aa:0";

async fn shop(rows: &[(&str, &str)]) -> Shop {
    let shop = Shop::with(TokenSettings::default(), rows, &AcceptedKeys::All).await;
    shop.sql(&format!(
        "INSERT INTO store_website (website_id, code) VALUES (2, 'second');
        INSERT INTO customer_entity (entity_id, email, website_id, password_hash, is_active, confirmation, lock_expires) VALUES
            (1, 'one@example.com', 1, '{HASH}', 1, NULL, NULL),
            (2, 'two@example.com', 2, '{HASH}', 1, NULL, NULL),
            (3, 'off@example.com', 1, '{HASH}', 0, NULL, NULL),
            (4, 'new@example.com', 1, '{HASH}', 1, 'key', NULL),
            (5, 'locked@example.com', 1, '{HASH}', 1, NULL, '2999-01-01 00:00:00'),
            (6, 'none@example.com', 1, NULL, 1, NULL, NULL),
            (7, 'nowhere@example.com', NULL, '{HASH}', 1, NULL, NULL);
        INSERT INTO admin_user (user_id, username, password, is_active, lock_expires) VALUES
            (1, 'ada', '{HASH}', 1, NULL), (2, 'off', '{HASH}', 0, NULL), (3, 'roleless', '{HASH}', 1, NULL),
            (4, 'locked', '{HASH}', 1, '2999-01-01 00:00:00'), (5, 'empty', '', 1, NULL);
        INSERT INTO authorization_role (role_id, parent_id, role_type, user_id, user_type, role_name) VALUES
            (1, 0, 'G', 0, '2', 'Clerks'), (2, 1, 'U', 1, '2', ''), (3, 1, 'U', 2, '2', ''), (4, 1, 'U', 4, '2', ''),
            (5, 1, 'U', 5, '2', ''), (6, 0, 'U', 3, '1', '13')"
    ))
    .await;
    shop
}

#[tokio::test]
async fn an_admin_needs_the_password_an_active_account_and_a_role() {
    let no_role = "More permissions are needed to access this.";
    let shop = shop(&[]).await;
    for (name, password, refused, failures) in [
        ("ada", "Password1", None, 0),
        ("locked", "Password1", None, 0),
        ("ada", "password1", Some(GENERIC), 1),
        ("off", "Password1", Some(GENERIC), 0),
        ("off", "password1", Some(GENERIC), 1),
        ("roleless", "Password1", Some(no_role), 0),
        ("roleless", "password1", Some(GENERIC), 1),
        ("empty", "Password1", Some(GENERIC), 1),
        ("nobody", "Password1", Some(GENERIC), 1),
        ("ada ", "Password1", Some(GENERIC), 1),
    ] {
        shop.sql("DELETE FROM oauth_token_request_log").await;
        let answer = shop.admin(name, password).await;
        match refused {
            Some(text) => assert_eq!(refusal(answer), text, "{name} {password}"),
            None => assert!(shop.fact(&answer.unwrap()).await.is_positive(), "{name} {password}"),
        }
        assert_eq!(shop.failures().await.len(), failures, "{name} {password}");
    }
    let logins =
        shop.rows("SELECT lognum || ' ' || coalesce(logdate, '-') FROM admin_user ORDER BY user_id").await;
    assert_eq!(logins, ["1 2026-11-21 07:58:12", "0 -", "0 -", "1 2026-11-21 07:58:12", "0 -"]);
}

#[tokio::test]
async fn an_admins_name_is_spelt_exactly_where_the_setting_says_so() {
    let shop = shop(&[("admin/security/use_case_sensitive_login", "1")]).await;
    assert!(shop.admin("ada", "Password1").await.is_ok());
    assert_eq!(refusal(shop.admin("Ada", "Password1").await), GENERIC);
}

#[tokio::test]
async fn a_customer_needs_the_password_and_an_account_that_lacks_nothing() {
    let confirm = [("customer/create_account/confirm", "1")];
    for (rows, unconfirmed) in [(&[][..], None), (&confirm[..], Some(GENERIC))] {
        let shop = shop(rows).await;
        for (name, password, refused, own_failures) in [
            ("one@example.com", "Password1", None, "0"),
            ("ONE@example.com", "Password1", None, "0"),
            ("one@example.com", "password1", Some(GENERIC), "1"),
            ("off@example.com", "Password1", Some(GENERIC), "0"),
            ("new@example.com", "Password1", unconfirmed, "0"),
            ("locked@example.com", "Password1", Some(GENERIC), "0"),
            ("none@example.com", "Password1", Some(GENERIC), "1"),
            ("two@example.com", "Password1", Some(GENERIC), "0"),
            ("nowhere@example.com", "Password1", Some(GENERIC), "0"),
            ("nobody@example.com", "Password1", Some(GENERIC), "0"),
        ] {
            shop.sql("DELETE FROM oauth_token_request_log; UPDATE customer_entity SET failures_num = 0")
                .await;
            let answer = shop.customer(name, password).await;
            let is_refused = refused.is_some();
            match refused {
                Some(text) => assert_eq!(refusal(answer), text, "{name}"),
                None => assert!(shop.fact(&answer.unwrap()).await.is_positive(), "{name}"),
            }
            assert_eq!(shop.failures().await.len(), usize::from(is_refused), "{name}");
            let own = shop.rows("SELECT CAST(sum(failures_num) AS TEXT) FROM customer_entity").await;
            assert_eq!(own, [own_failures], "{name}");
        }
    }
}

#[tokio::test]
async fn customers_are_found_in_their_website_or_everywhere() {
    let global = [("customer/account_share/scope", "0")];
    for (rows, website_id, found) in [
        (&[][..], Some(1), ["one@example.com"].as_slice()),
        (&[], Some(2), &["two@example.com"]),
        (&[], None, &[]),
        (&global, Some(1), &["one@example.com", "two@example.com", "nowhere@example.com"]),
        (&global, None, &["one@example.com", "two@example.com", "nowhere@example.com"]),
    ] {
        let shop = shop(rows).await;
        for name in ["one@example.com", "two@example.com", "nowhere@example.com"] {
            let answer = shop.customer_in(website_id, name, "Password1").await;
            assert_eq!(answer.is_ok(), found.contains(&name), "{rows:?} {website_id:?} {name}");
        }
    }
}

#[tokio::test]
async fn an_old_hash_is_replaced_where_that_is_on() {
    for (rehashes, is_replaced) in [(false, false), (true, true)] {
        let shop = shop(&[]).await;
        let settings = TokenSettings { issuer: Issuer::Jwt, rehashes };
        let desk = shop.rebuilt(settings);
        let service = AdminTokenService::new(desk);
        for _ in 0..2 {
            let password = secret("Password1");
            service.create_admin_access_token(Some("ada"), Some(&password), &guest()).await.unwrap();
        }
        let stored = shop.rows("SELECT password FROM admin_user WHERE user_id = 1").await;
        assert_eq!(stored[0] != HASH, is_replaced);
        assert_eq!(stored[0].ends_with(":3_32_2_67108864"), is_replaced);
        refusal(shop.admin("ada", "password1").await);
    }
}

#[tokio::test]
async fn whoever_is_made_can_sign_in_and_whoever_is_shut_out_cannot() {
    let shop = shop(&[]).await;
    let users = Users::new(shop.desk.clone());
    let cli = Origin::local("cli:root");
    let (admin_password, password) = (secret("letters1"), secret("Passw0rd"));
    let admin = admin(&admin_password);
    let id = users.create_admin(&admin, &cli).await.unwrap();
    let token = shop.admin("grace", "letters1").await.unwrap();
    assert!(shop.fact(&token).await.is_positive());
    let customer = users.create_customer(&customer(&password), &cli).await.unwrap();
    assert!(shop.customer("three@example.com", "Passw0rd").await.is_ok());
    let found = users.find(UserType::Customer, "THREE@example.com").await.unwrap();
    assert_eq!((found[0].id, found[0].website_id, found[0].is_active), (customer, Some(1), true));

    assert!(users.set_active((UserType::Admin, id), false, &cli).await.unwrap());
    assert!(!shop.fact(&token).await.is_positive(), "the cache forgot as well");
    assert_eq!(refusal(shop.admin("grace", "letters1").await), GENERIC);
    let listed = users.list(UserType::Admin, id - 1, 10).await.unwrap();
    assert_eq!((listed[0].name.as_str(), listed[0].is_active), ("grace", false));
    shop.at(1);
    assert!(users.set_active((UserType::Admin, id), true, &cli).await.unwrap());
    assert!(!shop.fact(&token).await.is_positive(), "its tokens stay dead");
    let token = shop.admin("grace", "letters1").await.unwrap();
    assert!(shop.fact(&token).await.is_positive());
    assert!(!users.set_active((UserType::Customer, 999), false, &cli).await.unwrap());
    assert!(!users.set_active((UserType::Guest, 1), false, &cli).await.unwrap());
}

#[tokio::test]
async fn drafts_that_lack_something_are_refused() {
    let shop = shop(&[]).await;
    let users = Users::new(shop.desk.clone());
    let cli = Origin::local("cli:root");
    let (good, short, plain) = (secret("letters1"), secret("a1"), secret("abcdefgh"));
    for (draft, text) in [
        (AdminDraft { username: " ", ..admin(&good) }, "\"%fieldName\" is required. Enter and try again."),
        (
            AdminDraft { username: "ADA", ..admin(&good) },
            "A user with the same user name or email already exists.",
        ),
        (AdminDraft { email: "ada", ..admin(&good) }, "Please enter a valid email."),
        (AdminDraft { group: "Nobody", ..admin(&good) }, "There is no group of that name."),
        (admin(&short), "Your password must be at least %1 characters."),
        (admin(&plain), "Your password must include both numeric and alphabetic characters."),
    ] {
        assert_eq!(input(users.create_admin(&draft, &cli).await).text, text);
    }
    let strong = secret("Passw0rd");
    for (draft, text) in [
        (customer(&short), "The password needs at least %1 characters. Create a new password and try again."),
        (
            customer(&plain),
            "Minimum of different classes of characters in password is %1. Classes of characters: Lower Case, Upper Case, Digits, Special Characters.",
        ),
        (CustomerDraft { website_id: 9, ..customer(&strong) }, "There is no such website."),
        (
            CustomerDraft { email: "ONE@example.com", ..customer(&strong) },
            "A customer with the same email address already exists in an associated website.",
        ),
    ] {
        assert_eq!(input(users.create_customer(&draft, &cli).await).text, text);
    }
    let message = input(users.create_customer(&customer(&short), &cli).await);
    assert_eq!(message.parameters, Parameters::Positional("8".to_owned()));
}

fn admin(password: &Secret<String>) -> AdminDraft<'_> {
    let (username, email) = ("grace", "grace@example.com");
    AdminDraft { username, email, firstname: "Grace", lastname: "Hopper", group: "Clerks", password }
}

fn customer(password: &Secret<String>) -> CustomerDraft<'_> {
    let email = "three@example.com";
    CustomerDraft { email, firstname: "T", lastname: "C", website_id: 1, password }
}

fn input<T: std::fmt::Debug>(result: Result<T, ServiceError>) -> Message {
    match result {
        Err(ServiceError::Input(message)) => message,
        other => panic!("{other:?}"),
    }
}
