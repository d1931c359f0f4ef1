//! A name and a password as somebody gave them, and what Magento says where one is missing.
//!
//! `Integration\Model\CredentialsValidator`: no text and an empty one are the same, `0` is a text. One missing field is
//! an error of its own, two are a list (MAGENTO_FACTS 46).

use super::ServiceError;
use crate::auth::{
    rejection::{Message, Parameters},
    secret::Secret,
};

const REQUIRED: &str = "\"%fieldName\" is required. Enter and try again.";
const SEVERAL: &str = "One or more input exceptions have occurred.";

/// Both fields, neither empty.
#[derive(Debug, Clone, Copy)]
pub(super) struct Credentials<'a> {
    pub(super) username: &'a str,
    pub(super) password: &'a Secret<String>,
}

impl<'a> Credentials<'a> {
    /// Takes what was given.
    ///
    /// # Errors
    /// [`ServiceError::Input`] names what is missing.
    pub(super) fn require(
        username: Option<&'a str>,
        password: Option<&'a Secret<String>>,
    ) -> Result<Self, ServiceError> {
        let username = username.filter(|username| !username.is_empty());
        let password = password.filter(|password| !password.expose().is_empty());
        match (username, password) {
            (Some(username), Some(password)) => Ok(Self { username, password }),
            (None, Some(_)) => Err(ServiceError::Input(missing("username"))),
            (Some(_), None) => Err(ServiceError::Input(missing("password"))),
            (None, None) => Err(ServiceError::Input(Message {
                errors: vec![missing("username"), missing("password")],
                ..Message::plain(SEVERAL)
            })),
        }
    }
}

/// What Magento says of a field that must be there.
pub(super) fn missing(field: &str) -> Message {
    Message { parameters: Parameters::Named("fieldName", field.to_owned()), ..Message::plain(REQUIRED) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_missing_field_is_an_error_and_two_are_a_list() {
        let password = Secret::new(String::from("0"));
        let empty = Secret::new(String::new());
        assert!(Credentials::require(Some("0"), Some(&password)).is_ok());
        for (username, password, expected) in [
            (None, Some(&password), missing("username")),
            (Some(""), Some(&password), missing("username")),
            (Some("a"), None, missing("password")),
            (Some("a"), Some(&empty), missing("password")),
        ] {
            match Credentials::require(username, password) {
                Err(ServiceError::Input(message)) => assert_eq!(message, expected),
                other => panic!("{other:?}"),
            }
        }
        match Credentials::require(None, Some(&empty)) {
            Err(ServiceError::Input(message)) => {
                assert_eq!(message.text, SEVERAL);
                assert_eq!(message.errors, [missing("username"), missing("password")]);
            }
            other => panic!("{other:?}"),
        }
    }
}
