//! Who runs a job: one row a job, taken by compare-and-swap, kept for a while, given back at the end.
//!
//! A runner that was killed keeps its row until the lease runs out. A lease that ends a minute further ahead than
//! any lease may is of a clock that was set back since, and counts as run out.

use super::{
    columns::{Columns, Row},
    dialect::Dialect,
    statement::query,
    store::SqlStore,
};
use crate::{auth::time::UnixTime, store::StoreError};

// MySQL has no condition on an upsert: there the row is made first, if it is missing, and claimed by a write of its own.
const MAKE: &str = "INSERT IGNORE INTO {portcullis_job} (name, leased_until) VALUES (?1, 0)";

const CLAIM: &str = "
    UPDATE {portcullis_job} SET owner = ?2, leased_until = ?4
    WHERE name = ?1 AND (leased_until <= ?3 OR leased_until > ?4 + 60)
        AND (?5 IS NULL OR finished_at IS NULL OR finished_at <= ?5 OR finished_at > ?3)";

const TAKE: &str = "
    INSERT INTO {portcullis_job} (name, owner, leased_until) VALUES (?1, ?2, ?4)
    ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, leased_until = excluded.leased_until
    WHERE ({portcullis_job}.leased_until <= ?3 OR {portcullis_job}.leased_until > ?4 + 60)
        AND (?5 IS NULL OR {portcullis_job}.finished_at IS NULL OR {portcullis_job}.finished_at <= ?5
            OR {portcullis_job}.finished_at > ?3)";

const KEEP: &str = "
    UPDATE {portcullis_job} SET leased_until = ?4 WHERE name = ?1 AND owner = ?2 AND leased_until > ?3";

const GIVE_BACK: &str = "
    UPDATE {portcullis_job} SET owner = NULL, leased_until = 0, finished_at = coalesce(?3, finished_at)
    WHERE name = ?1 AND owner = ?2";

const ROWS: &str = r#"
    SELECT name AS "portcullis_job.name", owner AS "portcullis_job.owner",
        leased_until AS "portcullis_job.leased_until", finished_at AS "portcullis_job.finished_at"
    FROM {portcullis_job} ORDER BY name"#;

/// A claim on a job.
#[derive(Debug, Clone, Copy)]
pub struct Lease<'a> {
    /// The job.
    pub job: &'a str,
    /// Who claims it; nobody else's word.
    pub owner: &'a str,
}

/// What the store knows of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRow {
    /// The job.
    pub name: String,
    /// Who runs it, or ran it and was killed.
    pub owner: Option<String>,
    /// When that claim runs out.
    pub leased_until: UnixTime,
    /// When it was last done.
    pub finished_at: Option<UnixTime>,
}

impl SqlStore {
    /// Claims a job until a time, unless somebody has it, or it was done after `done_after`. A Magento's database keeps no claims:
    /// there everybody has it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage.
    pub async fn take_job(
        &self,
        lease: Lease<'_>,
        (now, until): (UnixTime, UnixTime),
        done_after: Option<UnixTime>,
    ) -> Result<bool, StoreError> {
        // Nobody can say it there. Batches look at each row again when they delete it: two runners are one too many, and no harm.
        if self.is_magentos() {
            return Ok(true);
        }
        let statement = match self.pool.dialect() {
            Dialect::Sqlite | Dialect::Postgres => TAKE,
            Dialect::MySql => {
                query(MAKE).bind(lease.job).execute(&self.pool).await?;
                CLAIM
            }
        };
        let take =
            query(statement).bind(lease.job).bind(lease.owner).bind(now.seconds()).bind(until.seconds());
        let taken = take.bind(done_after.map(UnixTime::seconds)).execute(&self.pool).await?;
        Ok(taken.rows_affected() == 1)
    }

    /// Claims a job for longer; `false` where the claim ran out meanwhile.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage.
    pub async fn keep_job(
        &self,
        lease: Lease<'_>,
        (now, until): (UnixTime, UnixTime),
    ) -> Result<bool, StoreError> {
        if self.is_magentos() {
            return Ok(true);
        }
        let keep = query(KEEP).bind(lease.job).bind(lease.owner).bind(now.seconds()).bind(until.seconds());
        Ok(keep.execute(&self.pool).await?.rows_affected() == 1)
    }

