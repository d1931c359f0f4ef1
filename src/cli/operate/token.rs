//! `portcullis token`: the tokens of customers, admins and integrations.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    super::{ConfigArgs, Failure, say},
    ask,
    integration::find_integration,
    people::{self, PersonArgs, called},
    session::{duration, operate, refusal, say_noticed},
    show::{quoted, say_json, say_secrets, say_tokens, time, token_json},
};
use crate::{
    auth::identity::UserType,
    server::Operator,
    service::{
        Issuer, Origin,
        operator_token::{Holdings, Issued, Revocation},
    },
    store::{logins::User, sql::TokenOwner},
};

/// What to do with tokens.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum TokenCommand {
    /// Issues a token to a customer or an admin, without the password
    Issue(IssueArgs),
    /// Lists the tokens that are kept, without their values
    List(ListArgs),
    /// Ends all tokens of somebody, or one
    Revoke(RevokeArgs),
}

/// Whom to issue a token to.
#[derive(Debug, Args)]
pub(in crate::cli) struct IssueArgs {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    person: PersonArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Whose tokens to list.
#[derive(Debug, Args)]
pub(in crate::cli) struct ListArgs {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    owner: OwnerArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What to end.
#[derive(Debug, Args)]
#[group(id = "ended", args = ["customer", "admin", "integration", "token_stdin"], required = true, multiple = false)]
pub(in crate::cli) struct RevokeArgs {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    owner: OwnerArgs,
    /// One token, read from standard input
    #[arg(long)]
    token_stdin: bool,
}

/// A customer, an admin or an integration.
#[derive(Debug, Args)]
#[group(multiple = false)]
struct OwnerArgs {
    /// The customer, by id or address
    #[arg(long, value_name = "ID|EMAIL")]
    customer: Option<String>,
    /// The admin, by id or user name
    #[arg(long, value_name = "ID|NAME")]
    admin: Option<String>,
    /// The integration, by id or name
    #[arg(long, value_name = "ID|NAME")]
    integration: Option<String>,
}

/// Whose tokens.
enum Owner {
    Person(User),
    Integration { name: String, consumer_id: u32 },
}

/// Does it.
pub(in crate::cli) fn token(command: &TokenCommand) -> Result<(), Failure> {
    match command {
        TokenCommand::Issue(args) => {
            operate(&args.config, async |operator, origin| issue(args, operator, origin).await)
        }
        TokenCommand::List(args) => operate(&args.config, async |operator, _| list(args, operator).await),
        TokenCommand::Revoke(args) if args.token_stdin => {
            operate(&args.config, async |operator, origin| revoke_one(operator, origin).await)
        }
        TokenCommand::Revoke(args) => {
            operate(&args.config, async |operator, origin| revoke_all(args, operator, origin).await)
        }
    }
}

async fn issue(args: &IssueArgs, operator: &Operator, origin: &Origin) -> Result<(), Failure> {
    let user = args.person.find(operator).await?;
    let Issued { token, kind, expires_at } = operator.tokens.issue(&user, origin).await.map_err(refusal)?;
    let kind = match kind {
        Issuer::Jwt => "jwt",
        Issuer::Opaque => "opaque",
    };
    if args.json {
        return say_json(&json!({
            "user_type": user.user_type.as_str(),
            "user_id": user.id,
            "name": user.name,
            "kind": kind,
            "token": token.expose(),
            "expires_at": time(expires_at),
        }));
    }
    let left = expires_at.seconds().saturating_sub(operator.clock.now().seconds());
    let left = Duration::from_secs(u64::try_from(left).unwrap_or(0));
    say(&format!("{}: {kind} token, dies at {} (in {})", called(&user), time(expires_at), duration(left)))?;
    say_secrets(&[("token", &token)])
}

async fn list(args: &ListArgs, operator: &Operator) -> Result<(), Failure> {
    let owner = args.owner.find(operator).await?;
    let held = match &owner {
        Owner::Person(user) if user.user_type == UserType::Admin => TokenOwner::Admin(user.id),
        Owner::Person(user) => TokenOwner::Customer(user.id),
        Owner::Integration { consumer_id, .. } => TokenOwner::Consumer(*consumer_id),
    };
    let Holdings { tokens, revoke_before } = operator.tokens.held(held).await.map_err(refusal)?;
    if args.json {
        let tokens: Vec<_> = tokens.iter().map(token_json).collect();
        return say_json(&json!({ "tokens": tokens, "revoked_until": revoke_before.map(time) }));
    }
    say_tokens(&tokens)?;
    if tokens.is_empty() {
        say("no tokens are kept")?;
    }
    if let Owner::Person(_) = owner {
        say("JWTs are kept nowhere and not listed; revoking ends them too")?;
    }
    revoke_before.map_or(Ok(()), |until| say(&format!("revoked: everything issued until {}", time(until))))
}

async fn revoke_all(args: &RevokeArgs, operator: &Operator, origin: &Origin) -> Result<(), Failure> {
    match args.owner.find(operator).await? {
        Owner::Person(user) => {
            operator.tokens.revoke_user(user.user_type, user.id, origin).await.map_err(refusal)?;
            say(&format!("{}: every token is revoked, JWTs included", called(&user)))?;
        }
        Owner::Integration { name, consumer_id } => {
            let oauth = operator.integrations.oauth();
            let had = oauth.delete_integration_token(consumer_id, origin).await.map_err(refusal)?;
            let done = if had { "its tokens are deleted" } else { "it had no token" };
            let next = "`portcullis integration reauthorize` gives it a new one";
            say(&format!("integration {}: {done}; {next}", quoted(&name)))?;
        }
    }
    say_noticed(operator)
}

async fn revoke_one(operator: &Operator, origin: &Origin) -> Result<(), Failure> {
    let token = ask::secret("Token")?;
    match operator.tokens.revoke_token(&token, origin).await.map_err(refusal)? {
        Revocation::Done { user_type, id } => {
            let whose = match (user_type, id) {
                (Some(UserType::Integration), Some(id)) => format!("of the consumer {id} "),
                (Some(user_type), Some(id)) => format!("of the {} {id} ", user_type.as_str()),
                (Some(_) | None, _) => String::new(),
            };
            say(&format!("the token {whose}is deleted"))?;
            say_noticed(operator)
        }
        Revocation::Jwt(user_type, id) => {
            let kind = user_type.as_str();
            Err(Failure::runtime(format!(
                "a JWT cannot be revoked alone; `portcullis token revoke --{kind} {id}` ends every token of its {kind}"
            )))
        }
        Revocation::Unknown => Err(Failure::runtime("nobody has this token")),
    }
}

impl OwnerArgs {
    async fn find(&self, operator: &Operator) -> Result<Owner, Failure> {
        let person =
            async |user_type, named: &str| people::find(operator, user_type, named).await.map(Owner::Person);
        match (&self.customer, &self.admin, &self.integration) {
            (Some(customer), _, _) => person(UserType::Customer, customer).await,
            (None, Some(admin), _) => person(UserType::Admin, admin).await,
            (None, None, Some(named)) => {
                let found = find_integration(operator, named).await?;
                let name = found.name;
                let consumer_id = found.consumer_id;
                let consumer_id =
                    consumer_id.ok_or_else(|| Failure::runtime("the integration has no consumer"))?;
                Ok(Owner::Integration { name, consumer_id })
            }
            (None, None, None) => {
                Err(Failure::Usage("name a customer, an admin or an integration".to_owned()))
            }
        }
    }
}
