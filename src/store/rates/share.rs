//! Limits that replicas share: what was taken here is told, and what all took together comes back.
//!
//! No request waits for it. Each replica decides by its own buckets; every moment this tells how far the requests since the
//! last time move each owner's shared bucket, and is told how far that bucket now is from full. The shared bucket is kept
//! where the replicas meet, by the clock there, so clocks need not agree. An owner whom a replica has not seen since its
//! bucket was full is new to it: so `n` replicas together admit at most `(n - 1) × (burst + rate × 2 × interval)` more than
//! one alone would, in any length of time.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;

use super::{
    key::RateKey,
    table::{RateTable, Taken},
};
use crate::{clock::Clock, store::redis::LinkError};

/// The most owners of all rules that one exchange speaks of.
pub const MOST_OWNERS: usize = 4096;

/// How long an exchange may take before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(1);

/// What an owner took here since the last exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumed {
    /// The rule and its quota: buckets of another quota are others.
    pub bucket: Arc<str>,
    /// Whose bucket.
    pub key: RateKey,
    /// How far from full the requests move it.
    pub cost: Duration,
    /// How far from full it can be at most.
    pub most: Duration,
}

/// The exchange did not take place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeError {
    /// Redis has no answer.
    #[error(transparent)]
    Redis(#[from] LinkError),
    /// No answer in time.
    #[error("no answer in time")]
    Late,
    /// Another number of answers than of questions.
    #[error("the answer speaks of other buckets")]
    Count,
}

/// Where replicas meet.
pub trait RateExchange: fmt::Debug + Send + Sync {
    /// Moves each bucket by its cost and answers, in the same order, how far each is from full. With nothing to tell it says
    /// whether the others can be reached.
    fn exchange(&self, consumed: Vec<Consumed>) -> BoxFuture<'_, Result<Vec<Duration>, ExchangeError>>;
}

/// Whether the others can be reached; until the first exchange they cannot.
#[derive(Debug, Default)]
pub struct Reach {
    is_up: AtomicBool,
}

impl Reach {
    /// Whether the last exchange took place.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.is_up.load(Ordering::Acquire)
    }
}

/// The buckets of a rule that replicas share.
#[derive(Debug, Clone)]
pub struct SharedTable {
    /// The name that all replicas know the rule and its quota by.
    pub name: Arc<str>,
    /// Its buckets here.
    pub table: Arc<RateTable>,
}

/// Tells and hears what is taken from shared buckets.
#[derive(Debug, Clone)]
pub struct Shares {
    exchange: Arc<dyn RateExchange>,
    reach: Arc<Reach>,
    clock: Clock,
}

impl Shares {
    /// Speaks through this exchange.
    #[must_use]
    pub fn new(exchange: Arc<dyn RateExchange>, clock: Clock) -> Self {
        Self { exchange, reach: Arc::default(), clock }
    }

    /// Whether the others can be reached.
    #[must_use]
    pub const fn reach(&self) -> &Arc<Reach> {
        &self.reach
    }

    /// One exchange about these tables. What was to be told and could not be is forgotten: after an outage the replicas go on
    /// from what each of them limited alone.
    ///
    /// # Errors
    /// [`ExchangeError`] where it did not take place.
    pub async fn run_once(&self, tables: &[SharedTable]) -> Result<(), ExchangeError> {
        let exchanged = self.try_once(tables).await;
        self.reach.is_up.store(exchanged.is_ok(), Ordering::Release);
        exchanged
    }

    async fn try_once(&self, tables: &[SharedTable]) -> Result<(), ExchangeError> {
        let most = MOST_OWNERS / tables.len().max(1);
        let told: Vec<(&SharedTable, Taken)> = tables
            .iter()
            .flat_map(|shared| shared.table.drain(most).into_iter().map(move |taken| (shared, taken)))
            .collect();
        let consumed = told.iter().map(|(shared, taken)| Consumed {
            bucket: Arc::clone(&shared.name),
            key: taken.key,
            cost: shared.table.quota().cost(taken.count),
            most: shared.table.most_debt(),
        });
        let answer = tokio::time::timeout(PATIENCE, self.exchange.exchange(consumed.collect())).await;
        let levels = answer.map_err(|_late| ExchangeError::Late)??;
        if levels.len() != told.len() {
            return Err(ExchangeError::Count);
        }
        let now = self.clock.tick();
        for ((shared, taken), level) in told.iter().zip(levels) {
            shared.table.merge(taken, level, now);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::HashMap,
        num::NonZeroU32,
        sync::{
            Mutex,
            atomic::{AtomicI64, Ordering},
        },
    };

    use super::*;
    use crate::auth::{
        quota::{FullAt, Quota, Rate, Tick},
        time::UnixTime,
    };

    /// The shared buckets, as Redis keeps them.
    #[derive(Debug, Default)]
    struct Meeting {
        buckets: Mutex<HashMap<(Arc<str>, RateKey), FullAt>>,
        now: AtomicI64,
        is_down: AtomicBool,
    }

    impl Meeting {
        fn tick(&self) -> Tick {
            Tick::since_start(Duration::from_secs(self.now.load(Ordering::SeqCst).unsigned_abs()))
        }
    }

    impl RateExchange for Meeting {
        fn exchange(&self, consumed: Vec<Consumed>) -> BoxFuture<'_, Result<Vec<Duration>, ExchangeError>> {
            let now = self.tick();
            let mut buckets = self.buckets.lock().unwrap();
            let levels = consumed.into_iter().map(|Consumed { bucket, key, cost, most: _ }| {
                let full_at = buckets.entry((bucket, key)).or_default();
                let quota = quota();
                *full_at = full_at.raised(now, quota.level(*full_at, now).full_in + cost);
                quota.level(*full_at, now).full_in
            });
            let levels: Vec<_> = levels.collect();
            let answer =
                if self.is_down.load(Ordering::SeqCst) { Err(ExchangeError::Late) } else { Ok(levels) };
            Box::pin(async { answer })
        }
    }

