//! The mirror of the file and the environment: every setting optional, every mistake kept beside its value.
//!
//! No rule lives here. Each struct is taken apart field by field by the section's own file, so that a new setting
//! breaks the build until it is read there, and a test until [`super::keys::KEYS`] knows it.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use ipnet::IpNet;
use serde::Deserialize;

use super::{
    acl::{Anonymous, ModeWord, Unmatched},
    declaration::Declaration,
    handshake::{BaseUrl, HandshakeIssuer},
    kinds::ByteSize,
    lenient::Lenient,
    limit_rule::{LimitMode, LimitRule, RouteClass},
    limits::{LimitHeaders, LimitStore, OnOutage},
    listen_edge::{ProxyProtocol, TraceContext},
    listen_tls::{CertificateFiles, ClientAuth},
    magento::{AccountShare, SettingsHome},
    nonces::NonceHome,
    oauth::{Reading, SignatureMethod},
    origin::{HostPort, Origin},
    raw_records::{RawAudit, RawLog, RawTracing},
    redis::RedisMode,
    replies::Replies,
    scope::Authenticate,
    sessions::HandlerWord,
    tokens::Issuer,
    upstream::Credentials,
    upstream_care::{StatusRange, UpstreamHttp2},
    upstream_endpoint::UpstreamEndpoint,
    version::MagentoVersion,
};
use crate::auth::{
    jwt::{AcceptedKeys, JwtAlgorithm},
    secret::Secret,
};

/// Everything that can be written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Raw {
    pub(super) replies: Lenient<Replies>,
    pub(super) listen: RawListen,
    pub(super) upstream: RawUpstream,
    pub(super) store: RawStore,
    pub(super) magento: RawMagento,
    pub(super) oauth: RawOauth,
    pub(super) nonces: RawNonces,
    pub(super) redis: RawRedis,
    pub(super) cache: RawCache,
    pub(super) sessions: RawSessions,
    pub(super) scope: RawScope,
    pub(super) acl: RawAcl,
    pub(super) integrations: RawIntegrations,
    pub(super) headers: RawHeaders,
    pub(super) forms: RawForms,
    pub(super) tokens: RawTokens,
    pub(super) compat: RawCompat,
    pub(super) limits: RawLimits,
    pub(super) handshake: RawHandshake,
    pub(super) log: RawLog,
    pub(super) tracing: RawTracing,
    pub(super) reload: RawReload,
    pub(super) audit: RawAudit,
    pub(super) jobs: RawJobs,
}

/// `[listen]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawListen {
    pub(super) proxy: Lenient<SocketAddr>,
    pub(super) admin: Lenient<SocketAddr>,
    pub(super) trusted_proxies: Lenient<Vec<IpNet>>,
    pub(super) hosts: Lenient<Vec<HostPort>>,
    pub(super) workers: Lenient<usize>,
    pub(super) header_timeout: Lenient<Duration>,
    pub(super) idle_timeout: Lenient<Duration>,
    pub(super) max_header_bytes: Lenient<ByteSize>,
    pub(super) max_headers: Lenient<usize>,
    pub(super) max_body: Lenient<ByteSize>,
    pub(super) drain_delay: Lenient<Duration>,
    pub(super) drain_timeout: Lenient<Duration>,
    pub(super) max_connections: Lenient<usize>,
    pub(super) h2c: Lenient<bool>,
    pub(super) max_streams: Lenient<usize>,
    pub(super) write_timeout: Lenient<Duration>,
    pub(super) min_body_rate: Lenient<ByteSize>,
    pub(super) body_grace: Lenient<Duration>,
    pub(super) proxy_protocol: Lenient<ProxyProtocol>,
    pub(super) trace_context: Lenient<TraceContext>,
    pub(super) tls: RawTls,
    pub(super) admin_tls: RawTls,
}

/// `[listen.tls]` and `[listen.admin_tls]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawTls {
    pub(super) certificate_file: Lenient<PathBuf>,
    pub(super) key_file: Lenient<PathBuf>,
    pub(super) certificates: Lenient<Vec<CertificateFiles>>,
    pub(super) strict_sni: Lenient<bool>,
    pub(super) handshake_timeout: Lenient<Duration>,
    pub(super) client_ca_file: Lenient<PathBuf>,
    pub(super) client_auth: Lenient<ClientAuth>,
}

