//! How often an address may sign in: what checks a password is dear, and a list of stolen passwords is long.
//!
//! The address is the vetted client's; of IPv6 its /64 counts, which is what one customer of a provider is given, and its /48
//! at a rate sixteen times as high, which is what anybody may be given who asks. Addresses fall into a fixed number of
//! buckets by a hash with a seed of this process: the table cannot grow, nobody is let through because it is full, and
//! nobody can aim at another one's bucket. Those of IPv4 and of IPv6 are apart, so that whoever has many of the latter
//! fills no bucket of the former.

use std::{
    fmt,
    hash::{BuildHasher as _, Hash, RandomState},
    net::IpAddr,
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

use governor::{
    NotUntil, Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
    state::keyed::DashMapStateStore,
};

use crate::auth::rejection::Rejection;

/// Seconds after which a request may be worth another try that asks for more than ever fits.
const NEVER_FITS: u32 = 60;

/// A limit by address, shared by all workers.
pub struct AddressLimit {
    limiter: Limiter,
    of_networks: Limiter,
    clock: DefaultClock,
    seed: RandomState,
    burst: NonZeroU32,
}

type Limiter = RateLimiter<Bucket, DashMapStateStore<Bucket>, DefaultClock>;

/// How much more a /48 may do than a /64 of it.
const NETWORK_FACTOR: u32 = 16;

/// The bucket of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bucket {
    /// Of IPv4 addresses.
    V4(u16),
    /// Of IPv6 networks.
    V6(u16),
}

/// A limit and whose bucket is charged.
#[derive(Debug, Clone)]
pub struct Charge {
    limit: Arc<AddressLimit>,
    bucket: Bucket,
    network: Option<Bucket>,
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
    pub fn new(per_minute: NonZeroU32, burst: NonZeroU32) -> Self {
        let clock = DefaultClock::default();
        let limiter = |factor| {
            let times = |count: NonZeroU32| count.saturating_mul(factor);
            let quota = Quota::per_minute(times(per_minute)).allow_burst(times(burst));
            RateLimiter::new(quota, DashMapStateStore::default(), clock.clone())
        };
        let network_factor = NonZeroU32::new(NETWORK_FACTOR).unwrap_or(NonZeroU32::MIN);
        let (limiter, of_networks) = (limiter(NonZeroU32::MIN), limiter(network_factor));
        Self { limiter, of_networks, clock, seed: RandomState::new(), burst }
    }

    /// A charge to the bucket of `address`.
    #[must_use]
    pub fn charge(self: &Arc<Self>, address: IpAddr) -> Charge {
        let (bucket, network) = match address.to_canonical() {
            IpAddr::V4(address) => (Bucket::V4(self.place(address)), None),
            IpAddr::V6(address) => {
                let network = |length: u32| Bucket::V6(self.place(address.to_bits() >> (128 - length)));
                (network(64), Some(network(48)))
            }
        };
        Charge { limit: Arc::clone(self), bucket, network }
    }

    fn place(&self, counted: impl Hash) -> u16 {
        let hash = self.seed.hash_one(counted).to_ne_bytes();
        u16::from_ne_bytes([hash[0], hash[1]])
    }

    fn check(&self, limiter: &Limiter, bucket: Bucket, count: NonZeroU32) -> Result<(), TooMany> {
        let retry_after = match limiter.check_key_n(&bucket, count) {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(until)) => self.wait(&until),
            Err(_never) => NEVER_FITS,
        };
        Err(TooMany { retry_after })
    }

    fn wait(&self, until: &NotUntil<<DefaultClock as governor::clock::Clock>::Instant>) -> u32 {
        let wait: Duration = until.wait_time_from(self.clock.now());
        u32::try_from(wait.as_secs()).map_or(u32::MAX, |seconds| seconds.saturating_add(1))
    }
}

impl fmt::Debug for AddressLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AddressLimit").field("burst", &self.burst).finish_non_exhaustive()
    }
}

impl Charge {
    /// Takes leave for so many sign-ins at once; none costs nothing.
    ///
    /// # Errors
    /// [`TooMany`] where they do not fit the address, or its network.
    pub fn take(&self, count: u32) -> Result<(), TooMany> {
        let Some(count) = NonZeroU32::new(count) else { return Ok(()) };
        let limit = &self.limit;
        limit.check(&limit.limiter, self.bucket, count)?;
        self.network.map_or(Ok(()), |network| limit.check(&limit.of_networks, network, count))
    }

    /// Takes all that fits at once: for what cannot be looked into.
    ///
    /// # Errors
    /// [`TooMany`] where less is left.
    pub fn take_whole(&self) -> Result<(), TooMany> {
        self.take(self.limit.burst.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(burst: u32) -> Arc<AddressLimit> {
        Arc::new(AddressLimit::new(NonZeroU32::MIN, NonZeroU32::new(burst).unwrap()))
    }

    #[test]
    fn what_does_not_fit_is_told_when_to_come_back() {
        let limit = limit(2);
        let charge = limit.charge("192.0.2.1".parse().unwrap());
        assert_eq!(charge.take(0), Ok(()));
        assert_eq!(charge.take(2), Ok(()));
        let Err(TooMany { retry_after }) = charge.take(1) else { panic!("a third one") };
        assert!((58..=61).contains(&retry_after), "{retry_after}");
        assert!(limit.charge("192.0.2.2".parse().unwrap()).take_whole().is_ok());
        assert!(limit.charge("192.0.2.3".parse().unwrap()).take(3).is_err(), "more than ever fits");
    }

    #[test]
    fn of_ipv6_the_network_counts_and_mapped_ipv4_is_ipv4() {
        let limit = limit(1);
        let bucket = |address: &str| limit.charge(address.parse().unwrap()).bucket;
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
        assert!((12..=16).contains(&passed), "{passed}: two /64s may share a bucket");
        assert!(take("2001:db8:2:1::1".to_owned()));
        let strangers = (0..=255).filter(|last| take(format!("192.0.2.{last}"))).count();
        assert!(strangers >= 250, "{strangers}");
    }
}
