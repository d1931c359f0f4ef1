//! `[listen]`: where clients and operators connect, and what one connection may cost.
//!
//! The admin listener is held to loopback here unless it speaks TLS; the listeners themselves are the server's.

use std::{net::SocketAddr, num::NonZeroUsize, time::Duration};

use ipnet::IpNet;

use super::{
    kinds::ByteSize,
    listen_edge::{Edge, WrittenEdge},
    listen_tls::{ADMIN, PROXY, Tls},
    origin::HostPort,
    raw::RawListen,
    report::Report,
};

/// Where clients and operators connect, and the bounds of a connection.
#[derive(Debug, Clone)]
pub struct Listen {
    /// Where clients connect.
    pub proxy: SocketAddr,
    /// Where operators connect: a loopback address unless `admin_tls` is there, never the proxy's.
    pub admin: SocketAddr,
    /// Peers whose `X-Forwarded-*` headers count.
    pub trusted_proxies: Vec<IpNet>,
    /// The only hosts that are served; any when empty.
    pub hosts: Vec<HostPort>,
    /// Worker threads; one per core when `None`.
    pub workers: Option<NonZeroUsize>,
    /// How long a client may take to send a request's head.
    pub header_timeout: Duration,
    /// How long a connection may stay silent between requests.
    pub idle_timeout: Duration,
    /// Longest head of a request in bytes.
    pub max_header_bytes: usize,
    /// Most header fields of a request.
    pub max_headers: usize,
    /// Longest body in bytes; any when `None`.
    pub max_body: Option<u64>,
    /// How long a gate that is told to stop goes on accepting, so that a load balancer notices.
    pub drain_delay: Duration,
    /// How long running requests may take to end when the process is told to.
    pub drain_timeout: Duration,
    /// Most client connections of the process at a time.
    pub max_connections: usize,
    /// What a connection may be.
    pub edge: Edge,
    /// How clients are spoken to; in the clear when `None`.
    pub tls: Option<Tls>,
    /// How operators are spoken to; in the clear when `None`.
    pub admin_tls: Option<Tls>,
}

impl Listen {
    #[expect(clippy::too_many_lines, reason = "a line or a range a setting, and nothing else")]
    pub(super) fn parse(raw: RawListen, report: &mut Report) -> Self {
        let RawListen {
            proxy,
            admin,
            trusted_proxies,
            hosts,
            workers,
            header_timeout,
            idle_timeout,
            max_header_bytes,
            max_headers,
            max_body,
            drain_delay,
            drain_timeout,
            max_connections,
            h2c,
            max_streams,
            write_timeout,
            min_body_rate,
            body_grace,
            proxy_protocol,
            trace_context,
            tls,
            admin_tls,
        } = raw;
        let edge = WrittenEdge {
            h2c,
            max_streams,
            write_timeout,
            min_body_rate,
            body_grace,
            proxy_protocol,
            trace_context,
        };
        let seconds = Duration::from_secs;
        let proxy = report.take("listen.proxy", proxy, SocketAddr::from(([127, 0, 0, 1], 8080)));
        let admin = report.take("listen.admin", admin, SocketAddr::from(([127, 0, 0, 1], 9090)));
        let trusted_proxies = report.take("listen.trusted_proxies", trusted_proxies, Vec::new());
        let parsed = Self {
            proxy,
            admin,
            hosts: report.take("listen.hosts", hosts, Vec::new()),
            workers: NonZeroUsize::new(report.take_within("listen.workers", workers, 0, 0..=1024)),
            header_timeout: report.take_within(
                "listen.header_timeout",
                header_timeout,
                seconds(10),
                Duration::from_millis(100)..=seconds(300),
            ),
            idle_timeout: report.take_within(
                "listen.idle_timeout",
                idle_timeout,
                seconds(75),
                seconds(1)..=seconds(3600),
            ),
            max_header_bytes: report
                .take_within(
                    "listen.max_header_bytes",
                    max_header_bytes,
                    ByteSize::kib(64),
                    ByteSize::kib(8)..=ByteSize::mib(1),
                )
                .as_len(),
            max_headers: report.take_within("listen.max_headers", max_headers, 100, 16..=1000),
            max_body: Some(report.take("listen.max_body", max_body, ByteSize::mib(64)).0)
                .filter(|max| *max > 0),
            drain_delay: report.take_within(
                "listen.drain_delay",
                drain_delay,
                Duration::ZERO,
                Duration::ZERO..=seconds(300),
            ),
            drain_timeout: report.take_within(
                "listen.drain_timeout",
                drain_timeout,
                seconds(30),
                seconds(0)..=seconds(3600),
            ),
            max_connections: report.take_within(
                "listen.max_connections",
                max_connections,
                10_000,
                1..=1_000_000,
            ),
            edge: Edge::parse(edge, &trusted_proxies, report),
            trusted_proxies,
            tls: Tls::parse(tls, &PROXY, report),
            admin_tls: Tls::parse(admin_tls, &ADMIN, report),
        };
        parsed.check_admin(report);
        parsed.check_trusted(report);
        parsed
    }

    fn check_admin(&self, report: &mut Report) {
        if report.is_wrong("listen.admin") {
            return;
        }
        if !self.admin.ip().is_loopback() && self.admin_tls.is_none() {
            let way_out = "name a certificate in [listen.admin_tls]";
            report.error("listen.admin", format!("an admin listener off loopback needs TLS; {way_out}"));
            return;
        }
        // Port 0 asks the system for a free one, which differs each time. An unspecified address takes the port of
        // loopback too.
        let (proxy, admin) = (self.proxy, self.admin);
        let overlaps = proxy.ip() == admin.ip() || proxy.ip().is_unspecified();
        if overlaps && proxy.port() == admin.port() && admin.port() != 0 && !report.is_wrong("listen.proxy") {
            report.error("listen.admin", format!("is taken by listen.proxy ({proxy}); choose another port"));
        }
    }

    fn check_trusted(&self, report: &mut Report) {
        if self.trusted_proxies.iter().any(|network| network.prefix_len() == 0) {
            report.warn(
                "listen.trusted_proxies",
                "every client may claim to have come over https; name the proxies alone",
            );
        }
    }
}
