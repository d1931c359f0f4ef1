//! What replicas share through Redis, where one is configured.

use tokio::runtime::Handle;

use super::error::BuildError;
use crate::{
    config::{self, Config},
    metrics::Metrics,
    store::redis::{Link, LinkHome, LinkSettings},
};

/// The port of a Redis whose node is written without one.
const REDIS_PORT: u16 = 6379;

/// The port of a sentinel whose node is written without one.
const SENTINEL_PORT: u16 = 26379;

/// The link, kept on the current runtime; Redis may be away.
pub(super) fn link(config: &Config, metrics: &Metrics) -> Result<Option<Link>, BuildError> {
    let Some(redis) = &config.redis else { return Ok(None) };
    let link = Link::open(settings(redis), metrics.redis.clone(), Handle::current())?;
    Ok(Some(link))
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
