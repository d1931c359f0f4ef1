//! Heads and bodies that leave the framing of HTTP/1: 400 and the end of the connection, and the upstream hears nothing.

use crate::{
    callers::{FULL, OUTSIDE, PROTECTED, gate, get, post},
    support::{upstream::Upstream, wire::Client},
};

/// What follows on the connection; it must be judged by nobody.
const NEXT: &str = "GET /media/next HTTP/1.1\r\nHost: shop.test\r\n\r\n";

#[test]
fn a_head_that_hyper_would_forgive_is_refused_and_ends_the_connection() {
    let upstream = Upstream::start();
    let gate = gate(&upstream).start();
    let rest = "Host: shop.test\r\n\r\n";
    let heads = [
        format!("GET {OUTSIDE} HTTP/1.1\n{rest}"),
        format!("GET {OUTSIDE} HTTP/1.1\r\nX: a\n{rest}"),
        format!("GET {OUTSIDE} HTTP/1.1\r\nHost: shop.test\r\n\n"),
        format!("GET {OUTSIDE} HTTP/1.1\r\nHost: shop.test\n\n"),
        format!("GET {OUTSIDE} HTTP/1.1\r\nX: a\rY: b\r\n{rest}"),
        format!("GET {OUTSIDE} HTTP/1.1\r\r\n{rest}"),
        format!("GET {OUTSIDE} HTTP/1.1\r\nX: a\r\n b\r\n{rest}"),
        format!("GET {OUTSIDE} HTTP/1.1\r\n X: a\r\n{rest}"),
        format!("GET {OUTSIDE} HTTP/1.1\r\nX : a\r\n{rest}"),
        format!("GET {OUTSIDE} HTTP/1.1\r\nX: \0\r\n{rest}"),
        format!("GET {OUTSIDE} HTTP/1.1\r\nX: \x0b\r\n{rest}"),
        format!("GET {OUTSIDE} HTTP/1.1\r\nX\r\n{rest}"),
        format!("GET {OUTSIDE} HTTP/1.1\r\n: a\r\n{rest}"),
        format!("GET  {OUTSIDE} HTTP/1.1\r\n{rest}"),
        format!("GET\t{OUTSIDE} HTTP/1.1\r\n{rest}"),
        format!("GET {OUTSIDE}  HTTP/1.1\r\n{rest}"),
        format!("GET {OUTSIDE} HTTP/1.1 \r\n{rest}"),
        format!("GET {OUTSIDE}\r\n{rest}"),
        format!("GET {OUTSIDE} HTTP/0.9\r\n{rest}"),
        format!("GET {OUTSIDE} HTTP/1.2\r\n{rest}"),
        format!("GET {OUTSIDE} HTTP/2.0\r\n{rest}"),
        format!("GET {OUTSIDE}# HTTP/1.1\r\n{rest}"),
        format!("GET {OUTSIDE}#{PROTECTED} HTTP/1.1\r\n{rest}"),
        format!("GET {OUTSIDE}?a#b HTTP/1.1\r\n{rest}"),
        format!("G(T {OUTSIDE} HTTP/1.1\r\n{rest}"),
        format!("\r\n\r\nGET {OUTSIDE} HTTP/1.1\r\n{rest}"),
        format!("\nGET {OUTSIDE} HTTP/1.1\r\n{rest}"),
        format!("POST {OUTSIDE} HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 0\r\n{rest}"),
        format!("POST {OUTSIDE} HTTP/1.1\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n{rest}"),
        format!("POST {OUTSIDE} HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n{rest}"),
        format!("POST {OUTSIDE} HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n{rest}"),
        format!("POST {OUTSIDE} HTTP/1.0\r\nTransfer-Encoding: chunked\r\n{rest}"),
    ];
    for head in heads {
        let mut client = Client::connect(gate.proxy);
        client.send(format!("{head}{NEXT}").as_bytes());
        let answer = client.receive().unwrap_or_else(|| panic!("no answer to {head:?}"));
        assert_eq!(answer.status(), 400, "{head:?}");
        assert!(client.receive().is_none(), "{head:?} left the connection open");
        assert!(upstream.take().is_empty(), "{head:?} passed");
    }
}

#[test]
fn a_head_that_comes_byte_by_byte_is_read_the_same_way() {
    let upstream = Upstream::start();
    let gate = gate(&upstream).start();
    for (bytes, expected) in [
        (get(PROTECTED, &[("Authorization", FULL)]), 200),
        (format!("GET {OUTSIDE} HTTP/1.1\r\nHost: shop.test\r\nX: a\n\r\n").into_bytes(), 400),
    ] {
        let mut client = Client::connect(gate.proxy);
        for byte in &bytes {
            client.send(std::slice::from_ref(byte));
        }
        assert_eq!(client.receive().map(|answer| answer.status()), Some(expected));
        assert_eq!(upstream.take().len(), usize::from(expected == 200));
    }
}

#[test]
fn what_was_asked_before_the_fault_is_still_answered() {
    let upstream = Upstream::start();
    let gate = gate(&upstream).start();
    let mut client = Client::connect(gate.proxy);
    let good = get(PROTECTED, &[("Authorization", FULL)]);
    client.send(&[&good, &b"GET / HTTP/1.1\nHost: shop.test\r\n\r\n"[..], NEXT.as_bytes()].concat());
    let statuses: Vec<u16> = std::iter::from_fn(|| client.receive()).map(|answer| answer.status()).collect();
    assert_eq!(statuses, [200, 400]);
    assert_eq!(upstream.take().len(), 1);
}

#[test]
fn chunks_that_leave_their_framing_never_become_a_body_or_a_request() {
    let upstream = Upstream::start();
    let gate = gate(&upstream).start();
    for body in [
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5\r\nhelloGET\r\n0\r\n\r\n",
        "5;a\nb\r\nhello\r\n0\r\n\r\n",
        "00000000000000005\r\nhello\r\n0\r\n\r\n",
        "0\r\nContent-Length: 5\r\n\r\n",
        "0\r\nX: a\n\r\n",
        "0\n\n",
    ] {
        let mut client = Client::connect(gate.proxy);
        client.send(&post(OUTSIDE, &[("Transfer-Encoding", "chunked")], b""));
        client.send(format!("{body}{NEXT}").as_bytes());
        let statuses: Vec<u16> =
            std::iter::from_fn(|| client.receive()).map(|answer| answer.status()).collect();
        assert!(statuses.is_empty() || statuses == [400], "{body:?}: {statuses:?}");
        assert!(upstream.take().is_empty(), "{body:?} arrived as a whole");
    }
}
