//! One JSON line a request, when its answer ended.
//!
//! Whatever a client sent is escaped by the JSON writer, so a line break in a path cannot forge a second line. Query
//! strings are never written: tokens and passwords hide in them. The credential appears as its keyed fingerprint.
//! Lines go through a bounded queue to a thread of their own; when the log cannot keep up, lines are dropped and
//! counted, requests are not.

use std::io::Write as _;

use serde::Serialize;
use tracing_appender::non_blocking::NonBlocking;

/// Where the lines go; off costs nothing.
#[derive(Debug, Clone)]
pub struct AccessLog(Option<NonBlocking>);

/// What is known of a request when its answer ended.
#[derive(Debug, Serialize)]
pub struct Line<'a> {
    /// When the head arrived, RFC 3339.
    pub time: String,
    /// The id that the upstream saw.
    pub request_id: &'a str,
    /// The client's address.
    pub client: String,
    /// The W3C trace id, where the upstream saw one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<&'a str>,
    /// `HTTP/1.0`, `HTTP/1.1` or `HTTP/2`, as the client spoke.
    pub protocol: &'static str,
    /// The version of TLS, where it was spoken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<&'static str>,
    /// SHA-256 of the client's certificate, where it showed one; no identity of the caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<&'a str>,
    /// The HTTP method.
    pub method: &'a str,
    /// The path as received, without the query.
    pub path: &'a str,
    /// The status that the client saw.
    pub status: u16,
    /// `forwarded`, `answered` (by the gate itself) or `refused`.
    pub decision: &'static str,
    /// Why.
    pub reason: &'static str,
    /// Why a presented credential did not count, where it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<&'static str>,
    /// `guest`, `customer`, `admin`, `integration`.
    pub user_type: &'static str,
    /// The caller's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<u32>,
    /// How the caller was proven.
    pub auth_method: &'static str,
    /// The fingerprint of the credential.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<&'a str>,
    /// The matched route's template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<&'a str>,
    /// The reading that verified a signature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reading: Option<&'static str>,
    /// The rate limit that the request was over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<&'a str>,
    /// What became of it there: `refused`, `reported` or `outage`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_outcome: Option<&'static str>,
    /// The upstream's endpoint that it went to, the last one where it went to several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<&'a str>,
    /// Reserved headers that were removed.
    #[serde(skip_serializing_if = "is_zero")]
    pub spoofed_headers: usize,
    /// Bytes of the answer's body.
    pub bytes: u64,
    /// Whether the answer's body reached its end.
    pub is_complete: bool,
    /// Milliseconds from head to decision.
    pub auth_ms: f64,
    /// Milliseconds from decision to the upstream's head.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_ms: Option<f64>,
    /// Milliseconds from head to the end of the answer.
    pub total_ms: f64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
const fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl AccessLog {
    /// No log.
    #[must_use]
    pub const fn off() -> Self {
        Self(None)
    }

    /// A log into `writer`.
    #[must_use]
    pub const fn to(writer: NonBlocking) -> Self {
        Self(Some(writer))
    }

    /// Whether lines are wanted; ask before making one.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Writes a line.
    pub fn write(&self, line: &Line<'_>) {
        let Some(writer) = &self.0 else {
            return;
        };
        let mut text = Vec::with_capacity(512);
        if serde_json::to_writer(&mut text, line).is_ok() {
            text.push(b'\n');
            // The queue drops what it cannot take and counts it.
            let _ = writer.clone().write(&text);
        }
    }

    /// Lines dropped so far.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.as_ref().map_or(0, |writer| writer.error_counter().dropped_lines() as u64)
    }
}
