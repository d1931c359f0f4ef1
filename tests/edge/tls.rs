//! TLS on the proxy's port: who is shown which certificate, what is refused, and that a change loses nothing.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rcgen::{ExtendedKeyUsagePurpose, date_time_ymd};
use rustls::{HandshakeKind, ProtocolVersion};

use crate::{
    certificates::{Authority, EACH, FULL, OUTSIDE, PROTECTED, TlsSocket, connect, figures, gate, tls_gate},
    support::{
        process::{self, Process},
        signing::Credentials,
        upstream::Upstream,
        waiting::until,
        wire::{Client, exchange, request},
    },
};

fn get(target: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    request("GET", target, headers, b"")
}

#[test]
fn a_request_over_tls_is_judged_like_any_and_came_over_https() {
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    let authority = Authority::new(folder.path());
    authority.sign("shop", &["shop.test"]);
    let gate = tls_gate(&upstream, folder.path(), "shop", "").start();
    for versions in &EACH {
        let client = authority.client().speaking(versions).offering(&["http/1.1"]);
        let mut socket = client.connect(gate.proxy, "shop.test").unwrap();
        assert_eq!(socket.session().alpn_protocol(), Some(&b"http/1.1"[..]));
        assert_eq!(socket.ask(&get(PROTECTED, &[FULL])).unwrap().status(), 200);
        let seen = upstream.take_one();
        assert_eq!(seen.all("x-forwarded-proto"), ["https"]);
        assert_eq!(seen.all("x-auth-user-type"), ["integration"]);
        assert_eq!(socket.ask(&get(PROTECTED, &[])).unwrap().status(), 401);
        let spoofed = get(OUTSIDE, &[("X-Auth-User-Id", "1"), ("X-Forwarded-Proto", "http")]);
        assert_eq!(socket.ask(&spoofed).unwrap().status(), 200);
        let seen = upstream.take_one();
        assert!(seen.header("x-auth-user-id").is_none());
        assert_eq!(seen.all("x-forwarded-proto"), ["https"]);
    }
    let page = figures(gate.admin);
    assert!(page.contains("portcullis_tls_handshakes_total{result=\"done\"} 2"), "{page}");
    assert!(
        page.contains("portcullis_tls_certificate_expiry_days{listener=\"proxy\",certificate=\"shop.test\"}")
    );
}

#[test]
fn what_was_signed_for_https_verifies_on_a_tls_listener_alone() {
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    let authority = Authority::new(folder.path());
    authority.sign("shop", &["shop.test"]);
    let now = 1_795_248_000;
    let secure = tls_gate(&upstream, folder.path(), "shop", "").start();
    let plain = gate(&upstream).start();
    let signed = |scheme: &str, nonce: &str| match scheme {
        "https" => Credentials::full().secure_authorization(PROTECTED, now, nonce),
        _ => Credentials::full().authorization(PROTECTED, now, nonce),
    };
    let mut socket = authority.client().connect(secure.proxy, "shop.test").unwrap();
    for (scheme, over_tls, in_the_clear) in [("https", 200, 401), ("http", 401, 200)] {
        let authorization = signed(scheme, &format!("one-{scheme}"));
        let answer = socket.ask(&get(PROTECTED, &[("Authorization", &authorization)])).unwrap();
        assert_eq!(answer.status(), over_tls, "{scheme}");
        let authorization = signed(scheme, &format!("two-{scheme}"));
        let answer = exchange(plain.proxy, &get(PROTECTED, &[("Authorization", &authorization)]));
        assert_eq!(answer.status(), in_the_clear, "{scheme}");
    }
    assert_eq!(upstream.take().len(), 2);
}

