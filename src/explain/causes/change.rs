//! One thing that a client may have done otherwise.

use std::borrow::Cow;

use super::{Cause, rewrite::Rewrite};
use crate::auth::oauth1::{Scheme, SignatureMethod, TrialKey};

/// A change and the cause that it stands for.
pub(super) struct Change {
    pub(super) cause: Cause,
    pub(super) apply: Apply,
}

/// What was signed instead.
pub(super) enum Apply {
    Method(&'static str),
    Scheme(Scheme),
    Host(String),
    Path(String),
    Query(Option<String>),
    Form(Option<Vec<u8>>),
    /// The header without some of its parameters, or with more.
    Credentials(String),
    /// A base string that is written otherwise.
    Rewrite(Rewrite),
    Key(TrialKey),
    Algorithm(SignatureMethod),
}

impl Change {
    pub(super) fn new(name: &'static str, fix: impl Into<Cow<'static, str>>, apply: Apply) -> Self {
        Self { cause: Cause::new(name, fix.into()), apply }
    }

    /// Whether both change the same part, so that one undoes the other.
    pub(super) fn excludes(&self, other: &Self) -> bool {
        std::mem::discriminant(&self.apply) == std::mem::discriminant(&other.apply)
    }

    /// Whether it changes the URL before its query.
    pub(super) const fn is_of_url(&self) -> bool {
        matches!(self.apply, Apply::Scheme(_) | Apply::Host(_) | Apply::Path(_))
    }
}
