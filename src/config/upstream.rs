//! `[upstream]`: the API behind us, what it is sent, and how long it is waited for.
//!
//! One origin, spoken to in plain HTTP/1.1 for now: the upstream stands in the same trusted network, and a URL that
//! promises TLS must not be spoken to without it.

use std::time::Duration;

use http::{HeaderName, HeaderValue};

use super::{
    headers::is_standard,
    lenient::{Lenient, Words},
    origin::{HostPort, Origin, Scheme},
    raw::{RawProof, RawUpstream},
    report::Report,
    secret,
};
use crate::auth::secret::Secret;

/// A shorter proof could be guessed by whoever reaches the upstream directly.
const MIN_PROOF: usize = 16;

/// Whether the upstream sees what the client authenticated with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credentials {
    /// Removed: the upstream lives on our headers.
    Strip,
    /// Sent unchanged: the upstream authenticates again.
    Forward,
}

/// The API behind us.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// Where it listens.
    pub address: HostPort,
    /// Whether it sees the client's credentials.
    pub credentials: Credentials,
    /// How long a connection may take to open.
    pub connect_timeout: Duration,
    /// How long the head of a response may take.
    pub response_timeout: Duration,
    /// How long an unused connection is held.
    pub idle_timeout: Duration,
    /// Most unused connections that a worker holds.
    pub max_idle: usize,
    /// What shows the upstream that a request came through us.
    pub proof: Option<Proof>,
}

/// A shared secret in a header, by which the upstream tells us from someone who reached it directly.
#[derive(Debug, Clone)]
pub struct Proof {
    header: HeaderName,
    secret: Secret<String>,
}

impl Words for Credentials {
    const WORDS: &'static [(&'static str, Self)] = &[("strip", Self::Strip), ("forward", Self::Forward)];
}

impl Upstream {
    pub(super) fn parse(raw: RawUpstream, is_magentos: bool, report: &mut Report) -> Option<Self> {
        let RawUpstream {
            url,
            credentials,
            connect_timeout,
            response_timeout,
            idle_timeout,
            max_idle,
            proof,
        } = raw;
        let (milliseconds, seconds) = (Duration::from_millis, Duration::from_secs);
        let address = take_address(url, report);
        let credentials = {
            // An unmodified Magento authenticates again.
            let default = if is_magentos { Credentials::Forward } else { Credentials::Strip };
            report.take("upstream.credentials", credentials, default)
        };
        let connect_timeout = report.take_within(
            "upstream.connect_timeout",
            connect_timeout,
            seconds(1),
            milliseconds(10)..=seconds(60),
        );
        let response_timeout = report.take_within(
            "upstream.response_timeout",
            response_timeout,
            seconds(60),
            milliseconds(100)..=seconds(3600),
        );
        let idle_timeout = report.take_within(
            "upstream.idle_timeout",
            idle_timeout,
            seconds(30),
            seconds(1)..=seconds(3600),
        );
        let max_idle = report.take_within("upstream.max_idle", max_idle, 64, 0..=10_000);
        let proof = Proof::parse(proof, report);
        Some(Self {
            address: address?,
            credentials,
            connect_timeout,
            response_timeout,
            idle_timeout,
            max_idle,
            proof,
        })
    }
}

impl Proof {
    pub(super) const fn secret(&self) -> &Secret<String> {
        &self.secret
    }

    fn parse(raw: RawProof, report: &mut Report) -> Option<Self> {
        let RawProof { header, secret, secret_file } = raw;
        let has_header = header.is_written();
        let from_file = secret_file.is_written();
        let has_secret = secret.is_written() || from_file;
        let header =
            report.take_optional("upstream.proof.header", header).and_then(|name| take_header(&name, report));
        let secret = secret::take(
            report,
            ("upstream.proof.secret", secret),
            ("upstream.proof.secret_file", secret_file),
        );
        match (has_header, has_secret) {
            (true, false) => {
                report.error("upstream.proof.header", "has no secret; set upstream.proof.secret_file")
            }
            (false, true) => report
                .error("upstream.proof.header", "is required with a secret; name the header to send it in"),
            (true, true) | (false, false) => {}
        }
        let secret = secret?;
        if !is_proof(secret.expose()) {
            let place = if from_file { "upstream.proof.secret_file" } else { "upstream.proof.secret" };
            let wanted =
                format!("the secret needs at least {MIN_PROOF} visible ASCII characters and no blank");
            report.error(place, format!("{wanted}; generate one, for example with openssl rand -hex 32"));
            return None;
        }
        Some(Self { header: header?, secret })
    }

    /// The header; to be removed from what clients send.
    #[must_use]
    pub const fn header(&self) -> &HeaderName {
        &self.header
    }

    /// The header's value, marked sensitive so that nothing prints it.
    #[must_use]
    pub fn value(&self) -> HeaderValue {
        let mut value = HeaderValue::from_str(self.secret.expose())
            .expect("a proof's secret was checked to be visible ASCII");
        value.set_sensitive(true);
        value
    }
}

fn is_proof(secret: &str) -> bool {
    secret.len() >= MIN_PROOF && secret.bytes().all(|byte| byte.is_ascii_graphic())
}

fn take_address(url: Lenient<Origin>, report: &mut Report) -> Option<HostPort> {
    let Origin { scheme, authority } =
        report.require("upstream.url", url, "write one such as \"http://127.0.0.1:8081\"")?;
    match scheme {
        Scheme::Http => Some(authority),
        Scheme::Https => {
            report.error(
                "upstream.url",
                "https to the upstream is not supported by this version; write \"http://host:port\"",
            );
            None
        }
    }
}

fn take_header(name: &str, report: &mut Report) -> Option<HeaderName> {
    let Ok(header) = HeaderName::from_bytes(name.as_bytes()) else {
        report
            .error("upstream.proof.header", "is not a header name; write one such as \"X-Portcullis-Proof\"");
        return None;
    };
    if is_standard(header.as_str()) {
        report.error(
            "upstream.proof.header",
            format!("{header} has a meaning of its own; choose a name such as \"X-Portcullis-Proof\""),
        );
        return None;
    }
    Some(header)
}
