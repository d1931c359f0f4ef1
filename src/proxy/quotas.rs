//! The rules of the rate limits: whom each is for, whose bucket a request is taken from, and what becomes of it.
//!
//! Rules by address alone are asked before anybody is known, so that a flood of invented tokens costs no lookup; rules of
//! the class `lookup` when one is about to be made; all others when the caller is known. Every rule that is for a request has
//! a bucket for it: where the key is missing, a coarser one counts. Of the rules asked together the first that refuses
//! decides, and then none of them is charged. Sign-ins have a limit of their own beside these.

use std::{net::IpAddr, num::NonZeroU32, sync::Arc};

use prometheus_client::metrics::counter::Counter;

use crate::{
    auth::{
        identity::UserType,
        quota::{Level, Quota, Shortage, Tick, whole_seconds},
        rejection::Rejection,
        route::RoutePattern,
    },
    clock::Clock,
    metrics::{LimitLabel, Metrics},
    reply::{Policy, Standing},
    store::rates::{Keys, Owners, RateKey, Reach, Room, Widths},
};

const ONE: NonZeroU32 = NonZeroU32::MIN;

/// Seconds after which a request may be worth another try where no bucket could say.
const UNKNOWN_WAIT: u32 = 1;

/// The rules in the order in which they are asked.
#[derive(Debug, Default)]
pub struct QuotaRules {
    /// By address alone: before anybody is known.
    pub early: Box<[QuotaRule]>,
    /// By address, for each lookup.
    pub lookups: Box<[QuotaRule]>,
    /// When the caller is known.
    pub late: Box<[QuotaRule]>,
    /// What measures the time; `None` where there are no rules.
    pub clock: Option<Clock>,
    /// What is one owner of an address.
    pub widths: Widths,
    /// Whether the replicas reach each other; `None` where a rule that they share goes on without them.
    pub required_reach: Option<Arc<Reach>>,
}

/// A rule.
#[derive(Debug)]
pub struct QuotaRule {
    /// Whose requests are counted together.
    pub by: QuotaBy,
    /// The kinds of callers that it is for; empty for all.
    pub of: Box<[UserType]>,
    /// Which requests it is for; `None` for all.
    pub class: Option<QuotaClass>,
    /// Whether it refuses.
    pub is_enforced: bool,
    /// Its buckets, which outlive a reload that leaves its quota as it is.
    pub buckets: Arc<Buckets>,
}

/// Whose requests are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuotaBy {
    /// One user; guests by address.
    Identity,
    /// One consumer; others as by identity.
    Consumer,
    /// Everybody with a role; others as by context.
    Role,
    /// Every caller of a kind.
    Context,
    /// A network.
    Address,
}

/// Which requests a rule is for, besides those of the kind `lookup`.
#[derive(Debug, Clone)]
pub enum QuotaClass {
    /// Nobody has to be known.
    Anonymous,
    /// Methods that change nothing.
    Read,
    /// All other methods.
    Write,
    /// Certain routes.
    Routes(Arc<[RoutePattern]>),
}

/// The buckets of a rule, and its figures.
#[derive(Debug)]
pub struct Buckets {
    /// How clients hear of it.
    pub policy: Arc<Policy>,
    /// A bucket an owner.
    pub owners: Owners,
    admitted: Counter,
    refused: Counter,
    reported: Counter,
    outage: Counter,
    overflow: Counter,
}

/// What is asked of rules: whose request it is, and which.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) client: IpAddr,
    pub(super) caller: Caller,
    pub(super) request: Requested<'a>,
    pub(super) now: Tick,
}

/// Whose request it is, as far as that is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller {
    pub(super) user_type: UserType,
    pub(super) user_id: Option<u32>,
    pub(super) consumer_id: Option<u32>,
    pub(super) role_id: Option<u32>,
}

/// Which request it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Requested<'a> {
    pub(super) method: &'a str,
    /// The route's template, else the path as sent.
    pub(super) path: &'a str,
    pub(super) is_anonymous: bool,
}

/// What log and client are told of the limits.
#[derive(Debug, Clone, Default)]
pub struct LimitNotes {
    /// The limit that the caller is nearest to, of those that refuse.
    pub standing: Option<Standing>,
    /// The rule that the request was over, and what became of it.
    pub over: Option<(Arc<Policy>, Over)>,
}

/// What became of a request that a rule would not admit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// It was refused.
    Refused,
    /// It was let pass: the rule only reports.
    Reported,
    /// The rule must not go on alone, and the replicas cannot reach each other.
    Outage,
}

impl Over {
    /// The word for log lines and metric labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Reported => "reported",
            Self::Outage => "outage",
        }
    }
}

impl QuotaRules {
    /// The moment, where any rule wants to know.
    pub(super) fn tick(&self) -> Option<Tick> {
        self.clock.as_ref().map(Clock::tick)
    }

    /// Takes one request from each rule that it is under.
    ///
    /// # Errors
    /// [`Rejection::RateLimited`] by the first rule that has none left, [`Rejection::LimitsUnavailable`] where a shared rule must
    /// not go on alone.
    pub(super) fn charge(
        &self,
        rules: &[QuotaRule],
        asked: &Asked<'_>,
        notes: &mut LimitNotes,
    ) -> Result<(), Rejection> {
        let meant = || rules.iter().filter(|rule| rule.is_for(asked));
        // With one rule taking is looking.
        if rules.len() > 1 {
            for rule in meant().filter(|rule| rule.is_enforced) {
                if let Err(shortage) = rule.buckets.look(&self.keys(rule, asked), asked.now) {
                    return Err(rule.refuse(&shortage, notes));
                }
            }
        }
        meant().try_for_each(|rule| self.take(rule, asked, notes))
    }

