//! Every way to refuse a request, and what the client hears of it.
//!
//! One closed enum: its variant decides status, client text and metric label, in this file and nowhere else. The client
//! learns the class, the log learns the cause. Texts and statuses are Magento's where Magento has one
//! (MAGENTO_AUTH section 11.3): a denied ACL resource is 401, never 403, and placeholders stay unsubstituted.

use std::borrow::Cow;

use crate::auth::oauth1::problem::OauthProblem;

/// Why a request is not forwarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejection {
    /// The request could mean different things to different readers.
    Malformed(Malformation),
    /// An OAuth 1.0a signature, or what came with it, does not hold.
    Oauth(OauthProblem),
    /// The session began before its customer's password was changed (MAGENTO_FACTS 41).
    SessionExpired,
    /// The caller lacks the resources that the route needs.
    ResourceDenied {
        /// The route's resources, joined by `, `.
        resources: String,
    },
    /// No route matches and the configuration refuses such paths.
    NoRoute,
    /// The route is for HTTPS only (`secure="true"`).
    HttpsRequired,
    /// The client's address signs in too often.
    TooManyLogins {
        /// Seconds until it may try again.
        retry_after: u32,
    },
    /// The caller asks more often than a rate limit allows.
    RateLimited {
        /// Seconds until it may ask again.
        retry_after: u32,
    },
    /// The replicas that share a rate limit cannot reach each other, and the limit is set to refuse then.
    LimitsUnavailable,
    /// Too many passwords are being checked.
    PasswordsBusy {
        /// Seconds after which trying again may help.
        retry_after: u32,
    },
    /// The body of a request that the gate answers cannot be read, or lacks what is asked for.
    InvalidInput(Message),
    /// Name and password do not let anybody in.
    LoginRefused(Message),
    /// The credential, or its owner, is not in a state for what was asked.
    NotPossible(Message),
    /// The change cannot be recorded, so it is not made.
    AuditUnavailable,
    /// A token issued by these settings would not be accepted.
    IssuerMisconfigured,
    /// The body is longer than the limit.
    BodyTooLarge,
    /// The client stopped sending its body.
    BodyStalled,
    /// The store cannot be asked; nobody can say who this is.
    StoreUnavailable,
    /// The nonce store is full, in quarantine, or cannot write its journal.
    NonceStoreUnavailable,
    /// Too many form bodies are being collected at once.
    FormBudgetExhausted,
    /// Nothing listens at the upstream, or the connection broke before an answer.
    UpstreamUnavailable,
    /// The upstream did not answer in time.
    UpstreamTimeout,
    /// Every connection that the upstream may have is in use, and too many requests wait for one, or this one waited too
    /// long.
    UpstreamBusy,
    /// Too many requests failed at the upstream; it is left alone for a while.
    UpstreamSuspended {
        /// Seconds until it is tried again.
        retry_after: u32,
    },
}

/// What makes a request ambiguous or unreadable; each is answered 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformation {
    /// More than one `Authorization` header, or one that holds two credentials.
    AmbiguousAuthorization,
    /// Dot segments, `%00`, control bytes, backslashes or `#` in the path.
    AmbiguousPath,
    /// An asynchronous or bulk form of an endpoint whose answer is a token: a queue has nobody to hand it to.
    Asynchronous,
    /// More than one session cookie: PHP keeps the first, other readers the last.
    AmbiguousSession,
    /// The percent-decoded path reaches a route that the path as sent does not.
    DisguisedRoute,
    /// `Content-Length` together with `Transfer-Encoding`, or an unusable length.
    Framing,
    /// No `Host`, more than one, an empty one, or one that is not allowed.
    Host,
    /// The target is neither a path nor an absolute URI for this host.
    Target,
}

