//! The integrations that a configuration declares, out of both of its sources.

use super::{error::BuildError, handshake::callback_rules};
use crate::{
    auth::acl::AclTree,
    config::{self, Config, Declaration, read_bounded},
    service::{
        configured::{ConfiguredIntegrations, check},
        integration::IntegrationService,
    },
};

/// What a thousand integrations with a hundred resources each come to.
const MAX_FILE: u64 = 8 << 20;

/// What is declared, ready to be applied by this service.
pub(super) fn configured(
    integrations: &config::Integrations,
    service: &IntegrationService,
) -> Result<ConfiguredIntegrations, BuildError> {
    Ok(ConfiguredIntegrations::new(service.clone(), &declared(integrations)?)?)
}

/// Brings the store of a gate that starts to what is declared.
pub(super) async fn apply(config: &Config, service: &IntegrationService) -> Result<(), BuildError> {
    configured(&config.integrations, service)?.apply(false).await?;
    Ok(())
}

/// Whether what is declared can be had.
pub(super) fn examine(config: &Config, tree: &AclTree) -> Result<(), BuildError> {
    Ok(check(&declared(&config.integrations)?, tree, &callback_rules(config))?)
}

/// The declarations of the file and of the configuration itself.
fn declared(integrations: &config::Integrations) -> Result<Vec<Declaration>, BuildError> {
    let mut declared = Vec::new();
    if let Some(path) = &integrations.file {
        let what = "integrations.file";
        let text = read_bounded(path, MAX_FILE).map_err(|source| BuildError::Unreadable {
            what,
            path: path.clone(),
            source,
        })?;
        declared = Declaration::read_file(&text)
            .map_err(|reason| BuildError::Declarations { path: path.clone(), reason })?;
    }
    declared.extend_from_slice(&integrations.declared);
    Ok(declared)
}
