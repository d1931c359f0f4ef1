//! `[upstream]`: the API behind us, what it is sent, and how long it is waited for.
//!
//! Who answers stands in `upstream_endpoint`, how endpoints are believed and looked after in `upstream_care`.

use std::{ops::RangeInclusive, time::Duration};

use http::{HeaderName, HeaderValue};

use super::{
    headers::is_standard,
    lenient::{Lenient, Words},
    origin::Scheme,
    raw::{RawProof, RawUpstream},
    report::Report,
    secret,
    upstream_care::{UpstreamBreaker, UpstreamEjection, UpstreamHealth, UpstreamHttp2, UpstreamTls, count},
    upstream_endpoint::UpstreamEndpoint,
};
use crate::auth::secret::Secret;

/// In milliseconds.
const MINUTE: u64 = 60_000;

/// In milliseconds.
const HOUR: u64 = 60 * MINUTE;

/// A shorter proof could be guessed by whoever reaches the upstream directly.
const MIN_PROOF: usize = 16;

/// Whether the upstream sees what the client authenticated with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credentials {
    /// Removed: the upstream lives on our headers.
    Strip,
    /// Sent unchanged: the upstream authenticates again.
    Forward,
}

/// The API behind us.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// Who answers: one or several.
    pub endpoints: Vec<UpstreamEndpoint>,
    /// Whether it sees the client's credentials.
    pub credentials: Credentials,
    /// How long a connection may take to open.
    pub connect_timeout: Duration,
    /// How long the head of a response may take.
    pub response_timeout: Duration,
    /// How long an unused connection is held.
    pub idle_timeout: Duration,
    /// Most unused connections that a worker holds of an endpoint.
    pub max_idle: usize,
    /// Most connections of an endpoint; 0 for any number.
    pub max_connections: usize,
    /// Most requests that wait for a connection.
    pub max_pending: usize,
    /// How long one may wait.
    pub pending_timeout: Duration,
    /// How often names are resolved again.
    pub resolve_interval: Duration,
    /// Whether HTTP/2 is spoken.
    pub http2: UpstreamHttp2,
    /// Requests that may be repeated, in percent.
    pub retry_budget: u32,
    /// Over how long a recovered endpoint comes back to its share.
    pub slow_start: Duration,
    /// Below this share of healthy endpoints, in percent, health is not looked at.
    pub panic_threshold: u32,
    /// Whether the gate is ready only while an endpoint is healthy.
    pub require_healthy: bool,
    /// Whom TLS believes.
    pub tls: UpstreamTls,
    /// When an endpoint is left alone.
    pub ejection: UpstreamEjection,
    /// When nothing is sent to an endpoint.
    pub breaker: UpstreamBreaker,
    /// How endpoints are asked for their health.
    pub health: UpstreamHealth,
    /// What shows the upstream that a request came through us.
    pub proof: Option<Proof>,
}

/// A shared secret in a header, by which the upstream tells us from someone who reached it directly.
#[derive(Debug, Clone)]
pub struct Proof {
    header: HeaderName,
    secret: Secret<String>,
}

impl Words for Credentials {
    const WORDS: &'static [(&'static str, Self)] = &[("strip", Self::Strip), ("forward", Self::Forward)];
}

impl Upstream {
    pub(super) fn parse(raw: RawUpstream, is_magentos: bool, report: &mut Report) -> Option<Self> {
        let RawUpstream {
            url,
            endpoint,
            credentials,
            connect_timeout,
            response_timeout,
            idle_timeout,
            max_idle,
            max_connections,
            max_pending,
            pending_timeout,
            resolve_interval,
            http2,
            retry_budget,
            slow_start,
            panic_threshold,
            require_healthy,
            tls,
            ejection,
            breaker,
            health,
            proof,
        } = raw;
        let endpoints = UpstreamEndpoint::take(url, endpoint, report);
        // An unmodified Magento authenticates again.
        let default = if is_magentos { Credentials::Forward } else { Credentials::Strip };
        let credentials = report.take("upstream.credentials", credentials, default);
        let [connect_timeout, response_timeout, idle_timeout] =
            timeouts([connect_timeout, response_timeout, idle_timeout], report);
        let [max_idle, max_connections, max_pending] =
            limits([max_idle, max_connections, max_pending], report);
        let pending_timeout = time("upstream.pending_timeout", pending_timeout, (1000, 1..=MINUTE), report);
        let resolve_interval =
            time("upstream.resolve_interval", resolve_interval, (30_000, 100..=HOUR), report);
        let http2 = report.take("upstream.http2", http2, UpstreamHttp2::Auto);
        let retry_budget = count(report, "upstream.retry_budget", retry_budget, (20, 0..=100));
        let slow_start = time("upstream.slow_start", slow_start, (10_000, 0..=HOUR), report);
        let panic_threshold = count(report, "upstream.panic_threshold", panic_threshold, (0, 0..=100));
        let upstream = Self {
            endpoints: Vec::new(),
            credentials,
            connect_timeout,
            response_timeout,
            idle_timeout,
            max_idle,
            max_connections,
            max_pending,
            pending_timeout,
            resolve_interval,
            http2,
            retry_budget,
            slow_start,
            panic_threshold,
            require_healthy: report.take("upstream.require_healthy", require_healthy, false),
            tls: UpstreamTls::parse(tls, report),
            ejection: UpstreamEjection::parse(ejection, report),
            breaker: UpstreamBreaker::parse(breaker, report),
            health: UpstreamHealth::parse(health, report),
            proof: Proof::parse(proof, report),
        };
        Some(Self { endpoints: endpoints?, ..upstream })
    }

