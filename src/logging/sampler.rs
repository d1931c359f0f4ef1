//! Showing some of what happens often: so many lines of a kind in a span of time, and how many were left out.
//!
//! Kinds are a closed set of words, so that a flood of one cannot hide another and the whole is bounded. What is left out is
//! counted by kind until somebody tells it ([`Sampler::tell`]). The limit comes with each question: it may change while the
//! counts go on.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How much of one kind was shown.
#[derive(Debug)]
struct Shown {
    since: Instant,
    lines: u32,
    left_out: u64,
}

/// Which lines are shown; one for a process.
#[derive(Debug)]
pub struct Sampler {
    what: &'static str,
    span: Duration,
    kinds: Mutex<HashMap<&'static str, Shown>>,
}

impl Sampler {
    /// Shows lines about `what`, so many of each kind in `span`.
    #[must_use]
    pub fn new(what: &'static str, span: Duration) -> Self {
        Self { what, span, kinds: Mutex::default() }
    }

    /// Whether a line of this kind is to be shown, of which `most` are in a span; counts as shown or as left out then.
    #[must_use]
    pub fn is_due(&self, kind: &'static str, most: u32) -> bool {
        self.is_due_at(kind, most, Instant::now())
    }

    fn is_due_at(&self, kind: &'static str, most: u32, now: Instant) -> bool {
        let mut kinds = self.kinds();
        let shown = kinds.entry(kind).or_insert(Shown { since: now, lines: 0, left_out: 0 });
        if now.duration_since(shown.since) >= self.span {
            (shown.since, shown.lines) = (now, 0);
        }
        let is_due = shown.lines < most;
        if is_due {
            shown.lines += 1;
        } else {
            shown.left_out += 1;
        }
        is_due
    }

    /// Says of each kind how many lines were left out since this was last called; nothing where none was.
    pub fn tell(&self) {
        for (kind, left_out) in self.take_left_out() {
            tracing::info!(reason = kind, left_out, "{}: not every one was shown", self.what);
        }
    }

    fn take_left_out(&self) -> Vec<(&'static str, u64)> {
        let mut kinds = self.kinds();
        let counted = kinds.iter_mut().map(|(kind, shown)| (*kind, std::mem::take(&mut shown.left_out)));
        let mut left_out: Vec<_> = counted.filter(|(_, count)| *count > 0).collect();
        left_out.sort_unstable();
        left_out
    }

    fn kinds(&self) -> MutexGuard<'_, HashMap<&'static str, Shown>> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn so_many_of_a_kind_are_shown_in_a_span_and_the_rest_is_counted() {
        let sampler = Sampler::new("requests", MINUTE);
        let began = Instant::now();
        // Seconds, the kind, the limit in force, whether it is shown.
        for (second, kind, most, is_due) in [
            (0, "resource_denied", 2, true),
            (1, "resource_denied", 2, true),
            (2, "resource_denied", 2, false),
            (3, "ambiguous_path", 2, true),
            (4, "resource_denied", 3, true),
            (5, "resource_denied", 1, false),
            (59, "resource_denied", 3, false),
            (60, "resource_denied", 2, true),
            (61, "ambiguous_path", 0, false),
        ] {
            let now = began + Duration::from_secs(second);
            assert_eq!(sampler.is_due_at(kind, most, now), is_due, "{second} {kind} {most}");
        }
        assert_eq!(sampler.take_left_out(), [("ambiguous_path", 1), ("resource_denied", 3)]);
        assert_eq!(sampler.take_left_out(), [], "each is told once");
    }

    #[test]
    fn the_limit_is_that_of_all_threads_together() {
        let sampler = Sampler::new("requests", MINUTE);
        let shown: usize = std::thread::scope(|threads| {
            let ask = || (0..100).filter(|_| sampler.is_due("slow", 10)).count();
            let asking: Vec<_> = (0..4).map(|_| threads.spawn(ask)).collect();
            asking.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(shown, 10);
        assert_eq!(sampler.take_left_out(), [("slow", 390)]);
    }
}
