//! An explainer beside a gate: the same parts, built from the same configuration, without what a running gate holds.

use std::{sync::Arc, time::Duration};

use super::{
    app::App,
    endpoints,
    error::BuildError,
    opened::Opened,
    shared,
    wire::{self, Files},
};
use crate::{
    config::Config,
    explain::{Explainer, NonceLook},
    metrics::{LookupMetrics, Metrics},
    proxy::{nonce_use::NonceUse, peer::TrustedProxies, quotas::QuotaRules, reserved::HeaderNames},
    store::nonces::NoncePeek,
};

impl App {
    /// Builds what explains requests: no listener is bound, nothing is written, and the nonce journal is read without its
    /// lock, so a gate may be running with the same configuration. Lookups live on the current runtime.
    ///
    /// # Errors
    /// As [`App::examine`].
    pub async fn explainer(config: &Config) -> Result<Explainer, BuildError> {
        let files = Files::read(config)?;
        let Opened { store, judge, reference } = Opened::open(config, &files.tree).await?;
        let names = HeaderNames::with_prefix(&config.headers.prefix)?;
        let facts = wire::facts(config, store, judge, &LookupMetrics::default())?;
        let (nonces, nonce_use) = nonces(config).await?;
        let refusals = wire::refusals(config, &names);
        // Explaining is no attempt to sign in, and no request that counts.
        let rules = (files.routes, names, endpoints::limit(config, None, QuotaRules::default()));
        Ok(Explainer {
            pipeline: wire::pipeline(config, rules, &facts, (reference, nonce_use)),
            nonces,
            refusals,
            trusted_proxies: TrustedProxies::new(config.listen.trusted_proxies.clone()),
            speaks_tls: config.listen.tls.is_some(),
            credentials: wire::forward(config).credentials,
            max_form: config.forms.max,
            other_hosts: other_hosts(config),
        })
    }
}

/// How long Redis may take to be connected, for one explanation.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where nonces are looked at.
async fn nonces(config: &Config) -> Result<(Option<NonceLook>, NonceUse), BuildError> {
    let metrics = Metrics::new();
    let link = shared::link(config, &metrics)?;
    if let Some(shared) = shared::nonces(config, link.as_ref(), &metrics)? {
        if let Some(link) = link {
            link.connected_within(PATIENCE).await;
        }
        return Ok((Some(NonceLook::Shared(Arc::clone(&shared))), NonceUse::PeekShared(shared)));
    }
    let peek = NoncePeek::new(wire::nonces(config));
    Ok((peek.clone().map(NonceLook::Journal), NonceUse::Peek(peek)))
}

/// What a client may have signed instead of the public host: the served names, the gate's and the upstream's address.
fn other_hosts(config: &Config) -> Vec<String> {
    let served = config.listen.hosts.iter().map(ToString::to_string);
    let upstreams = config.upstream.endpoints.iter().map(|endpoint| endpoint.origin.authority.to_string());
    served.chain([config.listen.proxy.to_string()]).chain(upstreams).collect()
}
