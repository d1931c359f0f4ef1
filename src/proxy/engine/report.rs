//! What is known of a request, collected on its way and told once it ended: figures, the audit, and what `tell` writes.
//!
//! The report is told when it is dropped, so a client that hangs up half-way is reported like any other. What costs an
//! allocation or a copy is kept only where somebody will want it.

use std::{
    future::Future,
    net::IpAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use http::{HeaderValue, Method, StatusCode, Uri, Version, header::HOST, request::Parts, uri::Authority};

use super::{
    body::{Ended, Trail},
    connection::Client,
    security::Security,
    worker::Service,
};
use crate::{
    auth::{rejection::Rejection, time::UnixTime},
    logging::traces::SpanIds,
    metrics::{Decision, ReadingLabel},
    proxy::{observe::Part, pipeline::Notes, replays::Replay, trace::Trace},
    reply::Standing,
};

/// What nginx calls a client that closed before its answer.
const CLIENT_GONE: u16 = 499;

/// The story of one request.
pub(super) struct Report {
    pub(super) service: Rc<Service>,
    pub(super) request_id: HeaderValue,
    pub(super) status: StatusCode,
    pub(super) time: UnixTime,
    pub(super) client: IpAddr,
    /// Kept only where it may be written down.
    pub(super) head: Option<Head>,
    pub(super) trace: Option<Trace>,
    /// Kept only of a request that is traced.
    pub(super) traced: Option<Box<Traced>>,
    pub(super) security: Option<Security>,
    pub(super) notes: Notes,
    pub(super) refused: Option<&'static str>,
    pub(super) began: Instant,
    pub(super) decided: Option<Instant>,
    pub(super) upstream_answered: Option<Instant>,
    pub(super) waits: Waits,
    /// The way of the request's own body.
    pub(super) body: Option<Rc<Trail>>,
    /// The endpoint that it went to last.
    pub(super) endpoint: Option<usize>,
    pub(super) ended: Option<Ended>,
}

/// What the head said, kept because the head goes upstream. The target shares the head's bytes.
pub(super) struct Head {
    pub(super) method: Method,
    pub(super) target: Uri,
    pub(super) version: Version,
}

/// What only spans tell.
pub(super) struct Traced {
    pub(super) ids: SpanIds,
    /// When the head arrived, in nanoseconds since 1970.
    pub(super) began: u64,
    pub(super) scheme: &'static str,
    pub(super) host: Option<Authority>,
    pub(super) peer: IpAddr,
}

/// What a decision can wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// The store.
    Facts,
    /// The shared nonces.
    Nonce,
    /// A form that is signed.
    Body,
}

/// How long the decision waited, and for what.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Waits {
    pub(super) lookups: u32,
    pub(super) facts: Duration,
    pub(super) nonce: Duration,
    pub(super) body: Duration,
}

impl Report {
    pub(super) fn start(service: &Rc<Service>, head: &Parts, client: &Client, now: UnixTime) -> Self {
        let shared = &service.shared;
        shared.metrics.in_flight.inc();
        let Part { onward: trace, spans } = take_part(service, head, client);
        let is_kept = shared.access_log.is_on() || shared.observation.samples() || spans.is_some();
        Self {
            service: Rc::clone(service),
            request_id: HeaderValue::from_static(""),
            status: StatusCode::from_u16(CLIENT_GONE).unwrap_or(StatusCode::BAD_REQUEST),
            time: now,
            client: client.peer.client(&head.headers, &shared.settings.trusted_proxies),
            head: is_kept.then(|| Head {
                method: head.method.clone(),
                target: head.uri.clone(),
                version: head.version,
            }),
            trace,
            traced: spans.map(|ids| Box::new(Traced::start(ids, service, head, client))),
            security: client.security.clone(),
            notes: Notes::default(),
            refused: None,
            began: Instant::now(),
            decided: None,
            upstream_answered: None,
            waits: Waits::default(),
            body: None,
            endpoint: None,
            ended: None,
        }
    }

    pub(super) fn verdict(&mut self, notes: Notes) {
        self.notes = notes;
    }

    /// The rate limit that the caller is nearest to.
    pub(super) const fn standing(&self) -> Option<&Standing> {
        self.notes.limits.standing.as_ref()
    }

