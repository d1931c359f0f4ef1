//! SIGTERM under load, again and again: what reached the upstream is answered, on HTTP/1.1, HTTP/2 and both over TLS.
//!
//! A client of HTTP/1.1 that writes on a connection in the very moment in which the gate closes it gets no answer, and nobody
//! looked at its request (RFC 9112 section 9.6). Such requests are counted and printed; what is asserted is that the upstream
//! saw none of them, that no answer breaks off, and that a client of HTTP/2 is always told.

use std::{
    error::Error as _,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rand::RngExt as _;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinSet,
};
use tokio_rustls::TlsConnector;

use crate::{
    certificates::Authority,
    shop::{Asked, Kind, Seen, echo, fill, setup},
    support::{
        process::{Process, free},
        waiting::until,
    },
    times::count,
};

/// Connections of each kind, and requests at a time on one of HTTP/2.
const CONNECTIONS: usize = 4;
const STREAMS: usize = 8;
/// The upstream takes up to this, so that requests are under way whenever the signal comes.
const SLOWEST: Duration = Duration::from_millis(40);

/// How a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// One request after the other on a connection.
    Kept,
    /// A connection for each request.
    Fresh,
    /// HTTP/2.
    Multiplexed,
}

/// What the clients of a round were told.
#[derive(Default)]
struct Told {
    answered: AtomicUsize,
    /// Targets of requests that got no byte of an answer.
    silent: Mutex<Vec<(Way, String)>>,
    /// Answers that broke off or are wrong.
    problems: Mutex<Vec<String>>,
}

/// The clients of a round.
#[derive(Clone)]
struct Clients {
    proxy: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
    told: Arc<Told>,
}

type Answer = hyper::Result<Response<Incoming>>;

