//! Hosts, ports and origins as settings name them.
//!
//! Nothing is resolved here. A URL in a configuration may carry a password, so no message repeats one.

use std::{fmt, net::Ipv6Addr, str::FromStr};

use figment::value::Value;

use super::lenient::{Leaf, Words, text};

/// Longest DNS name in text, RFC 1035 §2.3.4.
const MAX_HOST: usize = 253;

/// `http` or `https`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Plain.
    Http,
    /// Over TLS.
    Https,
}

/// A host in lower case (an IPv6 address without brackets) and the port, if one is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// The host.
    pub host: String,
    /// The port as written; never 0.
    pub port: Option<u16>,
}

/// A scheme, a host and perhaps a port: a URL without user, path, query and fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The scheme.
    pub scheme: Scheme,
    /// The host and the port, if one is written.
    pub authority: HostPort,
}

impl HostPort {
    /// `host:port`, with a default for a port that is not written.
    #[must_use]
    pub fn with_port(&self, default: u16) -> String {
        Self { host: self.host.clone(), port: Some(self.port.unwrap_or(default)) }.to_string()
    }
}

impl Words for Scheme {
    const WORDS: &'static [(&'static str, Self)] = &[("http", Self::Http), ("https", Self::Https)];
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "is not a host with an optional port; write one such as \"shop.example.com\" or \"127.0.0.1:8081\"";
        let (host, port) = match text.strip_prefix('[').map(|rest| rest.split_once(']')) {
            Some(Some((address, rest))) => {
                let address: Ipv6Addr = address.parse().map_err(|_| wrong())?;
                (address.to_string(), rest)
            }
            Some(None) => return Err(wrong().to_owned()),
            None => {
                let (host, port) = text.split_at(text.find(':').unwrap_or(text.len()));
                (host.to_ascii_lowercase(), port)
            }
        };
        let named = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
        if host.is_empty() || host.len() > MAX_HOST || !host.bytes().all(named) {
            return Err(wrong().to_owned());
        }
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => None,
            None => return Err(wrong().to_owned()),
            Some(digits) => Some(port_number(digits).ok_or("has no usable port; write 1 to 65535")?),
        };
        Ok(Self { host, port })
    }
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (scheme, rest) =
            text.split_once("://").ok_or("is not a URL; write one such as \"http://127.0.0.1:8081\"")?;
        let scheme = Scheme::WORDS
            .iter()
            .find(|(word, _)| scheme.eq_ignore_ascii_case(word))
            .map(|(_, scheme)| *scheme)
            .ok_or("has a scheme other than http and https; write \"http://host:port\"")?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains('@') {
            return Err("carries a user name; write scheme, host and port alone".to_owned());
        }
        if rest.contains(['/', '?', '#']) {
            return Err("has a path, query or fragment; write scheme, host and port alone".to_owned());
        }
        Ok(Self { scheme, authority: rest.parse()? })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') { write!(f, "[{}]", self.host) } else { f.write_str(&self.host) }?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.show(), self.authority)
    }
}

impl Leaf for HostPort {
    fn read(value: &Value) -> Result<Self, String> {
        text(value)?.parse().map_err(|reason| format!("the host {reason}"))
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Leaf for Origin {
    fn read(value: &Value) -> Result<Self, String> {
        text(value)?.parse()
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

/// Digits alone: `u16::from_str` also takes a plus sign.
fn port_number(digits: &str) -> Option<u16> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().filter(|port| *port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_lower_case_with_an_optional_port() {
        for (written, shown) in [
            ("Shop.Example.COM", "shop.example.com"),
            ("127.0.0.1:8081", "127.0.0.1:8081"),
            ("[::1]:8081", "[::1]:8081"),
            ("[0:0::1]", "[::1]"),
            ("a_b", "a_b"),
        ] {
            assert_eq!(
                written.parse::<HostPort>().map(|host| host.to_string()).as_deref(),
                Ok(shown),
                "{written}"
            );
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        let long = "a".repeat(254);
        for wrong in [
            "", ":80", "::1", "a:", "a:0", "a:+1", "a:65536", "a:1:2", "[::1", "[a]", "[::1]80", "a b",
            "a/b", "ä", "*", &long,
        ] {
            assert!(wrong.parse::<HostPort>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_origin_is_scheme_and_host_alone() {
        for (written, shown) in
            [("http://a:1", "http://a:1"), ("HTTPS://A", "https://a"), ("http://a/", "http://a")]
        {
            assert_eq!(
                written.parse::<Origin>().map(|origin| origin.to_string()).as_deref(),
                Ok(shown),
                "{written}"
            );
        }
        for wrong in
            ["a:1", "ftp://a", "http://", "http://a/b", "http://a?b", "http://a#b", "http://a//", "http:///"]
        {
            assert!(wrong.parse::<Origin>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_password_in_a_url_is_not_repeated() {
        let reason = "http://user:hunter2@host".parse::<Origin>().unwrap_err();
        assert!(reason.contains("user name") && !reason.contains("hunter2"));
    }
}
