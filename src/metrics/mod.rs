//! Every figure of one process, and the page that shows them.
//!
//! Whoever counts something is handed the figures; nothing is global, so that each test begins at zero. What labels may say
//! stands with them.

mod figures;
mod upstream;

pub use figures::{
    Decision, DeliveryLabel, JobLabel, Metrics, PasswordMetrics, ReadingLabel, RecordLabel, ReloadLabel,
    RunLabel, Seconds, ShadowLabel,
};
pub use upstream::{EndpointLabel, RetryLabel, UPSTREAM_OUTCOMES, UpstreamMetrics, UpstreamRequestLabel};
