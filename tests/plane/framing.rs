//! One meaning upstream: what could be read in two ways is refused, or arrives in exactly one.

use std::io::Write as _;

use crate::{
    callers::{FULL, OUTSIDE, PROTECTED, PROTECTED_POST, chunks, gate, get, post},
    support::{
        upstream::Upstream,
        wire::{Client, exchange, request},
    },
};

/// Sends bytes; the status, if an answer came.
fn status(gate: &crate::support::gate::Gate, bytes: &[u8]) -> Option<u16> {
    let mut client = Client::connect(gate.proxy);
    client.send(bytes);
    client.receive().map(|answer| answer.status())
}

#[test]
fn ambiguous_framing_is_refused_or_has_one_meaning() {
    let upstream = Upstream::start();
    let gate = gate(&upstream).start();
    let smuggled = "GET /rest/V1/modules HTTP/1.1\r\nHost: shop.test\r\nX-Smuggled: 1\r\n\r\n";
    let whole = format!("0\r\n\r\n{smuggled}");
    let lengths = whole.len();
    let heads = [
        format!("Content-Length: {lengths}\r\nTransfer-Encoding: chunked\r\n"),
        format!("Transfer-Encoding: chunked\r\nContent-Length: {lengths}\r\n"),
        format!("Content-Length: {lengths}\r\nContent-Length: 5\r\n"),
        format!("Content-Length: {lengths}\r\nContent-Length: {lengths}\r\n"),
        format!("Content-Length: {lengths}, {lengths}\r\n"),
        format!("Content-Length: +{lengths}\r\n"),
        "Content-Length: 0x5\r\n".to_owned(),
        "Content-Length: -1\r\n".to_owned(),
        "Content-Length: 99999999999999999999999\r\n".to_owned(),
        "Transfer-Encoding: xchunked\r\n".to_owned(),
        "Transfer-Encoding: identity\r\n".to_owned(),
        "Transfer-Encoding: gzip, chunked\r\n".to_owned(),
        "Transfer-Encoding: chunked, identity\r\n".to_owned(),
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n".to_owned(),
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n".to_owned(),
        "Transfer-Encoding: \x0bchunked\r\n".to_owned(),
        "Transfer-Encoding : chunked\r\n".to_owned(),
        "Transfer-Encoding\r\n : chunked\r\n".to_owned(),
    ];
    for head in heads {
        let mut client = Client::connect(gate.proxy);
        client.send(format!("POST {OUTSIDE} HTTP/1.1\r\nHost: shop.test\r\n{head}\r\n{whole}").as_bytes());
        let answer = client.receive().expect("an answer");
        let seen = upstream.take();
        if answer.status() == 400 {
            assert!(seen.is_empty(), "{head:?} was refused and passed");
            continue;
        }
        assert_eq!(answer.status(), 200, "{head:?}");
        let request = &seen[0];
        let framings = request.all("content-length").len() + request.all("transfer-encoding").len();
        assert_eq!(framings, 1, "{head:?}: {}", String::from_utf8_lossy(&request.head));
        // The upstream reads one request, or the second was judged on its own and refused for want of credentials.
        assert_eq!(seen.len(), 1, "{head:?}");
        assert!(request.body.is_empty() || request.body == whole.as_bytes(), "{head:?}");
        if request.body.is_empty() {
            assert!(client.receive().is_none_or(|second| second.status() == 401), "{head:?}");
        }
    }
}

