//! The record of what happened to credentials, for people who must answer for it.
//!
//! A [`Record`] says what, by whom, to whom, from where and how it ended. A login is told after the fact and never waits
//! for a full disk; a change is announced first ([`Audit::intend`]), so that nothing that took effect is missing.

mod record;

use std::sync::Arc;

pub use record::{Action, Outcome, Record};
use thiserror::Error;

/// Where records go; cheap to clone.
#[derive(Debug, Clone)]
pub struct Audit(#[expect(dead_code, reason = "the journal comes next")] Arc<Destination>);

#[derive(Debug)]
enum Destination {
    Off,
}

/// The audit's disk is full or gone.
#[derive(Debug, Error)]
#[error("the audit log cannot be written: {0}")]
pub struct AuditError(#[from] std::io::Error);

/// A change that was announced and whose end is still to be told. One that is dropped stays open in the log.
#[derive(Debug)]
#[must_use = "tell how it ended"]
pub struct Intent(Record);

impl Audit {
    /// An audit that forgets.
    #[must_use]
    pub fn off() -> Self {
        Self(Arc::new(Destination::Off))
    }

    /// Tells what happened. A record that cannot be written is counted and logged, and stops nobody.
    pub async fn tell(&self, _record: Record) {}

    /// Announces a change; the announcement is on disk when this returns.
    ///
    /// # Errors
    ///
    /// [`AuditError`] where it cannot be written: the change must not be made then.
    pub async fn intend(&self, record: Record) -> Result<Intent, AuditError> {
        Ok(Intent(record))
    }
}

impl Intent {
    /// What was announced: who is affected is often known only later.
    pub const fn record_mut(&mut self) -> &mut Record {
        &mut self.0
    }

    /// Tells that the change took effect.
    pub async fn committed(self) {}

    /// Tells that the change was not made, and why.
    pub async fn failed(self, _cause: &'static str) {}
}
