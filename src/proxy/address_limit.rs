//! How often an address may sign in: what checks a password is dear, and a list of stolen passwords is long.
//!
//! The address is the vetted client's; of IPv6 its /64 counts, which is what one customer of a provider is given, and its /48
//! at a rate sixteen times as high, which is what anybody may be given who asks. The buckets are those of the rate limits
//! ([`Owners`]): the tables cannot grow, nobody is let through because one is full, and whoever has many IPv6 networks fills
//! no bucket of IPv4.

use std::{fmt, net::IpAddr, num::NonZeroU32, sync::Arc};

use crate::{
    auth::{
        quota::{Period, Quota, Rate, whole_seconds},
        rejection::Rejection,
    },
    clock::Clock,
    store::rates::{Keys, Owners, Room, Widths},
};

/// Seconds after which a request may be worth another try that asks for more than ever fits.
const NEVER_FITS: u32 = 60;

/// Addresses that are counted apart: a few megabytes.
const ROOM: Room = Room { owners: 65_536, networks: 65_536 };

/// A limit by address, shared by all workers.
pub struct AddressLimit {
    owners: Owners,
    clock: Clock,
}

/// A limit and whose bucket is charged.
#[derive(Debug, Clone)]
pub struct Charge(Arc<Charged>);

#[derive(Debug)]
struct Charged {
    limit: Arc<AddressLimit>,
    keys: Keys,
}

/// No leave for so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany {
    /// Seconds until it may be worth another try.
    pub retry_after: u32,
}

impl From<TooMany> for Rejection {
    fn from(TooMany { retry_after }: TooMany) -> Self {
        Self::TooManyLogins { retry_after }
    }
}

impl AddressLimit {
    /// So many a minute, and so many at once.
    #[must_use]
    pub fn new(per_minute: NonZeroU32, burst: NonZeroU32, clock: Clock) -> Self {
        let quota = Quota::new(Rate { count: per_minute, period: Period::Minute }, burst);
        Self { owners: Owners::new(quota, ROOM, false), clock }
    }

    /// A charge to the bucket of `address`.
    #[must_use]
    pub fn charge(self: &Arc<Self>, address: IpAddr) -> Charge {
        let keys = Keys::address(address, Widths::default());
        Charge(Arc::new(Charged { limit: Arc::clone(self), keys }))
    }
}

impl fmt::Debug for AddressLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AddressLimit").field("quota", &self.owners.quota()).finish_non_exhaustive()
    }
}

impl Charge {
    /// Takes leave for so many sign-ins at once; none costs nothing.
    ///
    /// # Errors
    /// [`TooMany`] where they do not fit the address, or its network.
    pub fn take(&self, count: u32) -> Result<(), TooMany> {
        let Some(count) = NonZeroU32::new(count) else { return Ok(()) };
        let Charged { limit, keys } = &*self.0;
        let answer = limit.owners.take(keys, limit.clock.tick(), count);
        answer.level.map(drop).map_err(|shortage| TooMany {
            retry_after: shortage.wait.map_or(NEVER_FITS, whole_seconds).max(1),
        })
    }

    /// Takes all that fits at once: for what cannot be looked into.
    ///
    /// # Errors
    /// [`TooMany`] where less is left.
    pub fn take_whole(&self) -> Result<(), TooMany> {
        self.take(self.0.limit.owners.quota().burst().get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::time::UnixTime;

    fn limit(burst: u32) -> Arc<AddressLimit> {
        let clock = Clock::given(|| UnixTime::from_seconds(1_795_248_000));
        Arc::new(AddressLimit::new(NonZeroU32::MIN, NonZeroU32::new(burst).unwrap(), clock))
    }

    #[test]
    fn what_does_not_fit_is_told_when_to_come_back() {
        let limit = limit(2);
        let charge = limit.charge("192.0.2.1".parse().unwrap());
        assert_eq!(charge.take(0), Ok(()));
        assert_eq!(charge.take(2), Ok(()));
        let Err(TooMany { retry_after }) = charge.take(1) else { panic!("a third one") };
        assert_eq!(retry_after, 60);
        assert!(limit.charge("192.0.2.2".parse().unwrap()).take_whole().is_ok());
        assert!(limit.charge("192.0.2.3".parse().unwrap()).take(3).is_err(), "more than ever fits");
    }

    #[test]
    fn of_ipv6_the_network_counts_and_mapped_ipv4_is_ipv4() {
        let limit = limit(1);
        let bucket = |address: &str| limit.charge(address.parse().unwrap()).0.keys;
        assert_eq!(bucket("2001:db8:1:2::1"), bucket("2001:db8:1:2:ffff::9"));
        assert_ne!(bucket("2001:db8:1:2::1"), bucket("2001:db8:1:3::1"));
        assert_eq!(bucket("::ffff:192.0.2.1"), bucket("192.0.2.1"));
        assert_ne!(bucket("192.0.2.1"), bucket("192.0.2.2"));
    }

    /// One /48 could once empty the buckets of strangers.
    #[test]
    fn a_large_network_is_limited_as_a_whole_and_touches_nobodys_ipv4() {
        let limit = limit(1);
        let take = |address: String| limit.charge(address.parse().unwrap()).take(1).is_ok();
        let passed = (0..1000).filter(|network| take(format!("2001:db8:1:{network:x}::1"))).count();
        assert_eq!(passed, 16);
        assert!(take("2001:db8:2:1::1".to_owned()));
        let strangers = (0..=255).filter(|last| take(format!("192.0.2.{last}"))).count();
        assert_eq!(strangers, 256);
    }
}
