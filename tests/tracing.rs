//! Spans of requests at a collector of our own, which reads what it is sent with OpenTelemetry's own messages.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on must stop"
)]

mod support;

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
    },
    common::v1::any_value::Value,
    trace::v1::{Span, span::SpanKind, status::StatusCode},
};
use prost::Message as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use support::{
    gate::{Gate, Setup},
    signing::TOKEN,
    upstream::Upstream,
    wire::{Message, exchange, request},
};

const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const UNSAMPLED: &str = "00-5bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

/// What a client shows that must not be told.
const SECRETS: [&str; 5] = [TOKEN, "hunter2", "private-sku", "cookie-of-mine", "state-of-mine"];

/// The key that the collector is shown.
const KEY: &str = "key-of-the-collector";

/// A collector that takes everything.
fn collector() -> Upstream {
    Upstream::answering(|_, socket| write!(socket, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").is_ok())
}

/// A gate that sends to `collector` at once.
fn setup(upstream: &Upstream, collector: SocketAddr, ratio: f64) -> Setup {
    let lines = format!("endpoint = \"http://{collector}\"\nratio = {ratio}\ndelay = \"1ms\"");
    Setup::before(upstream.address)
        .with("magento", "integration_as_bearer = true")
        .with("tracing", &lines)
        .on_system_time()
}

fn ask(gate: &Gate, target: &str, headers: &[(&str, &str)]) -> Message {
    exchange(gate.proxy, &request("GET", target, headers, b""))
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(30), "not {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// How many spans had this end, as the gate counts them.
fn counted(gate: &Gate, result: &str) -> u64 {
    let page = exchange(gate.admin, &request("GET", "/metrics", &[], b"")).text();
    let begin = format!("portcullis_trace_spans_total{{result=\"{result}\"}} ");
    let line = page.lines().find_map(|line| line.strip_prefix(&begin));
    line.unwrap_or_else(|| panic!("no {result} in\n{page}")).parse().unwrap()
}

/// Every span of what a collector was sent, after there is any.
fn spans(posts: &[Message]) -> Vec<Span> {
    let decoded = posts.iter().map(|post| ExportTraceServiceRequest::decode(&post.body[..]).unwrap());
    let scopes = decoded.flat_map(|request| request.resource_spans).flat_map(|resource| resource.scope_spans);
    scopes.flat_map(|scope| scope.spans).collect()
}

/// What the collector was sent, once it has so many spans.
fn posts(collector: &Upstream, count: usize) -> Vec<Message> {
    let mut posts = Vec::new();
    eventually("told", || {
        posts.extend(collector.take());
        spans(&posts).len() >= count
    });
    posts
}

fn attributes(span: &Span) -> BTreeMap<&str, String> {
    let text = |value: &Value| {
        if let Value::StringValue(text) = value {
            return text.clone();
        }
        let Value::IntValue(number) = value else { panic!("{value:?}") };
        number.to_string()
    };
    let of = |attribute: &'_ opentelemetry_proto::tonic::common::v1::KeyValue| {
        text(attribute.value.as_ref().unwrap().value.as_ref().unwrap())
    };
    span.attributes.iter().map(|attribute| (attribute.key.as_str(), of(attribute))).collect()
}

fn of_kind(spans: &[Span], kind: SpanKind) -> &Span {
    let mut found = spans.iter().filter(|span| span.kind == kind as i32);
    let span = found.next().unwrap_or_else(|| panic!("no {kind:?} in {spans:?}"));
    assert!(found.next().is_none(), "{spans:?}");
    span
}

/// What a trusted proxy passes on of a request that is sampled, with secrets wherever a request can have them.
fn ask_with_secrets(gate: &Gate) -> Message {
    let bearer = format!("Bearer {TOKEN}");
    let headers = [
        ("Host", "shop.test:8443"),
        ("traceparent", SAMPLED),
        ("tracestate", "vendor=state-of-mine"),
        ("Authorization", bearer.as_str()),
        ("Cookie", "PHPSESSID=cookie-of-mine"),
        ("X-Forwarded-For", "192.0.2.7"),
        ("X-Forwarded-Proto", "https"),
    ];
    let answer = ask(gate, "/rest/V1/products/private-sku?password=hunter2", &headers);
    assert_eq!(answer.status(), 200, "{}", answer.text());
    answer
}

#[test]
fn a_sampled_request_has_spans_under_the_ids_that_its_neighbors_know() {
    let (upstream, collector) = (Upstream::start(), collector());
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("collector.key"), format!("Api-Key: {KEY}\n")).unwrap();
    let key = format!("headers_file = \"{}\"", folder.path().join("collector.key").display());
    let gate = setup(&upstream, collector.address, 0.0)
        .with("listen", "trusted_proxies = [\"127.0.0.0/8\"]")
        .with("tracing", &key)
        .start();
    let answer = ask_with_secrets(&gate);

    let posts = posts(&collector, 3);
    let post = &posts[0];
    assert_eq!((post.method(), post.target()), ("POST", "/v1/traces"));
    assert_eq!(post.header("content-type").as_deref(), Some("application/x-protobuf"));
    assert_eq!(post.header("api-key").as_deref(), Some(KEY));
    for secret in SECRETS.iter().chain([&KEY]) {
        let is_in = |bytes: &[u8]| bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
        assert!(!is_in(&post.body), "{secret} is told");
    }

    let spans = spans(&posts);
    let server = of_kind(&spans, SpanKind::Server);
    let (client, decision) = (of_kind(&spans, SpanKind::Client), of_kind(&spans, SpanKind::Internal));
    assert!(spans.iter().all(|span| hex::encode(&span.trace_id) == SAMPLED[3..35]));
    assert_eq!(hex::encode(&server.parent_span_id), SAMPLED[36..52], "the caller's span");
    assert_eq!(client.parent_span_id, server.span_id);
    assert_eq!(decision.parent_span_id, server.span_id);
    let seen = upstream.take_one();
    let ours = format!("00-{}-{}-01", &SAMPLED[3..35], hex::encode(&client.span_id));
    assert_eq!(seen.all("traceparent"), [ours], "what the upstream knows");
    assert_eq!(seen.all("tracestate"), ["vendor=state-of-mine"]);

    assert_eq!((server.name.as_str(), client.name.as_str()), ("GET /V1/products/:sku", "GET"));
    let told = attributes(server);
    for (key, value) in [
        ("http.request.method", "GET"),
        ("http.route", "/V1/products/:sku"),
        ("http.response.status_code", "200"),
        ("url.scheme", "https"),
        ("client.address", "192.0.2.7"),
        ("network.peer.address", "127.0.0.1"),
        ("server.address", "shop.test"),
        ("server.port", "8443"),
        ("network.protocol.version", "1.1"),
        ("portcullis.decision", "forwarded"),
        ("portcullis.reason", "bearer"),
        ("portcullis.user_type", "integration"),
        ("portcullis.auth_method", "bearer"),
        ("portcullis.request_id", &answer.header("x-request-id").unwrap()),
    ] {
        assert_eq!(told.get(key).map(String::as_str), Some(value), "{key}");
    }
    assert_eq!(attributes(client)["portcullis.endpoint"], upstream.address.to_string());
    assert_eq!(attributes(decision)["portcullis.store_lookups"], "1");
    assert!(decision.end_time_unix_nano <= client.start_time_unix_nano);
    assert!(client.end_time_unix_nano <= server.end_time_unix_nano);
    assert_eq!(counted(&gate, "exported"), 3);
}

#[test]
fn what_is_not_sampled_is_not_told_and_the_upstream_knows() {
    let (upstream, collector) = (Upstream::start(), collector());
    let trusting = setup(&upstream, collector.address, 1.0)
        .with("listen", "trusted_proxies = [\"127.0.0.0/8\"]")
        .start();
    let wary = setup(&upstream, collector.address, 0.0).start();
    let open = "/rest/V1/directory/currency";
    ask(&trusting, open, &[("traceparent", UNSAMPLED)]);
    assert_eq!(upstream.take_one().all("traceparent"), [UNSAMPLED], "as the trusted one decided");
    ask(&wary, open, &[("traceparent", SAMPLED)]);
    let seen = upstream.take_one().header("traceparent").unwrap();
    assert!(seen.starts_with(&SAMPLED[..36]) && seen.ends_with("-00"), "a stranger decides nothing: {seen}");
    ask(&wary, open, &[]);
    assert!(upstream.take_one().all("traceparent").is_empty());

    ask(&trusting, open, &[]);
    let begun = upstream.take_one().header("traceparent").unwrap();
    drop((trusting.stop(), wary.stop()));
    let spans = spans(&posts(&collector, 3));
    assert_eq!(spans.len(), 3, "one request is told");
    let client = of_kind(&spans, SpanKind::Client);
    assert_eq!(begun, format!("00-{}-{}-01", hex::encode(&client.trace_id), hex::encode(&client.span_id)));
    assert!(of_kind(&spans, SpanKind::Server).parent_span_id.is_empty());
}

#[test]
fn a_refused_request_and_a_broken_upstream_are_told_as_what_they_are() {
    let upstream = Upstream::raw(drop);
    let collector = collector();
    let gate = setup(&upstream, collector.address, 1.0).start();
    let bearer = ("Authorization", "Bearer hunter2hunter2hunter2hunter2hunt");
    assert_eq!(ask(&gate, "/rest/V1/modules?token=hunter2", &[bearer]).status(), 401);
    let refused = posts(&collector, 2);
    assert!(!String::from_utf8_lossy(&refused[0].body).contains("hunter2"));
    let refused = spans(&refused);
    assert_eq!(refused.len(), 2, "it was never upstream");
    let server = of_kind(&refused, SpanKind::Server);
    let told = attributes(server);
    assert_eq!(
        (told["http.response.status_code"].as_str(), told["portcullis.decision"].as_str()),
        ("401", "refused")
    );
    assert_eq!(
        (told["portcullis.reason"].as_str(), told["portcullis.user_type"].as_str()),
        ("resource_denied", "guest")
    );
    assert_eq!(server.status, None, "a refusal is no failure");
    assert_eq!(attributes(of_kind(&refused, SpanKind::Internal))["portcullis.cause"], "token_unknown");

    assert_eq!(ask(&gate, "/rest/V1/directory/currency", &[]).status(), 502);
    let broken = spans(&posts(&collector, 3));
    for kind in [SpanKind::Server, SpanKind::Client] {
        let span = of_kind(&broken, kind);
        assert_eq!(attributes(span)["error.type"], "upstream_unavailable");
        assert_eq!(span.status.as_ref().unwrap().code(), StatusCode::Error);
    }
}

#[test]
fn a_collector_that_is_away_costs_spans_and_no_request() {
    let upstream = Upstream::start();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gate = setup(&upstream, nobody, 1.0).with("tracing", "queue = 2\nbatch = 1").start();
    for _ in 0..20 {
        assert_eq!(ask(&gate, "/rest/V1/directory/currency", &[]).status(), 200);
    }
    eventually("counted", || counted(&gate, "dropped") >= 3 * 10);
    eventually("given up", || counted(&gate, "failed") >= 3);
    assert_eq!(counted(&gate, "exported"), 0);
}

#[test]
fn a_collector_that_is_silent_does_not_keep_the_gate_from_ending() {
    let upstream = Upstream::start();
    let silent = Upstream::raw(|mut socket| drop(socket.read_to_end(&mut Vec::new())));
    let gate = setup(&upstream, silent.address, 1.0).with("tracing", "timeout = \"60s\"").start();
    assert_eq!(ask(&gate, "/rest/V1/directory/currency", &[]).status(), 200);
    let began = Instant::now();
    drop(gate.stop());
    assert!(began.elapsed() < Duration::from_secs(40), "it waited for the collector");
}

#[test]
fn the_last_requests_are_told_before_the_gate_ends() {
    let (upstream, collector) = (Upstream::start(), collector());
    let gate = setup(&upstream, collector.address, 1.0).with("tracing", "delay = \"60s\"").start();
    for _ in 0..5 {
        ask(&gate, "/rest/V1/directory/currency", &[]);
    }
    assert!(collector.take().is_empty(), "the batch is not full");
    drop(gate.stop());
    let posts = collector.take();
    assert_eq!((posts.len(), spans(&posts).len()), (1, 15));
}

#[test]
fn what_a_collector_answers_decides_what_becomes_of_a_batch() {
    let rejecting = ExportTraceServiceResponse {
        partial_success: Some(ExportTracePartialSuccess {
            rejected_spans: 2,
            error_message: "no".to_owned(),
        }),
    };
    // The first answer and every later one, their body; attempts; spans exported, rejected, failed.
    for (first, later, body, attempts, ends) in [
        (503, 200, Vec::new(), 2, [3, 0, 0]),
        (400, 200, Vec::new(), 1, [0, 0, 3]),
        (200, 200, rejecting.encode_to_vec(), 1, [1, 2, 0]),
        (307, 200, Vec::new(), 1, [0, 0, 3]),
    ] {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let collector = Upstream::answering(move |_, socket| {
            let status = if count.fetch_add(1, Ordering::SeqCst) == 0 { first } else { later };
            let head =
                format!("HTTP/1.1 {status} Said\r\nLocation: /\r\nContent-Length: {}\r\n\r\n", body.len());
            socket.write_all(&[head.as_bytes(), &body].concat()).is_ok()
        });
        let upstream = Upstream::start();
        let gate = setup(&upstream, collector.address, 1.0).start();
        ask(&gate, "/rest/V1/directory/currency", &[]);
        let counts = || ["exported", "rejected", "failed"].map(|result| counted(&gate, result));
        eventually("counted", || counts().iter().sum::<u64>() >= 3);
        assert_eq!((counts(), asked.load(Ordering::SeqCst)), (ends, attempts), "{first}");
    }
}

#[test]
fn the_share_changes_while_the_gate_serves_and_the_collector_with_a_restart() {
    let (upstream, collector) = (Upstream::start(), collector());
    let gate = setup(&upstream, collector.address, 0.0).start();
    let open = "/rest/V1/directory/currency";
    ask(&gate, open, &[]);
    gate.reload(&setup(&upstream, collector.address, 1.0)).unwrap();
    ask(&gate, open, &[]);
    assert_eq!(spans(&posts(&collector, 3)).len(), 3);
    let error = gate.reload(&setup(&upstream, upstream.address, 1.0)).unwrap_err().to_string();
    assert!(error.starts_with("tracing.endpoint "), "{error}");
}

/// Unwraps TLS before a collector, on a thread of its own.
fn behind_tls(collector: SocketAddr, made: &rcgen::CertifiedKey<rcgen::KeyPair>) -> SocketAddr {
    let certificate = CertificateDer::from(made.cert.der().to_vec());
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((socket, _)) = listener.accept().await {
                let Ok(mut near) = acceptor.accept(socket).await else { continue };
                let mut far = tokio::net::TcpStream::connect(collector).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            }
        });
    });
    address
}

#[test]
fn a_collector_is_believed_by_its_authority_alone() {
    let (upstream, collector) = (Upstream::start(), collector());
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let address = behind_tls(collector.address, &made);
    let folder = tempfile::tempdir().unwrap();
    for (name, certificate, is_told) in [("own", &made, true), ("other", &other, false)] {
        let file = folder.path().join(format!("{name}.pem"));
        std::fs::write(&file, certificate.cert.pem()).unwrap();
        let lines = format!("endpoint = \"https://{address}\"\nca_file = \"{}\"", file.display());
        let gate = setup(&upstream, collector.address, 1.0).with("tracing", &lines).start();
        ask(&gate, "/rest/V1/directory/currency", &[]);
        let end = if is_told { "exported" } else { "failed" };
        eventually("counted", || counted(&gate, end) == 3);
        assert_eq!(collector.take().len(), usize::from(is_told), "{name}");
    }
}
