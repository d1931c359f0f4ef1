//! PHP's natural order (`strnatcmp`), by which Magento sorts parameters instead of by bytes.
//!
//! Runs of digits compare as numbers (`a2` before `a10`), unless one starts with a zero: then digit by digit from the
//! left (`x001`, `x01`, `x1`). Zeros at the very start of a text are skipped, so `01` equals `1`. PHP also skips white
//! space; encoded names hold none, so that is left out. The result is a total preorder (a text reads as a list of
//! numbers and other bytes, compared item by item), so the sort needs no care beyond being stable.
//!
//! Source: `MAGENTO_AUTH` section 3.5 (`Laminas\OAuth\Signature\AbstractSignature`, PHP 8.2).

use std::cmp::Ordering;
use std::iter::Peekable;

/// Compares two encoded names as PHP 8.2's `strnatcmp` does.
pub(super) fn natural_order<I: Iterator<Item = u8> + Clone>(left: I, right: I) -> Ordering {
    let (mut left, mut right) = (without_leading_zeros(left), without_leading_zeros(right));
    loop {
        let order = match (left.peek(), right.peek()) {
            (Some(a), Some(b)) if a.is_ascii_digit() && b.is_ascii_digit() => {
                compare_numbers(&mut left, &mut right)
            }
            (None, None) => return Ordering::Equal,
            _ => left.next().cmp(&right.next()),
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// Drops zeros at the start as long as another digit follows.
fn without_leading_zeros<I: Iterator<Item = u8> + Clone>(mut text: I) -> Peekable<I> {
    loop {
        let mut ahead = text.clone();
        if ahead.next() != Some(b'0') || !ahead.clone().next().is_some_and(|next| next.is_ascii_digit()) {
            return text.peekable();
        }
        text = ahead;
    }
}

/// Compares the runs of digits at which both texts stand, and leaves them behind if they are equal.
fn compare_numbers<I: Iterator<Item = u8>>(left: &mut Peekable<I>, right: &mut Peekable<I>) -> Ordering {
    let fractional = left.peek() == Some(&b'0') || right.peek() == Some(&b'0');
    let mut first_difference = Ordering::Equal;
    loop {
        match (left.next_if(u8::is_ascii_digit), right.next_if(u8::is_ascii_digit)) {
            (None, None) => return first_difference,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(a), Some(b)) if fractional && a != b => return a.cmp(&b),
            (Some(a), Some(b)) => first_difference = first_difference.then(a.cmp(&b)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn order(left: &str, right: &str) -> Ordering {
        natural_order(left.bytes(), right.bytes())
    }

    #[test]
    fn names_stand_in_the_order_of_strnatcmp() {
        for (smaller, greater) in [
            ("", "a"),
            ("a", "aa"),
            ("a2", "a10"),
            ("x%5B2%5D", "x%5B10%5D"),
            ("A", "a"),
            ("A10", "a2"),
            ("a0", "a00"),
            ("x001", "x01"),
            ("x01", "x1"),
            ("x01", "x02"),
            ("x09", "x1"),
            ("%C3%A9", "A"),
            ("a1b2", "a1b10"),
            ("9", "a"),
            ("%20", "1"),
            ("a9", "aa"),
            ("a12", "a12b"),
            ("0a", "1"),
        ] {
            assert_eq!(order(smaller, greater), Ordering::Less, "{smaller} < {greater}");
            assert_eq!(order(greater, smaller), Ordering::Greater, "{greater} > {smaller}");
        }
    }

    #[test]
    fn zeros_at_the_start_do_not_count() {
        for (left, right) in [("1", "01"), ("1", "001"), ("0", "00"), ("007x", "7x"), ("", ""), ("a1", "a1")]
        {
            assert_eq!(order(left, right), Ordering::Equal, "{left} = {right}");
        }
    }

    proptest! {
        #[test]
        fn the_order_is_a_preorder(mut names in proptest::collection::vec("[01239aA%-]{0,6}", 3)) {
            names.sort_by(|a, b| order(a, b));
            for (at, left) in names.iter().enumerate() {
                for right in names.iter().skip(at) {
                    prop_assert!(order(left, right).is_le());
                    prop_assert_eq!(order(left, right), order(right, left).reverse());
                }
            }
        }
    }
}
