//! `[tracing]`: where spans of requests go, and of how many requests.
//!
//! Off unless a collector is named. What it wants to be shown (a key, mostly) is a secret, a header a line. The collector may
//! listen in the clear, as those beside a gate do; a warning says so where a secret would travel.

use std::{fmt, path::PathBuf, time::Duration};

use figment::value::{Num, Value};
use http::{
    HeaderMap, HeaderName, HeaderValue, Uri,
    header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING, USER_AGENT},
};

use super::{
    finding::shown,
    lenient::{Leaf, found},
    raw_records::RawTracing,
    report::Report,
    secret,
};
use crate::auth::secret::Secret;

/// Where OTLP over HTTP has traces, unless the URL has a path of its own.
const PATH: &str = "/v1/traces";

/// Longest name of a service.
const MAX_SERVICE: usize = 255;

/// Headers that are the client's to write.
const RESERVED: [HeaderName; 6] =
    [HOST, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING, USER_AGENT];

/// A share of all requests, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Ratio(pub f64);

/// Where spans go.
#[derive(Clone)]
pub struct Tracing {
    /// Where the collector takes traces.
    pub endpoint: String,
    /// How many requests are traced, of those for which nobody we trust has decided.
    pub ratio: Ratio,
    /// What the gate is called there.
    pub service: String,
    /// The secret headers, as written.
    pub headers: Option<Secret<String>>,
    /// The only authorities that are believed; the platform's where there is none.
    pub ca_file: Option<PathBuf>,
    /// The time for one post.
    pub timeout: Duration,
    /// Traced requests that wait at a time; a further one is dropped.
    pub queue: usize,
    /// Traced requests posted together.
    pub batch: usize,
    /// How long a batch waits to be full.
    pub delay: Duration,
}

impl fmt::Debug for Tracing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracing").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl Leaf for Ratio {
    fn read(value: &Value) -> Result<Self, String> {
        let whole = |number: Num| {
            let whole = number.to_i128().or_else(|| i128::try_from(number.to_u128()?).ok())?;
            u32::try_from(whole).ok().map(f64::from)
        };
        let number = match value.as_str() {
            Some(text) => text.parse().ok(),
            None => value.to_num().and_then(|number| number.to_f64().or_else(|| whole(number))),
        };
        number.filter(|number: &f64| (0.0..=1.0).contains(number)).map(Self).ok_or_else(|| {
            let found = value.to_num().and_then(|number| number.to_f64()).map(|number| number.to_string());
            format!(
                "{} is not a share of requests; write a number from 0 to 1, such as 0.01",
                found.unwrap_or_else(|| self::found(value))
            )
        })
    }

    fn show(&self) -> String {
        self.0.to_string()
    }
}

impl Tracing {
    pub(super) fn parse(raw: RawTracing, report: &mut Report) -> Option<Self> {
        let RawTracing {
            endpoint,
            ratio,
            service,
            headers,
            headers_file,
            ca_file,
            timeout,
            queue,
            batch,
            delay,
        } = raw;
        let is_written = endpoint.is_written();
        let endpoint = report.take_optional("tracing.endpoint", endpoint);
        let endpoint = endpoint.and_then(|endpoint| checked_endpoint(&endpoint, report));
        let ratio = report.take("tracing.ratio", ratio, Ratio(0.01));
        let service = report.take("tracing.service", service, "portcullis".to_owned());
        if service.is_empty() || service.len() > MAX_SERVICE {
            report.error("tracing.service", "is empty or too long; write a name such as \"portcullis\"");
        }
        let has_headers = headers.is_written() || headers_file.is_written();
        let headers =
            secret::take(report, ("tracing.headers", headers), ("tracing.headers_file", headers_file));
        let is_inline = headers.is_some() && !report.is_set("tracing.headers_file");
        let headers_key = if is_inline { "tracing.headers" } else { "tracing.headers_file" };
        if let Some(mistake) = headers.as_ref().and_then(|headers| parsed(headers).err()) {
            report.error(headers_key, mistake);
        }
        let ca_file = report.take_path("tracing.ca_file", ca_file);
        let timeout = report.take_within(
            "tracing.timeout",
            timeout,
            Duration::from_secs(10),
            Duration::from_millis(100)..=Duration::from_secs(60),
        );
        let queue = report.take_within("tracing.queue", queue, 2048, 1..=1_000_000);
        let batch = report.take_within("tracing.batch", batch, 512, 1..=10_000);
        let delay = report.take_within(
            "tracing.delay",
            delay,
            Duration::from_secs(5),
            Duration::from_millis(1)..=Duration::from_secs(60),
        );
        let endpoint = match endpoint {
            Some(endpoint) => endpoint,
            None if !is_written && (has_headers || ca_file.is_some()) => {
                report.error("tracing.endpoint", "is needed with what stands beside it; name the collector");
                return None;
            }
            None => return None,
        };
        if headers.is_some() && is_far_and_clear(&endpoint) {
            report.warn(headers_key, "goes over http and can be read on the way; use https");
        }
        Some(Self { endpoint, ratio, service, headers, ca_file, timeout, queue, batch, delay })
    }

