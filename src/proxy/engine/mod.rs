//! The inline proxy: sockets in, decisions in the middle, sockets out.
//!
//! HTTP/1 is read and written here, HTTP/2 by hyper, and nothing outside this folder knows. One worker a core, each
//! with a runtime, a listener and upstream connections of its own; the pipeline, the facts and the nonces are shared.

mod arrival;
mod body;
mod connection;
mod decoder;
mod exchange;
mod fields;
mod form;
mod http1;
mod http2;
mod own;
mod preface;
mod progress;
mod report;
mod scan;
mod security;
mod stall;
pub mod strict;
mod tell;
mod upgrade;
mod upstream;
mod worker;

pub use arrival::TlsSettings;
pub use form::FormBudget;
pub use stall::Pace;
pub use upstream::{
    BreakerSettings, EjectionSettings, EndpointSettings, Fleet, Http2, MAX_ENDPOINTS, ProbeSettings, Reach,
    TlsClient, TlsError, TlsTexts, UpstreamSettings, tend,
};
pub use worker::{Backlog, Shared, Worker, WorkerSettings};
