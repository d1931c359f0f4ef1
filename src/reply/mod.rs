//! Answers that the gate gives itself.
//!
//! A refusal looks like Magento's own: status, content type and body, JSON or XML by `Accept` (MAGENTO_AUTH section 11),
//! so that an existing client notices nothing. `replies = "problem"` answers RFC 9457 with `WWW-Authenticate` for APIs
//! that are not Magento's. `X-Auth-Refused` tells an operator that the gate refused, not the upstream.

mod accept;
mod limits;
mod render;

pub use accept::Format;
pub use limits::{LimitFields, Policy, Standing};

use std::fmt;

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};

use crate::auth::rejection::Rejection;

const JSON: &str = "application/json; charset=utf-8";
const XML: &str = "application/xml; charset=utf-8";

/// How refusals are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Style {
    /// As Magento writes them.
    #[default]
    Magento,
    /// RFC 9457 problem details, with `WWW-Authenticate` on 401.
    Problem,
}

/// Writes refusals.
#[derive(Debug, Clone)]
pub struct Refusals {
    /// Their form.
    pub style: Style,
    /// The header that carries their class.
    pub header: HeaderName,
}

impl Refusals {
    /// Builds the answer to a refused request; `accept` is the request's `Accept` value.
    #[must_use]
    pub fn refuse(&self, rejection: &Rejection, accept: Option<&HeaderValue>) -> Response<Bytes> {
        let (content_type, body) = match self.style {
            Style::Magento => magento(rejection, accept),
            Style::Problem => ("application/problem+json", render::problem(rejection)),
        };
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() =
            StatusCode::from_u16(rejection.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(self.header.clone(), HeaderValue::from_static(rejection.reason()));
        if let Some(seconds) = rejection.retry_after() {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.style == Style::Problem && rejection.status() == 401 {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_static("OAuth"));
        }
        response
    }
}

/// A value that Magento's REST answers with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// A text; it may be a token.
    Text(&'a str),
    /// `true`.
    True,
}

/// Not what it says: it may be a token.
impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Value")
    }
}

/// A successful answer, as Magento writes it (`MAGENTO_AUTH` section 6.3); nobody may keep it.
#[must_use]
pub fn answer(value: Value<'_>, accept: Option<&HeaderValue>) -> Response<Bytes> {
    let (content_type, body) = match Format::negotiate(accept.map(HeaderValue::as_bytes)) {
        Format::Json => (JSON, render::json_value(value)),
        Format::Xml => (XML, render::xml_value(value)),
    };
    let mut response = Response::new(Bytes::from(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn magento(rejection: &Rejection, accept: Option<&HeaderValue>) -> (&'static str, String) {
    match Format::negotiate(accept.map(HeaderValue::as_bytes)) {
        Format::Json => (JSON, render::json(&rejection.message())),
        Format::Xml => (XML, render::xml(&rejection.message())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{oauth1::problem::OauthProblem, rejection::Malformation};

    fn refusal(rejection: &Rejection, accept: Option<&HeaderValue>, style: Style) -> Response<Bytes> {
        Refusals { style, header: REFUSED }.refuse(rejection, accept)
    }

    const REFUSED: HeaderName = HeaderName::from_static("x-auth-refused");

    #[test]
    fn a_denied_resource_is_answered_as_magento_answers() {
        let rejection = Rejection::ResourceDenied { resources: "self".to_owned() };
        let response = refusal(&rejection, None, Style::Magento);
        assert_eq!(response.status(), 401);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/json; charset=utf-8");
        assert_eq!(
            response.body(),
            &r#"{"message":"The consumer isn't authorized to access %resources.","parameters":{"resources":"self"}}"#
        );
        assert!(!response.headers().contains_key(WWW_AUTHENTICATE), "Magento sends no challenge");
        assert_eq!(response.headers()[&REFUSED], "resource_denied");
    }

    #[test]
    fn an_unanswerable_store_says_when_to_come_back() {
        let response = refusal(&Rejection::StoreUnavailable, None, Style::Magento);
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()[RETRY_AFTER], "1");
    }

    #[test]
    fn too_many_requests_are_told_when_to_come_back_in_every_form() {
        let rejection = Rejection::RateLimited { retry_after: 7 };
        let xml = HeaderValue::from_static("application/xml");
        let text = "Too many requests. Please wait and try again later.";
        for (style, accept, body) in [
            (Style::Magento, None, format!(r#"{{"message":"{text}"}}"#)),
            (
                Style::Magento,
                Some(&xml),
                format!("<?xml version=\"1.0\"?>\n<response>\n  <message>{text}</message>\n</response>\n"),
            ),
            (
                Style::Problem,
                None,
                format!(r#"{{"type":"about:blank","title":"{text}","status":429,"reason":"rate_limited"}}"#),
            ),
        ] {
            let response = refusal(&rejection, accept, style);
            assert_eq!(
                (response.status().as_u16(), &response.headers()[RETRY_AFTER]),
                (429, &HeaderValue::from(7))
            );
            assert_eq!(response.headers()[&REFUSED], "rate_limited");
            assert_eq!(response.body(), &body);
        }
    }

    #[test]
    fn a_value_is_written_as_magento_writes_it() {
        let xml = HeaderValue::from_static("application/xml");
        for (value, accept, kind, body) in [
            (Value::Text("a/b"), None, JSON, r#""a\/b""#),
            (Value::True, None, JSON, "true"),
            (Value::Text("a<b"), Some(&xml), XML, "<?xml version=\"1.0\"?>\n<response>a&lt;b</response>\n"),
            (Value::True, Some(&xml), XML, "<?xml version=\"1.0\"?>\n<response>true</response>\n"),
        ] {
            let response = answer(value, accept);
            assert_eq!(response.headers()[CONTENT_TYPE], kind);
            assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
            assert_eq!(response.body(), body);
        }
    }

    #[test]
    fn problem_style_challenges_on_401_only() {
        let denied = refusal(&Rejection::Oauth(OauthProblem::SignatureInvalid), None, Style::Problem);
        assert_eq!(denied.headers()[CONTENT_TYPE], "application/problem+json");
        assert_eq!(denied.headers().get_all(WWW_AUTHENTICATE).iter().count(), 2);
        let malformed = refusal(&Rejection::Malformed(Malformation::Host), None, Style::Problem);
        assert!(!malformed.headers().contains_key(WWW_AUTHENTICATE));
    }
}
