//! `[headers]`: the names under which the upstream reads who is calling.
//!
//! Every header that begins with the prefix is removed from what clients send, so a prefix that the names of
//! well-known headers begin with would remove those.

use super::{kinds::ByteSize, raw::RawHeaders, report::Report};

/// Headers that the web and Magento give a meaning to, lower case.
const STANDARD: &[&str] = &[
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "access-control-allow-origin",
    "access-control-request-method",
    "age",
    "allow",
    "alt-svc",
    "authorization",
    "cache-control",
    "cdn-cache-control",
    "connection",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "etag",
    "expect",
    "expires",
    "forwarded",
    "from",
    "host",
    "http2-settings",
    "idempotency-key",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "last-modified",
    "link",
    "location",
    "max-forwards",
    "origin",
    "pragma",
    "prefer",
    "priority",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "referer",
    "retry-after",
    "sec-fetch-mode",
    "sec-fetch-site",
    "sec-websocket-key",
    "server",
    "server-timing",
    "set-cookie",
    "store",
    "strict-transport-security",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "upgrade-insecure-requests",
    "user-agent",
    "vary",
    "via",
    "www-authenticate",
    "x-content-type-options",
    "x-csrf-token",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-frame-options",
    "x-http-method-override",
    "x-magento-cache-id",
    "x-magento-tags",
    "x-original-url",
    "x-real-ip",
    "x-request-id",
    "x-requested-with",
    "x-rewrite-url",
    "x-xss-protection",
];

/// Names for the upstream.
#[derive(Debug, Clone)]
pub struct Headers {
    /// What our headers begin with, as written; token characters, ends in `-`.
    pub prefix: String,
    /// Longest ACL list in a header in bytes; a longer one is sent as digest.
    pub acl_max: usize,
}

impl Headers {
    pub(super) fn parse(raw: RawHeaders, report: &mut Report) -> Self {
        let RawHeaders { prefix, acl_max } = raw;
        let prefix = report.take("headers.prefix", prefix, "X-Auth-".to_owned());
        if let Err(reason) = check_prefix(&prefix) {
            report.error("headers.prefix", reason);
        }
        let range = ByteSize(256)..=ByteSize::kib(64);
        let acl_max = report.take_within("headers.acl_max", acl_max, ByteSize::kib(4), range).as_len();
        Self { prefix, acl_max }
    }

    /// Whether a header has our prefix, read as the most generous upstream would read it: any case, any separator.
    pub(super) fn claims(&self, header: &str) -> bool {
        normalized(header).starts_with(&normalized(&self.prefix))
    }
}

/// Whether a header has a meaning of its own.
pub(super) fn is_standard(header: &str) -> bool {
    STANDARD.contains(&normalized(header).as_str())
}

fn check_prefix(prefix: &str) -> Result<(), String> {
    // RFC 9110 §5.6.2.
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if !(3..=32).contains(&prefix.len()) || !prefix.ends_with('-') || !prefix.bytes().all(token) {
        return Err("a prefix is 3 to 32 token characters and ends in \"-\"; write one such as \"X-Auth-\""
            .to_owned());
    }
    let meant = normalized(prefix);
    match STANDARD.iter().find(|header| header.starts_with(&meant)) {
        Some(header) => Err(format!("would take {header} away from clients; write one such as \"X-Auth-\"")),
        None => Ok(()),
    }
}

/// Lower case, and every byte outside `[a-z0-9]` as `-`: CGI and its like read `_` and `-` alike.
fn normalized(header: &str) -> String {
    header.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_a_token_of_its_own() {
        for right in ["X-Auth-", "Gate-", "x--", "Portcullis_-"] {
            assert_eq!(check_prefix(right), Ok(()), "{right}");
        }
        for wrong in ["", "X-", "X-Auth", "X Auth-", "Ä-Auth-", "a\r\n-", &format!("{}-", "a".repeat(32))] {
            assert!(check_prefix(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_prefix_takes_no_standard_header_away() {
        for wrong in
            ["Content-", "X-Forwarded-", "x_forwarded-", "SEC-", "If-", "Access-Control-", "X-Magento-"]
        {
            assert!(check_prefix(wrong).is_err(), "{wrong}");
        }
    }
}
