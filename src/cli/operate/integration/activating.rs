//! Activation, in both ways: the four values shown here, or a third party sent what it needs to fetch them.

use serde_json::json;

use super::{
    args::ActivateArgs,
    finding::{called, consumer_of, details, refusal_for},
};
use crate::{
    auth::secret::Secret,
    cli::{
        Failure,
        operate::{
            session::say_noticed,
            show::{say_json, say_secrets},
        },
        printable, say,
    },
    server::Operator,
    service::{
        Origin,
        integration::{Activation, IntegrationDetails},
        oauth::AccessToken,
    },
    store::records::IntegrationStatus,
};

pub(super) async fn activate(
    args: &ActivateArgs,
    operator: &Operator,
    origin: &Origin,
) -> Result<(), Failure> {
    let found = details(operator, &args.one.integration).await?;
    let integration = &found.integration;
    let is_active = integration.status == IntegrationStatus::Active && found.access_token.is_some();
    // A third party may be asked again; what was shown once is not shown again.
    if is_active && !is_exchange(&found) {
        return Err(Failure::runtime(format!(
            "{} is active, and its secrets were shown then; `portcullis integration rotate` replaces one with an overlap, \
             `portcullis integration reauthorize` replaces its token at once",
            called(integration)
        )));
    }
    require_secret(&found)?;
    let activated = operator.integrations.activate(integration.id, origin).await;
    report(args, operator, &found, activated.map_err(|error| refusal_for(integration, error))?)
}

pub(super) async fn reauthorize(
    args: &ActivateArgs,
    operator: &Operator,
    origin: &Origin,
) -> Result<(), Failure> {
    let found = details(operator, &args.one.integration).await?;
    require_secret(&found)?;
    let integration = &found.integration;
    let activated = operator.integrations.reauthorize(integration.id, origin).await;
    report(args, operator, &found, activated.map_err(|error| refusal_for(integration, error))?)
}

fn is_exchange(found: &IntegrationDetails) -> bool {
    let is_given = |url: &Option<String>| url.as_ref().is_some_and(|url| !url.is_empty());
    is_given(&found.integration.endpoint) && is_given(&found.integration.identity_link_url)
}

/// An integration that could not sign anything is not activated.
fn require_secret(found: &IntegrationDetails) -> Result<(), Failure> {
    consumer_of(&found.integration)?;
    if found.consumer_secret.is_some() {
        return Ok(());
    }
    Err(Failure::runtime(format!(
        "the secret of {} does not decrypt with magento.crypt_key; `portcullis integration rotate {} --secret --overlap 0s` \
         makes a new one",
        called(&found.integration),
        found.integration.id
    )))
}

fn report(
    args: &ActivateArgs,
    operator: &Operator,
    found: &IntegrationDetails,
    activated: Activation,
) -> Result<(), Failure> {
    match activated {
        Activation::Active(token) => report_active(args, operator, found, &token),
        Activation::Sent { login_url, consumer_key } => report_sent(args, found, &login_url, &consumer_key),
    }
}

fn report_active(
    args: &ActivateArgs,
    operator: &Operator,
    found: &IntegrationDetails,
    AccessToken { token, secret }: &AccessToken,
) -> Result<(), Failure> {
    let IntegrationDetails { integration, consumer_key, consumer_secret, .. } = found;
    let (Some(consumer_key), Some(consumer_secret)) = (consumer_key, consumer_secret) else {
        return require_secret(found);
    };
    if args.json {
        return say_json(&json!({
            "id": integration.id,
            "name": integration.name,
            "outcome": "active",
            "consumer_key": consumer_key,
            "consumer_secret": consumer_secret.expose(),
            "access_token": token.expose(),
            "access_token_secret": secret.expose(),
        }));
    }
    say(&format!("{} is active", called(integration)))?;
    say_secrets(&[
        ("consumer key", &Secret::new(consumer_key.clone())),
        ("consumer secret", consumer_secret),
        ("access token", token),
        ("access token secret", secret),
    ])?;
    say_noticed(operator)
}

fn report_sent(
    args: &ActivateArgs,
    found: &IntegrationDetails,
    login_url: &str,
    consumer_key: &str,
) -> Result<(), Failure> {
    let integration = &found.integration;
    if args.json {
        return say_json(&json!({
            "id": integration.id,
            "name": integration.name,
            "outcome": "sent",
            "consumer_key": consumer_key,
            "login_url": login_url,
        }));
    }
    let endpoint = integration.endpoint.as_deref().unwrap_or_default();
    say(&format!("{}: key, secret and verifier are posted to {}", called(integration), printable(endpoint)))?;
    say("it is active when the third party has fetched its token; sign in there:")?;
    say(&printable(login_url))
}
