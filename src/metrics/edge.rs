//! The figures of connections before and beside their requests: TLS, and what connections were closed for.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// The labels of a TLS handshake.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct HandshakeLabel {
    /// `done`, `failed` or `late`.
    pub result: &'static str,
}

/// The labels of connections that were closed for what came over them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ClosedLabel {
    /// `proxy_unlisted`, `proxy_malformed`, `proxy_late`, `http2_violation`, `http2_flood`, `unread`.
    pub reason: &'static str,
}

/// The labels of a certificate: of the operator's own making, so that there are as many as certificates.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CertificateLabel {
    /// `proxy` or `admin`.
    pub listener: &'static str,
    /// The first name in it.
    pub certificate: String,
}

/// The figures of connections before and beside their requests.
#[derive(Debug, Clone, Default)]
pub struct EdgeMetrics {
    /// TLS handshakes by result.
    pub handshakes: Family<HandshakeLabel, Counter>,
    /// Connections that were closed for what came over them.
    pub closed: Family<ClosedLabel, Counter>,
    /// Days until each certificate expires.
    pub certificate_days: Family<CertificateLabel, Gauge<f64, AtomicU64>>,
}

impl EdgeMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("tls_handshakes", "TLS handshakes by result", self.handshakes.clone());
        let closed = "Connections closed for what came over them, by reason";
        registry.register("connections_closed", closed, self.closed.clone());
        let days = "Days until a certificate expires";
        registry.register("tls_certificate_expiry_days", days, self.certificate_days.clone());
    }

    /// Counts a connection that is closed for what came over it.
    pub fn close(&self, reason: &'static str) {
        self.closed.get_or_create(&ClosedLabel { reason }).inc();
    }
}
