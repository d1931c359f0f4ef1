//! Figures for Prometheus: what was decided, how long it took, how full things are.
//!
//! Every label value is one of a closed set of words: no path, host, user or address ever becomes a label, so a scan of
//! the site cannot blow up the time series.

mod edge;
mod figures;
mod lookup;
mod redis;

pub use edge::{CertificateLabel, ClosedLabel, EdgeMetrics, HandshakeLabel};
pub use figures::{
    Decision, DeliveryLabel, ExchangeLabel, JobLabel, LimitLabel, Metrics, PasswordMetrics, ReadingLabel,
    RecordLabel, ReloadLabel, RunLabel, Seconds, ShadowLabel,
};
pub use lookup::{LookupLabel, LookupMetrics};
pub use redis::{CommandLabel, RedisMetrics, SharedNonceLabel};
