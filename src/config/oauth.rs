//! `[oauth]`: which OAuth 1.0a signatures count, and how old they may be.
//!
//! These are choices in plain words; the rules that they choose among are `auth::oauth1`'s.

use std::time::Duration;

use super::{
    lenient::{Leaf, Words},
    origin::Origin,
    raw::RawOauth,
    report::Report,
    upstream::Credentials,
    version::MagentoVersion,
};

/// A signature method that may be accepted (RFC 5849 §3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureMethod {
    /// `HMAC-SHA256`, what Magento asks for since 2.4.4.
    HmacSha256,
    /// `HMAC-SHA1`, for clients older than that.
    HmacSha1,
}

/// A way to build the signature base string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// As RFC 5849 §3.4.1 says.
    Rfc5849,
    /// As Magento does (deviation D12).
    Magento,
}

/// Which signatures count.
#[derive(Debug, Clone)]
pub struct Oauth {
    /// Accepted methods; at least one, none twice.
    pub signature_methods: Vec<SignatureMethod>,
    /// How far a timestamp may lie in the past.
    pub timestamp_window: Duration,
    /// How far it may lie in the future; never more than in the past.
    pub future_window: Duration,
    /// Readings in the order in which they are tried; at least one, none twice.
    pub readings: Vec<Reading>,
    /// What clients sign as scheme and host, where that differs from what arrives.
    pub origin: Option<Origin>,
}

impl Words for SignatureMethod {
    const WORDS: &'static [(&'static str, Self)] =
        &[("HMAC-SHA256", Self::HmacSha256), ("HMAC-SHA1", Self::HmacSha1)];
}

impl Words for Reading {
    const WORDS: &'static [(&'static str, Self)] = &[("rfc5849", Self::Rfc5849), ("magento", Self::Magento)];
}

impl Oauth {
    pub(super) fn parse(
        raw: RawOauth,
        (credentials, version): (Credentials, MagentoVersion),
        report: &mut Report,
    ) -> Self {
        let RawOauth { signature_methods, timestamp_window, future_window, readings, origin } = raw;
        let window = Duration::from_secs(1)..=Duration::from_secs(24 * 3600);
        let ten_minutes = Duration::from_secs(600);
        let parsed = Self {
            signature_methods: report.take(
                "oauth.signature_methods",
                signature_methods,
                version.signature_methods(),
            ),
            timestamp_window: report.take_within(
                "oauth.timestamp_window",
                timestamp_window,
                ten_minutes,
                window.clone(),
            ),
            future_window: report.take_within("oauth.future_window", future_window, ten_minutes, window),
            readings: report.take("oauth.readings", readings, version.readings(credentials)),
            origin: report.take_optional("oauth.origin", origin),
        };
        check_list("oauth.signature_methods", &parsed.signature_methods, report);
        check_list("oauth.readings", &parsed.readings, report);
        parsed.check_readings(version, report);
        parsed.check_windows(report);
        parsed
    }

    fn check_readings(&self, version: MagentoVersion, report: &mut Report) {
        if self.readings.contains(&Reading::Magento) && !version.knows_reading() {
            let version = version.show();
            report.error(
                "oauth.readings",
                format!("\"magento\" is how 2.4.4 to 2.4.6 sign, {version} signs otherwise and its way is not known here; write [\"rfc5849\"]"),
            );
        }
    }

    /// A clock that runs ahead is rarer than a request that was late, and a signature from the future stays usable
    /// for both windows together.
    fn check_windows(&self, report: &mut Report) {
        let (past, future) = (self.timestamp_window, self.future_window);
        if future > past
            && !report.is_wrong("oauth.timestamp_window")
            && !report.is_wrong("oauth.future_window")
        {
            let (past, future) = (past.show(), future.show());
            report.error(
                "oauth.future_window",
                format!("{future} is more than oauth.timestamp_window ({past}); set it to {past} or less"),
            );
        }
    }
}

fn check_list<T: Words + Leaf>(key: &'static str, list: &[T], report: &mut Report) {
    let twice = |entry: &T| list.iter().filter(|other| *other == entry).count() > 1;
    if list.is_empty() {
        let known: Vec<_> = T::WORDS.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        report
            .error(key, format!("is empty, so that nothing could be accepted; write {}", known.join(" or ")));
    } else if let Some(entry) = list.iter().find(|entry| twice(entry)) {
        report.error(key, format!("{} stands there twice; keep one", entry.show()));
    }
}
