//! Every way an OAuth 1.0a request can be refused, in Magento's words.

use crate::auth::rejection::{Message, Parameters};

/// Why a signed request is refused; texts and statuses are Magento's (MAGENTO_AUTH section 3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OauthProblem {
    /// No consumer has the presented key.
    ConsumerKeyUnknown,
    /// The consumer key is not 32 bytes.
    ConsumerKeyLength,
    /// The nonce was used by this consumer before.
    NonceUsed {
        /// `oauth_consumer.entity_id`.
        consumer_id: u32,
    },
    /// Required parameters are missing, in Magento's order.
    ParametersMissing(Vec<&'static str>),
    /// The signature does not verify.
    SignatureInvalid,
    /// The signature method is not one that the configuration accepts.
    SignatureMethodRejected(String),
    /// The timestamp is zero, negative, unreadable or outside the window.
    TimestampRefused,
    /// The token is a request or verifier token.
    TokenNotAccess,
    /// The token belongs to another consumer, or to none.
    TokenOfOtherConsumer,
    /// The token was revoked.
    TokenRevoked,
    /// No token has the presented value.
    TokenUnknown,
    /// The token is not 32 bytes.
    TokenLength,
    /// The version is not 1.0.
    VersionRejected(String),
}

impl OauthProblem {
    /// 400 for input errors, 401 for authentication errors.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::ParametersMissing(_)
            | Self::SignatureMethodRejected(_)
            | Self::TokenLength
            | Self::VersionRejected(_) => 400,
            Self::ConsumerKeyUnknown
            | Self::ConsumerKeyLength
            | Self::NonceUsed { .. }
            | Self::SignatureInvalid
            | Self::TimestampRefused
            | Self::TokenNotAccess
            | Self::TokenOfOtherConsumer
            | Self::TokenRevoked
            | Self::TokenUnknown => 401,
        }
    }

    /// The class, for `X-Auth-Refused` and metric labels; bounded.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::ConsumerKeyUnknown => "oauth_consumer_unknown",
            Self::ConsumerKeyLength => "oauth_consumer_key_length",
            Self::NonceUsed { .. } => "oauth_nonce_used",
            Self::ParametersMissing(_) => "oauth_parameters_missing",
            Self::SignatureInvalid => "oauth_signature_invalid",
            Self::SignatureMethodRejected(_) => "oauth_signature_method_rejected",
            Self::TimestampRefused => "oauth_timestamp_refused",
            Self::TokenNotAccess => "oauth_token_not_access",
            Self::TokenOfOtherConsumer => "oauth_token_of_other_consumer",
            Self::TokenRevoked => "oauth_token_revoked",
            Self::TokenUnknown => "oauth_token_unknown",
            Self::TokenLength => "oauth_token_length",
            Self::VersionRejected(_) => "oauth_version_rejected",
        }
    }

    /// The body that Magento answers.
    #[must_use]
    pub fn message(&self) -> Message {
        match self {
            Self::ConsumerKeyUnknown => Message::plain("A consumer having the specified key does not exist"),
            Self::ConsumerKeyLength => Message::plain("Consumer key is not the correct length"),
            Self::NonceUsed { consumer_id } => positional(
                "The nonce is already being used by the consumer with ID %1",
                &consumer_id.to_string(),
            ),
            Self::ParametersMissing(names) => missing(names),
            Self::SignatureInvalid => Message::plain("The signature is invalid. Verify and try again."),
            Self::SignatureMethodRejected(method) => {
                positional("Signature method %1 is not supported", method)
            }
            Self::TimestampRefused => Message::plain("An error occurred validating the nonce"),
            Self::TokenNotAccess => Message::plain("Token is not an access token"),
            Self::TokenOfOtherConsumer => {
                Message::plain("Token is not associated with the specified consumer")
            }
            Self::TokenRevoked => Message::plain("Access token has been revoked"),
            Self::TokenUnknown => Message::plain("Specified token does not exist"),
            Self::TokenLength => {
                Message::plain("The token length is invalid. Check the length and try again.")
            }
            Self::VersionRejected(version) => {
                positional("The \"%1\" Oauth version isn't supported.", version)
            }
        }
    }
}

