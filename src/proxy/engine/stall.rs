//! How long the next piece of a body may be waited for, and how slow a body may be in all.
//!
//! The second stops whoever sends a byte just before the first runs out, again and again. Time that the receiver takes
//! does not count.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep};

/// The slowest that a body may come.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// How long it may take whatever its speed.
    pub grace: Duration,
    /// From then on; any speed when 0.
    pub bytes_per_second: u64,
}

impl Pace {
    /// How long so many bytes may be waited for in all.
    fn allowance(self, bytes: u64) -> Option<Duration> {
        let milliseconds = bytes.saturating_mul(1000).checked_div(self.bytes_per_second)?;
        Some(self.grace.saturating_add(Duration::from_millis(milliseconds)))
    }
}

/// A timer that costs nothing while data flows: it exists only once a frame had to be awaited.
pub(super) struct Stall {
    limit: Duration,
    waiting: Option<Box<Waiting>>,
}

struct Waiting {
    timer: Pin<Box<Sleep>>,
    since: Option<Instant>,
    /// In all before.
    waited: Duration,
}

impl Stall {
    /// At most `limit` for the next piece.
    pub(super) const fn new(limit: Duration) -> Self {
        Self { limit, waiting: None }
    }

    /// The piece came.
    pub(super) fn moved(&mut self) {
        if let Some(waiting) = &mut self.waiting
            && let Some(since) = waiting.since.take()
        {
            waiting.waited += since.elapsed();
        }
    }

    /// Ready when the sender of `bytes` so far has been waited for too long, or for longer than a pace allows.
    pub(super) fn poll(&mut self, bytes: u64, pace: Option<Pace>, cx: &mut Context<'_>) -> Poll<()> {
        let limit = self.limit;
        let waiting = self.waiting.get_or_insert_with(|| {
            let timer = Box::pin(tokio::time::sleep(limit));
            Box::new(Waiting { timer, since: None, waited: Duration::ZERO })
        });
        if waiting.since.is_none() {
            let now = Instant::now();
            let left = pace.and_then(|pace| pace.allowance(bytes));
            let left = left.map_or(limit, |allowed| allowed.saturating_sub(waiting.waited).min(limit));
            waiting.since = Some(now);
            waiting.timer.as_mut().reset(now + left);
        }
        waiting.timer.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_allowance_grows_with_what_came() {
        let pace = Pace { grace: Duration::from_secs(30), bytes_per_second: 1024 };
        assert_eq!(pace.allowance(0), Some(Duration::from_secs(30)));
        assert_eq!(pace.allowance(10 * 1024), Some(Duration::from_secs(40)));
        assert!(pace.allowance(u64::MAX).is_some());
        assert_eq!(Pace { bytes_per_second: 0, ..pace }.allowance(5), None);
    }
}
