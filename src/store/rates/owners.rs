//! The buckets of everybody under one rule: users and IPv4 networks, IPv6 networks, and the larger networks those lie in.
//!
//! An IPv6 network is what one customer of a provider is given; a larger one is what anybody may be given who asks. So the
//! larger one has a bucket too, of sixteen times the rate. The three kinds have tables of their own: whoever has many IPv6
//! networks fills nobody else's.

use std::{net::IpAddr, num::NonZeroU32, sync::Arc};

use super::{
    key::{RateKey, Widths},
    table::{Answer, RateTable},
};
use crate::auth::quota::{Quota, Tick};

/// How much more a larger IPv6 network may do than a smaller one of it.
const WIDER_FACTOR: NonZeroU32 = NonZeroU32::new(16).expect("sixteen is not zero");

/// Whose buckets a request is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keys {
    owner: RateKey,
    wider: Option<RateKey>,
}

/// The buckets of everybody under one rule.
#[derive(Debug)]
pub struct Owners {
    plain: Arc<RateTable>,
    networks: Arc<RateTable>,
    wider: Arc<RateTable>,
}

/// For how many owners there is room.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Users, consumers, roles, kinds of callers, IPv4 networks.
    pub owners: usize,
    /// IPv6 networks; a quarter as many larger ones.
    pub networks: usize,
}

impl Keys {
    /// One owner.
    #[must_use]
    pub const fn of(owner: RateKey) -> Self {
        Self { owner, wider: None }
    }

    /// The network of an address, and the larger one of IPv6.
    #[must_use]
    pub fn address(address: IpAddr, widths: Widths) -> Self {
        Self { owner: RateKey::address(address, widths), wider: RateKey::wider(address, widths) }
    }
}

impl Owners {
    /// Full buckets for everybody.
    #[must_use]
    pub fn new(quota: Quota, room: Room, is_shared: bool) -> Self {
        let table = |quota, owners| Arc::new(RateTable::new(quota, owners, is_shared));
        Self {
            plain: table(quota, room.owners),
            networks: table(quota, room.networks),
            wider: table(quota.times(WIDER_FACTOR), room.networks / 4),
        }
    }

    /// The quota of each owner.
    #[must_use]
    pub fn quota(&self) -> Quota {
        self.plain.quota()
    }

    /// Whether replicas share the buckets.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.plain.is_shared()
    }

    /// The tables, each with a word of its own.
    #[must_use]
    pub fn tables(&self) -> [(&'static str, &Arc<RateTable>); 3] {
        [("owner", &self.plain), ("network", &self.networks), ("wider", &self.wider)]
    }

    /// What taking `count` would answer; takes nothing.
    #[must_use]
    pub fn look(&self, keys: &Keys, now: Tick, count: NonZeroU32) -> Answer {
        let wider = keys.wider.map(|wider| self.wider.look(wider, now, count));
        wider
            .filter(|answer| answer.level.is_err())
            .unwrap_or_else(|| self.table(keys).look(keys.owner, now, count))
    }

    /// Takes `count` requests. What either of owner and larger network refuses is taken from neither: one network must not
    /// empty the bucket of its neighbors by asking for what it does not get.
    pub fn take(&self, keys: &Keys, now: Tick, count: NonZeroU32) -> Answer {
        let own = self.table(keys);
        if let Some(wider) = keys.wider {
            let looked = own.look(keys.owner, now, count);
            if looked.level.is_err() {
                return looked;
            }
            let taken = self.wider.take(wider, now, count);
            if taken.level.is_err() {
                return taken;
            }
        }
        own.take(keys.owner, now, count)
    }

    const fn table(&self, keys: &Keys) -> &Arc<RateTable> {
        if keys.wider.is_some() { &self.networks } else { &self.plain }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::quota::Rate;

    const ONE: NonZeroU32 = NonZeroU32::MIN;

    #[test]
    fn a_network_that_asks_for_more_than_it_gets_takes_nothing_from_its_neighbors() {
        let quota = Quota::new(Rate::parse("1/s").unwrap(), NonZeroU32::new(2).unwrap());
        let owners = Owners::new(quota, Room { owners: 64, networks: 64 }, false);
        let now = Tick::from_nanos(1_000_000_000);
        let passes = |address: &str| {
            let keys = Keys::address(address.parse().unwrap(), Widths { ipv4: 32, ipv6: 64 });
            owners.take(&keys, now, ONE).level.is_ok()
        };
        let of_one = (0..1000).filter(|_| passes("2001:db8:1:1::1")).count();
        assert_eq!(of_one, 2);
        assert!(passes("2001:db8:1:2::1"), "its neighbor in the same /48");
        let of_many = (0x10..0x100).filter(|network| passes(&format!("2001:db8:1:{network:x}::1"))).count();
        assert_eq!(of_many, 2 * 16 - 3, "all of them share what the larger network has");
    }
}
