//! Lists and details, without any secret: what an integration signs with is shown as a fingerprint.

use serde_json::{Value, json};

use super::{
    args::{ListArgs, ShowArgs},
    finding::details,
};
use crate::{
    auth::time::UnixTime,
    cli::{
        Failure,
        operate::{
            session::refusal,
            show::{say_json, say_tokens, time, token_json},
        },
        printable, say,
    },
    server::Operator,
    service::{
        integration::IntegrationDetails,
        operator_token::{HeldToken, TokenState},
    },
    store::{
        records::{IntegrationRecord, IntegrationStatus, SetupType},
        rows::TokenType,
        sql::TokenOwner,
    },
};

pub(super) async fn list(args: &ListArgs, operator: &Operator) -> Result<(), Failure> {
    let all = operator.integrations.list().await.map_err(refusal)?;
    let mut listed = Vec::with_capacity(all.len());
    for integration in &all {
        listed.push((integration, current(&tokens(operator, integration).await?)));
    }
    if args.json {
        let listed: Vec<Value> = listed
            .iter()
            .map(|(integration, credential)| {
                let mut object = record_json(integration);
                put(&mut object, "credential", json!(credential));
                object
            })
            .collect();
        return say_json(&json!({ "integrations": listed }));
    }
    if listed.is_empty() {
        return say("there are none yet; `portcullis integration create` makes one");
    }
    for (integration, credential) in listed {
        let IntegrationRecord { id, name, status, setup_type, .. } = integration;
        let credential = credential.as_deref().unwrap_or("no token");
        let locked = if *setup_type == SetupType::Config { "  (by configuration)" } else { "" };
        say(&format!("{id:>6}  {:<9}  {credential:<16}  {}{locked}", word(*status), printable(name)))?;
    }
    Ok(())
}

pub(super) async fn show(args: &ShowArgs, operator: &Operator) -> Result<(), Failure> {
    let found = details(operator, &args.one.integration).await?;
    say_details(operator, &found, args.json).await
}

/// Prints one integration.
pub(super) async fn say_details(
    operator: &Operator,
    found: &IntegrationDetails,
    as_json: bool,
) -> Result<(), Failure> {
    let tokens = tokens(operator, &found.integration).await?;
    let older = found.older_secret_ends_at.filter(|ends_at| *ends_at > operator.clock.now());
    if as_json {
        return say_json(&details_json(found, &tokens, older));
    }
    let IntegrationDetails { integration, consumer_key, consumer_secret, resources, .. } = found;
    let IntegrationRecord { id, name, email, endpoint, identity_link_url, status, .. } = integration;
    let line = |name: &str, value: &str| say(format!("{name:<14} {}", printable(value)).trim_end());
    line("id", &id.to_string())?;
    line("name", name)?;
    line("status", word(*status))?;
    line("made by", setup(integration.setup_type))?;
    for (name, value) in [
        ("email", Some(email)),
        ("endpoint", endpoint.as_ref()),
        ("identity link", identity_link_url.as_ref()),
    ] {
        value.filter(|value| !value.is_empty()).map_or(Ok(()), |value| line(name, value))?;
    }
    line("consumer key", consumer_key.as_deref().unwrap_or("none"))?;
    if consumer_key.is_some() && consumer_secret.is_none() {
        line("secret", "does not decrypt with magento.crypt_key")?;
    }
    older.map_or(Ok(()), |ends_at| line("older secret", &format!("valid until {}", time(ends_at))))?;
    line("resources", if resources.is_empty() { "none" } else { "" })?;
    resources.iter().try_for_each(|resource| say(&format!("  {}", printable(resource))))?;
    line("tokens", if tokens.is_empty() { "none" } else { "" })?;
    say_tokens(&tokens)
}

/// The tokens of an integration's consumer.
async fn tokens(operator: &Operator, integration: &IntegrationRecord) -> Result<Vec<HeldToken>, Failure> {
    let Some(consumer_id) = integration.consumer_id else { return Ok(Vec::new()) };
    Ok(operator.tokens.held(TokenOwner::Consumer(consumer_id)).await.map_err(refusal)?.tokens)
}

/// The fingerprint of what an integration signs with: its newest access token, if it is not on its way out.
fn current(tokens: &[HeldToken]) -> Option<String> {
    let mut access = tokens.iter().filter(|token| token.token_type == TokenType::Access);
    let newest = access.find(|token| !matches!(token.state, TokenState::Valid { until: Some(_) }));
    newest.map(|token| token.fingerprint.clone())
}

fn details_json(found: &IntegrationDetails, tokens: &[HeldToken], older: Option<UnixTime>) -> Value {
    let mut object = record_json(&found.integration);
    let tokens: Vec<Value> = tokens.iter().map(token_json).collect();
    for (name, value) in [
        ("consumer_key", json!(found.consumer_key)),
        ("consumer_secret_decrypts", json!(found.consumer_secret.is_some())),
        ("older_secret_valid_until", json!(older.map(time))),
        ("resources", json!(found.resources)),
        ("tokens", json!(tokens)),
    ] {
        put(&mut object, name, value);
    }
    object
}

fn record_json(integration: &IntegrationRecord) -> Value {
    let IntegrationRecord { id, name, email, endpoint, identity_link_url, status, consumer_id, setup_type } =
        integration;
    json!({
        "id": id,
        "name": name,
        "email": email,
        "endpoint": endpoint,
        "identity_link": identity_link_url,
        "status": word(*status),
        "made_by": setup(*setup_type),
        "consumer_id": consumer_id,
    })
}

fn put(object: &mut Value, name: &str, value: Value) {
    if let Value::Object(members) = object {
        members.insert(name.to_owned(), value);
    }
}

const fn word(status: IntegrationStatus) -> &'static str {
    match status {
        IntegrationStatus::Inactive => "inactive",
        IntegrationStatus::Active => "active",
        IntegrationStatus::Recreated => "recreated",
    }
}

const fn setup(setup_type: SetupType) -> &'static str {
    match setup_type {
        SetupType::Manual => "hand",
        SetupType::Config => "configuration",
    }
}
