//! A set of resources, one bit each, in the tree's order.
//!
//! The tree numbers its resources in preorder, so a resource with everything below it is a range of bits.

use std::ops::Range;

const BITS: u32 = u64::BITS;

/// A set of resource numbers below a fixed bound.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct ResourceSet(Box<[u64]>);

impl ResourceSet {
    /// The empty set over the numbers below `bound`.
    pub(super) fn below(bound: u32) -> Self {
        Self(std::iter::repeat_n(0, bound.div_ceil(BITS) as usize).collect())
    }

    /// Whether the number is in the set; a number beyond the bound never is.
    pub(super) fn contains(&self, number: u32) -> bool {
        self.0.get((number / BITS) as usize).is_some_and(|word| word & bit(number) != 0)
    }

    /// Whether every number of the range is in the set.
    pub(super) fn contains_all(&self, mut numbers: Range<u32>) -> bool {
        numbers.all(|number| self.contains(number))
    }

    /// Puts the range into the set, or takes it out.
    pub(super) fn set(&mut self, numbers: Range<u32>, is_member: bool) {
        for number in numbers {
            if let Some(word) = self.0.get_mut((number / BITS) as usize) {
                *word = if is_member { *word | bit(number) } else { *word & !bit(number) };
            }
        }
    }

    /// Adds what `other` holds outside of `mask`.
    pub(super) fn add_outside(&mut self, other: &Self, mask: &Self) {
        for ((word, other), mask) in self.0.iter_mut().zip(&other.0).zip(&mask.0) {
            *word |= other & !mask;
        }
    }

    /// Adds what `other` holds.
    pub(super) fn add(&mut self, other: &Self) {
        for (word, other) in self.0.iter_mut().zip(&other.0) {
            *word |= other;
        }
    }

    /// How many numbers the set holds.
    pub(super) fn count(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }
}

const fn bit(number: u32) -> u64 {
    1 << (number % BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_across_words_go_in_and_out() {
        let mut set = ResourceSet::below(200);
        set.set(60..130, true);
        assert_eq!(set.count(), 70);
        assert!(set.contains_all(60..130));
        assert!(!set.contains_all(59..61));
        assert!(!set.contains(130));
        set.set(64..128, false);
        assert_eq!(set.count(), 6);
        assert!(set.contains(63) && !set.contains(64) && set.contains(128));
    }

    #[test]
    fn numbers_beyond_the_bound_are_never_members() {
        let mut set = ResourceSet::below(10);
        set.set(0..100, true);
        assert!(!set.contains(64));
        assert!(!ResourceSet::default().contains(0));
    }
}
