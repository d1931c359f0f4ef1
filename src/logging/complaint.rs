//! Saying a thing that keeps happening once a minute.
//!
//! For failures of something that goes on in the background; the next line says how often it failed meanwhile.

use std::{
    fmt::Display,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

const PAUSE: Duration = Duration::from_secs(60);

/// A failure that is logged, but not every time.
#[derive(Debug)]
pub struct Complaint {
    what: &'static str,
    said: Mutex<Option<(Instant, u64)>>,
}

impl Complaint {
    /// A failure that has not happened yet.
    #[must_use]
    pub const fn new(what: &'static str) -> Self {
        Self { what, said: Mutex::new(None) }
    }

    /// Logs, unless it did within the last minute; then counts.
    pub fn about(&self, reason: &impl Display) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *said {
            Some((at, unsaid)) if at.elapsed() < PAUSE => *unsaid += 1,
            past => {
                let unsaid = past.map_or(0, |(_, unsaid)| unsaid);
                *past = Some((Instant::now(), 0));
                tracing::error!(error = %reason, unsaid, "{}", self.what);
            }
        }
    }
}
