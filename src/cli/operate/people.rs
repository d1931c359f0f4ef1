//! Which admin or customer is meant.

use clap::Args;

use super::{
    super::{Failure, printable},
    session::refusal,
    show::quoted,
};
use crate::{auth::identity::UserType, server::Operator, store::logins::User};

/// One admin or one customer.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct PersonArgs {
    /// The customer, by id or address
    #[arg(long, value_name = "ID|EMAIL")]
    customer: Option<String>,
    /// The admin, by id or user name
    #[arg(long, value_name = "ID|NAME")]
    admin: Option<String>,
}

impl PersonArgs {
    /// Finds who is meant.
    pub(super) async fn find(&self, operator: &Operator) -> Result<User, Failure> {
        match (&self.customer, &self.admin) {
            (Some(customer), _) => find(operator, UserType::Customer, customer).await,
            (None, Some(admin)) => find(operator, UserType::Admin, admin).await,
            (None, None) => Err(Failure::Usage("name a customer or an admin".to_owned())),
        }
    }
}

/// Finds a user by id or name; a number is an id where there is one.
pub(super) async fn find(operator: &Operator, user_type: UserType, named: &str) -> Result<User, Failure> {
    let users = &operator.users;
    if let Some(before) = named.parse::<u32>().ok().and_then(|id| id.checked_sub(1)) {
        let next = users.list(user_type, before, 1).await.map_err(refusal)?;
        if let Some(user) = next.into_iter().find(|user| user.id == before + 1) {
            return Ok(user);
        }
    }
    let mut found = users.find(user_type, named).await.map_err(refusal)?;
    let kind = user_type.as_str();
    if found.len() > 1 {
        let ids: Vec<String> = found.iter().map(|user| format!("{}{}", user.id, website(user))).collect();
        let ids = ids.join(", ");
        return Err(Failure::runtime(format!(
            "{} is the name of several; give one's id: {ids}",
            quoted(named)
        )));
    }
    let missing = || {
        let text =
            format!("there is no {kind} {}; `portcullis user list --{kind}s` shows all", quoted(named));
        Failure::runtime(text)
    };
    found.pop().ok_or_else(missing)
}

/// A user in a sentence: `customer 7 "a@example.com"`.
pub(super) fn called(user: &User) -> String {
    format!("{} {} {}", user.user_type.as_str(), user.id, quoted(&user.name))
}

/// A user in a list.
pub(super) fn line(user: &User) -> String {
    let state = if user.is_active { "" } else { "  (disabled)" };
    format!("{:>6}  {}{}{state}", user.id, printable(&user.name), website(user))
}

fn website(user: &User) -> String {
    user.website_id.map_or_else(String::new, |website| format!(" (website {website})"))
}