    fn quota() -> Quota {
        Quota::new(Rate::parse("2/s").unwrap(), NonZeroU32::new(10).unwrap())
    }

    struct Replica {
        shares: Shares,
        tables: [SharedTable; 1],
    }

    fn replicas(count: usize, meeting: &Arc<Meeting>) -> Vec<Replica> {
        let replica = |_| {
            let read = Arc::clone(meeting);
            let clock = Clock::given(move || UnixTime::from_seconds(read.now.load(Ordering::SeqCst)));
            let table = Arc::new(RateTable::new(quota(), 64, true));
            let tables = [SharedTable { name: "rule".into(), table }];
            Replica { shares: Shares::new(meeting.clone(), clock), tables }
        };
        (0..count).map(replica).collect()
    }

    impl Replica {
        fn admits(&self) -> bool {
            let now = self.shares.clock.tick();
            self.tables[0].table.take(RateKey::consumer(1), now, NonZeroU32::MIN).level.is_ok()
        }

        /// As many as it does.
        fn admits_all(&self) -> u64 {
            std::iter::repeat_with(|| self.admits()).take_while(|admitted| *admitted).map(u64::from).sum()
        }

        async fn exchange(&self) -> bool {
            self.shares.run_once(&self.tables).await.is_ok()
        }
    }

    async fn exchange_all(replicas: &[Replica]) -> bool {
        let mut all = true;
        for replica in replicas {
            all &= replica.exchange().await;
        }
        all
    }

    /// One request after another at whichever replica takes it, an exchange each second: the worst caller there is.
    #[tokio::test]
    async fn replicas_together_stay_within_the_stated_bound() {
        for count in [1_usize, 2, 3, 5] {
            let meeting = Arc::new(Meeting::default());
            let replicas = replicas(count, &meeting);
            let (mut admitted, seconds) = (0_u64, 200_u64);
            for second in 0..seconds {
                meeting.now.store(i64::try_from(1000 + second).unwrap(), Ordering::SeqCst);
                admitted += replicas.iter().map(Replica::admits_all).sum::<u64>();
                assert!(exchange_all(&replicas).await);
            }
            let alone = 10 + 2 * seconds;
            let others = u64::try_from(count - 1).unwrap();
            assert!(admitted <= alone + others * (10 + 2 * 2), "{count} replicas: {admitted}");
            assert!(admitted >= 2 * (seconds - 1), "{count} replicas: {admitted}, less than the rate");
        }
    }

    #[tokio::test]
    async fn in_an_outage_each_replica_limits_alone_and_afterwards_together() {
        let meeting = Arc::new(Meeting::default());
        meeting.now.store(1000, Ordering::SeqCst);
        let replicas = replicas(2, &meeting);
        assert!(!replicas[0].shares.reach().is_up(), "nobody was reached yet");
        meeting.is_down.store(true, Ordering::SeqCst);
        for replica in &replicas {
            assert_eq!((0..20).filter(|_| replica.admits()).count(), 10);
            assert!(!replica.exchange().await && !replica.shares.reach().is_up());
        }
        meeting.is_down.store(false, Ordering::SeqCst);
        meeting.now.store(2000, Ordering::SeqCst);
        assert!((0..8).all(|_| replicas[0].admits()));
        assert!(replicas[0].exchange().await && replicas[0].shares.reach().is_up());
        assert!(replicas[1].admits() && replicas[1].exchange().await);
        assert_eq!((0..20).filter(|_| replicas[1].admits()).count(), 1, "nine of ten are gone");
    }
}
