//! Facts kept between requests.
//!
//! Bounded in entries; positive and negative facts have bounds of their own, so that a flood of random tokens cannot push
//! out a shop's customers. A fact is fresh for `ttl` (less up to a tenth, so that entries filled together do not expire
//! together) and, if it lets somebody in, usable for `max_stale` more while the store cannot be asked. It never outlives
//! its credential: whoever uses a grant compares its expiry with the time of the request.

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use super::{
    evidence::{Evidence, Prints},
    generations::{Generation, Generations, Subject},
    grant::{CredentialKey, Fact},
    invalidations::Announcer,
    primitives::{Machine, Primitives, Shelf as _},
    sql::Changed,
};
use crate::auth::identity::UserContext;

/// How long a lookup of a credential whose rows differed goes to where is written; no replica may lag for longer.
const CONTESTED: Duration = Duration::from_secs(300);

/// Bounds and lifetimes of the cache.
#[derive(Debug, Clone)]
pub struct CacheSettings {
    /// Facts that let somebody in.
    pub entries: u64,
    /// How long such a fact is believed without asking again.
    pub ttl: Duration,
    /// Facts that let nobody in.
    pub negative_entries: u64,
    /// How long such a fact is believed.
    pub negative_ttl: Duration,
    /// How long a fact about a session is believed, whichever it is; zero asks every time.
    pub session_ttl: Duration,
    /// How much longer a positive fact serves while the store is down.
    pub max_stale: Duration,
}

/// Whose lifetime a fact has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeping {
    /// A token's or a signature's.
    Credential,
    /// A session's: PHP ends one without telling anybody.
    Session,
}

/// Which judge said it: facts of another one are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Epoch(u64);

impl Epoch {
    /// The epoch of the judge who follows.
    pub(super) const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// A fact that somebody wants kept, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept {
    pub(super) keeping: Keeping,
    /// The number that held when the lookup began.
    pub(super) generation: Generation,
    pub(super) epoch: Epoch,
    pub(super) evidence: Evidence,
}

/// A fact and when it was learnt.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    fact: Arc<Fact>,
    evidence: Evidence,
    epoch: Epoch,
    fresh_until: Instant,
    /// The end of its use in an outage, which for a session comes before the cache drops it.
    usable_until: Instant,
    generation: Generation,
}

/// What the cache knows of a credential.
#[derive(Debug, Clone)]
pub enum Cached {
    /// Believed without asking.
    Fresh(Arc<Fact>),
    /// Usable only if the store cannot be asked.
    Stale(Arc<Fact>),
    /// Nothing.
    Missing,
}

/// A fact that lets somebody in, to be compared with what it was built from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Proven {
    pub(super) key: CredentialKey,
    pub(super) subject: Option<Subject>,
    pub(super) evidence: Evidence,
}

/// The facts of one process, shared by all workers; cheap to clone.
#[derive(Debug, Clone)]
pub struct FactCache {
    pub(super) memory: Arc<Memory<Machine>>,
    pub(super) prints: Arc<Prints>,
    /// Whom something happened to a while ago: a replica may not know yet.
    contested: moka::sync::Cache<Subject, ()>,
    /// Credentials whose rows differed, whoever they are of.
    disproven: moka::sync::Cache<CredentialKey, ()>,
    announcer: Arc<OnceLock<Announcer>>,
}

impl FactCache {
    /// An empty cache.
    #[must_use]
    pub fn new(settings: CacheSettings) -> Self {
        let positive = moka::sync::Cache::builder()
            .max_capacity(settings.entries)
            .time_to_live(settings.ttl + settings.max_stale)
            .build();
        let negative = moka::sync::Cache::builder()
            .max_capacity(settings.negative_entries)
            .time_to_live(settings.negative_ttl)
            .build();
        let contested =
            moka::sync::Cache::builder().max_capacity(settings.entries).time_to_live(CONTESTED).build();
        let disproven =
            moka::sync::Cache::builder().max_capacity(settings.entries).time_to_live(CONTESTED).build();
        let memory = Arc::new(Memory { settings, positive, negative, generations: Generations::default() });
        Self { memory, prints: Arc::default(), contested, disproven, announcer: Arc::default() }
    }

    /// Has the changes of this process told to other replicas from now on.
    pub fn announce_to(&self, announcer: Announcer) {
        // A process has one.
        let _ = self.announcer.set(announcer);
    }

    /// Drops every fact about somebody, and every lookup about them that is under way, because this process changed
    /// something; other replicas are told.
    pub fn invalidate(&self, subject: Subject) {
        self.invalidate_here(subject);
        self.announce(Changed::Subject(subject));
    }

    /// Drops the same because of what others changed, which they told everybody.
    pub fn invalidate_here(&self, subject: Subject) {
        self.contested.insert(subject, ());
        self.memory.generations.invalidate(subject);
    }

    /// Tells other replicas of a change that this process made.
    pub fn announce(&self, change: Changed) {
        if let Some(announcer) = self.announcer.get() {
            announcer.announce(change);
        }
    }

