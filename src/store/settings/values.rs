//! Values of `core_config_data` as Magento's PHP understands them.
//!
//! Each reader answers the value and, where the text is none of those that do what an operator may expect, what to know
//! about it. Nothing fails: a text that would be a fault in Magento has the meaning that lets fewer in.

use std::time::Duration;

use crate::auth::{jwt::JwtAlgorithm, route::AccountShare};

const HOUR: u64 = 3600;

/// What a text means, and what is odd about it.
pub(super) struct Value<T> {
    pub(super) value: T,
    pub(super) problem: Option<&'static str>,
}

impl<T> Value<T> {
    pub(super) const fn plain(value: T) -> Self {
        Self { value, problem: None }
    }

    const fn odd(value: T, problem: &'static str) -> Self {
        Self { value, problem: Some(problem) }
    }
}

/// A flag by PHP's truth: everything but the empty text and `0`.
pub(super) fn flag(text: &str) -> Value<bool> {
    match text {
        "" | "0" => Value::plain(false),
        "1" => Value::plain(true),
        _ => Value::odd(true, "counts as on: to Magento everything but 0 and nothing is"),
    }
}

/// The algorithm of user JWTs; `None` for those that wrap keys (deviation D6) and for none at all.
pub(super) fn jwt_algorithm(text: &str) -> Value<Option<JwtAlgorithm>> {
    match JwtAlgorithm::from_name(text) {
        Some(algorithm) => Value::plain(Some(algorithm)),
        None => Value::odd(
            None,
            "is no signature; with a key-wrapping algorithm anyone could make tokens, so users with a JWT are guests",
        ),
    }
}

/// The lifetime of opaque tokens in hours. Zero, nothing, a negative number and text are over at once in Magento too
/// (MAGENTO_FACTS 12); a fraction is its status 500 (deviation D9).
pub(super) fn lifetime(text: &str) -> Value<Duration> {
    let hours = if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse::<u64>().ok() } else { None };
    match hours.and_then(|hours| hours.checked_mul(HOUR)) {
        Some(seconds) if seconds > 0 => Value::plain(Duration::from_secs(seconds)),
        Some(_) | None => Value::odd(
            Duration::ZERO,
            "is no whole number of hours: opaque tokens of this kind are over at once",
        ),
    }
}

/// Where accounts count: `0` everywhere, `1` in their website.
pub(super) fn account_share(text: &str) -> Value<AccountShare> {
    match text {
        "0" => Value::plain(AccountShare::Global),
        "1" => Value::plain(AccountShare::PerWebsite),
        _ => Value::odd(AccountShare::PerWebsite, "is neither 0 nor 1: accounts count in their own website"),
    }
}

/// A number by PHP's `(int)`; `fallback` takes its place where it is not positive.
pub(super) fn positive(text: &str, fallback: i64) -> i64 {
    Some(integer(text)).filter(|number| *number > 0).unwrap_or(fallback)
}

/// PHP's `(int)` of a text: the digits that it begins with.
pub(super) fn integer(text: &str) -> i64 {
    let text = text.trim_start_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = digits.find(|byte: char| !byte.is_ascii_digit()).unwrap_or(digits.len());
    let magnitude = digits.get(..end).filter(|digits| !digits.is_empty());
    let magnitude = magnitude.map_or(0, |digits| digits.parse().unwrap_or(i64::MAX));
    if text.starts_with('-') { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_are_whole_hours_or_nothing() {
        for (text, hours) in [("1", 1), ("4", 4), ("01", 1), ("8760", 8760)] {
            let read = lifetime(text);
            assert_eq!((read.value, read.problem), (Duration::from_secs(hours * HOUR), None), "{text}");
        }
        for text in
            ["", "0", "00", "-1", "0.5", "1.0", "1e3", "+1", " 1", "1 ", "abc", "1h", "99999999999999999999"]
        {
            let read = lifetime(text);
            assert_eq!(read.value, Duration::ZERO, "{text:?}");
            assert!(read.problem.is_some(), "{text:?}");
        }
    }

    #[test]
    fn only_signatures_are_algorithms() {
        for name in ["HS256", "HS384", "HS512"] {
            assert_eq!(jwt_algorithm(name).value.map(JwtAlgorithm::as_str), Some(name));
        }
        for name in ["A128KW", "A256GCMKW", "NOPE", "none", "hs256", ""] {
            let read = jwt_algorithm(name);
            assert!(read.value.is_none() && read.problem.is_some(), "{name}");
        }
    }

    #[test]
    fn flags_are_phps_truth() {
        for (text, flag_is, odd) in [
            ("1", true, false),
            ("0", false, false),
            ("", false, false),
            ("false", true, true),
            ("00", true, true),
        ] {
            let read = flag(text);
            assert_eq!((read.value, read.problem.is_some()), (flag_is, odd), "{text:?}");
        }
    }

    #[test]
    fn accounts_count_everywhere_only_by_a_plain_zero() {
        for (text, share) in [
            ("0", AccountShare::Global),
            ("1", AccountShare::PerWebsite),
            ("", AccountShare::PerWebsite),
            ("2", AccountShare::PerWebsite),
        ] {
            assert_eq!(account_share(text).value, share, "{text:?}");
        }
    }

    #[test]
    fn integers_are_what_a_text_begins_with() {
        for (text, number) in [
            ("60", 60),
            ("-5", -5),
            ("abc", 0),
            ("1.5", 1),
            (" 7x", 7),
            ("", 0),
            ("-", 0),
            ("99999999999999999999", i64::MAX),
        ] {
            assert_eq!(integer(text), number, "{text:?}");
        }
        for (text, minutes) in [("60", 60), ("0", 30), ("-5", 30), ("abc", 30), ("1.5", 1)] {
            assert_eq!(positive(text, 30), minutes, "{text}");
        }
    }
}
