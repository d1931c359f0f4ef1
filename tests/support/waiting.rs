//! Waiting for what another thread or process does.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Longer than anything takes that happens at all, on a machine that builds beside the tests.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until it holds; stops the test where it never does.
pub(crate) fn eventually(what: &str, holds: impl FnMut() -> bool) {
    eventually_within(PATIENCE, what, holds);
}

/// The same, with a patience of its own.
pub(crate) fn eventually_within(patience: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < patience, "never: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}
