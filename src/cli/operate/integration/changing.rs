//! Making, granting and deleting.

use super::{
    args::{CreateArgs, DeleteArgs, GrantArgs},
    finding::{called, find_integration, refusal_for},
    showing,
};
use crate::{
    cli::{
        Failure,
        operate::{
            ask,
            session::{refusal, say_noticed},
        },
        printable, say,
    },
    server::Operator,
    service::{
        Origin,
        authorization::Grants,
        integration::{IntegrationChanges, NewIntegration},
    },
    store::records::SetupType,
};

pub(super) async fn create(args: &CreateArgs, operator: &Operator, origin: &Origin) -> Result<(), Failure> {
    let grants = args.resources.grants(&operator.tree)?;
    let granted = described(&grants);
    let new = NewIntegration {
        name: args.name.clone(),
        email: args.email.clone(),
        endpoint: args.endpoint.clone(),
        identity_link_url: args.identity_link.clone(),
        setup_type: SetupType::Manual,
        grants,
    };
    let made = operator.integrations.create(&new, origin).await.map_err(refusal)?;
    if args.json {
        let details = operator.integrations.get(made.id).await.map_err(refusal)?;
        return showing::say_details(operator, &details, true).await;
    }
    say(&format!("{} made: inactive, {granted}", called(&made)))?;
    say(&format!("next: portcullis integration activate {}", made.id))
}

pub(super) async fn grant(args: &GrantArgs, operator: &Operator, origin: &Origin) -> Result<(), Failure> {
    let grants = args.resources.grants(&operator.tree)?;
    let found = find_integration(operator, &args.one.integration).await?;
    let granted = described(&grants);
    let changes = IntegrationChanges { grants: Some(grants), ..IntegrationChanges::default() };
    let changed = operator.integrations.update(found.id, &changes, origin).await;
    changed.map_err(|error| refusal_for(&found, error))?;
    say(&format!("{}: {granted}", called(&found)))?;
    say_noticed(operator)
}

pub(super) async fn delete(args: &DeleteArgs, operator: &Operator, origin: &Origin) -> Result<(), Failure> {
    let found = find_integration(operator, &args.one.integration).await?;
    if !args.yes {
        ask::confirm(&format!("Delete {} with its consumer, its tokens and its role?", called(&found)))?;
    }
    let gone = operator.integrations.delete(found.id, origin).await;
    gone.map_err(|error| refusal_for(&found, error))?;
    say(&format!("{} deleted, with its consumer, its tokens and its role", called(&found)))?;
    say_noticed(operator)
}

fn described(grants: &Grants) -> String {
    match grants {
        Grants::All => "may use every resource".to_owned(),
        Grants::Resources(none) if none.is_empty() => "may use no resource".to_owned(),
        Grants::Resources(resources) => format!("may use {}", printable(&resources.join(", "))),
    }
}
