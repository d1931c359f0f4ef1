//! PHP sessions as proof, through the real gate: who is let in by a cookie, and who is not.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on must stop; clippy exempts only the functions that are marked as tests"
)]

mod support;

use support::{
    gate::{Gate, Setup},
    servers::redis::RedisServer,
    sessions,
    upstream::Upstream,
    wire::{Message, exchange, request},
};

const ALICE: &str = "cqo6c4aj5fjap0mapqi68fvjei";
const ADMIN: &str = "c6431q24j4tun7760mb3vebg3s";
const SELF: &str = "/rest/V1/customers/me";
const PRODUCTS: &str = "/rest/V1/products/sku-1";
const SCRIPT: (&str, &str) = ("X-Requested-With", "XMLHttpRequest");
const FILES: &str = "handler = \"files\"\npath = \"sessions\"\nttl = \"0s\"";
const DENIED: &str =
    r#"{"message":"The consumer isn't authorized to access %resources.","parameters":{"resources":"self"}}"#;

/// A gate with sessions in files, and what stands behind it.
struct Shop {
    gate: Gate,
    upstream: Upstream,
}

impl Shop {
    fn open(settings: &str) -> Self {
        Self::with(|setup| setup.with("sessions", &format!("{FILES}\n{settings}")))
    }

    fn with(settings: impl FnOnce(Setup) -> Setup) -> Self {
        let upstream = Upstream::start();
        let setup = Setup::before(upstream.address).seeded("fixture_store_scope.json");
        Self { gate: settings(setup).start(), upstream }
    }

    fn customer(&self, id: &str, customer: u32) {
        sessions::write_customer(&self.gate.folder.join("sessions"), id, customer, 44);
    }

    fn session(&self, id: &str, text: &str) {
        sessions::write(&self.gate.folder.join("sessions"), id, text.as_bytes());
    }

