//! The breaker of an endpoint: where too many requests fail, none is sent for a while, then one to try.
//!
//! Its state is shared by all workers and read with one atomic load. Each worker counts its own requests without any
//! atomic ([`Tally`]) and looks at the share of failures only when one fails.

use std::{
    cell::Cell,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

use super::{
    settings::BreakerSettings,
    vitals::{millis, now},
};

/// Whether requests pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// They do.
    Closed,
    /// One at a time may try.
    HalfOpen,
    /// None does.
    Open,
}

/// How a request is let through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Pass {
    /// Like any other.
    #[default]
    Free,
    /// It tries whether the endpoint is back; its end decides.
    Trial,
}

/// One endpoint's breaker.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    /// When a trial may be made; 0 while requests pass.
    open_until: AtomicU64,
    is_tried: AtomicBool,
}

/// What one worker counted since its first failure in the window.
#[derive(Debug, Default)]
pub(super) struct Tally {
    since: Cell<u64>,
    requests: Cell<u32>,
    failures: Cell<u32>,
}

impl Breaker {
    /// Whether requests pass.
    pub(super) fn state(&self) -> State {
        match self.open_until.load(Relaxed) {
            0 => State::Closed,
            until if now() >= until => State::HalfOpen,
            _ => State::Open,
        }
    }

    /// Whether [`Breaker::enter`] would let a request through.
    pub(super) fn would_admit(&self) -> bool {
        match self.state() {
            State::Closed => true,
            State::HalfOpen => !self.is_tried.load(Relaxed),
            State::Open => false,
        }
    }

    /// Lets a request through, or not.
    pub(super) fn enter(&self) -> Option<Pass> {
        match self.state() {
            State::Closed => Some(Pass::Free),
            State::HalfOpen => (!self.is_tried.swap(true, Relaxed)).then_some(Pass::Trial),
            State::Open => None,
        }
    }

    /// A request was answered. Tells whether that closed the breaker.
    pub(super) fn succeeded(&self, pass: Pass) -> bool {
        if pass == Pass::Free {
            return false;
        }
        self.is_tried.store(false, Relaxed);
        self.open_until.swap(0, Relaxed) != 0
    }

    /// A request failed, and its worker counted too many. Tells whether that opened the breaker, which it does not again
    /// while it is open.
    pub(super) fn failed(&self, pass: Pass, too_many: bool, settings: &BreakerSettings) -> bool {
        let was_closed = self.open_until.load(Relaxed) == 0;
        if pass == Pass::Trial || (too_many && was_closed) {
            self.open_until.store(now().saturating_add(millis(settings.open)), Relaxed);
            self.is_tried.store(false, Relaxed);
        }
        was_closed && too_many
    }

    /// A trial ended without saying anything, because its client left.
    pub(super) fn gave_up(&self, pass: Pass) {
        if pass == Pass::Trial {
            self.is_tried.store(false, Relaxed);
        }
    }
}

impl Tally {
    /// A request was answered.
    pub(super) fn succeeded(&self) {
        self.requests.set(self.requests.get().saturating_add(1));
    }

    /// A request failed. Tells whether too many of the last ones did. The window begins with a failure, so that a success
    /// costs no look at the clock.
    pub(super) fn failed(&self, now: u64, settings: &BreakerSettings) -> bool {
        let since = self.since.get();
        if since == 0 || now.saturating_sub(since) > millis(settings.window) {
            self.since.set(now);
            self.requests.set(0);
            self.failures.set(0);
        }
        let (requests, failures) =
            (self.requests.get().saturating_add(1), self.failures.get().saturating_add(1));
        self.requests.set(requests);
        self.failures.set(failures);
        let is_much = u64::from(failures) * 100 >= u64::from(requests) * u64::from(settings.failures);
        settings.requests > 0 && requests >= settings.requests && is_much
    }

    /// Begins anew.
    pub(super) fn forget(&self) {
        self.since.set(0);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SETTINGS: BreakerSettings = BreakerSettings {
        requests: 4,
        failures: 50,
        window: Duration::from_secs(10),
        open: Duration::from_millis(30),
    };

    #[test]
    fn a_share_of_enough_requests_is_too_many() {
        let tally = Tally::default();
        for _ in 0..3 {
            tally.succeeded();
        }
        assert!(!tally.failed(1, &SETTINGS), "what was before the first failure does not count");
        assert!(!tally.failed(20_000, &SETTINGS), "one says nothing");
        tally.succeeded();
        tally.succeeded();
        assert!(tally.failed(20_001, &SETTINGS), "two of four");
        for _ in 0..10 {
            tally.succeeded();
        }
        assert!(!tally.failed(20_002, &SETTINGS), "three of fifteen");
        assert!(!tally.failed(60_000, &SETTINGS), "another window");
        let off = BreakerSettings { requests: 0, ..SETTINGS };
        assert!((0..100).all(|_| !tally.failed(60_000, &off)));
    }

    #[test]
    fn an_open_breaker_lets_one_trial_through_and_its_end_decides() {
        let breaker = Breaker::default();
        assert_eq!((breaker.state(), breaker.enter()), (State::Closed, Some(Pass::Free)));
        assert!(!breaker.failed(Pass::Free, false, &SETTINGS));
        assert!(breaker.failed(Pass::Free, true, &SETTINGS));
        assert_eq!((breaker.state(), breaker.enter()), (State::Open, None));
        assert!(!breaker.failed(Pass::Free, true, &SETTINGS), "no news");
        std::thread::sleep(Duration::from_millis(40));
        assert_eq!((breaker.state(), breaker.would_admit()), (State::HalfOpen, true));
        assert_eq!((breaker.enter(), breaker.enter()), (Some(Pass::Trial), None));
        assert!(!breaker.succeeded(Pass::Free), "an old request says nothing");
        breaker.failed(Pass::Trial, false, &SETTINGS);
        assert_eq!(breaker.state(), State::Open);
        std::thread::sleep(Duration::from_millis(40));
        assert_eq!(breaker.enter(), Some(Pass::Trial));
        breaker.gave_up(Pass::Trial);
        assert_eq!(breaker.enter(), Some(Pass::Trial), "the next one may try");
        assert!(breaker.succeeded(Pass::Trial));
        assert_eq!(breaker.state(), State::Closed);
    }
}
