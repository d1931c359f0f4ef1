//! A clock that is set while the gate runs.

use std::time::Duration;

use crate::{
    callers::{NOW, PROTECTED, figure, page, setup, within},
    support::{
        gate::Gate,
        signing::Credentials,
        upstream::Upstream,
        wire::{exchange, request},
    },
};

fn signed(gate: &Gate, timestamp: i64, nonce: &str) -> (u16, String) {
    let authorization = Credentials::full().authorization(PROTECTED, timestamp, nonce);
    let answer = exchange(gate.proxy, &request("GET", PROTECTED, &[("Authorization", &authorization)], b""));
    (answer.status(), answer.header("x-auth-refused").unwrap_or_default())
}

/// Makes the gate drop what is too old, as its chores do every second.
fn forget(gate: &Gate) {
    within(Duration::from_secs(10), "forgotten", || figure(gate, "portcullis_nonce_store_entries") < 0.5);
}

#[test]
fn a_clock_that_goes_back_does_not_reopen_what_was_forgotten() {
    let upstream = Upstream::start();
    let gate = setup(&upstream).start();
    assert_eq!(signed(&gate, NOW, "once").0, 200);
    gate.set_time(NOW + 3600);
    forget(&gate);
    gate.set_time(NOW);
    for _ in 0..3 {
        let (status, refused) = signed(&gate, NOW, "once");
        assert_eq!((status, refused.as_str()), (401, "oauth_timestamp_refused"), "a replay");
    }
    assert_eq!(signed(&gate, NOW + 200, "later").0, 200, "what nobody has forgotten is believed");
    assert_eq!(signed(&gate, NOW + 200, "later"), (401, "oauth_nonce_used".to_owned()));
}

#[test]
fn a_nonce_is_kept_by_its_own_timestamp_wherever_the_clock_goes() {
    let upstream = Upstream::start();
    let gate = setup(&upstream).start();
    assert_eq!(signed(&gate, NOW + 590, "ahead").0, 200);
    for now in [NOW + 300, NOW - 5, NOW + 900, NOW + 1180, NOW] {
        gate.set_time(now);
        assert_eq!(signed(&gate, NOW + 590, "ahead"), (401, "oauth_nonce_used".to_owned()), "{now}");
    }
}

#[test]
fn a_jump_as_long_as_the_window_is_no_readiness_until_it_is_taken_back() {
    let upstream = Upstream::start();
    let gate = setup(&upstream).start();
    assert_eq!(page(&gate, "/readyz").status(), 200);
    for (round, jump) in [7200, -7200].into_iter().enumerate() {
        gate.set_time(NOW + jump);
        within(Duration::from_secs(10), "red", || page(&gate, "/readyz").status() == 503);
        assert_eq!(page(&gate, "/startupz").status(), 200, "a start that is over is not undone");
        let said = page(&gate, "/readyz").text();
        let direction = if jump > 0 { "the clock jumped by 7" } else { "the clock jumped by -7" };
        assert!(said.contains(direction), "{said}");
        let jumps = figure(&gate, "portcullis_clock_jumps_total");
        assert!((jumps - (round as f64 + 1.0)).abs() < 0.1, "{jumps}");
        gate.set_time(NOW);
        within(Duration::from_secs(10), "green", || page(&gate, "/readyz").status() == 200);
    }
}
