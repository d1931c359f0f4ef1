//! HTTP/1.1 as it should pass: bodies, keep-alive, expectations, connection headers, who the client is.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    thread,
    time::Duration,
};

use crate::{
    callers::{ANONYMOUS, FULL, OUTSIDE, PROTECTED, PROTECTED_POST, UNKNOWN, chunks, gate, get, post},
    support::{
        upstream::Upstream,
        wire::{Client, exchange, request},
    },
};

/// Larger than every buffer on the way.
const LARGE: usize = 8 * 1024 * 1024;

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index * 7 + index / 251) as u8).collect()
}

/// Answers with the request's body, as long as `chunked` says.
fn mirror(is_chunked: bool) -> Upstream {
    Upstream::answering(move |request, socket| {
        let framing = if is_chunked {
            "Transfer-Encoding: chunked".to_owned()
        } else {
            format!("Content-Length: {}", request.body.len())
        };
        let head = format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n");
        let pieces: Vec<&[u8]> = request.body.chunks(60_000).collect();
        let body = if is_chunked { chunks(&pieces, "") } else { request.body.clone() };
        socket.write_all(&[head.as_bytes(), &body].concat()).is_ok()
    })
}

#[test]
fn large_bodies_pass_whole_in_both_framings_and_directions() {
    let body = pattern(LARGE);
    for is_chunked in [true, false] {
        let upstream = mirror(is_chunked);
        let gate = gate(&upstream).start();
        let mut client = Client::connect(gate.proxy);
        let authorized = [("Authorization", FULL)];
        let bytes = if is_chunked {
            let mut bytes = post(PROTECTED_POST, &[authorized[0], ("Transfer-Encoding", "chunked")], b"");
            bytes.extend(chunks(&body.chunks(100_000).collect::<Vec<_>>(), ""));
            bytes
        } else {
            post(PROTECTED_POST, &authorized, &body)
        };
        let mut sender = client.socket().try_clone().unwrap();
        let sending = thread::spawn(move || sender.write_all(&bytes).unwrap());
        let answer = client.receive().unwrap();
        sending.join().unwrap();
        assert_eq!(answer.status(), 200);
        assert!(answer.body == body, "the answer's body is the request's, chunked: {is_chunked}");
        let seen = upstream.take_one();
        assert!(seen.body == body);
        let (coding, length) = (seen.header("transfer-encoding"), seen.header("content-length"));
        assert_eq!((coding.is_some(), length.is_some()), (is_chunked, !is_chunked));
    }
}

#[test]
fn bodies_stream_piece_by_piece_both_ways() {
    // Each piece comes back before the next is sent: nothing waits for the end of a body.
    let upstream = Upstream::raw(|socket| {
        let mut writer = socket.try_clone().unwrap();
        let mut reader = BufReader::new(socket);
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            reader.read_line(&mut line).unwrap();
        }
        writer.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
        let mut bytes = [0; 256];
        while let Ok(read) = reader.read(&mut bytes)
            && read > 0
        {
            writer.write_all(&bytes[..read]).unwrap();
        }
    });
    let gate = gate(&upstream).start();
    let mut client = Client::connect(gate.proxy);
    client.send(&post(PROTECTED_POST, &[("Authorization", FULL), ("Transfer-Encoding", "chunked")], b""));
    let mut is_first = true;
    for piece in ["3\r\none\r\n", "3\r\ntwo\r\n", "0\r\n\r\n"] {
        client.send(piece.as_bytes());
        if std::mem::take(&mut is_first) {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.extend(client.read_bytes(1).unwrap());
            }
        }
        assert_eq!(client.read_bytes(piece.len()).unwrap(), piece.as_bytes());
    }
}

#[test]
fn a_body_is_asked_for_only_after_authentication() {
    let upstream = Upstream::start();
    let gate = gate(&upstream).start();
    let expecting = |authorization| {
        [("Authorization", authorization), ("Expect", "100-continue"), ("Content-Length", "5")]
    };
    let mut client = Client::connect(gate.proxy);
    client.send(&post(PROTECTED_POST, &expecting(FULL), b""));
    assert_eq!(client.receive().unwrap().status(), 100);
    client.send(b"hello");
    assert_eq!(client.receive().unwrap().status(), 200);
    let seen = upstream.take_one();
    assert_eq!((seen.text().as_str(), seen.header("expect")), ("hello", None));

    let mut client = Client::connect(gate.proxy);
    client.send(&post(PROTECTED_POST, &expecting(UNKNOWN), b""));
    assert_eq!(client.receive().unwrap().status(), 401, "the final status, without a 100 before it");
    assert!(client.closes_within(Duration::from_secs(10)), "the body that never came is not waited for");
    assert!(upstream.take().is_empty());
}