    /// Whether TLS is spoken to any endpoint.
    #[must_use]
    pub fn speaks_tls(&self) -> bool {
        self.endpoints.iter().any(|endpoint| endpoint.origin.scheme == Scheme::Https)
    }
}

impl Proof {
    pub(super) const fn secret(&self) -> &Secret<String> {
        &self.secret
    }

    fn parse(raw: RawProof, report: &mut Report) -> Option<Self> {
        let RawProof { header, secret, secret_file } = raw;
        let has_header = header.is_written();
        let from_file = secret_file.is_written();
        let has_secret = secret.is_written() || from_file;
        let header =
            report.take_optional("upstream.proof.header", header).and_then(|name| take_header(&name, report));
        let secret = secret::take(
            report,
            ("upstream.proof.secret", secret),
            ("upstream.proof.secret_file", secret_file),
        );
        match (has_header, has_secret) {
            (true, false) => {
                report.error("upstream.proof.header", "has no secret; set upstream.proof.secret_file")
            }
            (false, true) => report
                .error("upstream.proof.header", "is required with a secret; name the header to send it in"),
            (true, true) | (false, false) => {}
        }
        let secret = secret?;
        if !is_proof(secret.expose()) {
            let place = if from_file { "upstream.proof.secret_file" } else { "upstream.proof.secret" };
            let wanted =
                format!("the secret needs at least {MIN_PROOF} visible ASCII characters and no blank");
            report.error(place, format!("{wanted}; generate one, for example with openssl rand -hex 32"));
            return None;
        }
        Some(Self { header: header?, secret })
    }

    /// The header; to be removed from what clients send.
    #[must_use]
    pub const fn header(&self) -> &HeaderName {
        &self.header
    }

    /// The header's value, marked sensitive so that nothing prints it.
    #[must_use]
    pub fn value(&self) -> HeaderValue {
        let mut value = HeaderValue::from_str(self.secret.expose())
            .expect("a proof's secret was checked to be visible ASCII");
        value.set_sensitive(true);
        value
    }
}

fn timeouts([connect, response, idle]: [Lenient<Duration>; 3], report: &mut Report) -> [Duration; 3] {
    [
        time("upstream.connect_timeout", connect, (1000, 10..=MINUTE), report),
        time("upstream.response_timeout", response, (60_000, 100..=HOUR), report),
        time("upstream.idle_timeout", idle, (30_000, 1000..=HOUR), report),
    ]
}

fn limits([idle, connections, pending]: [Lenient<usize>; 3], report: &mut Report) -> [usize; 3] {
    [
        report.take_within("upstream.max_idle", idle, 64, 0..=10_000),
        report.take_within("upstream.max_connections", connections, 0, 0..=100_000),
        report.take_within("upstream.max_pending", pending, 100, 0..=100_000),
    ]
}

/// A duration; default and range in milliseconds.
fn time(
    key: &'static str,
    raw: Lenient<Duration>,
    (default, range): (u64, RangeInclusive<u64>),
    report: &mut Report,
) -> Duration {
    let range = Duration::from_millis(*range.start())..=Duration::from_millis(*range.end());
    report.take_within(key, raw, Duration::from_millis(default), range)
}

fn is_proof(secret: &str) -> bool {
    secret.len() >= MIN_PROOF && secret.bytes().all(|byte| byte.is_ascii_graphic())
}

fn take_header(name: &str, report: &mut Report) -> Option<HeaderName> {
    let Ok(header) = HeaderName::from_bytes(name.as_bytes()) else {
        report
            .error("upstream.proof.header", "is not a header name; write one such as \"X-Portcullis-Proof\"");
        return None;
    };
    if is_standard(header.as_str()) {
        report.error(
            "upstream.proof.header",
            format!("{header} has a meaning of its own; choose a name such as \"X-Portcullis-Proof\""),
        );
        return None;
    }
    Some(header)
}
