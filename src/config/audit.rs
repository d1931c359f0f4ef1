//! `[audit]`: where the record of what happened to credentials goes.
//!
//! Off unless a file is named. The webhook carries what the file has, so it needs the file; its URL is read as a secret,
//! because such URLs often carry one.

use std::{path::PathBuf, time::Duration};

use http::Uri;

use super::{
    raw_records::{RawAudit, RawWebhook},
    report::Report,
    secret,
};
use crate::auth::secret::Secret;

/// A shorter key could be guessed from one delivery.
const SHORTEST_KEY: usize = 24;

/// Where records go.
#[derive(Debug, Clone)]
pub struct Audit {
    /// The file; without one nothing is recorded.
    pub file: Option<PathBuf>,
    /// Most records of replayed nonces a second; zero writes none.
    pub replays: u32,
    /// Where records go besides.
    pub webhook: Option<Webhook>,
}

/// A receiver of records.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// Where it listens.
    pub url: Secret<String>,
    /// The key of signatures.
    pub secret: Secret<String>,
    /// Records that wait for it at a time; a further one is dropped.
    pub queue: usize,
    /// How long one delivery may take.
    pub timeout: Duration,
}

impl Audit {
    pub(super) fn parse(raw: RawAudit, report: &mut Report) -> Self {
        let RawAudit { file, replays, webhook } = raw;
        let file = report.take_path("audit.file", file);
        let replays = report.take_within("audit.replays", replays, 10, 0..=10_000);
        let webhook = Webhook::parse(webhook, report);
        if webhook.is_some() && file.is_none() && !report.is_wrong("audit.file") {
            report.error("audit.webhook.url", "carries what the file has; set audit.file");
        }
        Self { file, replays: u32::try_from(replays).unwrap_or(u32::MAX), webhook }
    }
}

impl Webhook {
    fn parse(raw: RawWebhook, report: &mut Report) -> Option<Self> {
        let RawWebhook { url, secret, secret_file, allow_http, queue, timeout } = raw;
        let is_written = url.is_written();
        let url = report.take_optional("audit.webhook.url", url);
        let has_secret = secret.is_written() || secret_file.is_written();
        let secret = secret::take(
            report,
            ("audit.webhook.secret", secret),
            ("audit.webhook.secret_file", secret_file),
        );
        let allow_http = report.take("audit.webhook.allow_http", allow_http, false);
        let queue = report.take_within("audit.webhook.queue", queue, 10_000, 1..=1_000_000);
        let timeout = report.take_within(
            "audit.webhook.timeout",
            timeout,
            Duration::from_secs(10),
            Duration::from_millis(100)..=Duration::from_secs(60),
        );
        if is_written && !has_secret {
            report.error(
                "audit.webhook.secret_file",
                "is required with audit.webhook.url; name a file with a key",
            );
        }
        if let Some(url) = &url {
            check_url(url.expose(), allow_http, report);
        }
        if secret.as_ref().is_some_and(|secret| secret.expose().len() < SHORTEST_KEY) {
            let text =
                format!("is shorter than {SHORTEST_KEY} characters; make one with: openssl rand -hex 32");
            report.error("audit.webhook.secret", text);
        }
        Some(Self { url: url?, secret: secret?, queue, timeout })
    }
}

/// Texts do not repeat the URL, which may carry a secret.
fn check_url(url: &str, allow_http: bool, report: &mut Report) {
    let problem = match url.parse::<Uri>() {
        Ok(uri) => match (uri.scheme_str(), uri.authority()) {
            (Some("https" | "http"), Some(authority)) if authority.as_str().contains('@') => {
                Some("has a user name, which is not sent; receivers know us by the signature")
            }
            (Some("https"), Some(_)) => None,
            (Some("http"), Some(_)) if allow_http => None,
            (Some("http"), Some(_)) => Some(
                "is not https; records would be readable on the way (audit.webhook.allow_http lets them)",
            ),
            _ => Some("is not a URL of https; write one such as \"https://siem.example.com/hook\""),
        },
        Err(_) => Some("is not a URL; write one such as \"https://siem.example.com/hook\""),
    };
    if let Some(problem) = problem {
        report.error("audit.webhook.url", problem);
    }
}
