//! A changed configuration on the real gate: taken up while it serves, or refused as a whole.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on must stop"
)]

mod support;

use std::{
    fs,
    io::Write as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use support::{
    gate::{CRYPT_KEY, Gate, Setup},
    process::Process,
    routes::routes,
    upstream::Upstream,
    waiting::until,
    wire::{Client, exchange, request},
};

/// An integration that may do everything, as bearer.
const FULL: (&str, &str) = ("Authorization", "Bearer rcnp1r0ttgql8dyfay14d83fjc7k5q78");
const PROTECTED: &str = "/rest/V1/modules";

fn setup(upstream: &Upstream) -> Setup {
    Setup::before(upstream.address).with("magento", "integration_as_bearer = true")
}

fn status(gate: &Gate, target: &str, headers: &[(&str, &str)]) -> u16 {
    exchange(gate.proxy, &request("GET", target, headers, b"")).status()
}

fn figure(gate: &Gate, line: &str) -> bool {
    let page = exchange(gate.admin, &request("GET", "/metrics", &[("Connection", "close")], b"")).text();
    page.contains(&format!("{line}\n"))
}

fn with_routes(upstream: &Upstream, path: &Path) -> Setup {
    setup(upstream).with("acl", &format!("routes = \"{}\"", path.display()))
}

#[test]
fn new_routes_hold_from_the_next_request_on_and_the_cache_stays() {
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    let path = routes(folder.path(), "Magento_Backend::store");
    let gate = with_routes(&upstream, &path).start();
    assert_eq!(status(&gate, PROTECTED, &[]), 401);
    assert_eq!(status(&gate, PROTECTED, &[FULL]), 200);

    routes(folder.path(), "anonymous");
    gate.sql("DROP TABLE oauth_token");
    gate.reload(&with_routes(&upstream, &path)).unwrap();
    assert_eq!(status(&gate, PROTECTED, &[]), 200);
    routes(folder.path(), "Magento_Backend::store");
    gate.reload(&with_routes(&upstream, &path)).unwrap();
    assert_eq!(status(&gate, PROTECTED, &[]), 401);
    assert_eq!(status(&gate, PROTECTED, &[FULL]), 200, "known without the store");
    assert!(figure(&gate, "portcullis_config_reloads_total{result=\"taken_up\"} 2"));
    assert!(figure(&gate, "portcullis_config_last_reload_successful 1"));
}

#[test]
fn what_cannot_be_used_leaves_everything_as_it_is() {
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    let path = routes(folder.path(), "anonymous");
    let gate = with_routes(&upstream, &path).start();
    let refused = |setup: Setup, expected: &str| {
        let error = gate.reload(&setup).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(status(&gate, PROTECTED, &[]), 200);
        assert!(figure(&gate, "portcullis_config_last_reload_successful 0"));
    };
    fs::write(&path, "[").unwrap();
    refused(with_routes(&upstream, &path), "acl.routes");
    routes(folder.path(), "Magento_Backend::store");
    refused(with_routes(&upstream, &path).with("upstream", "url = \"ftp://x\""), "upstream.url");
    refused(
        with_routes(&upstream, &path).with("magento", "crypt_key = \"fedcba9876543210fedcba9876543210\""),
        "none of the",
    );
    refused(
        with_routes(&upstream, &path).with("nonces", "max = 5000").with("cache", "ttl = \"2s\""),
        "nonces.max, cache.ttl changed and needs a restart",
    );
    gate.reload(&with_routes(&upstream, &path)).unwrap();
    assert_eq!(status(&gate, PROTECTED, &[]), 401);
    assert!(figure(&gate, "portcullis_config_reloads_total{result=\"refused\"} 4"));
}

#[test]
fn a_request_ends_where_it_began_and_the_next_goes_to_the_new_upstream() {
    let slow = Upstream::answering(|_, socket| {
        thread::sleep(Duration::from_millis(500));
        socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nold").is_ok()
    });
    let new = Upstream::start();
    let gate = setup(&slow).start();
    let mut client = Client::connect(gate.proxy);
    client.send(&request("GET", "/page", &[], b""));
    thread::sleep(Duration::from_millis(100));
    gate.reload(&setup(&new)).unwrap();
    assert_eq!(client.receive().unwrap().text(), "old");
    client.send(&request("GET", "/page", &[], b""));
    assert_eq!(client.receive().unwrap().text(), r#"{"from":"upstream"}"#, "on the same connection");
    slow.take_one();
    new.take_one();
}

/// Integrations as bearer are judged when they are looked up: what is cached said yes.
#[test]
fn credentials_are_judged_anew_where_a_change_bears_on_them() {
    let upstream = Upstream::start();
    let gate = setup(&upstream).start();
    assert_eq!(status(&gate, PROTECTED, &[FULL]), 200);
    gate.reload(&Setup::before(upstream.address).with("magento", "integration_as_bearer = false")).unwrap();
    assert_eq!(status(&gate, PROTECTED, &[FULL]), 401);
    gate.reload(&setup(&upstream)).unwrap();
    assert_eq!(status(&gate, PROTECTED, &[FULL]), 200);
    let both = format!("crypt_key = \"{CRYPT_KEY} fedcba9876543210fedcba9876543210\"");
    gate.reload(&setup(&upstream).with("magento", &both)).unwrap();
    assert_eq!(status(&gate, PROTECTED, &[FULL]), 200, "a key that was added");
}

#[test]
fn no_request_is_lost_or_answered_wrongly_over_a_hundred_reloads() {
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    let paths: Vec<_> = ["Magento_Backend::store", "Magento_Sales::actions_view"]
        .iter()
        .enumerate()
        .map(|(number, resource)| {
            let folder = folder.path().join(number.to_string());
            fs::create_dir(&folder).unwrap();
            routes(&folder, resource)
        })
        .collect();
    let gate = Arc::new(with_routes(&upstream, &paths[0]).start());
    let (is_over, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = [(&[FULL][..], 200), (&[][..], 401)]
        .into_iter()
        .map(|(headers, expected)| {
            let (is_over, answered, proxy) = (Arc::clone(&is_over), Arc::clone(&answered), gate.proxy);
            let bytes = request("GET", PROTECTED, headers, b"");
            thread::spawn(move || {
                let mut client = Client::connect(proxy);
                while !is_over.load(Ordering::Relaxed) {
                    client.send(&bytes);
                    assert_eq!(client.receive().unwrap().status(), expected);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for number in 1..=100 {
        let before = answered.load(Ordering::Relaxed);
        gate.reload(&with_routes(&upstream, &paths[number % 2])).unwrap();
        let began = Instant::now();
        while answered.load(Ordering::Relaxed) == before {
            assert!(began.elapsed() < Duration::from_secs(10), "nobody is served");
            thread::yield_now();
        }
    }
    is_over.store(true, Ordering::Relaxed);
    clients.into_iter().for_each(|client| client.join().unwrap());
}

#[test]
fn the_binary_takes_up_changed_files_and_obeys_sighup() {
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    let path = routes(folder.path(), "Magento_Backend::store");
    let watching = || with_routes(&upstream, &path).with("log", "level = \"info\"");
    let config = watching().prepare(folder.path());
    let process = Process::serve(&config);
    let proxy = process.proxy;
    let answer = move || exchange(proxy, &request("GET", PROTECTED, &[], b"")).status();
    assert_eq!(answer(), 401);
    routes(folder.path(), "anonymous");
    until("the changed routes hold", || answer() == 200);

    // Not TOML any more: what was in force stays.
    fs::write(&config, "[listen").unwrap();
    let admin = process.admin;
    until("the refusal is told", move || {
        let page = exchange(admin, &request("GET", "/metrics", &[("Connection", "close")], b"")).text();
        page.contains("portcullis_config_last_reload_successful 0\n")
    });
    assert_eq!(answer(), 200);

    watching().with("reload", "watch = true").with("acl", "unmatched = \"refuse\"").write(folder.path());
    process.hang_up();
    until("the corrected file holds", move || {
        exchange(proxy, &request("GET", "/rest/V1/no/such/route", &[], b"")).status() == 404
    });
    assert_eq!(answer(), 200);
    process.terminate();
    let ended = process.wait();
    assert_eq!(ended.code, Some(0));
    assert!(ended.stderr.contains("configuration refused"), "{}", ended.stderr);
    assert!(ended.stderr.contains("\"changed\":\"acl.unmatched\""), "{}", ended.stderr);
}
