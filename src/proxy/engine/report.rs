//! What is told of a request once it ended: figures and one line.
//!
//! The report is written when it is dropped, so a client that hangs up half-way is reported like any other.

use std::{net::IpAddr, rc::Rc, time::Instant};

use http::{HeaderValue, StatusCode, Version, request::Parts};

use super::{body::Ended, connection::Client, security::Security, worker::Service};
use crate::{
    auth::{rejection::Rejection, time::UnixTime},
    clock::rfc3339,
    metrics::{Decision, ReadingLabel, ShadowLabel},
    proxy::{access_log::Line, pipeline::Notes, replays::Replay, shadow::Agreement, trace::Trace},
    reply::Standing,
};

/// What nginx calls a client that closed before its answer.
const CLIENT_GONE: u16 = 499;

/// The story of one request.
pub(super) struct Report {
    service: Rc<Service>,
    pub(super) request_id: HeaderValue,
    pub(super) status: StatusCode,
    time: UnixTime,
    client: IpAddr,
    /// Kept only where a line will be written.
    line: Option<Line0>,
    pub(super) trace: Option<Trace>,
    security: Option<Security>,
    notes: Notes,
    refused: Option<&'static str>,
    began: Instant,
    decided: Option<Instant>,
    upstream_answered: Option<Instant>,
    /// The endpoint that it went to last.
    pub(super) endpoint: Option<usize>,
    ended: Option<Ended>,
}

/// What the head said, copied because the head goes upstream.
struct Line0 {
    method: http::Method,
    path: String,
    version: Version,
}

impl Report {
    pub(super) fn start(service: &Rc<Service>, head: &Parts, client: &Client, now: UnixTime) -> Self {
        let shared = &service.shared;
        shared.metrics.in_flight.inc();
        let line = shared.access_log.is_on().then(|| Line0 {
            method: head.method.clone(),
            path: head.uri.path().to_owned(),
            version: head.version,
        });
        let begun = || if shared.settings.begins_trace { begin_trace() } else { None };
        Self {
            service: Rc::clone(service),
            request_id: HeaderValue::from_static(""),
            status: StatusCode::from_u16(CLIENT_GONE).unwrap_or(StatusCode::BAD_REQUEST),
            time: now,
            client: client.peer.client(&head.headers, &shared.settings.trusted_proxies),
            line,
            trace: Trace::of(&head.headers).or_else(begun),
            security: client.security.clone(),
            notes: Notes::default(),
            refused: None,
            began: Instant::now(),
            decided: None,
            upstream_answered: None,
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

    fn count(&self) {
        let metrics = &self.service.shared.metrics;
        metrics.in_flight.dec();
        let decision = Decision {
            context: self.notes.user_type.as_str(),
            result: self.result(),
            reason: self.refused.unwrap_or_else(|| self.notes.method.as_str()),
        };
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

    /// Compares our verdict with the upstream's answer, where everything is forwarded.
    fn compare(&self) {
        let (Some(verdict), Some(_answered)) = (self.notes.shadow, self.upstream_answered) else {
            return;
        };
        let agreement = verdict.compare(self.status);
        let label = ShadowLabel { outcome: agreement.as_str(), reason: verdict.reason() };
        self.service.shared.metrics.shadow.get_or_create(&label).inc();
        let differs = matches!(agreement, Agreement::OnlyGate | Agreement::OnlyUpstream);
        if differs && self.service.sampler.is_due(verdict.reason()) {
            tracing::info!(
                outcome = agreement.as_str(),
                reason = verdict.reason(),
                upstream.status = self.status.as_u16(),
                request_id = self.request_id.to_str().unwrap_or_default(),
                route = self.notes.route.as_deref(),
                "the gate and the upstream differ"
            );
        }
    }

    /// Tells the audit of a replay.
    fn tell(&self) {
        let Some(consumer_id) = self.notes.replayed else { return };
        self.service.shared.replays.saw(&Replay {
            consumer_id,
            client: self.client,
            request_id: self.request_id.to_str().unwrap_or_default(),
            now: self.time,
        });
    }

    const fn result(&self) -> &'static str {
        match (self.refused, self.notes.own) {
            (Some(_), _) => "refused",
            (None, Some(_)) => "answered",
            (None, None) => "forwarded",
        }
    }

    fn write(&self, head: &Line0) {
        let milliseconds = |from: Instant, to: Instant| (to - from).as_secs_f64() * 1000.0;
        let now = Instant::now();
        let decided = self.decided.unwrap_or(now);
        let line = Line {
            time: rfc3339(self.time),
            request_id: self.request_id.to_str().unwrap_or_default(),
            client: self.client.to_string(),
            trace_id: self.trace.as_ref().map(Trace::id),
            protocol: protocol(head.version),
            tls: self.security.as_ref().map(|security| security.version),
            client_certificate: self.security.as_ref().and_then(|security| security.certificate.as_deref()),
            method: head.method.as_str(),
            path: &head.path,
            status: self.status.as_u16(),
            decision: self.result(),
            reason: self.refused.unwrap_or_else(|| self.notes.method.as_str()),
            cause: self.notes.cause,
            user_type: self.notes.user_type.as_str(),
            user_id: self.notes.user_id,
            auth_method: self.notes.method.as_str(),
            credential: self.notes.credential.as_ref().and_then(|value| value.to_str().ok()),
            route: self.notes.route.as_deref(),
            reading: self.notes.reading,
            limit: self.notes.limits.over.as_ref().map(|(policy, _)| &*policy.name),
            limit_outcome: self.notes.limits.over.as_ref().map(|(_, over)| over.as_str()),
            endpoint: self.endpoint.and_then(|index| self.service.pool.name(index)),
            spoofed_headers: self.notes.spoofed,
            bytes: self.ended.map_or(0, |ended| ended.bytes),
            is_complete: self.ended.is_some_and(|ended| ended.is_complete),
            auth_ms: milliseconds(self.began, decided),
            upstream_ms: self.upstream_answered.map(|answered| milliseconds(decided, answered)),
            total_ms: milliseconds(self.began, now),
        };
        self.service.shared.access_log.write(&line);
    }
}

const fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "HTTP/2",
        Version::HTTP_10 => "HTTP/1.0",
        _ => "HTTP/1.1",
    }
}

fn begin_trace() -> Option<Trace> {
    let span = uuid::Uuid::now_v7().as_u64_pair().1;
    Trace::begin(*uuid::Uuid::now_v7().as_bytes(), span.to_be_bytes())
}

impl Drop for Report {
    fn drop(&mut self) {
        self.count();
        self.compare();
        self.tell();
        if let Some(head) = self.line.take() {
            self.write(&head);
        }
    }
}
