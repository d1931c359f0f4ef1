//! An upstream that is away, slow, or breaks its word.

use std::{
    io::{self, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    callers::{FULL, OUTSIDE, PROTECTED, gate, get, post},
    support::{
        gate::{BROKEN_CLOCK, Setup},
        upstream::Upstream,
        wire::{Client, Message, exchange, request},
    },
};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn refusal(answer: &Message) -> (u16, Option<String>) {
    (answer.status(), answer.header("x-auth-refused"))
}

/// Answers by the number of the request on its connection, counted from 0.
fn by_turn(
    answer: impl Fn(usize, &Message, &mut TcpStream) -> bool + Send + Sync + Clone + 'static,
) -> Upstream {
    let turns: Arc<std::sync::Mutex<std::collections::HashMap<u16, usize>>> = Arc::default();
    Upstream::answering(move |request, socket| {
        let port = socket.peer_addr().map_or(0, |address| address.port());
        let turn = {
            let mut turns = turns.lock().unwrap();
            let turn = turns.entry(port).or_default();
            *turn += 1;
            *turn - 1
        };
        answer(turn, request, socket)
    })
}

#[test]
fn an_upstream_that_is_away_is_502_in_the_clients_language() {
    let address = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let gate = Setup::before(address).start();
    for (accept, content_type, body) in [
        (
            "application/json",
            "application/json; charset=utf-8",
            r#"{"message":"The service behind this proxy"#,
        ),
        ("application/xml", "application/xml; charset=utf-8", "<message>The service behind this proxy is"),
    ] {
        let answer = exchange(gate.proxy, &get(OUTSIDE, &[("Accept", accept)]));
        assert_eq!(refusal(&answer), (502, Some("upstream_unavailable".to_owned())));
        assert_eq!(answer.header("content-type").as_deref(), Some(content_type));
        assert!(answer.text().contains(body), "{}", answer.text());
    }
    // Who may not pass does not learn that the upstream is away.
    assert_eq!(exchange(gate.proxy, &get(PROTECTED, &[])).status(), 401);
}

#[test]
fn an_upstream_that_does_not_take_the_call_is_504() {
    // A listener whose queue is full: the kernel lets further callers wait.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let _queue: Vec<_> =
        (0..4).map(|_| TcpStream::connect_timeout(&address, Duration::from_millis(100))).collect();
    let gate = Setup::before(address).with("upstream", "connect_timeout = \"200ms\"").start();
    let began = Instant::now();
    let answer = exchange(gate.proxy, &get(OUTSIDE, &[]));
    assert_eq!(refusal(&answer), (504, Some("upstream_timeout".to_owned())));
    assert!(began.elapsed() < Duration::from_secs(3));
}

#[test]
fn an_upstream_that_does_not_answer_is_504_and_its_connection_is_closed() {
    let upstream = Upstream::answering(|request, socket| {
        if request.target() == "/slow" {
            thread::sleep(Duration::from_millis(700));
        }
        socket.write_all(OK).is_ok()
    });
    let gate = gate(&upstream)
        .with("upstream", "response_timeout = \"300ms\"")
        .with("listen", "workers = 1")
        .start();
    let mut client = Client::connect(gate.proxy);
    client.send(&get("/slow", &[]));
    assert_eq!(refusal(&client.receive().unwrap()), (504, Some("upstream_timeout".to_owned())));
    thread::sleep(Duration::from_millis(500));
    client.send(&get("/next", &[]));
    assert_eq!(client.receive().unwrap().text(), "ok");
    let targets: Vec<String> = upstream.take().iter().map(|seen| seen.target().to_owned()).collect();
    assert_eq!(targets, ["/slow", "/next"], "nothing was repeated");
    assert_eq!(upstream.connections(), 2, "the late answer met nobody");
}

#[test]
fn a_broken_answer_is_never_a_whole_one() {
    for part in [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nonly this",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n0\r\n",
    ] {
        let upstream = Upstream::answering(move |request, socket| {
            let is_broken = request.target() == "/broken";
            socket.write_all(if is_broken { part.as_bytes() } else { OK }).is_ok() && !is_broken
        });
        let gate = gate(&upstream).with("listen", "workers = 1").start();
        let mut client = Client::connect(gate.proxy);
        client.send(&get("/broken", &[]));
        let answer = client.try_receive();
        assert!(answer.is_err() || matches!(&answer, Ok(Some(answer)) if answer.status() == 502), "{part:?}");
        assert_eq!(exchange(gate.proxy, &get("/next", &[])).text(), "ok");
        assert_eq!(upstream.connections(), 2, "{part:?}: its connection serves nobody else");
        assert_eq!(upstream.take().len(), 2, "an answer that began is not asked for again");
    }
}

#[test]
fn a_stalled_answer_breaks_off() {
    let upstream = Upstream::answering(|_, socket| {
        socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this").unwrap();
        thread::sleep(Duration::from_millis(1500));
        false
    });
    let gate = gate(&upstream).with("upstream", "response_timeout = \"300ms\"").start();
    let mut client = Client::connect(gate.proxy);
    let began = Instant::now();
    client.send(&get(OUTSIDE, &[]));
    assert!(client.try_receive().is_err(), "the client sees a truncated answer");
    assert!(began.elapsed() < Duration::from_millis(1400), "{:?}", began.elapsed());
}

#[test]
fn nonsense_for_an_answer_is_502_and_not_asked_for_again() {
    for nonsense in
        ["SSH-2.0-OpenSSH\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "HTTP/1.1 2", "\0\0\0\0"]
    {
        let upstream = by_turn(move |turn, _, socket| match turn {
            0 => socket.write_all(OK).is_ok(),
            _ => {
                socket.write_all(nonsense.as_bytes()).unwrap();
                false
            }
        });
        let gate = gate(&upstream).with("listen", "workers = 1").start();
        assert_eq!(exchange(gate.proxy, &get("/first", &[])).status(), 200);
        assert_eq!(exchange(gate.proxy, &get("/second", &[])).status(), 502, "{nonsense:?}");
        assert_eq!(
            upstream.take().len(),
            2,
            "{nonsense:?}: a byte of an answer came, so it may have happened"
        );
    }
}

#[test]
fn a_held_connection_that_breaks_costs_an_idempotent_request_nothing() {
    // The upstream reads the second request of a connection and closes it without a byte.
    let repeated = [("GET", 200), ("HEAD", 200), ("PUT", 200), ("DELETE", 200), ("OPTIONS", 200)];
    let once = [("POST", 502), ("PATCH", 502)];
    for (method, status) in repeated.into_iter().chain(once) {
        let upstream = by_turn(|turn, _, socket| turn == 0 && socket.write_all(OK).is_ok());
        let gate = gate(&upstream).with("listen", "workers = 1").start();
        assert_eq!(exchange(gate.proxy, &get("/first", &[])).status(), 200);
        let mut client = Client::connect(gate.proxy);
        client.send(&request(method, "/second", &[], b""));
        let answer = if method == "HEAD" { client.receive_head() } else { client.receive() };
        assert_eq!(answer.unwrap().status(), status, "{method}");
        let seen = upstream.take().iter().filter(|seen| seen.target() == "/second").count();
        assert_eq!(seen, if status == 200 { 2 } else { 1 }, "{method}");
    }
}

#[test]
fn a_body_that_was_sent_is_never_sent_again() {
    for method in ["POST", "PUT"] {
        let upstream = by_turn(|turn, _, socket| turn == 0 && socket.write_all(OK).is_ok());
        let gate = gate(&upstream).with("listen", "workers = 1").start();
        assert_eq!(exchange(gate.proxy, &get("/first", &[])).status(), 200);
        assert_eq!(exchange(gate.proxy, &request(method, "/second", &[], b"{}")).status(), 502);
        assert_eq!(upstream.take().len(), 2, "{method}");
    }
}

#[test]
fn a_request_is_repeated_once_and_only_on_a_held_connection() {
    let upstream = Upstream::answering(|_, _| false);
    let gate = gate(&upstream).with("listen", "workers = 1").start();
    assert_eq!(exchange(gate.proxy, &get("/x", &[])).status(), 502);
    assert_eq!(upstream.take().len(), 1, "a new connection that breaks is no stale one");

    let upstream = by_turn(|turn, request, socket| {
        turn == 0 && request.target() == "/first" && socket.write_all(OK).is_ok()
    });
    let gate = self::gate(&upstream).with("listen", "workers = 1").start();
    assert_eq!(exchange(gate.proxy, &get("/first", &[])).status(), 200);
    assert_eq!(exchange(gate.proxy, &get("/second", &[])).status(), 502);
    assert_eq!(upstream.take().len(), 3);
}

#[test]
fn a_connection_that_the_upstream_closed_is_not_used() {
    let upstream = Upstream::answering(|_, socket| {
        socket.write_all(OK).unwrap();
        false
    });
    let gate = gate(&upstream).with("listen", "workers = 1").start();
    for number in 0..5 {
        let answer = exchange(gate.proxy, &post(OUTSIDE, &[], b"{}"));
        assert_eq!(answer.status(), 200, "{number}");
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(upstream.take().len(), 5);
}

#[test]
fn bytes_after_an_answer_poison_nothing() {
    // A second answer behind the first must not become the answer to the next caller.
    let upstream = Upstream::answering(|_, socket| {
        let evil = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL";
        socket.write_all(&[OK, evil].concat()).is_ok()
    });
    let gate = gate(&upstream).with("listen", "workers = 1").start();
    let pipelined = Client::connect(gate.proxy);
    let mut clients = vec![pipelined];
    clients.extend((0..3).map(|_| Client::connect(gate.proxy)));
    for _ in 0..20 {
        for client in &mut clients {
            client.send(&[get(OUTSIDE, &[]), get("/other", &[])].concat());
        }
        for client in &mut clients {
            for _ in 0..2 {
                let answer = client.receive().unwrap();
                assert!(answer.status() == 502 || answer.text() == "ok", "{}", answer.text());
            }
        }
    }
}

#[test]
fn an_upload_that_the_upstream_does_not_wait_for_holds_up_nobody() {
    // The connection went back to the pool while the first client was still sending on it.
    let upstream = Upstream::raw(|mut socket| {
        let mut bytes = [0; 4096];
        while let Ok(read) = socket.read(&mut bytes)
            && read > 0
        {
            if bytes[..read].windows(9).any(|piece| piece == b"HTTP/1.1\r") {
                socket.write_all(OK).unwrap();
            }
        }
    });
    let gate = gate(&upstream).with("listen", "workers = 1").start();
    let mut slow = Client::connect(gate.proxy);
    slow.send(&post(OUTSIDE, &[("Content-Length", "1000")], b""));
    slow.send(b"a part");
    assert_eq!(slow.receive().unwrap().text(), "ok", "answered before its end");
    for _ in 0..3 {
        let began = Instant::now();
        assert_eq!(exchange(gate.proxy, &get(OUTSIDE, &[])).text(), "ok");
        assert!(began.elapsed() < Duration::from_millis(900), "{:?}", began.elapsed());
    }
}

#[test]
fn a_client_that_leaves_takes_its_upstream_connection_with_it() {
    let answered = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&answered);
    let upstream = Upstream::answering(move |request, socket| {
        if request.target() == "/slow" {
            thread::sleep(Duration::from_millis(400));
        }
        count.fetch_add(1, Ordering::SeqCst);
        write!(
            socket,
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}",
            request.target().len(),
            request.target()
        )
        .is_ok()
    });
    let gate = gate(&upstream).with("listen", "workers = 1").start();
    let mut leaving = Client::connect(gate.proxy);
    leaving.send(&get("/slow", &[("Authorization", FULL)]));
    thread::sleep(Duration::from_millis(100));
    drop(leaving);
    for target in ["/one", "/two"] {
        assert_eq!(exchange(gate.proxy, &get(target, &[])).text(), target, "an answer met the wrong client");
    }
    thread::sleep(Duration::from_millis(400));
    assert_eq!(exchange(gate.proxy, &get("/three", &[])).text(), "/three");
    assert_eq!(answered.load(Ordering::SeqCst), 4);
}

#[test]
fn a_client_that_leaves_amid_an_answer_that_pauses_does_not_leave_it_waiting() {
    let (told, left) = mpsc::channel();
    let upstream = Upstream::answering(move |_, socket| {
        socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let ended = match socket.read(&mut [0]) {
            Ok(count) => count == 0,
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        };
        told.send(ended).unwrap();
        false
    });
    let gate = gate(&upstream).start();
    let mut leaving = Client::connect(gate.proxy);
    leaving.send(&get(OUTSIDE, &[]));
    assert_eq!(leaving.receive_head().unwrap().status(), 200);
    drop(leaving);
    assert_eq!(left.recv_timeout(Duration::from_secs(10)), Ok(true), "the upstream goes on for nobody");
}

/// More than the buffers of the kernel hold on the way.
const MUCH: usize = 24 * 1024 * 1024;

#[test]
fn a_client_that_sends_everything_before_it_reads_is_served_by_an_upstream_that_answers_early() {
    let upstream = Upstream::raw(|mut socket| {
        let mut some = [0; 1024];
        socket.read_exact(&mut some).unwrap();
        let mut answering = socket.try_clone().unwrap();
        let answer = thread::spawn(move || {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {MUCH}\r\n\r\n");
            answering.write_all(head.as_bytes()).and_then(|()| answering.write_all(&vec![b'a'; MUCH]))
        });
        let _ = io::copy(&mut socket, &mut io::sink());
        let _ = answer.join();
    });
    let gate = gate(&upstream).start();
    let mut client = Client::connect(gate.proxy);
    client.send(&post(OUTSIDE, &[], &vec![b'b'; MUCH]));
    let answer = client.receive().unwrap();
    assert_eq!((answer.status(), answer.body.len()), (200, MUCH));
}

#[test]
fn a_panic_ends_one_connection_and_lets_nobody_pass() {
    let upstream = Upstream::start();
    let gate = gate(&upstream).with("listen", "workers = 1").start();
    let mut other = Client::connect(gate.proxy);
    other.send(&get(OUTSIDE, &[]));
    assert_eq!(other.receive().unwrap().status(), 200);
    gate.set_time(BROKEN_CLOCK);
    let mut unlucky = Client::connect(gate.proxy);
    unlucky.send(&get(OUTSIDE, &[]));
    assert!(unlucky.receive().is_none(), "no answer is better than a wrong one");
    gate.set_time(1_795_248_000);
    other.send(&get(OUTSIDE, &[]));
    assert_eq!(other.receive().unwrap().status(), 200, "its neighbor goes on");
    assert_eq!(exchange(gate.proxy, &get(OUTSIDE, &[])).status(), 200);
    assert_eq!(upstream.take().len(), 3);
    let page = exchange(gate.admin, &get("/metrics", &[])).text();
    assert!(page.contains("portcullis_panics_total 1"), "{page}");
}
