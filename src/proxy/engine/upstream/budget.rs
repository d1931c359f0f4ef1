//! How many requests a worker may repeat: a share of those it serves, so that an outage does not double the load.
//!
//! Counted in hundredths of a repeat, without clock or lock; `tower`'s budget asks the clock and a mutex for each request.

use std::cell::Cell;

/// What is saved at most, and there at the start, so that a quiet gate can repeat as well.
const SAVED: u32 = 10 * REPEAT;

/// What one repeat costs.
const REPEAT: u32 = 100;

/// One worker's budget.
#[derive(Debug)]
pub(super) struct Budget {
    percent: u32,
    saved: Cell<u32>,
}

impl Budget {
    /// A budget of this share, in percent; 0 for no repeats at all.
    pub(super) const fn new(percent: u32) -> Self {
        Self { percent, saved: Cell::new(if percent == 0 { 0 } else { SAVED }) }
    }

    /// A request was served.
    pub(super) fn save(&self) {
        self.saved.set((self.saved.get() + self.percent).min(SAVED));
    }

    /// Takes one repeat, if it is there.
    pub(super) fn spend(&self) -> bool {
        let left = self.saved.get().checked_sub(REPEAT);
        if let Some(left) = left {
            self.saved.set(left);
        }
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_a_share_of_requests_and_what_was_saved() {
        for (percent, expected) in [(20, 10 + 20), (0, 0), (100, 10 + 99)] {
            let budget = Budget::new(percent);
            let mut repeats = 0;
            for _ in 0..100 {
                budget.save();
                repeats += u32::from(budget.spend());
                repeats += u32::from(budget.spend());
            }
            assert!(repeats.abs_diff(expected) <= 1, "{percent} %: {repeats}");
        }
    }
}
