//! TLS to the upstream: who is believed, who is not, and whom the gate shows itself as.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener},
    thread,
};

use rustls::{ServerConnection, StreamOwned};

use crate::{
    modern::{Authority, Modern},
    peer::{get, refusal},
    support::{
        gate::Setup,
        process::Process,
        wire::{Client, exchange, request},
    },
};

const HTTP_1: &[&[u8]] = &[b"http/1.1"];

fn url(endpoint: &Modern) -> String {
    format!("endpoint = [{{ url = \"https://localhost:{}\", name = \"tls\" }}]", endpoint.address.port())
}

#[test]
fn an_upstream_with_the_right_certificate_is_believed() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("ours");
    let ca = authority.write(folder.path(), "ca.pem");
    let endpoint = Modern::start(Some(authority.sign(&["localhost"], 2040).server(None, HTTP_1)));
    let gate = Setup::before(endpoint.address)
        .with("upstream", &url(&endpoint))
        .with("upstream.tls", &format!("ca_file = \"{}\"", ca.display()))
        .with("listen", "workers = 1")
        .start();
    for _ in 0..3 {
        let answer = exchange(gate.proxy, &request("POST", "/media/x?a=%2F", &[], b"body"));
        assert_eq!((answer.status(), answer.text().as_str()), (200, "HTTP/1.1 4"));
    }
    assert_eq!(endpoint.connections(), 1, "the connection is held");
    let seen = endpoint.take();
    assert_eq!(
        (seen[0].target.as_str(), &seen[0].headers["host"]),
        ("/media/x?a=%2F", &"shop.test".parse().unwrap())
    );
}

#[test]
fn an_upstream_that_cannot_prove_itself_is_502_and_the_log_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let ca = ours.write(folder.path(), "ca.pem");
    for (what, identity, cause) in [
        ("wrong authority", theirs.sign(&["localhost"], 2040), "UnknownIssuer"),
        ("wrong name", ours.sign(&["other.test"], 2040), "not valid for"),
        ("expired", ours.sign(&["localhost"], 2021), "xpired"),
    ] {
        let endpoint = Modern::start(Some(identity.server(None, HTTP_1)));
        let home = folder.path().join(what.replace(' ', "_"));
        fs::create_dir_all(&home).unwrap();
        let config = Setup::before(endpoint.address)
            .with("upstream", &url(&endpoint))
            .with("upstream.tls", &format!("ca_file = \"{}\"", ca.display()))
            .with("log", "level = \"info\"")
            .prepare(&home);
        let process = Process::serve(&config);
        for _ in 0..3 {
            let answer = exchange(process.proxy, &get("/media/x"));
            assert_eq!(refusal(&answer), (502, Some("upstream_unavailable".to_owned())), "{what}");
        }
        assert!(endpoint.take().is_empty(), "{what}: nothing was sent");
        process.terminate();
        let log = process.wait().stderr;
        let told: Vec<_> = log.lines().filter(|line| line.contains("the upstream fails")).collect();
        assert_eq!(told.len(), 1, "{what}, once: {log}");
        assert!(told[0].contains(cause) && told[0].contains("\"tls\""), "{what}: {}", told[0]);
    }
}

#[test]
fn a_server_name_of_its_own_is_checked_in_place_of_the_host() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("ours");
    let ca = authority.write(folder.path(), "ca.pem");
    let endpoint = Modern::start(Some(authority.sign(&["api.internal"], 2040).server(None, HTTP_1)));
    for (name, status) in [("api.internal", 200), ("localhost", 502)] {
        let gate = Setup::before(endpoint.address)
            .with("upstream", &url(&endpoint))
            .with("upstream.tls", &format!("ca_file = \"{}\"\nserver_name = \"{name}\"", ca.display()))
            .start();
        assert_eq!(exchange(gate.proxy, &get("/media/x")).status(), status, "{name}");
    }
    assert_eq!(endpoint.take().len(), 1);
}

#[test]
fn a_client_certificate_is_shown_where_there_is_one_and_renewed_by_a_reload() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, strangers) = (Authority::new("ours"), Authority::new("strangers"));
    let ca = authority.write(folder.path(), "ca.pem");
    let endpoint = Modern::start(Some(authority.sign(&["localhost"], 2040).server(Some(&authority), HTTP_1)));
    let (certificate, key) = (folder.path().join("client.pem"), folder.path().join("client.key"));
    let show = |authority: &Authority| {
        let identity = authority.sign(&["gate"], 2040);
        fs::write(&certificate, identity.certificate).unwrap();
        fs::write(&key, identity.key).unwrap();
    };
    let believing = format!("ca_file = \"{}\"", ca.display());
    let showing = format!(
        "{believing}\ncertificate_file = \"{}\"\nkey_file = \"{}\"",
        certificate.display(),
        key.display()
    );
    let setup = |tls: &str| {
        Setup::before(endpoint.address).with("upstream", &url(&endpoint)).with("upstream.tls", tls)
    };
    let gate = setup(&believing).start();
    let status = || exchange(gate.proxy, &get("/media/x")).status();
    assert_eq!(status(), 502, "without a certificate");
    show(&strangers);
    gate.reload(&setup(&showing)).unwrap();
    assert_eq!(status(), 502, "with one that is not theirs");
    show(&authority);
    gate.reload(&setup(&showing)).unwrap();
    assert_eq!(status(), 200);
    fs::write(&key, "none").unwrap();
    let error = gate.reload(&setup(&showing)).unwrap_err().to_string();
    assert!(error.contains("upstream.tls: the client certificate cannot be used"), "{error}");
    assert_eq!(status(), 200, "the last good one stays");
    assert_eq!(endpoint.take().len(), 2);
}

#[test]
fn an_answer_that_ends_without_goodbye_is_no_whole_one() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("ours");
    let ca = authority.write(folder.path(), "ca.pem");
    let config = authority.sign(&["localhost"], 2040).server(None, HTTP_1);
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let cut_off = thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), socket);
        let mut head = [0; 4096];
        let read = stream.read(&mut head).unwrap();
        // No length: the end of the connection is the end of the answer, if TLS says so.
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nonly this").unwrap();
        stream.flush().unwrap();
        stream.sock.shutdown(Shutdown::Both).unwrap();
        read
    });
    let gate = Setup::before(address)
        .with("upstream", &format!("endpoint = [{{ url = \"https://localhost:{}\" }}]", address.port()))
        .with("upstream.tls", &format!("ca_file = \"{}\"", ca.display()))
        .start();
    let mut client = Client::connect(gate.proxy);
    client.send(&request("POST", "/media/x", &[], b"{}"));
    let answer = client.try_receive();
    assert!(answer.is_err() || matches!(&answer, Ok(Some(answer)) if answer.status() == 502), "{answer:?}");
    assert!(cut_off.join().unwrap() > 0, "it had the request");
}

#[test]
fn an_upstream_in_the_clear_is_not_spoken_to_where_tls_is_promised() {
    let endpoint = Modern::start(None);
    let gate = Setup::before(endpoint.address).with("upstream", &url(&endpoint)).start();
    assert_eq!(exchange(gate.proxy, &get("/media/x")).status(), 502);
    assert!(endpoint.take().is_empty());
}
