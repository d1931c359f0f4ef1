//! The timestamp of a signed request and the window in which it is believed (RFC 5849 §3.3).
//!
//! Magento casts the text with PHP's `(int)` and bounds it from above only, so a captured request can be replayed as
//! soon as its nonce was purged. Here the window is closed on both sides: whoever keeps nonces for as long as their
//! timestamp is inside the window never meets a replay it cannot recognize. The signature covers the text as sent.

use std::time::Duration;

use super::php_number;
use crate::auth::time::UnixTime;

/// The bound that Magento sets on the future (`Nonce\Generator::TIME_DEVIATION`), and ours on the past.
const TEN_MINUTES: Duration = Duration::from_secs(600);

/// What a client says about when it signed; not yet believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timestamp(UnixTime);

impl Timestamp {
    /// Reads `oauth_timestamp` as PHP's `(int)` does: `123abc` is 123, `1e9` a billion, junk 0, 20 digits saturate.
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        Self(UnixTime::from_seconds(php_number::to_integer(text)))
    }

    /// The moment that is claimed.
    #[must_use]
    pub const fn time(self) -> UnixTime {
        self.0
    }
}

/// How far a timestamp may lie from now; 600 seconds each way by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimestampWindow {
    /// The greatest age; Magento has no such bound.
    pub past: Duration,
    /// How far ahead a client's clock may be.
    pub future: Duration,
}

impl TimestampWindow {
    /// Whether the timestamp is positive and within the window; both ends belong to it.
    #[must_use]
    pub fn accepts(self, timestamp: Timestamp, now: UnixTime) -> bool {
        let time = timestamp.time();
        time.seconds() > 0 && time >= now.minus(self.past) && time <= now.plus(self.future)
    }
}

impl Default for TimestampWindow {
    fn default() -> Self {
        Self { past: TEN_MINUTES, future: TEN_MINUTES }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_of_the_window_belong_to_it() {
        const NOW: i64 = 1_795_248_400;
        let window = TimestampWindow { past: Duration::from_secs(300), future: Duration::from_secs(600) };
        for (text, accepted) in [
            ("1795248400", true),
            ("1795248400.5", true),
            ("1795248400abc", true),
            (" 1795248400", true),
            ("1795249000", true),
            ("1795249001", false),
            ("1795248100", true),
            ("1795248099", false),
            ("1", false),
            ("0", false),
            ("-5", false),
            ("1e9", false),
            ("", false),
            ("now", false),
            ("99999999999999999999", false),
        ] {
            let timestamp = Timestamp::parse(text.as_bytes());
            assert_eq!(window.accepts(timestamp, UnixTime::from_seconds(NOW)), accepted, "{text}");
        }
    }

    #[test]
    fn zero_and_less_are_refused_even_inside_the_window() {
        let window = TimestampWindow::default();
        for (text, accepted) in [("-1", false), ("0", false), ("1", true)] {
            assert_eq!(
                window.accepts(Timestamp::parse(text.as_bytes()), UnixTime::from_seconds(5)),
                accepted
            );
        }
    }
}
