//! Real HTTP/2 clients: the same stages, one HTTP/1.1 reading behind us, and an end that loses nothing.

use std::{
    future::Future,
    io::Write as _,
    net::SocketAddr,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use h2::{
    Reason, RecvStream,
    client::{Builder, SendRequest},
};
use http::{HeaderMap, HeaderValue, Request, StatusCode, Version};
use rustls::pki_types::ServerName;
use tokio::{net::TcpStream, task::JoinHandle};
use tokio_rustls::TlsConnector;

use crate::{
    certificates::{Authority, FULL, OUTSIDE, PROTECTED, TlsClient, figures, gate, tls_gate},
    support::{
        gate::{BROKEN_CLOCK, Gate},
        upstream::Upstream,
        wire::{exchange, request},
    },
};

/// A route for POST that needs `Magento_Catalog::products`.
const PROTECTED_POST: &str = "/rest/V1/products";

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let within = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), test).await });
    within.expect("the test comes to an end")
}

/// A connection, and its end.
type Opened = (SendRequest<Bytes>, JoinHandle<Result<(), h2::Error>>);

async fn open(address: SocketAddr, tls: Option<&TlsClient>) -> Opened {
    open_with(address, tls, &mut Builder::new()).await
}

async fn open_with(address: SocketAddr, tls: Option<&TlsClient>, builder: &mut Builder) -> Opened {
    let socket = TcpStream::connect(address).await.unwrap();
    socket.set_nodelay(true).unwrap();
    let Some(tls) = tls else {
        let (client, connection) = builder.handshake(socket).await.unwrap();
        return (client, tokio::spawn(connection));
    };
    let name = ServerName::try_from("shop.test").unwrap();
    let connector = TlsConnector::from(tls.clone().offering(&["h2", "http/1.1"]).config());
    let socket = connector.connect(name, socket).await.unwrap();
    assert_eq!(socket.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (client, connection) = builder.handshake(socket).await.unwrap();
    (client, tokio::spawn(connection))
}

fn head(method: &str, target: &str, headers: &[(&str, &str)]) -> Request<()> {
    let uri = format!("https://shop.test{target}");
    let mut request = Request::builder().version(Version::HTTP_2).method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

async fn ask(
    client: &mut SendRequest<Bytes>,
    request: Request<()>,
    body: Option<Bytes>,
) -> Result<(StatusCode, HeaderMap, Vec<u8>), h2::Error> {
    let mut ready = client.clone().ready().await?;
    let (answer, mut sending) = ready.send_request(request, body.is_none())?;
    if let Some(mut body) = body {
        while !body.is_empty() {
            sending.reserve_capacity(body.len().min(64 * 1024));
            let room = std::future::poll_fn(|cx| sending.poll_capacity(cx)).await.unwrap()?;
            let piece = body.split_to(room.min(body.len()));
            sending.send_data(piece, body.is_empty())?;
        }
    }
    let (head, body) = answer.await?.into_parts();
    Ok((head.status, head.headers, read(body).await?))
}

async fn read(mut body: RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut bytes = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        bytes.extend_from_slice(&piece);
        let _ = body.flow_control().release_capacity(piece.len());
    }
    Ok(bytes)
}

fn h2c(upstream: &Upstream) -> Gate {
    gate(upstream).with("listen", "h2c = true").start()
}

#[test]
#[expect(clippy::too_many_lines, reason = "one request, looked at from every side")]
fn a_request_has_one_reading_behind_us() {
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    let authority = Authority::new(folder.path());
    authority.sign("shop", &["shop.test"]);
    let log = folder.path().join("access.log");
    let gate = tls_gate(&upstream, folder.path(), "shop", "")
        .with("log", &format!("access = \"{}\"", log.display()))
        .start();
    run(async {
        let (mut client, _) = open(gate.proxy, Some(&authority.client())).await;
        let headers = [
            ("authorization", FULL.1),
            ("cookie", "a=1"),
            ("cookie", "b=2"),
            ("te", "trailers"),
            ("x-auth-user-id", "99"),
            ("x_auth_user_type", "admin"),
            ("x-forwarded-for", "6.6.6.6"),
            ("forwarded", "for=6.6.6.6"),
            ("expect", "100-continue"),
        ];
        let (status, answered, body) =
            ask(&mut client, head("GET", "/rest/V1/modules?a=%20b", &headers), None).await.unwrap();
        assert_eq!((status, body.as_slice()), (StatusCode::OK, &br#"{"from":"upstream"}"#[..]));
        let seen = upstream.take_one();
        assert_eq!(seen.start, "GET /rest/V1/modules?a=%20b HTTP/1.1");
        assert_eq!(seen.all("host"), ["shop.test"]);
        assert_eq!(seen.all("cookie"), ["a=1; b=2"]);
        assert_eq!(seen.all("x-auth-user-type"), ["integration"]);
        assert_eq!(seen.all("x-forwarded-proto"), ["https"]);
        assert_eq!(seen.all("x-forwarded-for"), ["127.0.0.1"]);
        assert_eq!(seen.all("x-request-id").len(), 1);
        assert_eq!(answered["x-request-id"], seen.header("x-request-id").unwrap());
        let own = seen.all("x-auth-user-id");
        assert!(own.len() == 1 && own[0] != "99", "{own:?}");
        for name in [
            "te",
            "expect",
            "x_auth_user_type",
            "forwarded",
            "transfer-encoding",
            "content-length",
            "authorization",
        ] {
            assert!(seen.header(name).is_none(), "{name}");
        }
        assert!(!seen.headers.iter().any(|(name, _)| name.starts_with(':')));

        let (status, headers, body) = ask(&mut client, head("GET", PROTECTED, &[]), None).await.unwrap();
        assert_eq!(
            (status, &headers["x-auth-refused"]),
            (StatusCode::UNAUTHORIZED, &HeaderValue::from_static("resource_denied"))
        );
        assert!(!body.is_empty());
        let (status, _, body) = ask(&mut client, head("HEAD", "/a/../b", &[]), None).await.unwrap();
        assert_eq!((status, body.len()), (StatusCode::BAD_REQUEST, 0));
        assert!(upstream.take().is_empty());
    });
    gate.stop();
    let lines = std::fs::read_to_string(log).unwrap();
    assert!(
        lines.lines().count() == 3 && lines.lines().all(|line| line.contains("\"protocol\":\"HTTP/2\"")),
        "{lines}"
    );
}

#[test]
fn bodies_pass_whole_with_and_without_a_length() {
    let upstream = Upstream::answering(|request, socket| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", request.body.len());
        socket.write_all(&[head.as_bytes(), &request.body].concat()).is_ok()
    });
    let gate = h2c(&upstream);
    let body: Vec<u8> = (0..3_000_000_u32).map(|index| (index * 7 + index / 251) as u8).collect();
    run(async {
        let (mut client, _) = open(gate.proxy, None).await;
        for length in [Some(body.len().to_string()), None] {
            let mut headers = vec![("authorization", FULL.1)];
            headers.extend(length.as_deref().map(|length| ("content-length", length)));
            let asked =
                ask(&mut client, head("POST", PROTECTED_POST, &headers), Some(body.clone().into())).await;
            let (status, _, mirrored) = asked.unwrap();
            assert_eq!(status, StatusCode::OK);
            assert!(mirrored == body);
            let seen = upstream.take_one();
            assert!(seen.body == body);
            let framings = (seen.all("content-length").len(), seen.all("transfer-encoding").len());
            assert_eq!(framings, if length.is_some() { (1, 0) } else { (0, 1) });
        }
    });
}

#[test]
fn streams_side_by_side_inherit_nothing() {
    let upstream = Upstream::answering(|request, socket| {
        thread::sleep(Duration::from_millis(request.target().len() as u64 % 7 * 5));
        let body = format!("{} {}", request.header("x-auth-user-type").unwrap(), request.target());
        write!(socket, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).is_ok()
    });
    let gate = h2c(&upstream);
    run(async {
        let (client, _) = open(gate.proxy, None).await;
        let asking: Vec<_> = (0..60)
            .map(|number| {
                let mut client = client.clone();
                tokio::spawn(async move {
                    let target = format!("{PROTECTED}?{}", "x".repeat(number));
                    let headers = if number % 3 == 0 { vec![] } else { vec![("authorization", FULL.1)] };
                    let (status, _, body) =
                        ask(&mut client, head("GET", &target, &headers), None).await.unwrap();
                    (number, status, body, target)
                })
            })
            .collect();
        for asked in asking {
            let (number, status, body, target) = asked.await.unwrap();
            if number % 3 == 0 {
                assert_eq!(status, StatusCode::UNAUTHORIZED);
            } else {
                assert_eq!((status, body), (StatusCode::OK, format!("integration {target}").into_bytes()));
            }
        }
    });
    assert_eq!(upstream.take().len(), 40);
}

#[test]
fn a_draining_gate_says_so_and_finishes_what_it_began() {
    let upstream = Upstream::answering(|_, socket| {
        thread::sleep(Duration::from_millis(700));
        socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_ok()
    });
    let gate = h2c(&upstream);
    run(async {
        let (client, ended) = open(gate.proxy, None).await;
        let mut busy = client.clone();
        let asking = tokio::spawn(async move { ask(&mut busy, head("GET", OUTSIDE, &[]), None).await });
        tokio::time::sleep(Duration::from_millis(200)).await;
        let stopping = thread::spawn(move || gate.stop());
        let (status, _, body) = asking.await.unwrap().unwrap();
        assert_eq!((status, body.as_slice()), (StatusCode::OK, &b"ok"[..]));
        // GOAWAY without an error: the connection ends as if both had agreed.
        ended.await.unwrap().unwrap();
        stopping.join().unwrap();
    });
    assert_eq!(upstream.take().len(), 1);
}

#[test]
fn a_stream_that_nobody_reads_ends_alone() {
    let upstream = Upstream::answering(|request, socket| {
        if !request.target().starts_with("/large") {
            return socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_ok();
        }
        let mut sent = socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n");
        while sent.is_ok() {
            sent = socket.write_all(&[b'x'; 64 * 1024]);
        }
        false
    });
    let gate = gate(&upstream).with("listen", "h2c = true\nwrite_timeout = \"700ms\"").start();
    run(async {
        // Room on the connection, none on the stream.
        let mut builder = Builder::new();
        builder.initial_connection_window_size(1 << 20);
        let (mut client, _) = open_with(gate.proxy, None, &mut builder).await;
        let mut ready = client.clone().ready().await.unwrap();
        let (answer, _) = ready.send_request(head("GET", "/large", &[]), true).unwrap();
        let (_, mut unread) = answer.await.unwrap().into_parts();
        for _ in 0..8 {
            let (status, _, _) = ask(&mut client, head("GET", OUTSIDE, &[]), None).await.unwrap();
            assert_eq!(status, StatusCode::OK);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let error = loop {
            match unread.data().await {
                Some(Ok(_)) => {}
                Some(Err(error)) => break error,
                None => panic!("the answer came to its end"),
            }
        };
        assert_eq!(error.reason(), Some(Reason::CANCEL));
        let (status, _, _) = ask(&mut client, head("GET", OUTSIDE, &[]), None).await.unwrap();
        assert_eq!(status, StatusCode::OK, "the connection lives on");
    });
    assert!(figures(gate.admin).contains("portcullis_connections_closed_total{reason=\"unread\"} 1"));
}

#[test]
fn a_panic_ends_one_stream_and_is_counted() {
    let upstream = Upstream::start();
    let gate = h2c(&upstream);
    run(async {
        let (mut client, _) = open(gate.proxy, None).await;
        gate.set_time(BROKEN_CLOCK);
        assert!(ask(&mut client, head("GET", OUTSIDE, &[]), None).await.is_err());
        gate.set_time(1_795_248_000);
        let (status, _, _) = ask(&mut client, head("GET", PROTECTED, &[]), None).await.unwrap();
        assert_eq!(status, StatusCode::UNAUTHORIZED);
    });
    assert!(upstream.take().is_empty(), "never open after a failure");
    assert!(figures(gate.admin).contains("portcullis_panics_total 1"));
}

#[test]
fn a_body_that_is_too_long_or_too_slow_ends_its_stream_alone() {
    let upstream = Upstream::start();
    let lines = "h2c = true\nmax_body = \"64KiB\"\nmin_body_rate = \"1KiB\"\nbody_grace = \"500ms\"";
    let gate = gate(&upstream).with("listen", lines).start();
    run(async {
        let (mut client, _) = open(gate.proxy, None).await;
        let authorized = [("authorization", FULL.1)];
        let too_long = Bytes::from(vec![b'x'; 65 * 1024]);
        let asked = ask(&mut client, head("POST", PROTECTED_POST, &authorized), Some(too_long)).await;
        assert_eq!(asked.unwrap().0, StatusCode::PAYLOAD_TOO_LARGE);

        // A byte now and then, and frames without any: neither is a body that comes.
        let mut ready = client.clone().ready().await.unwrap();
        let (answer, mut sending) =
            ready.send_request(head("POST", PROTECTED_POST, &authorized), false).unwrap();
        let trickle = tokio::spawn(async move {
            while sending.send_data(Bytes::from_static(b"x"), false).is_ok()
                && sending.send_data(Bytes::new(), false).is_ok()
            {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        assert_eq!(answer.await.unwrap().status(), StatusCode::REQUEST_TIMEOUT);
        trickle.abort();
        let (status, _, _) = ask(&mut client, head("GET", OUTSIDE, &[]), None).await.unwrap();
        assert_eq!(status, StatusCode::OK);
    });
    assert_eq!(upstream.take_one().target(), OUTSIDE);
    let began = Instant::now();
    while upstream.broken() == 0 {
        assert!(began.elapsed() < Duration::from_secs(5), "the slow request was never broken off");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn http_2_in_the_clear_is_spoken_where_it_is_set_alone() {
    let upstream = Upstream::start();
    let gate = gate(&upstream).start();
    run(async {
        let socket = TcpStream::connect(gate.proxy).await.unwrap();
        if let Ok((client, connection)) = h2::client::handshake(socket).await {
            tokio::spawn(connection);
            let mut client: SendRequest<Bytes> = client;
            assert!(ask(&mut client, head("GET", OUTSIDE, &[]), None).await.is_err());
        }
    });
    assert!(upstream.take().is_empty());
    let both = h2c(&upstream);
    assert_eq!(exchange(both.proxy, &request("GET", OUTSIDE, &[], b"")).status(), 200, "HTTP/1.1 as well");
    let short = exchange(both.proxy, &request("PUT", OUTSIDE, &[], b""));
    assert_eq!(short.status(), 200, "what begins like the preface and is none");
}

#[test]
fn a_broken_upstream_ends_the_stream_not_the_connection() {
    let upstream = Upstream::answering(|request, socket| {
        if request.target() == "/torn" {
            let _ = socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
            return false;
        }
        socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nX-Auth-User-Id: 1\r\n\r\nok").is_ok()
    });
    let gate = Arc::new(h2c(&upstream));
    run(async {
        let (mut client, _) = open(gate.proxy, None).await;
        assert!(ask(&mut client, head("GET", "/torn", &[]), None).await.is_err(), "half an answer is none");
        let (status, headers, body) = ask(&mut client, head("GET", OUTSIDE, &[]), None).await.unwrap();
        assert_eq!((status, body.as_slice()), (StatusCode::OK, &b"ok"[..]));
        for name in ["connection", "x-hop", "x-auth-user-id", "keep-alive"] {
            assert!(!headers.contains_key(name), "{name}");
        }
    });
}
