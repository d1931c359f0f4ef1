//! The answers as Magento writes them: form fields in a page of HTML (`MAGENTO_AUTH` 4.3 to 4.5).

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER},
};

use super::{Answered, Problem};
use crate::{
    auth::{form_text::push_field, oauth1::OauthProblem},
    service::oauth::AccessToken,
};

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=UTF-8");
/// A token in the answer to a GET must not be kept on the way.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// What the client reads.
pub(super) fn answer(outcome: Result<AccessToken, Problem>) -> Answered {
    let mut body = String::new();
    match outcome {
        Ok(issued) => {
            push_field(&mut body, "oauth_token", issued.token.expose());
            push_field(&mut body, "oauth_token_secret", issued.secret.expose());
            Answered { response: page(body), refused: None, replayed: None }
        }
        Err(problem) => {
            push_field(&mut body, "oauth_problem", &problem.text());
            let mut response = page(body);
            *response.status_mut() =
                StatusCode::from_u16(problem.status()).unwrap_or(StatusCode::UNAUTHORIZED);
            if let Problem::Unavailable { retry_after } = problem {
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(retry_after));
            }
            let replayed = match problem {
                Problem::Oauth(OauthProblem::NonceUsed { consumer_id }) => Some(consumer_id),
                Problem::Oauth(_) | Problem::Refused(_) | Problem::Unavailable { .. } => None,
            };
            Answered { response, refused: Some(problem.reason()), replayed }
        }
    }
}

fn page(body: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    response.headers_mut().insert(CONTENT_TYPE, HTML);
    response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    response
}