impl Rejection {
    /// The HTTP status that the client sees.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Malformed(_)
            | Self::SessionExpired
            | Self::HttpsRequired
            | Self::InvalidInput(_)
            | Self::NotPossible(_) => 400,
            Self::Oauth(problem) => problem.status(),
            Self::ResourceDenied { .. } | Self::LoginRefused(_) => 401,
            Self::NoRoute => 404,
            Self::BodyStalled => 408,
            Self::BodyTooLarge => 413,
            Self::TooManyLogins { .. } | Self::RateLimited { .. } => 429,
            Self::StoreUnavailable
            | Self::NonceStoreUnavailable
            | Self::FormBudgetExhausted
            | Self::LimitsUnavailable
            | Self::AuditUnavailable
            | Self::IssuerMisconfigured
            | Self::PasswordsBusy { .. }
            | Self::UpstreamBusy
            | Self::UpstreamSuspended { .. } => 503,
            Self::UpstreamUnavailable => 502,
            Self::UpstreamTimeout => 504,
        }
    }

    /// The class: the value of `X-Auth-Refused` and of the metric label `reason`.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(malformation) => malformation.reason(),
            Self::Oauth(problem) => problem.reason(),
            Self::SessionExpired => "session_expired",
            Self::ResourceDenied { .. } => "resource_denied",
            Self::NoRoute => "no_route",
            Self::HttpsRequired => "https_required",
            Self::TooManyLogins { .. } => "too_many_logins",
            Self::RateLimited { .. } => "rate_limited",
            Self::LimitsUnavailable => "limits_unavailable",
            Self::PasswordsBusy { .. } => "passwords_busy",
            Self::InvalidInput(_) => "invalid_input",
            Self::LoginRefused(_) => "login_refused",
            Self::NotPossible(_) => "not_possible",
            Self::AuditUnavailable => "audit_unavailable",
            Self::IssuerMisconfigured => "issuer_misconfigured",
            Self::BodyTooLarge => "body_too_large",
            Self::BodyStalled => "body_stalled",
            Self::StoreUnavailable => "store_unavailable",
            Self::NonceStoreUnavailable => "nonce_store_unavailable",
            Self::FormBudgetExhausted => "form_budget_exhausted",
            Self::UpstreamUnavailable => "upstream_unavailable",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::UpstreamBusy => "upstream_busy",
            Self::UpstreamSuspended { .. } => "upstream_suspended",
        }
    }

    /// The consumer whose nonce was used before, if that is why.
    #[must_use]
    pub const fn replayed(&self) -> Option<u32> {
        if let Self::Oauth(OauthProblem::NonceUsed { consumer_id }) = self {
            Some(*consumer_id)
        } else {
            None
        }
    }

    /// Whether the request could be forwarded all the same: it has one meaning on the wire, and only who sent it, or what
    /// the path means, is in doubt.
    #[must_use]
    pub const fn is_forwardable(&self) -> bool {
        match self {
            Self::Oauth(_)
            | Self::SessionExpired
            | Self::ResourceDenied { .. }
            | Self::NoRoute
            | Self::HttpsRequired
            | Self::StoreUnavailable
            | Self::NonceStoreUnavailable
            | Self::FormBudgetExhausted
            | Self::TooManyLogins { .. }
            | Self::RateLimited { .. }
            | Self::LimitsUnavailable
            | Self::PasswordsBusy { .. } => true,
            Self::Malformed(malformation) => match malformation {
                Malformation::AmbiguousAuthorization
                | Malformation::AmbiguousSession
                | Malformation::AmbiguousPath
                | Malformation::Asynchronous
                | Malformation::DisguisedRoute => true,
                Malformation::Framing | Malformation::Host | Malformation::Target => false,
            },
            Self::InvalidInput(_)
            | Self::LoginRefused(_)
            | Self::NotPossible(_)
            | Self::AuditUnavailable
            | Self::IssuerMisconfigured
            | Self::BodyTooLarge
            | Self::BodyStalled
            | Self::UpstreamUnavailable
            | Self::UpstreamTimeout
            | Self::UpstreamBusy
            | Self::UpstreamSuspended { .. } => false,
        }
    }

    /// Seconds after which asking again may help; only where it may.
    #[must_use]
    pub const fn retry_after(&self) -> Option<u32> {
        match self {
            Self::StoreUnavailable
            | Self::FormBudgetExhausted
            | Self::LimitsUnavailable
            | Self::UpstreamBusy => Some(1),
            Self::NonceStoreUnavailable | Self::AuditUnavailable | Self::IssuerMisconfigured => Some(30),
            Self::TooManyLogins { retry_after }
            | Self::RateLimited { retry_after }
            | Self::PasswordsBusy { retry_after }
            | Self::UpstreamSuspended { retry_after } => Some(*retry_after),
            Self::Malformed(_)
            | Self::Oauth(_)
            | Self::SessionExpired
            | Self::ResourceDenied { .. }
            | Self::NoRoute
            | Self::HttpsRequired
            | Self::InvalidInput(_)
            | Self::LoginRefused(_)
            | Self::NotPossible(_)
            | Self::BodyTooLarge
            | Self::BodyStalled
            | Self::UpstreamUnavailable
            | Self::UpstreamTimeout => None,
        }
    }

    /// The body, before it is rendered as JSON or XML.
    #[must_use]
    pub fn message(&self) -> Message {
        match self {
            Self::Malformed(_) => Message::plain("Specified request cannot be processed."),
            Self::Oauth(problem) => problem.message(),
            Self::SessionExpired => Message::plain("The session has expired, please login again."),
            Self::ResourceDenied { resources } => Message {
                text: "The consumer isn't authorized to access %resources.",
                errors: Vec::new(),
                parameters: Parameters::Named("resources", resources.clone()),
            },
            Self::NoRoute => Message::plain("Request does not match any route."),
            Self::HttpsRequired => Message::plain("Operation allowed only in HTTPS"),
            Self::TooManyLogins { .. } => {
                Message::plain("Too many sign-in attempts. Please wait and try again later.")
            }
            Self::RateLimited { .. } => Message::plain("Too many requests. Please wait and try again later."),
            Self::LimitsUnavailable => {
                Message::plain("The request cannot be admitted right now. Please try again later.")
            }
            Self::PasswordsBusy { .. } => {
                Message::plain("Too many sign-ins are under way. Please try again later.")
            }
            Self::InvalidInput(message) | Self::LoginRefused(message) | Self::NotPossible(message) => {
                message.clone()
            }
            Self::IssuerMisconfigured => Message::plain("Tokens cannot be issued right now."),
            Self::AuditUnavailable => {
                Message::plain("The change cannot be recorded right now. Please try again later.")
            }
            Self::BodyTooLarge => Message::plain("The request body is too large."),
            Self::BodyStalled => Message::plain("The request body did not arrive in time."),
            Self::StoreUnavailable | Self::NonceStoreUnavailable | Self::FormBudgetExhausted => {
                Message::plain("The request cannot be authenticated right now. Please try again later.")
            }
            Self::UpstreamUnavailable => Message::plain("The service behind this proxy is not available."),
            Self::UpstreamTimeout => Message::plain("The service behind this proxy did not answer in time."),
            Self::UpstreamBusy | Self::UpstreamSuspended { .. } => {
                Message::plain("The service behind this proxy is busy. Please try again later.")
            }
        }
    }
}

