//! What is written of a request that ended: the access line, some lines about those that stand out, and its spans.
//!
//! The lines that stand out name what the access line names, and besides where the time went; so they serve where there is no
//! access log too. No query, header or credential is among it.

use std::time::{Duration, Instant};

use http::Version;

use super::{
    body::Fate,
    report::{Head, Report},
};
use crate::{
    clock::rfc3339,
    logging::traces::{Times, TracedRequest},
    metrics::ShadowLabel,
    proxy::{access_log::Line, shadow::Agreement, trace::Trace},
};

/// Where a request's time went, in milliseconds.
struct Spent {
    auth: f64,
    upstream: Option<f64>,
    /// Until the last byte of the request's body was handed over; nothing while it is on its way.
    body: Option<f64>,
    total: f64,
}

impl Report {
    /// Writes whatever is to be written.
    pub(super) fn write(&mut self) {
        self.compare();
        let Some(head) = self.head.take() else { return };
        let now = Instant::now();
        let spent = self.spent(now);
        self.show_refused(&head);
        self.show_slow(&head, &spent, now);
        self.write_line(&head, &spent);
        self.offer_spans(head, now);
    }

    /// Compares our verdict with the upstream's answer, where everything is forwarded.
    fn compare(&self) {
        let (Some(verdict), Some(_answered)) = (self.notes.shadow, self.upstream_answered) else {
            return;
        };
        let agreement = verdict.compare(self.status);
        let shared = &self.service.shared;
        let label = ShadowLabel { outcome: agreement.as_str(), reason: verdict.reason() };
        shared.metrics.shadow.get_or_create(&label).inc();
        let differs = matches!(agreement, Agreement::OnlyGate | Agreement::OnlyUpstream);
        if differs && shared.observation.samplers.differences.is_due(verdict.reason(), 1) {
            tracing::info!(
                outcome = agreement.as_str(),
                reason = verdict.reason(),
                upstream.status = self.status.as_u16(),
                request_id = self.request_id(),
                route = self.notes.route.as_deref(),
                "the gate and the upstream differ"
            );
        }
    }

    fn spent(&self, now: Instant) -> Spent {
        let decided = self.decided.unwrap_or(now);
        let complete = self.body.as_ref().filter(|trail| trail.fate() == Fate::Complete);
        let body = complete.and_then(|trail| trail.receiver_owes_since()).map(tokio::time::Instant::into_std);
        Spent {
            auth: milliseconds(decided - self.began),
            upstream: self.upstream_answered.map(|answered| milliseconds(answered - decided)),
            body: body.map(|at| milliseconds(at.saturating_duration_since(self.began))),
            total: milliseconds(now - self.began),
        }
    }

    /// A line about a refused request, if one of its reason is due.
    fn show_refused(&self, head: &Head) {
        let observation = &self.service.shared.observation;
        let Some(reason) = self.refused.filter(|_| observation.refused_lines > 0) else { return };
        if !observation.samplers.refused.is_due(reason, observation.refused_lines) {
            return;
        }
        tracing::info!(
            request_id = self.request_id(),
            client = %self.client,
            method = head.method.as_str(),
            path = head.target.path(),
            route = self.notes.route.as_deref(),
            status = self.status.as_u16(),
            reason,
            cause = self.notes.cause,
            user_type = self.notes.user_type.as_str(),
            user_id = self.notes.user_id,
            auth_method = self.notes.method.as_str(),
            credential = self.notes.credential.as_ref().and_then(|value| value.to_str().ok()),
            limit = self.notes.limits.over.as_ref().map(|(policy, _)| &*policy.name),
            endpoint = self.endpoint_name(),
            lookups = self.waits.lookups,
            "a request was refused"
        );
    }

