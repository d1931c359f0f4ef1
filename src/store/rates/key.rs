//! Whose requests are counted together, in two words.
//!
//! A key names its owner exactly, so that two owners never share a bucket by accident, and is the same in every process, so
//! that replicas can speak of it. It holds no secret: ids, or the network of an address.

use std::net::IpAddr;

use crate::auth::identity::UserType;

/// The owner of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RateKey {
    /// Never zero: that marks a place without an owner.
    tag: u64,
    value: u64,
}

/// How many leading bits of an address are one owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Widths {
    /// Of IPv4: 1 to 32.
    pub ipv4: u8,
    /// Of IPv6: 1 to 64, which is the smallest network that anybody is given.
    pub ipv6: u8,
}

impl Default for Widths {
    fn default() -> Self {
        Self { ipv4: 32, ipv6: 64 }
    }
}

/// How many bits larger than the network of an IPv6 address the one is that is limited beside it.
const WIDER: u8 = 16;

impl RateKey {
    const IDENTITY: u64 = 0x100;
    const CONSUMER: u64 = 0x200;
    const ROLE: u64 = 0x300;
    const CONTEXT: u64 = 0x400;
    const IPV4: u64 = 0x500;
    const IPV6: u64 = 0x600;

    /// One user: ids are counted apart for each kind.
    #[must_use]
    pub const fn identity(user_type: UserType, id: u32) -> Self {
        Self { tag: Self::IDENTITY | user_type as u64, value: id as u64 }
    }

    /// A consumer, by `oauth_consumer.entity_id`.
    #[must_use]
    pub const fn consumer(id: u32) -> Self {
        Self { tag: Self::CONSUMER, value: id as u64 }
    }

    /// Everybody with a role, by `authorization_role.role_id`.
    #[must_use]
    pub const fn role(id: u32) -> Self {
        Self { tag: Self::ROLE, value: id as u64 }
    }

    /// Every caller of a kind.
    #[must_use]
    pub const fn context(user_type: UserType) -> Self {
        Self { tag: Self::CONTEXT, value: user_type as u64 }
    }

    /// The network of an address; an IPv4 address in IPv6 clothes is IPv4.
    #[must_use]
    pub fn address(address: IpAddr, widths: Widths) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let width = widths.ipv4.min(32);
                let kept = u64::from(address.to_bits()) & !(u64::from(u32::MAX) >> width);
                Self { tag: Self::IPV4 | u64::from(width), value: kept }
            }
            IpAddr::V6(address) => Self::ipv6(address.to_bits(), widths.ipv6.min(64)),
        }
    }

    /// The larger network of an IPv6 address: whoever asks is given so many of the smaller ones.
    #[must_use]
    pub fn wider(address: IpAddr, widths: Widths) -> Option<Self> {
        match address.to_canonical() {
            IpAddr::V4(_) => None,
            IpAddr::V6(address) => {
                Some(Self::ipv6(address.to_bits(), widths.ipv6.min(64).saturating_sub(WIDER)))
            }
        }
    }

    fn ipv6(bits: u128, width: u8) -> Self {
        let network = u64::try_from(bits >> 64).unwrap_or_default();
        let kept = network & !u64::MAX.checked_shr(u32::from(width)).unwrap_or_default();
        Self { tag: Self::IPV6 | u64::from(width), value: kept }
    }

    /// The two words, for whoever keeps them.
    #[must_use]
    pub const fn to_words(self) -> (u64, u64) {
        (self.tag, self.value)
    }

    /// The key of two words; `None` where no owner is.
    #[must_use]
    pub const fn from_words(tag: u64, value: u64) -> Option<Self> {
        if tag == 0 { None } else { Some(Self { tag, value }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(address: &str, ipv4: u8, ipv6: u8) -> RateKey {
        RateKey::address(address.parse().unwrap(), Widths { ipv4, ipv6 })
    }

    #[test]
    fn addresses_of_a_network_are_one_owner() {
        for (one, two, ipv4, ipv6, is_same) in [
            ("192.0.2.1", "192.0.2.1", 32, 64, true),
            ("192.0.2.1", "192.0.2.2", 32, 64, false),
            ("192.0.2.1", "192.0.2.200", 24, 64, true),
            ("192.0.2.1", "192.0.3.1", 24, 64, false),
            ("::ffff:192.0.2.1", "192.0.2.1", 32, 64, true),
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", 32, 64, true),
            ("2001:db8:1:2::1", "2001:db8:1:3::1", 32, 64, false),
            ("2001:db8:1:2::1", "2001:db8:1:ffff::1", 32, 48, true),
            ("2001:db8:1:2::1", "2001:db8:2:2::1", 32, 48, false),
            ("0.0.0.1", "::1", 32, 64, false),
        ] {
            assert_eq!(of(one, ipv4, ipv6) == of(two, ipv4, ipv6), is_same, "{one} {two}");
        }
    }

    #[test]
    fn only_ipv6_has_a_wider_network() {
        let wider = |address: &str| RateKey::wider(address.parse().unwrap(), Widths::default());
        assert_eq!(wider("192.0.2.1"), None);
        assert_eq!(wider("2001:db8:1:2::1"), wider("2001:db8:1:ffff::1"));
        assert_ne!(wider("2001:db8:1:2::1"), wider("2001:db8:2:2::1"));
    }

    #[test]
    fn owners_of_different_kinds_never_meet() {
        let keys = [
            RateKey::identity(UserType::Customer, 1),
            RateKey::identity(UserType::Admin, 1),
            RateKey::identity(UserType::Integration, 1),
            RateKey::consumer(1),
            RateKey::role(1),
            RateKey::context(UserType::Integration),
            of("0.0.0.1", 32, 64),
            of("0:0:0:1::", 32, 64),
        ];
        for (place, key) in keys.iter().enumerate() {
            assert!(keys[..place].iter().all(|other| other != key), "{key:?}");
            let (tag, value) = key.to_words();
            assert_eq!(RateKey::from_words(tag, value), Some(*key));
        }
        assert_eq!(RateKey::from_words(0, 1), None);
    }
}
