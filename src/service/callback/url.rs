//! An address of one meaning.
//!
//! URL readers forgive much: tabs, backslashes, numbers for addresses, users before the host. Whoever checks an address
//! and whoever connects to it must not disagree about it, so here it is refused unless it stands as the standard writes
//! it: what was read, written again, is what was given.

use std::net::IpAddr;

use reqwest::Url;
use thiserror::Error;

use super::CallbackRules;

/// `integration.endpoint` is 255 characters wide.
const MAX_LENGTH: usize = 255;
/// Below this, ports belong to other services than the two of the web.
const FIRST_FREE_PORT: u16 = 1024;

/// An address that may be posted to, as far as the address alone can tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackUrl(Url);

/// Why an address may not be posted to. It does not repeat the address, whose query may hold a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BadUrl {
    /// Not a URL, too long, or with bytes that readers drop or turn into others.
    #[error("it is not a plain URL")]
    Malformed,
    /// Neither `https` nor, where that is allowed, `http`.
    #[error("it is not https")]
    Scheme,
    /// It names a user.
    #[error("it names a user")]
    User,
    /// The host can be read as another one than is written.
    #[error("its host is written in an unusual way")]
    Host,
    /// The port belongs to another service than a web server.
    #[error("its port is not one of a web server")]
    Port,
}

impl CallbackUrl {
    /// Reads an address.
    ///
    /// # Errors
    /// [`BadUrl`] for what could be read in two ways or leads where no web server is.
    pub fn parse(text: &str, rules: &CallbackRules) -> Result<Self, BadUrl> {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        if text.len() > MAX_LENGTH || !is_plain {
            return Err(BadUrl::Malformed);
        }
        let (scheme, rest) = text.split_once("://").ok_or(BadUrl::Malformed)?;
        let is_http = scheme.eq_ignore_ascii_case("http") && rules.allow_http;
        if !is_http && !scheme.eq_ignore_ascii_case("https") {
            return Err(BadUrl::Scheme);
        }
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err(BadUrl::User);
        }
        let url = Url::parse(text).map_err(|_| BadUrl::Malformed)?;
        let host = url.host_str().ok_or(BadUrl::Malformed)?;
        if !written_as(host, authority) {
            return Err(BadUrl::Host);
        }
        let port = url.port_or_known_default().ok_or(BadUrl::Port)?;
        let usual = if is_http { [80, 443] } else { [443, 443] };
        if !usual.contains(&port) && port < FIRST_FREE_PORT {
            return Err(BadUrl::Port);
        }
        Ok(Self(url))
    }

    /// The URL to post to.
    pub(super) fn as_url(&self) -> &Url {
        &self.0
    }

    /// The host, which may be logged.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// The address, where the host is one.
    pub(super) fn literal(&self) -> Option<IpAddr> {
        self.host().trim_start_matches('[').trim_end_matches(']').parse().ok()
    }

    /// The port.
    pub(super) fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or_default()
    }
}

/// Whether the host that was read stands there as it was read: no number for an address, no escape, no final dot.
fn written_as(host: &str, authority: &str) -> bool {
    let port_at =
        authority.rfind(':').filter(|at| !authority.get(*at..).is_some_and(|end| end.contains(']')));
    let written = port_at.and_then(|at| authority.get(..at)).unwrap_or(authority);
    !host.is_empty() && !host.ends_with('.') && written.eq_ignore_ascii_case(host)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn outcome(text: &str, allow_http: bool) -> Result<(), BadUrl> {
        let rules = CallbackRules { allow_http, allow_networks: Vec::new(), timeout: Duration::from_secs(5) };
        CallbackUrl::parse(text, &rules).map(|_| ())
    }

    #[test]
    fn an_address_has_one_meaning_or_is_refused() {
        use BadUrl::{Host, Malformed, Port, Scheme, User};
        for (text, expected) in [
            ("https://app.example.com", Ok(())),
            ("https://App.Example.com/callback?a=b&c=%20#x", Ok(())),
            ("HTTPS://app.example.com:443/", Ok(())),
            ("https://app.example.com:8443/x", Ok(())),
            ("https://8.8.8.8/", Ok(())),
            ("https://[2606:4700::1111]:8443/", Ok(())),
            ("https://app.example.com/@me?u=a@b", Ok(())),
            ("https://app.example.com:/x", Ok(())),
            ("", Err(Malformed)),
            ("app.example.com", Err(Malformed)),
            ("https:app.example.com", Err(Malformed)),
            ("https:/app.example.com", Err(Malformed)),
            ("https:///app.example.com", Err(Host)),
            ("https://", Err(Malformed)),
            ("https://:443/", Err(Malformed)),
            (" https://app.example.com", Err(Malformed)),
            ("https://app.example.com/\t", Err(Malformed)),
            ("https://app.exa\nmple.com/", Err(Malformed)),
            ("https://app.example.com\\@10.0.0.1/", Err(Malformed)),
            ("https://bücher.example/", Err(Malformed)),
            ("https://１２７.0.0.1/", Err(Malformed)),
            ("https://app.example.com:65536/", Err(Malformed)),
            ("https://[::1/", Err(Malformed)),
            ("http://app.example.com", Err(Scheme)),
            ("ftp://app.example.com", Err(Scheme)),
            ("file:///etc/passwd", Err(Scheme)),
            ("gopher://127.0.0.1:6379/_", Err(Scheme)),
            ("javascript://app.example.com", Err(Scheme)),
            ("https://user@app.example.com/", Err(User)),
            ("https://user:word@app.example.com/", Err(User)),
            ("https://@app.example.com/", Err(User)),
            ("https://app.example.com@10.0.0.1/", Err(User)),
            ("https://app.example.com%40evil.example/", Err(Malformed)),
            ("https://2130706433/", Err(Host)),
            ("https://0x7f000001/", Err(Host)),
            ("https://0x7f.0.0.1/", Err(Host)),
            ("https://0177.0.0.1/", Err(Host)),
            ("https://127.1/", Err(Host)),
            ("https://127.0.0.1./", Err(Host)),
            ("https://127.0.0.%31/", Err(Host)),
            ("https://%61pp.example.com/", Err(Host)),
            ("https://app.example.com./", Err(Host)),
            ("https://[0:0:0:0:0:0:0:1]/", Err(Host)),
            ("https://[::ffff:127.0.0.1]/", Err(Host)),
            ("https://app.example.com:22/", Err(Port)),
            ("https://app.example.com:25/", Err(Port)),
            ("https://app.example.com:80/", Err(Port)),
            ("https://app.example.com:0/", Err(Port)),
        ] {
            assert_eq!(outcome(text, false), expected, "{text:?}");
        }
        assert_eq!(outcome(&format!("https://app.example.com/{}", "x".repeat(240)), false), Err(Malformed));
    }

    #[test]
    fn plain_http_is_for_those_who_asked_for_it() {
        for (text, expected) in [
            ("http://app.example.com", Ok(())),
            ("http://127.0.0.1:18010/callback", Ok(())),
            ("http://app.example.com:23/", Err(BadUrl::Port)),
            ("https://app.example.com", Ok(())),
            ("ftp://app.example.com", Err(BadUrl::Scheme)),
        ] {
            assert_eq!(outcome(text, true), expected, "{text}");
        }
    }
}
