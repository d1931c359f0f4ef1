//! From settings to parts: each function turns one topic of the configuration into what a stage needs.

use std::{fs, path::Path, sync::Arc, time::Duration};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tokio::runtime::Handle;

use super::{attached, endpoints, error::BuildError, limits};
use crate::{
    auth::{
        acl::AclTree,
        crypt_keys::CryptKeys,
        encryptor::Encryptor,
        jwt::JwtVerifiers,
        oauth1::{Reading, Readings, Scheme, SignatureMethod, SignatureMethods, TimestampWindow},
        route::RouteTable,
        secret::Secret,
    },
    config::{self, Config},
    metrics::LookupMetrics,
    proxy::{
        authenticate::AuthenticateRules,
        authorize::{AclMode, AuthorizeRules},
        engine::{Pace, TlsSettings, WorkerSettings},
        forward::{Credentials, ForwardRules, Proof},
        limit::LimitRules,
        locate::{LocateRules, Routes, Scope},
        nonce_use::NonceUse,
        peer::TrustedProxies,
        pipeline::Pipeline,
        reserved::{HeaderNames, Reserved},
        sanitize::SanitizeRules,
        session::SessionRules,
    },
    reply::{Refusals, Style},
    store::{
        StoreError,
        cache::{CacheSettings, FactCache},
        facts::{Facts, LookupSettings},
        judge::Judge,
        nonces::NonceSettings,
        reference::{ReferenceSettings, ReferenceTables},
        sessions::Sessions,
        settings::MagentoSettings,
        sql::SqlStore,
    },
};

/// A changed role is noticed within this time at the latest, whatever the cache is set to.
const SLOWEST_REFRESH: Duration = Duration::from_secs(5);

/// What was read from files.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) tree: Arc<AclTree>,
    pub(crate) routes: Option<RouteTable>,
}

impl Files {
    /// Reads the resource tree and the routes.
    pub(crate) fn read(config: &Config) -> Result<Self, BuildError> {
        let (config::AclMode::Enforce(files)
        | config::AclMode::Report(files)
        | config::AclMode::Shadow(files)) = &config.acl.mode
        else {
            return Ok(Self { tree: Arc::new(empty_tree()?), routes: None });
        };
        let text = read("acl.tree", &files.tree)?;
        let tree = AclTree::from_json(&text)
            .map_err(|source| BuildError::Tree { path: files.tree.clone(), source })?;
        let text = read("acl.routes", &files.routes)?;
        let routes = match config.scope.authenticate {
            config::Authenticate::Magento => RouteTable::from_json(&text, &tree),
            config::Authenticate::Everything => RouteTable::from_json_for_whole_paths(&text, &tree),
        };
        let routes = routes.map_err(|source| BuildError::Routes { path: files.routes.clone(), source })?;
        Ok(Self { tree: Arc::new(tree), routes: Some(routes) })
    }
}

fn read(what: &'static str, path: &Path) -> Result<String, BuildError> {
    fs::read_to_string(path).map_err(|source| BuildError::Unreadable { what, path: path.to_owned(), source })
}

/// The tree of a gate that checks nothing.
fn empty_tree() -> Result<AclTree, BuildError> {
    AclTree::from_json("[]").map_err(|source| BuildError::Tree { path: "(empty)".into(), source })
}

/// Opens the store and makes sure that its secrets open with the configured key.
pub(super) async fn open_store(config: &Config, encryptor: &Encryptor) -> Result<SqlStore, BuildError> {
    let store = name_store(config).await?;
    prove(config, &store, encryptor).await?;
    Ok(store)
}

/// The store that the configuration names; nobody has looked into it yet.
pub(super) async fn name_store(config: &Config) -> Result<SqlStore, BuildError> {
    SqlStore::unproven(&config.store).await.map_err(|source| named(config, source))
}

/// Makes sure that it is the right one: its schema is ours, and its secrets open with the configured key.
pub(super) async fn prove(
    config: &Config,
    store: &SqlStore,
    encryptor: &Encryptor,
) -> Result<(), BuildError> {
    store.prove().await.map_err(|source| named(config, source))?;
    attached::examine(config, store).await?;
    check_key(store, encryptor).await
}

fn named(config: &Config, source: StoreError) -> BuildError {
    attached::unopened(config.store.database.url(), source)
}

