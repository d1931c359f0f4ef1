//! Recording a nonce for all replicas, and looking at one.

use std::{
    fmt,
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use dashmap::DashMap;

use super::{
    claim::NonceClaim,
    guard::Health,
    keys::NonceKeys,
    scripts::{Answer, GUARD, LOOK, RECORD},
};
use crate::{
    auth::{crypt_keys::CryptKeys, time::UnixTime},
    metrics::{RedisMetrics, SharedNonceLabel},
    store::{
        nonces::Recorded,
        redis::{Link, LinkError, LinkScript},
    },
};

/// How far the clocks of replicas may be apart.
pub(super) const TOLERANCE: Duration = Duration::from_secs(5);

/// For how long timestamps are acceptable; the same at all replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharedNonceSettings {
    /// How old an accepted timestamp may be.
    pub past: Duration,
    /// How far ahead it may be.
    pub future: Duration,
}

/// The nonces of all replicas.
pub struct SharedNonces {
    pub(super) link: Link,
    pub(super) keys: NonceKeys,
    pub(super) guard: LinkScript,
    pub(super) metrics: RedisMetrics,
    pub(super) health: Health,
    record: LinkScript,
    look: LinkScript,
    settings: SharedNonceSettings,
    /// What a marker must say of crypt key and windows, lest replicas that differ forget for each other.
    pub(super) mark: String,
    /// The markers that this replica saw, and which they were.
    pub(super) births: DashMap<String, String>,
    /// The latest time seen: a clock that goes back must not open again what is forgotten.
    latest: AtomicI64,
}

impl fmt::Debug for SharedNonces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedNonces").field("link", &self.link).finish_non_exhaustive()
    }
}

impl SharedNonces {
    /// Nonces behind a link, named under the crypt keys.
    #[must_use]
    pub fn new(link: Link, keys: &CryptKeys, settings: SharedNonceSettings, metrics: RedisMetrics) -> Self {
        let keys = NonceKeys::new(keys, &link);
        let mark = format!("{}:{}:{}", keys.mark(), settings.past.as_secs(), settings.future.as_secs());
        Self {
            link,
            keys,
            guard: LinkScript::new(GUARD),
            metrics,
            health: Health::default(),
            record: LinkScript::new(RECORD),
            look: LinkScript::new(LOOK),
            settings,
            mark,
            births: DashMap::new(),
            latest: AtomicI64::new(i64::MIN),
        }
    }

    /// Uses up a nonce of a consumer whose signature verified. Of any number of racing calls for one nonce, at any number of
    /// replicas, at most one hears [`Recorded::Fresh`].
    #[must_use = "only a fresh nonce lets the request go on"]
    pub async fn record(&self, claim: &NonceClaim, now: UnixTime) -> Recorded {
        let recorded = match self.kept_for(claim.timestamp, now) {
            Some(kept) => self.set(claim, kept, now).await,
            None => Recorded::Expired,
        };
        let result = match recorded {
            Recorded::Fresh => "fresh",
            Recorded::Used => "used",
            Recorded::Expired => "expired",
            Recorded::Quarantined { .. } => "quarantined",
            Recorded::Full => "full",
            Recorded::JournalFailed | Recorded::Unanswered => "unanswered",
        };
        self.metrics.nonces.get_or_create(&SharedNonceLabel { result }).inc();
        recorded
    }

    /// What recording would answer, without recording.
    pub async fn look(&self, claim: &NonceClaim, now: UnixTime) -> Recorded {
        if self.kept_for(claim.timestamp, now).is_none() {
            return Recorded::Expired;
        }
        let Some((marker, name)) = self.keys.of(claim.consumer_id, &claim.nonce) else {
            return Recorded::Unanswered;
        };
        let timestamp = claim.timestamp.seconds().to_string();
        let arguments = [self.mark.as_bytes(), timestamp.as_bytes()];
        match self.link.script(&self.look, &[marker.as_bytes(), &name], &arguments).await {
            Ok(Answer::Fresh) => Recorded::Fresh,
            Ok(Answer::Used) => Recorded::Used,
            Ok(Answer::Quarantined(until)) => Recorded::Quarantined { until },
            Ok(Answer::Changed) => Recorded::Quarantined { until: self.floor(now) },
            Ok(Answer::Unknown) | Err(_) => Recorded::Unanswered,
        }
    }

