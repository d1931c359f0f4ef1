//! Who is at the other end of the connection, and whether its word about others counts.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, header::FORWARDED};
use ipnet::IpNet;

use super::forwarded;

/// `X-Forwarded-For`.
pub(super) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// `X-Forwarded-Proto`.
pub(super) const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// `X-Forwarded-Host`.
pub(super) const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// The proxies whose `X-Forwarded-*` headers are believed; none unless listed.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Trusts the listed networks.
    #[must_use]
    pub const fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// Whether nobody is trusted.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `address` is listed; an IPv4 address in IPv6 clothes counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// One end of a connection, with what is the same for each of its requests.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The address that connected.
    pub address: IpAddr,
    /// Whether its forwarding headers count.
    pub is_trusted: bool,
    /// Whether the connection itself is encrypted.
    pub is_tls: bool,
    /// The address as a header value.
    pub(super) text: HeaderValue,
}

impl Peer {
    /// The peer at `address`.
    #[must_use]
    pub fn new(address: IpAddr, trusted: &TrustedProxies, is_tls: bool) -> Self {
        let address = address.to_canonical();
        let text = HeaderValue::from_str(&address.to_string())
            .unwrap_or_else(|_| HeaderValue::from_static("unknown"));
        Self { address, is_trusted: trusted.contains(address), is_tls, text }
    }

    /// The client: the rightmost address of `X-Forwarded-For`, or of `Forwarded` where that is missing, that is no trusted
    /// proxy, else the peer.
    #[must_use]
    pub fn client(&self, headers: &HeaderMap, trusted: &TrustedProxies) -> IpAddr {
        if !self.is_trusted {
            return self.address;
        }
        let mut client = self.address;
        if !headers.contains_key(FORWARDED_FOR) && headers.contains_key(FORWARDED) {
            for hop in forwarded::hops(headers) {
                let Some(address) = hop else { return client };
                client = address;
                if !trusted.contains(client) {
                    return client;
                }
            }
            return client;
        }
        for value in headers.get_all(FORWARDED_FOR).iter().rev() {
            for hop in value.to_str().unwrap_or_default().rsplit(',') {
                let Ok(address) = hop.trim().parse::<IpAddr>() else {
                    return client;
                };
                client = address.to_canonical();
                if !trusted.contains(client) {
                    return client;
                }
            }
        }
        client
    }

    /// Whether the client spoke HTTPS: on the connection itself, or by the word of a trusted proxy, which must be exactly
    /// `https` (MAGENTO_FACTS 37).
    #[must_use]
    pub fn speaks_https(&self, headers: &HeaderMap) -> bool {
        if self.is_tls || !self.is_trusted {
            return self.is_tls;
        }
        let mut said = headers.get_all(FORWARDED_PROTO).iter();
        said.next().is_some_and(|proto| proto == "https") && said.next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusted() -> TrustedProxies {
        TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap()])
    }

    fn forwarded(values: &[&'static str]) -> HeaderMap {
        values.iter().map(|value| (FORWARDED_FOR, HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn only_a_trusted_peer_names_the_client() {
        let headers = forwarded(&["1.2.3.4"]);
        let stranger = Peer::new("9.9.9.9".parse().unwrap(), &trusted(), false);
        let proxy = Peer::new("10.0.0.1".parse().unwrap(), &trusted(), false);
        assert_eq!(stranger.client(&headers, &trusted()).to_string(), "9.9.9.9");
        assert_eq!(proxy.client(&headers, &trusted()).to_string(), "1.2.3.4");
    }

    #[test]
    fn the_rightmost_stranger_is_the_client() {
        let proxy = Peer::new("::ffff:10.0.0.1".parse().unwrap(), &trusted(), false);
        let cases: [(&[&str], &str); 4] = [
            (&["6.6.6.6, 1.2.3.4, 10.0.0.9"], "1.2.3.4"),
            (&["6.6.6.6", "1.2.3.4, 10.0.0.9"], "1.2.3.4"),
            (&["nonsense, 10.0.0.9"], "10.0.0.9"),
            (&[], "10.0.0.1"),
        ];
        for (values, client) in cases {
            let headers =
                values.iter().map(|value| (FORWARDED_FOR, HeaderValue::from_str(value).unwrap())).collect();
            assert_eq!(proxy.client(&headers, &trusted()).to_string(), client, "{values:?}");
        }
    }

    #[test]
    fn forwarded_names_the_client_where_the_other_header_is_missing() {
        let proxy = Peer::new("10.0.0.1".parse().unwrap(), &trusted(), false);
        let stranger = Peer::new("9.9.9.9".parse().unwrap(), &trusted(), false);
        let mut headers = HeaderMap::new();
        headers.insert(FORWARDED, HeaderValue::from_static("for=6.6.6.6, for=1.2.3.4, for=10.0.0.9"));
        assert_eq!(proxy.client(&headers, &trusted()).to_string(), "1.2.3.4");
        assert_eq!(stranger.client(&headers, &trusted()).to_string(), "9.9.9.9");
        headers.insert(FORWARDED_FOR, HeaderValue::from_static("5.5.5.5"));
        assert_eq!(proxy.client(&headers, &trusted()).to_string(), "5.5.5.5");
        let hidden =
            [(FORWARDED, HeaderValue::from_static("for=1.2.3.4, for=_hidden"))].into_iter().collect();
        assert_eq!(proxy.client(&hidden, &trusted()).to_string(), "10.0.0.1");
    }

    #[test]
    fn https_is_believed_from_trusted_peers_in_exact_spelling() {
        let stranger = Peer::new("9.9.9.9".parse().unwrap(), &trusted(), false);
        let proxy = Peer::new("10.0.0.1".parse().unwrap(), &trusted(), false);
        let said = |proto: &'static str| -> HeaderMap {
            [(FORWARDED_PROTO, HeaderValue::from_static(proto))].into_iter().collect()
        };
        assert!(proxy.speaks_https(&said("https")));
        assert!(!proxy.speaks_https(&said("HTTPS")));
        assert!(!proxy.speaks_https(&said("http, https")));
        assert!(!stranger.speaks_https(&said("https")));
    }
}
