//! Comparing our verdict with the upstream's own, to adopt the gate without fear.
//!
//! With `acl.mode = "shadow"` every request that can be forwarded at all is forwarded, credentials and all, and the upstream
//! judges it as it always did. Where it refuses what we would pass, or the other way round, the difference is counted by
//! its reason and one line a reason and ten seconds says which request it was. Identity headers of a request that we would
//! refuse say `guest`.

use http::StatusCode;

use crate::auth::rejection::Rejection;

/// What we would have done with a forwarded request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShadowVerdict {
    /// Passed it.
    Pass,
    /// Refused it.
    Refuse {
        /// The class of the refusal.
        reason: &'static str,
        /// Its status.
        status: u16,
    },
    /// We could not tell: a store is away.
    Unknown,
}

/// How our verdict and the upstream's answer go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agreement {
    /// Both pass, or both refuse.
    Agree,
    /// We refuse what the upstream serves.
    OnlyGate,
    /// The upstream refuses what we pass.
    OnlyUpstream,
    /// There is nothing to compare.
    Unknown,
}

impl ShadowVerdict {
    /// The verdict that a refusal stands for.
    #[must_use]
    pub const fn of(rejection: &Rejection) -> Self {
        match rejection {
            Rejection::StoreUnavailable
            | Rejection::NonceStoreUnavailable
            | Rejection::FormBudgetExhausted
            | Rejection::AuditUnavailable
            | Rejection::IssuerMisconfigured
            | Rejection::RateLimited { .. }
            | Rejection::LimitsUnavailable
            | Rejection::PasswordsBusy { .. } => Self::Unknown,
            Rejection::Malformed(_)
            | Rejection::Oauth(_)
            | Rejection::SessionExpired
            | Rejection::ResourceDenied { .. }
            | Rejection::NoRoute
            | Rejection::HttpsRequired
            | Rejection::TooManyLogins { .. }
            | Rejection::InvalidInput(_)
            | Rejection::LoginRefused(_)
            | Rejection::NotPossible(_)
            | Rejection::BodyTooLarge
            | Rejection::BodyStalled
            | Rejection::UpstreamUnavailable
            | Rejection::UpstreamTimeout
            | Rejection::UpstreamBusy
            | Rejection::UpstreamSuspended { .. } => {
                Self::Refuse { reason: rejection.reason(), status: rejection.status() }
            }
        }
    }

    /// Compares the verdict with the upstream's status. A 400 counts as its refusal only where ours is one too: for
    /// anything else it is about the body.
    #[must_use]
    pub fn compare(self, upstream: StatusCode) -> Agreement {
        let denies = matches!(upstream.as_u16(), 401 | 403);
        match self {
            Self::Unknown => Agreement::Unknown,
            Self::Pass if denies => Agreement::OnlyUpstream,
            Self::Pass => Agreement::Agree,
            Self::Refuse { status, .. } if denies || upstream.as_u16() == status => Agreement::Agree,
            Self::Refuse { .. } => Agreement::OnlyGate,
        }
    }

    /// The class of the refusal, for figures.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Refuse { reason, .. } => reason,
            Self::Unknown => "unknown",
        }
    }
}

impl Agreement {
    /// The word for figures and log lines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agree => "agree",
            Self::OnlyGate => "only_gate",
            Self::OnlyUpstream => "only_upstream",
            Self::Unknown => "unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agreement_is_about_who_is_refused() {
        let denied = ShadowVerdict::Refuse { reason: "resource_denied", status: 401 };
        let malformed = ShadowVerdict::Refuse { reason: "ambiguous_path", status: 400 };
        for (ours, upstream, agreement) in [
            (ShadowVerdict::Pass, 200, Agreement::Agree),
            (ShadowVerdict::Pass, 400, Agreement::Agree),
            (ShadowVerdict::Pass, 404, Agreement::Agree),
            (ShadowVerdict::Pass, 401, Agreement::OnlyUpstream),
            (ShadowVerdict::Pass, 403, Agreement::OnlyUpstream),
            (denied, 401, Agreement::Agree),
            (denied, 200, Agreement::OnlyGate),
            (denied, 400, Agreement::OnlyGate),
            (malformed, 400, Agreement::Agree),
            (malformed, 200, Agreement::OnlyGate),
            (ShadowVerdict::Unknown, 401, Agreement::Unknown),
        ] {
            let status = StatusCode::from_u16(upstream).unwrap();
            assert_eq!(ours.compare(status), agreement, "{ours:?} {upstream}");
        }
    }
}
