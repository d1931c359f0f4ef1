//! What the service manager is told: that the gate serves, reloads and stops, how it stands, and that it still turns.
//!
//! The protocol is that of `sd_notify(3)`. Without `NOTIFY_SOCKET` nothing is sent. A watchdog is answered from the runtime of
//! the chores and only while every worker turns, so that a gate in which either is stuck is started anew.

use std::time::{Duration, Instant};

use sd_notify::NotifyState;
use tokio::time::MissedTickBehavior;

use super::pulse::Pulses;

/// How often it is looked whether something is to be told.
const LOOK: Duration = Duration::from_secs(1);

/// A worker is not missed sooner, however short the watchdog's patience is.
const SHORTEST_PATIENCE: Duration = Duration::from_secs(3);

/// Says that the start is over.
pub(super) fn serving() {
    tell(&[NotifyState::Ready]);
}

/// Says that a changed configuration is looked at.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(error = %error, "the clock of the service manager cannot be read"),
    }
}

/// Says that it was taken up or refused, and that the gate serves either way.
pub(super) fn reloaded() {
    tell(&[NotifyState::Ready]);
}

/// Says that the end has begun.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Tells how the gate stands whenever that changes, and answers the watchdog twice in its time. Runs until it is dropped.
pub(super) async fn attend(pulses: Pulses, status: impl Fn() -> String) {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return;
    }
    let half = sd_notify::watchdog_enabled().map(|whole| (whole / 2).max(Duration::from_millis(1)));
    let pause = half.map_or(LOOK, |half| half.min(LOOK));
    let mut looks = tokio::time::interval(pause);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut told, mut answered) = (String::new(), None::<Instant>);
    loop {
        looks.tick().await;
        let now = one_line(&status());
        if now != told {
            tell(&[NotifyState::Status(&now)]);
            told = now;
        }
        let Some(half) = half else { continue };
        // Rather early than late: a look may come a little before its time.
        let is_due = answered.is_none_or(|at| at.elapsed() + pause / 2 >= half);
        if is_due && pulses.all_within(half.max(SHORTEST_PATIENCE)) {
            tell(&[NotifyState::Watchdog]);
            answered = Some(Instant::now());
        }
    }
}

/// A line break would begin another message.
fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(error = %error, "the service manager cannot be told");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_no_second_message() {
        assert_eq!(one_line("not ready: a\nREADY=1"), "not ready: a READY=1");
    }
}
