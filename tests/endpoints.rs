//! Magento's token endpoints on the proxy port: who issues, who may revoke, and what cannot be spent on it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "as in any test; clippy exempts only the functions that are marked as tests, not what they call"
)]

#[path = "support/mod.rs"]
mod support;

use std::{
    io::Write as _,
    net::TcpStream,
    sync::{
        Barrier,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use support::{
    gate::{Gate, Setup},
    upstream::Upstream,
    wire::{Client, Message, exchange, request},
};

const CUSTOMER: &str = "/rest/V1/integration/customer/token";
const ADMIN: &str = "/rest/V1/integration/admin/token";
const REVOKE: &str = "/rest/V1/integration/customer/revoke-customer-token";
const SELF: &str = "/rest/V1/customers/me";
const JSON: (&str, &str) = ("Content-Type", "application/json");
const ALICE: &str = r#"{"username":"alice@example.com","password":"Passw0rd!alice"}"#;
const ROOT: &str = r#"{"username":"admin","password":"Admin123!"}"#;
const WRONG: &str = r#"{"username":"alice@example.com","password":"wrong"}"#;
const NOW: i64 = 1_795_248_000;

fn setup(upstream: &Upstream) -> Setup {
    Setup::before(upstream.address).at(NOW).with("cache", "ttl = \"1h\"")
}

fn post(gate: &Gate, target: &str, headers: &[(&str, &str)], body: &str) -> Message {
    exchange(gate.proxy, &request("POST", target, headers, body.as_bytes()))
}

fn login(gate: &Gate, target: &str, body: &str) -> Message {
    post(gate, target, &[JSON], body)
}

/// Status and class of a refusal, if it is one.
fn class(answer: &Message) -> String {
    let refused = answer.header("x-auth-refused").map(|reason| format!(" {reason}"));
    format!("{}{}", answer.status(), refused.unwrap_or_default())
}

fn token(gate: &Gate, target: &str, body: &str) -> String {
    let answer = login(gate, target, body);
    assert_eq!(answer.status(), 200, "{}", answer.text());
    serde_json::from_str(&answer.text()).unwrap()
}

fn with_token(gate: &Gate, method: &str, target: &str, token: &str) -> Message {
    let bearer = format!("Bearer {token}");
    exchange(gate.proxy, &request(method, target, &[("Authorization", &bearer)], b""))
}

/// Whom the upstream saw.
fn seen(upstream: &Upstream) -> String {
    let seen = upstream.take().pop().expect("the upstream was asked");
    let header = |name| seen.header(name).unwrap_or_default();
    format!("{} {}", header("x-auth-user-type"), header("x-auth-user-id"))
}

#[test]
fn an_issued_token_is_accepted_whoever_issues_it() {
    for issuer in ["jwt", "opaque"] {
        let upstream = Upstream::start();
        let gate = setup(&upstream).with("tokens", &format!("issuer = \"{issuer}\"")).start();
        for (target, body, own, expected) in
            [(CUSTOMER, ALICE, SELF, "customer 1"), (ADMIN, ROOT, "/rest/V1/store/websites", "admin 1")]
        {
            let answer = login(&gate, target, body);
            assert_eq!(answer.header("content-type").as_deref(), Some("application/json; charset=utf-8"));
            assert_eq!(answer.header("cache-control").as_deref(), Some("no-store"));
            assert!(answer.header("x-auth-refused").is_none() && answer.header("x-request-id").is_some());
            assert!(upstream.take().is_empty(), "the gate answers {target}");
            let token: String = serde_json::from_str(&answer.text()).unwrap();
            assert_eq!(token.len() == 32, issuer == "opaque", "{token}");
            assert_eq!(with_token(&gate, "GET", own, &token).status(), 200);
            assert_eq!(seen(&upstream), expected, "{issuer}");
        }
    }
}

#[test]
fn every_path_form_is_answered_and_no_queue_is() {
    let upstream = Upstream::start();
    let gate = setup(&upstream).start();
    for form in [
        "/rest",
        "/rest/default",
        "/rest/all",
        "/index.php/rest",
        "/pub/rest",
        "/pub/index.php/rest/",
        "//rest/",
    ] {
        let target = format!("{form}/V1/integration/customer/token");
        assert_eq!(class(&login(&gate, &target, ALICE)), "200", "{target}");
    }
    assert_eq!(class(&login(&gate, &format!("{CUSTOMER}/"), ALICE)), "200");
    for form in ["/rest/async", "/rest/async/bulk", "/rest/all/async/bulk", "/index.php/rest/default/async"] {
        for endpoint in ["customer/token", "admin/token", "customer/revoke-customer-token"] {
            let target = format!("{form}/V1/integration/{endpoint}");
            assert_eq!(class(&login(&gate, &target, ALICE)), "400 asynchronous_login", "{target}");
        }
    }
    for target in ["/rest/V1/integration/customer/%74oken", "/rest/V1/integration/customer%2Ftoken"] {
        assert_eq!(class(&login(&gate, target, ALICE)), "400 disguised_route", "{target}");
    }
    assert!(upstream.take().is_empty());
    // What is no endpoint is the upstream's: another method, a store that nobody has.
    for (method, target) in [("GET", CUSTOMER), ("POST", "/rest/xx/V1/integration/customer/token")] {
        let answer = exchange(gate.proxy, &request(method, target, &[JSON], ALICE.as_bytes()));
        assert_eq!((answer.status(), seen(&upstream)), (200, "guest ".to_owned()), "{target}");
    }
}

#[test]
fn xml_is_read_and_written_and_has_no_entities() {
    let upstream = Upstream::start();
    let gate = setup(&upstream).start();
    let body = "<?xml version=\"1.0\"?><r><username>alice@example.com</username><password>Passw0rd!alice</password></r>";
    let answer = post(&gate, CUSTOMER, &[("Content-Type", "text/xml"), ("Accept", "application/xml")], body);
    assert_eq!(answer.header("content-type").as_deref(), Some("application/xml; charset=utf-8"));
    assert!(answer.text().starts_with("<?xml version=\"1.0\"?>\n<response>ey"), "{}", answer.text());
    let entity = "<!DOCTYPE r [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><r><username>&e;</username></r>";
    let refused = post(&gate, CUSTOMER, &[("Content-Type", "text/xml"), ("Accept", "text/xml")], entity);
    assert_eq!(class(&refused), "400 invalid_input");
    assert_eq!(
        refused.text(),
        "<?xml version=\"1.0\"?>\n<response>\n  <message>Decoding error.</message>\n</response>\n"
    );
}

#[test]
fn the_seventh_try_is_refused_with_the_right_password_and_tells_nothing() {
    let upstream = Upstream::start();
    let gate = setup(&upstream).start();
    let first = login(&gate, CUSTOMER, WRONG);
    for _ in 1..6 {
        assert_eq!(class(&login(&gate, CUSTOMER, WRONG)), "401 login_refused");
    }
    let locked = login(&gate, CUSTOMER, ALICE);
    assert_eq!((locked.status(), locked.text()), (first.status(), first.text()));
    gate.set_time(NOW + 1801);
    assert_eq!(class(&login(&gate, CUSTOMER, ALICE)), "200");
    assert!(upstream.take().is_empty());
}

#[test]
fn a_revocation_kills_what_is_cached_at_once_and_the_next_token_works() {
    for issuer in ["jwt", "opaque"] {
        let upstream = Upstream::start();
        let gate = setup(&upstream).with("tokens", &format!("issuer = \"{issuer}\"")).start();
        let old = token(&gate, CUSTOMER, ALICE);
        let other = token(&gate, CUSTOMER, ALICE);
        for token in [&old, &other] {
            assert_eq!(class(&with_token(&gate, "GET", SELF, token)), "200");
        }
        upstream.take();
        let revoked = with_token(&gate, "POST", REVOKE, &old);
        assert_eq!((class(&revoked), revoked.text()), ("200".to_owned(), "true".to_owned()), "{issuer}");
        assert!(upstream.take().is_empty());
        for token in [&old, &other] {
            assert_eq!(class(&with_token(&gate, "GET", SELF, token)), "401 resource_denied", "{issuer}");
        }
        // In the same second: Magento's rule would kill this one too.
        let new = token(&gate, CUSTOMER, ALICE);
        gate.set_time(NOW + 1);
        assert_eq!(class(&with_token(&gate, "GET", SELF, &new)), "200", "{issuer}");
    }
}

#[test]
fn only_customers_revoke_whatever_the_acl_mode_is() {
    for acl in ["", "mode = \"off\"", "mode = \"report\"", "mode = \"shadow\""] {
        let upstream = Upstream::start();
        let setup = setup(&upstream).with("acl", acl).with("tokens", "issuer = \"jwt\"");
        let gate = setup.with("upstream", "credentials = \"forward\"").start();
        let body = r#"{"username":"restricted","password":"Admin123!"}"#;
        let restricted = token(&gate, ADMIN, body);
        let customer = token(&gate, CUSTOMER, ALICE);
        assert_eq!(class(&login(&gate, REVOKE, "")), "401 resource_denied", "a guest, {acl}");
        assert_eq!(class(&with_token(&gate, "POST", REVOKE, &restricted)), "401 resource_denied", "{acl}");
        assert_eq!(class(&with_token(&gate, "POST", REVOKE, "not-a-token")), "401 resource_denied", "{acl}");
        let all = format!("/rest/all{}", REVOKE.trim_start_matches("/rest"));
        assert_eq!(class(&with_token(&gate, "POST", &all, &customer)), "401 resource_denied", "{acl}");
        if acl != "mode = \"off\"" {
            let root = with_token(&gate, "POST", REVOKE, &token(&gate, ADMIN, ROOT));
            assert_eq!(class(&root), "400 invalid_input", "{acl}");
            assert!(root.text().contains("customerId"), "{}", root.text());
        }
        assert_eq!(class(&with_token(&gate, "POST", REVOKE, &customer)), "200", "{acl}");
        assert!(upstream.take().is_empty(), "{acl}");
    }
}

#[test]
fn bodies_are_short_whole_and_in_time() {
    let upstream = Upstream::start();
    let gate = setup(&upstream).with("listen", "idle_timeout = \"1s\"").start();
    let long = format!("{{\"x\":\"{}\"}}", "x".repeat(64 * 1024));
    assert_eq!(class(&login(&gate, CUSTOMER, &long)), "413 body_too_large");
    let chunk = format!("{:x}\r\n{long}\r\n0\r\n\r\n", long.len());
    let head = format!("POST {CUSTOMER} HTTP/1.1\r\nHost: shop.test\r\nContent-Type: application/json\r\n");
    let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunk}");
    assert_eq!(class(&exchange(gate.proxy, chunked.as_bytes())), "413 body_too_large");
    let stalled = format!("{head}Content-Length: 10\r\n\r\n{{");
    assert_eq!(class(&exchange(gate.proxy, stalled.as_bytes())), "408 body_stalled");
    assert!(upstream.take().is_empty());
}

/// Room was once taken for what a body announced: clients that sent one byte each kept everybody's logins out.
#[test]
fn announced_bodies_take_no_room_from_others() {
    let upstream = Upstream::start();
    let gate = setup(&upstream).with("tokens", "address_rate = 0").start();
    let head = "POST /oauth/token/request HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 65536\r\n\r\nx";
    let idle: Vec<_> = (0..300)
        .map(|_| {
            let mut socket = TcpStream::connect(gate.proxy).unwrap();
            socket.write_all(head.as_bytes()).unwrap();
            socket
        })
        .collect();
    assert_eq!(class(&login(&gate, CUSTOMER, ALICE)), "200");
    drop(idle);
}

#[test]
fn a_full_pool_says_when_to_come_back() {
    let upstream = Upstream::start();
    let gate = setup(&upstream).with("tokens", "password_workers = 1\npassword_queue = 0").start();
    let proxy = gate.proxy;
    let tries: Vec<_> = (0..6)
        .map(|_| {
            thread::spawn(move || exchange(proxy, &request("POST", CUSTOMER, &[JSON], ALICE.as_bytes())))
        })
        .collect();
    let answers: Vec<_> = tries.into_iter().map(|one| one.join().unwrap()).collect();
    let busy: Vec<_> = answers.iter().filter(|answer| answer.status() == 503).collect();
    assert!(answers.iter().any(|answer| answer.status() == 200), "somebody was served");
    assert!(!busy.is_empty(), "nobody was sent away");
    for answer in busy {
        assert_eq!(class(answer), "503 passwords_busy");
        assert_eq!(answer.header("retry-after").as_deref(), Some("5"));
    }
}

/// Two hundred guesses at once, from one address without a limit and with one: what they are answered, and how many hashes
/// run and wait meanwhile.
#[test]
fn guesses_are_answered_by_the_bounds_and_harm_nobody() {
    let pool = "password_workers = 2\npassword_queue = 6\npassword_wait = \"60s\"";
    for (rate, cut_off) in [
        ("address_rate = 0", "503 passwords_busy"),
        ("address_rate = 1\naddress_burst = 8", "429 too_many_logins"),
    ] {
        let upstream = Upstream::start();
        let gate = setup(&upstream).with("tokens", &format!("{pool}\n{rate}")).start();
        let bearer = token(&gate, CUSTOMER, ALICE);
        assert_eq!(class(&with_token(&gate, "GET", SELF, &bearer)), "200");
        let start = Barrier::new(200);
        let (is_over, served) = (AtomicBool::new(false), AtomicUsize::new(0));
        thread::scope(|scope| {
            let attempts: Vec<_> = (0..200)
                .map(|number| {
                    let (start, gate) = (&start, &gate);
                    let guess = format!(r#"{{"username":"nobody{number}","password":"guess"}}"#);
                    scope.spawn(move || {
                        let mut client = Client::connect(gate.proxy);
                        start.wait();
                        client.send(&request("POST", CUSTOMER, &[JSON], guess.as_bytes()));
                        class(&client.receive().expect("the gate answers"))
                    })
                })
                .collect();
            scope.spawn(|| {
                while !is_over.load(Ordering::SeqCst) {
                    let [running, waiting] = ["running", "waiting"].map(|what| hashes(&gate, what));
                    assert!(running <= 2 && waiting <= 6, "{running} run, {waiting} wait");
                    assert_eq!(class(&with_token(&gate, "GET", SELF, &bearer)), "200");
                    served.fetch_add(1, Ordering::SeqCst);
                }
            });
            let answers: Vec<_> = attempts.into_iter().map(|attempt| attempt.join().unwrap()).collect();
            is_over.store(true, Ordering::SeqCst);
            let of = |class: &str| answers.iter().filter(|answer| *answer == class).count();
            let (checked, sent_away) = (of("401 login_refused"), of(cut_off));
            assert_eq!(checked + sent_away, 200, "{answers:?}");
            // Those who found a place, and who came when one of them had left.
            assert!((7..100).contains(&checked), "{checked} were checked, {rate}");
        });
        assert!(served.into_inner() > 0, "the bearer was served meanwhile");
        assert_eq!(["running", "waiting"].map(|what| hashes(&gate, what)), [0, 0]);
    }
}

/// `portcullis_password_hashes_…`
fn hashes(gate: &Gate, what: &str) -> usize {
    let figures = exchange(gate.admin, &request("GET", "/metrics", &[], b"")).text();
    let name = format!("portcullis_password_hashes_{what} ");
    figures.lines().find_map(|line| line.strip_prefix(&name)).unwrap().parse().unwrap()
}

#[test]
fn a_password_in_the_query_counts_by_setting_and_is_never_logged() {
    let target = format!("{CUSTOMER}?username=alice%40example.com&password=Passw0rd%21alice");
    for (counts, expected) in [(false, "400 invalid_input"), (true, "200")] {
        let upstream = Upstream::start();
        let log = "access = \"./access.log\"\nlevel = \"trace\"";
        let compat = format!("query_credentials = {counts}");
        let gate = setup(&upstream).with("log", log).with("compat", &compat).start();
        assert_eq!(class(&post(&gate, &target, &[], "")), expected);
        assert_eq!(class(&login(&gate, CUSTOMER, ALICE)), "200");
        assert_eq!(class(&login(&gate, CUSTOMER, WRONG)), "401 login_refused");
        let folder = gate.stop().unwrap();
        let written = std::fs::read_to_string(folder.path().join("access.log")).unwrap();
        assert!(!written.contains("Passw0rd") && !written.contains("alice"), "{written}");
        let lines: Vec<serde_json::Value> =
            written.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let told: Vec<_> = lines
            .iter()
            .map(|line| {
                let field = |name: &str| line[name].as_str().unwrap_or_default();
                assert_eq!(field("route"), "/V1/integration/customer/token");
                format!("{} {} {}", line["status"], field("decision"), field("reason"))
            })
            .collect();
        let first = if counts { "200 answered none" } else { "400 refused invalid_input" };
        assert_eq!(told, [first, "200 answered none", "401 refused login_refused"]);
    }
}

#[test]
fn an_address_signs_in_so_often_and_no_more() {
    let upstream = Upstream::start();
    let gate = setup(&upstream)
        .with("listen", "trusted_proxies = [\"127.0.0.0/8\"]")
        .with("tokens", "address_rate = 1\naddress_burst = 2")
        .start();
    let from = |address: &str, target: &str, body: &str| {
        post(&gate, target, &[JSON, ("X-Forwarded-For", address)], body)
    };
    assert_eq!(class(&from("192.0.2.1", CUSTOMER, ALICE)), "200");
    assert_eq!(class(&from("192.0.2.1", ADMIN, ROOT)), "200");
    for target in [CUSTOMER, ADMIN, "/rest/all/V1/integration/customer/token"] {
        let limited = from("192.0.2.1", target, ALICE);
        assert_eq!(class(&limited), "429 too_many_logins", "{target}");
        let retry_after: u32 = limited.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=61).contains(&retry_after), "{retry_after}");
    }
    assert_eq!(class(&from("192.0.2.2", CUSTOMER, ALICE)), "200", "another address");
    for (address, expected) in
        [("2001:db8::1", "200"), ("2001:db8::2", "200"), ("2001:db8::3", "429 too_many_logins")]
    {
        assert_eq!(class(&from(address, CUSTOMER, ALICE)), expected, "{address}, one /64");
    }
    // The second factor checks a password too; it is the upstream's to answer.
    let second_factor = "/rest/V1/tfa/provider/google/authenticate";
    upstream.take();
    assert_eq!(class(&from("192.0.2.3", second_factor, ROOT)), "200");
    assert_eq!(class(&from("192.0.2.3", second_factor, ROOT)), "200");
    assert_eq!(upstream.take().len(), 2);
    assert_eq!(class(&from("192.0.2.3", second_factor, ROOT)), "429 too_many_logins");
    assert!(upstream.take().is_empty());
    // What checks none is not counted.
    for _ in 0..4 {
        assert_eq!(class(&from("192.0.2.3", REVOKE, "")), "401 resource_denied");
    }
}

