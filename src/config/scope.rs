//! `[scope]`: which paths are authenticated at all.

use super::{lenient::Words, raw::RawScope, report::Report};

/// Which paths are authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authenticate {
    /// Magento's API: `/rest`, `/oauth/token`, `/graphql`, `/soap`; other paths go on as guest.
    Magento,
    /// Every path, matched against the routes as it stands.
    Everything,
}

/// What is authenticated.
#[derive(Debug, Clone)]
pub struct Scope {
    /// Which paths.
    pub authenticate: Authenticate,
}

impl Words for Authenticate {
    const WORDS: &'static [(&'static str, Self)] =
        &[("magento", Self::Magento), ("everything", Self::Everything)];
}

impl Scope {
    pub(super) fn parse(raw: RawScope, report: &mut Report) -> Self {
        let RawScope { authenticate } = raw;
        Self { authenticate: report.take("scope.authenticate", authenticate, Authenticate::Magento) }
    }
}
