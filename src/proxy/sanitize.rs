//! The first stage: a request that could mean two things is refused before anything is looked up.
//!
//! What passes here has one target, one Host, at most one credential and one canonical path, and its reserved headers
//! are known by the spelling in which they must be removed. Malformed heads were answered before; duplicate and
//! missing Hosts are well framed, and refused here.

use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{AUTHORIZATION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING},
    request::Parts,
};

use super::{peer::Peer, reserved::Reserved};
use crate::auth::{
    credential::Credential,
    oauth1::Scheme,
    rejection::{Malformation, Rejection},
    route::CanonicalPath,
};

/// What the first stage needs to know.
#[derive(Debug)]
pub struct SanitizeRules {
    /// Names that only we may set.
    pub reserved: Reserved,
    /// The values of Host that are served; empty serves any.
    pub hosts: Vec<String>,
}

/// A request with one meaning; only `sanitize` makes one.
#[derive(Debug)]
pub struct Sanitized<'a> {
    pub(super) head: &'a Parts,
    pub(super) host: &'a str,
    pub(super) scheme: Scheme,
    pub(super) path: CanonicalPath<'a>,
    pub(super) credential: Credential<'a>,
    pub(super) spoofed: Vec<HeaderName>,
}

impl<'a> Sanitized<'a> {
    /// The one Host.
    #[must_use]
    pub const fn host(&self) -> &'a str {
        self.host
    }

    /// The scheme that the client spoke, as far as anybody may be believed.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The one path.
    #[must_use]
    pub const fn path(&self) -> CanonicalPath<'a> {
        self.path
    }

    /// The one credential.
    #[must_use]
    pub const fn credential(&self) -> &Credential<'a> {
        &self.credential
    }
}

/// Reads a request's head into its one meaning.
///
/// # Errors
/// [`Rejection::Malformed`] where there is more than one, or none.
pub fn sanitize<'a>(rules: &SanitizeRules, head: &'a Parts, peer: &Peer) -> Result<Sanitized<'a>, Rejection> {
    let host = host(rules, head)?;
    target(head, host)?;
    framing(&head.headers)?;
    let credential = credential(&head.headers)?;
    let path = CanonicalPath::parse(head.uri.path()).map_err(Rejection::Malformed)?;
    let scheme = if peer.speaks_https(&head.headers) { Scheme::Https } else { Scheme::Http };
    let spoofed = rules.reserved.among(&head.headers);
    Ok(Sanitized { head, host, scheme, path, credential, spoofed })
}

/// The one Host; `hosts` may restrict it.
fn host<'a>(rules: &SanitizeRules, head: &'a Parts) -> Result<&'a str, Rejection> {
    let refused = Rejection::Malformed(Malformation::Host);
    let mut values = head.headers.get_all(HOST).iter();
    let (Some(Ok(host)), None) = (values.next().map(HeaderValue::to_str), values.next()) else {
        return Err(refused);
    };
    let is_plain = host.bytes().all(is_host_byte) && is_authority(host);
    let is_served =
        rules.hosts.is_empty() || rules.hosts.iter().any(|served| served.eq_ignore_ascii_case(host));
    if is_plain && is_served { Ok(host) } else { Err(refused) }
}

/// Letters, digits and the punctuation of names, addresses and ports; no userinfo, path or blank.
const fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']')
}

/// A name or an address, and perhaps a port (RFC 3986 section 3.2): what every reader takes for the same one, and HTTP/2 can say.
fn is_authority(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').unwrap_or_default(),
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let is_port =
        |port: &str| (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit());
    let is_named = !name.is_empty() && !name.contains(['[', ']']);
    is_named && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
}

/// A path, or an absolute URI that agrees with Host. `CONNECT`, `TRACE` and `*` have no meaning here. Methods are compared
/// byte by byte (RFC 9110 section 9.1); PHP raises them, so that `post` would be another method behind us than here.
fn target(head: &Parts, host: &str) -> Result<(), Rejection> {
    let agrees = head.uri.authority().is_none_or(|authority| authority.as_str().eq_ignore_ascii_case(host));
    let is_tunnel = head.method == Method::CONNECT || head.method == Method::TRACE;
    let is_raised = !head.method.as_str().bytes().any(|byte| byte.is_ascii_lowercase());
    if agrees && !is_tunnel && is_raised && head.uri.path().starts_with('/') {
        Ok(())
    } else {
        Err(Rejection::Malformed(Malformation::Target))
    }
}

/// One framing: not both, one length, and no coding but `chunked`, whose name would get lost on the way.
fn framing(headers: &HeaderMap) -> Result<(), Rejection> {
    let lengths = headers.get_all(CONTENT_LENGTH).iter().count();
    let encodings = headers.get_all(TRANSFER_ENCODING);
    let is_plain = encodings.iter().all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    if lengths + encodings.iter().count() > 1 || !is_plain {
        return Err(Rejection::Malformed(Malformation::Framing));
    }
    Ok(())
}

/// The one credential (deviation D8).
fn credential(headers: &HeaderMap) -> Result<Credential<'_>, Rejection> {
    let refused = Rejection::Malformed(Malformation::AmbiguousAuthorization);
    let mut values = headers.get_all(AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(Credential::None),
        (Some(value), None) => Credential::parse(value.as_bytes()).map_err(|_| refused),
        (Some(_), Some(_)) => Err(refused),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_what_every_reader_takes_for_one() {
        for host in ["a", "shop.test", "a:80", "10.0.0.1:8080", "[::1]", "[::1]:443", "a_b-c"] {
            assert!(is_authority(host), "{host}");
            assert!(http::uri::Authority::try_from(host).is_ok(), "{host}: HTTP/2 can say it");
        }
        for host in [
            "", ":", ":80", "a:", "a:b", "a:b:c", "a:80:80", "a:123456", "[", "]", "[]", "[::1", "::1]",
            "[::1]x", "[::1]:", "a[b]", "[[::1]]",
        ] {
            assert!(!is_authority(host), "{host}");
        }
    }
}
