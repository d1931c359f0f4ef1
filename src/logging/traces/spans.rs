//! From a traced request to its spans, by OpenTelemetry's semantic conventions for HTTP.
//!
//! One SERVER span for the request, one INTERNAL span for the decision, and one CLIENT span for the upstream's part where there
//! was one. Names and attributes are bounded: the route's template stands for the path, a method that no standard knows is
//! `_OTHER`.

use std::time::Duration;

use http::Method;

use super::{
    message::{AnyValue, KeyValue, Span, SpanKind, Status, Value},
    record::TracedRequest,
};

/// `STATUS_CODE_ERROR`.
const ERROR: i32 = 2;

/// W3C: sampled. OTLP keeps the flags of `traceparent` in the low byte.
const SAMPLED: u32 = 1;

/// The methods that are named (RFC 9110 and RFC 5789).
const METHODS: [Method; 9] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::CONNECT,
    Method::OPTIONS,
    Method::TRACE,
    Method::PATCH,
];

/// Adds the spans of a request.
pub(super) fn write(request: &TracedRequest, spans: &mut Vec<Span>) {
    spans.push(server(request));
    spans.push(decision(request));
    if request.went_upstream() {
        spans.push(client(request));
    }
}

/// An attribute.
pub(super) fn text(key: &str, value: impl Into<String>) -> KeyValue {
    with(key, Value::Text(value.into()))
}

fn number(key: &str, value: impl Into<i64>) -> KeyValue {
    with(key, Value::Number(value.into()))
}

fn with(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }) }
}

fn server(request: &TracedRequest) -> Span {
    let mut attributes = vec![
        text("http.request.method", method(request)),
        text("url.scheme", request.scheme),
        text("network.protocol.name", "http"),
        text("network.protocol.version", request.protocol),
        text("network.peer.address", request.peer.to_string()),
        text("client.address", request.client.to_string()),
        text("portcullis.request_id", request.request_id.to_str().unwrap_or_default()),
        text("portcullis.decision", request.decision),
        text("portcullis.reason", request.reason),
        text("portcullis.user_type", request.user_type),
        text("portcullis.auth_method", request.auth_method),
    ];
    attributes.extend(request.route.as_deref().map(|route| text("http.route", route)));
    attributes.extend(request.status.map(|status| number("http.response.status_code", status)));
    if let Some(host) = &request.host {
        attributes.push(text("server.address", host.host()));
        attributes.extend(host.port_u16().map(|port| number("server.port", port)));
    }
    let error = match request.status {
        None => Some("client_gone".to_owned()),
        Some(status) if status >= 500 => Some(error_type(request, status)),
        Some(_) => None,
    };
    let name = match request.route.as_deref() {
        Some(route) => format!("{} {route}", name(request)),
        None => name(request).to_owned(),
    };
    let ids = (request.ids.server, request.ids.parent);
    let whole = (Duration::ZERO, request.times.ended);
    // A client that leaves is no failure of ours.
    let has_failed = error.is_some() && request.status.is_some();
    attributes.extend(error.map(|error| text("error.type", error)));
    span(request, ids, (SpanKind::Server, name), (whole, attributes, has_failed))
}

fn decision(request: &TracedRequest) -> Span {
    let mut attributes = vec![
        text("portcullis.decision", request.decision),
        text("portcullis.reason", request.reason),
        text("portcullis.user_type", request.user_type),
        text("portcullis.auth_method", request.auth_method),
        number("portcullis.store_lookups", request.lookups),
    ];
    attributes.extend(request.cause.map(|cause| text("portcullis.cause", cause)));
    let ids = (request.ids.decision, Some(request.ids.server));
    let part = (Duration::ZERO, request.times.decided.unwrap_or(request.times.ended));
    span(request, ids, (SpanKind::Internal, "decide".to_owned()), (part, attributes, false))
}

/// It ends with the head of the upstream's answer: how fast the body is read is the client's doing.
fn client(request: &TracedRequest) -> Span {
    let times = request.times;
    let mut attributes = vec![text("http.request.method", method(request))];
    attributes.extend(request.route.as_deref().map(|route| text("url.template", route)));
    attributes.extend(request.endpoint.as_deref().map(|endpoint| text("portcullis.endpoint", endpoint)));
    let status = request.status.filter(|_| times.answered.is_some());
    attributes.extend(status.map(|status| number("http.response.status_code", status)));
    let error = match status {
        Some(status) if status >= 400 => Some(status.to_string()),
        Some(_) => None,
        None if times.answered.is_some() => None,
        None if request.status.is_none() => Some("client_gone".to_owned()),
        None => Some(request.reason.to_owned()),
    };
    let has_failed = error.is_some();
    attributes.extend(error.map(|error| text("error.type", error)));
    let ids = (request.ids.client, Some(request.ids.server));
    let part = (times.decided.unwrap_or_default(), times.answered.unwrap_or(times.ended));
    span(request, ids, (SpanKind::Client, name(request).to_owned()), (part, attributes, has_failed))
}

