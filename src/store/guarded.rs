//! Asking the store behind its breaker, and telling what came of it: once an outage, not once a request.
//!
//! Every question about a credential passes here. What the database says, even that a row makes no sense, is an answer;
//! only silence opens the breaker, so that no credential a client makes up can. The store of PHP's sessions is another one
//! and has no part in this.

use std::{
    future::Future,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{
    breaker::{Breaker, BreakerState, Change, Leave},
    error::StoreError,
    facts::LookupFailed,
};
use crate::{
    clock::Seldom,
    metrics::{LookupLabel, LookupMetrics},
};

/// Failures that are no outage are told this often at most.
const TELL_AGAIN: Duration = Duration::from_secs(10);

/// What stands before the store; shared by every judge.
#[derive(Debug)]
pub(super) struct Guarded {
    breaker: Mutex<Breaker>,
    told: Seldom,
    /// Given to a question; one that gives up before half of it has passed learnt nothing.
    timeout: Duration,
    metrics: LookupMetrics,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unanswered {
    /// The store was asked.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It was not: it has been silent.
    #[error("the store was silent lately and is not asked")]
    NotAsked,
}

impl Unanswered {
    /// The word for figures.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Store(error) if error.is_unavailable() => "unavailable",
            Self::Store(_) => "unusable",
            Self::NotAsked => "not_asked",
        }
    }
}

impl Guarded {
    /// Before a store that has been proven.
    pub(super) const fn new(timeout: Duration, metrics: LookupMetrics) -> Self {
        Self { breaker: Mutex::new(Breaker::closed()), told: Seldom::every(TELL_AGAIN), timeout, metrics }
    }

    /// Lets nobody ask until the store is proven.
    pub(super) fn distrust(&self) {
        self.with(Breaker::distrust);
    }

    /// The store has been proven.
    pub(super) fn trust(&self) {
        self.with(Breaker::trust);
    }

    /// The store answered somebody else.
    pub(super) fn heard(&self) {
        self.with(|breaker| breaker.heard(Instant::now()));
    }

    /// What the breaker does.
    pub(super) fn state(&self) -> BreakerState {
        self.with(|breaker| breaker.state())
    }

    /// The figures that lookups are counted in.
    pub(super) const fn metrics(&self) -> &LookupMetrics {
        &self.metrics
    }

    /// Asks, if the store is worth asking.
    pub(super) async fn ask<T>(
        &self,
        question: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, Unanswered> {
        let began = Instant::now();
        let leave = self.with(|breaker| breaker.admit(began)).ok_or(Unanswered::NotAsked)?;
        let mut asking = Asking { guarded: self, leave: Some(leave), began };
        let answer = question.await;
        asking.end(answer.as_ref().is_err_and(StoreError::is_unavailable));
        Ok(answer?)
    }

    /// Counts a lookup.
    pub(super) fn count(&self, outcome: &'static str) {
        self.metrics.outcomes.get_or_create(&LookupLabel { outcome }).inc();
    }

    /// Tells of a lookup that failed, unless one was told of a moment ago.
    pub(super) fn tell(&self, failed: LookupFailed, error: &dyn std::fmt::Display) {
        if self.told.is_due() {
            tracing::warn!(error = %error, outcome = failed.word(), "a store lookup failed");
        }
    }

    fn with<R>(&self, action: impl FnOnce(&mut Breaker) -> R) -> R {
        action(&mut self.breaker.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn report(&self, change: Option<Change>) {
        match change {
            None => {}
            Some(Change::Opened) => {
                tracing::error!("the store does not answer: callers who are not cached get 503 until it does")
            }
            Some(Change::Closed(after)) => {
                let stale = self.metrics.stale.get();
                tracing::warn!(
                    outage_ms = after.as_millis(),
                    stale_served_since_start = stale,
                    "the store answers again"
                );
            }
        }
    }
}

/// A question under way. One that is dropped was given up: silence, if the store had most of the time.
struct Asking<'a> {
    guarded: &'a Guarded,
    leave: Option<Leave>,
    began: Instant,
}

impl Asking<'_> {
    fn end(&mut self, is_silence: bool) {
        let Some(leave) = self.leave.take() else { return };
        let now = Instant::now();
        let change = self.guarded.with(|breaker| {
            if is_silence { breaker.silent(leave, now) } else { breaker.answered(leave, now) }
        });
        self.guarded.report(change);
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if self.leave.is_none() {
            return;
        }
        if self.began.elapsed() >= self.guarded.timeout / 2 {
            return self.end(true);
        }
        if let Some(leave) = self.leave.take() {
            self.guarded.with(|breaker| breaker.given_up(leave, Instant::now()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guarded() -> Guarded {
        Guarded::new(Duration::from_millis(250), LookupMetrics::default())
    }

    async fn asked(guarded: &Guarded, answer: Result<(), StoreError>) -> &'static str {
        match guarded.ask(async { answer }).await {
            Ok(()) => "answer",
            Err(Unanswered::Store(_)) => "failure",
            Err(Unanswered::NotAsked) => "not asked",
        }
    }

    #[tokio::test]
    async fn silence_opens_and_nonsense_does_not() {
        let guarded = guarded();
        for _ in 0..50 {
            let corrupt = StoreError::Corrupt { column: "oauth_token.type", problem: "?".to_owned() };
            assert_eq!(asked(&guarded, Err(corrupt)).await, "failure");
        }
        for _ in 0..5 {
            let silent = Err(StoreError::Unavailable(sqlx::Error::PoolTimedOut));
            assert_eq!(asked(&guarded, silent).await, "failure");
        }
        assert_eq!(asked(&guarded, Ok(())).await, "not asked");
        assert_eq!(guarded.state(), BreakerState::Open);
        tokio::time::sleep(Duration::from_millis(510)).await;
        assert_eq!(asked(&guarded, Ok(())).await, "answer");
        assert_eq!(guarded.state(), BreakerState::Closed);
    }

    #[tokio::test]
    async fn only_a_question_that_had_its_time_is_a_silence() {
        for (timeout, opens) in [(Duration::from_secs(3600), false), (Duration::from_millis(2), true)] {
            let guarded = Guarded::new(timeout, LookupMetrics::default());
            for _ in 0..5 {
                let forever = guarded.ask(std::future::pending::<Result<(), StoreError>>());
                assert!(tokio::time::timeout(Duration::from_millis(10), forever).await.is_err());
            }
            assert_eq!(guarded.state() == BreakerState::Open, opens, "{timeout:?}");
        }
    }

    #[tokio::test]
    async fn a_store_that_nobody_has_proven_is_not_asked() {
        let guarded = guarded();
        guarded.distrust();
        assert_eq!(asked(&guarded, Ok(())).await, "not asked");
        guarded.trust();
        assert_eq!(asked(&guarded, Ok(())).await, "answer");
    }
}
