//! Numbers in text as PHP 8.2 sees them: what `'1.0' == $text` compares and what `(int) $text` yields.
//!
//! Magento leaves both questions to the language, so `oauth_version` and `oauth_timestamp` mean what PHP makes of them.
//! A numeric string is optional white space, a sign, digits with at most one point, and a decimal exponent.

/// A number at the start of a text.
struct Prefix<'a> {
    number: &'a str,
    is_integer: bool,
    rest: &'a [u8],
}

/// Whether PHP finds the text equal to the string `1.0`.
pub(super) fn equals_one(text: &[u8]) -> bool {
    numeric_prefix(text).is_some_and(|prefix| {
        prefix.rest.iter().all(|byte| is_space(*byte)) && prefix.number.parse() == Ok(1.0)
    })
}

/// The text as `(int)` casts it: a numeric prefix truncated towards zero, saturating; 0 where there is none.
pub(super) fn to_integer(text: &[u8]) -> i64 {
    let Some(prefix) = numeric_prefix(text) else { return 0 };
    let exact = if prefix.is_integer { prefix.number.parse().ok() } else { None };
    exact.unwrap_or_else(|| prefix.number.parse().map_or(0, truncate))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "`as` truncates and saturates exactly as PHP's cast of a string does"
)]
const fn truncate(value: f64) -> i64 {
    value as i64
}

fn numeric_prefix(text: &[u8]) -> Option<Prefix<'_>> {
    let start = text.iter().position(|byte| !is_space(*byte))?;
    let text = text.get(start..)?;
    let sign = usize::from(matches!(text.first(), Some(b'+' | b'-')));
    let whole = digits(text, sign);
    let point = usize::from(text.get(sign + whole) == Some(&b'.'));
    let fraction = if point == 1 { digits(text, sign + whole + 1) } else { 0 };
    if whole + fraction == 0 {
        return None;
    }
    let mantissa = sign + whole + point + fraction;
    let (number, rest) = text.split_at(mantissa + exponent(text, mantissa));
    let is_integer = number.len() == sign + whole;
    Some(Prefix { number: std::str::from_utf8(number).ok()?, is_integer, rest })
}

/// The length of the exponent at this place: `e`, an optional sign and at least one digit, else nothing.
fn exponent(text: &[u8], at: usize) -> usize {
    if !matches!(text.get(at), Some(b'e' | b'E')) {
        return 0;
    }
    let sign = usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
    match digits(text, at + 1 + sign) {
        0 => 0,
        length => 1 + sign + length,
    }
}

fn digits(text: &[u8], from: usize) -> usize {
    text.iter().skip(from).take_while(|byte| byte.is_ascii_digit()).count()
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_is_compared_as_php_compares_numeric_strings() {
        for text in ["1.0", "1", "1.00", "01.0", "1e0", " 1.0", "1.0 ", "+1", "1.", "10e-1", ".1E+1", "\t1\n"]
        {
            assert!(equals_one(text.as_bytes()), "{text:?}");
        }
        for text in ["", " ", "1.0a", "2.0", "1.0.0", "1e", "-1", "0x1", "1 0", "one", "1.0\0", "."] {
            assert!(!equals_one(text.as_bytes()), "{text:?}");
        }
    }

    #[test]
    fn a_cast_takes_the_numeric_prefix_and_saturates() {
        for (text, expected) in [
            ("1795248400", 1_795_248_400),
            ("1795248400abc", 1_795_248_400),
            (" 123", 123),
            ("1795248400.9", 1_795_248_400),
            ("1e9", 1_000_000_000),
            ("1e", 1),
            ("-5", -5),
            ("-1.9", -1),
            ("+7", 7),
            (".9e1", 9),
            ("0x10", 0),
            ("", 0),
            ("abc", 0),
            ("-", 0),
            (".", 0),
            ("9223372036854775807", i64::MAX),
            ("9223372036854775808", i64::MAX),
            ("99999999999999999999", i64::MAX),
            ("-99999999999999999999", i64::MIN),
            ("1e400", i64::MAX),
        ] {
            assert_eq!(to_integer(text.as_bytes()), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_integer_survives(number: i64, tail in "[^0-9.eE]?.{0,3}") {
            prop_assume!(!tail.starts_with(|first: char| first.is_ascii_digit() || ".eE".contains(first)));
            let text = format!("{number}{tail}");
            prop_assert_eq!(to_integer(text.as_bytes()), number);
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = (equals_one(&bytes), to_integer(&bytes));
        }
    }
}
