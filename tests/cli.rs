//! Credentials operated from the shell: the real binary on a store, beside a gate that serves from it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "as in any test; clippy exempts only the functions that are marked as tests, not what they call"
)]

mod support;

use portcullis::clock::Clock;
use serde_json::Value;
use support::{
    process::run_with,
    shop::{Shop, get},
    signing::Credentials,
    upstream::Upstream,
    waiting::until_is,
    wire::{Message, exchange, request},
};

/// Needs `Magento_Sales::actions_view`.
const ORDER: &str = "/rest/V1/orders/1";
/// Needs `Magento_Backend::store`.
const WEBSITES: &str = "/rest/V1/store/websites";
/// Needs a customer.
const ME: &str = "/rest/V1/customers/me";

/// A shop in which nothing is cached for long.
fn open(sections: &[(&'static str, &'static str)]) -> Shop {
    Shop::open(&[sections, &[("cache", "ttl = \"100ms\"\nnegative_ttl = \"100ms\"")]].concat())
}

fn now() -> i64 {
    Clock::system().now().seconds()
}

/// Waits until a running gate noticed.
fn becomes(what: &str, status: u16, ask: impl Fn() -> Message) {
    until_is(what, &status, || ask().status());
}

#[test]
fn an_integration_made_on_the_shell_signs_until_it_is_deleted() {
    let shop = open(&[]);
    let (gate, at) = (shop.gate(), now());
    let credentials = shop.integration("Warehouse", &["Magento_Sales::actions_view"]);
    becomes("activated", 200, || shop.signed(&gate, &credentials, ORDER, at));
    assert_eq!(shop.signed(&gate, &credentials, WEBSITES, at).status(), 401);

    let granted = shop.says(&["integration", "grant", "warehouse", "--resource", "Magento_Backend::store"]);
    assert!(granted.contains("\"Warehouse\": may use Magento_Backend::store"), "{granted}");
    assert!(granted.contains("running gates notice within "), "{granted}");
    becomes("granted", 200, || shop.signed(&gate, &credentials, WEBSITES, at));
    becomes("taken away", 401, || shop.signed(&gate, &credentials, ORDER, at));

    let unanswered = shop.run(&["integration", "delete", "Warehouse"]);
    assert_eq!(unanswered.code, Some(2), "{}", unanswered.stderr);
    assert!(unanswered.stderr.contains("--yes"), "{}", unanswered.stderr);
    assert_eq!(shop.signed(&gate, &credentials, WEBSITES, at).status(), 200);
    shop.says(&["integration", "delete", "Warehouse", "--yes"]);
    becomes("deleted", 401, || shop.signed(&gate, &credentials, WEBSITES, at));
    assert_eq!(shop.run(&["integration", "show", "Warehouse"]).code, Some(1));
}

