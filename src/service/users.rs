//! Admins and customers of a store of our own: made, listed, shut out and let in again.
//!
//! For the command line and the console; no route of Magento's comes here. A new password follows Magento's rules and is
//! hashed as Magento hashes today. Whoever is shut out loses every token at once, as in Magento; letting them in again
//! brings none back.
//!
//! Not done here: Magento's memory of former passwords (`admin_passwords`) and its mails.

use super::{
    LoginDesk, Origin, ServiceError,
    audit::{Action, Record},
    credentials::missing,
    issuer::{about, conclude, forget},
};
use crate::{
    auth::{
        identity::UserType,
        password::{PasswordProblem, PasswordRules},
        rejection::{Message, Parameters},
        route::AccountShare,
        secret::Secret,
    },
    store::{
        StoreError,
        logins::User,
        sql::{NewAdmin, NewCustomer},
    },
};

const ADMIN_TAKEN: &str = "A user with the same user name or email already exists.";
const CUSTOMER_TAKEN: &str =
    "A customer with the same email address already exists in an associated website.";

/// Makes and changes users.
#[derive(Debug, Clone)]
pub struct Users(LoginDesk);

/// An admin to be made.
#[derive(Debug)]
pub struct AdminDraft<'a> {
    /// `username`, 40 characters at most.
    pub username: &'a str,
    /// `email`.
    pub email: &'a str,
    /// `firstname`.
    pub firstname: &'a str,
    /// `lastname`.
    pub lastname: &'a str,
    /// The name of the group whose resources the admin gets.
    pub group: &'a str,
    /// The password in clear.
    pub password: &'a Secret<String>,
}

/// A customer to be made.
#[derive(Debug)]
pub struct CustomerDraft<'a> {
    /// `email`.
    pub email: &'a str,
    /// `firstname`.
    pub firstname: &'a str,
    /// `lastname`.
    pub lastname: &'a str,
    /// `website_id`.
    pub website_id: u16,
    /// The password in clear.
    pub password: &'a Secret<String>,
}

impl Users {
    /// The service at a desk.
    #[must_use]
    pub const fn new(desk: LoginDesk) -> Self {
        Self(desk)
    }

    /// Makes an admin in a group and returns its `user_id`.
    ///
    /// # Errors
    /// [`ServiceError::Input`] for what a field lacks, a name or address that is taken, and a group that does not exist or
    /// is one of several of that name.
    pub async fn create_admin(&self, draft: &AdminDraft<'_>, origin: &Origin) -> Result<u32, ServiceError> {
        require("username", draft.username, 40)?;
        require("firstname", draft.firstname, 32)?;
        require("lastname", draft.lastname, 32)?;
        require_address(draft.email, 128)?;
        allow(PasswordRules::Admin, draft.password)?;
        let store = self.0.facts.store();
        let group_id = match store.admin_groups_named(draft.group).await?.as_slice() {
            [group_id] => Some(*group_id),
            [] => return Err(input("There is no group of that name.")),
            _ => return Err(input("There are several groups of that name.")),
        };
        if store.admin_address_is_taken(draft.email).await? {
            return Err(input(ADMIN_TAKEN));
        }
        let password_hash = &self.0.passwords.hash(draft.password).await?;
        let AdminDraft { username, email, firstname, lastname, .. } = *draft;
        let admin = NewAdmin { username, email, firstname, lastname, password_hash, group_id };
        let intent = self.0.audit().intend(changed(origin, UserType::Admin, username, "created")).await?;
        let inserted = store.insert_admin(&admin, self.0.now()).await;
        conclude(intent, inserted).await.map_err(|error| taken(error, ADMIN_TAKEN))
    }

    /// Makes a customer and returns its `entity_id`.
    ///
    /// # Errors
    /// [`ServiceError::Input`] for what a field lacks, an address that is taken where the account would count, and a
    /// website that does not exist.
    pub async fn create_customer(
        &self,
        draft: &CustomerDraft<'_>,
        origin: &Origin,
    ) -> Result<u32, ServiceError> {
        require("firstname", draft.firstname, 255)?;
        require("lastname", draft.lastname, 255)?;
        require_address(draft.email, 255)?;
        let settings = self.0.facts.settings().current().clone();
        let length = settings.logins.password_length;
        let classes = settings.logins.password_classes;
        allow(PasswordRules::Customer { length, classes }, draft.password)?;
        let store = self.0.facts.store();
        if draft.website_id == 0 || !store.website_exists(draft.website_id).await? {
            return Err(input("There is no such website."));
        }
        let is_taken = match settings.account_share {
            AccountShare::Global => store.customer_account(draft.email, None).await?.is_some(),
            AccountShare::PerWebsite => false,
        };
        if is_taken {
            return Err(input(CUSTOMER_TAKEN));
        }
        let password_hash = Some(&self.0.passwords.hash(draft.password).await?);
        let CustomerDraft { email, firstname, lastname, website_id, .. } = *draft;
        let customer = NewCustomer { email, firstname, lastname, website_id, password_hash };
        let intent = self.0.audit().intend(changed(origin, UserType::Customer, email, "created")).await?;
        let inserted = store.insert_customer(&customer, self.0.now()).await;
        conclude(intent, inserted).await.map_err(|error| taken(error, CUSTOMER_TAKEN))
    }

