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
    log::LogFormat,
    magento::{AccountShare, SettingsHome},
    oauth::{Reading, SignatureMethod},
    origin::{HostPort, Origin},
    replies::Replies,
    scope::Authenticate,
    sessions::HandlerWord,
    tokens::Issuer,
    upstream::Credentials,
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
    pub(super) cache: RawCache,
    pub(super) sessions: RawSessions,
    pub(super) scope: RawScope,
    pub(super) acl: RawAcl,
    pub(super) integrations: RawIntegrations,
    pub(super) headers: RawHeaders,
    pub(super) forms: RawForms,
    pub(super) tokens: RawTokens,
    pub(super) compat: RawCompat,
    pub(super) handshake: RawHandshake,
    pub(super) log: RawLog,
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
    pub(super) drain_timeout: Lenient<Duration>,
    pub(super) max_connections: Lenient<usize>,
}

/// `[upstream]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawUpstream {
    pub(super) url: Lenient<Origin>,
    pub(super) credentials: Lenient<Credentials>,
    pub(super) connect_timeout: Lenient<Duration>,
    pub(super) response_timeout: Lenient<Duration>,
    pub(super) idle_timeout: Lenient<Duration>,
    pub(super) max_idle: Lenient<usize>,
    pub(super) proof: RawProof,
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
    pub(super) max: Lenient<usize>,
    pub(super) journal: Lenient<String>,
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

/// `[log]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawLog {
    pub(super) level: Lenient<String>,
    pub(super) format: Lenient<LogFormat>,
    pub(super) access: Lenient<String>,
}

/// `[reload]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawReload {
    pub(super) watch: Lenient<bool>,
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
