//! `[reload]`: when a changed configuration is taken up, and which settings can be while the gate runs.
//!
//! The others are bound to what a start opens (listeners, the store, the journal, the cache's memory) or to what nonces
//! were kept by. A configuration that changes one of them is refused as a whole: one that is half in force is none that
//! somebody wrote.

use super::{keys::KEYS, load::Config, raw::RawReload, report::Report};
use crate::auth::secret::Secret;

/// Settings and whole sections that a reload takes up.
const LIVE: &[&str] = &[
    "replies",
    "listen.trusted_proxies",
    "listen.hosts",
    "listen.header_timeout",
    "listen.idle_timeout",
    "listen.max_header_bytes",
    "listen.max_headers",
    "listen.max_body",
    "listen.drain_delay",
    "listen.drain_timeout",
    "listen.max_streams",
    "listen.h2c",
    "listen.write_timeout",
    "listen.min_body_rate",
    "listen.body_grace",
    "listen.proxy_protocol",
    "listen.trace_context",
    "listen.tls",
    "listen.admin_tls",
    "upstream",
    "magento",
    "oauth.signature_methods",
    "oauth.readings",
    "oauth.origin",
    "sessions.cookie",
    "sessions.lifetime",
    "sessions.admin",
    "scope",
    "acl",
    "headers",
    "limits.mode",
    "limits.headers",
    "limits.ipv4_prefix",
    "limits.ipv6_prefix",
    "limits.max_keys",
    "limits.on_outage",
    "limits.class",
    "limits.rule",
    "handshake",
    "log.level",
    "log.slow_request",
    "log.slow_sample",
    "log.refused_sample",
    "tracing.ratio",
];

/// When a change is taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reload {
    /// Whether files are watched; SIGHUP is obeyed either way.
    pub watch: bool,
}

impl Reload {
    pub(super) fn parse(raw: RawReload, report: &mut Report) -> Self {
        let RawReload { watch } = raw;
        Self { watch: report.take("reload.watch", watch, true) }
    }
}

/// Whether a running gate can take up a change of this setting.
#[must_use]
pub fn is_live(key: &str) -> bool {
    LIVE.iter()
        .any(|live| key.strip_prefix(live).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
}

impl Config {
    /// The names of the settings whose values differ. A secret is compared by its value, wherever it was written.
    #[must_use]
    pub fn changes(&self, other: &Self) -> Vec<&'static str> {
        let mut changed: Vec<_> =
            KEYS.iter().filter(|key| self.shown(key) != other.shown(key)).copied().collect();
        let secrets = self.secrets().into_iter().zip(other.secrets());
        changed.extend(secrets.filter(|((_, one), (_, two))| !is_same(*one, *two)).map(|((key, _), _)| key));
        changed
    }

    fn shown(&self, key: &str) -> Option<&str> {
        self.effective().iter().find(|setting| setting.key == key).map(|setting| setting.value.as_str())
    }

    /// The secrets, which are shown as stars.
    fn secrets(&self) -> [(&'static str, Option<&Secret<String>>); 8] {
        let proof = self.upstream.proof.as_ref();
        let (webhook, tracing) = (self.audit.webhook.as_ref(), self.tracing.as_ref());
        [
            ("magento.crypt_key", Some(&self.magento.crypt_key)),
            ("upstream.proof.secret", proof.map(super::Proof::secret)),
            ("sessions.redis_url", self.sessions.redis_url()),
            ("redis.url", self.redis.as_ref().and_then(super::Redis::url)),
            ("redis.password", self.redis.as_ref().and_then(|redis| redis.password.as_ref())),
            ("audit.webhook.url", webhook.map(|webhook| &webhook.url)),
            ("audit.webhook.secret", webhook.map(|webhook| &webhook.secret)),
            ("tracing.headers", tracing.and_then(|tracing| tracing.headers.as_ref())),
        ]
    }
}

fn is_same(one: Option<&Secret<String>>, two: Option<&Secret<String>>) -> bool {
    match (one, two) {
        (Some(one), Some(two)) => one.equals(two.expose().as_bytes()),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_live_name_is_a_setting_or_a_section() {
        for live in LIVE {
            assert!(KEYS.iter().any(|key| key == live || key.starts_with(&format!("{live}."))), "{live}");
        }
    }

    #[test]
    fn what_a_start_opens_needs_a_restart() {
        for (key, expected) in [
            ("upstream.url", true),
            ("upstream.proof.secret_file", true),
            ("replies", true),
            ("acl.mode", true),
            ("magento.crypt_key", true),
            ("listen.proxy", false),
            ("store.url", false),
            ("nonces.max", false),
            ("oauth.timestamp_window", false),
            ("oauth.readings", true),
            ("aclx.mode", false),
            ("reload.watch", false),
        ] {
            assert_eq!(is_live(key), expected, "{key}");
        }
    }
}