#[test]
fn answers_without_a_body_keep_the_connection_in_step() {
    let upstream = Upstream::answering(|request, socket| {
        let head = match (request.method(), request.target()) {
            ("HEAD", _) => "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n",
            (_, "/204") => "HTTP/1.1 204 No Content\r\n\r\n",
            (_, "/304") => "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 99\r\n\r\n",
            (_, "/103") => {
                "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
            }
            (_, "/empty") => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            _ => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        };
        socket.write_all(head.as_bytes()).is_ok()
    });
    let gate = gate(&upstream).start();
    let mut client = Client::connect(gate.proxy);
    client.send(&request("HEAD", "/x", &[], b""));
    let head = client.receive_head().unwrap();
    assert_eq!((head.status(), head.header("content-length").as_deref()), (200, Some("1234")));
    for (target, status, body) in
        [("/204", 204, ""), ("/304", 304, ""), ("/empty", 200, ""), ("/103", 200, "ok"), ("/x", 200, "ok")]
    {
        client.send(&get(target, &[]));
        let answer = client.receive().unwrap();
        assert_eq!((answer.status(), answer.text().as_str()), (status, body), "{target}");
    }
    // A refusal to HEAD has no body either.
    client.send(&request("HEAD", "/a/../b", &[], b""));
    assert_eq!(client.receive_head().unwrap().status(), 400);
    client.send(&get("/x", &[]));
    assert_eq!(client.receive().unwrap().status(), 200);
    assert_eq!(upstream.take().len(), 7);
}

#[test]
fn pipelined_requests_are_judged_one_by_one() {
    let upstream = Upstream::start();
    let gate = gate(&upstream).start();
    let mut client = Client::connect(gate.proxy);
    let requests = [
        (get(PROTECTED, &[("Authorization", FULL)]), 200),
        (get(PROTECTED, &[]), 401),
        (get(PROTECTED, &[("Authorization", UNKNOWN)]), 401),
        (post(PROTECTED_POST, &[("Authorization", FULL)], b"{}"), 200),
        (get("/a/../b", &[]), 400),
        (get(ANONYMOUS, &[]), 200),
        (get(PROTECTED, &[]), 401),
        (get(OUTSIDE, &[]), 200),
    ];
    client.send(&requests.iter().flat_map(|(bytes, _)| bytes.clone()).collect::<Vec<u8>>());
    for (number, (_, status)) in requests.iter().enumerate() {
        assert_eq!(client.receive().unwrap().status(), *status, "request {number}");
    }
    let seen = upstream.take();
    let types: Vec<String> = seen.iter().filter_map(|request| request.header("x-auth-user-type")).collect();
    assert_eq!(types, ["integration", "integration", "guest", "guest"], "nobody inherits an identity");
}

#[test]
fn http_1_0_is_answered_in_its_own_way() {
    let upstream = Upstream::start();
    let gate = gate(&upstream).start();
    let mut client = Client::connect(gate.proxy);
    client.send(
        format!("GET {PROTECTED} HTTP/1.0\r\nHost: shop.test\r\nAuthorization: {FULL}\r\n\r\n").as_bytes(),
    );
    assert_eq!(client.receive().unwrap().status(), 200);
    assert!(client.closes_within(Duration::from_secs(5)));
    assert!(upstream.take_one().start.ends_with("HTTP/1.1"));

    let mut client = Client::connect(gate.proxy);
    for _ in 0..2 {
        client.send(b"GET /x HTTP/1.0\r\nHost: shop.test\r\nConnection: keep-alive\r\n\r\n");
        assert_eq!(client.receive().unwrap().status(), 200);
    }

    // What comes in chunks is told by the end of the connection: HTTP/1.0 knows no chunks.
    let upstream = mirror(true);
    let gate = self::gate(&upstream).start();
    let mut client = Client::connect(gate.proxy);
    client.send(b"POST /x HTTP/1.0\r\nHost: shop.test\r\nContent-Length: 5\r\n\r\nhello");
    let answer = client.receive().unwrap();
    assert_eq!((answer.text().as_str(), answer.header("transfer-encoding")), ("hello", None));
}

