//! Whether the machine's clock goes evenly, seen beside one that cannot be set.
//!
//! Windows of timestamps and lifetimes of tokens are measured by the clock that somebody can set. The nonce store never
//! believes again what it has forgotten, so a clock that jumps lets no replay in; but signatures of honest clients are
//! refused, and tokens end early or late. A jump as long as the window is told, and the gate is not ready until the clock
//! came back to where it would be, or went evenly for a minute: then it was set right, and this is the time.
//!
//! The rules are pure: both times are arguments.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::watch, time::MissedTickBehavior};

use super::{
    chores::ended,
    standing::{Part, Standing},
};
use crate::{auth::time::UnixTime, clock::Clock, metrics::Metrics};

/// Between two looks.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// A clock that goes evenly for so long after a jump is believed.
const SETTLED_AFTER: Duration = Duration::from_secs(60);

/// Whole seconds are compared, so one may be off at either end; beyond that the clock was set.
const TOLERANCE: i64 = 2;

/// What a look saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// Nothing new.
    Nothing,
    /// The clock was set by so many seconds.
    Stepped(i64),
    /// The clock was set by so many seconds, which is as long as the window.
    Jumped(i64),
    /// It went evenly for long enough, or is back.
    Settled,
}

/// What was seen of the clock.
#[derive(Debug)]
struct Steadiness {
    /// The shortest window: a step of this length moves it altogether.
    window: i64,
    last: (UnixTime, Instant),
    /// Seconds that the clock is off since the jumps began, and when it last moved.
    off: Option<(i64, Instant)>,
}

impl Steadiness {
    fn new(window: Duration, wall: UnixTime, now: Instant) -> Self {
        let window = i64::try_from(window.as_secs()).unwrap_or(i64::MAX).max(TOLERANCE + 1);
        Self { window, last: (wall, now), off: None }
    }

    fn look(&mut self, wall: UnixTime, now: Instant) -> Seen {
        let (last_wall, last_now) = self.last;
        let passed = i64::try_from((now - last_now).as_secs()).unwrap_or(i64::MAX);
        let step = wall.seconds().saturating_sub(last_wall.seconds()).saturating_sub(passed);
        self.last = (wall, now);
        let has_moved = step.saturating_abs() > TOLERANCE;
        match &mut self.off {
            None if step.saturating_abs() >= self.window => {
                self.off = Some((step, now));
                Seen::Jumped(step)
            }
            None if has_moved => Seen::Stepped(step),
            None => Seen::Nothing,
            Some((off, moved_at)) if has_moved => {
                *off = off.saturating_add(step);
                *moved_at = now;
                if off.saturating_abs() <= TOLERANCE {
                    self.off = None;
                    return Seen::Settled;
                }
                Seen::Jumped(step)
            }
            Some((_, moved_at)) if now - *moved_at >= SETTLED_AFTER => {
                self.off = None;
                Seen::Settled
            }
            Some(_) => Seen::Nothing,
        }
    }
}

/// Whom to tell.
#[derive(Debug, Clone)]
pub(super) struct ClockWatch {
    pub(super) clock: Clock,
    pub(super) metrics: Arc<Metrics>,
    pub(super) standing: Standing,
    /// The shorter one of the windows.
    pub(super) window: Duration,
}

impl ClockWatch {
    /// Looks every second until `drain` turns true.
    pub(super) async fn run(self, mut drain: watch::Receiver<bool>) {
        let mut steadiness = Steadiness::new(self.window, self.clock.now(), Instant::now());
        let mut ticks = tokio::time::interval(LOOK_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => self.tell(steadiness.look(self.clock.now(), Instant::now())),
                () = ended(&mut drain) => return,
            }
        }
    }

    fn tell(&self, seen: Seen) {
        match seen {
            Seen::Nothing => {}
            Seen::Stepped(seconds) => tracing::warn!(seconds, "the clock was set"),
            Seen::Jumped(seconds) => {
                self.metrics.clock_jumps.inc();
                tracing::error!(
                    seconds,
                    "the clock jumped: signatures are refused, tokens end early or late"
                );
                let obstacle = format!("the clock jumped by {seconds} s and has not settled");
                self.standing.tell(Part::Clock, Some(obstacle));
            }
            Seen::Settled => {
                tracing::warn!("the clock has settled");
                self.standing.tell(Part::Clock, None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks after so many seconds of either clock.
    fn looks(steps: &[(u64, i64)]) -> Vec<Seen> {
        let (mut now, mut wall) = (Instant::now(), UnixTime::from_seconds(1_800_000_000));
        let mut steadiness = Steadiness::new(Duration::from_secs(600), wall, now);
        let look = |(passed, shown): &(u64, i64)| {
            now += Duration::from_secs(*passed);
            wall = UnixTime::from_seconds(wall.seconds() + shown);
            steadiness.look(wall, now)
        };
        steps.iter().map(look).collect()
    }

    #[test]
    fn an_even_clock_is_nothing_new_however_long_a_look_takes() {
        assert_eq!(looks(&[(1, 1), (1, 2), (1, 0), (3600, 3600), (0, 1)]), [Seen::Nothing; 5]);
    }

    #[test]
    fn a_step_is_told_and_a_jump_is_one_as_long_as_the_window() {
        for (shown, seen) in [
            (4, Seen::Stepped(3)),
            (-9, Seen::Stepped(-10)),
            (600, Seen::Stepped(599)),
            (601, Seen::Jumped(600)),
            (-599, Seen::Jumped(-600)),
            (i64::MAX - 1_800_000_000, Seen::Jumped(i64::MAX - 1_800_000_001)),
        ] {
            assert_eq!(looks(&[(1, shown)]), [seen]);
        }
    }

    #[test]
    fn a_clock_that_comes_back_has_settled_at_once() {
        assert_eq!(
            looks(&[(1, 3601), (1, 1), (1, -3599)]),
            [Seen::Jumped(3600), Seen::Nothing, Seen::Settled]
        );
    }

    #[test]
    fn a_clock_that_goes_evenly_for_a_minute_is_believed() {
        let seen = looks(&[(1, -7199), (59, 59), (1, 1), (1, 1)]);
        assert_eq!(seen, [Seen::Jumped(-7200), Seen::Nothing, Seen::Settled, Seen::Nothing]);
        let seen = looks(&[(1, -7199), (59, 59), (1, 31), (59, 59), (1, 1)]);
        let again = [Seen::Jumped(-7200), Seen::Nothing, Seen::Jumped(30), Seen::Nothing, Seen::Settled];
        assert_eq!(seen, again, "whoever sets it again starts the minute anew");
    }
}