fn span(
    request: &TracedRequest,
    (id, parent): ([u8; 8], Option<[u8; 8]>),
    (kind, name): (SpanKind, String),
    ((from, to), attributes, has_failed): ((Duration, Duration), Vec<KeyValue>, bool),
) -> Span {
    let at = |since: Duration| {
        request.times.began.saturating_add(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    };
    Span {
        trace_id: request.ids.trace.to_vec(),
        span_id: id.to_vec(),
        parent_span_id: parent.map(|parent| parent.to_vec()).unwrap_or_default(),
        name,
        kind: kind.into(),
        start_time_unix_nano: at(from),
        end_time_unix_nano: at(to.max(from)),
        attributes,
        status: has_failed.then_some(Status { code: ERROR }),
        flags: SAMPLED,
    }
}

/// Our own refusals are named by their reason; the upstream's failures by their status.
fn error_type(request: &TracedRequest, status: u16) -> String {
    if request.decision == "refused" { request.reason.to_owned() } else { status.to_string() }
}

fn is_known(request: &TracedRequest) -> bool {
    METHODS.contains(&request.method)
}

fn method(request: &TracedRequest) -> &str {
    if is_known(request) { request.method.as_str() } else { "_OTHER" }
}

fn name(request: &TracedRequest) -> &str {
    if is_known(request) { request.method.as_str() } else { "HTTP" }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use http::HeaderValue;

    use super::*;
    use crate::logging::traces::{SpanIds, Times};

    fn request() -> TracedRequest {
        TracedRequest {
            ids: SpanIds {
                trace: [1; 16],
                parent: Some([2; 8]),
                server: [3; 8],
                decision: [4; 8],
                client: [5; 8],
            },
            times: Times {
                began: 1_000,
                decided: Some(Duration::from_nanos(10)),
                answered: Some(Duration::from_nanos(30)),
                ended: Duration::from_nanos(70),
            },
            method: Method::GET,
            route: Some("/V1/products/:sku".into()),
            status: Some(200),
            scheme: "https",
            protocol: "2",
            host: Some("shop.example.com:8443".parse().unwrap()),
            client: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)),
            peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
            request_id: HeaderValue::from_static("id-1"),
            decision: "forwarded",
            reason: "jwt",
            cause: None,
            user_type: "customer",
            auth_method: "jwt",
            lookups: 1,
            endpoint: Some("blue".into()),
        }
    }

    fn spans(request: &TracedRequest) -> Vec<Span> {
        let mut spans = Vec::new();
        write(request, &mut spans);
        assert_eq!(spans.len() as u64, request.spans());
        spans
    }

    fn attribute(span: &Span, key: &str) -> Option<String> {
        let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
        Some(match found.value.clone().unwrap().value.unwrap() {
            Value::Text(text) => text,
            Value::Number(number) => number.to_string(),
        })
    }

    #[test]
    fn a_forwarded_request_has_three_spans_that_hang_together() {
        let spans = spans(&request());
        let [server, decision, client] = &spans[..] else { panic!("{spans:?}") };
        assert_eq!((server.name.as_str(), server.kind()), ("GET /V1/products/:sku", SpanKind::Server));
        assert_eq!((decision.name.as_str(), decision.kind()), ("decide", SpanKind::Internal));
        assert_eq!((client.name.as_str(), client.kind()), ("GET", SpanKind::Client));
        for (span, id, parent, from, to) in
            [(server, 3, 2, 1_000, 1_070), (decision, 4, 3, 1_000, 1_010), (client, 5, 3, 1_010, 1_030)]
        {
            assert_eq!((&span.trace_id[..], &span.span_id[..]), (&[1; 16][..], &[id; 8][..]));
            assert_eq!(span.parent_span_id, [parent; 8]);
            assert_eq!((span.start_time_unix_nano, span.end_time_unix_nano), (from, to));
            assert_eq!((span.status.clone(), span.flags), (None, 1));
        }
        for (span, key, value) in [
            (server, "http.request.method", "GET"),
            (server, "http.route", "/V1/products/:sku"),
            (server, "http.response.status_code", "200"),
            (server, "server.address", "shop.example.com"),
            (server, "server.port", "8443"),
            (server, "client.address", "192.0.2.7"),
            (server, "network.protocol.version", "2"),
            (decision, "portcullis.store_lookups", "1"),
            (client, "portcullis.endpoint", "blue"),
            (client, "http.response.status_code", "200"),
        ] {
            assert_eq!(attribute(span, key).as_deref(), Some(value), "{key}");
        }
    }

    #[test]
    fn failures_say_whose_they_are() {
        // The status, whether the upstream answered, our refusal; `error.type` of the server's and of the client's span.
        for (status, has_answered, refused, server, client) in [
            (Some(404), true, None, None, Some("404")),
            (Some(500), true, None, Some("500"), Some("500")),
            (Some(504), false, Some("upstream_timeout"), Some("upstream_timeout"), Some("upstream_timeout")),
            (None, false, None, Some("client_gone"), Some("client_gone")),
            (None, true, None, Some("client_gone"), None),
        ] {
            let mut request = TracedRequest { status, ..request() };
            request.times.answered = request.times.answered.filter(|_| has_answered);
            if let Some(reason) = refused {
                (request.decision, request.reason) = ("refused", reason);
            }
            let spans = spans(&request);
            let said = |at: usize| attribute(&spans[at], "error.type");
            assert_eq!((said(0).as_deref(), said(2).as_deref()), (server, client), "{status:?} {refused:?}");
            let is_ours = status.is_some_and(|status| status >= 500);
            assert_eq!(spans[0].status.is_some(), is_ours, "{status:?}");
        }
    }

    #[test]
    fn a_refused_request_was_never_upstream_and_a_strange_method_is_not_named() {
        let mut request = request();
        (request.method, request.route) = (Method::from_bytes(b"BREW").unwrap(), None);
        (request.decision, request.reason, request.status) = ("refused", "malformed", Some(400));
        (request.endpoint, request.times.decided, request.times.answered) = (None, None, None);
        let spans = spans(&request);
        assert_eq!(spans.len(), 2);
        assert_eq!(spans[0].name, "HTTP");
        assert_eq!(attribute(&spans[0], "http.request.method").as_deref(), Some("_OTHER"));
        assert_eq!(attribute(&spans[0], "error.type"), None);
        assert_eq!(spans[1].end_time_unix_nano, 1_070);
    }
}