#[test]
fn a_client_is_shown_the_certificate_of_the_name_it_asks_for() {
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    let authority = Authority::new(folder.path());
    let first = authority.sign("first", &["first.test"]);
    let wide = authority.sign("wide", &["*.shop.test"]);
    let exact = authority.sign("exact", &["api.shop.test"]);
    let file = |name: &str| folder.path().join(name).display().to_string();
    let more: String = ["wide", "exact"]
        .into_iter()
        .map(|name| {
            let (pem, key) = (file(&format!("{name}.pem")), file(&format!("{name}.key")));
            format!("[[listen.tls.certificates]]\ncertificate_file = \"{pem}\"\nkey_file = \"{key}\"\n")
        })
        .collect();
    let lenient = tls_gate(&upstream, folder.path(), "first", &more).start();
    let strict = tls_gate(&upstream, folder.path(), "first", &format!("strict_sni = true\n{more}")).start();
    let client = authority.client();
    for gate in [&lenient, &strict] {
        for (name, expected) in [("first.test", &first), ("api.shop.test", &exact), ("www.shop.test", &wide)]
        {
            let mut socket = client.connect(gate.proxy, name).unwrap();
            assert!(socket.shown() == *expected, "{name}");
            assert_eq!(socket.ask(&get(OUTSIDE, &[("Host", name)])).unwrap().status(), 200);
            assert_eq!(upstream.take_one().all("host"), [name]);
        }
    }
    // The certificate of another name is the client's to refuse; strictly none is shown.
    let error = client.connect(lenient.proxy, "evil.test").err().unwrap();
    assert!(error.contains("certificate"), "{error}");
    let error = client.connect(strict.proxy, "evil.test").err().unwrap();
    assert!(error.contains("alert"), "{error}");
    assert!(upstream.take().is_empty());
    let page = figures(strict.admin);
    assert!(page.contains("portcullis_tls_handshakes_total{result=\"failed\"} 1"), "{page}");
}

#[test]
fn a_clients_certificate_is_asked_for_and_logged_and_proves_no_caller() {
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    let authority = Authority::new(folder.path());
    authority.sign("shop", &["shop.test"]);
    let of_client = |authority: &Authority| {
        authority.sign_with("client", &["till-7.shop.test"], |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        })
    };
    let elsewhere = tempfile::tempdir().unwrap();
    let stranger = Authority::new(elsewhere.path());
    let ca = folder.path().join("ca.pem").display().to_string();
    for (word, without) in [("required", false), ("optional", true)] {
        let log = folder.path().join(format!("{word}.log"));
        let more = format!("client_auth = \"{word}\"\nclient_ca_file = \"{ca}\"");
        let gate = tls_gate(&upstream, folder.path(), "shop", &more)
            .with("log", &format!("access = \"{}\"", log.display()))
            .start();
        let client = authority.client();
        // With TLS 1.3 a client hears of the refusal when it reads.
        let asks = |socket: Result<TlsSocket, String>, request: &[u8]| {
            socket.ok().and_then(|mut socket| socket.ask(request)).map(|answer| answer.status())
        };
        let anonymous = asks(client.connect(gate.proxy, "shop.test"), &get(OUTSIDE, &[]));
        assert_eq!(anonymous.is_some(), without, "{word}");
        assert_eq!(upstream.take().len(), usize::from(without), "{word}");

        let showing = client.clone().showing(of_client(&authority));
        assert_eq!(asks(showing.connect(gate.proxy, "shop.test"), &get(OUTSIDE, &[])), Some(200));
        assert_eq!(upstream.take_one().all("x-auth-user-type"), ["guest"], "no identity of a caller");
        assert_eq!(asks(showing.connect(gate.proxy, "shop.test"), &get(PROTECTED, &[])), Some(401));

        let forged = client.showing(of_client(&stranger));
        assert_eq!(asks(forged.connect(gate.proxy, "shop.test"), &get(OUTSIDE, &[])), None, "{word}");
        assert!(upstream.take().is_empty(), "{word}");
        gate.stop();
        let lines = fs::read_to_string(log).unwrap();
        assert!(
            lines.contains("\"client_certificate\":\"") && lines.contains("\"tls\":\"TLSv1.3\""),
            "{lines}"
        );
    }
}

