//! Whether the store is worth asking, by how it answered lately.
//!
//! A store that is silent several times in a row is left alone: until it answers again, a miss is told at once that
//! nobody knows, and does not wait for a limit that it will meet. Twice a second one lookup may try. The rules are pure: the
//! time is an argument, and what became of a question is told by whoever asked.
//!
//! A store that nobody has proven yet (it was away when the gate started) is not asked at all, however well it answers.

use std::time::{Duration, Instant};

/// So many silences in a row open the breaker: one is a lost packet, five are an outage.
const SILENCES: u32 = 5;

/// Between two probes. Recovery is promised within five seconds; a probe costs one query.
const PROBE_INTERVAL: Duration = Duration::from_millis(500);

/// What was seen of the store.
#[derive(Debug)]
pub(super) struct Breaker {
    state: State,
    /// Numbers the states: what was asked in an earlier one says nothing about this one.
    round: u64,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Unproven,
    Closed { silences: u32 },
    Open { since: Instant, probe_at: Instant },
    Probing { since: Instant },
}

/// What the breaker does, for figures and pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// The store answers and is asked.
    Closed,
    /// The store was silent; one lookup is trying.
    Probing,
    /// The store was silent and is not asked.
    Open,
    /// Nobody has proven the store since the start.
    Unproven,
}

/// Leave to ask once; whoever has it tells the breaker what came of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leave {
    round: u64,
}

/// A change that an operator wants to know of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// The store is no longer asked.
    Opened,
    /// The store is asked again, after so long.
    Closed(Duration),
}

impl Breaker {
    /// A breaker before a store that has been proven.
    pub(super) const fn closed() -> Self {
        Self { state: State::Closed { silences: 0 }, round: 0 }
    }

    /// What it does.
    pub(super) const fn state(&self) -> BreakerState {
        match self.state {
            State::Unproven => BreakerState::Unproven,
            State::Closed { .. } => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::Probing { .. } => BreakerState::Probing,
        }
    }

    /// Lets nobody ask until [`Breaker::trust`].
    pub(super) const fn distrust(&mut self) {
        self.enter(State::Unproven);
    }

    /// The store has been proven.
    pub(super) const fn trust(&mut self) {
        if let State::Unproven = self.state {
            self.enter(State::Closed { silences: 0 });
        }
    }

    /// Whether somebody may ask now.
    pub(super) fn admit(&mut self, now: Instant) -> Option<Leave> {
        match self.state {
            State::Closed { .. } => {}
            State::Open { since, probe_at } if now >= probe_at => self.enter(State::Probing { since }),
            State::Unproven | State::Open { .. } | State::Probing { .. } => return None,
        }
        Some(Leave { round: self.round })
    }

    /// The store answered a question that was not asked through here: whoever asks next may try at once.
    pub(super) const fn heard(&mut self, now: Instant) {
        if let State::Open { since, .. } = self.state {
            self.state = State::Open { since, probe_at: now };
        }
    }

    /// The store answered, whatever it said.
    pub(super) fn answered(&mut self, leave: Leave, now: Instant) -> Option<Change> {
        if leave.round != self.round {
            return None;
        }
        match self.state {
            State::Closed { .. } => {
                // The same round: a success among many questions does not make the others outdated.
                self.state = State::Closed { silences: 0 };
                None
            }
            State::Probing { since } => {
                self.enter(State::Closed { silences: 0 });
                Some(Change::Closed(now.saturating_duration_since(since)))
            }
            State::Unproven | State::Open { .. } => None,
        }
    }

    /// The store did not answer, or not in time.
    pub(super) fn silent(&mut self, leave: Leave, now: Instant) -> Option<Change> {
        if leave.round != self.round {
            return None;
        }
        match self.state {
            State::Closed { silences } if silences + 1 < SILENCES => {
                self.state = State::Closed { silences: silences + 1 };
                None
            }
            State::Closed { .. } => {
                self.enter(State::Open { since: now, probe_at: now + PROBE_INTERVAL });
                Some(Change::Opened)
            }
            State::Probing { since } => {
                self.enter(State::Open { since, probe_at: now + PROBE_INTERVAL });
                None
            }
            State::Unproven | State::Open { .. } => None,
        }
    }

    /// Whoever asked gave up before the store could answer: nothing was learnt.
    pub(super) fn given_up(&mut self, leave: Leave, now: Instant) {
        if let State::Probing { since } = self.state
            && leave.round == self.round
        {
            self.enter(State::Open { since, probe_at: now + PROBE_INTERVAL });
        }
    }

