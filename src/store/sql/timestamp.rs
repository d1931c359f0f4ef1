//! Timestamps as Magento's tables hold them: `YYYY-MM-DD HH:MM:SS`, UTC, proleptic Gregorian.
//!
//! The zero date `0000-00-00 00:00:00`, which MySQL writes for "never", reads as no time at all. Every other text that
//! is not a real second of the years 1 to 9999 is an error: a guess here would decide when a token expires.

use crate::auth::time::UnixTime;

/// What MySQL writes for "never".
pub(super) const ZERO_DATE: &str = "0000-00-00 00:00:00";
const SECONDS_A_DAY: i64 = 86_400;
/// Days of 400 years, after which the calendar repeats.
const DAYS_AN_ERA: i64 = 146_097;
/// Days from 0000-03-01, where a year that ends in February begins, to 1970-01-01.
const DAYS_TO_EPOCH: i64 = 719_468;

/// A text that is no timestamp. It does not carry the text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotATimestamp;

/// Reads a timestamp; `None` for the zero date.
pub(super) fn parse(text: &str) -> Result<Option<UnixTime>, NotATimestamp> {
    if text == ZERO_DATE {
        return Ok(None);
    }
    parse_second(text.as_bytes()).map(Some).ok_or(NotATimestamp)
}

/// Writes a timestamp; `None` outside the years 1 to 9999.
pub(super) fn format(time: UnixTime) -> Option<String> {
    let days = time.seconds().div_euclid(SECONDS_A_DAY);
    let second = time.seconds().rem_euclid(SECONDS_A_DAY);
    let (year, month, day) = date_of(days);
    let (hour, minute) = (second / 3600, second / 60 % 60);
    (1..=9999)
        .contains(&year)
        .then(|| format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{:02}", second % 60))
}

fn parse_second(text: &[u8]) -> Option<UnixTime> {
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b' ', h1, h2, b':', i1, i2, b':', s1, s2] = text else {
        return None;
    };
    let year = number(&[y1, y2, y3, y4])?;
    let (month, day) = (number(&[m1, m2])?, number(&[d1, d2])?);
    let (hour, minute, second) = (number(&[h1, h2])?, number(&[i1, i2])?, number(&[s1, s2])?);
    if year == 0 || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days_of(year, month, day);
    // 31 April would come back as 1 May.
    let is_real = date_of(days) == (year, month, day);
    is_real.then(|| UnixTime::from_seconds(days * SECONDS_A_DAY + hour * 3600 + minute * 60 + second))
}

fn number(digits: &[u8]) -> Option<i64> {
    digits
        .iter()
        .try_fold(0, |value, digit| digit.is_ascii_digit().then(|| value * 10 + i64::from(digit - b'0')))
}

/// Days from the epoch to a date. Years are taken to begin in March, so that the leap day is their last one and the
/// months before it follow the pattern 153 days every five months.
const fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (153 * month + 2) / 5 + day - 1 - DAYS_TO_EPOCH
}

/// The date that is a number of days from the epoch: year, month, day.
const fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + DAYS_TO_EPOCH;
    let (era, day) = (days.div_euclid(DAYS_AN_ERA), days.rem_euclid(DAYS_AN_ERA));
    // Take out the leap days of the years before, so that 365 divides what is left.
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let year = year + era * 400;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FIRST: i64 = -62_135_596_800;
    const LAST: i64 = 253_402_300_799;

    #[test]
    fn known_seconds_read_and_write_alike() {
        let cases = [
            ("0001-01-01 00:00:00", FIRST),
            ("1900-03-01 00:00:00", -2_203_891_200),
            ("1969-12-31 23:59:59", -1),
            ("1970-01-01 00:00:00", 0),
            ("1972-02-29 00:00:00", 68_169_600),
            ("2000-02-29 12:00:00", 951_825_600),
            ("2000-03-01 00:00:00", 951_868_800),
            ("2024-02-29 23:59:59", 1_709_251_199),
            ("2024-12-31 00:00:00", 1_735_603_200),
            ("2026-11-21 08:00:18", 1_795_248_018),
            ("2038-01-19 03:14:08", 2_147_483_648),
            ("2100-02-28 23:59:59", 4_107_542_399),
            ("2100-03-01 00:00:00", 4_107_542_400),
            ("9999-12-31 23:59:59", LAST),
        ];
        for (text, seconds) in cases {
            assert_eq!(parse(text), Ok(Some(UnixTime::from_seconds(seconds))), "{text}");
            assert_eq!(format(UnixTime::from_seconds(seconds)).as_deref(), Some(text));
        }
    }

    #[test]
    fn the_zero_date_is_no_time() {
        assert_eq!(parse("0000-00-00 00:00:00"), Ok(None));
    }

    #[test]
    fn what_is_no_second_is_refused() {
        for text in [
            "",
            "now",
            "0000-01-01 00:00:00",
            "0000-00-00 00:00:01",
            "2026-00-01 00:00:00",
            "2026-13-01 00:00:00",
            "2026-01-00 00:00:00",
            "2026-01-32 00:00:00",
            "2026-04-31 00:00:00",
            "2026-02-29 00:00:00",
            "2100-02-29 00:00:00",
            "2026-01-01 24:00:00",
            "2026-01-01 00:60:00",
            "2026-01-01 00:00:60",
            "2026-01-01T00:00:00",
            "2026-01-01 00:00:00Z",
            "2026-01-01 00:00:00.5",
            "2026-01-01",
            "+026-01-01 00:00:00",
            "2026-01-01 00:00: 1",
            "２026-01-01 00:00:00",
        ] {
            assert_eq!(parse(text), Err(NotATimestamp), "{text}");
        }
    }

    #[test]
    fn years_of_other_than_four_digits_are_not_written() {
        for seconds in [FIRST - 1, LAST + 1, i64::MIN, i64::MAX] {
            assert_eq!(format(UnixTime::from_seconds(seconds)), None, "{seconds}");
        }
    }

    proptest! {
        #[test]
        fn every_second_comes_back(seconds in FIRST..=LAST) {
            let time = UnixTime::from_seconds(seconds);
            prop_assert_eq!(parse(&format(time).unwrap()), Ok(Some(time)));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,24}|[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}") {
            if let Ok(Some(time)) = parse(&text) {
                prop_assert_eq!(format(time), Some(text));
            }
        }
    }
}
