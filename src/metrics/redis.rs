//! Figures of what replicas share through Redis: the link, the nonces, the invalidations.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

use super::figures::Seconds;

/// The labels of a command.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CommandLabel {
    /// `ok`, `down`, `overloaded`, `timeout`, `broken`, `full`, `read_only` or `refused`.
    pub outcome: &'static str,
}

/// The labels of a nonce that was to be recorded in Redis.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct SharedNonceLabel {
    /// `fresh`, `used`, `expired`, `quarantined`, `full` or `unanswered`.
    pub result: &'static str,
}

/// What replicas share through Redis; all zero where none is configured.
#[derive(Debug, Clone)]
pub struct RedisMetrics {
    /// 1 while connected.
    pub connected: Gauge,
    /// Commands by outcome.
    pub commands: Family<CommandLabel, Counter>,
    /// Seconds that an answered command took.
    pub seconds: Histogram,
    /// Connections made after the first one.
    pub reconnects: Counter,
    /// Nonces by what became of them.
    pub nonces: Family<SharedNonceLabel, Counter>,
    /// The last timestamp that is refused because nonces may be lost, in seconds since 1970; 0 where none is.
    pub quarantined_until: Gauge,
    /// 1 while Redis refuses nonces for want of memory.
    pub nonces_full: Gauge,
    /// 1 where Redis may evict what is stored.
    pub may_evict: Gauge,
    /// Invalidations that were published.
    pub published: Counter,
    /// Invalidations of other replicas that were applied.
    pub applied: Counter,
    /// Times that everybody was invalidated because messages were missed.
    pub gaps: Counter,
    /// Invalidations that could not be published; the other replicas see them at their next look into the store.
    pub unpublished: Counter,
    /// Seconds from publishing to applying, of the last message.
    pub lag: Seconds,
    /// Replicas that are alive.
    pub replicas: Gauge,
}

impl Default for RedisMetrics {
    fn default() -> Self {
        Self {
            connected: Gauge::default(),
            commands: Family::default(),
            seconds: Histogram::new(exponential_buckets(0.000_05, 2.0, 14)),
            reconnects: Counter::default(),
            nonces: Family::default(),
            quarantined_until: Gauge::default(),
            nonces_full: Gauge::default(),
            may_evict: Gauge::default(),
            published: Counter::default(),
            applied: Counter::default(),
            gaps: Counter::default(),
            unpublished: Counter::default(),
            lag: Seconds::default(),
            replicas: Gauge::default(),
        }
    }
}

impl RedisMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("redis_connected", "1 while Redis is connected", self.connected.clone());
        registry.register("redis_commands", "Commands to Redis by outcome", self.commands.clone());
        let seconds = "Seconds that an answered command to Redis took";
        registry.register("redis_command_duration_seconds", seconds, self.seconds.clone());
        registry.register("redis_reconnects", "Connections made again", self.reconnects.clone());
        self.register_nonces(registry);
        self.register_invalidations(registry);
    }

    fn register_nonces(&self, registry: &mut Registry) {
        let nonces = "Nonces recorded in Redis by result";
        registry.register("redis_nonces", nonces, self.nonces.clone());
        let until = "The last timestamp refused because Redis lost nonces, 0 where none is";
        registry.register("redis_nonces_quarantined_until_seconds", until, self.quarantined_until.clone());
        let full = "1 while Redis has no memory for nonces";
        registry.register("redis_nonces_full", full, self.nonces_full.clone());
        let evict = "1 where maxmemory-policy may evict nonces";
        registry.register("redis_may_evict", evict, self.may_evict.clone());
    }

    fn register_invalidations(&self, registry: &mut Registry) {
        registry.register("redis_invalidations_published", "Invalidations published", self.published.clone());
        let applied = "Invalidations of other replicas applied";
        registry.register("redis_invalidations_applied", applied, self.applied.clone());
        let gaps = "Times that every cached caller was dropped because invalidations were missed";
        registry.register("redis_invalidation_gaps", gaps, self.gaps.clone());
        let unpublished = "Invalidations that could not be published";
        registry.register("redis_invalidations_unpublished", unpublished, self.unpublished.clone());
        let lag = "Seconds from publishing the last invalidation to applying it here";
        registry.register("redis_invalidation_lag_seconds", lag, self.lag.clone());
        registry.register("redis_replicas", "Replicas that are alive", self.replicas.clone());
    }
}
