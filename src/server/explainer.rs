//! An explainer beside a gate: the same parts, built from the same configuration, without what a running gate holds.

use super::{
    app::App,
    endpoints,
    error::BuildError,
    opened::Opened,
    wire::{self, Files},
};
use crate::{
    config::Config,
    explain::Explainer,
    proxy::{nonce_use::NonceUse, peer::TrustedProxies, reserved::HeaderNames},
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
        let facts = wire::facts(config, store, judge)?;
        let nonces = NoncePeek::new(wire::nonces(config));
        let refusals = wire::workers(config, &names).replies;
        let nonce_use = NonceUse::Peek(nonces.clone());
        // Explaining is no attempt to sign in.
        let rules = (files.routes, names, endpoints::limit(config, None));
        Ok(Explainer {
            pipeline: wire::pipeline(config, rules, &facts, (reference, nonce_use)),
            nonces,
            refusals,
            trusted_proxies: TrustedProxies::new(config.listen.trusted_proxies.clone()),
            credentials: wire::forward(config).credentials,
            max_form: config.forms.max,
            other_hosts: other_hosts(config),
        })
    }
}

/// What a client may have signed instead of the public host: the served names, the gate's and the upstream's address.
fn other_hosts(config: &Config) -> Vec<String> {
    let served = config.listen.hosts.iter().map(ToString::to_string);
    let upstreams = config.upstream.endpoints.iter().map(|endpoint| endpoint.origin.authority.to_string());
    served.chain([config.listen.proxy.to_string()]).chain(upstreams).collect()
}