/// Makes sure that the store's secrets open with the configured key.
pub(super) async fn check_key(store: &SqlStore, encryptor: &Encryptor) -> Result<(), BuildError> {
    let secrets = store.some_consumer_secrets().await?;
    let opened = secrets.iter().filter(|secret| encryptor.decrypt(secret.expose()).is_ok()).count();
    if opened == 0 && !secrets.is_empty() {
        return Err(BuildError::WrongKey { consumers: secrets.len() });
    }
    if opened < secrets.len() {
        let unreadable = secrets.len() - opened;
        tracing::warn!(
            unreadable,
            of = secrets.len(),
            "consumer secrets do not decrypt; their integrations are refused"
        );
    }
    Ok(())
}

/// The settings that Magento has too.
pub(super) fn settings(config: &Config) -> Arc<MagentoSettings> {
    let reads_store = match config.magento.settings {
        config::SettingsHome::Store => true,
        config::SettingsHome::File => false,
    };
    Arc::new(MagentoSettings::new(config.magento.written.clone(), reads_store))
}

/// Where sessions are kept, if any count.
pub(super) fn sessions(config: &Config) -> Result<Option<Sessions>, BuildError> {
    let (what, opened) = match &config.sessions.storage {
        None => return Ok(None),
        Some(config::SessionStorage::Files(path)) => ("sessions.path", Sessions::in_folder(path)),
        Some(config::SessionStorage::Redis(url)) => {
            ("sessions.redis_url", Sessions::in_redis(url.expose(), config.store.lookup_timeout))
        }
    };
    opened.map(Some).map_err(|source| BuildError::Sessions { what, source })
}

/// What opens and closes stored secrets.
pub(super) fn encryptor(config: &Config) -> Result<Encryptor, BuildError> {
    Ok(Encryptor::new(&CryptKeys::parse(config.magento.crypt_key.expose())?)?)
}

/// What judges the store's rows.
pub(super) fn judge(config: &Config, settings: &Arc<MagentoSettings>) -> Result<Judge, BuildError> {
    let keys = CryptKeys::parse(config.magento.crypt_key.expose())?;
    Ok(Judge {
        encryptor: encryptor(config)?,
        jwt: JwtVerifiers::new(&config.magento.jwt_accept_keys, &keys),
        jwt_admin: config.magento.jwt_admin,
        settings: Arc::clone(settings),
        session_lifetime: config.sessions.lifetime,
        fingerprint_key: fingerprint_key(&keys),
    })
}

/// What is known of credentials; lookups live on the current runtime.
pub(super) fn facts(
    config: &Config,
    store: SqlStore,
    judge: Judge,
    metrics: &LookupMetrics,
) -> Result<Facts, BuildError> {
    let sources = (store, sessions(config)?);
    let cache = FactCache::new(cache(config));
    let (timeout, max_concurrent) = (config.store.lookup_timeout, config.store.max_lookups);
    let lookups = LookupSettings { timeout, max_concurrent, metrics: metrics.clone() };
    Ok(Facts::new(sources, judge, cache, (lookups, Handle::current())))
}

/// Derived from the crypt key, so that every replica gives a credential the same fingerprint.
fn fingerprint_key(keys: &CryptKeys) -> Secret<[u8; 32]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(keys.newest().configured().expose().as_bytes())
        .expect("HMAC takes keys of any length");
    mac.update(b"portcullis credential fingerprint");
    Secret::new(mac.finalize().into_bytes().into())
}

/// The stages of a decision.
pub(super) fn pipeline(
    config: &Config,
    (routes, names, limit): (Option<RouteTable>, HeaderNames, LimitRules),
    facts: &Facts,
    (reference, nonces): (Arc<ReferenceTables>, impl Into<NonceUse>),
) -> Pipeline {
    Pipeline {
        sanitize: sanitize(config),
        locate: locate(config, routes),
        authenticate: authenticate(config),
        authorize: authorize(config),
        limit,
        names,
        facts: facts.clone(),
        reference,
        nonces: nonces.into(),
    }
}

fn reserved(config: &Config) -> Reserved {
    Reserved::new(&config.headers.prefix, config.upstream.proof.as_ref().map(|proof| proof.header()))
}

fn sanitize(config: &Config) -> SanitizeRules {
    let hosts = config.listen.hosts.iter().map(ToString::to_string).collect();
    SanitizeRules { reserved: reserved(config), hosts }
}

fn locate(config: &Config, routes: Option<RouteTable>) -> LocateRules {
    LocateRules {
        scope: match config.scope.authenticate {
            config::Authenticate::Magento => Scope::Magento,
            config::Authenticate::Everything => Scope::Everything,
        },
        routes: routes.map(Routes::new),
        resolves_anonymous: config.acl.anonymous == config::Anonymous::Resolve,
        refuses_unmatched: config.acl.unmatched == config::Unmatched::Refuse,
        own: endpoints::own(config),
    }
}