impl Clients {
    /// Asks until nobody listens any more.
    async fn run(self, way: Way) {
        while let Ok(socket) = TcpStream::connect(self.proxy).await {
            socket.set_nodelay(true).unwrap();
            let Some(tls) = &self.tls else {
                self.speak(way, socket).await;
                continue;
            };
            let mut config = ClientConfig::clone(tls);
            config.alpn_protocols =
                vec![if way == Way::Multiplexed { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
            let name = ServerName::try_from("shop.test").unwrap();
            // One that fails has asked nothing yet.
            if let Ok(socket) = TlsConnector::from(Arc::new(config)).connect(name, socket).await {
                self.speak(way, socket).await;
            }
        }
    }

    /// Asks on one connection until it ends.
    async fn speak<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(&self, way: Way, socket: S) {
        let socket = TokioIo::new(socket);
        if way == Way::Multiplexed {
            let Ok((sender, connection)) = http2::handshake(TokioExecutor::new(), socket).await else {
                return;
            };
            let driven = tokio::spawn(connection);
            let mut streams = JoinSet::new();
            for _ in 0..STREAMS {
                streams.spawn(self.clone().stream(sender.clone()));
            }
            drop(sender);
            streams.join_all().await;
            let _ = driven.await;
            return;
        }
        let Ok((mut sender, connection)) = http1::handshake(socket).await else { return };
        let driven = tokio::spawn(connection);
        while sender.ready().await.is_ok()
            && self.ask(way, |request| sender.send_request(request)).await
            && way == Way::Kept
        {}
        drop(sender);
        let _ = driven.await;
    }

    /// Asks one after the other, beside others on the same connection.
    async fn stream(self, mut sender: http2::SendRequest<Empty<Bytes>>) {
        while sender.ready().await.is_ok()
            && self.ask(Way::Multiplexed, |request| sender.send_request(request)).await
        {}
    }

    /// One request. Tells whether the connection may go on.
    async fn ask<A: Future<Output = Answer>>(
        &self,
        way: Way,
        send: impl FnOnce(Request<Empty<Bytes>>) -> A,
    ) -> bool {
        let asked = Asked::over(self.tls.is_some(), Kind::of(rand::random()));
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let is_http2 = way == Way::Multiplexed;
        let uri =
            if is_http2 { format!("{scheme}://shop.test{}", asked.target) } else { asked.target.clone() };
        let mut request = Request::builder().uri(uri);
        if !is_http2 {
            request = request.header("host", "shop.test");
        }
        if let Some(authorization) = &asked.authorization {
            request = request.header("authorization", authorization);
        }
        let answer = match send(request.body(Empty::new()).unwrap()).await {
            Ok(answer) => answer,
            // It was not written, or the client was told that nobody looked at it.
            Err(error) if error.is_canceled() || is_goodbye(&error) => return false,
            Err(_broken_off) => {
                self.told.silent.lock().unwrap().push((way, asked.target));
                return false;
            }
        };
        let (head, body) = answer.into_parts();
        let Ok(body) = body.collect().await else {
            self.told.problems.lock().unwrap().push(format!("{way:?} {} broke off", asked.target));
            return false;
        };
        let text = |name: &str| head.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        let (body, refused) = (body.to_bytes(), text("x-auth-refused").unwrap_or_default());
        let body = String::from_utf8_lossy(&body);
        let problem = asked.problem_with((head.status.as_u16(), &body, &refused));
        self.told.answered.fetch_add(1, Ordering::SeqCst);
        self.told.problems.lock().unwrap().extend(problem.map(|problem| format!("{way:?} {problem}")));
        true
    }
}

/// GOAWAY without an error: a request without an answer is none that was taken (RFC 9113 section 6.8).
fn is_goodbye(error: &hyper::Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<h2::Error>());
    cause.is_some_and(|cause| cause.is_go_away() && cause.reason() == Some(h2::Reason::NO_ERROR))
}

/// How many requests a round answered, and how many got no answer on connections that had been used, and on new ones.
type Round = [usize; 3];

/// Serves, is told to stop under load, and is held to what the upstream saw.
fn round(folder: &Path, tls: Option<Arc<ClientConfig>>) -> Round {
    let (seen, proxy) = (Seen::default(), free());
    let upstream = echo(Some(Seen::clone(&seen)), SLOWEST);
    let mut setup = setup(&upstream, proxy).with("listen", "h2c = true");
    if tls.is_some() {
        setup = setup.with("listen.tls", "certificate_file = \"shop.pem\"\nkey_file = \"shop.key\"");
    }
    let process = Process::serve(&setup.write(folder));
    let told = Arc::new(Told::default());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let clients = Clients { proxy, tls, told: Arc::clone(&told) };
    let mut asking = JoinSet::new();
    for way in [Way::Kept, Way::Fresh, Way::Multiplexed] {
        for _ in 0..CONNECTIONS {
            asking.spawn_on(clients.clone().run(way), runtime.handle());
        }
    }
    until("load", || told.answered.load(Ordering::SeqCst) > 100);
    std::thread::sleep(Duration::from_millis(rand::rng().random_range(0..200)));
    process.terminate();
    let ended = process.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    runtime.block_on(asking.join_all());

    let problems = std::mem::take(&mut *told.problems.lock().unwrap());
    assert!(problems.is_empty(), "{problems:#?}");
    let silent = std::mem::take(&mut *told.silent.lock().unwrap());
    let seen = seen.lock().unwrap();
    let lost: Vec<_> = silent.iter().filter(|(_, target)| seen.contains_key(target)).collect();
    assert!(lost.is_empty(), "they reached the upstream and were not answered: {lost:?}");
    let of = |way: Way| silent.iter().filter(|(other, _)| *other == way).count();
    assert_eq!(of(Way::Multiplexed), 0, "a client of HTTP/2 is told what was not taken");
    [told.answered.load(Ordering::SeqCst), of(Way::Kept), of(Way::Fresh)]
}

#[test]
#[ignore = "takes minutes; run tests/long"]
fn a_gate_that_is_told_to_stop_under_load_twenty_times_loses_nothing_that_it_took() {
    let rounds = count("PORTCULLIS_LONG_DRAINS", 20);
    for is_tls in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path());
        authority.sign("shop", &["shop.test"]);
        let tls = is_tls.then(|| authority.client().config());
        let upstream = echo(None, Duration::ZERO);
        setup(&upstream, free()).prepare(folder.path());
        fill(folder.path(), 1000);
        let mut totals = [0; 3];
        for _ in 0..rounds {
            let counts = round(folder.path(), tls.clone());
            totals.iter_mut().zip(counts).for_each(|(total, count)| *total += count);
        }
        let over = if is_tls { "over TLS" } else { "in the clear" };
        let [answered, kept, fresh] = totals;
        println!(
            "{rounds} drains {over}: {answered} requests answered, none lost that reached the upstream; written in the moment of \
             closing, on HTTP/1.1: {kept} on connections in use, {fresh} on new ones"
        );
    }
}