#[test]
fn graphql_is_no_way_around_the_limit() {
    let upstream = Upstream::start();
    let gate = setup(&upstream)
        .with("listen", "trusted_proxies = [\"127.0.0.0/8\"]")
        .with("tokens", "address_rate = 1\naddress_burst = 2")
        .start();
    let mutation = |count: usize| {
        let field = "generateCustomerToken(email:\\\"a\\\",password:\\\"b\\\"){token}";
        let fields: String = (0..count).map(|number| format!("a{number}:{field} ")).collect();
        format!("{{\"query\":\"mutation{{{fields}}}\"}}")
    };
    let escaped =
        r#"{"query":"mutation{\u0067enerateCustomerToken(email:\"a\",password:\"b\"){token}}"}"#.to_owned();
    let padded = format!(
        "{{\"query\":\"{}mutation{{generateCustomerToken(email:1){{token}}}}\"}}",
        " ".repeat(200_000)
    );
    let plain = r#"{"query":"{products(search:\"x\"){items{sku}}}"}"#.to_owned();
    for (number, (body, passed)) in
        [(mutation(1), 2), (escaped, 2), (padded, 2), (mutation(2), 1), (mutation(3), 0), (plain, 5)]
            .iter()
            .enumerate()
    {
        let address = format!("198.51.100.{number}");
        let headers = [JSON, ("X-Forwarded-For", address.as_str())];
        let answers: Vec<_> = (0..5).map(|_| class(&post(&gate, "/graphql", &headers, body))).collect();
        let expected: Vec<_> =
            (0..5).map(|at| if at < *passed { "200" } else { "429 too_many_logins" }).collect();
        assert_eq!(answers, expected, "body {number}");
        let whole = upstream.take().into_iter().filter(|seen| seen.body == body.as_bytes()).count();
        assert_eq!(whole, *passed, "body {number} passes byte for byte, or not at all");
    }
    let query = "/graphql?query=mutation%7B%67enerateCustomerToken(email:1)%7Btoken%7D%7D";
    let headers = [("X-Forwarded-For", "198.51.100.99")];
    let answers: Vec<_> =
        (0..3).map(|_| class(&exchange(gate.proxy, &request("GET", query, &headers, b"")))).collect();
    assert_eq!(answers, ["200", "200", "429 too_many_logins"]);
    let coded = [JSON, ("Content-Encoding", "gzip"), ("X-Forwarded-For", "198.51.100.98")];
    let answers: Vec<_> = (0..2).map(|_| class(&post(&gate, "/graphql", &coded, "x"))).collect();
    assert_eq!(answers, ["200", "429 too_many_logins"], "what cannot be read costs all that there is");
}

