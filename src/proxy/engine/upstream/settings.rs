//! How the upstream is reached and looked after, as the configuration says it.

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use http::{HeaderValue, uri::PathAndQuery};

use super::tls::TlsClient;

/// The most endpoints of one upstream: a choice looks at each of them.
pub const MAX_ENDPOINTS: usize = 64;

/// Where the upstream is and how it is spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// Who answers, at most [`MAX_ENDPOINTS`] of them.
    pub endpoints: Vec<EndpointSettings>,
    /// How each of them is reached.
    pub reach: Arc<Reach>,
    /// When an endpoint is left alone because of what requests met there.
    pub ejection: EjectionSettings,
    /// Over how long a recovered endpoint comes back to its share.
    pub slow_start: Duration,
    /// Below this share of healthy endpoints, in percent, health is not looked at.
    pub panic_threshold: u32,
    /// Whether the gate is ready only while an endpoint is healthy.
    pub require_healthy: bool,
    /// Requests that may be repeated, in percent of all.
    pub retry_budget: u32,
    /// How often names are resolved again.
    pub resolve_interval: Duration,
    /// How endpoints are asked for their health; `None` for not at all.
    pub probe: Option<Arc<ProbeSettings>>,
}

/// One endpoint: what makes it this one and no other, and its share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointSettings {
    /// Its name in figures and lines.
    pub name: Arc<str>,
    /// A DNS name or an address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Whether TLS is spoken.
    pub is_tls: bool,
    /// Its share beside the others'; at least 1.
    pub weight: u32,
    /// Most connections of the process; 0 for any number.
    pub max_connections: usize,
}

/// What holds for every endpoint's connections.
#[derive(Debug, PartialEq, Eq)]
pub struct Reach {
    /// Limit for connecting, TLS and resolving included.
    pub connect_timeout: Duration,
    /// Limit from the request's last byte to the answer's head, and between two frames of a body.
    pub response_timeout: Duration,
    /// How long an unused connection is kept. Shorter than the upstream's own keep-alive, so that it seldom closes first.
    pub idle_timeout: Duration,
    /// Unused connections kept per worker and endpoint.
    pub max_idle: usize,
    /// Requests that may wait for a connection, per endpoint.
    pub max_pending: usize,
    /// How long one may wait.
    pub pending_timeout: Duration,
    /// Whether HTTP/2 is spoken.
    pub http2: Http2,
    /// When an endpoint is not asked at all for a while.
    pub breaker: BreakerSettings,
    /// What TLS goes by.
    pub tls: TlsClient,
}

/// Whether HTTP/2 is spoken to the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Http2 {
    /// HTTP/1.1 alone.
    Off,
    /// Offered over TLS; the upstream chooses.
    Offered,
    /// Over TLS as offered, and in the clear without asking.
    Clear,
}

/// When an endpoint is ejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EjectionSettings {
    /// Failures in a row; 0 for never.
    pub failures: u32,
    /// From the first of them to the last at most.
    pub window: Duration,
    /// The first time; each further one is twice as long.
    pub time: Duration,
    /// The longest.
    pub max_time: Duration,
    /// Most endpoints at a time, in percent.
    pub max_ejected: u32,
}

/// When an endpoint's breaker opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerSettings {
    /// The fewest requests of a worker in the window that say anything; 0 for no breaker.
    pub requests: u32,
    /// How many of them failed, in percent.
    pub failures: u32,
    /// How far back is counted.
    pub window: Duration,
    /// How long nothing is sent.
    pub open: Duration,
}

/// How endpoints are asked for their health.
#[derive(Debug, PartialEq, Eq)]
pub struct ProbeSettings {
    /// What is asked for.
    pub path: PathAndQuery,
    /// The `Host` that is sent.
    pub host: Option<HeaderValue>,
    /// From one question to the next.
    pub interval: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// Good answers in a row that bring an endpoint back.
    pub healthy: u32,
    /// Bad ones in a row that take it away.
    pub unhealthy: u32,
    /// The statuses of a good answer.
    pub status: RangeInclusive<u16>,
}

impl EndpointSettings {
    /// Whether both are the same place, spoken to in the same way: connections and state outlive a change of weight.
    pub(super) fn is_same_place(&self, other: &Self) -> bool {
        let Self { name, host, port, is_tls, weight: _, max_connections } = self;
        *name == other.name
            && *host == other.host
            && *port == other.port
            && *is_tls == other.is_tls
            && *max_connections == other.max_connections
    }
}
