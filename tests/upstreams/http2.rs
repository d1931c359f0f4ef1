//! HTTP/2 to the upstream: one connection for many requests, one meaning for each.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, Version};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tempfile::TempDir;

use crate::{
    modern::{Authority, Modern, full},
    peer::{get, until},
    support::{
        gate::{Gate, Setup},
        wire::{Client, exchange, request},
    },
};

const BOTH: &[&[u8]] = &[b"h2", b"http/1.1"];

fn over_tls(endpoint: impl FnOnce(Option<Arc<rustls::ServerConfig>>) -> Modern) -> (Modern, Gate, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("ours");
    let ca = authority.write(folder.path(), "ca.pem");
    let endpoint = endpoint(Some(authority.sign(&["localhost"], 2040).server(None, BOTH)));
    let gate = Setup::before(endpoint.address)
        .with(
            "upstream",
            &format!("endpoint = [{{ url = \"https://localhost:{}\" }}]", endpoint.address.port()),
        )
        .with("upstream.tls", &format!("ca_file = \"{}\"", ca.display()))
        .with("listen", "workers = 1")
        .start();
    (endpoint, gate, folder)
}

fn in_the_clear(endpoint: &Modern) -> Setup {
    Setup::before(endpoint.address).with("upstream", "http2 = \"h2c\"").with("listen", "workers = 1")
}

#[test]
fn what_tls_agrees_on_is_spoken_and_requests_share_a_connection() {
    let (endpoint, gate, _folder) = over_tls(|tls| {
        Modern::answering(tls, |seen| {
            let text = format!("{:?} {}", seen.version, seen.body.len());
            Box::pin(async move {
                tokio::time::sleep(Duration::from_millis(100)).await;
                Response::new(full(text))
            })
        })
    });
    let start = Barrier::new(20);
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                start.wait();
                let answer = exchange(gate.proxy, &request("POST", "/media/x", &[], &[b'a'; 100_000]));
                assert_eq!((answer.status(), answer.text().as_str()), (200, "HTTP/2.0 100000"));
            });
        }
    });
    assert_eq!((endpoint.take().len(), endpoint.connections()), (20, 1));
}

#[test]
fn a_request_means_the_same_in_http_2() {
    let endpoint = Modern::start(None);
    let gate = in_the_clear(&endpoint).start();
    for (method, target, body, headers) in [
        (
            "GET",
            "/media/a%2Fb?c=d%20e&f",
            &b""[..],
            &[("Host", "other.test:81"), ("Connection", "x-hop"), ("X-Hop", "1")][..],
        ),
        ("PUT", "/media/x", b"some body", &[("X-Auth-User-Id", "7")]),
        ("DELETE", "/", b"", &[("TE", "trailers"), ("Keep-Alive", "5")]),
    ] {
        let answer = exchange(gate.proxy, &request(method, target, headers, body));
        assert_eq!(answer.status(), 200, "{method}");
        let seen = endpoint.take().remove(0);
        assert_eq!(
            (seen.version, seen.method.as_str(), seen.target.as_str()),
            (Version::HTTP_2, method, target)
        );
        assert_eq!(seen.body, body);
        let host = headers.iter().find(|(name, _)| *name == "Host").map_or("shop.test", |(_, host)| host);
        assert_eq!(seen.authority.as_deref(), Some(host));
        for absent in
            ["host", "connection", "x-hop", "te", "keep-alive", "transfer-encoding", "x-auth-user-id"]
        {
            assert!(!seen.headers.contains_key(absent), "{absent}: {:?}", seen.headers);
        }
        assert_eq!(seen.headers["x-auth-user-type"], "guest");
    }
    let mut client = Client::connect(gate.proxy);
    client.send(&request("HEAD", "/media/x", &[], b""));
    assert_eq!(client.receive_head().unwrap().status(), 200);
    let pieces = request("POST", "/media/x", &[("Transfer-Encoding", "chunked")], b"");
    client.send(&[&pieces[..], b"3\r\nabc\r\n2\r\nde\r\n0\r\nX-Auth-User-Id: 7\r\n\r\n"].concat());
    assert_eq!(client.receive().unwrap().text(), "HTTP/2.0 5");
    let seen = endpoint.take();
    assert!(seen[1].headers.get("transfer-encoding").is_none() && seen[1].body == b"abcde"[..]);
    assert_eq!(endpoint.connections(), 1);
}

#[test]
fn trailers_and_what_only_we_may_say_do_not_come_back() {
    let endpoint = Modern::answering(None, |_| {
        Box::pin(async {
            let mut trailers = HeaderMap::new();
            trailers.insert("x-auth-user-id", HeaderValue::from_static("7"));
            let frames = [Ok(Frame::data(Bytes::from_static(b"body"))), Ok(Frame::trailers(trailers))];
            let body = StreamBody::new(futures_util::stream::iter(frames)).boxed();
            let mut response = Response::new(body);
            response.headers_mut().insert("x-auth-user-id", HeaderValue::from_static("7"));
            response.headers_mut().insert("x-other", HeaderValue::from_static("1"));
            response
        })
    });
    let gate = in_the_clear(&endpoint).start();
    let answer = exchange(gate.proxy, &get("/media/x"));
    assert_eq!((answer.status(), answer.text().as_str()), (200, "body"));
    assert!(answer.trailers.is_empty(), "{:?}", answer.trailers);
    assert_eq!((answer.header("x-auth-user-id"), answer.header("x-other").as_deref()), (None, Some("1")));
}

