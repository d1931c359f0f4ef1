//! Where the parts meet: a configuration becomes a running gate.
//!
//! [`App::build`] reads every file, opens the store and the nonce journal and binds the listeners, so that whatever is
//! wrong is said before the first request. [`App::run`] starts a thread a worker and the chores, and ends them in
//! order: readiness first, then the listeners, then requests under way, then the journal.

mod announce;
mod app;
mod attached;
mod chores;
mod configured;
mod endpoints;
mod error;
mod explainer;
mod follow;
mod handed;
mod handshake;
mod jobs;
mod limits;
mod listener;
mod manager;
mod observe;
mod opened;
mod operator;
mod proof;
mod pulse;
mod recheck;
mod reload;
mod replicas;
mod run;
mod shared;
mod standing;
mod steadiness;
mod store_watch;
mod tls;
mod upstream;
mod watch;
mod wire;

pub use announce::AnnounceError;
pub use app::App;
pub use error::{BuildError, Problems, ReloadError};
pub use follow::FileWatch;
pub use handed::{Handed, HandedError};
pub use handshake::integration_service;
pub use operator::Operator;
pub use reload::Reloader;
pub use shared::RedisStatus;
pub use tls::TlsProblems;
pub(crate) use wire::Files;
