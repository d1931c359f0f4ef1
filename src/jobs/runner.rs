//! Running one job: claim it, delete in batches, tell what was done, give it back.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::job::Job;
use crate::{
    clock::Clock,
    config,
    metrics::{JobLabel, Metrics, RunLabel},
    service::audit::{Action, Audit, Outcome, Record},
    store::{
        StoreError,
        settings::Settings,
        sql::{Lease, SqlStore},
    },
};

/// How long a claim holds; a runner that was killed keeps others away that long.
const LEASE: Duration = Duration::from_secs(60);

/// A claim is made longer when this much of it has passed.
const RENEWAL: Duration = Duration::from_secs(20);

/// A run ends after this, done or not: what is left is for the next one, and other jobs wait.
const LONGEST_RUN: Duration = Duration::from_secs(300);

/// Between two batches, so that requests that write find the store free.
const PAUSE: Duration = Duration::from_millis(10);

/// Where Magento's settings are looked up for each run: a reload exchanges them.
#[derive(Clone)]
pub struct SettingsNow(Arc<dyn Fn() -> Settings + Send + Sync>);

impl SettingsNow {
    /// Settings as this says at the time.
    pub fn new(now: impl Fn() -> Settings + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }
}

impl fmt::Debug for SettingsNow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SettingsNow")
    }
}

/// What runs jobs.
#[derive(Debug, Clone)]
pub struct JobRunner {
    /// Where the rows are.
    pub store: SqlStore,
    /// Lifetimes of tokens.
    pub magento: SettingsNow,
    /// Intervals, periods and the size of batches.
    pub settings: config::Jobs,
    /// Hears of runs that changed something.
    pub audit: Audit,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// The time that rows are compared with.
    pub clock: Clock,
    /// Who runs the jobs, for the audit: `job`, `cli:root`.
    pub actor: String,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobOutcome {
    /// It did what was to do, or a part.
    Done(JobReport),
    /// Another process has it, or just did it.
    Elsewhere,
}

/// What a run did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobReport {
    /// Rows deleted.
    pub deleted: u64,
    /// Whether nothing is left to delete.
    pub is_complete: bool,
    /// How long it took.
    pub took: Duration,
}

impl JobRunner {
    /// Runs a job now, whenever it ran before.
    ///
    /// # Errors
    /// When the store does not answer; what was deleted until then stays deleted.
    pub async fn run(&self, job: Job, drain: &watch::Receiver<bool>) -> Result<JobOutcome, StoreError> {
        self.claimed(job, None, drain).await
    }

    /// Runs a job unless some process did within most of its interval.
    ///
    /// # Errors
    /// As [`JobRunner::run`].
    pub(super) async fn run_if_due(
        &self,
        job: Job,
        interval: Duration,
        drain: &watch::Receiver<bool>,
    ) -> Result<JobOutcome, StoreError> {
        self.claimed(job, Some(interval - interval / 10), drain).await
    }

    async fn claimed(
        &self,
        job: Job,
        not_within: Option<Duration>,
        drain: &watch::Receiver<bool>,
    ) -> Result<JobOutcome, StoreError> {
        let owner = uuid::Uuid::now_v7().to_string();
        let lease = Lease { job: job.name(), owner: &owner };
        let began = Instant::now();
        let now = self.clock.now();
        let done_after = not_within.map(|within| now.minus(within));
        let taken = self.store.take_job(lease, (now, now.plus(LEASE)), done_after).await;
        if matches!(taken, Ok(false)) {
            self.count(job, "elsewhere");
            return Ok(JobOutcome::Elsewhere);
        }
        let mut report = JobReport { deleted: 0, is_complete: false, took: Duration::ZERO };
        let swept = match taken {
            Ok(_) => self.sweep(job, lease, (&mut report, drain)).await,
            Err(error) => Err(error),
        };
        report.took = began.elapsed();
        let finished_at = if swept.is_ok() && report.is_complete { Some(self.clock.now()) } else { None };
        // Where the store is away the claim runs out by itself.
        let _ = self.store.give_back_job(lease, finished_at).await;
        self.tell(job, &report, swept.as_ref().err()).await;
        swept.map(|()| JobOutcome::Done(report))
    }

    async fn sweep(
        &self,
        job: Job,
        lease: Lease<'_>,
        (report, drain): (&mut JobReport, &watch::Receiver<bool>),
    ) -> Result<(), StoreError> {
        let (began, mut claimed) = (Instant::now(), Instant::now());
        let settings = (self.magento.0)();
        for stale in job.stale(self.clock.now(), &self.settings, &settings) {
            loop {
                if *drain.borrow() || began.elapsed() > LONGEST_RUN {
                    return Ok(());
                }
                if !self.keeps(lease, &mut claimed).await? {
                    tracing::warn!(job = job.name(), "a job took too long and lost its claim");
                    return Ok(());
                }
                let swept = self.store.sweep(stale, self.settings.batch).await?;
                report.deleted += swept.deleted;
                if !swept.may_be_more {
                    break;
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
        report.is_complete = true;
        Ok(())
    }

    /// Whether the claim still holds, made longer where it is due.
    async fn keeps(&self, lease: Lease<'_>, claimed: &mut Instant) -> Result<bool, StoreError> {
        if claimed.elapsed() <= RENEWAL {
            return Ok(true);
        }
        *claimed = Instant::now();
        let now = self.clock.now();
        self.store.keep_job(lease, (now, now.plus(LEASE))).await
    }

    /// Counts a run; writes down one that deleted something or failed. A minutely run that finds nothing is no news.
    async fn tell(&self, job: Job, report: &JobReport, error: Option<&StoreError>) {
        let JobReport { deleted, is_complete, took } = report;
        let label = JobLabel { task: job.name() };
        self.count(job, if error.is_some() { "failed" } else { "done" });
        self.metrics.job_rows.get_or_create(&label).inc_by(*deleted);
        self.metrics.job_seconds.get_or_create(&label).set(took.as_secs_f64());
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        match error {
            Some(error) => tracing::warn!(job = job.name(), deleted, took_ms, error = %error, "a job failed"),
            None => {
                self.metrics.job_success.get_or_create(&label).set(self.clock.now().seconds());
                if *deleted > 0 {
                    tracing::info!(job = job.name(), deleted, is_complete, took_ms, "a job ran");
                }
            }
        }
        if *deleted > 0 || error.is_some() {
            let mut record = Record::new(Action::JobRun, self.actor.as_str());
            record.name = Some(job.name().to_owned());
            record.detail = Some(format!("rows deleted {deleted}"));
            if error.is_some() {
                (record.outcome, record.cause) = (Outcome::Failed, Some("store"));
            }
            self.audit.tell(record).await;
        }
    }

    fn count(&self, job: Job, result: &'static str) {
        self.metrics.job_runs.get_or_create(&RunLabel { task: job.name(), result }).inc();
    }
}
