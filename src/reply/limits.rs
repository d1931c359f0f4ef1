//! What a client is told of the limit that it is nearest to.
//!
//! The fields are those of draft-ietf-httpapi-ratelimit-headers-11: `RateLimit-Policy` says how much the bucket holds (`q`) and
//! in how many seconds an empty one fills (`w`), `RateLimit` how many requests would pass now (`r`) and in how many seconds
//! it is full (`t`). Both are lists, so they stand beside what the upstream says of limits of its own. `X-RateLimit-*` are for
//! clients that know nothing else; they are no lists, so ours replace the upstream's.

use std::{fmt, io::Write as _, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::auth::quota::{Level, Quota, whole_seconds};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// Which fields are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LimitFields {
    /// Those of the draft.
    #[default]
    Draft,
    /// Those, and `X-RateLimit-*`.
    Both,
    /// None.
    Off,
}

/// A limit as clients hear of it, made once.
#[derive(Clone)]
pub struct Policy {
    /// Its name.
    pub name: Arc<str>,
    quota: Quota,
    value: HeaderValue,
}

/// How near a client is to a limit.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The limit.
    pub policy: Arc<Policy>,
    /// Requests that would pass now.
    pub remaining: u32,
    /// Seconds until its bucket is full, rounded up.
    pub reset: u32,
}

impl Policy {
    /// A limit with a name of the characters a-z, 0-9, `-`, `_` and `.`.
    #[must_use]
    pub fn new(name: Arc<str>, quota: Quota) -> Self {
        let text = format!("\"{name}\";q={};w={}", quota.burst(), whole_seconds(quota.refill()).max(1));
        let value = HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("\"limit\""));
        Self { name, quota, value }
    }

    /// How much in what time.
    #[must_use]
    pub const fn quota(&self) -> Quota {
        self.quota
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy").field("name", &self.name).field("quota", &self.quota).finish_non_exhaustive()
    }
}

impl Standing {
    /// What is left of a limit.
    #[must_use]
    pub fn new(policy: &Arc<Policy>, Level { remaining, full_in }: Level) -> Self {
        Self { policy: Arc::clone(policy), remaining, reset: whole_seconds(full_in) }
    }

    /// Writes the fields into an answer's head.
    pub fn write(&self, fields: LimitFields, headers: &mut HeaderMap) {
        if fields == LimitFields::Off {
            return;
        }
        let Self { policy, remaining, reset } = self;
        let (remaining, reset) = (*remaining, *reset);
        headers.append(RATE_LIMIT_POLICY, policy.value.clone());
        if let Some(value) = rate_limit(&policy.name, remaining, reset) {
            headers.append(RATE_LIMIT, value);
        }
        if fields == LimitFields::Both {
            headers.insert(LIMIT, HeaderValue::from(policy.quota.burst().get()));
            headers.insert(REMAINING, HeaderValue::from(remaining));
            headers.insert(RESET, HeaderValue::from(reset));
        }
    }
}

/// Names are 64 bytes at most, numbers ten digits each.
fn rate_limit(name: &str, remaining: u32, reset: u32) -> Option<HeaderValue> {
    let mut text = [0_u8; 128];
    let mut rest = text.as_mut_slice();
    write!(rest, "\"{name}\";r={remaining};t={reset}").ok()?;
    let unused = rest.len();
    let length = text.len() - unused;
    HeaderValue::from_bytes(text.get(..length)?).ok()
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroU32, time::Duration};

    use super::*;
    use crate::auth::quota::Rate;

    fn standing() -> Standing {
        let quota = Quota::new(Rate::parse("600/m").unwrap(), NonZeroU32::new(25).unwrap());
        let level = Level { remaining: 7, full_in: Duration::from_millis(1750) };
        Standing::new(&Arc::new(Policy::new("per-customer".into(), quota)), level)
    }

    fn all(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
        headers.get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_fields_are_those_of_the_draft() {
        let mut headers = HeaderMap::new();
        standing().write(LimitFields::Draft, &mut headers);
        assert_eq!(headers.len(), 2);
        assert_eq!(all(&headers, &RATE_LIMIT_POLICY), ["\"per-customer\";q=25;w=3"]);
        assert_eq!(all(&headers, &RATE_LIMIT), ["\"per-customer\";r=7;t=2"]);
        let mut headers = HeaderMap::new();
        standing().write(LimitFields::Off, &mut headers);
        assert!(headers.is_empty());
    }

    #[test]
    fn what_the_upstream_says_stands_beside_ours_where_it_can() {
        let mut headers = HeaderMap::new();
        headers.insert(RATE_LIMIT, HeaderValue::from_static("\"upstream\";r=1;t=9"));
        headers.insert(REMAINING, HeaderValue::from_static("1"));
        standing().write(LimitFields::Both, &mut headers);
        assert_eq!(all(&headers, &RATE_LIMIT), ["\"upstream\";r=1;t=9", "\"per-customer\";r=7;t=2"]);
        assert_eq!(all(&headers, &LIMIT), ["25"]);
        assert_eq!(all(&headers, &REMAINING), ["7"]);
        assert_eq!(all(&headers, &RESET), ["2"]);
    }
}
