//! The three endpoints on REST, and the look at a login that the upstream will answer.

use bytes::Bytes;
use http::{HeaderValue, Response};

use super::{
    inputs::{self, Login},
    refusal::refusal,
};
use crate::{
    auth::{
        identity::UserContext,
        rejection::{Message, Rejection},
        time::UnixTime,
    },
    reply::{self, Value},
    service::{Origin, admin_token::AdminTokenService, customer_token::CustomerTokenService},
    store::{facts::Facts, logins::LoginKind},
};

const GENERIC: &str = "The account sign-in was incorrect or your account is disabled temporarily. Please wait and try again later.";

/// Answers the token endpoints of REST.
#[derive(Debug)]
pub struct TokenEndpoints {
    /// Issues tokens to admins.
    pub admins: AdminTokenService,
    /// Issues tokens to customers, and ends them.
    pub customers: CustomerTokenService,
    /// Where the count of failed logins is.
    pub facts: Facts,
    /// Whether a login in the query counts.
    pub reads_query: bool,
}

/// What of a request an endpoint reads.
pub struct TokenRequest {
    /// `Content-Type`.
    pub content_type: Option<HeaderValue>,
    /// `Accept`.
    pub accept: Option<HeaderValue>,
    /// The query, as received.
    pub query: Option<String>,
    /// The whole body.
    pub body: Bytes,
    /// Who asks, for the audit.
    pub origin: Origin,
    /// When it was asked.
    pub now: UnixTime,
}

impl std::fmt::Debug for TokenRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenRequest").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl TokenEndpoints {
    /// `POST /V1/integration/admin/token`.
    ///
    /// # Errors
    /// The refusal that the client hears.
    pub async fn admin_token(&self, request: &TokenRequest) -> Result<Response<Bytes>, Rejection> {
        let Login { username, password } = self.login(request)?;
        let issued =
            self.admins.create_admin_access_token(Some(&username), Some(&password), &request.origin).await;
        let token = issued.map_err(refusal)?;
        Ok(reply::answer(Value::Text(token.expose()), request.accept.as_ref()))
    }

    /// `POST /V1/integration/customer/token`, at a website.
    ///
    /// # Errors
    /// The refusal that the client hears.
    pub async fn customer_token(
        &self,
        request: &TokenRequest,
        website_id: Option<u16>,
    ) -> Result<Response<Bytes>, Rejection> {
        let Login { username, password } = self.login(request)?;
        let (username, password) = (Some(username.as_str()), Some(&password));
        let issued = self
            .customers
            .create_customer_access_token(username, password, website_id, &request.origin)
            .await;
        let token = issued.map_err(refusal)?;
        Ok(reply::answer(Value::Text(token.expose()), request.accept.as_ref()))
    }

    /// `POST /V1/integration/customer/revoke-customer-token`. Magento forces the parameter `customerId` to the caller's id;
    /// who may use every `self` route and is no customer has none (MAGENTO_FACTS 22).
    ///
    /// # Errors
    /// The refusal that the client hears.
    pub async fn revoke_customer_token(
        &self,
        request: &TokenRequest,
        caller: Option<&UserContext>,
    ) -> Result<Response<Bytes>, Rejection> {
        inputs::check(request.content_type.as_ref(), &request.body)?;
        let Some(UserContext::Customer(customer)) = caller else {
            return Err(inputs::required(&["customerId"]));
        };
        let revoked = self.customers.revoke_customer_access_token(customer.id, &request.origin).await;
        revoked.map_err(refusal)?;
        Ok(reply::answer(Value::True, request.accept.as_ref()))
    }

    /// Refuses a login of a name that failed too often, before the upstream has to hash a password for it. What cannot be
    /// read is the upstream's to answer, and so is everything while the store does not answer: it counts for itself.
    ///
    /// # Errors
    /// [`Rejection::LoginRefused`].
    pub async fn screen(&self, request: &TokenRequest, kind: LoginKind) -> Result<(), Rejection> {
        let (content_type, query) = (request.content_type.as_ref(), request.query.as_deref());
        let Ok(Login { username, .. }) = inputs::login(content_type, &request.body, query) else {
            return Ok(());
        };
        let most = self.facts.settings().current().logins.throttle_failures;
        match self.facts.store().login_failures(&username, kind, request.now).await {
            Ok(failures) if failures >= most => Err(Rejection::LoginRefused(Message::plain(GENERIC))),
            Ok(_) => Ok(()),
            Err(error) => {
                tracing::warn!(error = %error, "failed logins cannot be counted; the upstream decides");
                Ok(())
            }
        }
    }

    fn login(&self, request: &TokenRequest) -> Result<Login, Rejection> {
        let query = request.query.as_deref().filter(|_| self.reads_query);
        inputs::login(request.content_type.as_ref(), &request.body, query)
    }
}
