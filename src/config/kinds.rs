//! The kinds of values that settings have: text, paths, secrets, numbers, sizes, durations, addresses, networks.
//!
//! Each tells in words what it wants when something else stands there. Sizes and durations carry their unit, because
//! a bare number is read wrongly by the next person.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use figment::value::Value;
use ipnet::IpNet;

use super::{
    finding::shown,
    lenient::{Leaf, found, kind, text},
};
use crate::auth::secret::Secret;

/// A number of bytes, written `65536`, `"64KiB"`, `"1MiB"` or `"1GiB"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ByteSize(pub(super) u64);

impl ByteSize {
    pub(super) const fn kib(count: u64) -> Self {
        Self(count << 10)
    }

    pub(super) const fn mib(count: u64) -> Self {
        Self(count << 20)
    }

    /// The size as a length in memory; what no memory could hold is as long as memory can be.
    pub(super) fn as_len(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl Leaf for String {
    fn read(value: &Value) -> Result<Self, String> {
        text(value).map(ToOwned::to_owned)
    }

    fn show(&self) -> String {
        self.clone()
    }
}

impl Leaf for PathBuf {
    fn read(value: &Value) -> Result<Self, String> {
        match text(value)? {
            "" => Err("is empty; name a file or folder, or leave the setting out".to_owned()),
            path if path.contains('\0') => Err("a path cannot contain a NUL byte".to_owned()),
            path => Ok(Self::from(path)),
        }
    }

    fn show(&self) -> String {
        self.display().to_string()
    }
}

impl Leaf for Secret<String> {
    fn read(value: &Value) -> Result<Self, String> {
        match text(value)? {
            "" => Err("is empty; write it, or leave the setting out".to_owned()),
            secret => Ok(Self::new(secret.to_owned())),
        }
    }

    fn show(&self) -> String {
        "***".to_owned()
    }
}

impl Leaf for bool {
    fn read(value: &Value) -> Result<Self, String> {
        if let Some(flag) = value.to_bool() {
            return Ok(flag);
        }
        match value.as_str() {
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(other) => Err(format!("\"{}\" is neither; write true or false", shown(other))),
            None => Err(format!("{} is neither; write true or false", kind(value))),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Leaf for usize {
    fn read(value: &Value) -> Result<Self, String> {
        whole(value)
            .and_then(|number| Self::try_from(number).ok())
            .ok_or_else(|| format!("{} is not a whole number; write one such as 100", found(value)))
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Leaf for ByteSize {
    fn read(value: &Value) -> Result<Self, String> {
        let read = match value.as_str() {
            Some(text) => size(text),
            None => whole(value),
        };
        read.map(Self).ok_or_else(|| {
            format!("{} is not a size; write bytes, or \"64KiB\", \"1MiB\", \"1GiB\"", found(value))
        })
    }

    fn show(&self) -> String {
        for (unit, shift) in [("GiB", 30), ("MiB", 20), ("KiB", 10)] {
            if self.0 > 0 && self.0.trailing_zeros() >= shift {
                return format!("{}{unit}", self.0 >> shift);
            }
        }
        self.0.to_string()
    }
}

impl Leaf for Duration {
    fn read(value: &Value) -> Result<Self, String> {
        value.as_str().and_then(|text| humantime::parse_duration(text).ok()).ok_or_else(|| {
            format!("{} is not a duration; write one such as \"600s\", \"250ms\", \"1h\"", found(value))
        })
    }

    fn show(&self) -> String {
        humantime::format_duration(*self).to_string()
    }
}

impl Leaf for SocketAddr {
    fn read(value: &Value) -> Result<Self, String> {
        value.as_str().and_then(|text| text.parse().ok()).ok_or_else(|| {
            format!("{} is not an IP address and port; write one such as \"127.0.0.1:8080\"", found(value))
        })
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Leaf for IpNet {
    fn read(value: &Value) -> Result<Self, String> {
        let written = text(value)?;
        let network =
            written.parse().or_else(|_| written.parse::<IpAddr>().map(Self::from)).map_err(|_| {
                format!(
                    "\"{}\" is not a network; write one such as \"10.0.0.0/8\" or \"192.0.2.7\"",
                    shown(written)
                )
            })?;
        if network.trunc() == network {
            return Ok(network);
        }
        // An address with a mask is as likely a slip in the address as in the mask, and the wide reading trusts more.
        Err(format!(
            "{network} has bits beyond its mask; write \"{}\" or \"{}\"",
            network.trunc(),
            network.addr()
        ))
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

fn whole(value: &Value) -> Option<u64> {
    match value.as_str() {
        Some(text) => digits(text),
        None => {
            let number = value.to_num()?;
            number
                .to_u128()
                .and_then(|whole| u64::try_from(whole).ok())
                .or_else(|| number.to_i128().and_then(|whole| u64::try_from(whole).ok()))
        }
    }
}

fn size(text: &str) -> Option<u64> {
    let (count, shift) = [("KiB", 10), ("MiB", 20), ("GiB", 30)]
        .into_iter()
        .find_map(|(unit, shift)| text.strip_suffix(unit).map(|count| (count.trim_end(), shift)))
        .unwrap_or((text, 0));
    digits(count)?.checked_mul(1 << shift)
}

/// Digits alone: `u64::from_str` also takes a plus sign.
fn digits(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: Leaf>(value: impl Into<Value>) -> Result<String, String> {
        T::read(&value.into()).map(|value| value.show())
    }

    #[test]
    fn sizes_are_numbers_or_have_a_binary_unit() {
        for (written, shown) in
            [("0", "0"), ("65536", "64KiB"), ("64KiB", "64KiB"), ("1 MiB", "1MiB"), ("1025", "1025")]
        {
            assert_eq!(read::<ByteSize>(written).as_deref(), Ok(shown), "{written}");
        }
        assert_eq!(read::<ByteSize>(1 << 30).as_deref(), Ok("1GiB"));
        for wrong in ["", "KiB", "64KB", "64k", "-1", "+1", "1.5MiB", "18446744073709551615GiB"] {
            assert!(read::<ByteSize>(wrong).is_err(), "{wrong}");
        }
        assert!(read::<ByteSize>(-1).is_err() && read::<ByteSize>(1.5).is_err());
    }

    #[test]
    fn durations_need_a_unit() {
        for (written, shown) in [("600s", "10m"), ("250ms", "250ms"), ("1h 30m", "1h 30m"), ("0s", "0s")] {
            assert_eq!(read::<Duration>(written).as_deref(), Ok(shown), "{written}");
        }
        for wrong in ["", "5", "-5s", "5 parsecs", "1.5.5s"] {
            assert!(read::<Duration>(wrong).is_err(), "{wrong}");
        }
        assert!(read::<Duration>(5).unwrap_err().starts_with("the number is not a duration"));
    }

    #[test]
    fn text_is_enough_for_every_kind() {
        assert_eq!(read::<usize>("100").as_deref(), Ok("100"));
        assert_eq!(read::<usize>(100).as_deref(), Ok("100"));
        assert_eq!(read::<bool>("true").as_deref(), Ok("true"));
        assert_eq!(read::<Vec<String>>("a, b,,").as_deref(), Ok("a, b"));
        assert_eq!(read::<Vec<String>>("").as_deref(), Ok(""));
        assert!(read::<usize>("-1").is_err() && read::<usize>(1.5).is_err() && read::<bool>("yes").is_err());
        assert!(read::<bool>(1).is_err());
    }

    #[test]
    fn networks_are_exact() {
        assert_eq!(read::<IpNet>("10.0.0.0/8").as_deref(), Ok("10.0.0.0/8"));
        assert_eq!(read::<IpNet>("192.0.2.7").as_deref(), Ok("192.0.2.7/32"));
        assert_eq!(read::<IpNet>("::1").as_deref(), Ok("::1/128"));
        assert_eq!(
            read::<IpNet>("10.1.2.3/8").unwrap_err(),
            "10.1.2.3/8 has bits beyond its mask; write \"10.0.0.0/8\" or \"10.1.2.3\""
        );
        assert!(read::<IpNet>("10.0.0.0/33").is_err());
    }

    #[test]
    fn a_list_names_each_wrong_entry() {
        let reason = read::<Vec<IpNet>>(vec!["10.0.0.0/8", "one", "two"]).unwrap_err();
        assert!(reason.contains("\"one\"") && reason.contains("\"two\""), "{reason}");
    }

    #[test]
    fn a_wrong_secret_is_not_repeated() {
        assert_eq!(
            read::<Secret<String>>(777_777).unwrap_err(),
            "the number is not text; write it in quotes"
        );
        assert_eq!(read::<Secret<String>>("hunter2").as_deref(), Ok("***"));
    }
}
