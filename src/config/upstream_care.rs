//! `[upstream.tls]`, `[upstream.ejection]`, `[upstream.breaker]` and `[upstream.health]`: how endpoints are believed and
//! looked after.

use std::{ops::RangeInclusive, path::PathBuf, time::Duration};

use figment::value::Value;
use http::{HeaderValue, uri::PathAndQuery};

use super::{
    lenient::{Leaf, Words, found},
    raw::{RawUpstreamBreaker, RawUpstreamEjection, RawUpstreamHealth, RawUpstreamTls},
    report::Report,
};

/// Whether HTTP/2 is spoken to the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamHttp2 {
    /// HTTP/1.1 alone.
    Off,
    /// Offered over TLS.
    Auto,
    /// Offered over TLS, and spoken in the clear without asking.
    H2c,
}

/// Whom TLS to the upstream believes, and whom it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamTls {
    /// The only authorities that are believed; the platform's where there is none.
    pub ca_file: Option<PathBuf>,
    /// Our certificate.
    pub certificate_file: Option<PathBuf>,
    /// Its key.
    pub key_file: Option<PathBuf>,
    /// The name that certificates are checked for.
    pub server_name: Option<String>,
}

/// When an endpoint is left alone because of what requests met there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpstreamEjection {
    /// Failures in a row; 0 for never.
    pub failures: u32,
    /// From the first of them to the last.
    pub window: Duration,
    /// The first time.
    pub time: Duration,
    /// The longest.
    pub max_time: Duration,
    /// Most endpoints at a time, in percent.
    pub max_ejected: u32,
}

/// When nothing is sent to an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpstreamBreaker {
    /// The fewest requests that say anything; 0 for no breaker.
    pub requests: u32,
    /// How many of them failed, in percent.
    pub failures: u32,
    /// How far back is counted.
    pub window: Duration,
    /// How long nothing is sent.
    pub open: Duration,
}

/// How endpoints are asked for their health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamHealth {
    /// What is asked for; `None` for not at all.
    pub path: Option<PathAndQuery>,
    /// The `Host` that is sent.
    pub host: Option<HeaderValue>,
    /// From one question to the next.
    pub interval: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// Good answers in a row that bring an endpoint back.
    pub healthy: u32,
    /// Bad ones that take it away.
    pub unhealthy: u32,
    /// The statuses of a good answer.
    pub status: StatusRange,
}

/// Statuses from one to another, `200-399` or `204`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusRange(pub RangeInclusive<u16>);

impl Words for UpstreamHttp2 {
    const WORDS: &'static [(&'static str, Self)] =
        &[("auto", Self::Auto), ("off", Self::Off), ("h2c", Self::H2c)];
}

impl Leaf for StatusRange {
    fn read(value: &Value) -> Result<Self, String> {
        let written = value.to_u128().map(|number| number.to_string());
        let text = written.as_deref().or(value.as_str()).unwrap_or_default();
        let (from, to) = text.split_once('-').unwrap_or((text, text));
        match (from.parse(), to.parse()) {
            (Ok(from), Ok(to)) if 100 <= from && from <= to && to <= 599 => Ok(Self(from..=to)),
            (_, _) => Err(format!("{} is no range of statuses; write one such as \"200-399\"", found(value))),
        }
    }

    fn show(&self) -> String {
        format!("{}-{}", self.0.start(), self.0.end())
    }
}

impl UpstreamTls {
    pub(super) fn parse(raw: RawUpstreamTls, report: &mut Report) -> Self {
        let RawUpstreamTls { ca_file, certificate_file, key_file, server_name } = raw;
        let tls = Self {
            ca_file: report.take_path("upstream.tls.ca_file", ca_file),
            certificate_file: report.take_path("upstream.tls.certificate_file", certificate_file),
            key_file: report.take_path("upstream.tls.key_file", key_file),
            server_name: report.take_optional("upstream.tls.server_name", server_name),
        };
        for path in [&tls.ca_file, &tls.certificate_file, &tls.key_file].into_iter().flatten() {
            report.has_read(path);
        }
        match (&tls.certificate_file, &tls.key_file) {
            (Some(_), None) => report.error("upstream.tls.key_file", "is required with certificate_file"),
            (None, Some(_)) => report.error("upstream.tls.certificate_file", "is required with key_file"),
            (Some(_), Some(_)) | (None, None) => {}
        }
        tls
    }
}

