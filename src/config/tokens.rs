//! `[tokens]` and `[compat]`: who issues tokens, how much may be spent on checking passwords, and what old clients may do.

use std::{num::NonZeroU32, time::Duration};

use super::{
    lenient::Words,
    raw::{RawCompat, RawTokens},
    report::Report,
    upstream::Credentials,
};

/// Who issues tokens to customers and admins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Issuer {
    /// Portcullis: JWTs, as Magento since 2.4.4.
    Jwt,
    /// Portcullis: rows of `oauth_token`, as Magento without its module `JwtUserToken`.
    Opaque,
    /// The upstream.
    Upstream,
}

/// How tokens are issued.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// Who issues them.
    pub issuer: Issuer,
    /// Whether admins sign in with a second factor, at the upstream.
    pub two_factor: bool,
    /// Passwords checked at once; `None` for one a core but one.
    pub password_workers: Option<usize>,
    /// Sign-ins that may wait for one of them.
    pub password_queue: usize,
    /// How long one waits.
    pub password_wait: Duration,
    /// Whether a password whose stored hash is old is hashed anew when it was right.
    pub rehash_on_login: bool,
    /// How often an address may sign in; `None` for any number of times.
    pub address_limit: Option<AddressRate>,
    /// Whether a password in the query counts.
    pub query_credentials: bool,
}

/// How often an address may sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRate {
    /// Times a minute.
    pub per_minute: NonZeroU32,
    /// Times at once.
    pub burst: NonZeroU32,
}

impl Words for Issuer {
    const WORDS: &'static [(&'static str, Self)] =
        &[("jwt", Self::Jwt), ("opaque", Self::Opaque), ("upstream", Self::Upstream)];
}

impl Tokens {
    pub(super) fn parse(
        raw: RawTokens,
        compat: RawCompat,
        credentials: Credentials,
        report: &mut Report,
    ) -> Self {
        let RawTokens {
            issuer,
            two_factor,
            password_workers,
            password_queue,
            password_wait,
            rehash_on_login,
            address_rate,
            address_burst,
        } = raw;
        let RawCompat { query_credentials } = compat;
        // An upstream that judges credentials itself must know the tokens, and their revocations.
        let by_upstream = match credentials {
            Credentials::Strip => Issuer::Jwt,
            Credentials::Forward => Issuer::Upstream,
        };
        let issuer = report.take("tokens.issuer", issuer, by_upstream);
        let two_factor = report.take("tokens.two_factor", two_factor, false);
        let password_workers = report.take_optional("tokens.password_workers", password_workers);
        if password_workers.is_some_and(|workers| !(1..=256).contains(&workers)) {
            report.error("tokens.password_workers", "is out of range; choose between 1 and 256");
        }
        let seconds = Duration::from_secs;
        Self {
            issuer,
            two_factor,
            password_workers,
            password_queue: report.take_within("tokens.password_queue", password_queue, 64, 0..=100_000),
            password_wait: report.take_within(
                "tokens.password_wait",
                password_wait,
                seconds(5),
                Duration::from_millis(10)..=seconds(60),
            ),
            rehash_on_login: report.take("tokens.rehash_on_login", rehash_on_login, false),
            address_limit: {
                let per_minute = report.take_within("tokens.address_rate", address_rate, 120, 0..=1_000_000);
                let burst = report.take_within("tokens.address_burst", address_burst, 120, 1..=1_000_000);
                AddressRate::of(per_minute, burst, report)
            },
            query_credentials: report.take("compat.query_credentials", query_credentials, false),
        }
    }
}

impl AddressRate {
    fn of(per_minute: usize, burst: usize, report: &mut Report) -> Option<Self> {
        let number = |count| u32::try_from(count).ok().and_then(NonZeroU32::new);
        let Some(per_minute) = number(per_minute) else {
            report.warn("tokens.address_rate", "an address may try passwords as often as it likes");
            return None;
        };
        Some(Self { per_minute, burst: number(burst).unwrap_or(per_minute) })
    }
}
