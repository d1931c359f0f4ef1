//! An explainer beside a gate: the same parts, built from the same configuration, without what a running gate holds.

use std::sync::Arc;

use tokio::runtime::Handle;

use super::{
    app::App,
    chores,
    error::BuildError,
    wire::{self, Files},
};
use crate::{
    config::Config,
    explain::Explainer,
    proxy::{nonce_use::NonceUse, peer::TrustedProxies, reserved::HeaderNames},
    store::{cache::FactCache, facts::Facts, nonces::NoncePeek, reference::ReferenceTables},
};

impl App {
    /// Builds what explains requests: no listener is bound, nothing is written, and the nonce journal is read without its
    /// lock, so a gate may be running with the same configuration. Lookups live on the current runtime.
    ///
    /// # Errors
    /// As [`App::examine`].
    pub async fn explainer(config: &Config) -> Result<Explainer, BuildError> {
        let files = Files::read(config)?;
        let settings = wire::settings(config);
        let judge = wire::judge(config, &settings)?;
        let store = wire::open_store(config, &judge.encryptor).await?;
        let reference = Arc::new(ReferenceTables::new(wire::reference(config, &files.tree)));
        chores::read_tables(&store, &settings, &reference).await?;
        let names = HeaderNames::with_prefix(&config.headers.prefix)?;
        let lookups = (wire::lookups(config), Handle::current());
        let sources = (store, wire::sessions(config)?);
        let facts = Facts::new(sources, judge, FactCache::new(wire::cache(config)), lookups);
        let nonces = NoncePeek::new(wire::nonces(config));
        let refusals = wire::workers(config, &names).replies;
        let nonce_use = NonceUse::Peek(nonces.clone());
        let mut pipeline = wire::pipeline(config, (files.routes, names), &facts, (reference, nonce_use));
        // Explaining is no attempt to sign in.
        pipeline.limit.logins = None;
        Ok(Explainer {
            pipeline,
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
    let own = [config.listen.proxy.to_string(), config.upstream.address.to_string()];
    served.chain(own).collect()
}
