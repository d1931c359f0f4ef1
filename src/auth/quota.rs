//! How much somebody may ask in how much time: a token bucket, told by one number (the generic cell rate algorithm).
//!
//! A bucket's whole state is the moment at which it will be full again. A request moves that moment on by the interval
//! that one request is worth, and is refused where the moment would then lie farther ahead than a whole burst lasts. So no
//! interval of any length `t` ever sees more than `burst + rate × t` requests, a bucket that is full need not be kept, and
//! a clock that steps back only makes the wait longer. The time is handed in; nothing here counts or stores.

use std::{num::NonZeroU32, time::Duration};

/// The longest that an empty bucket may take to fill, so that no sum of moments overflows.
pub const LONGEST_REFILL: Duration = Duration::from_hours(24);

/// A moment in nanoseconds, on a clock that only this process has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(u64);

/// When a bucket will be full; the default is one that always was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct FullAt(u64);

/// So many requests in so much time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    /// How many.
    pub count: NonZeroU32,
    /// In what time; never zero.
    pub period: Period,
}

/// The units of time that a rate is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Period {
    /// `/s`.
    Second,
    /// `/m`.
    Minute,
    /// `/h`.
    Hour,
    /// `/d`.
    Day,
}

/// A rate, and how many requests may come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quota {
    /// Nanoseconds that one request is worth; at least one.
    interval: u64,
    burst: NonZeroU32,
}

/// What is left in a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// Requests that would pass now.
    pub remaining: u32,
    /// Until it is full.
    pub full_in: Duration,
}

/// Not enough is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shortage {
    /// What is left.
    pub level: Level,
    /// Until enough will be; `None` for more than ever fits.
    pub wait: Option<Duration>,
}

impl Tick {
    /// The moment so many nanoseconds after the clock's beginning.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The moment that far from the clock's beginning; what no clock reaches is cut.
    #[must_use]
    pub fn since_start(elapsed: Duration) -> Self {
        Self(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl FullAt {
    /// The moment as a number, for whoever keeps it.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// The moment that was kept as a number.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Whether the bucket is full by now: forgetting it grants nothing.
    #[must_use]
    pub const fn is_past(self, now: Tick) -> bool {
        self.0 <= now.0
    }

    /// The later of this moment and that of a bucket which others too took from: `level` is how far it is from full.
    #[must_use]
    pub fn raised(self, now: Tick, level: Duration) -> Self {
        let level = u64::try_from(level.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.max(now.0.saturating_add(level)))
    }
}

impl Period {
    /// Its length.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3600,
            Self::Day => 86_400,
        }
    }

    /// The letter behind the stroke.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::Second => 's',
            Self::Minute => 'm',
            Self::Hour => 'h',
            Self::Day => 'd',
        }
    }
}

impl Rate {
    /// Reads `100/s`, `600/m`, `1000/h` or `5000/d`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (count, unit) = text.split_once('/')?;
        let period = match unit.trim() {
            "s" => Period::Second,
            "m" => Period::Minute,
            "h" => Period::Hour,
            "d" => Period::Day,
            _ => return None,
        };
        // `u32::from_str` would also take a plus sign.
        let count = Some(count.trim()).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
        Some(Self { count: count.parse().ok()?, period })
    }

    fn interval(self) -> u64 {
        // Rounded up: never more than the rate.
        (self.period.seconds() * 1_000_000_000).div_ceil(u64::from(self.count.get())).max(1)
    }
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.count, self.period.letter())
    }
}

impl Quota {
    /// A rate and a burst; one that would take longer than [`LONGEST_REFILL`] to fill is cut.
    #[must_use]
    pub fn new(rate: Rate, burst: NonZeroU32) -> Self {
        let interval = rate.interval();
        let most = LONGEST_REFILL.as_secs().saturating_mul(1_000_000_000) / interval;
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        Self { interval, burst: burst.min(NonZeroU32::new(most).unwrap_or(NonZeroU32::MIN)) }
    }

    /// So many times the rate and the burst.
    #[must_use]
    pub fn times(self, factor: NonZeroU32) -> Self {
        let interval = self.interval.div_ceil(u64::from(factor.get())).max(1);
        Self { interval, burst: self.burst.saturating_mul(factor) }
    }

    /// How many requests may come at once.
    #[must_use]
    pub const fn burst(self) -> NonZeroU32 {
        self.burst
    }

    /// How long an empty bucket takes to fill.
    #[must_use]
    pub const fn refill(self) -> Duration {
        Duration::from_nanos(self.span())
    }

    /// How far `count` requests move a bucket from full.
    #[must_use]
    pub fn cost(self, count: u64) -> Duration {
        Duration::from_nanos(self.interval.saturating_mul(count))
    }

