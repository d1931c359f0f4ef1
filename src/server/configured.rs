//! The integrations that a configuration declares, out of both of its sources.

use super::{
    error::BuildError,
    handshake::{callback_rules, integration_service},
};
use crate::{
    auth::acl::AclTree,
    clock::Clock,
    config::{Config, Declaration, read_bounded},
    service::{
        audit::Audit,
        configured::{ConfiguredIntegrations, check},
        integration::IntegrationService,
    },
};

/// What a thousand integrations with a hundred resources each come to.
const MAX_FILE: u64 = 8 << 20;

/// What is declared, ready to be applied beside a gate; for the command line.
///
/// # Errors
/// Whatever the configuration names that cannot be read, and declarations that cannot be had.
pub async fn configured_integrations(
    config: &Config,
    audit: Audit,
    clock: Clock,
) -> Result<ConfiguredIntegrations, BuildError> {
    let declared = declared(config)?;
    let service = integration_service(config, audit, clock).await?;
    Ok(ConfiguredIntegrations::new(service, &declared)?)
}

/// Brings the store of a gate that starts to what is declared.
pub(super) async fn apply(config: &Config, service: &IntegrationService) -> Result<(), BuildError> {
    ConfiguredIntegrations::new(service.clone(), &declared(config)?)?.apply(false).await?;
    Ok(())
}

/// Whether what is declared can be had.
pub(super) fn examine(config: &Config, tree: &AclTree) -> Result<(), BuildError> {
    Ok(check(&declared(config)?, tree, &callback_rules(config))?)
}

/// The declarations of the file and of the configuration itself.
fn declared(config: &Config) -> Result<Vec<Declaration>, BuildError> {
    let mut declared = Vec::new();
    if let Some(path) = &config.integrations.file {
        let what = "integrations.file";
        let text = read_bounded(path, MAX_FILE).map_err(|source| BuildError::Unreadable {
            what,
            path: path.clone(),
            source,
        })?;
        declared = Declaration::read_file(&text)
            .map_err(|reason| BuildError::Declarations { path: path.clone(), reason })?;
    }
    declared.extend_from_slice(&config.integrations.declared);
    Ok(declared)
}
