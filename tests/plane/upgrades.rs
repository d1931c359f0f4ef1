//! WebSocket: judged like any request, tied together only after the upstream agreed.

use std::{
    io::{Read as _, Write as _},
    time::Duration,
};

use crate::{
    callers::{FULL, OUTSIDE, PROTECTED, UNKNOWN, gate, get, post},
    support::{
        upstream::Upstream,
        wire::{Client, exchange},
    },
};

const ASKING: [(&str, &str); 4] = [
    ("Connection", "keep-alive, Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("Sec-WebSocket-Version", "13"),
];

/// An upstream that agrees to a WebSocket and echoes; anything else is answered 200.
fn echo() -> Upstream {
    Upstream::answering(|request, socket| {
        if request.header("upgrade").is_none() {
            return socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_ok();
        }
        let head = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nX-Auth-User-Id: 1\r\n\r\n";
        socket.write_all(head.as_bytes()).unwrap();
        let mut bytes = [0; 64];
        while let Ok(read) = socket.read(&mut bytes)
            && read > 0
        {
            socket.write_all(&bytes[..read]).unwrap();
        }
        false
    })
}

fn asking(authorization: &'static str) -> Vec<(&'static str, &'static str)> {
    [&ASKING[..], &[("Authorization", authorization)]].concat()
}

#[test]
fn an_authenticated_websocket_echoes_through_the_tie() {
    let upstream = echo();
    let gate = gate(&upstream).start();
    let mut client = Client::connect(gate.proxy);
    client.send(&get(PROTECTED, &asking(FULL)));
    let answer = client.receive().unwrap();
    assert_eq!(answer.status(), 101);
    assert_eq!(answer.header("upgrade").as_deref(), Some("websocket"));
    assert!(answer.header("sec-websocket-accept").is_some());
    assert!(answer.header("x-auth-user-id").is_none(), "an answer's identity header passed");
    let request = upstream.take_one();
    assert_eq!(request.header("x-auth-user-type").as_deref(), Some("integration"));
    assert_eq!(request.header("upgrade").as_deref(), Some("websocket"));
    assert!(request.header("authorization").is_none(), "stripped like on any request");
    for message in [&b"first"[..], b"second"] {
        client.send(message);
        assert_eq!(client.read_bytes(message.len()).unwrap(), message);
    }
}

#[test]
fn without_credentials_a_protected_route_is_no_websocket() {
    let upstream = echo();
    let gate = gate(&upstream).start();
    for headers in [ASKING.to_vec(), asking(UNKNOWN)] {
        let answer = exchange(gate.proxy, &get(PROTECTED, &headers));
        assert_eq!(answer.status(), 401);
        assert_eq!(upstream.connections(), 0, "the upstream was not even called");
    }
}

#[test]
fn an_upstream_that_does_not_agree_leaves_an_ordinary_exchange() {
    // What was sent behind the head must be judged as a request, never passed on unread.
    let upstream = Upstream::start();
    let gate = gate(&upstream).start();
    let mut client = Client::connect(gate.proxy);
    let mut bytes = get(OUTSIDE, &ASKING);
    bytes.extend(get(PROTECTED, &[("X-Auth-User-Type", "admin")]));
    client.send(&bytes);
    assert_eq!(client.receive().unwrap().status(), 200);
    assert_eq!(client.receive().unwrap().status(), 401);
    assert_eq!(upstream.take_one().target(), OUTSIDE);
}

#[test]
fn a_websocket_request_with_a_body_is_an_ordinary_request() {
    // Forwarded without its body but with its length, it made the upstream wait for bytes of the tunnel.
    let upstream = echo();
    let gate = gate(&upstream).start();
    let mut bytes = get(OUTSIDE, &[&ASKING[..], &[("Content-Length", "5")]].concat());
    bytes.extend(b"hello");
    for (request, body) in [(bytes, "hello"), (post(OUTSIDE, &ASKING, b"world"), "world")] {
        assert_eq!(exchange(gate.proxy, &request).status(), 200);
        let request = upstream.take_one();
        assert_eq!(request.text(), body);
        assert!(request.header("upgrade").is_none());
    }
}

#[test]
fn other_upgrades_are_not_offered() {
    let upstream = Upstream::start();
    let gate = gate(&upstream).start();
    let headers =
        [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABk")];
    assert_eq!(exchange(gate.proxy, &get(OUTSIDE, &headers)).status(), 200);
    let request = upstream.take_one();
    for name in ["upgrade", "connection", "http2-settings"] {
        assert!(request.header(name).is_none(), "{name}");
    }
}

#[test]
fn an_unasked_switch_of_protocols_is_a_bad_gateway() {
    let upstream = Upstream::answering(|_, socket| {
        let head = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nmore";
        socket.write_all(head.as_bytes()).is_ok()
    });
    let gate = gate(&upstream).with("listen", "workers = 1").start();
    for _ in 0..2 {
        assert_eq!(exchange(gate.proxy, &get(OUTSIDE, &[])).status(), 502);
    }
    assert_eq!(upstream.connections(), 2, "such a connection serves nobody else");
}

#[test]
fn a_websocket_counts_as_a_connection() {
    let upstream = echo();
    let gate = gate(&upstream).with("listen", "workers = 1\nmax_connections = 1").start();
    let mut socket = Client::connect(gate.proxy);
    socket.send(&get(OUTSIDE, &ASKING));
    assert_eq!(socket.receive().unwrap().status(), 101);
    let mut waiting = Client::connect(gate.proxy);
    waiting.send(&get(OUTSIDE, &[]));
    waiting.socket().set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(waiting.try_receive().is_err(), "there is no room while the WebSocket is open");
    drop(socket);
    waiting.socket().set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert_eq!(waiting.receive().unwrap().status(), 200);
}
