//! What only a store of our own can do, because a Magento has no table for it: the feed of changes, rotation, who runs a job.

use std::time::Duration;

use portcullis::{
    auth::{identity::UserType, time::UnixTime},
    store::{
        StoreError, Subject,
        rows::TokenType,
        sql::{Changed, Changes, Lease, NewConsumer, Stale, TokenValues},
    },
};

use super::{
    NOW,
    home::{Database, Home, secret},
};

const CONSUMER: Changed = Changed::Subject(Subject::Consumer(4));
const ADMIN: Changed = Changed::Subject(Subject::Admin(2));
const CUSTOMER: Changed = Changed::Subject(Subject::Customer(3));

/// Everything below, on an empty store.
pub(crate) async fn is_our_own(home: &Home) {
    a_rotation_leaves_the_older_ones_for_a_while(home).await;
    one_runner_has_a_job(home).await;
    whatever_ends_a_grant_is_in_the_feed(home).await;
    who_goes_with_another_is_in_the_feed(home).await;
    no_change_is_passed_over(home).await;
}

/// What a Magento's own database answers to the same.
pub(crate) async fn is_a_magentos(home: &Home) {
    let store = &home.store;
    assert!(store.is_magentos());
    let refused = |error: StoreError| assert!(matches!(error, StoreError::Magentos { .. }), "{error:?}");
    refused(store.change_mark().await.unwrap_err());
    // Nobody keeps claims there, so that everybody has them.
    assert!(store.jobs().await.unwrap().is_empty());
    for owner in ["a", "b"] {
        assert!(store.take_job(Lease { job: "j", owner }, (NOW, NOW), None).await.unwrap());
    }
    let mut change = store.change().await.unwrap();
    refused(change.keep_older_secret(1, &secret("s"), NOW).await.unwrap_err());
    refused(change.keep_older_token(1, NOW).await.unwrap_err());
    change.delete_older_secret(1).await.unwrap();
    for stale in [Stale::OlderSecrets(NOW), Stale::OlderTokens(NOW)] {
        assert_eq!(store.sweep(stale, 5).await.unwrap().deleted, 0);
    }
}

async fn a_rotation_leaves_the_older_ones_for_a_while(home: &Home) {
    let store = &home.store;
    let (first, second, hidden) = (secret("t-first"), secret("t-second"), secret("0:3:first"));
    let new = NewConsumer { name: "r", key: "key-of-rotation", encrypted_secret: &hidden };
    let consumer = store.insert_consumer(&new, NOW).await.unwrap();
    let ends_at = NOW.plus(Duration::from_secs(60));
    let mut change = store.change().await.unwrap();
    let values =
        |token| TokenValues { token_type: TokenType::Access, token, secret: token, callback_url: "" };
    let old = change.insert_token(consumer, &values(&first), (None, NOW)).await.unwrap();
    change.insert_token(consumer, &values(&second), (None, NOW)).await.unwrap();
    for later in [NOW, ends_at] {
        change.keep_older_secret(consumer, &hidden, later).await.unwrap();
        change.keep_older_token(old, later).await.unwrap();
    }
    change.set_consumer_secret(consumer, &secret("0:3:second")).await.unwrap();
    let record = change.consumer(consumer).await.unwrap().unwrap();
    assert_eq!(record.older_secret.unwrap().1, ends_at);
    let kept: Vec<_> = change.tokens_of(consumer).await.unwrap().iter().map(|token| token.ends_at).collect();
    assert_eq!(kept, [Some(ends_at), None]);
    change.commit().await.unwrap();
    let rows = store.oauth(b"key-of-rotation", b"t-first").await.unwrap();
    let (older, until) = rows.consumer.unwrap().older_secret.unwrap();
    assert_eq!((older.expose().as_str(), until), ("0:3:first", ends_at));
    assert_eq!(rows.token.unwrap().ends_at, Some(ends_at));
    assert_eq!(store.token(b"t-second").await.unwrap().unwrap().ends_at, None);
    assert_eq!(store.sweep(Stale::OlderTokens(NOW), 5).await.unwrap().deleted, 0);
    assert_eq!(store.sweep(Stale::OlderTokens(ends_at), 5).await.unwrap().deleted, 1);
    assert_eq!(store.sweep(Stale::OlderSecrets(ends_at), 5).await.unwrap().deleted, 1);
    assert!(store.token(b"t-first").await.unwrap().is_none());
}

