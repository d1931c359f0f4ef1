//! From `[upstream]` to the endpoints that workers send to: files are read, nothing is opened.

use std::{io, path::Path, sync::Arc};

use super::error::BuildError;
use crate::{
    config::{self, Config, read_bounded},
    metrics::Metrics,
    proxy::engine::{
        BreakerSettings, EjectionSettings, EndpointSettings, Fleet, Http2, ProbeSettings, Reach, TlsClient,
        TlsTexts, UpstreamSettings,
    },
};

/// A bundle of authorities is a few hundred kilobytes.
const MAX_FILE: u64 = 4 << 20;

/// The endpoints of a configuration, with what is known of those that `current` has as well.
///
/// # Errors
/// A file of `[upstream.tls]` that cannot be used.
pub(super) fn fleet(
    config: &Config,
    metrics: &Metrics,
    current: Option<&Arc<Fleet>>,
) -> Result<Arc<Fleet>, BuildError> {
    Ok(Fleet::next(settings(config)?, &metrics.upstream, current))
}

/// The settings, with their files read.
///
/// # Errors
/// As [`fleet`].
pub(super) fn settings(config: &Config) -> Result<UpstreamSettings, BuildError> {
    let upstream = &config.upstream;
    let endpoints = upstream.endpoints.iter().map(|endpoint| EndpointSettings {
        name: endpoint.name.as_str().into(),
        host: endpoint.origin.authority.host.clone(),
        port: endpoint.port(),
        is_tls: endpoint.origin.scheme == config::Scheme::Https,
        weight: endpoint.weight,
        max_connections: endpoint.max_connections.unwrap_or(upstream.max_connections),
    });
    Ok(UpstreamSettings {
        endpoints: endpoints.collect(),
        reach: Arc::new(reach(upstream)?),
        ejection: ejection(upstream.ejection),
        slow_start: upstream.slow_start,
        panic_threshold: upstream.panic_threshold,
        require_healthy: upstream.require_healthy,
        retry_budget: upstream.retry_budget,
        resolve_interval: upstream.resolve_interval,
        probe: probe(&upstream.health).map(Arc::new),
    })
}

fn reach(upstream: &config::Upstream) -> Result<Reach, BuildError> {
    let http2 = match upstream.http2 {
        config::UpstreamHttp2::Off => Http2::Off,
        config::UpstreamHttp2::Auto => Http2::Offered,
        config::UpstreamHttp2::H2c => Http2::Clear,
    };
    let config::UpstreamBreaker { requests, failures, window, open } = upstream.breaker;
    Ok(Reach {
        connect_timeout: upstream.connect_timeout,
        response_timeout: upstream.response_timeout,
        idle_timeout: upstream.idle_timeout,
        max_idle: upstream.max_idle,
        max_pending: upstream.max_pending,
        pending_timeout: upstream.pending_timeout,
        http2,
        breaker: BreakerSettings { requests, failures, window, open },
        tls: if upstream.speaks_tls() { tls(&upstream.tls, http2)? } else { TlsClient::none() },
    })
}

const fn ejection(ejection: config::UpstreamEjection) -> EjectionSettings {
    let config::UpstreamEjection { failures, window, time, max_time, max_ejected } = ejection;
    EjectionSettings { failures, window, time, max_time, max_ejected }
}

fn probe(health: &config::UpstreamHealth) -> Option<ProbeSettings> {
    let config::UpstreamHealth { path, host, interval, timeout, healthy, unhealthy, status } = health;
    Some(ProbeSettings {
        path: path.clone()?,
        host: host.clone(),
        interval: *interval,
        timeout: *timeout,
        healthy: *healthy,
        unhealthy: *unhealthy,
        status: status.0.clone(),
    })
}

fn tls(tls: &config::UpstreamTls, http2: Http2) -> Result<TlsClient, BuildError> {
    let config::UpstreamTls { ca_file, certificate_file, key_file, server_name } = tls;
    let authorities = ca_file.as_deref().map(|path| read("upstream.tls.ca_file", path)).transpose()?;
    let identity = match (certificate_file, key_file) {
        (Some(certificate), Some(key)) => {
            Some((read("upstream.tls.certificate_file", certificate)?, read("upstream.tls.key_file", key)?))
        }
        (_, _) => None,
    };
    let texts = TlsTexts { authorities, identity, server_name: server_name.clone() };
    TlsClient::read(&texts, http2).map_err(BuildError::UpstreamTls)
}

fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, BuildError> {
    let unreadable = |source: io::Error| BuildError::Unreadable { what, path: path.to_owned(), source };
    read_bounded(path, MAX_FILE).map(String::into_bytes).map_err(unreadable)
}