    async fn set(&self, claim: &NonceClaim, kept: u64, now: UnixTime) -> Recorded {
        let Some((marker, name)) = self.keys.of(claim.consumer_id, &claim.nonce) else {
            return Recorded::Unanswered;
        };
        let born = match self.born(marker) {
            Some(born) => born,
            None => match self.guarded(marker, now).await {
                Ok(found) => found.born,
                Err(_) => return Recorded::Unanswered,
            },
        };
        // What may be thrown away could pass again.
        if self.health.may_evict() {
            return Recorded::Full;
        }
        let (timestamp, kept) = (claim.timestamp.seconds().to_string(), kept.to_string());
        let attempt = rand::random::<u64>().to_be_bytes();
        let arguments =
            [self.mark.as_bytes(), timestamp.as_bytes(), kept.as_bytes(), &attempt, born.as_bytes()];
        match self.link.script(&self.record, &[marker.as_bytes(), &name], &arguments).await {
            Ok(Answer::Fresh) => {
                self.health.has_room(self);
                Recorded::Fresh
            }
            Ok(Answer::Used) => Recorded::Used,
            Ok(Answer::Quarantined(until)) => Recorded::Quarantined { until },
            Ok(Answer::Changed) => {
                // A failure is this request's already.
                let _ = self.guarded(marker, now).await;
                Recorded::Quarantined { until: self.floor(now) }
            }
            Ok(Answer::Unknown) => Recorded::Unanswered,
            Err(LinkError::Full) => {
                self.health.is_full(self);
                Recorded::Full
            }
            // Whether it was set or not: it counts as used, and the client signs again.
            Err(_) => Recorded::Unanswered,
        }
    }

    /// Seconds for which a nonce has to be kept; `None` where its time is up, or so far ahead that no floor would cover it.
    fn kept_for(&self, timestamp: UnixTime, now: UnixTime) -> Option<u64> {
        let now = self.clock(now);
        if timestamp > now.plus(self.settings.future) {
            return None;
        }
        let last = timestamp.plus(whole(self.settings.past));
        let left = last.seconds().checked_sub(now.seconds()).filter(|left| *left >= 0)?;
        u64::try_from(left).ok()?.checked_add(TOLERANCE.as_secs() + 1)
    }

    /// Up to which timestamp everything is refused where nonces were lost until now.
    pub(super) fn floor(&self, now: UnixTime) -> UnixTime {
        self.clock(now).plus(whole(self.settings.future)).plus(TOLERANCE)
    }

    /// How long after its timestamp a nonce is acceptable.
    pub(super) const fn past(&self) -> Duration {
        self.settings.past
    }

    /// The time, which never goes back.
    pub(super) fn clock(&self, now: UnixTime) -> UnixTime {
        let before = self.latest.fetch_max(now.seconds(), Ordering::AcqRel);
        UnixTime::from_seconds(before.max(now.seconds()))
    }
}

/// Parts of a second count as a whole one.
const fn whole(duration: Duration) -> Duration {
    let more = if duration.subsec_nanos() > 0 { 1 } else { 0 };
    Duration::from_secs(duration.as_secs().saturating_add(more))
}

#[cfg(test)]
mod tests {
    use crate::{
        auth::secret::Secret,
        store::redis::{LinkHome, LinkSettings},
    };

    use super::*;

    const NOW: i64 = 1_795_248_000;

    fn at(seconds: i64) -> UnixTime {
        UnixTime::from_seconds(seconds)
    }

    /// Nonces behind a link that leads nowhere.
    fn nowhere() -> SharedNonces {
        let settings = LinkSettings {
            home: LinkHome::Single(Secret::new("redis://127.0.0.1:1/".to_owned())),
            user: None,
            password: None,
            tls: false,
            ca: None,
            prefix: "p:".to_owned(),
            timeout: Duration::from_millis(50),
            max_in_flight: 4,
        };
        let metrics = RedisMetrics::default();
        let link = Link::open(settings, metrics.clone(), tokio::runtime::Handle::current()).unwrap();
        let windows = SharedNonceSettings { past: Duration::from_secs(600), future: Duration::from_secs(30) };
        SharedNonces::new(link, &CryptKeys::parse("key").unwrap(), windows, metrics)
    }

    #[tokio::test]
    async fn a_nonce_is_kept_as_long_as_any_replica_would_accept_it() {
        let nonces = nowhere();
        for (timestamp, expected) in
            [(0, Some(606)), (30, Some(636)), (31, None), (-600, Some(6)), (-601, None), (i64::MIN / 2, None)]
        {
            assert_eq!(nonces.kept_for(at(NOW + timestamp), at(NOW)), expected, "{timestamp}");
        }
        assert_eq!(
            nonces.floor(at(NOW)),
            at(NOW + 35),
            "above every timestamp that was acceptable until now"
        );
    }

    #[tokio::test]
    async fn a_clock_that_goes_back_opens_nothing_again() {
        let nonces = nowhere();
        assert!(nonces.kept_for(at(NOW - 600), at(NOW)).is_some());
        assert!(nonces.kept_for(at(NOW - 601), at(NOW - 3600)).is_none());
        assert_eq!(nonces.floor(at(NOW - 3600)), at(NOW + 35));
    }

    #[tokio::test]
    async fn without_redis_nothing_is_fresh() {
        let nonces = nowhere();
        let claim = NonceClaim { consumer_id: 1, nonce: b"n".to_vec(), timestamp: at(NOW) };
        assert_eq!(nonces.record(&claim, at(NOW)).await, Recorded::Unanswered);
        assert_eq!(nonces.look(&claim, at(NOW)).await, Recorded::Unanswered);
    }
}