/// `[upstream]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawUpstream {
    pub(super) url: Lenient<Origin>,
    pub(super) endpoint: Lenient<Vec<UpstreamEndpoint>>,
    pub(super) credentials: Lenient<Credentials>,
    pub(super) connect_timeout: Lenient<Duration>,
    pub(super) response_timeout: Lenient<Duration>,
    pub(super) idle_timeout: Lenient<Duration>,
    pub(super) max_idle: Lenient<usize>,
    pub(super) max_connections: Lenient<usize>,
    pub(super) max_pending: Lenient<usize>,
    pub(super) pending_timeout: Lenient<Duration>,
    pub(super) resolve_interval: Lenient<Duration>,
    pub(super) http2: Lenient<UpstreamHttp2>,
    pub(super) retry_budget: Lenient<usize>,
    pub(super) slow_start: Lenient<Duration>,
    pub(super) panic_threshold: Lenient<usize>,
    pub(super) require_healthy: Lenient<bool>,
    pub(super) tls: RawUpstreamTls,
    pub(super) ejection: RawUpstreamEjection,
    pub(super) breaker: RawUpstreamBreaker,
    pub(super) health: RawUpstreamHealth,
    pub(super) proof: RawProof,
}

/// `[upstream.tls]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawUpstreamTls {
    pub(super) ca_file: Lenient<PathBuf>,
    pub(super) certificate_file: Lenient<PathBuf>,
    pub(super) key_file: Lenient<PathBuf>,
    pub(super) server_name: Lenient<String>,
}

/// `[upstream.ejection]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawUpstreamEjection {
    pub(super) failures: Lenient<usize>,
    pub(super) window: Lenient<Duration>,
    pub(super) time: Lenient<Duration>,
    pub(super) max_time: Lenient<Duration>,
    pub(super) max_ejected: Lenient<usize>,
}

/// `[upstream.breaker]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawUpstreamBreaker {
    pub(super) requests: Lenient<usize>,
    pub(super) failures: Lenient<usize>,
    pub(super) window: Lenient<Duration>,
    pub(super) open: Lenient<Duration>,
}

/// `[upstream.health]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawUpstreamHealth {
    pub(super) path: Lenient<String>,
    pub(super) host: Lenient<HostPort>,
    pub(super) interval: Lenient<Duration>,
    pub(super) timeout: Lenient<Duration>,
    pub(super) healthy: Lenient<usize>,
    pub(super) unhealthy: Lenient<usize>,
    pub(super) status: Lenient<StatusRange>,
}

/// `[upstream.proof]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawProof {
    pub(super) header: Lenient<String>,
    pub(super) secret: Lenient<Secret<String>>,
    pub(super) secret_file: Lenient<PathBuf>,
}

/// `[store]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawStore {
    pub(super) url: Lenient<Secret<String>>,
    pub(super) read_url: Lenient<Secret<String>>,
    pub(super) attached: Lenient<bool>,
    pub(super) table_prefix: Lenient<String>,
    pub(super) max_connections: Lenient<usize>,
    pub(super) lookup_timeout: Lenient<Duration>,
    pub(super) max_lookups: Lenient<usize>,
}

/// `[magento]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawMagento {
    pub(super) crypt_key: Lenient<Secret<String>>,
    pub(super) crypt_key_file: Lenient<PathBuf>,
    pub(super) env_php: Lenient<PathBuf>,
    pub(super) version: Lenient<MagentoVersion>,
    pub(super) settings: Lenient<SettingsHome>,
    pub(super) integration_as_bearer: Lenient<bool>,
    pub(super) jwt_algorithm: Lenient<JwtAlgorithm>,
    pub(super) jwt_accept_keys: Lenient<AcceptedKeys>,
    pub(super) jwt_admin: Lenient<bool>,
    pub(super) customer_token_lifetime: Lenient<Duration>,
    pub(super) admin_token_lifetime: Lenient<Duration>,
    pub(super) account_share: Lenient<AccountShare>,
    pub(super) allow_insecure: Lenient<bool>,
}

/// `[oauth]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawOauth {
    pub(super) signature_methods: Lenient<Vec<SignatureMethod>>,
    pub(super) timestamp_window: Lenient<Duration>,
    pub(super) future_window: Lenient<Duration>,
    pub(super) readings: Lenient<Vec<Reading>>,
    pub(super) origin: Lenient<Origin>,
}

/// `[nonces]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawNonces {
    pub(super) store: Lenient<NonceHome>,
    pub(super) max: Lenient<usize>,
    pub(super) journal: Lenient<String>,
}

