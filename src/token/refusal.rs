//! What a client hears when a service refuses: the one place where a service's error becomes a status and a body.

use crate::{auth::rejection::Rejection, service::ServiceError};

/// The refusal that an error of a service stands for on REST (`MAGENTO_AUTH` section 11.2). Failures are logged here.
#[must_use]
pub fn refusal(error: ServiceError) -> Rejection {
    match error {
        ServiceError::Input(message) => Rejection::InvalidInput(message),
        ServiceError::Authentication(message) => Rejection::LoginRefused(message),
        ServiceError::Refused(message) => Rejection::NotPossible(message),
        ServiceError::Busy { retry_after } => Rejection::PasswordsBusy { retry_after },
        ServiceError::Misconfigured(cause) => {
            tracing::error!(cause, "a token cannot be issued");
            Rejection::IssuerMisconfigured
        }
        ServiceError::Audit(error) => {
            tracing::error!(error = %error, "a change is refused because it cannot be recorded");
            Rejection::AuditUnavailable
        }
        ServiceError::Store(error) => {
            tracing::warn!(error = %error, "the store did not serve a token endpoint");
            Rejection::StoreUnavailable
        }
    }
}
