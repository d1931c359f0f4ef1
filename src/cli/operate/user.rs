//! `portcullis user`: the admins and customers of a store of our own. Where the store is a Magento's, they are made there.

use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    super::{ConfigArgs, Failure, load, say},
    ask,
    people::{PersonArgs, called, line},
    session::{operate, refusal, say_noticed},
    show::{quoted, say_json},
};
use crate::{
    auth::identity::UserType,
    server::Operator,
    service::{
        Origin,
        users::{AdminDraft, CustomerDraft},
    },
};

/// What to do with users.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum UserCommand {
    /// Makes an admin or a customer; the password comes from a prompt or standard input
    Add(AddArgs),
    /// Lists the admins or the customers
    List(ListArgs),
    /// Shuts somebody out and ends every token
    Disable(ChangeArgs),
    /// Lets somebody in again
    Enable(ChangeArgs),
}

/// Whom to make.
#[derive(Debug, Args)]
#[group(id = "kind", args = ["customer", "admin"], required = true, multiple = false)]
pub(in crate::cli) struct AddArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// A customer with this address
    #[arg(long, value_name = "EMAIL")]
    customer: Option<String>,
    /// The customer's website
    #[arg(long, value_name = "ID", default_value_t = 1, conflicts_with = "admin")]
    website: u16,
    /// An admin with this user name
    #[arg(long, value_name = "NAME", requires_all = ["email", "role"])]
    admin: Option<String>,
    /// The admin's address
    #[arg(long, conflicts_with = "customer")]
    email: Option<String>,
    /// The name of the role whose resources the admin gets
    #[arg(long, value_name = "NAME", conflicts_with = "customer")]
    role: Option<String>,
    /// The first name
    #[arg(long, value_name = "NAME")]
    firstname: String,
    /// The last name
    #[arg(long, value_name = "NAME")]
    lastname: String,
}

/// Whom to list.
#[derive(Debug, Args)]
#[group(id = "listed", args = ["customers", "admins"], required = true, multiple = false)]
pub(in crate::cli) struct ListArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Customers
    #[arg(long)]
    customers: bool,
    /// Admins
    #[arg(long)]
    admins: bool,
    /// Only those whose id is above this one
    #[arg(long, value_name = "ID", default_value_t = 0)]
    after: u32,
    /// So many at most
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Whom to shut out or let in.
#[derive(Debug, Args)]
pub(in crate::cli) struct ChangeArgs {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    person: PersonArgs,
}

/// Does it.
pub(in crate::cli) fn user(command: &UserCommand) -> Result<(), Failure> {
    match command {
        UserCommand::Add(args) => {
            require_standalone(&args.config)?;
            operate(&args.config, async |operator, origin| add(args, operator, origin).await)
        }
        UserCommand::List(args) => operate(&args.config, async |operator, _| list(args, operator).await),
        UserCommand::Disable(args) => change(args, false),
        UserCommand::Enable(args) => change(args, true),
    }
}

/// Magento keeps more about its users than is written here.
fn require_standalone(config: &ConfigArgs) -> Result<(), Failure> {
    if load(config)?.store.database.is_magentos() {
        return Err(Failure::Config(
            "store.url is a Magento's database; change its users in Magento".to_owned(),
        ));
    }
    Ok(())
}

async fn add(args: &AddArgs, operator: &Operator, origin: &Origin) -> Result<(), Failure> {
    let AddArgs { firstname, lastname, .. } = args;
    let password = &ask::new_secret("Password")?;
    let (kind, id, name) = match (&args.customer, &args.admin) {
        (Some(email), _) => {
            let website_id = args.website;
            let draft = CustomerDraft { email, firstname, lastname, website_id, password };
            ("customer", operator.users.create_customer(&draft, origin).await, email)
        }
        (None, Some(username)) => {
            let email = args.email.as_deref().unwrap_or_default();
            let group = args.role.as_deref().unwrap_or_default();
            let draft = AdminDraft { username, email, firstname, lastname, group, password };
            ("admin", operator.users.create_admin(&draft, origin).await, username)
        }
        (None, None) => return Err(Failure::Usage("name a customer or an admin".to_owned())),
    };
    let id = id.map_err(refusal)?;
    say(&format!("{kind} {id} {} made", quoted(name)))
}

async fn list(args: &ListArgs, operator: &Operator) -> Result<(), Failure> {
    let user_type = if args.admins { UserType::Admin } else { UserType::Customer };
    let mut users =
        operator.users.list(user_type, args.after, args.limit.saturating_add(1)).await.map_err(refusal)?;
    let shown = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let has_more = users.len() > shown;
    users.truncate(shown);
    let next = users.last().filter(|_| has_more).map(|user| user.id);
    if args.json {
        let users: Vec<_> = users
            .iter()
            .map(|user| {
                json!({
                    "id": user.id,
                    "user_type": user_type.as_str(),
                    "name": user.name,
                    "website_id": user.website_id,
                    "active": user.is_active,
                })
            })
            .collect();
        return say_json(&json!({ "users": users, "next_after": next }));
    }
    users.iter().try_for_each(|user| say(&line(user)))?;
    next.map_or(Ok(()), |next| say(&format!("there are more; --after {next} goes on")))
}

fn change(args: &ChangeArgs, is_active: bool) -> Result<(), Failure> {
    require_standalone(&args.config)?;
    operate(&args.config, async |operator, origin| {
        let user = args.person.find(operator).await?;
        let subject = (user.user_type, user.id);
        if !operator.users.set_active(subject, is_active, origin).await.map_err(refusal)? {
            return Err(Failure::runtime(format!("{} is gone", called(&user))));
        }
        let done = if is_active {
            "enabled; earlier tokens stay revoked"
        } else {
            "disabled; every token is revoked"
        };
        say(&format!("{} {done}", called(&user)))?;
        say_noticed(operator)
    })
}