pub(super) fn authenticate(config: &Config) -> AuthenticateRules {
    let oauth = &config.oauth;
    let signature_methods = oauth.signature_methods.iter().map(|method| match method {
        config::SignatureMethod::HmacSha256 => SignatureMethod::HmacSha256,
        config::SignatureMethod::HmacSha1 => SignatureMethod::HmacSha1,
    });
    let readings = oauth.readings.iter().map(|reading| match reading {
        config::Reading::Rfc5849 => Reading::Rfc5849,
        config::Reading::Magento => Reading::Magento,
    });
    let origin = oauth.origin.as_ref().map(|origin| {
        let scheme = match origin.scheme {
            config::Scheme::Http => Scheme::Http,
            config::Scheme::Https => Scheme::Https,
        };
        (scheme, origin.authority.to_string())
    });
    AuthenticateRules {
        signature_methods: signature_methods.collect::<SignatureMethods>(),
        window: TimestampWindow { past: oauth.timestamp_window, future: oauth.future_window },
        readings: Readings::in_order(&readings.collect::<Vec<_>>()).unwrap_or_default(),
        origin,
        sessions: config.sessions.storage.as_ref().map(|_| SessionRules {
            cookie: config.sessions.cookie.clone(),
            takes_admins: config.sessions.admin,
        }),
    }
}

const fn authorize(config: &Config) -> AuthorizeRules {
    let mode = match config.acl.mode {
        config::AclMode::Enforce(_) => AclMode::Enforce,
        config::AclMode::Report(_) => AclMode::Report,
        config::AclMode::Shadow(_) => AclMode::Shadow,
        config::AclMode::Off => AclMode::Off,
    };
    AuthorizeRules { mode }
}

pub(super) fn forward(config: &Config) -> ForwardRules {
    ForwardRules {
        credentials: match config.upstream.credentials {
            config::Credentials::Strip => Credentials::Strip,
            config::Credentials::Forward => Credentials::Forward,
        },
        session_cookie: config.sessions.storage.as_ref().map(|_| config.sessions.cookie.clone()),
        proof: config
            .upstream
            .proof
            .as_ref()
            .map(|proof| Proof { header: proof.header().clone(), value: proof.value() }),
        reserved: reserved(config),
    }
}

pub(super) fn workers(config: &Config, names: &HeaderNames, tls: Option<TlsSettings>) -> WorkerSettings {
    let config::Listen {
        header_timeout, idle_timeout, max_header_bytes, max_headers, max_body, edge, ..
    } = config.listen;
    let config::Edge {
        h2c,
        max_streams,
        write_timeout,
        min_body_rate,
        body_grace,
        proxy_protocol,
        trace_context,
    } = edge;
    WorkerSettings {
        header_timeout,
        idle_timeout,
        write_timeout,
        pace: Pace { grace: body_grace, bytes_per_second: min_body_rate },
        max_streams,
        h2c,
        requires_proxy_line: proxy_protocol == config::ProxyProtocol::Require,
        begins_trace: trace_context == config::TraceContext::Begin,
        tls,
        max_header_bytes,
        max_headers,
        max_body,
        drain_delay: config.listen.drain_delay,
        drain_timeout: config.listen.drain_timeout,
        replies: refusals(config, names),
        limit_fields: limits::fields(config),
        trusted_proxies: TrustedProxies::new(config.listen.trusted_proxies.clone()),
    }
}

/// How refusals are written.
pub(super) fn refusals(config: &Config, names: &HeaderNames) -> Refusals {
    let style = match config.replies {
        config::Replies::Magento => Style::Magento,
        config::Replies::Problem => Style::Problem,
    };
    Refusals { style, header: names.refused.clone() }
}

const fn cache(config: &Config) -> CacheSettings {
    let config::Cache { entries, ttl, negative_entries, negative_ttl, max_stale, .. } = config.cache;
    CacheSettings {
        entries: entries as u64,
        ttl,
        negative_entries: negative_entries as u64,
        negative_ttl,
        session_ttl: config.sessions.ttl,
        max_stale,
    }
}

pub(super) fn nonces(config: &Config) -> NonceSettings {
    NonceSettings {
        past: config.oauth.timestamp_window,
        future: config.oauth.future_window,
        max: config.nonces.max,
        journal: config.nonces.journal.clone(),
    }
}

pub(super) fn reference(config: &Config, tree: &Arc<AclTree>) -> ReferenceSettings {
    ReferenceSettings { tree: Arc::clone(tree), acl_max: config.headers.acl_max }
}

/// How often the small tables are read again.
pub(super) fn refresh_interval(config: &Config) -> Duration {
    config.cache.ttl.clamp(Duration::from_secs(1), SLOWEST_REFRESH)
}
