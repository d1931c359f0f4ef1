//! How often one may be wrong: counts, windows, spellings, and many guesses at once.

use crate::{
    auth::jwt::AcceptedKeys,
    service::{
        TokenSettings,
        testing::{GENERIC, Shop, refusal},
    },
};

/// The MD5 form of `Password1`, which is quick to write down.
const HASH: &str = "a4383d17c440a6fb97868c84cdc7453c:aa:0";

async fn shop(rows: &[(&str, &str)]) -> Shop {
    let shop = Shop::with(TokenSettings::default(), rows, &AcceptedKeys::All).await;
    shop.sql(&format!(
        "INSERT INTO customer_entity (entity_id, email, website_id, password_hash) VALUES (1, 'a@example.com', 1, '{HASH}');
        INSERT INTO admin_user (user_id, username, password) VALUES (1, 'ada', '{HASH}');
        INSERT INTO authorization_role (role_id, parent_id, role_type, user_id, user_type) VALUES (1, 0, 'G', 0, '2'), (2, 1, 'U', 1, '2')"
    ))
    .await;
    shop
}

enum Guess {
    Right,
    Wrong,
}

use Guess::{Right, Wrong};

#[tokio::test]
async fn six_failures_refuse_a_name_until_1800_s_after_the_last() {
    let shop = shop(&[]).await;
    for (at, name, guess, is_let_in, failures) in [
        (0, "ada", Wrong, false, Some(1)),
        (10, "ADA", Wrong, false, Some(2)),
        (20, "ada", Wrong, false, Some(3)),
        (30, "ada", Wrong, false, Some(4)),
        (40, "ada", Wrong, false, Some(5)),
        (50, "ada", Right, true, None),
        (60, "Ada", Wrong, false, Some(1)),
        (61, "ada", Wrong, false, Some(2)),
        (62, "ada", Wrong, false, Some(3)),
        (63, "ada", Wrong, false, Some(4)),
        (64, "ada", Wrong, false, Some(5)),
        (65, "ada", Wrong, false, Some(6)),
        // Refused whatever the password is, and not counted.
        (66, "ada", Right, false, Some(6)),
        (67, "ADA", Wrong, false, Some(6)),
        (65 + 1799, "ada", Right, false, Some(6)),
        // The window is over, the count is not: one more failure refuses again.
        (65 + 1800, "ada", Wrong, false, Some(7)),
        (65 + 1801, "ada", Right, false, Some(7)),
        (65 + 1800 + 1800, "ada", Right, true, None),
    ] {
        shop.at(at);
        let password = match guess {
            Right => "Password1",
            Wrong => "nope",
        };
        let answer = shop.admin(name, password).await;
        if is_let_in {
            assert!(answer.is_ok(), "{at}");
        } else {
            assert_eq!(refusal(answer), GENERIC, "{at}");
        }
        let counted = shop.rows("SELECT CAST(failures_count AS TEXT) FROM oauth_token_request_log").await;
        assert_eq!(
            counted,
            failures.map(|failures: i32| failures.to_string()).into_iter().collect::<Vec<_>>(),
            "{at}"
        );
    }
}

#[tokio::test]
async fn names_of_nobody_count_too_and_each_kind_of_user_for_itself() {
    let shop = shop(&[("oauth/authentication_lock/max_failures_count", "1")]).await;
    refusal(shop.admin("a@example.com", "Password1").await);
    refusal(shop.customer("ada", "Password1").await);
    refusal(shop.customer("nobody@example.com", "x").await);
    assert_eq!(shop.failures().await, ["a@example.com|3|1", "ada|2|1", "nobody@example.com|2|1"]);
    assert!(shop.admin("ada", "Password1").await.is_ok());
    assert!(shop.customer("A@EXAMPLE.COM", "Password1").await.is_ok());
}

#[tokio::test]
async fn a_limit_of_zero_refuses_everybody() {
    let shop = shop(&[("oauth/authentication_lock/max_failures_count", "0")]).await;
    assert_eq!(refusal(shop.admin("ada", "Password1").await), GENERIC);
    assert!(shop.failures().await.is_empty());
}

#[tokio::test]
async fn a_name_that_no_column_holds_is_refused_and_not_counted() {
    let shop = shop(&[]).await;
    assert_eq!(refusal(shop.admin(&"x".repeat(256), "Password1").await), GENERIC);
    assert!(shop.failures().await.is_empty());
}

#[tokio::test]
async fn guesses_at_once_do_not_outrun_the_count() {
    let shop = shop(&[("oauth/authentication_lock/max_failures_count", "2")]).await;
    let attempt = async {
        refusal(shop.admin("ada", "Password1").await);
    };
    // Whoever was already let through to the password when the count was reached is refused after it.
    let late = async {
        for _ in 0..2 {
            shop.sql(
                "INSERT INTO oauth_token_request_log (user_name, user_type, failures_count, lock_expires_at)
                VALUES ('ada', 3, 1, '2999-01-01 00:00:00')
                ON CONFLICT DO UPDATE SET failures_count = failures_count + 1",
            )
            .await;
        }
    };
    tokio::join!(attempt, late);
    assert_eq!(shop.failures().await, ["ada|3|2"]);
    assert_eq!(shop.rows("SELECT CAST(lognum AS TEXT) FROM admin_user").await, ["0"]);
}

#[tokio::test]
async fn a_customers_own_lock_holds_beside_the_throttle_and_a_login_does_not_undo_the_count() {
    let rows =
        [("customer/password/lockout_failures", "3"), ("oauth/authentication_lock/max_failures_count", "99")];
    let shop = shop(&rows).await;
    for (at, guess, is_let_in, own, of_name) in [
        (0, Wrong, false, "1||-", 1),
        (1, Wrong, false, "2||-", 2),
        (2, Right, true, "2||-", 0),
        (3, Wrong, false, "3||2026-11-21 08:08:15", 1),
        // Locked: neither password counts for the account, both count for the name.
        (4, Right, false, "3||2026-11-21 08:08:15", 2),
        (5, Wrong, false, "3||2026-11-21 08:08:15", 3),
        (603, Right, true, "3||2026-11-21 08:08:15", 0),
        (604, Wrong, false, "1||-", 1),
    ] {
        shop.at(at);
        let password = match guess {
            Right => "Password1",
            Wrong => "nope",
        };
        let answer = shop.customer("a@example.com", password).await;
        if is_let_in {
            assert!(answer.is_ok(), "{at}");
        } else {
            assert_eq!(refusal(answer), GENERIC, "{at}");
        }
        let select = "SELECT failures_num || '||' || coalesce(lock_expires, '-') FROM customer_entity";
        assert_eq!(shop.rows(select).await, [own], "{at}");
        let counted = shop.rows("SELECT CAST(failures_count AS TEXT) FROM oauth_token_request_log").await;
        assert_eq!(counted.first().map_or("0", String::as_str), of_name.to_string(), "{at}");
    }
}
