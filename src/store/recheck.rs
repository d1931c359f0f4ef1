//! Comparing cached facts with the rows that they were built from, for a database that tells nobody of its changes.
//!
//! One round goes through every fact that lets somebody in. Rows are read by their primary keys, so many a statement and so many
//! statements a second; a fact whose rows differ, or are gone, is dropped with all that is known of its subject. Facts that
//! let nobody in are not compared: they live for their own short time.

use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior};

use super::{
    cache::Proven,
    error::StoreError,
    evidence::{Print, Prints, Source},
    facts::Facts,
};

/// How fast is compared.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Rows that one statement reads.
    pub batch: usize,
    /// Statements a second, at most.
    pub queries: u32,
}

/// What a round came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Round {
    /// Rows compared.
    pub compared: usize,
    /// Rows that differed or were gone.
    pub differing: usize,
}

/// Compares facts with their rows.
#[derive(Debug)]
pub struct Recheck {
    facts: Facts,
    batch: usize,
    ticks: Interval,
}

/// Facts whose rows one statement will read.
type Waiting = Vec<(u64, Print, Proven)>;

impl Pace {
    /// How long after a change the last fact that it ends is dropped at the latest, with this many facts and a round begun every
    /// `poll`. A row may have been compared just before it changed: it waits for the end of its round, and for that of the next.
    #[must_use]
    pub fn promise(self, facts: u64, poll: Duration) -> Duration {
        // A session or an OAuth pair stands on two rows; every kind of row has a statement of its own.
        let statements = (facts.saturating_mul(2)).div_ceil(self.batch.max(1) as u64);
        let round = Duration::from_secs_f64(statements as f64 / f64::from(self.queries.max(1)));
        poll.max(round) + round
    }
}

impl Recheck {
    /// Compares these facts at this pace.
    #[must_use]
    pub fn new(facts: Facts, pace: Pace) -> Self {
        let between = Duration::from_secs(1) / pace.queries.max(1);
        let mut ticks = tokio::time::interval(between);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { facts, batch: pace.batch.max(1), ticks }
    }

    /// Goes through every fact once.
    ///
    /// # Errors
    /// When the store does not answer; facts that were found to differ until then are dropped.
    pub async fn round(&mut self, timeout: Duration) -> Result<Round, StoreError> {
        let mut waiting: [Waiting; Source::ALL.len()] = Default::default();
        let mut round = Round::default();
        let facts = self.facts.clone();
        for proven in facts.cache().proven() {
            for piece in proven.evidence.pieces() {
                let Some(batch) = waiting.get_mut(piece.source as usize) else { continue };
                batch.push((piece.id, piece.print, proven));
                if batch.len() >= self.batch {
                    self.compare(piece.source, std::mem::take(batch), (&mut round, timeout)).await?;
                }
            }
        }
        for (source, batch) in Source::ALL.into_iter().zip(waiting) {
            if !batch.is_empty() {
                self.compare(source, batch, (&mut round, timeout)).await?;
            }
        }
        Ok(round)
    }

    async fn compare(
        &mut self,
        source: Source,
        batch: Waiting,
        (round, timeout): (&mut Round, Duration),
    ) -> Result<(), StoreError> {
        self.ticks.tick().await;
        let mut ids: Vec<u64> = batch.iter().map(|(id, ..)| *id).collect();
        ids.sort_unstable();
        ids.dedup();
        let cache = self.facts.cache();
        let asked = self.facts.store().prints_now(&cache.prints, source, &ids);
        let late = |_| StoreError::Unavailable(sqlx::Error::PoolTimedOut);
        let now = tokio::time::timeout(timeout, asked).await.map_err(late)??;
        round.compared += batch.len();
        for (id, print, proven) in batch {
            if now.get(&id).copied().unwrap_or(Prints::absent()) != print {
                cache.disprove(&proven);
                round.differing += 1;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_promise_grows_with_the_callers_and_shrinks_with_the_pace() {
        let poll = Duration::from_secs(1);
        for (batch, queries, facts, seconds) in [
            (500, 50, 0, 1.0),
            (500, 50, 250, 1.02),
            (500, 50, 251, 1.04),
            (500, 50, 12_500, 2.0),
            (500, 50, 100_000, 16.0),
            (5000, 50, 100_000, 1.8),
            (500, 500, 100_000, 1.8),
            (0, 0, 1, 4.0),
        ] {
            let promise = Pace { batch, queries }.promise(facts, poll).as_secs_f64();
            assert!((promise - seconds).abs() < 1e-6, "{batch} {queries} {facts}: {promise}");
        }
    }
}
