//! What of a request is signed, and the two ways to read it.
//!
//! A [`SignedRequest`] borrows the parts as they came over the wire; nothing is decoded or normalized before a
//! [`Reading`] says how. Which host and scheme count (proxies, configured origin) is decided by the caller.

/// The parts of a request that a signature covers (RFC 5849 §3.4.1), as received.
#[derive(Debug, Clone, Copy)]
pub struct SignedRequest<'a> {
    /// The method, in any case.
    pub method: &'a str,
    /// The scheme that the client used.
    pub scheme: Scheme,
    /// The `Host` header, port included.
    pub host: &'a str,
    /// The path; may hold raw UTF-8.
    pub path: &'a str,
    /// What stands after the first `?`.
    pub query: Option<&'a str>,
    /// The body, where its type is `application/x-www-form-urlencoded`.
    pub form: Option<&'a [u8]>,
}

/// The scheme of the signed URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `http`, default port 80.
    Http,
    /// `https`, default port 443.
    Https,
}

impl Scheme {
    pub(super) const fn prefix(self) -> &'static str {
        match self {
            Self::Http => "http://",
            Self::Https => "https://",
        }
    }

    pub(super) const fn default_port(self) -> &'static str {
        match self {
            Self::Http => ":80",
            Self::Https => ":443",
        }
    }
}

/// How the signature base string is made of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// RFC 5849 §3.4.1, to the letter.
    Rfc5849,
    /// Magento 2.4.6: natural sort, `+` literal in the query, the last of repeated names, escapes of the path decoded
    /// (`MAGENTO_AUTH` section 3.8).
    Magento,
}

impl Reading {
    /// The word for logs, metric labels and the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rfc5849 => "rfc5849",
            Self::Magento => "magento",
        }
    }
}

/// The readings that are tried, in this order; never none. RFC 5849 first, then Magento's, by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Readings {
    first: Reading,
    second: Option<Reading>,
}

impl Readings {
    /// One reading and no other.
    #[must_use]
    pub const fn only(reading: Reading) -> Self {
        Self { first: reading, second: None }
    }

    /// The readings of a list, in its order; repeats count once, an empty list is `None`.
    #[must_use]
    pub fn in_order(list: &[Reading]) -> Option<Self> {
        let first = *list.first()?;
        let second = list.iter().copied().find(|reading| *reading != first);
        Some(Self { first, second })
    }

    /// The readings, in order.
    pub fn iter(self) -> impl Iterator<Item = Reading> {
        std::iter::once(self.first).chain(self.second)
    }
}

impl Default for Readings {
    fn default() -> Self {
        Self { first: Reading::Rfc5849, second: Some(Reading::Magento) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_keep_their_order_and_drop_repeats() {
        use Reading::{Magento, Rfc5849};
        for (list, expected) in [
            (&[Rfc5849][..], vec![Rfc5849]),
            (&[Magento, Rfc5849], vec![Magento, Rfc5849]),
            (&[Magento, Magento], vec![Magento]),
            (&[Rfc5849, Rfc5849, Magento, Rfc5849], vec![Rfc5849, Magento]),
        ] {
            assert_eq!(Readings::in_order(list).unwrap().iter().collect::<Vec<_>>(), expected);
        }
        assert_eq!(Readings::in_order(&[]), None);
        assert_eq!(Readings::default().iter().collect::<Vec<_>>(), [Rfc5849, Magento]);
        assert_eq!(Readings::only(Magento).iter().collect::<Vec<_>>(), [Magento]);
        assert_eq!(
            Readings::default().iter().map(Reading::as_str).collect::<Vec<_>>(),
            ["rfc5849", "magento"]
        );
    }
}