impl UpstreamEjection {
    pub(super) fn parse(raw: RawUpstreamEjection, report: &mut Report) -> Self {
        let RawUpstreamEjection { failures, window, time, max_time, max_ejected } = raw;
        let seconds = Duration::from_secs;
        let day = seconds(86_400);
        let parsed = Self {
            failures: count(report, "upstream.ejection.failures", failures, (5, 0..=1000)),
            window: report.take_within(
                "upstream.ejection.window",
                window,
                seconds(30),
                seconds(1)..=seconds(3600),
            ),
            time: report.take_within(
                "upstream.ejection.time",
                time,
                seconds(10),
                Duration::from_millis(100)..=day,
            ),
            max_time: report.take_within(
                "upstream.ejection.max_time",
                max_time,
                seconds(300),
                Duration::from_millis(100)..=day,
            ),
            max_ejected: count(report, "upstream.ejection.max_ejected", max_ejected, (50, 0..=100)),
        };
        if parsed.max_time < parsed.time {
            report.error("upstream.ejection.max_time", "is less than upstream.ejection.time; raise it");
        }
        parsed
    }
}

impl UpstreamBreaker {
    pub(super) fn parse(raw: RawUpstreamBreaker, report: &mut Report) -> Self {
        let RawUpstreamBreaker { requests, failures, window, open } = raw;
        let (milliseconds, hour) = (Duration::from_millis, Duration::from_secs(3600));
        Self {
            requests: count(report, "upstream.breaker.requests", requests, (0, 0..=1_000_000)),
            failures: count(report, "upstream.breaker.failures", failures, (50, 1..=100)),
            window: report.take_within(
                "upstream.breaker.window",
                window,
                milliseconds(10_000),
                milliseconds(100)..=hour,
            ),
            open: report.take_within(
                "upstream.breaker.open",
                open,
                milliseconds(5000),
                milliseconds(100)..=hour,
            ),
        }
    }
}

impl UpstreamHealth {
    pub(super) fn parse(raw: RawUpstreamHealth, report: &mut Report) -> Self {
        let RawUpstreamHealth { path, host, interval, timeout, healthy, unhealthy, status } = raw;
        let (milliseconds, hour) = (Duration::from_millis, Duration::from_secs(3600));
        let path = report.take_optional("upstream.health.path", path);
        let path = path.and_then(|path| target(&path, report));
        let host = report.take_optional("upstream.health.host", host);
        Self {
            path,
            host: host.and_then(|host| HeaderValue::try_from(host.to_string()).ok()),
            interval: report.take_within(
                "upstream.health.interval",
                interval,
                milliseconds(5000),
                milliseconds(100)..=hour,
            ),
            timeout: report.take_within(
                "upstream.health.timeout",
                timeout,
                milliseconds(2000),
                milliseconds(10)..=milliseconds(60_000),
            ),
            healthy: count(report, "upstream.health.healthy", healthy, (2, 1..=100)),
            unhealthy: count(report, "upstream.health.unhealthy", unhealthy, (3, 1..=100)),
            status: report.take("upstream.health.status", status, StatusRange(200..=399)),
        }
    }
}

fn target(path: &str, report: &mut Report) -> Option<PathAndQuery> {
    let target = PathAndQuery::try_from(path).ok().filter(|target| target.as_str().starts_with('/'));
    if target.is_none() {
        report.error("upstream.health.path", "is no path; write one such as \"/health_check.php\"");
    }
    target
}

/// A number that fits everywhere.
pub(super) fn count(
    report: &mut Report,
    key: &'static str,
    raw: super::lenient::Lenient<usize>,
    (default, range): (usize, RangeInclusive<usize>),
) -> u32 {
    let number = report.take_within(key, raw, default, range);
    u32::try_from(number).unwrap_or(u32::MAX)
}