    /// Lists the users of a kind whose id is above `after`, by id.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn list(&self, user_type: UserType, after: u32, limit: u32) -> Result<Vec<User>, ServiceError> {
        Ok(self.0.facts.store().users(user_type, after, limit).await?)
    }

    /// The users of a kind that have this name or address.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn find(&self, user_type: UserType, name: &str) -> Result<Vec<User>, ServiceError> {
        Ok(self.0.facts.store().users_named(user_type, name).await?)
    }

    /// Shuts a user out and ends every token, or lets them in again; `false` where there is no such user.
    ///
    /// # Errors
    /// [`ServiceError::Audit`] where it cannot be recorded: nothing is changed then. [`ServiceError::Store`].
    pub async fn set_active(
        &self,
        (user_type, id): (UserType, u32),
        is_active: bool,
        origin: &Origin,
    ) -> Result<bool, ServiceError> {
        let what = if is_active { "enabled" } else { "disabled, tokens revoked" };
        let record = Record { detail: Some(what.to_owned()), ..origin.record(Action::UserChanged) };
        let intent = self.0.audit().intend(about(record, user_type, id)).await?;
        let store = self.0.facts.store();
        let changed = store.set_user_active((user_type, id), is_active, self.0.now()).await;
        forget(&self.0.facts, user_type, id);
        if matches!(changed, Ok(false)) {
            intent.failed("user_unknown").await;
            return Ok(false);
        }
        conclude(intent, changed).await
    }
}

fn changed(origin: &Origin, user_type: UserType, name: &str, what: &str) -> Record {
    Record {
        user_type: Some(user_type),
        name: Some(name.to_owned()),
        detail: Some(what.to_owned()),
        ..origin.record(Action::UserChanged)
    }
}

fn require(field: &str, value: &str, longest: usize) -> Result<(), ServiceError> {
    if value.trim().is_empty() {
        return Err(ServiceError::Input(missing(field)));
    }
    if value.chars().count() > longest || value.contains(char::is_control) {
        let text = "\"%fieldName\" is too long or holds control characters. Enter and try again.";
        let parameters = Parameters::Named("fieldName", field.to_owned());
        return Err(ServiceError::Input(Message { parameters, ..Message::plain(text) }));
    }
    Ok(())
}

/// Enough to tell an address from a name: who it belongs to only a mail could tell.
fn require_address(email: &str, longest: usize) -> Result<(), ServiceError> {
    require("email", email, longest)?;
    match email.split_once('@') {
        Some((local, domain))
            if !local.is_empty()
                && !domain.is_empty()
                && !domain.contains('@')
                && !email.contains(char::is_whitespace) =>
        {
            Ok(())
        }
        Some(_) | None => Err(input("Please enter a valid email.")),
    }
}

fn allow(rules: PasswordRules, password: &Secret<String>) -> Result<(), ServiceError> {
    let problem = match rules.check(password.expose()) {
        Ok(()) => return Ok(()),
        Err(problem) => problem,
    };
    let numbered =
        |text, number: String| Message { parameters: Parameters::Positional(number), ..Message::plain(text) };
    Err(ServiceError::Input(match (problem, rules) {
        (PasswordProblem::Missing, _) => Message::plain("Password is required field."),
        (PasswordProblem::Short(length), PasswordRules::Admin) => {
            numbered("Your password must be at least %1 characters.", length.to_string())
        }
        (PasswordProblem::Short(length), PasswordRules::Customer { .. }) => numbered(
            "The password needs at least %1 characters. Create a new password and try again.",
            length.to_string(),
        ),
        (PasswordProblem::Long(length), _) => {
            numbered("Please enter a password with at most %1 characters.", length.to_string())
        }
        (PasswordProblem::Spaced, _) => {
            Message::plain("The password can't begin or end with a space. Verify the password and try again.")
        }
        (PasswordProblem::LettersAndDigits, _) => {
            Message::plain("Your password must include both numeric and alphabetic characters.")
        }
        (PasswordProblem::Classes(classes), _) => numbered(
            "Minimum of different classes of characters in password is %1. Classes of characters: Lower Case, Upper Case, Digits, Special Characters.",
            classes.to_string(),
        ),
    }))
}

fn taken(error: ServiceError, text: &'static str) -> ServiceError {
    if matches!(error, ServiceError::Store(StoreError::Conflict(_))) { input(text) } else { error }
}

const fn input(text: &'static str) -> ServiceError {
    ServiceError::Input(Message::plain(text))
}
