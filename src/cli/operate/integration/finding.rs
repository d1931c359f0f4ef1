//! Which integration is meant.

use crate::{
    cli::{
        Failure,
        operate::{session::refusal, show::quoted},
    },
    config::edits,
    server::Operator,
    service::{ServiceError, integration::IntegrationDetails},
    store::records::IntegrationRecord,
};

/// `integration.name` is this wide.
const LONGEST: usize = 255;

/// Finds an integration by id or name; a number is an id where there is one.
pub(in crate::cli::operate) async fn find_integration(
    operator: &Operator,
    named: &str,
) -> Result<IntegrationRecord, Failure> {
    let integrations = &operator.integrations;
    let all = integrations.list().await.map_err(refusal)?;
    let id = named.parse::<u32>().ok();
    if let Some(found) = all.iter().find(|integration| Some(integration.id) == id) {
        return Ok(found.clone());
    }
    let found = integrations.find_by_name(named).await.map_err(refusal)?;
    found.ok_or_else(|| Failure::runtime(missing(named, &all)))
}

/// Finds an integration and whatever belongs to it.
pub(super) async fn details(operator: &Operator, named: &str) -> Result<IntegrationDetails, Failure> {
    let found = find_integration(operator, named).await?;
    operator.integrations.get(found.id).await.map_err(refusal)
}

/// The id of an integration's consumer.
pub(super) fn consumer_of(integration: &IntegrationRecord) -> Result<u32, Failure> {
    let text = || format!("{} has no consumer; delete it and create it anew", called(integration));
    integration.consumer_id.ok_or_else(|| Failure::runtime(text()))
}

/// An integration in a sentence: `integration 7 "Warehouse"`.
pub(super) fn called(integration: &IntegrationRecord) -> String {
    format!("integration {} {}", integration.id, quoted(&integration.name))
}

/// A service's refusal of a change to an integration, with the way out where there is one.
pub(super) fn refusal_for(integration: &IntegrationRecord, error: ServiceError) -> Failure {
    match refusal(error) {
        Failure::Runtime(text) => Failure::Runtime(format!("{}: {text}", called(integration))),
        other @ (Failure::Config(_) | Failure::Usage(_)) => other,
    }
}

fn missing(named: &str, all: &[IntegrationRecord]) -> String {
    let typed: String = named.to_lowercase().chars().take(LONGEST).collect();
    let nearest = all.iter().min_by_key(|integration| edits(&typed, &integration.name.to_lowercase()));
    let way_out = nearest.map_or_else(
        || "there are none yet; `portcullis integration create` makes one".to_owned(),
        |nearest| format!("the nearest is {}", quoted(&nearest.name)),
    );
    format!("there is no integration {}; {way_out}", quoted(named))
}