#[test]
fn what_is_no_good_tls_is_closed_and_others_are_served() {
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    let authority = Authority::new(folder.path());
    authority.sign("shop", &["shop.test"]);
    let gate = tls_gate(&upstream, folder.path(), "shop", "handshake_timeout = \"300ms\"").start();
    // HTTP in the clear, nonsense, and a hello of TLS 1.1 (its version field below what we speak, no extension for more).
    let mut hello = vec![0x16, 3, 1, 0, 45, 1, 0, 0, 41, 3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0, 0x2f, 1, 0]);
    for bytes in [get(PROTECTED, &[FULL]), vec![0xff; 600], hello] {
        let mut client = Client::connect(gate.proxy);
        let _ = client.try_send(&bytes);
        let rest = client.read_rest();
        assert!(!rest.starts_with(b"HTTP/"), "{rest:?}");
    }
    // Silent, and a byte at a time: each has its time and no more.
    let began = Instant::now();
    let mut silent = Client::connect(gate.proxy);
    let mut trickling = Client::connect(gate.proxy);
    while trickling.try_send(&[0x16]).is_ok() && began.elapsed() < Duration::from_secs(5) {
        thread::sleep(Duration::from_millis(50));
    }
    assert!(silent.closes_within(Duration::from_secs(5)));
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    // Nothing is spoken with a client that wants to speak something else.
    assert!(authority.client().offering(&["spdy/3"]).connect(gate.proxy, "shop.test").is_err());
    assert!(upstream.take().is_empty());
    let mut socket = authority.client().connect(gate.proxy, "shop.test").unwrap();
    assert_eq!(socket.ask(&get(OUTSIDE, &[])).unwrap().status(), 200);
    let page = figures(gate.admin);
    assert!(page.contains("portcullis_tls_handshakes_total{result=\"late\"}"), "{page}");
}

#[test]
fn a_session_is_resumed_until_the_certificate_changes() {
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    let authority = Authority::new(folder.path());
    authority.sign("shop", &["shop.test"]);
    let setup = || tls_gate(&upstream, folder.path(), "shop", "");
    let gate = setup().start();
    for versions in &EACH {
        let config = authority.client().speaking(versions).config();
        let kind = || {
            let mut socket = connect(&config, gate.proxy, "shop.test").unwrap();
            assert_eq!(socket.ask(&get(OUTSIDE, &[])).unwrap().status(), 200);
            socket.session().handshake_kind().unwrap()
        };
        assert_eq!(kind(), HandshakeKind::Full);
        assert_eq!(kind(), HandshakeKind::Resumed);
        gate.reload(&setup()).unwrap();
        assert_eq!(kind(), HandshakeKind::Resumed, "nothing changed");
        authority.sign("shop", &["shop.test"]);
        gate.reload(&setup()).unwrap();
        assert_eq!(kind(), HandshakeKind::Full);
    }
}

