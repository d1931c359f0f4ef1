//! The rate limits of a configuration: rules with their buckets, which outlive a reload, and what replicas tell each other.
//!
//! A rule whose name, key and quota are as they were keeps its buckets: nobody gets a fresh one because another rule was
//! changed, or because this one was set to report or is for other requests now.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};

use super::chores::ended;
use crate::{
    auth::quota::{Quota, Rate},
    clock::Clock,
    config::{self, Config, LimitBy, LimitClass, LimitMode, LimitRule, LimitStore, OnOutage},
    metrics::{ExchangeLabel, Metrics},
    proxy::quotas::{Buckets, QuotaBy, QuotaClass, QuotaRule, QuotaRules},
    reply::LimitFields,
    store::{
        rates::{RedisRates, Room, SharedTable, Shares, Widths},
        redis::Link,
    },
};

/// Callers of a kind are four; nobody else has a bucket in such a rule.
const CONTEXTS: usize = 8;

/// One line says that the replicas cannot be reached, and one that they can again.
const LOST: &str = "replicas cannot tell each other of rate limits";

/// The buckets in force, and whoever tells the other replicas of them.
#[derive(Debug)]
pub(super) struct LimitKeeper {
    kept: Mutex<Vec<KeptBuckets>>,
    shares: Option<Shares>,
    metrics: Arc<Metrics>,
    clock: Clock,
}

/// Buckets and what they are kept for.
#[derive(Debug)]
struct KeptBuckets {
    purpose: Purpose,
    buckets: Arc<Buckets>,
}

/// What must not change where buckets are to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Purpose {
    name: Arc<str>,
    by: LimitBy,
    rate: Rate,
    burst: u32,
    prefixes: (u8, u8),
    max_keys: usize,
}

impl LimitKeeper {
    /// Nothing kept yet; replicas meet at the other end of the link, if they share their limits.
    pub(super) fn new(
        config: &Config,
        link: Option<&Link>,
        metrics: &Arc<Metrics>,
        clock: &Clock,
    ) -> Arc<Self> {
        let link = match config.limits.store {
            LimitStore::Local => None,
            LimitStore::Redis => link,
        };
        let shares = link.map(|link| Shares::new(Arc::new(RedisRates::new(link.clone())), clock.clone()));
        Arc::new(Self { kept: Mutex::default(), shares, metrics: Arc::clone(metrics), clock: clock.clone() })
    }