    /// A line about a slow request, if one is due.
    fn show_slow(&self, head: &Head, spent: &Spent, now: Instant) {
        let observation = &self.service.shared.observation;
        let is_slow = observation.slow_request.is_some_and(|slow| now - self.began >= slow);
        if !is_slow || observation.slow_lines == 0 {
            return;
        }
        if !observation.samplers.slow.is_due("slow", observation.slow_lines) {
            return;
        }
        tracing::warn!(
            request_id = self.request_id(),
            client = %self.client,
            method = head.method.as_str(),
            path = head.target.path(),
            route = self.notes.route.as_deref(),
            status = self.status.as_u16(),
            decision = self.result(),
            reason = self.reason(),
            user_type = self.notes.user_type.as_str(),
            endpoint = self.endpoint_name(),
            lookups = self.waits.lookups,
            lookup_ms = milliseconds(self.waits.facts),
            nonce_ms = milliseconds(self.waits.nonce),
            form_ms = milliseconds(self.waits.body),
            auth_ms = spent.auth,
            body_ms = spent.body,
            upstream_ms = spent.upstream,
            total_ms = spent.total,
            bytes = self.ended.map_or(0, |ended| ended.bytes),
            is_complete = self.ended.is_some_and(|ended| ended.is_complete),
            "a request was slow"
        );
    }

    fn write_line(&self, head: &Head, spent: &Spent) {
        if !self.service.shared.access_log.is_on() {
            return;
        }
        let line = Line {
            time: rfc3339(self.time),
            request_id: self.request_id(),
            client: self.client.to_string(),
            trace_id: self.trace.as_ref().map(Trace::id),
            protocol: protocol(head.version),
            tls: self.security.as_ref().map(|security| security.version),
            client_certificate: self.security.as_ref().and_then(|security| security.certificate.as_deref()),
            method: head.method.as_str(),
            path: head.target.path(),
            status: self.status.as_u16(),
            decision: self.result(),
            reason: self.reason(),
            cause: self.notes.cause,
            user_type: self.notes.user_type.as_str(),
            user_id: self.notes.user_id,
            auth_method: self.notes.method.as_str(),
            credential: self.notes.credential.as_ref().and_then(|value| value.to_str().ok()),
            route: self.notes.route.as_deref(),
            reading: self.notes.reading,
            limit: self.notes.limits.over.as_ref().map(|(policy, _)| &*policy.name),
            limit_outcome: self.notes.limits.over.as_ref().map(|(_, over)| over.as_str()),
            endpoint: self.endpoint_name(),
            spoofed_headers: self.notes.spoofed,
            bytes: self.ended.map_or(0, |ended| ended.bytes),
            is_complete: self.ended.is_some_and(|ended| ended.is_complete),
            auth_ms: spent.auth,
            upstream_ms: spent.upstream,
            total_ms: spent.total,
        };
        self.service.shared.access_log.write(&line);
    }

    /// Hands what is known over to the exporter.
    fn offer_spans(&mut self, head: Head, now: Instant) {
        let (Some(traced), Some(tracing)) = (self.traced.take(), &self.service.shared.observation.traces)
        else {
            return;
        };
        let since = |at: Instant| at.saturating_duration_since(self.began);
        let times = Times {
            began: traced.began,
            decided: self.decided.map(since),
            answered: self.upstream_answered.map(since),
            ended: since(now),
        };
        tracing.queue.offer(TracedRequest {
            ids: traced.ids,
            times,
            method: head.method,
            route: self.notes.route.clone(),
            status: self.ended.map(|_| self.status.as_u16()),
            scheme: traced.scheme,
            protocol: version(head.version),
            host: traced.host,
            client: self.client,
            peer: traced.peer,
            request_id: self.request_id.clone(),
            decision: self.result(),
            reason: self.reason(),
            cause: self.notes.cause,
            user_type: self.notes.user_type.as_str(),
            auth_method: self.notes.method.as_str(),
            lookups: self.waits.lookups,
            endpoint: self.endpoint_name().map(Into::into),
        });
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

const fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "HTTP/2",
        Version::HTTP_10 => "HTTP/1.0",
        _ => "HTTP/1.1",
    }
}

/// As OpenTelemetry writes it.
const fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "2",
        Version::HTTP_10 => "1.0",
        _ => "1.1",
    }
}
