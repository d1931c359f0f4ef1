//! The jobs of a gate, and of a command beside it.

use std::sync::Arc;

use super::{app::App, error::BuildError, wire};
use crate::{
    clock::Clock,
    config::Config,
    jobs::{JobRunner, SettingsNow},
    metrics::Metrics,
    service::audit::Audit,
    store::settings::Settings,
};

impl App {
    /// Builds what runs jobs by hand, beside a gate that may be running with the same configuration. Close its audit and its
    /// store in the end.
    ///
    /// # Errors
    /// When the store or the audit log cannot be opened.
    pub async fn job_runner(config: &Config, actor: String) -> Result<JobRunner, BuildError> {
        let magento = wire::settings(config);
        let judge = wire::judge(config, &magento)?;
        let store = wire::open_store(config, &judge.encryptor).await?;
        magento.refresh(&store).await?;
        let (clock, metrics) = (Clock::system(), Arc::new(Metrics::new()));
        let audit = open_audit(config, &clock, &metrics)?;
        Ok(JobRunner {
            store,
            magento: SettingsNow::new(move || Settings::clone(&magento.current())),
            settings: config.jobs.clone(),
            audit,
            metrics,
            clock,
            actor,
        })
    }
}

/// Opens the audit that the configuration asks for.
pub(super) fn open_audit(
    config: &Config,
    clock: &Clock,
    metrics: &Arc<Metrics>,
) -> Result<Audit, BuildError> {
    Audit::open(&config.audit, clock.clone(), Arc::clone(metrics)).map_err(|source| unusable(config, source))
}

/// Says whether it could be opened.
pub(super) fn examine_audit(config: &Config) -> Result<(), BuildError> {
    let Some(path) = &config.audit.file else { return Ok(()) };
    Audit::examine(path).map_err(|source| unusable(config, source))
}

fn unusable(config: &Config, source: std::io::Error) -> BuildError {
    BuildError::Audit { path: config.audit.file.clone().unwrap_or_default(), source }
}