    /// The headers that the collector wants to be shown.
    #[must_use]
    pub fn header_map(&self) -> HeaderMap {
        self.headers.as_ref().and_then(|headers| parsed(headers).ok()).unwrap_or_default()
    }
}

/// The URL with the path that is posted to. Texts do not repeat a URL that may carry a password.
fn checked_endpoint(url: &str, report: &mut Report) -> Option<String> {
    let hint = "write one such as \"http://127.0.0.1:4318\"";
    let wrong = match url.parse::<Uri>() {
        Ok(uri) if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) => {
            "has a user name, which is not sent; use tracing.headers_file".to_owned()
        }
        Ok(uri) if uri.query().is_some() || url.contains('#') => {
            "has a query or fragment, which is not for secrets; use tracing.headers_file".to_owned()
        }
        Ok(uri) if matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some() => {
            if uri.path() != "/" {
                return Some(url.to_owned());
            }
            let endpoint = format!("{}{PATH}", url.trim_end_matches('/'));
            report.show("tracing.endpoint", endpoint.clone());
            return Some(endpoint);
        }
        Ok(_) => format!("\"{}\" is not a URL of http or https; {hint}", shown(url)),
        Err(_) => format!("is not a URL; {hint}"),
    };
    report.error("tracing.endpoint", wrong);
    None
}

/// The headers of `Name: value` lines; the reason does not repeat a value.
fn parsed(headers: &Secret<String>) -> Result<HeaderMap, String> {
    let mut map = HeaderMap::new();
    let lines = headers.expose().lines().map(str::trim).filter(|line| !line.is_empty());
    for (number, line) in (1..).zip(lines) {
        let pair = line.split_once(':').and_then(|(name, value)| {
            let name = HeaderName::from_bytes(name.trim().as_bytes()).ok()?;
            Some((name, HeaderValue::from_str(value.trim()).ok()?))
        });
        let Some((name, mut value)) = pair else {
            return Err(format!("line {number} is no header; write one such as \"Api-Key: …\" a line"));
        };
        if RESERVED.contains(&name) {
            return Err(format!("line {number}: {name} cannot be chosen; leave it out"));
        }
        value.set_sensitive(true);
        map.append(name, value);
    }
    Ok(map)
}

/// Whether what is sent leaves the machine unencrypted.
fn is_far_and_clear(endpoint: &str) -> bool {
    let uri = endpoint.parse::<Uri>().unwrap_or_default();
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let is_near = host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback());
    uri.scheme_str() == Some("http") && !is_near
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_a_share_of_one() {
        for (written, shown) in [("0", "0"), ("1", "1"), ("0.01", "0.01"), ("1e-3", "0.001")] {
            assert_eq!(Ratio::read(&Value::from(written)).map(|ratio| ratio.show()).as_deref(), Ok(shown));
        }
        assert_eq!(Ratio::read(&Value::from(1)).map(|ratio| ratio.0), Ok(1.0));
        assert_eq!(Ratio::read(&Value::from(0.5)).map(|ratio| ratio.0), Ok(0.5));
        for wrong in ["", "-0.1", "1.1", "NaN", "inf", "1%"] {
            assert!(Ratio::read(&Value::from(wrong)).is_err(), "{wrong}");
        }
        assert!(Ratio::read(&Value::from(2)).is_err() && Ratio::read(&Value::from(-1)).is_err());
        assert!(Ratio::read(&Value::from(1.5)).unwrap_err().starts_with("1.5 is not a share"));
    }

    #[test]
    fn headers_stand_a_line_each_and_are_never_repeated() {
        let read = |text: &str| parsed(&Secret::new(text.to_owned()));
        let map = read("Api-Key: k=1,2\n\n  Authorization: Basic abc==  \n").unwrap();
        assert_eq!(
            (map["api-key"].as_bytes(), map["authorization"].as_bytes()),
            (&b"k=1,2"[..], &b"Basic abc=="[..])
        );
        assert!(!format!("{map:?}").contains("abc"));
        for wrong in ["hunter2", "Bad name: hunter2", "Api-Key: hunter\u{7f}2", "Host: hunter2"] {
            let reason = read(&format!("X: 1\n{wrong}")).unwrap_err();
            assert!(reason.starts_with("line 2") && !reason.contains("hunter"), "{reason}");
        }
    }

    #[test]
    fn a_secret_in_the_clear_is_noticed_where_it_leaves_the_machine() {
        for (endpoint, is_far) in [
            ("http://127.0.0.1:4318/v1/traces", false),
            ("http://[::1]:4318/", false),
            ("http://localhost/", false),
            ("http://collector:4318/", true),
            ("https://collector:4318/", false),
        ] {
            assert_eq!(is_far_and_clear(endpoint), is_far, "{endpoint}");
        }
    }
}