async fn one_runner_has_a_job(home: &Home) {
    let store = &home.store;
    let at = UnixTime::from_seconds;
    let (a, b) = (Lease { job: "j", owner: "a" }, Lease { job: "j", owner: "b" });
    assert!(store.take_job(a, (at(100), at(160)), None).await.unwrap());
    assert!(!store.take_job(a, (at(100), at(160)), None).await.unwrap(), "taken by itself");
    assert!(!store.take_job(b, (at(159), at(219)), None).await.unwrap(), "taken");
    assert!(store.keep_job(a, (at(150), at(210))).await.unwrap());
    assert!(!store.keep_job(b, (at(150), at(210))).await.unwrap(), "not its own");
    assert!(store.take_job(b, (at(210), at(270)), None).await.unwrap(), "run out");
    store.give_back_job(a, Some(at(212))).await.unwrap();
    store.give_back_job(b, Some(at(220))).await.unwrap();
    let row = store.jobs().await.unwrap().remove(0);
    assert_eq!((row.name.as_str(), row.owner, row.finished_at), ("j", None, Some(at(220))));
    assert!(!store.take_job(a, (at(230), at(290)), Some(at(200))).await.unwrap(), "it was just done");
    assert!(store.take_job(a, (at(230), at(290)), None).await.unwrap(), "by hand at any time");
    let runners: Vec<_> = (0..8)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                let owner = number.to_string();
                store.take_job(Lease { job: "race", owner: &owner }, (at(1), at(61)), None).await.unwrap()
            })
        })
        .collect();
    let mut taken = 0;
    for runner in runners {
        taken += u32::from(runner.await.unwrap());
    }
    assert_eq!(taken, 1);
}

async fn after(home: &Home, statement: &str) -> Vec<Changed> {
    let mark = home.store.change_mark().await.unwrap();
    home.execute(statement).await;
    match home.store.changes_since(mark).await.unwrap() {
        Changes::None => Vec::new(),
        Changes::Some(changes, _) => changes,
        Changes::Rewound(_) => panic!("rewound by {statement}"),
    }
}

/// Three accounts with a token each.
async fn people(home: &Home) {
    let key = if matches!(home.database, Database::MySql(..)) { "`key`" } else { "key" };
    home.execute(&format!(
        "INSERT INTO admin_user (user_id, username, password) VALUES (2, 'ann', '');
        INSERT INTO customer_entity (entity_id, email, website_id) VALUES (3, 'a@b', 1);
        INSERT INTO oauth_consumer (entity_id, name, {key}, secret, rejected_callback_url) VALUES (4, '', 'k', 's', '');
        INSERT INTO integration (integration_id, name, email, status, consumer_id) VALUES (11, 'i', '', 1, 4);
        INSERT INTO oauth_token (consumer_id, type, token, secret, callback_url, user_type)
            VALUES (4, 'access', 'tc', '', '', 1);
        INSERT INTO oauth_token (admin_id, type, token, secret, callback_url, user_type)
            VALUES (2, 'access', 'ta', '', '', 2);
        INSERT INTO oauth_token (customer_id, type, token, secret, callback_url, user_type)
            VALUES (3, 'access', 'tu', '', '', 3)"
    ))
    .await;
}

