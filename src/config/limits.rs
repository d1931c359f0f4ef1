//! `[limits]`: how often who may ask.

use std::{collections::HashSet, time::Duration};

use super::{
    finding::shown,
    lenient::Words,
    limit_rule::{LimitBy, LimitClass, LimitMode, LimitRule, RouteClass},
    raw::RawLimits,
    redis::Redis,
    report::Report,
};
use crate::auth::identity::UserType;

/// The most rules: a request looks at each.
const MOST_RULES: usize = 32;

const RULE: &str = "limits.rule";
const CLASS: &str = "limits.class";

/// How often who may ask.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The rules, in the order in which they are asked.
    pub rules: Vec<LimitRule>,
    /// Routes that rules name.
    pub classes: Vec<RouteClass>,
    /// Whether any rule refuses.
    pub mode: LimitMode,
    /// What clients are told.
    pub headers: LimitHeaders,
    /// How many leading bits of an IPv4 address are one owner.
    pub ipv4_prefix: u8,
    /// How many leading bits of an IPv6 address are one owner.
    pub ipv6_prefix: u8,
    /// The owners that each rule has room for.
    pub max_keys: usize,
    /// Whether replicas share.
    pub store: LimitStore,
    /// How often they tell each other.
    pub sync: Duration,
    /// What a shared rule does while they cannot.
    pub on_outage: OnOutage,
}

/// What clients are told of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitHeaders {
    /// `RateLimit` and `RateLimit-Policy`.
    Draft,
    /// Those, and `X-RateLimit-Limit`, `-Remaining` and `-Reset`.
    Both,
    /// Nothing but `Retry-After` where a request is refused.
    Off,
}

/// Where buckets are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitStore {
    /// In this process.
    Local,
    /// In this process, and told to the other replicas through Redis.
    Redis,
}

/// What a shared rule does while the replicas cannot reach each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnOutage {
    /// Each replica goes on limiting alone.
    Local,
    /// Requests of the rule are refused with 503.
    Refuse,
}

impl Words for LimitHeaders {
    const WORDS: &'static [(&'static str, Self)] =
        &[("draft", Self::Draft), ("both", Self::Both), ("off", Self::Off)];
}

impl Words for LimitStore {
    const WORDS: &'static [(&'static str, Self)] = &[("local", Self::Local), ("redis", Self::Redis)];
}

impl Words for OnOutage {
    const WORDS: &'static [(&'static str, Self)] = &[("local", Self::Local), ("refuse", Self::Refuse)];
}

impl Limits {
    pub(super) fn parse(raw: RawLimits, redis: Option<&Redis>, report: &mut Report) -> Self {
        let RawLimits {
            mode,
            headers,
            ipv4_prefix,
            ipv6_prefix,
            max_keys,
            store,
            sync,
            on_outage,
            class,
            rule,
        } = raw;
        let bits = |bits: usize| u8::try_from(bits).unwrap_or(u8::MAX);
        let limits = Self {
            mode: report.take("limits.mode", mode, LimitMode::Enforce),
            headers: report.take("limits.headers", headers, LimitHeaders::Draft),
            ipv4_prefix: bits(report.take_within("limits.ipv4_prefix", ipv4_prefix, 32, 1..=32)),
            ipv6_prefix: bits(report.take_within("limits.ipv6_prefix", ipv6_prefix, 64, 20..=64)),
            max_keys: report.take_within("limits.max_keys", max_keys, 65_536, 64..=4_194_304),
            store: report.take("limits.store", store, LimitStore::Local),
            sync: report.take_within(
                "limits.sync",
                sync,
                Duration::from_millis(100),
                Duration::from_millis(10)..=Duration::from_mins(1),
            ),
            on_outage: report.take("limits.on_outage", on_outage, OnOutage::Local),
            classes: report.take(CLASS, class, Vec::new()),
            rules: report.take(RULE, rule, Vec::new()),
        };
        limits.check(report);
        let is_told =
            ["redis.url", "redis.nodes", "redis.sentinel_master"].iter().any(|key| report.is_wrong(key));
        if limits.store == LimitStore::Redis && redis.is_none() && !is_told {
            report.error("limits.store", "\"redis\" needs one; write redis.url");
        }
        limits
    }

    fn check(&self, report: &mut Report) {
        if let Some(name) = repeated(self.rules.iter().map(|rule| &*rule.name)) {
            report.error(RULE, format!("two rules are named \"{}\"; rename one", shown(name)));
        }
        if let Some(name) = repeated(self.classes.iter().map(|class| class.name.as_str())) {
            report.error(CLASS, format!("two classes are named \"{}\"; rename one", shown(name)));
        }
        if self.rules.len() > MOST_RULES {
            report.error(RULE, format!("has more than {MOST_RULES} rules"));
        }
        for rule in &self.rules {
            self.check_rule(rule, report);
        }
        if self.mode == LimitMode::Report && !self.rules.is_empty() {
            report.warn("limits.mode", "requests over the limits are counted and logged, and not refused");
        }
    }

    fn check_rule(&self, rule: &LimitRule, report: &mut Report) {
        let name = &rule.name;
        if let Some(LimitClass::Named(class)) = &rule.class
            && !report.is_wrong(CLASS)
            && !self.classes.iter().any(|known| known.name == *class)
        {
            let known = "write [[limits.class]], or one of anonymous, read, write, lookup";
            report.error(RULE, format!("rule \"{name}\": no class is named \"{}\"; {known}", shown(class)));
        }
        if rule.by == LimitBy::Consumer && rule.of != [UserType::Integration] {
            let way_out = "write of = [\"integration\"] if that is not meant";
            report.warn(
                RULE,
                format!("rule \"{name}\": callers without a consumer count by identity; {way_out}"),
            );
        }
    }
}

fn repeated<'a>(names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut seen = HashSet::new();
    names.into_iter().find(|name| !seen.insert(*name))
}
