//! Figures for Prometheus: what was decided, how long it took, how full things are.
//!
//! Every label value is one of a closed set of words, or a name that the operator wrote: no path, host, user or address of a
//! client ever becomes a label, so a scan of the site cannot blow up the time series.

mod edge;
mod figures;
mod lookup;
mod redis;
mod spans;
mod upstream;

pub use edge::{CertificateLabel, ClosedLabel, EdgeMetrics, HandshakeLabel};
pub use figures::{
    Decision, DeliveryLabel, ExchangeLabel, JobLabel, LimitLabel, Metrics, PasswordMetrics, ReadingLabel,
    RecordLabel, ReloadLabel, RunLabel, Seconds, ShadowLabel,
};
pub use lookup::{LookupLabel, LookupMetrics};
pub use redis::{CommandLabel, RedisMetrics, SharedNonceLabel};
pub use spans::{SpanLabel, SpanMetrics};
pub use upstream::{EndpointLabel, RetryLabel, UPSTREAM_OUTCOMES, UpstreamMetrics, UpstreamRequestLabel};
