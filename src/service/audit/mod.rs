//! The record of what happened to credentials, for people who must answer for it.
//!
//! A [`Record`] says what, by whom, to whom, from where and how it ended. A login is told after the fact and never waits
//! for a full disk; a change is announced first ([`Audit::intend`]), so that nothing that took effect is missing.
//!
//! `line` makes a record one line of JSON, `writer` writes lines in batches to the `file`, and `webhook` posts them to a
//! receiver. A change that was announced and never ended is told as `unknown` by the next process that opens the file alone.

mod file;
mod journal;
mod line;
mod record;
#[cfg(test)]
mod tests;
mod webhook;
mod writer;

pub use journal::{Audit, AuditError, Intent};
pub use record::{Action, Outcome, Record};
