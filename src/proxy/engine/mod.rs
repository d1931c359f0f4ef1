//! The inline proxy on hyper: sockets in, decisions in the middle, sockets out.
//!
//! Everything that knows hyper is in this folder, so that another codec could take its place. One worker a core, each
//! with a runtime, a listener and upstream connections of its own; the pipeline, the facts and the nonces are shared.

mod body;
mod connection;
mod exchange;
mod form;
mod own;
mod progress;
mod report;
mod scan;
mod upgrade;
mod upstream;
mod worker;

pub use form::FormBudget;
pub use upstream::{
    BreakerSettings, EjectionSettings, EndpointSettings, Fleet, Http2, MAX_ENDPOINTS, ProbeSettings, Reach,
    TlsClient, TlsError, TlsTexts, UpstreamSettings, tend,
};
pub use worker::{Shared, Worker, WorkerSettings};