/// One missing parameter stands alone; several are an aggregate (`InputException`).
fn missing(names: &[&'static str]) -> Message {
    let one = |name: &&'static str| Message {
        text: "\"%fieldName\" is required. Enter and try again.",
        errors: Vec::new(),
        parameters: Parameters::Named("fieldName", (*name).to_owned()),
    };
    match names {
        [name] => one(name),
        several => Message {
            text: "One or more input exceptions have occurred.",
            errors: several.iter().map(one).collect(),
            parameters: Parameters::None,
        },
    }
}

fn positional(text: &'static str, parameter: &str) -> Message {
    Message { text, errors: Vec::new(), parameters: Parameters::Positional(parameter.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_problem_has_magentos_status_and_a_class() {
        use OauthProblem as P;
        for (problem, status, reason) in [
            (P::ConsumerKeyUnknown, 401, "oauth_consumer_unknown"),
            (P::ConsumerKeyLength, 401, "oauth_consumer_key_length"),
            (P::NonceUsed { consumer_id: 3 }, 401, "oauth_nonce_used"),
            (P::ParametersMissing(vec!["oauth_nonce"]), 400, "oauth_parameters_missing"),
            (P::SignatureInvalid, 401, "oauth_signature_invalid"),
            (P::SignatureMethodRejected(String::new()), 400, "oauth_signature_method_rejected"),
            (P::TimestampRefused, 401, "oauth_timestamp_refused"),
            (P::TokenNotAccess, 401, "oauth_token_not_access"),
            (P::TokenOfOtherConsumer, 401, "oauth_token_of_other_consumer"),
            (P::TokenRevoked, 401, "oauth_token_revoked"),
            (P::TokenUnknown, 401, "oauth_token_unknown"),
            (P::TokenLength, 400, "oauth_token_length"),
            (P::VersionRejected(String::new()), 400, "oauth_version_rejected"),
        ] {
            assert_eq!((problem.status(), problem.reason()), (status, reason));
        }
    }

    #[test]
    fn each_problem_is_told_in_magentos_words() {
        use OauthProblem as P;
        for (problem, text) in [
            (P::ConsumerKeyUnknown, "A consumer having the specified key does not exist"),
            (P::ConsumerKeyLength, "Consumer key is not the correct length"),
            (P::NonceUsed { consumer_id: 3 }, "The nonce is already being used by the consumer with ID %1"),
            (P::SignatureInvalid, "The signature is invalid. Verify and try again."),
            (P::SignatureMethodRejected(String::new()), "Signature method %1 is not supported"),
            (P::TimestampRefused, "An error occurred validating the nonce"),
            (P::TokenNotAccess, "Token is not an access token"),
            (P::TokenOfOtherConsumer, "Token is not associated with the specified consumer"),
            (P::TokenRevoked, "Access token has been revoked"),
            (P::TokenUnknown, "Specified token does not exist"),
            (P::TokenLength, "The token length is invalid. Check the length and try again."),
            (P::VersionRejected(String::new()), "The \"%1\" Oauth version isn't supported."),
        ] {
            assert_eq!(problem.message().text, text);
        }
    }

    #[test]
    fn one_missing_parameter_stands_alone_and_several_are_listed() {
        let one = OauthProblem::ParametersMissing(vec!["oauth_nonce"]).message();
        assert_eq!(one.text, "\"%fieldName\" is required. Enter and try again.");
        assert_eq!(one.parameters, Parameters::Named("fieldName", "oauth_nonce".to_owned()));
        let several = OauthProblem::ParametersMissing(vec!["oauth_nonce", "oauth_token"]).message();
        assert_eq!(several.text, "One or more input exceptions have occurred.");
        let named = |name: &str| Parameters::Named("fieldName", name.to_owned());
        let listed: Vec<_> = several.errors.into_iter().map(|error| error.parameters).collect();
        assert_eq!(listed, [named("oauth_nonce"), named("oauth_token")]);
    }

    #[test]
    fn what_was_sent_stands_in_the_parameters() {
        let rejected = OauthProblem::VersionRejected("2.0".to_owned()).message();
        assert_eq!(rejected.parameters, Parameters::Positional("2.0".to_owned()));
        let used = OauthProblem::NonceUsed { consumer_id: 3 }.message();
        assert_eq!(used.parameters, Parameters::Positional("3".to_owned()));
    }
}