#[test]
fn connection_headers_stay_on_their_connection() {
    let upstream = Upstream::answering(|_, socket| {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\n\
                    X-Hop: 1\r\nProxy-Connection: keep-alive\r\nUpgrade: h2c\r\nTE: trailers\r\nX-Kept: yes\r\n\r\nok";
        socket.write_all(head.as_bytes()).is_ok()
    });
    let gate = gate(&upstream).start();
    let answer = exchange(
        gate.proxy,
        &get(
            OUTSIDE,
            &[
                ("Connection", "keep-alive, X-Hop"),
                ("Keep-Alive", "timeout=5"),
                ("Proxy-Connection", "keep-alive"),
                ("Proxy-Authorization", "Basic x"),
                ("TE", "trailers"),
                ("X-Hop", "1"),
                ("X-Kept", "yes"),
            ],
        ),
    );
    let seen = upstream.take_one();
    for message in [&answer, &seen] {
        for name in
            ["connection", "keep-alive", "proxy-connection", "te", "x-hop", "upgrade", "proxy-authorization"]
        {
            assert!(message.header(name).is_none(), "{name} in {}", message.start);
        }
        assert_eq!(message.header("x-kept").as_deref(), Some("yes"));
    }
}

#[test]
fn only_a_trusted_proxy_speaks_for_others() {
    let upstream = Upstream::start();
    let hearsay = [
        ("X-Forwarded-For", "6.6.6.6"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "evil.test"),
        ("X-Forwarded-Port", "666"),
        ("X-Forwarded-Prefix", "/admin"),
        ("X_Forwarded_For", "6.6.6.6"),
        ("Forwarded", "for=6.6.6.6;proto=https"),
        ("X-Real-IP", "6.6.6.6"),
        ("X-Original-URL", "/admin"),
        ("X-Rewrite-URL", "/admin"),
    ];
    let strict = gate(&upstream).start();
    assert_eq!(exchange(strict.proxy, &get(OUTSIDE, &hearsay)).status(), 200);
    let seen = upstream.take_one();
    let head = String::from_utf8_lossy(&seen.head).into_owned();
    assert!(!["6.6.6.6", "evil", "666", "/admin", "https"].iter().any(|word| head.contains(word)), "{head}");
    assert_eq!(seen.all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(seen.all("x-forwarded-proto"), ["http"]);
    assert_eq!(seen.all("x-forwarded-host"), ["shop.test"]);

    let trusting = gate(&upstream).with("listen", "trusted_proxies = [\"127.0.0.0/8\"]").start();
    assert_eq!(exchange(trusting.proxy, &get(OUTSIDE, &hearsay)).status(), 200);
    let seen = upstream.take_one();
    assert_eq!(seen.all("x-forwarded-for"), ["6.6.6.6, 127.0.0.1"]);
    assert_eq!(seen.all("x-forwarded-proto"), ["https"]);
    assert_eq!(seen.all("x-forwarded-prefix"), ["/admin"]);
    assert!(seen.header("x_forwarded_for").is_none(), "no proxy spells it like that");
}

#[test]
fn credentials_go_on_only_where_the_upstream_wants_them() {
    let upstream = Upstream::start();
    let headers = [("Authorization", FULL), ("Cookie", "a=1; PHPSESSID=s; admin=t; b=2")];
    for (setting, authorization, cookie) in
        [("strip", None, "a=1; b=2"), ("forward", Some(FULL), "a=1; PHPSESSID=s; admin=t; b=2")]
    {
        let lines = format!("credentials = \"{setting}\"");
        let gate = gate(&upstream).with("upstream", &lines).start();
        for target in [PROTECTED, ANONYMOUS, OUTSIDE] {
            assert_eq!(exchange(gate.proxy, &get(target, &headers)).status(), 200);
            let seen = upstream.take_one();
            assert_eq!(seen.header("authorization").as_deref(), authorization, "{setting} {target}");
            assert_eq!(seen.all("cookie"), [cookie], "{setting} {target}");
        }
    }
}

#[test]
fn a_request_has_one_id_for_client_and_upstream() {
    let upstream = Upstream::answering(|_, socket| {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Request-Id: the-upstream's\r\n\r\nok";
        socket.write_all(head.as_bytes()).is_ok()
    });
    let strict = gate(&upstream).start();
    let trusting = gate(&upstream).with("listen", "trusted_proxies = [\"127.0.0.0/8\"]").start();
    let long = "x".repeat(129);
    for (gate, given, is_believed) in [
        (&strict, "abc-1", false),
        (&trusting, "abc-1", true),
        (&trusting, "a b", false),
        (&trusting, "a\"b", false),
        (&trusting, long.as_str(), false),
    ] {
        let answer = exchange(gate.proxy, &get(OUTSIDE, &[("X-Request-Id", given)]));
        let seen = upstream.take_one().all("x-request-id");
        assert_eq!(answer.all("x-request-id"), seen);
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0] == given, is_believed, "{given}");
    }
    let refused = exchange(strict.proxy, &get(PROTECTED, &[]));
    assert_eq!((refused.status(), refused.all("x-request-id").len()), (401, 1));
}