    const fn enter(&mut self, state: State) {
        self.state = state;
        self.round = self.round.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A breaker and a clock that stands until it is moved.
    struct Bench {
        breaker: Breaker,
        now: Instant,
    }

    impl Bench {
        fn new() -> Self {
            Self { breaker: Breaker::closed(), now: Instant::now() }
        }

        fn wait(&mut self, milliseconds: u64) {
            self.now += Duration::from_millis(milliseconds);
        }

        fn admit(&mut self) -> Option<Leave> {
            self.breaker.admit(self.now)
        }

        fn silence(&mut self) -> Option<Change> {
            let leave = self.admit().expect("it may ask");
            self.breaker.silent(leave, self.now)
        }

        fn opened() -> Self {
            let mut bench = Self::new();
            for _ in 1..SILENCES {
                assert_eq!(bench.silence(), None);
            }
            assert_eq!(bench.silence(), Some(Change::Opened));
            bench
        }
    }

    #[test]
    fn it_opens_after_silences_in_a_row_and_an_answer_starts_the_count_anew() {
        let mut bench = Bench::new();
        for _ in 0..3 {
            for _ in 1..SILENCES {
                assert_eq!(bench.silence(), None);
            }
            let leave = bench.admit().unwrap();
            assert_eq!(bench.breaker.answered(leave, bench.now), None);
        }
        assert_eq!(bench.breaker.state(), BreakerState::Closed);
        assert_eq!(Bench::opened().breaker.state(), BreakerState::Open);
    }

    #[test]
    fn while_it_is_open_one_probe_an_interval_asks_and_nobody_else() {
        let mut bench = Bench::opened();
        assert!(bench.admit().is_none());
        bench.wait(499);
        assert!(bench.admit().is_none());
        bench.wait(1);
        let probe = bench.admit().expect("the probe");
        assert_eq!(bench.breaker.state(), BreakerState::Probing);
        bench.wait(10_000);
        assert!(bench.admit().is_none(), "one at a time, however long it takes");
        assert_eq!(bench.breaker.silent(probe, bench.now), None, "told when it opened");
        assert!(bench.admit().is_none());
        bench.wait(500);
        let probe = bench.admit().expect("the next probe");
        assert_eq!(
            bench.breaker.answered(probe, bench.now),
            Some(Change::Closed(Duration::from_millis(11_000)))
        );
        assert!(bench.admit().is_some() && bench.admit().is_some());
    }

    #[test]
    fn what_was_asked_before_a_change_says_nothing_after_it() {
        let mut bench = Bench::new();
        let late: Vec<Leave> = (0..10).map(|_| bench.admit().unwrap()).collect();
        for _ in 0..SILENCES {
            bench.silence();
        }
        for leave in &late {
            assert_eq!(bench.breaker.answered(*leave, bench.now), None);
        }
        assert_eq!(bench.breaker.state(), BreakerState::Open, "an answer from before the outage");
        bench.wait(500);
        let probe = bench.admit().unwrap();
        bench.breaker.answered(probe, bench.now);
        for leave in late {
            assert_eq!(bench.breaker.silent(leave, bench.now), None);
        }
        assert_eq!(bench.breaker.state(), BreakerState::Closed, "silences of the outage");
    }

    #[test]
    fn a_probe_that_was_given_up_is_followed_by_another() {
        let mut bench = Bench::opened();
        bench.wait(500);
        let probe = bench.admit().unwrap();
        bench.breaker.given_up(probe, bench.now);
        assert_eq!(bench.breaker.state(), BreakerState::Open);
        bench.wait(500);
        assert!(bench.admit().is_some());
    }

    /// Whoever lost his place in the cache to the first look after an outage was refused until the next probe.
    #[test]
    fn a_store_that_was_heard_of_is_tried_at_once() {
        let mut bench = Bench::opened();
        bench.wait(1);
        assert!(bench.admit().is_none());
        bench.breaker.heard(bench.now);
        assert_eq!(bench.breaker.state(), BreakerState::Open, "it has answered somebody else");
        let probe = bench.admit().expect("the probe");
        bench.breaker.heard(bench.now);
        assert!(bench.admit().is_none(), "still one at a time");
        assert_eq!(bench.breaker.silent(probe, bench.now), None);
        bench.wait(499);
        assert!(bench.admit().is_none());
        bench.breaker.distrust();
        bench.breaker.heard(bench.now);
        assert!(bench.admit().is_none(), "an answer is no proof");
    }

    #[test]
    fn giving_up_counts_for_nothing_while_it_is_closed() {
        let mut bench = Bench::new();
        for _ in 0..100 {
            let leave = bench.admit().unwrap();
            bench.breaker.given_up(leave, bench.now);
        }
        assert_eq!(bench.breaker.state(), BreakerState::Closed);
    }

    #[test]
    fn an_unproven_store_is_not_asked_until_it_is_trusted() {
        let mut bench = Bench::new();
        let early = bench.admit().unwrap();
        bench.breaker.distrust();
        bench.wait(60_000);
        assert!(bench.admit().is_none());
        assert_eq!(bench.breaker.answered(early, bench.now), None);
        assert_eq!(bench.breaker.state(), BreakerState::Unproven);
        bench.breaker.trust();
        assert!(bench.admit().is_some());
        let mut open = Bench::opened();
        open.breaker.trust();
        assert_eq!(open.breaker.state(), BreakerState::Open, "proof is not an answer");
    }
}
