//! Whether the workers still turn: each beats once a second, and somebody looks when each beat last.
//!
//! A beat is a task of the worker's own loop, so it stops with whatever holds that loop up. A worker that ended in order is
//! not missed; one that panicked is.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Between two beats.
const BEAT: Duration = Duration::from_secs(1);

/// The beat of a worker that ended in order.
const ENDED: u64 = u64::MAX;

/// The beats of all workers.
#[derive(Debug)]
pub(super) struct Pulses {
    began: Instant,
    /// Milliseconds from the beginning to the last beat of each.
    last: Vec<Arc<AtomicU64>>,
}

impl Pulses {
    /// Nobody's, yet.
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), last: Vec::new() }
    }

    /// The pulse of one more worker, which counts as beating now.
    pub(super) fn add(&mut self) -> Pulse {
        let pulse = Pulse { began: self.began, last: Arc::default() };
        pulse.beat_once();
        self.last.push(Arc::clone(&pulse.last));
        pulse
    }

    /// Whether every worker beat within this time, or ended.
    pub(super) fn all_within(&self, patience: Duration) -> bool {
        let oldest = self.began.elapsed().saturating_sub(patience);
        self.last.iter().all(|last| {
            let last = last.load(Ordering::Relaxed);
            last == ENDED || Duration::from_millis(last) >= oldest
        })
    }
}

/// The pulse of one worker.
#[derive(Debug)]
pub(super) struct Pulse {
    began: Instant,
    last: Arc<AtomicU64>,
}

impl Pulse {
    /// Beats for as long as the loop that this runs on turns.
    pub(super) async fn beat(self) {
        loop {
            self.beat_once();
            tokio::time::sleep(BEAT).await;
        }
    }

    fn beat_once(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(ENDED - 1);
        self.last.store(now, Ordering::Relaxed);
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.last.store(ENDED, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread};

    use super::*;

    fn turn<T>(work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, work)
    }

    #[test]
    fn a_worker_that_is_held_up_is_missed_and_one_that_ended_is_not() {
        let patience = Duration::from_millis(1500);
        let mut pulses = Pulses::new();
        let (held, ended) = (pulses.add(), pulses.add());
        thread::spawn(|| turn(async { drop(tokio::task::spawn_local(ended.beat())) })).join().unwrap();
        let (go_on, blocked) = mpsc::channel::<()>();
        let worker = thread::spawn(move || {
            turn(async {
                tokio::task::spawn_local(held.beat());
                tokio::time::sleep(Duration::from_millis(50)).await;
                // Holds the loop up, as no worker may.
                let _ = blocked.recv();
                tokio::time::sleep(Duration::from_secs(3)).await;
            });
        });
        assert!(pulses.all_within(patience));
        thread::sleep(patience * 2);
        assert!(!pulses.all_within(patience), "it is held up");
        go_on.send(()).unwrap();
        thread::sleep(Duration::from_millis(1000));
        assert!(pulses.all_within(patience), "it goes on");
        worker.join().unwrap();
        thread::sleep(patience * 2);
        assert!(pulses.all_within(patience), "it ended in order");
    }

    #[test]
    fn a_worker_that_panicked_is_missed() {
        let mut pulses = Pulses::new();
        let pulse = pulses.add();
        let worker = thread::spawn(move || {
            let _pulse = pulse;
            panic!("a worker breaks");
        });
        assert!(worker.join().is_err());
        thread::sleep(Duration::from_millis(20));
        assert!(!pulses.all_within(Duration::from_millis(10)));
    }
}
