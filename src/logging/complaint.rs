//! Saying a thing that keeps happening once a minute.
//!
//! For failures of something that goes on in the background; the next line says how often it failed meanwhile.

use std::{fmt::Display, time::Duration};

use crate::clock::Seldom;

const PAUSE: Duration = Duration::from_secs(60);

/// A failure that is logged, but not every time.
#[derive(Debug)]
pub struct Complaint {
    what: &'static str,
    seldom: Seldom,
}

impl Complaint {
    /// A failure that has not happened yet.
    #[must_use]
    pub const fn new(what: &'static str) -> Self {
        Self { what, seldom: Seldom::every(PAUSE) }
    }

    /// Logs, unless it did within the last minute; then counts.
    pub fn about(&self, reason: &impl Display) {
        if let Some(unsaid) = self.seldom.due() {
            tracing::error!(error = %reason, unsaid, "{}", self.what);
        }
    }
}
