//! `[jobs]`: what is cleaned up, how often, and after what time.
//!
//! The first six are intervals; zero switches a job off, as all of them are on a Magento's own database: its cron cleans it. The
//! periods are the ages at which rows go.

use std::time::Duration;

use super::{lenient::Leaf as _, raw::RawJobs, report::Report};

/// What is cleaned up, and when.
#[derive(Debug, Clone)]
pub struct Jobs {
    /// Between two cleanings of expired locks; `None`: never. Likewise the others.
    pub authentication_failures: Option<Duration>,
    /// Of opaque tokens past their lifetime.
    pub expired_tokens: Option<Duration>,
    /// Of `oauth_nonce`.
    pub nonces: Option<Duration>,
    /// Of handshakes that were not finished.
    pub handshakes: Option<Duration>,
    /// Of revocations that no token is old enough for.
    pub revocations: Option<Duration>,
    /// Magento's `oauth/cleanup/expiration_period`: the age of nonces and handshakes.
    pub cleanup_period: Duration,
    /// Of secrets and tokens that a rotation left valid and whose time is over.
    pub rotations: Option<Duration>,
    /// The age of revocations.
    pub revocation_period: Duration,
    /// Most rows that one statement deletes.
    pub batch: u32,
}

impl Jobs {
    pub(super) fn parse(
        raw: RawJobs,
        (timestamp_window, is_magentos): (Duration, bool),
        report: &mut Report,
    ) -> Self {
        let RawJobs {
            authentication_failures,
            expired_tokens,
            nonces,
            handshakes,
            revocations,
            rotations,
            cleanup_period,
            revocation_period,
            batch,
        } = raw;
        let (seconds, hours) = (Duration::from_secs, |count: u64| Duration::from_secs(count * 3600));
        let mut interval = |key, raw, default| {
            let longest = hours(7 * 24);
            // Magento's own cron cleans its database.
            let default = if is_magentos { Duration::ZERO } else { default };
            let interval = report.take_within(key, raw, default, Duration::ZERO..=longest);
            if !interval.is_zero() && interval < seconds(1) {
                report.error(key, "is less than a second; write 0s to switch the job off");
            }
            Some(interval).filter(|interval| !interval.is_zero())
        };
        let authentication_failures =
            interval("jobs.authentication_failures", authentication_failures, seconds(60));
        let expired_tokens = interval("jobs.expired_tokens", expired_tokens, hours(1));
        let nonces = interval("jobs.nonces", nonces, hours(1));
        let handshakes = interval("jobs.handshakes", handshakes, hours(1));
        let revocations = interval("jobs.revocations", revocations, hours(24));
        let rotations = interval("jobs.rotations", rotations, hours(1));
        if is_magentos && revocations.is_some() {
            report
                .error("jobs.revocations", "Magento deletes no revocations from its own database; write 0s");
        }
        let cleanup_period = report.take_within(
            "jobs.cleanup_period",
            cleanup_period,
            hours(2),
            seconds(600)..=hours(366 * 24),
        );
        if cleanup_period < timestamp_window && !report.is_wrong("oauth.timestamp_window") {
            // Whoever reads the table would take a replay for a new request.
            let text = format!("is shorter than oauth.timestamp_window ({})", timestamp_window.show());
            report.error("jobs.cleanup_period", text);
        }
        let revocation_period = report.take_within(
            "jobs.revocation_period",
            revocation_period,
            hours(90 * 24),
            hours(24)..=hours(3660 * 24),
        );
        let batch = report.take_within("jobs.batch", batch, 500, 1..=10_000);
        Self {
            authentication_failures,
            expired_tokens,
            nonces,
            handshakes,
            revocations,
            rotations,
            cleanup_period,
            revocation_period,
            batch: u32::try_from(batch).unwrap_or(u32::MAX),
        }
    }
}
