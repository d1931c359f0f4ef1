//! Rotation: a new secret or token, while the old one stays valid for a stated time.

use serde_json::{Value, json};

use super::{
    args::RotateArgs,
    finding::{called, consumer_of, find_integration, refusal_for},
};
use crate::{
    auth::secret::Secret,
    cli::{
        Failure,
        operate::{
            session::say_noticed,
            show::{say_json, say_secrets, time},
        },
        say,
    },
    server::Operator,
    service::{Origin, oauth::AccessToken},
    store::records::IntegrationRecord,
};

/// What came of it: names and new values, the same for people and for programs.
struct Rotated {
    what: &'static str,
    values: Vec<(&'static str, Secret<String>)>,
}

pub(super) async fn rotate(args: &RotateArgs, operator: &Operator, origin: &Origin) -> Result<(), Failure> {
    let found = find_integration(operator, &args.one.integration).await?;
    let consumer_id = consumer_of(&found)?;
    let oauth = operator.integrations.oauth();
    let rotated = if args.secret {
        let consumer = oauth.rotate_secret(consumer_id, args.overlap, origin).await;
        let consumer = consumer.map_err(|error| refusal_for(&found, error))?;
        let secret = consumer.secret.map(|secret| ("consumer secret", secret));
        Rotated { what: "secret", values: secret.into_iter().collect() }
    } else {
        let issued = oauth.rotate_access_token(consumer_id, args.overlap, origin).await;
        let AccessToken { token, secret } = issued.map_err(|error| refusal_for(&found, error))?;
        Rotated { what: "token", values: vec![("access token", token), ("access token secret", secret)] }
    };
    report(args, operator, &found, &rotated)
}

fn report(
    args: &RotateArgs,
    operator: &Operator,
    found: &IntegrationRecord,
    Rotated { what, values }: &Rotated,
) -> Result<(), Failure> {
    let valid_until = (!args.overlap.is_zero()).then(|| time(operator.clock.now().plus(args.overlap)));
    if args.json {
        let mut object = json!({
            "id": found.id,
            "name": found.name,
            "rotated": what,
            "old_valid_until": valid_until,
        });
        if let Value::Object(members) = &mut object {
            let values = values.iter().map(|(name, value)| (name.replace(' ', "_"), json!(value.expose())));
            members.extend(values);
        }
        return say_json(&object);
    }
    let old = valid_until.map_or_else(
        || "the old one has ended".to_owned(),
        |until| format!("the old one stays valid until {until}"),
    );
    say(&format!("{} has a new {what}; {old}", called(found)))?;
    let lines: Vec<_> = values.iter().map(|(name, value)| (*name, value)).collect();
    say_secrets(&lines)?;
    say_noticed(operator)
}
