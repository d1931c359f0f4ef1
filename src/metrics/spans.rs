//! The figures of spans that are sent to a collector.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

/// The labels of spans.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct SpanLabel {
    /// `exported`, `rejected` (the collector took their batch and not them), `failed` (it did not take their batch) or `dropped`
    /// (no room in the queue).
    pub result: &'static str,
}

/// The figures of spans.
#[derive(Debug, Clone, Default)]
pub struct SpanMetrics {
    /// Spans by what became of them.
    pub spans: Family<SpanLabel, Counter>,
}

impl SpanMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("trace_spans", "Spans of requests by what became of them", self.spans.clone());
    }

    /// Counts what became of some spans.
    pub fn count(&self, result: &'static str, spans: u64) {
        self.spans.get_or_create(&SpanLabel { result }).inc_by(spans);
    }
}
