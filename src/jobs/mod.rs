//! What is cleaned up beside the requests: rows that are past their time, as Magento's cron does and where it does not.
//!
//! [`Job`] says what there is and what each deletes, [`JobRunner`] runs one, [`JobSchedule`] runs them when they are due. Of all
//! processes with one store only one runs a job at a time, by a lease in the store. A job deletes in batches with pauses, so
//! that no table is blocked however long it is.

mod job;
mod runner;
mod schedule;

pub use job::Job;
pub use runner::{JobOutcome, JobReport, JobRunner, SettingsNow};
pub use schedule::JobSchedule;