impl Malformation {
    /// The class, as [`Rejection::reason`] gives it.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::AmbiguousAuthorization => "ambiguous_authorization",
            Self::AmbiguousPath => "ambiguous_path",
            Self::AmbiguousSession => "ambiguous_session",
            Self::Asynchronous => "asynchronous_login",
            Self::DisguisedRoute => "disguised_route",
            Self::Framing => "framing",
            Self::Host => "host",
            Self::Target => "target",
        }
    }
}

/// An error body as Magento builds it (`Webapi\Rest\Response`): a raw template and its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The template, placeholders untouched.
    pub text: &'static str,
    /// The single errors of an aggregate, two or more, else empty.
    pub errors: Vec<Self>,
    /// What the placeholders stand for.
    pub parameters: Parameters,
}

/// The parameters of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parameters {
    /// None.
    None,
    /// `%name`: rendered as an object with one member.
    Named(&'static str, String),
    /// `%1`: rendered as a list with one item.
    Positional(String),
    /// `%1`, put into the text, which is what Magento does where it knows no more than the text (`Webapi\Exception`).
    Rendered(String),
}

impl Message {
    /// The text as it is read, with the placeholder replaced where Magento replaces it.
    #[must_use]
    pub fn rendered_text(&self) -> Cow<'static, str> {
        match &self.parameters {
            Parameters::Rendered(value) => Cow::Owned(self.text.replace("%1", value)),
            Parameters::None | Parameters::Named(..) | Parameters::Positional(_) => Cow::Borrowed(self.text),
        }
    }

    /// A message without parameters.
    #[must_use]
    pub const fn plain(text: &'static str) -> Self {
        Self { text, errors: Vec::new(), parameters: Parameters::None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Status, class, seconds to wait, and whether the request could go upstream all the same.
    #[test]
    fn each_rejection_has_a_status_a_class_and_a_wait() {
        use Malformation as M;
        use Rejection as R;
        let message = || Message::plain("x");
        let cases = [
            (R::Malformed(M::AmbiguousAuthorization), 400, "ambiguous_authorization", None, true),
            (R::Malformed(M::AmbiguousPath), 400, "ambiguous_path", None, true),
            (R::Malformed(M::Asynchronous), 400, "asynchronous_login", None, true),
            (R::Malformed(M::AmbiguousSession), 400, "ambiguous_session", None, true),
            (R::Malformed(M::DisguisedRoute), 400, "disguised_route", None, true),
            (R::Malformed(M::Framing), 400, "framing", None, false),
            (R::Malformed(M::Host), 400, "host", None, false),
            (R::Malformed(M::Target), 400, "target", None, false),
            (R::Oauth(OauthProblem::TokenLength), 400, "oauth_token_length", None, true),
            (R::Oauth(OauthProblem::TokenUnknown), 401, "oauth_token_unknown", None, true),
            (R::SessionExpired, 400, "session_expired", None, true),
            (R::ResourceDenied { resources: String::new() }, 401, "resource_denied", None, true),
            (R::NoRoute, 404, "no_route", None, true),
            (R::HttpsRequired, 400, "https_required", None, true),
            (R::TooManyLogins { retry_after: 7 }, 429, "too_many_logins", Some(7), true),
            (R::RateLimited { retry_after: 8 }, 429, "rate_limited", Some(8), true),
            (R::LimitsUnavailable, 503, "limits_unavailable", Some(1), true),
            (R::PasswordsBusy { retry_after: 9 }, 503, "passwords_busy", Some(9), true),
            (R::InvalidInput(message()), 400, "invalid_input", None, false),
            (R::LoginRefused(message()), 401, "login_refused", None, false),
            (R::NotPossible(message()), 400, "not_possible", None, false),
            (R::AuditUnavailable, 503, "audit_unavailable", Some(30), false),
            (R::IssuerMisconfigured, 503, "issuer_misconfigured", Some(30), false),
            (R::BodyTooLarge, 413, "body_too_large", None, false),
            (R::BodyStalled, 408, "body_stalled", None, false),
            (R::StoreUnavailable, 503, "store_unavailable", Some(1), true),
            (R::NonceStoreUnavailable, 503, "nonce_store_unavailable", Some(30), true),
            (R::FormBudgetExhausted, 503, "form_budget_exhausted", Some(1), true),
            (R::UpstreamUnavailable, 502, "upstream_unavailable", None, false),
            (R::UpstreamTimeout, 504, "upstream_timeout", None, false),
            (R::UpstreamBusy, 503, "upstream_busy", Some(1), false),
            (R::UpstreamSuspended { retry_after: 5 }, 503, "upstream_suspended", Some(5), false),
        ];
        for (rejection, status, reason, retry_after, is_forwardable) in cases {
            assert_eq!((rejection.status(), rejection.reason()), (status, reason));
            assert_eq!(rejection.retry_after(), retry_after, "{reason}");
            assert_eq!(rejection.is_forwardable(), is_forwardable, "{reason}");
            assert!(!rejection.message().text.is_empty(), "{reason}");
        }
    }

    #[test]
    fn only_a_used_nonce_is_a_replay() {
        assert_eq!(Rejection::Oauth(OauthProblem::NonceUsed { consumer_id: 3 }).replayed(), Some(3));
        assert_eq!(Rejection::Oauth(OauthProblem::SignatureInvalid).replayed(), None);
        assert_eq!(Rejection::NoRoute.replayed(), None);
    }

    #[test]
    fn a_denial_names_the_resources_beside_its_text() {
        let message = Rejection::ResourceDenied { resources: "A::b, A::c".to_owned() }.message();
        assert_eq!(message.text, "The consumer isn't authorized to access %resources.");
        assert_eq!(message.parameters, Parameters::Named("resources", "A::b, A::c".to_owned()));
        assert_eq!(message.rendered_text(), message.text, "Magento leaves the placeholder as it stands");
    }

    #[test]
    fn what_magento_renders_is_rendered() {
        let message = Message {
            text: "No %1 here",
            errors: Vec::new(),
            parameters: Parameters::Rendered("cat".to_owned()),
        };
        assert_eq!(message.rendered_text(), "No cat here");
        let message = Message { parameters: Parameters::Positional("cat".to_owned()), ..message };
        assert_eq!(message.rendered_text(), "No %1 here");
    }
}
