//! Every figure of one process and how it is shown.
//!
//! Figures are cheap to count and are brought to text only when somebody asks.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
        info::Info,
    },
    registry::Registry,
};

use super::{
    edge::EdgeMetrics, lookup::LookupMetrics, redis::RedisMetrics, spans::SpanMetrics,
    upstream::UpstreamMetrics,
};

/// The labels of a decision.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Decision {
    /// `guest`, `customer`, `admin`, `integration`.
    pub context: &'static str,
    /// `forwarded`, `answered` (by the gate itself) or `refused`.
    pub result: &'static str,
    /// Why: the class of a refusal, or how the caller was proven.
    pub reason: &'static str,
}

/// The labels of a verified signature.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReadingLabel {
    /// `rfc5849` or `magento`.
    pub reading: &'static str,
}

/// The labels of a comparison with the upstream.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ShadowLabel {
    /// `agree`, `only_gate`, `only_upstream` or `unknown`.
    pub outcome: &'static str,
    /// What we would have done: `pass`, `unknown`, or the class of the refusal.
    pub reason: &'static str,
}

/// The labels of a reload.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReloadLabel {
    /// `taken_up` or `refused`.
    pub result: &'static str,
}

/// The labels of what a rate limit decided.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LimitLabel {
    /// The rule's name, of which the configuration has few.
    pub rule: String,
    /// `admitted`, `refused`, `reported` (over the limit and let through), or `outage` (the replicas could not be reached).
    pub outcome: &'static str,
}

/// The labels of what replicas tell each other of their rate limits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ExchangeLabel {
    /// `done` or `failed`.
    pub result: &'static str,
}

/// The figures of password hashing.
#[derive(Debug, Clone)]
pub struct PasswordMetrics {
    /// Hashes being computed.
    pub running: Gauge,
    /// Callers who wait for a worker.
    pub waiting: Gauge,
    /// Callers who were sent away.
    pub refused: Counter,
    /// Seconds that one hash took, waiting not included.
    pub seconds: Histogram,
}

/// The labels of audit records.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RecordLabel {
    /// `written`, `failed` (the file could not be written), `dropped` (no room in the queue) or `suppressed` (too many a
    /// second).
    pub result: &'static str,
}

/// The labels of deliveries to the audit's webhook.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DeliveryLabel {
    /// `delivered`, `retried`, `refused` (given up) or `dropped` (no room in the queue).
    pub result: &'static str,
}

/// The labels of a job. Not `job`: Prometheus calls what it scrapes so.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct JobLabel {
    /// The job's name.
    pub task: &'static str,
}

/// The labels of a job's runs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RunLabel {
    /// The job's name.
    pub task: &'static str,
    /// `done`, `failed`, or `elsewhere` (another process runs it or just has).
    pub result: &'static str,
}

/// A gauge of seconds.
pub type Seconds = Gauge<f64, AtomicU64>;

/// Every figure of one process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Decisions by context, result and reason.
    pub decisions: Family<Decision, Counter>,
    /// Verified signatures by the reading that verified them.
    pub signatures: Family<ReadingLabel, Counter>,
    /// Verdicts compared with the upstream's, in shadow mode.
    pub shadow: Family<ShadowLabel, Counter>,
    /// What rate limits decided.
    pub limits: Family<LimitLabel, Counter>,
    /// Requests that shared a bucket because a rule's table had no room for their owner.
    pub limit_overflow: Counter,
    /// What replicas told each other of their rate limits.
    pub limit_exchanges: Family<ExchangeLabel, Counter>,
    /// Requests that carried a header only we may set.
    pub spoofed: Counter,
    /// Seconds from a request's head to the decision, store lookups included.
    pub auth_seconds: Histogram,
    /// Seconds from the decision to the head of the upstream's answer.
    pub upstream_seconds: Histogram,
    /// The upstream's endpoints.
    pub upstream: UpstreamMetrics,
    /// Password hashing.
    pub passwords: PasswordMetrics,
    /// Connections before and beside their requests.
    pub edge: EdgeMetrics,
    /// Panics in connections' tasks.
    pub panics: Counter,
    /// Requests under way.
    pub in_flight: Gauge,
    /// Open client connections.
    pub connections: Gauge,
    /// Cached facts that let somebody in.
    pub cached_grants: Gauge,
    /// Cached facts that let nobody in.
    pub cached_refusals: Gauge,
    /// Live nonces.
    pub nonces: Gauge,
    /// 1 while the store answers.
    pub store_up: Gauge,
    /// Reloads of the configuration by their result.
    pub reloads: Family<ReloadLabel, Counter>,
    /// 1 where the last reload was taken up, or none was tried; 0 where it was refused.
    pub reload_ok: Gauge,
    /// When the configuration in force was taken up, in seconds since 1970.
    pub reloaded_at: Gauge,
    /// Access log lines dropped because the log could not keep up.
    pub log_lines_dropped: Counter,
    /// How often the machine's clock jumped by the window of timestamps or more.
    pub clock_jumps: Counter,
    /// Lookups that went to the store.
    pub lookups: Counter,
    /// What came of them.
    pub lookup: LookupMetrics,
    /// Seconds since the last completed look at what changed in the store.
    pub change_age: Seconds,
    /// Seconds after which a change in a Magento's own database is seen at the latest, with the callers cached now.
    pub change_promise: Seconds,
    /// Seconds between the last two completed looks.
    pub change_interval: Seconds,
    /// Subjects whose cached facts were dropped because the store changed.
    pub changes_seen: Counter,
    /// Audit records by result.
    pub audit_records: Family<RecordLabel, Counter>,
    /// Deliveries to the audit's webhook by result.
    pub audit_deliveries: Family<DeliveryLabel, Counter>,
    /// Records that wait for the webhook.
    pub audit_queue: Gauge,
    /// Seconds that the oldest of them has waited.
    pub audit_lag: Seconds,
    /// Runs of jobs by result.
    pub job_runs: Family<RunLabel, Counter>,
    /// Rows that jobs deleted.
    pub job_rows: Family<JobLabel, Counter>,
    /// How long the last run of a job took, in seconds.
    pub job_seconds: Family<JobLabel, Seconds>,
    /// When a job was last done, in seconds since 1970.
    pub job_success: Family<JobLabel, Gauge>,
    /// What replicas share through Redis.
    pub redis: RedisMetrics,
    /// Spans that are sent to a collector.
    pub spans: SpanMetrics,
}