    /// Tells how near a caller is to rules that took this request already.
    pub(super) fn look(&self, rules: &[QuotaRule], asked: &Asked<'_>, notes: &mut LimitNotes) {
        for rule in rules.iter().filter(|rule| rule.is_enforced && rule.is_for(asked)) {
            let (Ok(level) | Err(Shortage { level, .. })) =
                rule.buckets.look(&self.keys(rule, asked), asked.now);
            notes.nearer(&rule.buckets.policy, level);
        }
    }

    fn take(&self, rule: &QuotaRule, asked: &Asked<'_>, notes: &mut LimitNotes) -> Result<(), Rejection> {
        let buckets = &rule.buckets;
        if self.is_cut_off(buckets) {
            buckets.outage.inc();
            notes.over = Some((Arc::clone(&buckets.policy), Over::Outage));
            return if rule.is_enforced { Err(Rejection::LimitsUnavailable) } else { Ok(()) };
        }
        match buckets.take(&self.keys(rule, asked), asked.now) {
            Ok(level) => {
                buckets.admitted.inc();
                if rule.is_enforced {
                    notes.nearer(&buckets.policy, level);
                }
                Ok(())
            }
            Err(shortage) if rule.is_enforced => Err(rule.refuse(&shortage, notes)),
            Err(_shortage) => {
                buckets.reported.inc();
                notes.over = Some((Arc::clone(&buckets.policy), Over::Reported));
                Ok(())
            }
        }
    }

    fn is_cut_off(&self, buckets: &Buckets) -> bool {
        buckets.owners.is_shared() && self.required_reach.as_ref().is_some_and(|reach| !reach.is_up())
    }

    /// Whose buckets. A missing key is never no limit: a coarser one counts.
    fn keys(&self, rule: &QuotaRule, asked: &Asked<'_>) -> Keys {
        let Caller { user_type, user_id, consumer_id, role_id } = asked.caller;
        let identity = || user_id.map(|id| Keys::of(RateKey::identity(user_type, id)));
        let consumer = || consumer_id.map(|id| Keys::of(RateKey::consumer(id)));
        let role = || role_id.map(|id| Keys::of(RateKey::role(id)));
        let address = || Keys::address(asked.client, self.widths);
        let context = || Keys::of(RateKey::context(user_type));
        match rule.by {
            QuotaBy::Identity => identity().unwrap_or_else(address),
            QuotaBy::Consumer => consumer().or_else(identity).unwrap_or_else(address),
            QuotaBy::Role => role().unwrap_or_else(context),
            QuotaBy::Context => context(),
            QuotaBy::Address => address(),
        }
    }
}

impl QuotaRule {
    fn is_for(&self, asked: &Asked<'_>) -> bool {
        let of = self.of.is_empty() || self.of.contains(&asked.caller.user_type);
        of && self.class.as_ref().is_none_or(|class| class.holds(&asked.request))
    }

    fn refuse(&self, shortage: &Shortage, notes: &mut LimitNotes) -> Rejection {
        let policy = &self.buckets.policy;
        self.buckets.refused.inc();
        notes.standing = Some(Standing::new(policy, shortage.level));
        notes.over = Some((Arc::clone(policy), Over::Refused));
        Rejection::RateLimited { retry_after: shortage.wait.map_or(UNKNOWN_WAIT, whole_seconds).max(1) }
    }
}

impl QuotaClass {
    fn holds(&self, request: &Requested<'_>) -> bool {
        let is_read = matches!(request.method, "GET" | "HEAD" | "OPTIONS");
        match self {
            Self::Anonymous => request.is_anonymous,
            Self::Read => is_read,
            Self::Write => !is_read,
            Self::Routes(patterns) => {
                patterns.iter().any(|pattern| pattern.matches(request.method, request.path))
            }
        }
    }
}

impl Buckets {
    /// Full buckets.
    #[must_use]
    pub fn new(name: Arc<str>, quota: Quota, room: Room, is_shared: bool, metrics: &Metrics) -> Self {
        let counter =
            |outcome| metrics.limits.get_or_create(&LimitLabel { rule: name.to_string(), outcome }).clone();
        Self {
            owners: Owners::new(quota, room, is_shared),
            admitted: counter("admitted"),
            refused: counter(Over::Refused.as_str()),
            reported: counter(Over::Reported.as_str()),
            outage: counter(Over::Outage.as_str()),
            overflow: metrics.limit_overflow.clone(),
            policy: Arc::new(Policy::new(name, quota)),
        }
    }

    fn look(&self, keys: &Keys, now: Tick) -> Result<Level, Shortage> {
        self.owners.look(keys, now, ONE).level
    }

    fn take(&self, keys: &Keys, now: Tick) -> Result<Level, Shortage> {
        let answer = self.owners.take(keys, now, ONE);
        if answer.is_overflow {
            self.overflow.inc();
        }
        answer.level
    }
}

impl LimitNotes {
    /// Keeps the limit that has the least left.
    fn nearer(&mut self, policy: &Arc<Policy>, level: Level) {
        let is_nearer = self.standing.as_ref().is_none_or(|standing| level.remaining < standing.remaining);
        if is_nearer {
            self.standing = Some(Standing::new(policy, level));
        }
    }
}