async fn whatever_ends_a_grant_is_in_the_feed(home: &Home) {
    people(home).await;
    home.execute("INSERT INTO authorization_role (role_id, role_name) VALUES (31, 'r')").await;
    for (statement, expected) in [
        ("UPDATE oauth_token SET revoked = 1 WHERE token = 'tc'", vec![CONSUMER]),
        ("UPDATE oauth_token SET customer_id = 3, admin_id = NULL WHERE token = 'ta'", vec![ADMIN, CUSTOMER]),
        ("DELETE FROM oauth_token WHERE token = 'tu'", vec![CUSTOMER]),
        ("UPDATE integration SET status = 0", vec![CONSUMER]),
        ("UPDATE integration SET name = 'I'", vec![CONSUMER]),
        ("UPDATE oauth_consumer SET secret = 'S' WHERE entity_id = 4", vec![CONSUMER]),
        ("UPDATE admin_user SET is_active = 0", vec![ADMIN]),
        ("UPDATE customer_entity SET is_active = 0", vec![CUSTOMER]),
        ("INSERT INTO jwt_auth_revoked VALUES (3, 3, 5)", vec![CUSTOMER]),
        ("UPDATE jwt_auth_revoked SET revoke_before = 6", vec![CUSTOMER]),
        ("INSERT INTO authorization_rule (role_id, resource_id) VALUES (31, 'x')", vec![Changed::Tables]),
        ("UPDATE authorization_rule SET permission = 'deny'", vec![Changed::Tables]),
        ("DELETE FROM authorization_role WHERE role_id = 31", vec![Changed::Tables]),
        ("INSERT INTO core_config_data (path, value) VALUES ('oauth/x', '1')", vec![Changed::Tables]),
        // What ends no grant.
        ("INSERT INTO oauth_nonce VALUES ('n', 1, 4)", vec![]),
        ("UPDATE admin_user SET logdate = '2026-01-01 00:00:00', failures_num = 3", vec![]),
        ("UPDATE customer_entity SET failures_num = 1, lock_expires = '2026-01-01 00:00:00'", vec![]),
        ("UPDATE oauth_consumer SET updated_at = '2026-01-01 00:00:00', callback_url = 'x'", vec![]),
        ("INSERT INTO jwt_auth_revoked VALUES (1, 3, 5)", vec![]),
        ("DELETE FROM jwt_auth_revoked", vec![]),
    ] {
        assert_eq!(after(home, statement).await, expected, "{statement}");
    }
    home.store.revoke_user(UserType::Customer, 3, NOW).await.unwrap();
    let mark = home.store.change_mark().await.unwrap();
    home.store.revoke_user(UserType::Customer, 3, NOW).await.unwrap();
    let Changes::Some(changes, _) = home.store.changes_since(mark).await.unwrap() else {
        panic!("no change")
    };
    assert_eq!(changes, [CUSTOMER]);
}

/// In MySQL a row that goes with the one it refers to fires no trigger.
async fn who_goes_with_another_is_in_the_feed(home: &Home) {
    home.execute(
        "INSERT INTO oauth_token (consumer_id, admin_id, customer_id, type, token, secret, callback_url, user_type)
            VALUES (4, 2, 3, 'access', 'of-three', '', '', 2)",
    )
    .await;
    let sorted = |mut changes: Vec<Changed>| {
        changes.sort_by_key(|change| format!("{change:?}"));
        changes
    };
    let all = vec![ADMIN, CONSUMER, CUSTOMER];
    assert_eq!(sorted(after(home, "DELETE FROM oauth_consumer WHERE entity_id = 4").await), all);
    home.execute("DELETE FROM customer_entity WHERE entity_id = 3").await;
    home.execute("DELETE FROM admin_user WHERE user_id = 2").await;
    people(home).await;
    home.execute("INSERT INTO store_website (website_id, code) VALUES (7, 'seven')").await;
    home.execute("INSERT INTO customer_entity (entity_id, email, website_id) VALUES (8, 'e@f', 7)").await;
    let moved = after(home, "DELETE FROM store_website WHERE website_id = 7").await;
    assert_eq!(moved, [Changed::Subject(Subject::Customer(8))]);
    assert!(after(home, "DELETE FROM admin_user WHERE user_id = 2").await.contains(&ADMIN));
    assert!(after(home, "DELETE FROM customer_entity WHERE entity_id = 3").await.contains(&CUSTOMER));
}

/// Two writers' numbers came into sight in the wrong order, and the poller passed the lower one over.
async fn no_change_is_passed_over(home: &Home) {
    let begin = home.store.change_mark().await.unwrap();
    let writers: Vec<_> = (100..160_u32)
        .map(|id| {
            let store = home.store.clone();
            tokio::spawn(async move {
                // What a writer is told that must wait too long, it tries again.
                while let Err(error) = store.revoke_user(UserType::Customer, id, NOW).await {
                    assert!(error.is_unavailable(), "{error:?}");
                }
            })
        })
        .collect();
    let mut seen = Vec::new();
    let mut mark = begin;
    loop {
        let is_over = writers.iter().all(tokio::task::JoinHandle::is_finished);
        match home.store.changes_since(mark).await.unwrap() {
            Changes::None if is_over => break,
            Changes::None => {}
            Changes::Some(changes, last) => {
                seen.extend(changes);
                mark = last;
            }
            Changes::Rewound(_) => panic!("rewound"),
        }
    }
    for id in 100..160 {
        assert!(seen.contains(&Changed::Subject(Subject::Customer(id))), "{id} was passed over");
    }
}
