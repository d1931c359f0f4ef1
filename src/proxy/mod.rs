//! The way of a request through the gate, a file a stage, in this order: [`sanitize`], [`locate`], [`authenticate`],
//! [`authorize`], [`limit`], [`inject`], [`forward`], [`access_log`].
//!
//! [`pipeline`] names the stages and knows no engine; [`engine`] is the inline proxy.

pub mod access_log;
pub mod address_limit;
pub mod authenticate;
pub mod authorize;
pub mod engine;
pub mod forward;
mod forwarded;
pub mod inject;
pub mod limit;
pub mod locate;
pub mod mutations;
pub mod nonce_use;
pub mod observe;
pub mod outcome;
pub mod own;
pub mod peer;
pub mod pipeline;
pub mod proxy_line;
pub mod quotas;
pub mod replays;
pub mod reserved;
mod routes;
pub mod sanitize;
pub mod session;
pub mod shadow;
pub mod trace;
pub mod translate;
