//! `[listen]`: what a connection may be and how slow it may be, besides its times and sizes.

use std::time::Duration;

use ipnet::IpNet;

use super::{
    kinds::ByteSize,
    lenient::{Lenient, Words},
    report::Report,
};

/// Whether connections begin with a PROXY line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// They do not.
    Off,
    /// Each does, or is closed.
    Require,
}

/// What becomes of W3C trace context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TraceContext {
    /// A good one passes, a broken one is dropped.
    Pass,
    /// Besides, one is begun where there is none.
    Begin,
}

/// What a connection may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// Whether HTTP/2 is spoken without TLS, by clients that begin with it.
    pub h2c: bool,
    /// Most requests of one HTTP/2 connection at a time.
    pub max_streams: u32,
    /// How long a client may leave an answer unread.
    pub write_timeout: Duration,
    /// The slowest that a body may come once `body_grace` is over, in bytes a second; any speed when 0.
    pub min_body_rate: u64,
    /// How long a body may take whatever its speed.
    pub body_grace: Duration,
    /// Whether connections begin with a PROXY line.
    pub proxy_protocol: ProxyProtocol,
    /// What becomes of trace context.
    pub trace_context: TraceContext,
}

/// The same, as written.
pub(super) struct WrittenEdge {
    pub(super) h2c: Lenient<bool>,
    pub(super) max_streams: Lenient<usize>,
    pub(super) write_timeout: Lenient<Duration>,
    pub(super) min_body_rate: Lenient<ByteSize>,
    pub(super) body_grace: Lenient<Duration>,
    pub(super) proxy_protocol: Lenient<ProxyProtocol>,
    pub(super) trace_context: Lenient<TraceContext>,
}

impl Words for ProxyProtocol {
    const WORDS: &'static [(&'static str, Self)] = &[("off", Self::Off), ("require", Self::Require)];
}

impl Words for TraceContext {
    const WORDS: &'static [(&'static str, Self)] = &[("pass", Self::Pass), ("begin", Self::Begin)];
}

impl Edge {
    pub(super) fn parse(written: WrittenEdge, trusted: &[IpNet], report: &mut Report) -> Self {
        let WrittenEdge {
            h2c,
            max_streams,
            write_timeout,
            min_body_rate,
            body_grace,
            proxy_protocol,
            trace_context,
        } = written;
        let seconds = Duration::from_secs;
        let h2c = report.take("listen.h2c", h2c, false);
        let max_streams = report.take_within("listen.max_streams", max_streams, 100, 1..=1000);
        let write_timeout = report.take_within(
            "listen.write_timeout",
            write_timeout,
            seconds(30),
            Duration::from_millis(100)..=seconds(3600),
        );
        let min_body_rate = report.take_within(
            "listen.min_body_rate",
            min_body_rate,
            ByteSize::kib(1),
            ByteSize(0)..=ByteSize::mib(1),
        );
        let body_grace = report.take_within(
            "listen.body_grace",
            body_grace,
            seconds(30),
            Duration::from_millis(100)..=seconds(3600),
        );
        let edge = Self {
            h2c,
            max_streams: u32::try_from(max_streams).unwrap_or(u32::MAX),
            write_timeout,
            min_body_rate: min_body_rate.0,
            body_grace,
            proxy_protocol: report.take("listen.proxy_protocol", proxy_protocol, ProxyProtocol::Off),
            trace_context: report.take("listen.trace_context", trace_context, TraceContext::Pass),
        };
        if edge.proxy_protocol == ProxyProtocol::Require && trusted.is_empty() {
            let way_out = "name the load balancers in listen.trusted_proxies";
            report.error("listen.proxy_protocol", format!("nobody may send the line; {way_out}"));
        }
        edge
    }
}