    /// Gives a job back; done, if a time says so.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage; the claim runs out then.
    pub async fn give_back_job(
        &self,
        lease: Lease<'_>,
        finished_at: Option<UnixTime>,
    ) -> Result<(), StoreError> {
        if self.is_magentos() {
            return Ok(());
        }
        let finished_at = finished_at.map(UnixTime::seconds);
        query(GIVE_BACK).bind(lease.job).bind(lease.owner).bind(finished_at).execute(&self.pool).await?;
        Ok(())
    }

    /// Every job that ever ran; a Magento's database does not know.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage, [`StoreError::Corrupt`] where a row makes no sense.
    pub async fn jobs(&self) -> Result<Vec<JobRow>, StoreError> {
        if self.is_magentos() {
            return Ok(Vec::new());
        }
        let rows = query(ROWS).fetch_all(&self.pool).await?;
        rows.iter().map(job).collect()
    }
}

fn job(row: &Row) -> Result<JobRow, StoreError> {
    let row = Columns(row);
    Ok(JobRow {
        name: row.text("portcullis_job.name")?,
        owner: row.optional_text("portcullis_job.owner")?,
        leased_until: UnixTime::from_seconds(row.number("portcullis_job.leased_until")?),
        finished_at: row.optional_number("portcullis_job.finished_at")?.map(UnixTime::from_seconds),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: i64) -> UnixTime {
        UnixTime::from_seconds(seconds)
    }

    #[tokio::test]
    async fn one_runner_at_a_time_and_a_killed_ones_claim_runs_out() {
        let store = SqlStore::open("sqlite::memory:").await.unwrap();
        let (a, b) = (Lease { job: "j", owner: "a" }, Lease { job: "j", owner: "b" });
        assert!(store.take_job(a, (at(100), at(160)), None).await.unwrap());
        assert!(!store.take_job(b, (at(159), at(219)), None).await.unwrap(), "taken");
        assert!(
            store.take_job(Lease { job: "k", ..b }, (at(100), at(160)), None).await.unwrap(),
            "another job"
        );
        assert!(store.keep_job(a, (at(150), at(210)),).await.unwrap());
        assert!(!store.keep_job(b, (at(150), at(210))).await.unwrap(), "not its own");
        assert!(store.take_job(b, (at(210), at(270)), None).await.unwrap(), "run out");
        assert!(!store.keep_job(a, (at(211), at(271))).await.unwrap(), "lost");
        store.give_back_job(a, Some(at(212))).await.unwrap();
        assert_eq!(store.jobs().await.unwrap()[0].owner.as_deref(), Some("b"), "not its own to give back");
        store.give_back_job(b, Some(at(220))).await.unwrap();
        let row = store.jobs().await.unwrap().remove(0);
        assert_eq!((row.owner, row.finished_at), (None, Some(at(220))));
    }

    #[tokio::test]
    async fn what_was_just_done_is_not_done_again() {
        let store = SqlStore::open("sqlite::memory:").await.unwrap();
        let lease = Lease { job: "j", owner: "a" };
        assert!(store.take_job(lease, (at(100), at(160)), Some(at(50))).await.unwrap());
        store.give_back_job(lease, Some(at(110))).await.unwrap();
        assert!(!store.take_job(lease, (at(120), at(180)), Some(at(60))).await.unwrap());
        assert!(store.take_job(lease, (at(120), at(180)), None).await.unwrap(), "by hand at any time");
        store.give_back_job(lease, None).await.unwrap();
        assert!(store.take_job(lease, (at(170), at(230)), Some(at(110))).await.unwrap());
        store.give_back_job(lease, Some(at(500))).await.unwrap();
        assert!(
            store.take_job(lease, (at(300), at(360)), Some(at(240))).await.unwrap(),
            "the clock was set back"
        );
    }

    #[tokio::test]
    async fn a_claim_from_the_future_counts_as_run_out() {
        let store = SqlStore::open("sqlite::memory:").await.unwrap();
        assert!(store.take_job(Lease { job: "j", owner: "a" }, (at(9000), at(9060)), None).await.unwrap());
        assert!(store.take_job(Lease { job: "j", owner: "b" }, (at(100), at(160)), None).await.unwrap());
    }
}