impl PasswordMetrics {
    fn new() -> Self {
        Self {
            running: Gauge::default(),
            waiting: Gauge::default(),
            refused: Counter::default(),
            seconds: Histogram::new(exponential_buckets(0.005, 2.0, 10)),
        }
    }

    fn register(&self, registry: &mut Registry) {
        registry.register("password_hashes_running", "Password hashes being computed", self.running.clone());
        let waiting = "Logins that wait for a worker to hash the password";
        registry.register("password_hashes_waiting", waiting, self.waiting.clone());
        let refused = "Logins sent away because too many passwords were being hashed";
        registry.register("password_hashes_refused", refused, self.refused.clone());
        let seconds = "Seconds that one password check took, waiting not included";
        registry.register("password_hash_duration_seconds", seconds, self.seconds.clone());
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Fresh figures, all zero.
    #[must_use]
    pub fn new() -> Self {
        let seconds = || Histogram::new(exponential_buckets(0.000_01, 4.0, 11));
        let mut metrics = Self {
            registry: Registry::with_prefix("portcullis"),
            decisions: Family::default(),
            signatures: Family::default(),
            shadow: Family::default(),
            limits: Family::default(),
            limit_overflow: Counter::default(),
            limit_exchanges: Family::default(),
            spoofed: Counter::default(),
            edge: EdgeMetrics::default(),
            panics: Counter::default(),
            upstream: UpstreamMetrics::default(),
            passwords: PasswordMetrics::new(),
            auth_seconds: seconds(),
            upstream_seconds: seconds(),
            in_flight: Gauge::default(),
            connections: Gauge::default(),
            cached_grants: Gauge::default(),
            cached_refusals: Gauge::default(),
            nonces: Gauge::default(),
            store_up: Gauge::default(),
            reloads: Family::default(),
            reload_ok: Gauge::default(),
            reloaded_at: Gauge::default(),
            log_lines_dropped: Counter::default(),
            clock_jumps: Counter::default(),
            lookups: Counter::default(),
            lookup: LookupMetrics::default(),
            change_age: Seconds::default(),
            change_promise: Seconds::default(),
            change_interval: Seconds::default(),
            changes_seen: Counter::default(),
            audit_records: Family::default(),
            audit_deliveries: Family::default(),
            audit_queue: Gauge::default(),
            audit_lag: Seconds::default(),
            job_runs: Family::default(),
            job_rows: Family::default(),
            job_seconds: Family::default(),
            job_success: Family::default(),
            redis: RedisMetrics::default(),
            spans: SpanMetrics::default(),
        };
        metrics.register_decisions();
        metrics.register_limits();
        metrics.register_state();
        metrics.passwords.register(&mut metrics.registry);
        metrics.lookup.register(&mut metrics.registry);
        metrics.upstream.register(&mut metrics.registry);
        metrics.register_changes();
        metrics.register_audit();
        metrics.register_jobs();
        metrics.redis.register(&mut metrics.registry);
        metrics.edge.register(&mut metrics.registry);
        metrics.spans.register(&mut metrics.registry);
        metrics
    }

    fn register_decisions(&mut self) {
        let registry = &mut self.registry;
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The running version", build);
        registry.register(
            "auth_decisions",
            "Decisions by context, result and reason",
            self.decisions.clone(),
        );
        registry.register("oauth_readings", "Verified signatures by reading", self.signatures.clone());
        let shadow = "Our verdicts beside the upstream's, in shadow mode";
        registry.register("shadow_verdicts", shadow, self.shadow.clone());
        registry.register(
            "spoofed_requests",
            "Requests that carried a reserved header",
            self.spoofed.clone(),
        );
        let auth = "Seconds from a request's head to the decision";
        registry.register("auth_duration_seconds", auth, self.auth_seconds.clone());
        let upstream = "Seconds from the decision to the head of the upstream's answer";
        registry.register("upstream_duration_seconds", upstream, self.upstream_seconds.clone());
    }

    fn register_limits(&mut self) {
        let registry = &mut self.registry;
        registry.register("ratelimit_decisions", "What rate limits decided", self.limits.clone());
        let overflow = "Requests that shared a bucket because a rule's table was full";
        registry.register("ratelimit_overflow", overflow, self.limit_overflow.clone());
        let exchanges = "What replicas told each other of their rate limits";
        registry.register("ratelimit_exchanges", exchanges, self.limit_exchanges.clone());
    }

    fn register_state(&mut self) {
        let registry = &mut self.registry;
        registry.register("panics", "Panics in connections' tasks", self.panics.clone());
        registry.register("requests_in_flight", "Requests under way", self.in_flight.clone());
        registry.register("connections", "Open client connections", self.connections.clone());
        registry.register("cache_grants", "Cached facts that let somebody in", self.cached_grants.clone());
        registry.register("cache_refusals", "Cached facts that let nobody in", self.cached_refusals.clone());
        registry.register("nonce_store_entries", "Live nonces", self.nonces.clone());
        let jumps = "Times that the machine's clock jumped by the window of timestamps or more";
        registry.register("clock_jumps", jumps, self.clock_jumps.clone());
        registry.register("store_up", "1 while the store answers", self.store_up.clone());
        let ok = "1 where the last reload was taken up, 0 where it was refused";
        registry.register("config_last_reload_successful", ok, self.reload_ok.clone());
        let at = "When the configuration in force was taken up";
        registry.register("config_last_reload_success_timestamp_seconds", at, self.reloaded_at.clone());
        registry.register("config_reloads", "Reloads by result", self.reloads.clone());
        let dropped = "Access log lines dropped because the log could not keep up";
        registry.register("access_log_dropped", dropped, self.log_lines_dropped.clone());
    }

    fn register_changes(&mut self) {
        let registry = &mut self.registry;
        registry.register("store_lookups", "Lookups that went to the store", self.lookups.clone());
        let age = "Seconds since the last completed look at what changed in the store";
        registry.register("cache_lag_seconds", age, self.change_age.clone());
        let promise =
            "Seconds after which a change in a Magento's own database is seen at the latest; 0 elsewhere";
        registry.register("cache_promise_seconds", promise, self.change_promise.clone());
        let interval = "Seconds between the last two completed looks";
        registry.register("cache_look_interval_seconds", interval, self.change_interval.clone());
        let seen = "Subjects whose cached facts were dropped because the store changed";
        registry.register("cache_invalidations", seen, self.changes_seen.clone());
    }

    fn register_audit(&mut self) {
        let registry = &mut self.registry;
        registry.register("audit_records", "Audit records by result", self.audit_records.clone());
        let deliveries = "Deliveries to the audit's webhook by result";
        registry.register("audit_deliveries", deliveries, self.audit_deliveries.clone());
        registry.register("audit_queue", "Records that wait for the webhook", self.audit_queue.clone());
        let lag = "Seconds that the oldest record has waited for the webhook";
        registry.register("audit_lag_seconds", lag, self.audit_lag.clone());
    }

    fn register_jobs(&mut self) {
        let registry = &mut self.registry;
        registry.register("job_runs", "Runs of jobs by result", self.job_runs.clone());
        registry.register("job_rows_deleted", "Rows that jobs deleted", self.job_rows.clone());
        let seconds = "How long the last run of a job took";
        registry.register("job_last_run_seconds", seconds, self.job_seconds.clone());
        let success = "When a job was last done, in seconds since 1970";
        registry.register("job_last_success_timestamp_seconds", success, self.job_success.clone());
    }

    /// The figures as text, in the OpenMetrics form that Prometheus reads.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut page = String::with_capacity(8192);
        // Writing to a String does not fail.
        let _ = text::encode(&mut page, &self.registry);
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counted_decision_shows_on_the_page() {
        let metrics = Metrics::new();
        let decision = Decision { context: "guest", result: "refused", reason: "resource_denied" };
        metrics.decisions.get_or_create(&decision).inc();
        let page = metrics.encode();
        assert!(page.contains(
            "portcullis_auth_decisions_total{context=\"guest\",result=\"refused\",reason=\"resource_denied\"} 1"
        ));
        assert!(page.ends_with("# EOF\n"));
    }
}
