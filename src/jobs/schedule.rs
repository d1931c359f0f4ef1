//! When jobs run: one after another, each at its interval with jitter, counted from when some process last did it.

use std::time::Duration;

use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{
    job::Job,
    runner::{JobOutcome, JobRunner},
};
use crate::{auth::time::UnixTime, store::sql::JobRow};

/// The jobs of one process and when each is due.
#[derive(Debug)]
pub struct JobSchedule {
    runner: JobRunner,
    due: Vec<(Instant, Job, Duration)>,
}

impl JobSchedule {
    /// A schedule that goes on where the store says that it stopped.
    pub async fn new(runner: JobRunner) -> Self {
        // Where the store is away, every job is due an interval from now.
        let rows = runner.store.jobs().await.unwrap_or_default();
        let now = runner.clock.now();
        let due = |job: Job| {
            let interval = job.interval(&runner.settings)?;
            let wait = wait(rows.iter().find(|row| row.name == job.name()), interval, now);
            Some((Instant::now() + wait + jitter(interval), job, interval))
        };
        let due = Job::ALL.into_iter().filter_map(due).collect();
        Self { runner, due }
    }

    /// Runs jobs when they are due until `drain` turns true.
    pub async fn run(mut self, mut drain: watch::Receiver<bool>) {
        while let Some(next) = self.due.iter_mut().min_by_key(|(due, ..)| *due) {
            let (due, job, interval) = *next;
            tokio::select! {
                () = sleep_until(due) => {}
                () = ended(&mut drain) => return,
            }
            // A failure is counted and logged by the runner; the next turn tries again.
            if let Ok(JobOutcome::Done(report)) = self.runner.run_if_due(job, interval, &drain).await
                && !report.is_complete
            {
                next.0 = Instant::now() + jitter(interval);
                continue;
            }
            next.0 = Instant::now() + interval + jitter(interval);
        }
    }
}

/// How long until a job is due: an interval after it was last done, and never more than an interval.
fn wait(row: Option<&JobRow>, interval: Duration, now: UnixTime) -> Duration {
    let Some(finished_at) = row.and_then(|row| row.finished_at) else { return interval };
    let ago = now.seconds().saturating_sub(finished_at.seconds());
    u64::try_from(ago).map_or(interval, |ago| interval.saturating_sub(Duration::from_secs(ago)))
}

/// Up to a tenth, so that processes that started together do not ask for one lease together.
fn jitter(interval: Duration) -> Duration {
    interval.mul_f64(rand::random_range(0.0..0.1))
}

/// Completes when the gate drains.
async fn ended(drain: &mut watch::Receiver<bool>) {
    let _ = drain.wait_for(|is_draining| *is_draining).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_due_an_interval_after_it_was_last_done() {
        let now = UnixTime::from_seconds(10_000);
        let hour = Duration::from_secs(3600);
        let row = |finished_at: Option<i64>| JobRow {
            name: "nonces".to_owned(),
            owner: None,
            leased_until: UnixTime::from_seconds(0),
            finished_at: finished_at.map(UnixTime::from_seconds),
        };
        assert_eq!(wait(None, hour, now), hour, "never yet: not in the middle of a start");
        assert_eq!(wait(Some(&row(None)), hour, now), hour);
        assert_eq!(wait(Some(&row(Some(9_400))), hour, now), Duration::from_secs(3000));
        assert_eq!(wait(Some(&row(Some(1_000))), hour, now), Duration::ZERO);
        assert_eq!(wait(Some(&row(Some(99_000))), hour, now), hour, "the clock was set back");
    }
}
