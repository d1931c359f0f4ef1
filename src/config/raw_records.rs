//! The mirror of what is written down elsewhere: `[log]`, `[tracing]`, `[audit]`.
//!
//! A part of [`super::raw`], by the same rules: every setting optional, every mistake kept beside its value.

use std::{path::PathBuf, time::Duration};

use serde::Deserialize;

use super::{lenient::Lenient, log::LogFormat, tracing::Ratio};
use crate::auth::secret::Secret;

/// `[log]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawLog {
    pub(super) level: Lenient<String>,
    pub(super) format: Lenient<LogFormat>,
    pub(super) access: Lenient<String>,
    pub(super) slow_request: Lenient<Duration>,
    pub(super) slow_sample: Lenient<usize>,
    pub(super) refused_sample: Lenient<usize>,
}

/// `[tracing]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawTracing {
    pub(super) endpoint: Lenient<String>,
    pub(super) ratio: Lenient<Ratio>,
    pub(super) service: Lenient<String>,
    pub(super) headers: Lenient<Secret<String>>,
    pub(super) headers_file: Lenient<PathBuf>,
    pub(super) ca_file: Lenient<PathBuf>,
    pub(super) timeout: Lenient<Duration>,
    pub(super) queue: Lenient<usize>,
    pub(super) batch: Lenient<usize>,
    pub(super) delay: Lenient<Duration>,
}

/// `[audit]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawAudit {
    pub(super) file: Lenient<PathBuf>,
    pub(super) replays: Lenient<usize>,
    pub(super) webhook: RawWebhook,
}

/// `[audit.webhook]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawWebhook {
    pub(super) url: Lenient<Secret<String>>,
    pub(super) secret: Lenient<Secret<String>>,
    pub(super) secret_file: Lenient<PathBuf>,
    pub(super) allow_http: Lenient<bool>,
    pub(super) queue: Lenient<usize>,
    pub(super) timeout: Lenient<Duration>,
}