/// `[redis]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawRedis {
    pub(super) url: Lenient<Secret<String>>,
    pub(super) url_file: Lenient<PathBuf>,
    pub(super) mode: Lenient<RedisMode>,
    pub(super) nodes: Lenient<Vec<HostPort>>,
    pub(super) sentinel_master: Lenient<String>,
    pub(super) user: Lenient<String>,
    pub(super) password: Lenient<Secret<String>>,
    pub(super) password_file: Lenient<PathBuf>,
    pub(super) tls: Lenient<bool>,
    pub(super) ca_file: Lenient<PathBuf>,
    pub(super) prefix: Lenient<String>,
    pub(super) timeout: Lenient<Duration>,
    pub(super) max_in_flight: Lenient<usize>,
}

/// `[cache]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawCache {
    pub(super) entries: Lenient<usize>,
    pub(super) ttl: Lenient<Duration>,
    pub(super) negative_entries: Lenient<usize>,
    pub(super) negative_ttl: Lenient<Duration>,
    pub(super) max_stale: Lenient<Duration>,
    pub(super) poll: Lenient<Duration>,
    pub(super) poll_batch: Lenient<usize>,
    pub(super) poll_queries: Lenient<usize>,
}

/// `[sessions]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawSessions {
    pub(super) handler: Lenient<HandlerWord>,
    pub(super) path: Lenient<PathBuf>,
    pub(super) redis_url: Lenient<Secret<String>>,
    pub(super) redis_url_file: Lenient<PathBuf>,
    pub(super) cookie: Lenient<String>,
    pub(super) ttl: Lenient<Duration>,
    pub(super) lifetime: Lenient<Duration>,
    pub(super) admin: Lenient<bool>,
}

/// `[scope]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawScope {
    pub(super) authenticate: Lenient<Authenticate>,
}

/// `[acl]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawAcl {
    pub(super) mode: Lenient<ModeWord>,
    pub(super) anonymous: Lenient<Anonymous>,
    pub(super) unmatched: Lenient<Unmatched>,
    pub(super) tree: Lenient<PathBuf>,
    pub(super) routes: Lenient<PathBuf>,
}

/// `[integrations]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawIntegrations {
    pub(super) file: Lenient<PathBuf>,
    pub(super) declared: Lenient<Vec<Declaration>>,
}

/// `[headers]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawHeaders {
    pub(super) prefix: Lenient<String>,
    pub(super) acl_max: Lenient<ByteSize>,
}

/// `[forms]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawForms {
    pub(super) max: Lenient<ByteSize>,
    pub(super) budget: Lenient<ByteSize>,
}

/// `[tokens]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawTokens {
    pub(super) issuer: Lenient<Issuer>,
    pub(super) two_factor: Lenient<bool>,
    pub(super) password_workers: Lenient<usize>,
    pub(super) password_queue: Lenient<usize>,
    pub(super) password_wait: Lenient<Duration>,
    pub(super) rehash_on_login: Lenient<bool>,
    pub(super) address_rate: Lenient<usize>,
    pub(super) address_burst: Lenient<usize>,
}

/// `[compat]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawCompat {
    pub(super) query_credentials: Lenient<bool>,
}

/// `[limits]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawLimits {
    pub(super) mode: Lenient<LimitMode>,
    pub(super) headers: Lenient<LimitHeaders>,
    pub(super) ipv4_prefix: Lenient<usize>,
    pub(super) ipv6_prefix: Lenient<usize>,
    pub(super) max_keys: Lenient<usize>,
    pub(super) store: Lenient<LimitStore>,
    pub(super) sync: Lenient<Duration>,
    pub(super) on_outage: Lenient<OnOutage>,
    pub(super) class: Lenient<Vec<RouteClass>>,
    pub(super) rule: Lenient<Vec<LimitRule>>,
}

/// `[handshake]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawHandshake {
    pub(super) issuer: Lenient<HandshakeIssuer>,
    pub(super) allow_http: Lenient<bool>,
    pub(super) allow_networks: Lenient<Vec<IpNet>>,
    pub(super) timeout: Lenient<Duration>,
    pub(super) store_base_url: Lenient<BaseUrl>,
    pub(super) admin_base_url: Lenient<BaseUrl>,
    pub(super) expiry: Lenient<Duration>,
    pub(super) request_token_lifetime: Lenient<Duration>,
}

/// `[reload]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawReload {
    pub(super) watch: Lenient<bool>,
}

/// `[jobs]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawJobs {
    pub(super) authentication_failures: Lenient<Duration>,
    pub(super) expired_tokens: Lenient<Duration>,
    pub(super) nonces: Lenient<Duration>,
    pub(super) handshakes: Lenient<Duration>,
    pub(super) revocations: Lenient<Duration>,
    pub(super) rotations: Lenient<Duration>,
    pub(super) cleanup_period: Lenient<Duration>,
    pub(super) revocation_period: Lenient<Duration>,
    pub(super) batch: Lenient<usize>,
}
