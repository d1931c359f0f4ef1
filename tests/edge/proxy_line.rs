//! The PROXY line: believed from listed addresses alone, required where it is set, and the client's address from then on.

use std::{
    io::Write as _,
    time::{Duration, Instant},
};

use crate::{
    certificates::{Authority, FULL, OUTSIDE, PROTECTED, figures, gate, tls_gate},
    support::{
        gate::Setup,
        upstream::Upstream,
        wire::{Client, request},
    },
};

const LINE: &[u8] = b"PROXY TCP4 192.0.2.7 10.0.0.1 56324 443\r\n";

/// `\r\n\r\n\0\r\nQUIT\n`, PROXY, TCP over IPv4, 12 bytes and a TLV: 192.0.2.8.
const HEADER: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x10\xc0\x00\x02\x08\x0a\x00\x00\x01\xdc\x04\x01\xbb\x04\x00\x01\x00";

fn requiring(upstream: &Upstream) -> Setup {
    gate(upstream).with(
        "listen",
        "proxy_protocol = \"require\"\ntrusted_proxies = [\"127.0.0.0/8\"]\nheader_timeout = \"500ms\"",
    )
}

fn get(target: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    request("GET", target, headers, b"")
}

#[test]
fn the_line_says_who_the_client_is() {
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    let log = folder.path().join("access.log");
    let gate = requiring(&upstream).with("log", &format!("access = \"{}\"", log.display())).start();
    let v6 = b"PROXY TCP6 2001:db8::9 ::1 1 2\r\n";
    for (line, client) in [(LINE, "192.0.2.7"), (HEADER, "192.0.2.8"), (v6, "2001:db8::9")] {
        for is_torn in [false, true] {
            let mut socket = Client::connect(gate.proxy);
            // What the client says of itself is nothing: it is no trusted proxy, whoever passed its connection on.
            let bytes =
                [line, &get(OUTSIDE, &[("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-Proto", "https")])]
                    .concat();
            if is_torn {
                for piece in bytes.chunks(7) {
                    socket.send(piece);
                    std::thread::sleep(Duration::from_millis(2));
                }
            } else {
                socket.send(&bytes);
            }
            assert_eq!(socket.receive().unwrap().status(), 200);
            let seen = upstream.take_one();
            assert_eq!(seen.all("x-forwarded-for"), [client]);
            assert_eq!(seen.all("x-forwarded-proto"), ["http"]);
            // A second line is no request.
            socket.send(&get(PROTECTED, &[FULL]));
            assert_eq!(socket.receive().unwrap().status(), 200);
            assert_eq!(upstream.take_one().all("x-forwarded-for"), [client]);
            socket.send(&[LINE, &get(OUTSIDE, &[])].concat());
            assert_eq!(socket.receive().map(|answer| answer.status()), Some(400));
            assert!(upstream.take().is_empty());
        }
    }
    gate.stop();
    let lines = std::fs::read_to_string(log).unwrap();
    assert!(lines.contains("\"client\":\"192.0.2.7\"") && !lines.contains("6.6.6.6"), "{lines}");
}

#[test]
fn a_sender_may_speak_for_itself() {
    let upstream = Upstream::start();
    let gate = requiring(&upstream).start();
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00";
    for line in [&local[..], b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN ff:: what ever 1 2\r\n"] {
        let mut socket = Client::connect(gate.proxy);
        socket.send(&[line, &get(OUTSIDE, &[])].concat());
        assert_eq!(socket.receive().unwrap().status(), 200);
        assert_eq!(upstream.take_one().all("x-forwarded-for"), ["127.0.0.1"]);
    }
}

#[test]
fn a_connection_without_a_good_line_is_closed_and_counted() {
    let upstream = Upstream::start();
    let gate = requiring(&upstream).start();
    let endless = [b"PROXY UNKNOWN ", &[b'x'; 200][..]].concat();
    let too_long = [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff"[..], &[0; 600]].concat();
    let malformed: [&[u8]; 8] = [
        &get(PROTECTED, &[FULL]),
        b"PROXY TCP4 192.0.2.7 10.0.0.1 56324\r\n",
        b"PROXY TCP4 999.0.2.7 10.0.0.1 1 2\r\n",
        b"PROXY UDP4 192.0.2.7 10.0.0.1 1 2\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 1 2\n",
        b"\r\n\r\n\0\r\nQUIT\n\x31\x11\x00\x0c\xc0\x00\x02\x08\x0a\x00\x00\x01\xdc\x04\x01\xbb",
        &endless,
        &too_long,
    ];
    for line in &malformed {
        let mut socket = Client::connect(gate.proxy);
        let _ = socket.try_send(&[line, &get(PROTECTED, &[FULL])[..]].concat());
        assert!(socket.read_rest().is_empty(), "answered: {:?}", String::from_utf8_lossy(line));
    }
    for begun in [&b""[..], b"PROXY TCP4 192.0"] {
        let began = Instant::now();
        let mut socket = Client::connect(gate.proxy);
        socket.send(begun);
        assert!(socket.closes_within(Duration::from_secs(5)), "{begun:?}");
        assert!(began.elapsed() > Duration::from_millis(300));
    }
    assert!(upstream.take().is_empty());
    let page = figures(gate.admin);
    for (reason, count) in [("proxy_malformed", malformed.len()), ("proxy_late", 2)] {
        let line = format!("portcullis_connections_closed_total{{reason=\"{reason}\"}} {count}\n");
        assert!(page.contains(&line), "{line}: {page}");
    }
}

#[test]
fn nobody_else_may_send_the_line() {
    let upstream = Upstream::start();
    let lines = "proxy_protocol = \"require\"\ntrusted_proxies = [\"10.0.0.0/8\"]";
    let unlisted = gate(&upstream).with("listen", lines).start();
    let mut socket = Client::connect(unlisted.proxy);
    let _ = socket.try_send(&[LINE, &get(OUTSIDE, &[])].concat());
    assert!(socket.read_rest().is_empty());
    assert!(
        figures(unlisted.admin).contains("portcullis_connections_closed_total{reason=\"proxy_unlisted\"} 1")
    );
    // Where it is off a line is no request either.
    let off = gate(&upstream).with("listen", "trusted_proxies = [\"127.0.0.0/8\"]").start();
    for line in [LINE, HEADER] {
        let mut socket = Client::connect(off.proxy);
        socket.socket().write_all(&[line, &get(OUTSIDE, &[])].concat()).unwrap();
        assert!(socket.receive().is_none_or(|answer| answer.status() == 400));
    }
    assert!(upstream.take().is_empty());
}

#[test]
fn the_line_comes_before_the_handshake() {
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    let authority = Authority::new(folder.path());
    authority.sign("shop", &["shop.test"]);
    let gate = tls_gate(&upstream, folder.path(), "shop", "")
        .with("listen", "proxy_protocol = \"require\"\ntrusted_proxies = [\"127.0.0.0/8\"]")
        .start();
    let mut socket = authority.client().connect_behind(gate.proxy, "shop.test", HEADER).unwrap();
    assert_eq!(socket.ask(&get(PROTECTED, &[FULL])).unwrap().status(), 200);
    let seen = upstream.take_one();
    assert_eq!(
        (seen.all("x-forwarded-for"), seen.all("x-forwarded-proto")),
        (vec!["192.0.2.8".to_owned()], vec!["https".to_owned()])
    );
    assert!(authority.client().connect(gate.proxy, "shop.test").is_err());
}
