//! The figures of asking the store: what came of lookups, who waits for them, and what the breaker does.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// The labels of lookups.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LookupLabel {
    /// `answered`, `timeout`, `unavailable`, `unusable` (an answer that makes no sense), `not_asked` (the breaker is open) or
    /// `shed` (too many were under way).
    pub outcome: &'static str,
}

/// The figures of looking credentials up.
#[derive(Debug, Clone, Default)]
pub struct LookupMetrics {
    /// Lookups by what came of them.
    pub outcomes: Family<LookupLabel, Counter>,
    /// Requests served by a fact that was no longer fresh, because the store could not be asked.
    pub stale: Counter,
    /// Lookups under way.
    pub under_way: Gauge,
    /// Requests that wait for them.
    pub waiting: Gauge,
    /// 0 while the store is asked, 1 while one lookup tries, 2 while it is not asked, 3 until it is proven.
    pub breaker: Gauge,
}

impl LookupMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let outcomes = "Lookups by what came of them";
        registry.register("store_lookup_outcomes", outcomes, self.outcomes.clone());
        let stale = "Requests served by a stale grant because the store could not be asked";
        registry.register("cache_stale_served", stale, self.stale.clone());
        registry.register("store_lookups_under_way", "Lookups under way", self.under_way.clone());
        registry.register("store_lookups_waiting", "Requests that wait for lookups", self.waiting.clone());
        let breaker = "0 the store is asked, 1 one lookup tries, 2 not asked, 3 not proven since the start";
        registry.register("store_breaker_state", breaker, self.breaker.clone());
    }
}