#[test]
fn what_was_rotated_out_works_until_the_overlap_ends() {
    let shop = open(&[]);
    let (gate, at) = (shop.gate(), now());
    let first = shop.integration("Warehouse", &["Magento_Sales::actions_view"]);
    let rotated = shop.json(&["integration", "rotate", "Warehouse", "--secret", "--overlap", "1h"]);
    assert_eq!(rotated["rotated"], "secret");
    assert!(rotated["old_valid_until"].is_string());
    let second =
        Credentials { secret: rotated["consumer_secret"].as_str().unwrap().to_owned(), ..first.clone() };
    let rotated = shop.json(&["integration", "rotate", "Warehouse", "--token"]);
    let third = Credentials {
        token: rotated["access_token"].as_str().unwrap().to_owned(),
        token_secret: rotated["access_token_secret"].as_str().unwrap().to_owned(),
        ..second.clone()
    };
    for credentials in [&first, &second, &third] {
        becomes("within the overlap", 200, || shop.signed(&gate, credentials, ORDER, at));
    }
    let shown = shop.json(&["integration", "show", "Warehouse"]);
    assert!(shown["older_secret_valid_until"].is_string(), "{shown}");
    let tokens = shown["tokens"].as_array().unwrap();
    assert!(tokens[0]["valid_until"].is_null() && tokens[1]["valid_until"].is_string(), "{shown}");

    let later = at + 2 * 3600;
    gate.set_time(later);
    for (credentials, status) in [(&first, 401), (&second, 401), (&third, 200)] {
        becomes("after the overlap", status, || shop.signed(&gate, credentials, ORDER, later));
    }

    shop.json(&["integration", "rotate", "Warehouse", "--secret", "--overlap", "0s"]);
    becomes("ended now", 401, || shop.signed(&gate, &third, ORDER, later));
    let refused = shop.run(&["integration", "rotate", "Warehouse", "--token", "--overlap", "91d"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("longer than 90 days"), "{}", refused.stderr);
}

#[test]
fn reauthorizing_ends_the_old_token_and_activating_twice_shows_nothing() {
    let shop = open(&[]);
    let (gate, at) = (shop.gate(), now());
    let old = shop.integration("Warehouse", &["Magento_Sales::actions_view"]);
    becomes("activated", 200, || shop.signed(&gate, &old, ORDER, at));
    let again = shop.run(&["integration", "activate", "Warehouse"]);
    assert_eq!((again.code, again.stdout.as_str()), (Some(1), ""));
    assert!(again.stderr.contains("reauthorize"), "{}", again.stderr);

    let made = shop.json(&["integration", "reauthorize", "Warehouse"]);
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    let new =
        Credentials { token: text("access_token"), token_secret: text("access_token_secret"), ..old.clone() };
    becomes("reauthorized", 200, || shop.signed(&gate, &new, ORDER, at));
    becomes("ended", 401, || shop.signed(&gate, &old, ORDER, at));

    shop.says(&["token", "revoke", "--integration", "Warehouse"]);
    becomes("revoked", 401, || shop.signed(&gate, &new, ORDER, at));
}

#[test]
fn a_third_party_is_sent_what_it_needs_and_the_login_url_is_shown() {
    let third_party = Upstream::start();
    let endpoint = format!("http://{}/callback", third_party.address);
    let handshake = "allow_http = true\nallow_networks = [\"127.0.0.0/8\"]\nstore_base_url = \"https://shop.example.com/\"\nadmin_base_url = \"http://127.0.0.1:9090\"";
    let back = "success_call_back=http%3A%2F%2F127.0.0.1%3A9090%2Fintegration%2FloginSuccessCallback";
    let create = ["integration", "create", "--name", "Partner", "--all", "--endpoint", &endpoint];
    let create = [&create[..], &["--identity-link", "https://partner.example.com/login?a=1"]].concat();

    let shop = open(&[("handshake", handshake)]);
    shop.says(&create);
    let sent = shop.json(&["integration", "activate", "Partner"]);
    let key = sent["consumer_key"].as_str().unwrap();
    assert_eq!(sent["outcome"], "sent");
    assert_eq!(
        sent["login_url"],
        format!("https://partner.example.com/login?a=1&oauth_consumer_key={key}&{back}").as_str()
    );
    assert_eq!(shop.json(&["integration", "show", "Partner"])["status"], "inactive");

    // Without a base URL nothing can be posted: said before anything is ended, and not after.
    let closed = open(&[("handshake", "allow_http = true\nallow_networks = [\"127.0.0.0/8\"]")]);
    closed.says(&create);
    let refused = closed.run(&["integration", "activate", "Partner"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("base URL"), "{}", refused.stderr);
    assert_eq!(closed.run(&["integration", "reauthorize", "Partner"]).code, Some(1));
}

#[test]
fn no_secret_is_listed_shown_or_logged() {
    let shop = open(&[("log", "level = \"trace\"")]);
    let created = shop.run(&["integration", "create", "--name", "Warehouse", "--all"]);
    let activated = shop.run(&["integration", "activate", "Warehouse", "--json"]);
    let rotated = shop.run(&["integration", "rotate", "Warehouse", "--token", "--json"]);
    let (first, second): (Value, Value) =
        (serde_json::from_str(&activated.stdout).unwrap(), serde_json::from_str(&rotated.stdout).unwrap());
    let mut secrets = Vec::new();
    for (values, names) in [
        (&first, &["consumer_secret", "access_token", "access_token_secret"][..]),
        (&second, &["access_token", "access_token_secret"]),
    ] {
        secrets.extend(names.iter().map(|name| values[name].as_str().unwrap()));
    }
    let mut texts = vec![created.stdout, created.stderr, activated.stderr, rotated.stderr];
    for arguments in [
        &["integration", "list"][..],
        &["integration", "list", "--json"],
        &["integration", "show", "Warehouse"],
        &["integration", "show", "Warehouse", "--json"],
        &["token", "list", "--integration", "Warehouse"],
        &["token", "list", "--integration", "Warehouse", "--json"],
    ] {
        let ended = shop.run(arguments);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(ended.stdout.contains("Warehouse") || arguments[0] == "token");
        texts.extend([ended.stdout, ended.stderr]);
    }
    for secret in secrets {
        assert!(texts.iter().all(|text| !text.contains(secret)), "{secret} is told");
    }
    // The fingerprint is the one that the upstream gets.
    let (gate, at) = (shop.gate(), now());
    let credentials = Credentials {
        key: first["consumer_key"].as_str().unwrap().to_owned(),
        secret: first["consumer_secret"].as_str().unwrap().to_owned(),
        token: second["access_token"].as_str().unwrap().to_owned(),
        token_secret: second["access_token_secret"].as_str().unwrap().to_owned(),
    };
    assert_eq!(shop.signed(&gate, &credentials, ORDER, at).status(), 200);
    let seen = shop.upstream.take().pop().unwrap().header("x-auth-credential").unwrap();
    let listed = shop.json(&["integration", "list"]);
    let listed = listed["integrations"].as_array().unwrap().last().unwrap();
    assert_eq!(listed["credential"], seen.as_str());
}

#[test]
fn a_token_issued_on_the_shell_works_until_it_is_revoked() {
    let shop = open(&[]);
    let gate = shop.gate();
    let customer = shop.json(&["token", "issue", "--customer", "alice@example.com"]);
    assert_eq!((&customer["kind"], &customer["user_id"]), (&"jwt".into(), &1.into()));
    assert!(customer["expires_at"].is_string());
    let customer = format!("Bearer {}", customer["token"].as_str().unwrap());
    assert_eq!(get(&gate, ME, &customer).status(), 200);
    assert_eq!(get(&gate, WEBSITES, &customer).status(), 401);

    let admin = shop.says(&["token", "issue", "--admin", "admin"]);
    assert!(admin.starts_with("admin 1 \"admin\": jwt token, dies at 2"), "{admin}");
    let line = admin.lines().find_map(|line| line.strip_prefix("token  ")).unwrap();
    let admin = format!("Bearer {line}");
    assert_eq!(get(&gate, WEBSITES, &admin).status(), 200);

    let alone = shop.run_with(&["token", "revoke", "--token-stdin"], line);
    assert_eq!(alone.code, Some(1));
    assert!(alone.stderr.contains("portcullis token revoke --admin 1"), "{}", alone.stderr);
    shop.says(&["token", "revoke", "--admin", "1"]);
    becomes("revoked", 401, || get(&gate, WEBSITES, &admin));
    assert_eq!(get(&gate, ME, &customer).status(), 200);
    shop.says(&["token", "revoke", "--customer", "alice@example.com"]);
    becomes("revoked", 401, || get(&gate, ME, &customer));
    assert!(shop.says(&["token", "list", "--customer", "1"]).contains("revoked: everything issued until "));
}

#[test]
fn an_opaque_token_is_listed_by_its_fingerprint_and_ends_alone() {
    let shop = open(&[("tokens", "issuer = \"opaque\"")]);
    let gate = shop.gate();
    let issue = || shop.json(&["token", "issue", "--customer", "2"])["token"].as_str().unwrap().to_owned();
    let tokens = [issue(), issue()];
    let works = |token: &str| get(&gate, ME, &format!("Bearer {token}"));
    assert_eq!((works(&tokens[0]).status(), works(&tokens[1]).status()), (200, 200));
    let listed = shop.json(&["token", "list", "--customer", "bob@example.com"]);
    let held = listed["tokens"].as_array().unwrap();
    assert!(held.len() >= 2 && held[0]["valid"] == true, "{listed}");
    assert_eq!(
        held[0]["fingerprint"],
        shop.upstream.take().pop().unwrap().header("x-auth-credential").unwrap().as_str()
    );
    let ended = shop.run_with(&["token", "revoke", "--token-stdin"], &format!("{}\r\n", tokens[0]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stdout.contains(&tokens[0]));
    becomes("revoked", 401, || works(&tokens[0]));
    assert_eq!(works(&tokens[1]).status(), 200);
}

#[test]
fn a_user_made_on_the_shell_signs_in_until_it_is_disabled() {
    let shop = open(&[]);
    let gate = shop.gate();
    let names = ["--firstname", "Ada", "--lastname", "Lovelace"];
    let customer = [&["user", "add", "--customer", "ada@example.com"][..], &names].concat();
    let short = shop.run_with(&customer, "short\n");
    assert_eq!(short.code, Some(1));
    assert!(short.stderr.contains("at least 8 characters"), "{}", short.stderr);
    let made = shop.run_with(&customer, "Passw0rd!\nnot read\n");
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    assert!(!format!("{made:?}").contains("Passw0rd!"));
    let again = shop.run_with(&customer, "Passw0rd!");
    assert_eq!(again.code, Some(1));
    assert!(
        again.stderr.contains("A customer with the same email address already exists"),
        "{}",
        again.stderr
    );

    let sign_in = || {
        let body = br#"{"username":"ada@example.com","password":"Passw0rd!"}"#;
        let headers = [("Content-Type", "application/json")];
        exchange(gate.proxy, &request("POST", "/rest/V1/integration/customer/token", &headers, body))
    };
    let answer = sign_in();
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let token = format!("Bearer {}", answer.text().trim_matches('"'));
    assert_eq!(get(&gate, ME, &token).status(), 200);
    shop.says(&["user", "disable", "--customer", "ada@example.com"]);
    becomes("disabled", 401, || get(&gate, ME, &token));
    assert_eq!(sign_in().status(), 401);
    let refused = shop.run(&["token", "issue", "--customer", "ada@example.com"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""));
    shop.says(&["user", "enable", "--customer", "ada@example.com"]);
    assert_eq!(sign_in().status(), 200);

    let role = ["--email", "grace@example.com", "--role"];
    let admin = [&["user", "add", "--admin", "grace"][..], &names, &role].concat();
    let nowhere = shop.run_with(&[&admin[..], &["Nobody"]].concat(), "Passw0rd!");
    assert_eq!(nowhere.code, Some(1));
    assert!(nowhere.stderr.contains("no group"), "{}", nowhere.stderr);
    assert_eq!(shop.run_with(&[&admin[..], &["Administrators"]].concat(), "Passw0rd!").code, Some(0));
    let admins = shop.json(&["user", "list", "--admins"]);
    assert!(admins["users"].as_array().unwrap().iter().any(|user| user["name"] == "grace"), "{admins}");
    let first = shop.json(&["user", "list", "--customers", "--limit", "1"]);
    assert_eq!((first["users"].as_array().unwrap().len(), &first["next_after"]), (1, &1.into()));
}

#[test]
fn what_does_not_exist_is_named_with_the_way_out() {
    let shop = open(&[]);
    let before = shop.says(&["integration", "list"]);
    for (arguments, code, said) in [
        (&["integration", "show", "restrickted"][..], 1, "the nearest is \"restricted\""),
        (&["integration", "show", "99"], 1, "there is no integration \"99\""),
        (
            &["integration", "create", "--name", "New", "--resource", "Magento_Sales::sale"],
            1,
            "the nearest are Magento_Sales::sales",
        ),
        (
            &["integration", "grant", "full", "--resource", "Nobody::knows"],
            1,
            "no resource \"Nobody::knows\"",
        ),
        (
            &["integration", "create", "--name", "FULL", "--all"],
            1,
            "The integration with name \"FULL\" exists.",
        ),
        (&["integration", "create", "--name", " ", "--all"], 1, "is required. Enter and try again."),
        (
            &["integration", "create", "--name", "New", "--endpoint", "https://a.example.com", "--all"],
            2,
            "--identity-link",
        ),
        (&["integration", "grant", "full"], 2, "--resource"),
        (&["integration", "grant", "full", "--all", "--none"], 2, "cannot be used with"),
        (&["integration", "rotate", "full"], 2, "--secret"),
        (&["integration", "rotate", "full", "--secret", "--token"], 2, "cannot be used with"),
        (&["integration", "rotate", "full", "--secret", "--overlap", "soon"], 2, "--overlap"),
        (&["integration", "rotate", "handshake", "--token"], 1, "Token is not an access token"),
        (&["token", "issue", "--customer", "nobody@example.com"], 1, "portcullis user list --customers"),
        (&["token", "issue", "--customer", "disabledcust@example.com"], 1, "The account is disabled."),
        (&["token", "issue", "--admin", "norole"], 1, "More permissions are needed"),
        (&["token", "issue"], 2, "--customer"),
        (&["token", "list"], 2, "name a customer, an admin or an integration"),
        (&["token", "revoke", "--token-stdin", "--admin", "1"], 2, "cannot be used with"),
        (&["token", "revoke", "--token-stdin"], 1, "nobody has this token"),
        (&["token", "revoke", "--customer", "99"], 1, "there is no customer"),
        (&["user", "disable", "--admin", "nobody"], 1, "there is no admin"),
        (&["user", "add", "--admin", "new", "--firstname", "A", "--lastname", "B"], 2, "--email"),
    ] {
        let ended = shop.run(arguments);
        assert_eq!(ended.code, Some(code), "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(said), "{arguments:?}: {}", ended.stderr);
        assert_eq!(ended.stdout, "", "{arguments:?}");
    }
    assert_eq!(shop.says(&["integration", "list"]), before, "nothing was done");
    let nowhere = run_with(&["integration", "list", "--config", "/no/such/file"], "");
    assert_eq!(nowhere.code, Some(78));
}

#[test]
fn where_no_resources_are_known_only_everything_can_be_granted() {
    let shop = open(&[("acl", "mode = \"off\"")]);
    let refused = shop.run(&["integration", "create", "--name", "New", "--resource", "Magento_Sales::sales"]);
    assert_eq!(refused.code, Some(78));
    assert!(refused.stderr.contains("acl.mode is off"), "{}", refused.stderr);
    let made = shop.json(&["integration", "create", "--name", "New", "--all"]);
    assert_eq!(
        (&made["resources"], &made["status"]),
        (&serde_json::json!(["Magento_Backend::all"]), &"inactive".into())
    );
}
