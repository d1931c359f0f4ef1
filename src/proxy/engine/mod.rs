//! The inline proxy on hyper: sockets in, decisions in the middle, sockets out.
//!
//! Everything that knows hyper is in this folder, so that another codec could take its place. One worker a core, each
//! with a runtime, a listener and upstream connections of its own; the pipeline, the facts and the nonces are shared.

mod arrival;
mod body;
mod connection;
mod exchange;
mod form;
mod http2;
mod own;
mod progress;
mod report;
mod scan;
mod security;
mod stall;
pub mod strict;
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
