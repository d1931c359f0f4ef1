//! Opening a database that is not ours to make: what is wrong with it is said by name before anything relies on it.
//!
//! Which features a configuration switches on decides what a Magento's database must have and grant.

use super::error::{BuildError, Problems};
use crate::{
    config::{self, Config},
    store::{
        StoreError,
        sql::{Examined, Feature, SqlStore},
    },
};

/// Why a database cannot be opened, with the words of its server.
pub(super) fn unopened(url: String, source: StoreError) -> BuildError {
    if let StoreError::Denied(source) = source {
        return BuildError::NotLetIn { url, source };
    }
    if let StoreError::Lacking(source) = source {
        return BuildError::NoDatabase { url, source };
    }
    let is_unnamed = matches!(source, StoreError::Unavailable(_) | StoreError::Broken(_));
    if is_unnamed { BuildError::Open { url, source } } else { BuildError::Store(source) }
}

/// Makes sure that a Magento's database has and grants what is configured; nothing is written to find out.
pub(super) async fn examine(config: &Config, store: &SqlStore) -> Result<(), BuildError> {
    if !store.is_magentos() {
        return Ok(());
    }
    let Examined { problems, warnings } = store.examine(&features(config)).await?;
    for warning in &warnings {
        tracing::warn!(warning, "Magento's database");
    }
    if problems.is_empty() { Ok(()) } else { Err(BuildError::Attached(Problems(problems))) }
}

/// What is configured to be done to a Magento's database.
fn features(config: &Config) -> Vec<Feature> {
    let jobs = &config.jobs;
    let intervals =
        [jobs.authentication_failures, jobs.expired_tokens, jobs.nonces, jobs.handshakes, jobs.rotations];
    let integrations = &config.integrations;
    let writes_integrations = config.handshake.issuer == config::HandshakeIssuer::Portcullis
        || integrations.file.is_some()
        || !integrations.declared.is_empty();
    Feature::ALL
        .into_iter()
        .filter(|feature| match feature {
            Feature::Lookups => true,
            Feature::Sessions => config.sessions.storage.is_some(),
            Feature::Issuing => config.tokens.issuer != config::Issuer::Upstream,
            Feature::Integrations => writes_integrations,
            Feature::Jobs => intervals.iter().any(Option::is_some),
            // A command says for itself what it may not do.
            Feature::Accounts => false,
        })
        .collect()
}
