//! The way to the upstream: several endpoints, the connections to them, and what is known of their health.
//!
//! A worker has a [`Pool`] of its own, with a lane of connections for each endpoint; all workers share the [`Fleet`], which is
//! read by atomic loads and written only when something fails or recovers. A request chooses an endpoint, borrows a connection
//! and gives it back at the end of its answer. Questions about health and names live on another runtime ([`tend()`]).

mod answer;
mod breaker;
mod budget;
mod endpoint;
mod fleet;
mod held;
mod http2;
mod lane;
mod line;
mod pool;
mod probe;
mod send;
mod settings;
mod tend;
mod tls;
mod upload;
mod vitals;
mod wire;

pub use fleet::Fleet;
pub(super) use held::{AnswerBody, Lease};
pub(super) use pool::Pool;
pub(super) use send::{Journey, send};
pub use settings::{
    BreakerSettings, EjectionSettings, EndpointSettings, Http2, MAX_ENDPOINTS, ProbeSettings, Reach,
    UpstreamSettings,
};
pub use tend::tend;
pub use tls::{TlsClient, TlsError, TlsTexts};
