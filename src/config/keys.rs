//! The names of all settings, and the nearest of them to a mistyped one.
//!
//! The list stands in the order of the sample file. A test holds it against what the sections really read, so a
//! setting cannot be added on one side alone. Values and defaults live with the sections.

/// Every setting, as `section.key`; `replies` stands alone because it belongs to no section.
pub(super) const KEYS: &[&str] = &[
    "replies",
    "listen.proxy",
    "listen.admin",
    "listen.trusted_proxies",
    "listen.hosts",
    "listen.workers",
    "listen.header_timeout",
    "listen.idle_timeout",
    "listen.max_header_bytes",
    "listen.max_headers",
    "listen.max_body",
    "listen.drain_delay",
    "listen.drain_timeout",
    "listen.max_connections",
    "listen.h2c",
    "listen.max_streams",
    "listen.write_timeout",
    "listen.min_body_rate",
    "listen.body_grace",
    "listen.proxy_protocol",
    "listen.trace_context",
    "listen.tls.certificate_file",
    "listen.tls.key_file",
    "listen.tls.certificates",
    "listen.tls.strict_sni",
    "listen.tls.handshake_timeout",
    "listen.tls.client_ca_file",
    "listen.tls.client_auth",
    "listen.admin_tls.certificate_file",
    "listen.admin_tls.key_file",
    "listen.admin_tls.certificates",
    "listen.admin_tls.strict_sni",
    "listen.admin_tls.handshake_timeout",
    "listen.admin_tls.client_ca_file",
    "listen.admin_tls.client_auth",
    "upstream.url",
    "upstream.endpoint",
    "upstream.credentials",
    "upstream.connect_timeout",
    "upstream.response_timeout",
    "upstream.idle_timeout",
    "upstream.max_idle",
    "upstream.max_connections",
    "upstream.max_pending",
    "upstream.pending_timeout",
    "upstream.resolve_interval",
    "upstream.http2",
    "upstream.retry_budget",
    "upstream.slow_start",
    "upstream.panic_threshold",
    "upstream.require_healthy",
    "upstream.tls.ca_file",
    "upstream.tls.certificate_file",
    "upstream.tls.key_file",
    "upstream.tls.server_name",
    "upstream.ejection.failures",
    "upstream.ejection.window",
    "upstream.ejection.time",
    "upstream.ejection.max_time",
    "upstream.ejection.max_ejected",
    "upstream.breaker.requests",
    "upstream.breaker.failures",
    "upstream.breaker.window",
    "upstream.breaker.open",
    "upstream.health.path",
    "upstream.health.host",
    "upstream.health.interval",
    "upstream.health.timeout",
    "upstream.health.healthy",
    "upstream.health.unhealthy",
    "upstream.health.status",
    "upstream.proof.header",
    "upstream.proof.secret",
    "upstream.proof.secret_file",
    "store.url",
    "store.read_url",
    "store.attached",
    "store.table_prefix",
    "store.max_connections",
    "store.lookup_timeout",
    "store.max_lookups",
    "magento.crypt_key",
    "magento.crypt_key_file",
    "magento.env_php",
    "magento.version",
    "magento.settings",
    "magento.integration_as_bearer",
    "magento.jwt_algorithm",
    "magento.jwt_accept_keys",
    "magento.jwt_admin",
    "magento.customer_token_lifetime",
    "magento.admin_token_lifetime",
    "magento.account_share",
    "magento.allow_insecure",
    "oauth.signature_methods",
    "oauth.timestamp_window",
    "oauth.future_window",
    "oauth.readings",
    "oauth.origin",
    "nonces.store",
    "nonces.max",
    "nonces.journal",
    "redis.url",
    "redis.url_file",
    "redis.mode",
    "redis.nodes",
    "redis.sentinel_master",
    "redis.user",
    "redis.password",
    "redis.password_file",
    "redis.tls",
    "redis.ca_file",
    "redis.prefix",
    "redis.timeout",
    "redis.max_in_flight",
    "cache.entries",
    "cache.ttl",
    "cache.negative_entries",
    "cache.negative_ttl",
    "cache.max_stale",
    "cache.poll",
    "cache.poll_batch",
    "cache.poll_queries",
    "sessions.handler",
    "sessions.path",
    "sessions.redis_url",
    "sessions.redis_url_file",
    "sessions.cookie",
    "sessions.ttl",
    "sessions.lifetime",
    "sessions.admin",
    "scope.authenticate",
    "acl.mode",
    "acl.anonymous",
    "acl.unmatched",
    "acl.tree",
    "acl.routes",
    "integrations.file",
    "integrations.declared",
    "headers.prefix",
    "headers.acl_max",
    "forms.max",
    "forms.budget",
    "tokens.issuer",
    "tokens.two_factor",
    "tokens.password_workers",
    "tokens.password_queue",
    "tokens.password_wait",
    "tokens.rehash_on_login",
    "tokens.address_rate",
    "tokens.address_burst",
    "compat.query_credentials",
    "limits.mode",
    "limits.headers",
    "limits.ipv4_prefix",
    "limits.ipv6_prefix",
    "limits.max_keys",
    "limits.store",
    "limits.sync",
    "limits.on_outage",
    "limits.class",
    "limits.rule",
    "handshake.issuer",
    "handshake.allow_http",
    "handshake.allow_networks",
    "handshake.timeout",
    "handshake.store_base_url",
    "handshake.admin_base_url",
    "handshake.expiry",
    "handshake.request_token_lifetime",
    "log.level",
    "log.format",
    "log.access",
    "log.slow_request",
    "log.slow_sample",
    "log.refused_sample",
    "tracing.endpoint",
    "tracing.ratio",
    "tracing.service",
    "tracing.headers",
    "tracing.headers_file",
    "tracing.ca_file",
    "tracing.timeout",
    "tracing.queue",
    "tracing.batch",
    "tracing.delay",
    "reload.watch",
    "audit.file",
    "audit.replays",
    "audit.webhook.url",
    "audit.webhook.secret",
    "audit.webhook.secret_file",
    "audit.webhook.allow_http",
    "audit.webhook.queue",
    "audit.webhook.timeout",
    "jobs.authentication_failures",
    "jobs.expired_tokens",
    "jobs.nonces",
    "jobs.handshakes",
    "jobs.revocations",
    "jobs.rotations",
    "jobs.cleanup_period",
    "jobs.revocation_period",
    "jobs.batch",
];

