//! What replicas share through Redis, where one is configured.

use std::{sync::Arc, time::Duration};

use tokio::{runtime::Handle, sync::watch};

use super::{app::App, error::BuildError, replicas::Replica};
use crate::{
    auth::crypt_keys::CryptKeys,
    clock::Clock,
    config::{self, Config},
    metrics::Metrics,
    proxy::engine::Shared,
    store::{
        invalidations::{Announcer, Board},
        redis::{Link, LinkError, LinkHome, LinkScript, LinkSettings},
        shared_nonces::{SharedNonceSettings, SharedNonces},
    },
};

/// The port of a Redis whose node is written without one.
const REDIS_PORT: u16 = 6379;

/// The port of a sentinel whose node is written without one.
const SENTINEL_PORT: u16 = 26379;

/// How long Redis may take to be connected, where somebody waits to hear.
const PATIENCE: Duration = Duration::from_secs(2);

/// What an operator should know of a server; in a cluster, of one of them.
const STATUS: &str = r"
local function of(section, name) return string.match(redis.call('INFO', section), name .. ':([^\r\n]*)') or '' end
return {of('server', 'redis_version'), of('replication', 'role'), of('memory', 'maxmemory'), of('memory', 'maxmemory_policy')}";

/// The link, kept on the current runtime; Redis may be away.
pub(super) fn link(config: &Config, metrics: &Metrics) -> Result<Option<Link>, BuildError> {
    let Some(redis) = &config.redis else { return Ok(None) };
    let link = Link::open(settings(redis), metrics.redis.clone(), Handle::current())?;
    Ok(Some(link))
}

/// The nonces that replicas share, if the configuration says that they do.
pub(super) fn nonces(
    config: &Config,
    link: Option<&Link>,
    metrics: &Metrics,
) -> Result<Option<Arc<SharedNonces>>, BuildError> {
    let (config::NonceHome::Redis, Some(link)) = (config.nonces.store, link) else { return Ok(None) };
    let keys = CryptKeys::parse(config.magento.crypt_key.expose())?;
    let windows =
        SharedNonceSettings { past: config.oauth.timestamp_window, future: config.oauth.future_window };
    Ok(Some(Arc::new(SharedNonces::new(link.clone(), &keys, windows, metrics.redis.clone()))))
}

/// This process among the replicas; what it changes is announced from now on.
pub(super) fn replica(
    link: Link,
    metrics: &Metrics,
    clock: &Clock,
    (rules, poll): (&watch::Receiver<Arc<Shared>>, Duration),
) -> Replica {
    let (announcer, announced) = Announcer::new(metrics.redis.clone());
    rules.borrow().facts.cache().announce_to(announcer);
    let started = clock.now().seconds();
    Replica::new(Board::new(link), (started, poll), metrics.redis.clone(), announced)
}

/// What a Redis says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisStatus {
    /// `single`, `sentinel` or `cluster`.
    pub mode: &'static str,
    /// Replicas that are alive, or why it cannot be asked.
    pub live: Result<usize, LinkError>,
    /// What `INFO` says: the version, and what happens when memory runs out.
    pub says: Vec<(&'static str, String)>,
}

impl App {
    /// Asks the configured Redis, if there is one. It is asked once and may be away: a gate starts without it.
    ///
    /// # Errors
    /// Where its settings make no address.
    pub async fn redis_status(config: &Config) -> Result<Option<RedisStatus>, BuildError> {
        let Some(redis) = &config.redis else { return Ok(None) };
        let Some(link) = link(config, &Metrics::new())? else { return Ok(None) };
        link.connected_within(PATIENCE).await;
        let board = Board::new(link.clone());
        let live = board.replicas().await.map(|replicas| replicas.live.len());
        let key = link.tagged("changes", "state");
        let says: Result<Vec<String>, LinkError> =
            link.script(&LinkScript::new(STATUS), &[key.as_bytes()], &[]).await;
        let names = ["redis_version", "role", "maxmemory", "maxmemory-policy"];
        let says = names.into_iter().zip(says.unwrap_or_default()).collect();
        Ok(Some(RedisStatus { mode: redis.home.mode(), live, says }))
    }
}

fn settings(redis: &config::Redis) -> LinkSettings {
    let config::Redis { home, user, password, tls, ca, prefix, timeout, max_in_flight } = redis.clone();
    let at = |nodes: Vec<config::HostPort>, port: u16| {
        nodes.into_iter().map(|node| (node.host, node.port.unwrap_or(port))).collect()
    };
    let home = match home {
        config::RedisHome::Single(url) => LinkHome::Single(url),
        config::RedisHome::Sentinel { nodes, master } => {
            LinkHome::Sentinel { nodes: at(nodes, SENTINEL_PORT), master }
        }
        config::RedisHome::Cluster { nodes } => LinkHome::Cluster { nodes: at(nodes, REDIS_PORT) },
    };
    LinkSettings { home, user, password, tls, ca, prefix, timeout, max_in_flight }
}