    /// The rules of a configuration, with the buckets of those that were in force before.
    pub(super) fn rules(&self, config: &Config) -> QuotaRules {
        let limits = &config.limits;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut next, mut early, mut lookups, mut late) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for rule in &limits.rules {
            let purpose = Purpose::of(rule, limits);
            let known = kept.iter().find(|kept| kept.purpose == purpose);
            let buckets =
                known.map_or_else(|| self.buckets(rule, &purpose), |kept| Arc::clone(&kept.buckets));
            let asked = match (rule.by, &rule.class) {
                (_, Some(LimitClass::Lookup)) => &mut lookups,
                (LimitBy::Address, _) if rule.of.is_empty() => &mut early,
                (_, _) => &mut late,
            };
            asked.push(quota_rule(rule, limits, Arc::clone(&buckets)));
            next.push(KeptBuckets { purpose, buckets });
        }
        *kept = next;
        let refuses = limits.on_outage == OnOutage::Refuse;
        QuotaRules {
            clock: (!limits.rules.is_empty()).then(|| self.clock.clone()),
            widths: Widths { ipv4: limits.ipv4_prefix, ipv6: limits.ipv6_prefix },
            required_reach: self.shares.as_ref().filter(|_| refuses).map(|shares| Arc::clone(shares.reach())),
            early: early.into(),
            lookups: lookups.into(),
            late: late.into(),
        }
    }

    fn buckets(&self, rule: &LimitRule, purpose: &Purpose) -> Arc<Buckets> {
        let quota = Quota::new(rule.rate, rule.burst);
        let owners = purpose.max_keys;
        let room = match rule.by {
            LimitBy::Context => Room { owners: CONTEXTS, networks: 0 },
            LimitBy::Role => Room { owners, networks: 0 },
            LimitBy::Identity | LimitBy::Consumer | LimitBy::Address => Room { owners, networks: owners },
        };
        Arc::new(Buckets::new(Arc::clone(&rule.name), quota, room, self.shares.is_some(), &self.metrics))
    }

    /// The tables that replicas share, each by a name that tells its quota too.
    fn shared(&self) -> Vec<SharedTable> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let tables = kept.iter().flat_map(|KeptBuckets { purpose, buckets }| {
            let Purpose { name, by: _, rate, burst, prefixes: _, max_keys: _ } = purpose;
            buckets.owners.tables().map(|(kind, table)| SharedTable {
                name: format!("{name}:{rate}:{burst}:{kind}").into(),
                table: Arc::clone(table),
            })
        });
        tables.collect()
    }

    /// Tells the other replicas and hears of them, until the gate drains.
    pub(super) async fn share(self: Arc<Self>, every: Duration, mut drain: watch::Receiver<bool>) {
        let Some(shares) = &self.shares else { return };
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut was_up = true;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = ended(&mut drain) => return,
            }
            let exchanged = shares.run_once(&self.shared()).await;
            let result = if exchanged.is_ok() { "done" } else { "failed" };
            self.metrics.limit_exchanges.get_or_create(&ExchangeLabel { result }).inc();
            match exchanged {
                Err(error) if was_up => tracing::warn!(error = %error, "{LOST}"),
                Ok(()) if !was_up => tracing::info!("replicas tell each other of rate limits again"),
                Ok(()) | Err(_) => {}
            }
            was_up = shares.reach().is_up();
        }
    }
}

impl Purpose {
    fn of(rule: &LimitRule, limits: &config::Limits) -> Self {
        Self {
            name: Arc::clone(&rule.name),
            by: rule.by,
            rate: rule.rate,
            burst: rule.burst.get(),
            prefixes: (limits.ipv4_prefix, limits.ipv6_prefix),
            max_keys: limits.max_keys,
        }
    }
}

/// What clients are told.
pub(super) const fn fields(config: &Config) -> LimitFields {
    match config.limits.headers {
        config::LimitHeaders::Draft => LimitFields::Draft,
        config::LimitHeaders::Both => LimitFields::Both,
        config::LimitHeaders::Off => LimitFields::Off,
    }
}

fn quota_rule(rule: &LimitRule, limits: &config::Limits, buckets: Arc<Buckets>) -> QuotaRule {
    QuotaRule {
        by: match rule.by {
            LimitBy::Identity => QuotaBy::Identity,
            LimitBy::Consumer => QuotaBy::Consumer,
            LimitBy::Role => QuotaBy::Role,
            LimitBy::Context => QuotaBy::Context,
            LimitBy::Address => QuotaBy::Address,
        },
        of: rule.of.clone().into(),
        class: rule.class.as_ref().and_then(|class| quota_class(class, limits)),
        is_enforced: limits.mode == LimitMode::Enforce && rule.mode == LimitMode::Enforce,
        buckets,
    }
}

/// `None` for lookups: which requests make one is no matter of theirs.
fn quota_class(class: &LimitClass, limits: &config::Limits) -> Option<QuotaClass> {
    match class {
        LimitClass::Lookup => None,
        LimitClass::Anonymous => Some(QuotaClass::Anonymous),
        LimitClass::Read => Some(QuotaClass::Read),
        LimitClass::Write => Some(QuotaClass::Write),
        LimitClass::Named(name) => {
            // The configuration was refused where none has the name.
            let named = limits.classes.iter().filter(|class| class.name == *name);
            Some(QuotaClass::Routes(named.flat_map(|class| class.routes.clone()).collect()))
        }
    }
}