#[test]
fn files_that_cannot_be_used_are_all_named_before_anything_starts() {
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    let authority = Authority::new(folder.path());
    authority.sign("good", &["good.test"]);
    authority.sign("other", &["other.test"]);
    authority.sign_with("expired", &["expired.test"], |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2020, 2, 1);
    });
    fs::write(folder.path().join("junk.pem"), "no certificate").unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let pairs = [
        ("expired.pem", "expired.key", "expired"),
        ("good.pem", "other.key", "is not the key to"),
        ("junk.pem", "good.key", "holds no certificate"),
        ("good.pem", "junk.pem", "holds no private key"),
    ];
    let more: String = pairs
        .iter()
        .map(|(pem, key, _)| {
            let (pem, key) = (file(pem), file(key));
            format!("[[listen.tls.certificates]]\ncertificate_file = \"{pem}\"\nkey_file = \"{key}\"\n")
        })
        .collect();
    let setup = || tls_gate(&upstream, folder.path(), "good", &more);
    let error = setup().try_start().err().unwrap().to_string();
    for (_, _, reason) in pairs {
        assert!(error.contains(reason), "{reason}: {error}");
    }
    assert_eq!(error.lines().count(), pairs.len(), "{error}");
    assert!(!error.contains("BEGIN"), "{error}");
    let config = setup().prepare(folder.path());
    let checked = process::run(&["check", "--config", config.to_str().unwrap()]);
    assert_eq!(checked.code, Some(78));
    assert!(pairs.iter().all(|(_, _, reason)| checked.stderr.contains(reason)), "{}", checked.stderr);
    let missing = tls_gate(&upstream, folder.path(), "nowhere", "").try_start().err().unwrap().to_string();
    assert!(missing.contains("nowhere.pem") && missing.contains("nowhere.key"), "{missing}");
}

#[test]
fn a_bad_new_certificate_leaves_the_old_one_whole() {
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    let authority = Authority::new(folder.path());
    let old = authority.sign("shop", &["shop.test"]);
    let setup = || tls_gate(&upstream, folder.path(), "shop", "");
    let gate = setup().start();
    let shown = || authority.client().connect(gate.proxy, "shop.test").unwrap().shown();
    let key = folder.path().join("shop.key");
    let right = fs::read(&key).unwrap();
    authority.sign("other", &["shop.test"]);
    for wrong in [fs::read(folder.path().join("other.key")).unwrap(), b"half a fi".to_vec()] {
        fs::write(&key, wrong).unwrap();
        let error = gate.reload(&setup()).unwrap_err().to_string();
        assert!(error.contains("shop.key"), "{error}");
        assert!(shown() == old);
        assert!(figures(gate.admin).contains("portcullis_config_last_reload_successful 0"));
    }
    fs::write(&key, right).unwrap();
    authority.sign_with("shop", &["shop.test"], |params| params.not_after = date_time_ymd(2020, 2, 1));
    assert!(gate.reload(&setup()).unwrap_err().to_string().contains("expired"));
    assert!(shown() == old);
    let new = authority.sign("shop", &["shop.test"]);
    gate.reload(&setup()).unwrap();
    assert!(shown() == new);
    assert!(figures(gate.admin).contains("portcullis_config_last_reload_successful 1"));
}

#[test]
fn certificates_change_under_load_without_a_failed_request() {
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    let authority = Authority::new(folder.path());
    authority.sign("shop", &["shop.test"]);
    let setup = tls_gate(&upstream, folder.path(), "shop", "").with("log", "level = \"info\"");
    let process = Process::serve(&setup.prepare(folder.path()));
    let (stop, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = [1, 25, usize::MAX]
        .into_iter()
        .map(|requests_a_connection| {
            let (client, stop, served) = (authority.client(), Arc::clone(&stop), Arc::clone(&served));
            let address = process.proxy;
            thread::spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    let mut socket = client.connect(address, "shop.test").expect("a handshake");
                    let goes_on = |_: &usize| !stop.load(Ordering::SeqCst);
                    for _ in (0..requests_a_connection).take_while(goes_on) {
                        assert_eq!(socket.ask(&get(OUTSIDE, &[])).expect("an answer").status(), 200);
                        served.fetch_add(1, Ordering::SeqCst);
                    }
                }
            })
        })
        .collect();
    for round in 0..6 {
        let new = authority.sign("shop", &["shop.test"]);
        // By the signal, and by the file alone.
        if round % 2 == 0 {
            process.hang_up();
        }
        let shown = || authority.client().connect(process.proxy, "shop.test").unwrap().shown();
        until("the new certificate is shown", || shown() == new);
    }
    stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.join().unwrap();
    }
    assert!(served.load(Ordering::SeqCst) > 100);
    process.terminate();
    let ended = process.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[test]