#[test]
fn a_broken_answer_is_never_a_whole_one() {
    let endpoint = Modern::answering(None, |_| {
        Box::pin(async {
            let frames = [
                Ok(Frame::data(Bytes::from_static(b"only this"))),
                Err(std::io::Error::other("the endpoint gave up")),
            ];
            Response::new(StreamBody::new(futures_util::stream::iter(frames)).boxed())
        })
    });
    let gate = in_the_clear(&endpoint).start();
    let mut client = Client::connect(gate.proxy);
    client.send(&get("/media/x"));
    let answer = client.try_receive();
    assert!(answer.is_err() || matches!(&answer, Ok(Some(answer)) if answer.status() == 502), "{answer:?}");
}

#[test]
fn an_endpoint_that_says_goodbye_ends_what_it_has_and_is_called_anew() {
    let endpoint = Modern::answering(None, |seen| {
        let is_slow = seen.target == "/media/slow";
        Box::pin(async move {
            if is_slow {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            Response::new(full("ok"))
        })
    });
    let gate = in_the_clear(&endpoint).start();
    let mut slow = Client::connect(gate.proxy);
    slow.send(&get("/media/slow"));
    until("it has the request", || !endpoint.take().is_empty());
    endpoint.leave();
    for _ in 0..10 {
        assert_eq!(exchange(gate.proxy, &request("POST", "/media/x", &[], b"{}")).text(), "ok");
    }
    assert_eq!(slow.receive().unwrap().text(), "ok");
    assert_eq!(endpoint.connections(), 2);
}

#[test]
fn a_lost_connection_costs_a_get_nothing_and_a_post_is_not_repeated() {
    let (endpoint, cuts) = (Modern::start(None), Arc::new(AtomicBool::new(false)));
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let (address, behind, flag) = (listener.local_addr().unwrap(), endpoint.address, Arc::clone(&cuts));
    thread::spawn(move || {
        for near in listener.incoming().flatten() {
            let flag = Arc::clone(&flag);
            thread::spawn(move || relay(&near, &TcpStream::connect(behind).unwrap(), &flag));
        }
    });
    let gate =
        Setup::before(address).with("upstream", "http2 = \"h2c\"").with("listen", "workers = 1").start();
    for (method, status, connections) in [("GET", 200, 2), ("POST", 502, 2)] {
        assert_eq!(exchange(gate.proxy, &get("/media/first")).status(), 200);
        // What the codecs have to say to each other is said by then.
        thread::sleep(Duration::from_millis(300));
        cuts.store(true, SeqCst);
        let answer = exchange(gate.proxy, &request(method, "/media/cut", &[], b""));
        assert_eq!(answer.status(), status, "{method}");
        assert_eq!(endpoint.connections(), connections, "{method}");
    }
    let targets: Vec<_> = endpoint.take().into_iter().map(|seen| seen.target).collect();
    assert_eq!(targets, ["/media/first", "/media/cut", "/media/first"], "the GET came over a new connection");
}

/// Passes bytes on in both directions, until something comes while the flag is set.
fn relay(near: &TcpStream, far: &TcpStream, cuts: &AtomicBool) {
    let (mut from, mut to) = (far.try_clone().unwrap(), near.try_clone().unwrap());
    let back = thread::spawn(move || std::io::copy(&mut from, &mut to));
    let (mut from, mut to, mut bytes) = (near, far, [0; 16 * 1024]);
    while let Ok(read) = from.read(&mut bytes)
        && read > 0
        && !cuts.swap(false, SeqCst)
    {
        to.write_all(&bytes[..read]).unwrap();
    }
    let _ = (near.shutdown(Shutdown::Both), far.shutdown(Shutdown::Both));
    let _ = back.join();
}

#[test]
fn answers_that_nobody_reads_hold_up_nobody() {
    let endpoint = Modern::answering(None, |seen| {
        let length = if seen.target == "/media/large" { 8 << 20 } else { 2 };
        Box::pin(async move { Response::new(full(vec![b'a'; length])) })
    });
    let gate = in_the_clear(&endpoint).start();
    let mut lazy: Vec<_> = (0..20).map(|_| Client::connect(gate.proxy)).collect();
    for client in &mut lazy {
        client.send(&get("/media/large"));
    }
    until("they are under way", || endpoint.seen() == 20);
    thread::sleep(Duration::from_millis(300));
    let began = Instant::now();
    for _ in 0..5 {
        assert_eq!(exchange(gate.proxy, &get("/media/small")).text(), "aa");
    }
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(endpoint.connections(), 1);
    assert_eq!(lazy[0].receive().unwrap().body.len(), 8 << 20, "who reads gets it all");
}
