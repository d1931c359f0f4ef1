//! Waiting for what another thread or process does.

use std::{
    fmt::Debug,
    thread,
    time::{Duration, Instant},
};

/// Longer than anything takes that happens at all, on a machine that builds beside the tests.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until it holds; stops the test where it never does.
pub(crate) fn until(what: &str, holds: impl FnMut() -> bool) {
    until_within(PATIENCE, what, holds);
}

/// The same, with a patience of its own.
pub(crate) fn until_within(patience: Duration, what: &str, holds: impl FnMut() -> bool) {
    wait(patience, what, &true, holds);
}

/// Waits until the answer is this one, and tells how long that took.
pub(crate) fn until_is<T: PartialEq + Debug>(what: &str, expected: &T, ask: impl FnMut() -> T) -> Duration {
    wait(PATIENCE, what, expected, ask)
}

fn wait<T: PartialEq + Debug>(
    patience: Duration,
    what: &str,
    expected: &T,
    mut ask: impl FnMut() -> T,
) -> Duration {
    let began = Instant::now();
    loop {
        let answer = ask();
        if answer == *expected {
            return began.elapsed();
        }
        assert!(began.elapsed() < patience, "{what}: never {expected:?}, still {answer:?}");
        thread::sleep(Duration::from_millis(10));
    }
}
