//! The figures of the upstream's endpoints.
//!
//! Their labels are the names that the operator wrote, so there are as many as endpoints; those of an endpoint that a reload
//! removed are forgotten.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// The labels of an endpoint of the upstream: of the operator's own making, so that there are as many as endpoints.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct EndpointLabel {
    /// Its name.
    pub endpoint: String,
}

/// The labels of a request at an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct UpstreamRequestLabel {
    /// Its name.
    pub endpoint: String,
    /// One of [`UPSTREAM_OUTCOMES`].
    pub outcome: &'static str,
}

/// How a request at an endpoint can end.
pub const UPSTREAM_OUTCOMES: [&str; 6] =
    ["answered", "broken", "timeout", "connect_failed", "connect_timeout", "busy"];

/// The labels of repeated requests.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RetryLabel {
    /// `stale` (a held connection was closed meanwhile), `moved` (to another endpoint), `refused` (over the budget).
    pub result: &'static str,
}

/// The figures of the upstream's endpoints.
#[derive(Debug, Clone, Default)]
pub struct UpstreamMetrics {
    /// Requests by endpoint and outcome.
    pub requests: Family<UpstreamRequestLabel, Counter>,
    /// Repeated requests by result.
    pub retries: Family<RetryLabel, Counter>,
    /// Ejections.
    pub ejections: Family<EndpointLabel, Counter>,
    /// Open connections.
    pub connections: Family<EndpointLabel, Gauge>,
    /// Requests that wait for a connection.
    pub pending: Family<EndpointLabel, Gauge>,
    /// 1 while requests are sent there.
    pub healthy: Family<EndpointLabel, Gauge>,
    /// 0 closed, 1 half-open, 2 open.
    pub breaker: Family<EndpointLabel, Gauge>,
}

impl UpstreamMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let requests = "Requests by endpoint of the upstream and outcome";
        registry.register("upstream_requests", requests, self.requests.clone());
        registry.register("upstream_retries", "Repeated requests by result", self.retries.clone());
        let ejections = "Times that an endpoint was left alone because requests failed there";
        registry.register("upstream_ejections", ejections, self.ejections.clone());
        let connections = "Open connections to an endpoint";
        registry.register("upstream_connections", connections, self.connections.clone());
        let pending = "Requests that wait for a connection to an endpoint";
        registry.register("upstream_pending", pending, self.pending.clone());
        let healthy = "1 while an endpoint is neither ejected nor found ill";
        registry.register("upstream_healthy", healthy, self.healthy.clone());
        let breaker = "An endpoint's breaker: 0 closed, 1 half-open, 2 open";
        registry.register("upstream_breaker_state", breaker, self.breaker.clone());
    }

    /// Forgets an endpoint that is gone.
    pub fn forget(&self, endpoint: &EndpointLabel) {
        for outcome in UPSTREAM_OUTCOMES {
            self.requests.remove(&UpstreamRequestLabel { endpoint: endpoint.endpoint.clone(), outcome });
        }
        self.ejections.remove(endpoint);
        for gauges in [&self.connections, &self.pending, &self.healthy, &self.breaker] {
            gauges.remove(endpoint);
        }
    }
}
