//! `portcullis token`: the tokens of customers, admins and integrations.

use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    super::{ConfigArgs, Failure, printable, say},
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
    /// Wait until every live replica refuses it; needs [redis]
    #[arg(
        long,
        value_name = "TIME",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "10s",
        value_parser = humantime::parse_duration
    )]
    wait: Option<Duration>,
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
            operate(&args.config, async |operator, origin| revoke_one(args.wait, operator, origin).await)
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
    check_wait(args.wait, operator)?;
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
    say_in_force(args.wait, operator).await
}

/// Without a register of replicas nobody can say whom to wait for, or when they are done.
fn check_wait(wait: Option<Duration>, operator: &Operator) -> Result<(), Failure> {
    if wait.is_none() || operator.is_shared() {
        return Ok(());
    }
    let within = duration(operator.noticed_within);
    Err(Failure::runtime(format!(
        "--wait needs [redis], where running gates say what they have obeyed; nothing was revoked. Without --wait, gates \
         that reach the store notice within {within}"
    )))
}

/// Says when the revocation is in force, or waits until it is.
async fn say_in_force(wait: Option<Duration>, operator: &Operator) -> Result<(), Failure> {
    let Some(patience) = wait else { return say_noticed(operator) };
    let began = Instant::now();
    let unknown =
        |error| Failure::runtime(format!("revoked, but nobody can say whether every gate knows: {error}"));
    let mark = operator.announce().await.map_err(unknown)?;
    let behind = operator.wait_for_replicas(mark, patience).await.map_err(unknown)?;
    if behind.is_empty() {
        return say(&format!("every live replica obeys, after {} ms", began.elapsed().as_millis()));
    }
    let behind: Vec<_> = behind.iter().map(|id| printable(id)).collect();
    Err(Failure::runtime(format!(
        "revoked, but after {} these replicas had not said that they obey: {}",
        duration(patience),
        behind.join(", ")
    )))
}

async fn revoke_one(wait: Option<Duration>, operator: &Operator, origin: &Origin) -> Result<(), Failure> {
    check_wait(wait, operator)?;
    let token = ask::secret("Token")?;
    match operator.tokens.revoke_token(&token, origin).await.map_err(refusal)? {
        Revocation::Done { user_type, id } => {
            let whose = match (user_type, id) {
                (Some(UserType::Integration), Some(id)) => format!("of the consumer {id} "),
                (Some(user_type), Some(id)) => format!("of the {} {id} ", user_type.as_str()),
                (Some(_) | None, _) => String::new(),
            };
            say(&format!("the token {whose}is deleted"))?;
            say_in_force(wait, operator).await
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