#[test]
fn coding_on_http_1_0_is_refused() {
    let upstream = Upstream::start();
    let gate = gate(&upstream).start();
    let head =
        format!("POST {OUTSIDE} HTTP/1.0\r\nHost: shop.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    assert_eq!(status(&gate, head.as_bytes()), Some(400));
    assert!(upstream.take().is_empty());
}

#[test]
fn broken_chunks_never_arrive_as_a_whole_body() {
    let upstream = Upstream::start();
    let gate = gate(&upstream).start();
    for body in [
        "5\r\nhelloX\r\n0\r\n\r\n",
        "zz\r\nhello\r\n0\r\n\r\n",
        "ffffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        "5\r\nhel",
    ] {
        let mut client = Client::connect(gate.proxy);
        client.send(&post(OUTSIDE, &[("Transfer-Encoding", "chunked")], b""));
        client.send(body.as_bytes());
        client.socket().shutdown(std::net::Shutdown::Write).unwrap();
        let status = client.receive().map(|answer| answer.status());
        assert!(status.is_none_or(|status| status == 400), "{body:?}: {status:?}");
        assert!(upstream.take().is_empty(), "{body:?} arrived as a whole");
    }
    // Extensions are the connection's own and go no further.
    let mut bytes = post(OUTSIDE, &[("Transfer-Encoding", "chunked")], b"");
    bytes.extend(b"5;name=\"value\"\r\nhello\r\n0\r\n\r\n");
    assert_eq!(status(&gate, &bytes), Some(200));
    assert_eq!(upstream.take_one().text(), "hello");
}

#[test]
fn a_get_keeps_its_chunked_body() {
    // hyper's client drops a body of unknown length on GET: the upstream saw another request than the client sent.
    let upstream = Upstream::start();
    let gate = gate(&upstream).start();
    let mut bytes = get(OUTSIDE, &[("Transfer-Encoding", "chunked")]);
    bytes.extend(chunks(&[b"{\"query\":1}"], ""));
    assert_eq!(status(&gate, &bytes), Some(200));
    assert_eq!(upstream.take_one().text(), "{\"query\":1}");
}

#[test]
fn one_host_and_one_target() {
    let upstream = Upstream::start();
    let gate = gate(&upstream).start();
    let with_host = |target: &str, hosts: &str| format!("GET {target} HTTP/1.1\r\n{hosts}\r\n").into_bytes();
    let refused = [
        with_host(OUTSIDE, ""),
        with_host(OUTSIDE, "Host:\r\n"),
        with_host(OUTSIDE, "Host: a.test\r\nHost: b.test\r\n"),
        with_host(OUTSIDE, "Host: a.test\r\nHost: a.test\r\n"),
        with_host(OUTSIDE, "Host: user@a.test\r\n"),
        with_host(OUTSIDE, "Host: a.test/x\r\n"),
        with_host(OUTSIDE, "Host: a.test, b.test\r\n"),
        with_host("http://b.test/media", "Host: a.test\r\n"),
        with_host("http://user@a.test/media", "Host: a.test\r\n"),
        with_host("http://a.test:81/media", "Host: a.test\r\n"),
        with_host("a.test", "Host: a.test\r\n"),
        with_host("*", "Host: a.test\r\n"),
        with_host("media", "Host: a.test\r\n"),
        b"OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n".to_vec(),
        b"CONNECT a.test:80 HTTP/1.1\r\nHost: a.test:80\r\n\r\n".to_vec(),
        b"CONNECT / HTTP/1.1\r\nHost: a.test\r\n\r\n".to_vec(),
        // PHP takes it for POST, and no route of ours did.
        b"post /rest/V1/integration/admin/token HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n"
            .to_vec(),
        b"TRACE /media HTTP/1.1\r\nHost: a.test\r\n\r\n".to_vec(),
        b"GET /media HTTP/2.0\r\nHost: a.test\r\n\r\n".to_vec(),
        b"GET /media HTTP/1.1 x\r\nHost: a.test\r\n\r\n".to_vec(),
        b"GET /me dia HTTP/1.1\r\nHost: a.test\r\n\r\n".to_vec(),
    ];
    for bytes in refused {
        let shown = String::from_utf8_lossy(&bytes).into_owned();
        assert_eq!(status(&gate, &bytes), Some(400), "{shown:?}");
        assert!(upstream.take().is_empty(), "{shown:?} passed");
    }
    for target in ["http://a.test/media?x=1", "/media?x=1", "HTTP://A.test/media?x=1"] {
        assert_eq!(status(&gate, &with_host(target, "Host: a.test\r\n")), Some(200), "{target}");
        let request = upstream.take_one();
        assert_eq!((request.target(), request.all("host")), ("/media?x=1", vec!["a.test".to_owned()]));
    }
}

#[test]
fn listed_hosts_alone_are_served() {
    let upstream = Upstream::start();
    let gate = gate(&upstream).with("listen", "hosts = [\"shop.test\"]").start();
    for (host, expected) in
        [("shop.test", 200), ("SHOP.test", 200), ("other.test", 400), ("shop.test.evil.test", 400)]
    {
        assert_eq!(status(&gate, &get(OUTSIDE, &[("Host", host)])), Some(expected), "{host}");
        assert_eq!(upstream.take().len(), usize::from(expected == 200), "{host}");
    }
}

#[test]
fn one_credential() {
    let upstream = Upstream::start();
    let gate = gate(&upstream).start();
    for second in [FULL, "Bearer other", "OAuth oauth_consumer_key=\"a\""] {
        for target in [PROTECTED, OUTSIDE] {
            let answer =
                exchange(gate.proxy, &get(target, &[("Authorization", FULL), ("authorization", second)]));
            assert_eq!(answer.status(), 400, "{second} on {target}");
            assert_eq!(answer.header("x-auth-refused").as_deref(), Some("ambiguous_authorization"));
            assert!(upstream.take().is_empty());
        }
    }
}

#[test]
fn targets_pass_byte_for_byte() {
    let upstream = Upstream::start();
    let gate = gate(&upstream).start();
    for target in [
        "/rest/V1/products/24-MB01%2F2?fields=a%20b+c&x=%2e",
        "/rest//V1/modules",
        "/media/a;b=c,d|e?q={}&[]=1",
        "/media/%C3%BC%7e?",
        "/media/x?/rest/V1/modules",
    ] {
        let answer = exchange(gate.proxy, &get(target, &[("Authorization", FULL)]));
        assert_eq!(answer.status(), 200, "{target}");
        assert_eq!(upstream.take_one().target(), target);
    }
    for target in [
        "/media/../rest/V1/modules",
        "/media/%2e%2e/rest/V1/modules",
        "/media/./x",
        "/media/%00",
        "/media\\x",
        "/media/%5cx",
        "/rest/V1/%6dodules",
    ] {
        let answer = exchange(gate.proxy, &get(target, &[("Authorization", FULL)]));
        assert_eq!(answer.status(), 400, "{target}");
        assert!(upstream.take().is_empty(), "{target}");
    }
}

#[test]
fn an_answer_with_two_framings_has_one_for_the_client() {
    let upstream = Upstream::answering(|_, socket| {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n";
        socket.write_all(&[head.as_bytes(), &chunks(&[b"longer than three"], "")].concat()).is_ok()
    });
    let gate = gate(&upstream).start();
    let answer = exchange(gate.proxy, &get(OUTSIDE, &[]));
    assert_eq!((answer.status(), answer.text().as_str()), (200, "longer than three"));
    assert!(answer.header("content-length").is_none());
}

#[test]
fn a_refused_request_with_a_body_does_not_become_the_next() {
    let upstream = Upstream::start();
    let gate = gate(&upstream).start();
    let hidden = get(OUTSIDE, &[("X-Hidden", "1")]);
    let sized = request("POST", PROTECTED_POST, &[], &hidden);
    let mut chunked = post(PROTECTED_POST, &[("Transfer-Encoding", "chunked")], b"");
    chunked.extend(chunks(&[&hidden], ""));
    for first in [sized, chunked] {
        let mut client = Client::connect(gate.proxy);
        client.send(&[first, get(OUTSIDE, &[("X-Second", "1")])].concat());
        assert_eq!(client.receive().unwrap().status(), 401);
        // Judged on its own, or the connection is closed.
        let second = client.receive().map(|answer| answer.status());
        assert!(second.is_none_or(|status| status == 200), "{second:?}");
        let seen = upstream.take();
        assert!(seen.iter().all(|request| request.header("x-hidden").is_none()), "the body became a request");
        assert_eq!(seen.len(), usize::from(second.is_some()));
    }
}

#[test]
fn a_refused_request_whose_body_arrived_keeps_its_connection() {
    let upstream = Upstream::start();
    let gate = gate(&upstream).start();
    let mut chunked = post(PROTECTED_POST, &[("Transfer-Encoding", "chunked")], b"");
    chunked.extend(chunks(&[b"{}"], ""));
    for first in [request("POST", PROTECTED_POST, &[], b"{}"), chunked] {
        let mut client = Client::connect(gate.proxy);
        client.send(&first);
        let refused = client.receive().unwrap();
        assert_eq!((refused.status(), refused.header("connection")), (401, None));
        client.send(&get(OUTSIDE, &[]));
        assert_eq!(client.receive().unwrap().status(), 200);
    }
    // One that has not arrived is not waited for.
    let mut client = Client::connect(gate.proxy);
    client.send(
        format!("POST {PROTECTED_POST} HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 5\r\n\r\nhe")
            .as_bytes(),
    );
    let refused = client.receive().unwrap();
    assert_eq!((refused.status(), refused.header("connection").as_deref()), (401, Some("close")));
}
