//! What is known of a traced request once it ended.
//!
//! Nothing that a client chose freely is among it, save the host: paths carry tokens on some of Magento's routes, so the route
//! stands for them, and a query is never known.

use std::{net::IpAddr, sync::Arc, time::Duration};

use http::{HeaderValue, Method, uri::Authority};

/// The ids of a request's spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanIds {
    /// Shared by all who serve the request.
    pub trace: [u8; 16],
    /// The span that the client, or a proxy before us, said it is in.
    pub parent: Option<[u8; 8]>,
    /// Ours, from head to the end of the answer.
    pub server: [u8; 8],
    /// Ours, of the decision.
    pub decision: [u8; 8],
    /// Ours, of the upstream's part; the upstream reads it in its `traceparent`.
    pub client: [u8; 8],
}

/// When a request's parts ended, counted from its head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// When the head arrived, in nanoseconds since 1970.
    pub began: u64,
    /// When it was decided; refused ones never were.
    pub decided: Option<Duration>,
    /// When the upstream's head was there.
    pub answered: Option<Duration>,
    /// When the answer ended, or the client left.
    pub ended: Duration,
}

/// A traced request that ended.
#[derive(Debug, Clone)]
pub struct TracedRequest {
    /// The ids of its spans.
    pub ids: SpanIds,
    /// When its parts ended.
    pub times: Times,
    /// The HTTP method.
    pub method: Method,
    /// The matched route's template.
    pub route: Option<Arc<str>>,
    /// The status that the client saw, if it stayed to see it.
    pub status: Option<u16>,
    /// `http` or `https`, as the client spoke.
    pub scheme: &'static str,
    /// `1.0`, `1.1` or `2`.
    pub protocol: &'static str,
    /// The host that was asked for.
    pub host: Option<Authority>,
    /// The client's address.
    pub client: IpAddr,
    /// The address of whoever connected.
    pub peer: IpAddr,
    /// The id that log lines have.
    pub request_id: HeaderValue,
    /// `forwarded`, `answered` or `refused`.
    pub decision: &'static str,
    /// Why.
    pub reason: &'static str,
    /// Why a presented credential did not count.
    pub cause: Option<&'static str>,
    /// The kind of caller.
    pub user_type: &'static str,
    /// How the caller was proven.
    pub auth_method: &'static str,
    /// How often the store was asked.
    pub lookups: u32,
    /// The upstream's endpoint that it went to.
    pub endpoint: Option<Box<str>>,
}

impl TracedRequest {
    /// Whether the upstream had it, or was to have it.
    #[must_use]
    pub const fn went_upstream(&self) -> bool {
        self.endpoint.is_some() || self.times.answered.is_some()
    }

    /// How many spans it has.
    #[must_use]
    pub const fn spans(&self) -> u64 {
        if self.went_upstream() { 3 } else { 2 }
    }
}