    /// Facts that let somebody in: every one that is there now, and perhaps some that come meanwhile.
    pub(super) fn proven(&self) -> impl Iterator<Item = Proven> + Send {
        let memory = &self.memory;
        memory.positive.iter().filter(|(_, entry)| memory.holds(entry)).map(|(key, entry)| Proven {
            key: *key,
            subject: entry.fact.grant().and_then(|grant| subject(&grant.context)),
            evidence: entry.evidence,
        })
    }

    /// Drops a fact whose rows differ from what it was built from, and every other about the same subject.
    pub(super) fn disprove(&self, proven: &Proven) {
        self.disproven.insert(proven.key, ());
        self.memory.positive.clear(&proven.key);
        // Other replicas compare for themselves.
        if let Some(subject) = proven.subject {
            self.invalidate_here(subject);
        }
    }

    /// Whether the rows of a credential differed a while ago.
    pub(super) fn was_disproven(&self, key: &CredentialKey) -> bool {
        self.disproven.contains_key(key)
    }

    /// Whether something happened a while ago to whom a fact lets in.
    pub(super) fn is_contested(&self, fact: &Fact) -> bool {
        let subject = fact.grant().and_then(|grant| subject(&grant.context));
        subject.is_some_and(|subject| self.contested.contains_key(&subject))
    }

    /// Drops every fact, and every lookup that is under way: the rules they were judged by have changed.
    pub fn invalidate_everyone(&self) {
        self.memory.generations.invalidate_everyone();
    }

    /// Facts kept, approximately: positive and negative.
    #[must_use]
    pub fn len(&self) -> (u64, u64) {
        (self.memory.positive.entry_count(), self.memory.negative.entry_count())
    }
}

/// Facts and what ended them, on any primitives.
#[derive(Debug)]
pub(super) struct Memory<P: Primitives> {
    pub(super) settings: CacheSettings,
    pub(super) positive: P::Shelf,
    pub(super) negative: P::Shelf,
    pub(super) generations: Generations<P::Number>,
}

impl<P: Primitives> Memory<P> {
    /// What the judge of this epoch said of a credential.
    pub(super) fn get(&self, key: &CredentialKey, epoch: Epoch) -> Cached {
        if let Some(entry) = self.positive.find(key).filter(|entry| entry.epoch == epoch) {
            if !self.holds(&entry) {
                return Cached::Missing;
            }
            let now = Instant::now();
            return match entry.fact {
                fact if now < entry.fresh_until => Cached::Fresh(fact),
                fact if now < entry.usable_until => Cached::Stale(fact),
                _ => Cached::Missing,
            };
        }
        match self.negative.find(key) {
            Some(entry)
                if entry.epoch == epoch && self.holds(&entry) && Instant::now() < entry.fresh_until =>
            {
                Cached::Fresh(entry.fact)
            }
            Some(_) | None => Cached::Missing,
        }
    }

    /// The number that a lookup must note before it begins.
    pub(super) fn generation(&self) -> Generation {
        self.generations.current()
    }

    /// Keeps what the judge of this epoch said, whose lookup began at `generation`.
    pub(super) fn put(&self, key: CredentialKey, fact: Arc<Fact>, kept: Kept) {
        let Kept { keeping, generation, epoch, evidence } = kept;
        let CacheSettings { ttl, negative_ttl, session_ttl, max_stale, .. } = self.settings;
        let is_positive = fact.is_positive();
        let ttl = match (is_positive, keeping) {
            (true, Keeping::Credential) => jittered(ttl, &key),
            (false, Keeping::Credential) => negative_ttl,
            (true, Keeping::Session) => jittered(session_ttl, &key),
            (false, Keeping::Session) => negative_ttl.min(session_ttl),
        };
        let fresh_until = Instant::now() + ttl;
        let usable_until = fresh_until + max_stale;
        let entry = Entry { fact, evidence, fresh_until, usable_until, generation, epoch };
        if is_positive {
            self.positive.place(key, entry);
        } else {
            // A credential that just died must not be answered by its older, friendlier fact.
            self.positive.clear(&key);
            self.negative.place(key, entry);
        }
    }

    fn holds(&self, entry: &Entry) -> bool {
        self.believes(&entry.fact, entry.generation)
    }

    /// Whether nothing happened to the subject of a fact since the lookup that began at `generation`.
    pub(super) fn believes(&self, fact: &Fact, generation: Generation) -> bool {
        let subject = fact.grant().and_then(|grant| subject(&grant.context));
        self.generations.holds_for_everyone(generation)
            && subject.is_none_or(|subject| self.generations.holds(subject, generation))
    }
}

/// Whose change kills a fact about this caller.
const fn subject(context: &UserContext) -> Option<Subject> {
    match context {
        UserContext::Guest => None,
        UserContext::Customer(customer) => Some(Subject::Customer(customer.id)),
        UserContext::Admin { id } => Some(Subject::Admin(*id)),
        UserContext::Integration(integration) => Some(Subject::Consumer(integration.consumer_id)),
    }
}

/// Up to a tenth less than `ttl`, decided by the key: no randomness needed, and entries still spread.
fn jittered(ttl: Duration, key: &CredentialKey) -> Duration {
    ttl - ttl / 10 * u32::from(key.first_byte()) / 256
}