    fn ask(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> Message {
        exchange(self.gate.proxy, &request(method, target, headers, b""))
    }

    /// A script's request with this cookie: the status, or whom the upstream was told of.
    fn by_cookie(&self, target: &str, cookie: &str) -> String {
        self.outcome(target, &[SCRIPT, ("Cookie", cookie)])
    }

    fn outcome(&self, target: &str, headers: &[(&str, &str)]) -> String {
        let answer = self.ask("GET", target, headers);
        match self.upstream.take().pop() {
            Some(seen) => who(&seen),
            None => {
                format!("{} {}", answer.status(), answer.header("x-auth-refused").unwrap_or_default())
            }
        }
    }
}

fn who(seen: &Message) -> String {
    let header = |name: &str| seen.header(name).unwrap_or_default();
    format!("{} {} {}", header("x-auth-method"), header("x-auth-user-type"), header("x-auth-user-id"))
}

fn cookie(id: &str) -> String {
    format!("PHPSESSID={id}")
}

#[test]
fn a_customer_is_known_by_the_cookie_of_a_script() {
    let shop = Shop::open("");
    shop.customer(ALICE, 1);
    let cookie = cookie(ALICE);
    assert_eq!(shop.by_cookie(SELF, &cookie), "session customer 1");
    assert_eq!(shop.by_cookie("/rest/de/V1/customers/me", &cookie), "session customer 1");
    assert_eq!(shop.by_cookie(PRODUCTS, &cookie), "401 resource_denied");
    for header in ["xmlhttprequest", "fetch", ""] {
        let headers = [("X-Requested-With", header), ("Cookie", cookie.as_str())];
        assert_eq!(shop.outcome(SELF, &headers), "401 resource_denied", "{header}");
    }
    // PHP reads two as one value, which is another one.
    let twice = [SCRIPT, SCRIPT, ("Cookie", cookie.as_str())];
    assert_eq!(shop.outcome(SELF, &twice), "401 resource_denied");
    let answer = shop.ask("GET", SELF, &[("Cookie", &cookie)]);
    assert_eq!((answer.status(), answer.text().as_str()), (401, DENIED));
}

#[test]
fn no_session_counts_unless_it_is_configured() {
    let shop = Shop::with(|setup| setup);
    shop.customer(ALICE, 1);
    assert_eq!(shop.by_cookie(SELF, &cookie(ALICE)), "401 resource_denied");
    assert_eq!(shop.by_cookie(SELF, "PHPSESSID=a; PHPSESSID=b"), "401 resource_denied");
}

#[test]
fn the_upstream_reads_who_it_is_and_never_the_cookie() {
    let shop = Shop::open("cookie = \"SHOPSID\"");
    shop.customer(ALICE, 1);
    shop.ask("GET", SELF, &[SCRIPT, ("Cookie", &format!("a=1; SHOPSID={ALICE}; PHPSESSID=x"))]);
    let seen = shop.upstream.take_one();
    assert_eq!(who(&seen), "session customer 1");
    assert_eq!(seen.header("cookie").as_deref(), Some("a=1"));
    let fingerprint = seen.header("x-auth-credential").unwrap();
    assert!(fingerprint.len() == 16 && !String::from_utf8_lossy(&seen.head).contains(ALICE));
}

#[test]
fn two_session_cookies_are_refused_where_one_would_count() {
    let shop = Shop::open("");
    shop.customer(ALICE, 1);
    let both = format!("PHPSESSID={ALICE}; PHPSESSID=other");
    let answer = shop.ask("GET", SELF, &[SCRIPT, ("Cookie", &both)]);
    assert_eq!(answer.status(), 400);
    assert_eq!(answer.text(), r#"{"message":"Specified request cannot be processed."}"#);
    assert_eq!(
        shop.outcome(SELF, &[SCRIPT, ("Cookie", "PHPSESSID=a"), ("Cookie", "PHPSESSID=a")]),
        "400 ambiguous_session"
    );
    assert_eq!(shop.outcome(SELF, &[("Cookie", &both)]), "401 resource_denied");
    assert_eq!(shop.by_cookie("/rest/V1/directory/currency", &both), "none guest ");
}

#[test]
fn an_id_that_is_none_reaches_no_file() {
    let shop = Shop::open("");
    shop.customer(ALICE, 1);
    std::fs::write(shop.gate.folder.join("secret"), sessions::customer()).unwrap();
    for id in
        ["", "../secret", "..%2fsecret", "%00", "a b", "nobody", &"a".repeat(256), &"a".repeat(257), "sess_x"]
    {
        assert_eq!(shop.by_cookie(SELF, &cookie(id)), "401 resource_denied", "{id}");
    }
}

#[test]
fn a_session_stands_between_bearer_and_signature() {
    let shop = Shop::open("");
    shop.customer(ALICE, 1);
    let cookie = cookie(ALICE);
    let outcome =
        |authorization| shop.outcome(SELF, &[SCRIPT, ("Cookie", &cookie), ("Authorization", authorization)]);
    assert_eq!(outcome("Bearer garbage"), "session customer 1");
    assert_eq!(outcome("OAuth oauth_consumer_key=\"x\""), "session customer 1");
    shop.customer(ALICE, 4711);
    assert_eq!(outcome("Bearer garbage"), "401 resource_denied");
    assert_eq!(outcome("OAuth oauth_consumer_key=\"x\""), "400 oauth_parameters_missing");
}

#[test]
fn graphql_asks_for_no_script_and_soap_for_no_session() {
    let shop = Shop::open("admin = true");
    shop.customer(ALICE, 1);
    sessions::write_admin(&shop.gate.folder.join("sessions"), ADMIN);
    let by = |target: &str, id: &str| shop.outcome(target, &[("Cookie", &cookie(id))]);
    assert_eq!(by("/graphql", ALICE), "session customer 1");
    assert_eq!(by("/graphql", ADMIN), "none guest ");
    assert_eq!(by("/soap/default?services=x", ALICE), "none guest ");
    assert_eq!(by("/customer/account", ALICE), "none guest ");
    assert_eq!(shop.outcome("/graphql", &[("Cookie", "PHPSESSID=a; PHPSESSID=b")]), "none guest ");
}

#[test]
fn a_user_who_is_gone_or_inactive_is_a_guest() {
    let shop = Shop::open("");
    // Customer 5 is not active, 4711 does not exist.
    for customer in [5, 4711] {
        shop.customer(ALICE, customer);
        assert_eq!(shop.by_cookie(SELF, &cookie(ALICE)), "401 resource_denied", "{customer}");
    }
}

#[test]
fn a_change_of_password_ends_older_sessions_in_magentos_words() {
    let shop = Shop::open("");
    shop.customer(ALICE, 1);
    let cutoff = |time: &str| {
        shop.gate.sql(&format!("UPDATE customer_entity SET session_cutoff = {time} WHERE entity_id = 1"));
        shop.by_cookie(SELF, &cookie(ALICE))
    };
    shop.gate.sql("INSERT INTO customer_visitor (visitor_id, created_at) VALUES (44, '2026-11-21 08:11:15')");
    assert_eq!(cutoff("'2026-11-21 08:11:15'"), "session customer 1");
    assert_eq!(cutoff("'2026-11-21 08:11:16'"), "400 session_expired");
    let answer = shop.ask("GET", SELF, &[SCRIPT, ("Cookie", &cookie(ALICE))]);
    assert_eq!(answer.text(), r#"{"message":"The session has expired, please login again."}"#);
    assert_eq!(shop.outcome("/graphql", &[("Cookie", &cookie(ALICE))]), "none guest ");
    // Without its visitor nobody can say how old the session is.
    shop.gate.sql("DELETE FROM customer_visitor");
    assert_eq!(cutoff("'2026-11-21 08:11:15'"), "400 session_expired");
    assert_eq!(cutoff("NULL"), "session customer 1");
}

#[test]
fn an_id_that_was_given_up_counts_for_a_lifetime_and_with_its_successor() {
    let shop = Shop::open("lifetime = \"10s\"");
    let now = 1_795_248_000;
    let given_up = |at: i64, to: &str| {
        format!("{}destroyed|i:{at};new_session_id|s:{}:\"{to}\";", sessions::customer(), to.len())
    };
    let old = |text: &str| {
        shop.session("old", text);
        shop.by_cookie(SELF, "PHPSESSID=old")
    };
    shop.customer("new", 1);
    assert_eq!(old(&given_up(now - 10, "new")), "session customer 1");
    assert_eq!(old(&given_up(now - 11, "new")), "401 resource_denied");
    assert_eq!(old(&format!("{}destroyed|i:{};", sessions::customer(), now - 11)), "401 resource_denied");
    assert_eq!(old(&given_up(now, "none")), "401 resource_denied");
    // An id from before the login, planted by somebody else, must not become the customer's.
    assert_eq!(old(&format!("destroyed|i:{now};new_session_id|s:3:\"new\";")), "401 resource_denied");
    // Nor may one from before the logout remain it.
    shop.session("new", "customer_base|a:0:{}");
    assert_eq!(old(&given_up(now, "new")), "401 resource_denied");
    shop.customer("last", 1);
    shop.session("new", &given_up(now, "last"));
    assert_eq!(old(&given_up(now, "new")), "401 resource_denied");
}

#[test]
fn customers_of_a_website_are_sought_in_its_namespace() {
    let shop = Shop::open("");
    shop.gate.sql("UPDATE customer_entity SET website_id = 2 WHERE entity_id = 2");
    let second = sessions::customer().replace(
        "customer_base|a:5:{s:11:\"customer_id\";s:1:\"1\"",
        "customer_second|a:5:{s:11:\"customer_id\";s:1:\"2\"",
    );
    shop.session("both", &(sessions::customer() + &second));
    assert_eq!(shop.by_cookie(SELF, "PHPSESSID=both"), "session customer 1");
    assert_eq!(shop.by_cookie("/rest/w2/V1/customers/me", "PHPSESSID=both"), "session customer 2");
    assert_eq!(shop.by_cookie("/rest/all/V1/customers/me", "PHPSESSID=both"), "401 resource_denied");

    let shared =
        Shop::with(|setup| setup.with("sessions", FILES).with("magento", "account_share = \"global\""));
    shared.session(ALICE, &sessions::customer().replace("customer_base|", "customer|"));
    assert_eq!(shared.by_cookie(SELF, &cookie(ALICE)), "session customer 1");
    assert_eq!(shared.by_cookie("/rest/w2/V1/customers/me", &cookie(ALICE)), "session customer 1");
}

#[test]
fn an_admin_is_known_by_a_session_only_where_that_is_wanted() {
    let off = Shop::open("");
    sessions::write_admin(&off.gate.folder.join("sessions"), ADMIN);
    assert_eq!(off.by_cookie(PRODUCTS, &cookie(ADMIN)), "401 resource_denied");

    let on = Shop::open("admin = true");
    sessions::write_admin(&on.gate.folder.join("sessions"), ADMIN);
    on.customer(ALICE, 1);
    let by = |target: &str, cookie: &str| on.outcome(target, &[("Cookie", cookie)]);
    assert_eq!(by(PRODUCTS, &cookie(ADMIN)), "401 resource_denied", "no row of the login");
    on.gate.sql("INSERT INTO admin_user_session (id, user_id, status, ip) VALUES (1, 1, 1, '')");
    assert_eq!(by(PRODUCTS, &cookie(ADMIN)), "session admin 1");
    assert_eq!(on.by_cookie(PRODUCTS, &cookie(ADMIN)), "session admin 1");
    // The back office's own cookie is for the back office.
    assert_eq!(by(PRODUCTS, &format!("admin={ADMIN}")), "401 resource_denied");
    // A customer is known by a script alone, even where admins are not.
    assert_eq!(by(SELF, &cookie(ALICE)), "401 resource_denied");
    assert_eq!(on.by_cookie(SELF, &cookie(ALICE)), "session customer 1");
    on.gate.sql("UPDATE admin_user_session SET status = 2");
    assert_eq!(by(PRODUCTS, &cookie(ADMIN)), "401 resource_denied");
    on.gate.sql("UPDATE admin_user_session SET status = 1");
    on.gate.sql("UPDATE admin_user SET is_active = 0 WHERE user_id = 1");
    assert_eq!(by(PRODUCTS, &cookie(ADMIN)), "401 resource_denied");
}

#[test]
fn a_session_is_remembered_for_its_own_time_alone() {
    let shop = Shop::with(|setup| {
        setup.with("sessions", FILES).with("sessions", "ttl = \"1s\"").with("cache", "ttl = \"1h\"")
    });
    shop.customer(ALICE, 1);
    assert_eq!(shop.by_cookie(SELF, &cookie(ALICE)), "session customer 1");
    sessions::remove(&shop.gate.folder.join("sessions"), ALICE);
    assert_eq!(shop.by_cookie(SELF, &cookie(ALICE)), "session customer 1");
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    assert_eq!(shop.by_cookie(SELF, &cookie(ALICE)), "401 resource_denied");
}

#[test]
fn sessions_that_cannot_be_read_are_nobodys_and_a_storage_that_is_gone_is_an_outage() {
    let shop = Shop::open("");
    for text in ["", "customer_base|", "customer_base|a:1:{s:11:\"customer_id\";i:1;"] {
        shop.session(ALICE, text);
        assert_eq!(shop.by_cookie(SELF, &cookie(ALICE)), "401 resource_denied", "{text}");
    }
    std::fs::remove_dir_all(shop.gate.folder.join("sessions")).unwrap();
    assert_eq!(shop.by_cookie(SELF, &cookie(ALICE)), "503 store_unavailable");
    assert_eq!(shop.outcome(SELF, &[]), "401 resource_denied");
    // Where a proof only informs the upstream, an outage is a guest.
    assert_eq!(shop.by_cookie("/graphql", &cookie(ALICE)), "none guest ");
}

#[test]
fn a_gate_without_its_session_folder_does_not_start() {
    let upstream = Upstream::start();
    let setup = Setup::before(upstream.address).with("sessions", "handler = \"files\"\npath = \"nowhere\"");
    let error = setup.try_start().err().unwrap().to_string();
    assert!(error.starts_with("sessions.path: cannot read the folder "), "{error}");
}

#[test]
#[ignore = "needs redis; run tests/all"]
fn sessions_in_redis_are_read_and_left_alone() {
    let redis = RedisServer::start();
    redis.load_recorded();
    let before = redis.content();
    assert_eq!(before.len(), 4);
    let settings =
        format!("handler = \"redis\"\nredis_url = \"{}\"\nttl = \"0s\"\nadmin = true", redis.url());
    let shop = Shop::with(|setup| setup.with("sessions", &settings).with("cache", "max_stale = \"0s\""));
    shop.gate.sql("INSERT INTO admin_user_session (id, user_id, status, ip) VALUES (2, 1, 1, '')");
    assert_eq!(shop.by_cookie(SELF, "PHPSESSID=175cjach11a8qj26fqi7l9efft"), "session customer 1");
    assert_eq!(shop.by_cookie(PRODUCTS, "PHPSESSID=smi6gmcs3hueidpf49nhv7cjth"), "session admin 1");
    assert_eq!(shop.by_cookie(SELF, "PHPSESSID=fld2qatqflujcfkp1m24bbml3h"), "401 resource_denied");
    assert_eq!(shop.by_cookie(SELF, "PHPSESSID=nobody"), "401 resource_denied");
    assert_eq!(redis.content(), before, "neither a lock nor a counter was touched");
    redis.remove("175cjach11a8qj26fqi7l9efft");
    assert_eq!(shop.by_cookie(SELF, "PHPSESSID=175cjach11a8qj26fqi7l9efft"), "401 resource_denied");
}

#[test]
#[ignore = "needs redis; run tests/all"]
fn a_redis_that_is_away_is_an_outage_and_its_return_is_noticed() {
    let redis = RedisServer::start();
    let address = redis.address();
    redis.load_recorded();
    let settings = format!("handler = \"redis\"\nredis_url = \"{}\"\nttl = \"0s\"", redis.url());
    let shop = Shop::with(|setup| setup.with("sessions", &settings).with("cache", "max_stale = \"0s\""));
    let alice = "PHPSESSID=175cjach11a8qj26fqi7l9efft";
    assert_eq!(shop.by_cookie(SELF, alice), "session customer 1");
    drop(redis);
    assert_eq!(shop.by_cookie(SELF, alice), "503 store_unavailable");
    assert_eq!(shop.outcome(SELF, &[]), "401 resource_denied");
    let redis = RedisServer::start_at(address);
    redis.load_recorded();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while shop.by_cookie(SELF, alice) != "session customer 1" {
        assert!(std::time::Instant::now() < deadline, "the gate connects again");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
#[ignore = "needs redis; run tests/all"]
fn a_redis_with_another_password_is_an_outage() {
    let redis = RedisServer::start();
    redis.load_recorded();
    let url = redis.url().replace("correct-horse", "wrong");
    let shop = Shop::with(|setup| {
        setup.with("sessions", &format!("handler = \"redis\"\nredis_url = \"{url}\"\nttl = \"0s\""))
    });
    assert_eq!(shop.by_cookie(SELF, "PHPSESSID=175cjach11a8qj26fqi7l9efft"), "503 store_unavailable");
}