fn operators_are_spoken_to_in_tls_where_it_is_set() {
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    let authority = Authority::new(folder.path());
    authority.sign("gate", &["gate.test"]);
    let file = |name: &str| folder.path().join(name).display().to_string();
    let lines = format!("certificate_file = \"{}\"\nkey_file = \"{}\"", file("gate.pem"), file("gate.key"));
    let setup = |lines: &str| gate(&upstream).with("listen.admin_tls", lines);
    let gate = setup(&lines).start();
    // Somebody who does not finish a handshake keeps nobody waiting.
    let _silent = TcpStream::connect(gate.admin).unwrap();
    let mut socket = authority.client().connect(gate.admin, "gate.test").unwrap();
    let answer = socket.ask(&get("/readyz", &[])).unwrap();
    assert_eq!((answer.status(), answer.text().as_str()), (200, "ready\n"));
    assert_eq!(socket.session().protocol_version(), Some(ProtocolVersion::TLSv1_3));
    // Asked for certificates, operators need one.
    let ca = format!("{lines}\nclient_ca_file = \"{}\"\nclient_auth = \"required\"", file("ca.pem"));
    gate.reload(&setup(&ca)).unwrap();
    let anonymous = authority.client().connect(gate.admin, "gate.test");
    assert!(anonymous.ok().and_then(|mut socket| socket.ask(&get("/readyz", &[]))).is_none());
    let own = authority.sign_with("operator", &["operator.test"], |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    let mut socket = authority.client().showing(own).connect(gate.admin, "gate.test").unwrap();
    assert_eq!(socket.ask(&get("/readyz", &[])).unwrap().status(), 200);
    let mut plain = TcpStream::connect(gate.admin).unwrap();
    plain.write_all(&get("/metrics", &[])).unwrap();
    let mut rest = Vec::new();
    let _ = plain.read_to_end(&mut rest);
    assert!(!String::from_utf8_lossy(&rest).contains("portcullis"));
}

#[test]
#[ignore = "needs openssl; run tests/all"]
fn openssl_finds_no_old_version() {
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    let authority = Authority::new(folder.path());
    authority.sign("shop", &["shop.test"]);
    let gate = tls_gate(&upstream, folder.path(), "shop", "").start();
    for (version, expected) in [("-tls1", false), ("-tls1_1", false), ("-tls1_2", true), ("-tls1_3", true)] {
        let address = gate.proxy.to_string();
        let run = Command::new("openssl")
            .args(["s_client", "-connect", &address, version, "-servername", "shop.test"])
            .args(["-cipher", "ALL:@SECLEVEL=0"])
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        assert_eq!(run.status.success(), expected, "{version}: {}", String::from_utf8_lossy(&run.stderr));
    }
}

/// Without a goodbye a client takes what it has for half an answer (RFC 8446 section 6.1).
#[test]
fn a_connection_ends_with_a_goodbye_only_where_everything_was_said() {
    let upstream = Upstream::answering(|request, socket| {
        let length = if request.target() == "/half" { "9" } else { "4" };
        let _ =
            socket.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\nhalf").as_bytes());
        false
    });
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    authority.sign("shop", &["shop.test"]);
    let gate = tls_gate(&upstream, folder.path(), "shop", "").start();
    let ends = |bytes: &[u8]| {
        let mut socket = authority.client().offering(&["http/1.1"]).connect(gate.proxy, "shop.test").unwrap();
        socket.send(bytes).unwrap();
        socket.read_rest().map(|rest| String::from_utf8_lossy(&rest).into_owned())
    };
    let whole = ends(&get("/whole", &[("Connection", "close")])).unwrap();
    assert!(whole.ends_with("half"), "{whole}");
    let refused = ends(b"NONSENSE\r\n\r\n").unwrap();
    assert!(refused.starts_with("HTTP/1.1 400 "), "{refused}");
    assert_eq!(ends(&get("/half", &[])).unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
}
