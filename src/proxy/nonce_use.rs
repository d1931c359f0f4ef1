//! What a decision does with the nonce of a verified signature: use it up, or only look.
//!
//! A gate records; whoever explains a request must not burn its nonce, so it asks the same pipeline with a port that looks.
//! A pipeline that only looks accepts replays and must never stand in front of an upstream. Nonces in the process are
//! recorded on the spot; those that replicas share are claimed, and whoever drives the pipeline awaits [`NonceUse::resolve`].

use std::sync::Arc;

use crate::{
    auth::time::UnixTime,
    store::{
        nonces::{NoncePeek, NonceStore, Nonces, Recorded},
        shared_nonces::{NonceClaim, SharedNonces},
    },
};

/// The nonces of a pipeline.
#[derive(Debug)]
pub enum NonceUse {
    /// Each is used up: the way of a request.
    Record(Arc<NonceStore>),
    /// Each is used up for all replicas.
    Share(Arc<SharedNonces>),
    /// None is used up; `None` where the gate keeps no journal to look at.
    Peek(Option<NoncePeek>),
    /// None is used up; what replicas share is looked at.
    PeekShared(Arc<SharedNonces>),
}

impl From<Arc<NonceStore>> for NonceUse {
    fn from(store: Arc<NonceStore>) -> Self {
        Self::Record(store)
    }
}

impl From<Nonces> for NonceUse {
    fn from(nonces: Nonces) -> Self {
        match nonces {
            Nonces::Own(store) => Self::Record(store),
            Nonces::Shared(shared) => Self::Share(shared),
        }
    }
}

impl NonceUse {
    /// Uses a nonce up, or says what using it up would answer; a nonce that cannot be looked up counts as fresh. An answer
    /// that was given to another claim is none.
    ///
    /// # Errors
    /// The claim that has to be resolved first.
    pub(super) fn record(
        &self,
        consumer_id: u32,
        nonce: &[u8],
        (timestamp, now): (UnixTime, UnixTime),
        answer: Option<&(NonceClaim, Recorded)>,
    ) -> Result<Recorded, NonceClaim> {
        match self {
            Self::Record(store) => Ok(store.record(consumer_id, nonce, timestamp, now)),
            Self::Peek(peek) => {
                let seen = peek.as_ref().and_then(|peek| peek.look(consumer_id, nonce, timestamp, now).ok());
                Ok(seen.unwrap_or(Recorded::Fresh))
            }
            Self::Share(_) | Self::PeekShared(_) => {
                let claim = NonceClaim { consumer_id, nonce: nonce.to_vec(), timestamp };
                match answer {
                    Some((answered, recorded)) if *answered == claim => Ok(*recorded),
                    // Facts changed under the request: it claims what nobody asked for.
                    Some(_) => Ok(Recorded::Unanswered),
                    None => Err(claim),
                }
            }
        }
    }

    /// Answers a claim.
    #[must_use = "only a fresh nonce lets the request go on"]
    pub async fn resolve(&self, claim: &NonceClaim, now: UnixTime) -> Recorded {
        match self {
            Self::Share(shared) => shared.record(claim, now).await,
            Self::PeekShared(shared) => {
                let seen = shared.look(claim, now).await;
                if seen == Recorded::Unanswered { Recorded::Fresh } else { seen }
            }
            // These claim nothing.
            Self::Record(_) | Self::Peek(_) => Recorded::Unanswered,
        }
    }

    /// Whether the consumer is known to have used this nonce.
    pub(super) fn is_used(
        &self,
        consumer_id: u32,
        nonce: &[u8],
        (timestamp, now): (UnixTime, UnixTime),
    ) -> bool {
        match self {
            Self::Record(store) => store.is_used(consumer_id, nonce),
            Self::Peek(_) => self.record(consumer_id, nonce, (timestamp, now), None) == Ok(Recorded::Used),
            // Whoever holds no secret must not be able to make work for what all share.
            Self::Share(_) | Self::PeekShared(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        auth::{crypt_keys::CryptKeys, secret::Secret},
        metrics::RedisMetrics,
        store::{
            nonces::NonceSettings,
            redis::{Link, LinkHome, LinkSettings},
            shared_nonces::SharedNonceSettings,
        },
    };

    const WINDOW: Duration = Duration::from_secs(600);
    const NOW: UnixTime = UnixTime::from_seconds(1_795_248_000);

    fn own() -> NonceUse {
        let settings = NonceSettings { past: WINDOW, future: WINDOW, max: 10, journal: None };
        NonceUse::from(Nonces::Own(Arc::new(NonceStore::open(settings, NOW).unwrap())))
    }

    /// Nonces behind a link that leads nowhere.
    fn shared() -> Arc<SharedNonces> {
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
        let windows = SharedNonceSettings { past: WINDOW, future: WINDOW };
        Arc::new(SharedNonces::new(link, &CryptKeys::parse("key").unwrap(), windows, metrics))
    }

    fn claim(nonce: &[u8]) -> NonceClaim {
        NonceClaim { consumer_id: 1, nonce: nonce.to_vec(), timestamp: NOW }
    }

    #[tokio::test]
    async fn a_gate_uses_a_nonce_up_once() {
        let nonces = own();
        assert!(!nonces.is_used(1, b"n", (NOW, NOW)));
        for expected in [Recorded::Fresh, Recorded::Used] {
            assert_eq!(nonces.record(1, b"n", (NOW, NOW), None), Ok(expected));
        }
        assert!(nonces.is_used(1, b"n", (NOW, NOW)));
        assert_eq!(nonces.resolve(&claim(b"n"), NOW).await, Recorded::Unanswered, "it claims nothing");
    }

    #[tokio::test]
    async fn whoever_only_looks_and_has_nothing_to_look_at_uses_nothing_up() {
        let nonces = NonceUse::Peek(None);
        for _ in 0..2 {
            assert_eq!(nonces.record(1, b"n", (NOW, NOW), None), Ok(Recorded::Fresh));
        }
        assert!(!nonces.is_used(1, b"n", (NOW, NOW)));
        assert_eq!(nonces.resolve(&claim(b"n"), NOW).await, Recorded::Unanswered);
    }

    #[tokio::test]
    async fn what_replicas_share_is_claimed_and_only_its_own_answer_counts() {
        for nonces in [NonceUse::from(Nonces::Shared(shared())), NonceUse::PeekShared(shared())] {
            let record = |answer: Option<&(NonceClaim, Recorded)>| nonces.record(1, b"n", (NOW, NOW), answer);
            assert_eq!(record(None), Err(claim(b"n")));
            for recorded in [Recorded::Fresh, Recorded::Used] {
                assert_eq!(record(Some(&(claim(b"n"), recorded))), Ok(recorded));
            }
            let other = (claim(b"other"), Recorded::Fresh);
            assert_eq!(record(Some(&other)), Ok(Recorded::Unanswered), "an answer to another question");
            assert!(!nonces.is_used(1, b"n", (NOW, NOW)), "nobody without a secret makes work for all");
        }
    }

    #[tokio::test]
    async fn a_claim_that_nobody_answers_is_used_for_a_gate_and_fresh_for_whoever_looks() {
        let (gate, looking) = (NonceUse::Share(shared()), NonceUse::PeekShared(shared()));
        assert_ne!(gate.resolve(&claim(b"n"), NOW).await, Recorded::Fresh);
        assert_eq!(looking.resolve(&claim(b"n"), NOW).await, Recorded::Fresh);
    }
}