    const fn span(self) -> u64 {
        self.interval.saturating_mul(self.burst.get() as u64)
    }

    /// Takes `count` requests out of a bucket: the bucket then, and what is left.
    ///
    /// # Errors
    /// [`Shortage`] where they do not fit; the bucket stays as it is.
    pub fn take(self, bucket: FullAt, now: Tick, count: NonZeroU32) -> Result<(FullAt, Level), Shortage> {
        let cost = self.interval.saturating_mul(u64::from(count.get()));
        let full_at = bucket.0.max(now.0).saturating_add(cost);
        let ahead = full_at.saturating_sub(now.0);
        if ahead <= self.span() {
            return Ok((FullAt(full_at), self.level(FullAt(full_at), now)));
        }
        let wait = (count <= self.burst).then(|| Duration::from_nanos(ahead - self.span()));
        Err(Shortage { level: self.level(bucket, now), wait })
    }

    /// What is left in a bucket.
    #[must_use]
    pub fn level(self, bucket: FullAt, now: Tick) -> Level {
        let ahead = bucket.0.saturating_sub(now.0);
        let left = self.span().saturating_sub(ahead) / self.interval;
        let remaining = u32::try_from(left).unwrap_or(u32::MAX);
        Level { remaining, full_in: Duration::from_nanos(ahead) }
    }
}