#[test]
fn soap_is_no_way_around_the_limit() {
    let upstream = Upstream::start();
    let gate = setup(&upstream).with("tokens", "address_rate = 1\naddress_burst = 1").start();
    for (target, expected) in [
        ("/soap/default?services=catalogProductRepositoryV1", "200"),
        ("/soap/default?services=integration%43ustomerToken%53erviceV1", "200"),
        ("/soap/default?services=catalogProductRepositoryV1", "200"),
        ("/soap?services=catalogProductRepositoryV1,integrationAdminTokenServiceV1", "429 too_many_logins"),
        ("/soap?services=twoFactorAuthGoogleAuthenticateV1", "429 too_many_logins"),
    ] {
        assert_eq!(
            class(&post(&gate, target, &[("Content-Type", "text/xml")], "<x/>")),
            expected,
            "{target}"
        );
    }
}

#[test]
fn a_mutation_that_comes_late_in_pieces_is_stopped_before_its_end() {
    let upstream = Upstream::start();
    let gate = setup(&upstream).with("tokens", "address_rate = 1\naddress_burst = 1").start();
    let send = || {
        let mut client = Client::connect(gate.proxy);
        client.send(b"POST /graphql HTTP/1.1\r\nHost: shop.test\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
        for piece in ["{\"query\":\"mutation{generate", "CustomerTok", "en(email:1){token}}\"}"] {
            write!(client.socket(), "{:x}\r\n{piece}\r\n", piece.len()).unwrap();
            thread::sleep(std::time::Duration::from_millis(50));
        }
        let _ = client.try_send(b"0\r\n\r\n");
        client.receive().expect("the gate answers")
    };
    assert_eq!(class(&send()), "200");
    assert_eq!(upstream.take().len(), 1);
    assert_eq!(class(&send()), "429 too_many_logins");
    assert!(upstream.take().is_empty(), "a body without its end is no request");
}

#[test]
fn an_upstream_that_issues_is_spared_and_watched() {
    let upstream = Upstream::answering(|seen, socket| {
        let status = if seen.header("x-refuse").is_some() { "401 Unauthorized" } else { "200 OK" };
        write!(socket, "HTTP/1.1 {status}\r\nContent-Length: 4\r\n\r\ntrue").is_ok()
    });
    let setup = setup(&upstream).with("upstream", "credentials = \"forward\"");
    let gate = setup.with("tokens", "address_rate = 1\naddress_burst = 4").start();
    let answer = login(&gate, CUSTOMER, ALICE);
    assert_eq!((class(&answer), answer.text()), ("200".to_owned(), "true".to_owned()));
    assert_eq!(upstream.take().pop().unwrap().text(), ALICE, "forwarded as it came");
    // A name that the upstream has locked, as its log says, does not cost it a hash.
    gate.sql(
        "INSERT INTO oauth_token_request_log (user_name, user_type, failures_count, lock_expires_at) \
         VALUES ('alice@example.com', 2, 6, '2027-01-01 00:00:00')",
    );
    let locked = login(&gate, CUSTOMER, ALICE);
    assert_eq!(class(&locked), "401 login_refused");
    assert!(locked.text().contains("The account sign-in was incorrect"));
    assert!(upstream.take().is_empty());
    assert_eq!(
        class(&login(&gate, CUSTOMER, "not json")),
        "200",
        "what cannot be read is the upstream's to refuse"
    );
    assert_eq!(class(&login(&gate, ADMIN, ROOT)), "200");
    assert_eq!(class(&login(&gate, ADMIN, ROOT)), "429 too_many_logins");
    assert_eq!(upstream.take().len(), 2);
}

#[test]
fn a_revocation_by_the_upstream_is_learnt_at_once() {
    let upstream = Upstream::answering(|seen, socket| {
        let status = if seen.header("x-refuse").is_some() { "401 Unauthorized" } else { "200 OK" };
        write!(socket, "HTTP/1.1 {status}\r\nContent-Length: 4\r\n\r\ntrue").is_ok()
    });
    let graphql = r#"{"query":"mutation{revokeCustomerToken{result}}"}"#;
    for (target, body) in [(REVOKE, ""), ("/graphql", graphql)] {
        let gate = setup(&upstream).with("tokens", "issuer = \"opaque\"").start();
        let bearer = format!("Bearer {}", token(&gate, CUSTOMER, ALICE));
        let folder = gate.stop().unwrap();
        let setup = setup(&upstream).in_folder(folder.path());
        let gate = setup.with("tokens", "issuer = \"upstream\"").start();
        let me = || class(&exchange(gate.proxy, &request("GET", SELF, &[("Authorization", &bearer)], b"")));
        assert_eq!(me(), "200");
        gate.sql("INSERT INTO jwt_auth_revoked VALUES (3, 1, 1795248000)");
        assert_eq!(me(), "200", "cached");
        let refused = [("Authorization", bearer.as_str()), ("X-Refuse", "1")];
        assert_eq!(post(&gate, target, &refused, body).status(), 401);
        assert_eq!(me(), "200", "nothing was revoked");
        assert_eq!(post(&gate, target, &[("Authorization", &bearer)], body).status(), 200);
        assert_eq!(me(), "401 resource_denied", "{target}");
    }
}

#[test]
fn with_a_second_factor_admins_sign_in_at_the_upstream() {
    let upstream = Upstream::start();
    let gate = setup(&upstream).with("tokens", "two_factor = true").start();
    assert_eq!(class(&login(&gate, CUSTOMER, ALICE)), "200");
    assert!(upstream.take().is_empty());
    assert_eq!(class(&login(&gate, ADMIN, ROOT)), "200");
    assert_eq!(upstream.take().len(), 1);
}
