//! Figures for Prometheus: what was decided, how long it took, how full things are.
//!
//! Every label value is one of a closed set of words: no path, host, user or address ever becomes a label, so a scan of
//! the site cannot blow up the time series.

mod figures;
mod redis;

pub use figures::{
    CertificateLabel, ClosedLabel, Decision, DeliveryLabel, EdgeMetrics, ExchangeLabel, HandshakeLabel,
    JobLabel, LimitLabel, LookupLabel, LookupMetrics, Metrics, PasswordMetrics, ReadingLabel, RecordLabel,
    ReloadLabel, RunLabel, Seconds, ShadowLabel,
};
pub use redis::{CommandLabel, RedisMetrics, SharedNonceLabel};