/// Whole seconds, rounded up: whoever waits that long has waited long enough.
#[must_use]
pub fn whole_seconds(duration: Duration) -> u32 {
    let seconds = duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0));
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn quota(rate: &str, burst: u32) -> Quota {
        Quota::new(Rate::parse(rate).unwrap(), NonZeroU32::new(burst).unwrap())
    }

    fn one(quota: Quota, bucket: &mut FullAt, nanos: u64) -> Result<Level, Shortage> {
        let (after, level) = quota.take(*bucket, Tick(nanos), NonZeroU32::MIN)?;
        *bucket = after;
        Ok(level)
    }

    #[test]
    fn rates_are_a_count_and_a_unit() {
        for (text, interval) in [
            ("1/s", SECOND),
            ("600/m", SECOND / 10),
            ("3600/h", SECOND),
            ("1/d", 86_400 * SECOND),
            ("3 / s", 333_333_334),
        ] {
            assert_eq!(Rate::parse(text).unwrap().interval(), interval, "{text}");
        }
        for text in ["", "1", "0/s", "-1/s", "+1/s", "1/w", "1/", "/s", "1.5/s", "4294967296/s"] {
            assert_eq!(Rate::parse(text), None, "{text}");
        }
        assert_eq!(Rate::parse("600/m").unwrap().to_string(), "600/m");
    }

    #[test]
    fn a_burst_passes_at_once_and_then_the_rate() {
        let quota = quota("2/s", 3);
        let mut bucket = FullAt::default();
        for remaining in [2, 1, 0] {
            assert_eq!(one(quota, &mut bucket, 10 * SECOND).unwrap().remaining, remaining);
        }
        let shortage = one(quota, &mut bucket, 10 * SECOND).unwrap_err();
        assert_eq!(shortage.wait, Some(Duration::from_millis(500)));
        assert_eq!(shortage.level, Level { remaining: 0, full_in: Duration::from_millis(1500) });
        assert!(one(quota, &mut bucket, 10 * SECOND + SECOND / 2 - 1).is_err(), "a nanosecond early");
        assert!(one(quota, &mut bucket, 10 * SECOND + SECOND / 2).is_ok());
        assert_eq!(one(quota, &mut bucket, 20 * SECOND).unwrap().remaining, 2, "full again, and no fuller");
    }

    #[test]
    fn a_bucket_is_kept_as_a_number_until_it_is_full() {
        let now = Tick::since_start(Duration::from_secs(9));
        assert_eq!(now, Tick::from_nanos(9 * SECOND));
        assert_eq!(Tick::since_start(Duration::MAX), Tick::from_nanos(u64::MAX));
        for (bits, is_past) in [(0, true), (9 * SECOND, true), (9 * SECOND + 1, false)] {
            let bucket = FullAt::from_bits(bits);
            assert_eq!(bucket.to_bits(), bits);
            assert_eq!(bucket.is_past(now), is_past, "{bits}");
        }
    }

    #[test]
    fn a_quota_tells_how_long_it_takes_to_fill_and_what_a_request_costs() {
        let quota = quota("2/s", 3);
        assert_eq!(quota.refill(), Duration::from_millis(1500));
        assert_eq!(quota.cost(4), Duration::from_secs(2));
        let twice = quota.times(NonZeroU32::new(2).unwrap());
        assert_eq!((twice.burst().get(), twice.cost(1)), (6, Duration::from_millis(250)));
    }

    #[test]
    fn a_rate_is_written_as_it_is_read() {
        for (text, seconds) in [("3/s", 1), ("3/m", 60), ("3/h", 3600), ("3/d", 86_400)] {
            let rate = Rate::parse(text).unwrap();
            assert_eq!((rate.to_string(), rate.period.seconds()), (text.to_owned(), seconds));
        }
    }

    #[test]
    fn exactly_a_burst_fits_and_is_waited_for() {
        let quota = quota("2/s", 3);
        let burst = NonZeroU32::new(3).unwrap();
        let (bucket, level) = quota.take(FullAt::default(), Tick(SECOND), burst).unwrap();
        assert_eq!(level, Level { remaining: 0, full_in: Duration::from_millis(1500) });
        let wait = quota.take(bucket, Tick(SECOND), burst).unwrap_err().wait;
        assert_eq!(wait, Some(Duration::from_millis(1500)));
    }

    #[test]
    fn more_than_a_burst_never_fits() {
        let quota = quota("2/s", 3);
        let many = NonZeroU32::new(4).unwrap();
        assert_eq!(quota.take(FullAt::default(), Tick(0), many).unwrap_err().wait, None);
    }

    #[test]
    fn a_step_back_of_the_clock_grants_nothing() {
        let quota = quota("1/s", 2);
        let mut bucket = FullAt::default();
        assert!(one(quota, &mut bucket, 100 * SECOND).is_ok());
        assert!(one(quota, &mut bucket, 100 * SECOND).is_ok());
        for earlier in [100 * SECOND - 1, 50 * SECOND, 0] {
            assert!(one(quota, &mut bucket, earlier).is_err(), "{earlier}");
        }
        assert!(one(quota, &mut bucket, 101 * SECOND).is_ok());
    }

    #[test]
    fn what_others_took_makes_a_bucket_emptier_and_never_fuller() {
        let quota = quota("1/s", 4);
        let now = Tick(50 * SECOND);
        let bucket = FullAt(52 * SECOND);
        assert_eq!(quota.level(bucket.raised(now, Duration::from_secs(3)), now).remaining, 1);
        assert_eq!(bucket.raised(now, Duration::from_secs(1)), bucket);
        let debt = bucket.raised(now, Duration::from_secs(9));
        assert_eq!(quota.take(debt, now, NonZeroU32::MIN).unwrap_err().wait, Some(Duration::from_secs(6)));
    }

    #[test]
    fn seconds_are_rounded_up() {
        for (nanos, seconds) in [(0, 0), (1, 1), (SECOND, 1), (SECOND + 1, 2)] {
            assert_eq!(whole_seconds(Duration::from_nanos(nanos)), seconds, "{nanos}");
        }
    }

    #[test]
    fn a_bucket_that_would_take_longer_than_a_day_is_cut() {
        assert_eq!(quota("1/d", 1_000_000).burst().get(), 1);
        assert_eq!(quota("1/h", 1_000_000).burst().get(), 24);
        assert_eq!(quota("1000000/s", u32::MAX).burst().get(), u32::MAX);
    }

    proptest! {
        /// Steps may go back: time that was given back and passes again grants nothing twice.
        #[test]
        fn no_interval_sees_more_than_burst_and_rate(
            count in 1_u32..2000,
            period in prop_oneof![Just(Period::Second), Just(Period::Minute), Just(Period::Hour)],
            burst in 1_u32..50,
            steps in prop::collection::vec((-2_000_000_000_i64..3_000_000_000, 1_u32..4), 1..200),
        ) {
            let rate = Rate { count: NonZeroU32::new(count).unwrap(), period };
            let quota = Quota::new(rate, NonZeroU32::new(burst).unwrap());
            let (mut bucket, mut now) = (FullAt::default(), 10_000 * SECOND);
            let mut granted: Vec<(u64, u64)> = Vec::new();
            for (step, wanted) in steps {
                now = now.saturating_add_signed(step);
                if let Ok((after, _)) = quota.take(bucket, Tick(now), NonZeroU32::new(wanted).unwrap()) {
                    bucket = after;
                    granted.push((now, u64::from(wanted)));
                }
            }
            for (first, (from, _)) in granted.iter().enumerate() {
                let mut sum = 0;
                let mut latest = *from;
                for (at, wanted) in &granted[first..] {
                    sum += wanted;
                    latest = latest.max(*at);
                    let span = u128::from(latest - from);
                    let most = u128::from(burst) + span * u128::from(count) / u128::from(period.seconds() * SECOND);
                    prop_assert!(u128::from(sum) <= most, "{sum} > {most}");
                }
            }
        }
    }
}