/// Names longer than this are not compared: a suggestion for them would be noise.
const COMPARED: usize = 64;

/// Edits that still look like a slip of the hand.
const SLIP: usize = 3;

/// Whether a path names a setting.
pub(super) fn is_key(path: &str) -> bool {
    KEYS.contains(&path)
}

/// Whether a path names a section, that is, whether settings stand below it.
pub(super) fn is_section(path: &str) -> bool {
    sections().any(|section| section == path)
}

/// The known name that an unknown one was probably meant to be: the only one that ends in the same word (a setting
/// written under the wrong section), else the nearest one a slip away.
pub(super) fn nearest(path: &str) -> Option<&'static str> {
    if path.chars().count() > COMPARED {
        return None;
    }
    let path = path.to_ascii_lowercase();
    let slip = || {
        let known = KEYS.iter().copied().chain(sections()).map(|known| (edits(&path, known), known));
        let (edits, known) = known.min_by_key(|(edits, _)| *edits)?;
        (edits <= SLIP && edits * 2 < known.len()).then_some(known)
    };
    same_last_word(&path).or_else(slip)
}

fn sections() -> impl Iterator<Item = &'static str> {
    KEYS.iter().flat_map(|key| key.match_indices('.').filter_map(|(dot, _)| key.get(..dot)))
}

fn same_last_word(path: &str) -> Option<&'static str> {
    let word = path.rsplit('.').next()?;
    let mut homonyms = KEYS.iter().copied().filter(|key| key.rsplit('.').next() == Some(word));
    homonyms.next().filter(|_| homonyms.next().is_none())
}

/// Levenshtein's distance, one row at a time.
pub(crate) fn edits(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.chars().count()).collect();
    for (line, a) in left.chars().enumerate() {
        let (mut diagonal, mut before) = (line, line + 1);
        for (cell, b) in row.iter_mut().skip(1).zip(right.chars()) {
            let best = (diagonal + usize::from(a != b)).min(before + 1).min(*cell + 1);
            diagonal = std::mem::replace(cell, best);
            before = best;
        }
        if let Some(cell) = row.first_mut() {
            *cell = line + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_the_meant_name() {
        for (written, meant) in [
            ("listen.prxy", Some("listen.proxy")),
            ("lisen", Some("listen")),
            ("acl.unmached", Some("acl.unmatched")),
            ("LISTEN.PROXY", Some("listen.proxy")),
            ("listen.max_stale", Some("cache.max_stale")),
            ("upstream.negative_ttl", Some("cache.negative_ttl")),
            ("colour", None),
            ("x", None),
            (&"listen.proxy".repeat(20), None),
        ] {
            assert_eq!(nearest(written), meant, "{written}");
        }
    }

    #[test]
    fn sections_are_what_settings_stand_below() {
        assert!(is_section("upstream") && is_section("upstream.proof"));
        assert!(!is_section("up") && !is_section("replies") && !is_section("listen.proxy"));
        assert!(is_key("replies") && !is_key("listen"));
    }

    #[test]
    fn distance_counts_edits() {
        for (a, b, expected) in
            [("", "", 0), ("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3), ("a", "a", 0)]
        {
            assert_eq!(edits(a, b), expected, "{a} {b}");
        }
    }
}