    /// Awaits what a decision needs, and keeps how long that took.
    pub(super) async fn awaiting<T>(&mut self, wait: Wait, answer: impl Future<Output = T>) -> T {
        let since = Instant::now();
        let answer = answer.await;
        let Waits { lookups, facts, nonce, body } = &mut self.waits;
        let waited = match wait {
            Wait::Facts => {
                *lookups += 1;
                facts
            }
            Wait::Nonce => nonce,
            Wait::Body => body,
        };
        *waited += since.elapsed();
        answer
    }

    pub(super) fn decided(&mut self) {
        self.decided = Some(Instant::now());
    }

    pub(super) fn upstream_answered(&mut self) {
        self.upstream_answered = Some(Instant::now());
    }

    pub(super) const fn refused(&mut self, rejection: &Rejection) {
        self.refused = Some(rejection.reason());
    }

    /// The gate's own answer is a refusal.
    pub(super) const fn refused_as(&mut self, reason: &'static str) {
        self.refused = Some(reason);
    }

    /// Whoever answered met a nonce that was used before.
    pub(super) const fn replayed(&mut self, consumer_id: Option<u32>) {
        self.notes.replayed = consumer_id;
    }

    /// The answer's body ended.
    pub(super) fn finish(mut self, ended: Ended) {
        self.ended = Some(ended);
    }

    pub(super) fn request_id(&self) -> &str {
        self.request_id.to_str().unwrap_or_default()
    }

    /// `forwarded`, `answered` or `refused`.
    pub(super) const fn result(&self) -> &'static str {
        match (self.refused, self.notes.own) {
            (Some(_), _) => "refused",
            (None, Some(_)) => "answered",
            (None, None) => "forwarded",
        }
    }

    /// Why: the class of a refusal, or how the caller was proven.
    pub(super) fn reason(&self) -> &'static str {
        self.refused.unwrap_or_else(|| self.notes.method.as_str())
    }

    /// The endpoint that it went to last, by its name.
    pub(super) fn endpoint_name(&self) -> Option<&str> {
        self.endpoint.and_then(|index| self.service.pool.name(index))
    }

    fn count(&self) {
        let metrics = &self.service.shared.metrics;
        metrics.in_flight.dec();
        let decision =
            Decision { context: self.notes.user_type.as_str(), result: self.result(), reason: self.reason() };
        metrics.decisions.get_or_create(&decision).inc();
        let decided = self.decided.unwrap_or_else(Instant::now);
        metrics.auth_seconds.observe((decided - self.began).as_secs_f64());
        if let Some(answered) = self.upstream_answered {
            metrics.upstream_seconds.observe((answered - decided).as_secs_f64());
        }
        if let Some(reading) = self.notes.reading {
            metrics.signatures.get_or_create(&ReadingLabel { reading }).inc();
        }
        if self.notes.spoofed > 0 {
            metrics.spoofed.inc();
        }
    }

    /// Tells the audit of a replay.
    fn tell(&self) {
        let Some(consumer_id) = self.notes.replayed else { return };
        self.service.shared.replays.saw(&Replay {
            consumer_id,
            client: self.client,
            request_id: self.request_id(),
            now: self.time,
        });
    }
}

impl Traced {
    fn start(ids: SpanIds, service: &Service, head: &Parts, client: &Client) -> Self {
        let named = || Authority::try_from(head.headers.get(HOST)?.as_bytes()).ok();
        // Whoever writes a password before the host has told it to us, and to nobody else.
        let host = head.uri.authority().cloned().or_else(named).filter(|host| !host.as_str().contains('@'));
        Self {
            ids,
            began: service.shared.clock.nanoseconds(),
            scheme: if client.peer.speaks_https(&head.headers) { "https" } else { "http" },
            host,
            peer: client.peer.address,
        }
    }
}

/// The context that the upstream reads, and our spans where they are told.
fn take_part(service: &Service, head: &Parts, client: &Client) -> Part {
    let (given, begins) = (Trace::of(&head.headers), service.shared.settings.begins_trace);
    match &service.shared.observation.traces {
        Some(tracing) => tracing.take_part(given, client.peer.is_trusted, begins),
        None => {
            let begun = || if begins { begin_trace() } else { None };
            Part { onward: given.or_else(begun), spans: None }
        }
    }
}

fn begin_trace() -> Option<Trace> {
    let span = uuid::Uuid::now_v7().as_u64_pair().1;
    Trace::begin(*uuid::Uuid::now_v7().as_bytes(), span.to_be_bytes(), true)
}

impl Drop for Report {
    fn drop(&mut self) {
        self.count();
        self.tell();
        self.write();
    }
}
