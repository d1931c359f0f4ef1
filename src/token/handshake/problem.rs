//! Why an exchange does not take place, in Magento's words (`MAGENTO_AUTH` 3.2, 4.5).

use crate::{
    auth::{
        oauth1::OauthProblem,
        rejection::{Message, Parameters},
    },
    service::ServiceError,
};

/// Why an exchange does not take place.
#[derive(Debug)]
pub enum Problem {
    /// The request is not the consumer's, or says nothing that could be.
    Oauth(OauthProblem),
    /// It is, and the handshake is not at this step.
    Refused(Message),
    /// The store does not answer, or too much is under way.
    Unavailable {
        /// Seconds after which asking again may help.
        retry_after: u32,
    },
}

impl Problem {
    /// No token has the value, or none any more.
    pub(super) const TOKEN_UNKNOWN: Self = Self::Oauth(OauthProblem::TokenUnknown);

    /// A refusal without parameters.
    pub(super) const fn refused(text: &'static str) -> Self {
        Self::Refused(Message::plain(text))
    }

    /// The status of the answer. Where Magento breaks with a 500, asking again helps here.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Oauth(problem) => problem.status(),
            Self::Refused(_) => 401,
            Self::Unavailable { .. } => 503,
        }
    }

    /// The class, for `X-Auth-Refused`, log lines and figures.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Oauth(problem) => problem.reason(),
            Self::Refused(_) => "handshake_refused",
            Self::Unavailable { .. } => "store_unavailable",
        }
    }

    /// The value of `oauth_problem`. Unlike on REST, placeholders are filled in here.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Oauth(problem) => rendered(&problem.message()),
            Self::Refused(message) => rendered(message),
            Self::Unavailable { .. } => "temporarily_unavailable".to_owned(),
        }
    }
}

impl From<OauthProblem> for Problem {
    fn from(problem: OauthProblem) -> Self {
        Self::Oauth(problem)
    }
}

impl From<ServiceError> for Problem {
    fn from(error: ServiceError) -> Self {
        let retry_after = match error {
            ServiceError::Input(message)
            | ServiceError::Authentication(message)
            | ServiceError::Refused(message) => return Self::Refused(message),
            ServiceError::Busy { retry_after } => retry_after,
            ServiceError::Misconfigured(cause) => {
                tracing::error!(cause, "the handshake cannot go on");
                30
            }
            ServiceError::Audit(error) => {
                tracing::error!(%error, "an exchange is refused because it cannot be recorded");
                30
            }
            ServiceError::Store(error) => {
                tracing::warn!(%error, "the store did not serve the handshake");
                1
            }
        };
        Self::Unavailable { retry_after }
    }
}

/// A message with its placeholders filled in; of an aggregate its single errors, each without its final dot.
fn rendered(message: &Message) -> String {
    if !message.errors.is_empty() {
        let single = message.errors.iter().map(|error| rendered(error).trim_end_matches('.').to_owned());
        return single.collect::<Vec<_>>().join(", ");
    }
    match &message.parameters {
        Parameters::None => message.text.to_owned(),
        Parameters::Positional(value) | Parameters::Rendered(value) => message.text.replace("%1", value),
        Parameters::Named(name, value) => message.text.replace(&format!("%{name}"), value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_magentos_with_their_placeholders_filled_in() {
        for (problem, status, text) in [
            (
                Problem::Oauth(OauthProblem::ParametersMissing(vec!["oauth_nonce"])),
                400,
                "\"oauth_nonce\" is required. Enter and try again.",
            ),
            (
                Problem::Oauth(OauthProblem::ParametersMissing(vec!["oauth_nonce", "oauth_timestamp"])),
                400,
                "\"oauth_nonce\" is required. Enter and try again, \"oauth_timestamp\" is required. Enter and try again",
            ),
            (
                Problem::Oauth(OauthProblem::NonceUsed { consumer_id: 9 }),
                401,
                "The nonce is already being used by the consumer with ID 9",
            ),
            (
                Problem::Oauth(OauthProblem::VersionRejected("2.0".to_owned())),
                400,
                "The \"2.0\" Oauth version isn't supported.",
            ),
            (Problem::refused("Consumer key has expired"), 401, "Consumer key has expired"),
        ] {
            assert_eq!((problem.status(), problem.text().as_str()), (status, text));
        }
    }
}
