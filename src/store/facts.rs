//! The way from a credential to its fact: the cache first, then one lookup however many wait.
//!
//! Hits are answered where they are asked, without waiting. A miss is handed to the store's own runtime, so that a slow
//! database never stalls a worker; concurrent misses of one credential share one lookup. Lookups are bounded in number
//! and time. A failed lookup is never cached, and every one that waited for it hears of the failure.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use dashmap::{DashMap, Entry};
use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use tokio::{runtime::Handle, sync::Semaphore};

use super::{
    cache::{Cached, Epoch, FactCache, Keeping, Kept},
    error::StoreError,
    evidence::Evidence,
    grant::{CredentialKey, Fact},
    judge::Judge,
    sessions::{Session, Sessions},
    settings::MagentoSettings,
    sql::SqlStore,
};
use crate::auth::{identity::UserType, secret::Secret, session::SessionId};

/// `oauth_token.token` is 32 characters wide: a longer value cannot be a row, and costs no query.
pub const OPAQUE_MAX: usize = 32;

/// How often one lookup asks, where what it asks about changes each time.
const MAX_ASKED: u32 = 3;

/// A credential to look up.
#[derive(Debug)]
pub enum Lookup {
    /// A bearer value, opaque or JWT.
    Bearer(Secret<Vec<u8>>),
    /// A consumer key and token, 32 bytes each.
    Oauth {
        /// `oauth_consumer_key`.
        consumer_key: Vec<u8>,
        /// `oauth_token`.
        token: Secret<Vec<u8>>,
    },
    /// A session, asked for one of the callers that it may hold.
    Session(Box<SessionQuery>),
}

/// A session and whom it is asked for.
#[derive(Debug)]
pub struct SessionQuery {
    /// The id.
    pub id: SessionId,
    /// Whom.
    pub of: SessionOwner,
}

/// A caller that a session may hold.
#[derive(Debug)]
pub enum SessionOwner {
    /// The customer in this namespace.
    Customer {
        /// `customer_<website code>`, or `customer`.
        namespace: String,
    },
    /// The admin.
    Admin,
}

/// No fact could be had: nobody can say who the caller is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LookupFailed {
    /// The store did not answer, or answered nonsense.
    #[error("the store cannot be asked")]
    Unavailable,
    /// The store did not answer in time.
    #[error("the store did not answer in time")]
    Timeout,
    /// Too many lookups are under way.
    #[error("too many lookups are under way")]
    Overloaded,
}

type Flight = Shared<BoxFuture<'static, Result<Arc<Fact>, LookupFailed>>>;

/// Bounds of the lookups.
#[derive(Debug, Clone)]
pub struct LookupSettings {
    /// Limit for one lookup.
    pub timeout: Duration,
    /// Lookups under way at once.
    pub max_concurrent: usize,
}

/// Facts of one process; cheap to clone.
#[derive(Debug, Clone)]
pub struct Facts(Arc<Inner>);

struct Inner {
    cache: Arc<FactCache>,
    epoch: Epoch,
    store: SqlStore,
    sessions: Option<Arc<Sessions>>,
    judge: Judge,
    settings: LookupSettings,
    permits: Semaphore,
    flights: DashMap<CredentialKey, Flight>,
    lookups: Arc<AtomicU64>,
    runtime: Handle,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Facts").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Facts {
    /// Facts from `store` and from where sessions are kept, if they count; looked up on `runtime`.
    #[must_use]
    pub fn new(
        (store, sessions): (SqlStore, Option<Sessions>),
        judge: Judge,
        cache: FactCache,
        lookups: (LookupSettings, Handle),
    ) -> Self {
        let (settings, runtime) = lookups;
        let permits = Semaphore::new(settings.max_concurrent);
        Self(Arc::new(Inner {
            cache: Arc::new(cache),
            epoch: Epoch::default(),
            store,
            sessions: sessions.map(Arc::new),
            judge,
            settings,
            permits,
            flights: DashMap::new(),
            lookups: Arc::default(),
            runtime,
        }))
    }

    /// Facts from the same places by another judge. The cache is the same one, so that whoever invalidates reaches both; what
    /// the former judge said, or is about to say, is not believed.
    #[must_use]
    pub fn judged_anew(&self, judge: Judge) -> Self {
        let Inner { cache, epoch, store, sessions, settings, runtime, lookups, .. } = &*self.0;
        Self(Arc::new(Inner {
            cache: Arc::clone(cache),
            epoch: epoch.next(),
            lookups: Arc::clone(lookups),
            store: store.clone(),
            sessions: sessions.clone(),
            judge,
            settings: settings.clone(),
            permits: Semaphore::new(settings.max_concurrent),
            flights: DashMap::new(),
            runtime: runtime.clone(),
        }))
    }

    /// What is known without asking anybody.
    #[must_use]
    pub fn cached(&self, key: &CredentialKey) -> Cached {
        self.0.cache.get(key, self.0.epoch)
    }

    /// The cache, for invalidation and for its figures.
    #[must_use]
    pub fn cache(&self) -> &FactCache {
        &self.0.cache
    }

    /// Lookups that went to the store.
    #[must_use]
    pub fn lookups(&self) -> u64 {
        self.0.lookups.load(Ordering::Relaxed)
    }

    /// The settings by which facts are judged.
    #[must_use]
    pub fn settings(&self) -> &MagentoSettings {
        &self.0.judge.settings
    }

    /// The store behind the facts.
    #[must_use]
    pub fn store(&self) -> &SqlStore {
        &self.0.store
    }

    /// Who judges the store's rows.
    #[must_use]
    pub fn judge(&self) -> &Judge {
        &self.0.judge
    }

    /// Finds the fact about a credential: one store query however many ask.
    ///
    /// # Errors
    /// When the store cannot be asked and no proven fact may stand in for its answer.
    pub async fn resolve(&self, key: CredentialKey, lookup: Lookup) -> Result<Arc<Fact>, LookupFailed> {
        if let Cached::Fresh(fact) = self.0.cache.get(&key, self.0.epoch) {
            return Ok(fact);
        }
        let answer = self.flight(key, lookup).await;
        // Only now: what was proven when the lookup began may have been revoked since.
        match (answer, self.0.cache.get(&key, self.0.epoch)) {
            (Err(_), Cached::Fresh(proven) | Cached::Stale(proven)) => Ok(proven),
            (answer, _) => answer,
        }
    }

    fn flight(&self, key: CredentialKey, lookup: Lookup) -> Flight {
        match self.0.flights.entry(key) {
            Entry::Occupied(under_way) => under_way.get().clone(),
            Entry::Vacant(vacant) => {
                let inner = Arc::clone(&self.0);
                let task = self.0.runtime.spawn(async move { inner.look_up(key, lookup).await });
                let flight: Flight =
                    async move { task.await.unwrap_or(Err(LookupFailed::Unavailable)) }.boxed().shared();
                vacant.insert(flight.clone());
                flight
            }
        }
    }
}

impl Inner {
    async fn look_up(&self, key: CredentialKey, lookup: Lookup) -> Result<Arc<Fact>, LookupFailed> {
        // Ends the flight also when this task panics: later misses must not wait for it.
        let _landing = Landing { inner: self, key };
        let Ok(_permit) = self.permits.try_acquire() else {
            return Err(LookupFailed::Overloaded);
        };
        let mut asked = 0;
        loop {
            asked += 1;
            self.lookups.fetch_add(1, Ordering::Relaxed);
            let generation = self.cache.generation();
            let (fact, evidence) = self.ask_in_time(key, &lookup).await?;
            let fact = Arc::new(fact);
            // Whoever joined after a revocation must not be let in by what was read before it.
            if self.cache.believes(&fact, generation) {
                let (keeping, epoch) = (lookup.keeping(), self.epoch);
                self.cache.put(key, Arc::clone(&fact), Kept { keeping, generation, epoch, evidence });
                return Ok(fact);
            }
            if asked == MAX_ASKED {
                return Err(LookupFailed::Unavailable);
            }
        }
    }

    async fn ask_in_time(
        &self,
        key: CredentialKey,
        lookup: &Lookup,
    ) -> Result<(Fact, Evidence), LookupFailed> {
        // What was disproven must not be proven again by a replica that has not heard of it.
        let is_contested = self.cache.is_contested(&key);
        let store = if is_contested { self.store.without_replica() } else { self.store.clone() };
        let asked = self.ask(&store, lookup);
        let Ok(answer) = tokio::time::timeout(self.settings.timeout, asked).await else {
            tracing::warn!(timeout_ms = self.settings.timeout.as_millis(), "store lookup timed out");
            return Err(LookupFailed::Timeout);
        };
        answer.map_err(|error| {
            tracing::warn!(error = %error, "store lookup failed");
            LookupFailed::Unavailable
        })
    }

    async fn ask(&self, store: &SqlStore, lookup: &Lookup) -> Result<(Fact, Evidence), StoreError> {
        let (fact, evidence) = match lookup {
            Lookup::Bearer(token) => self.ask_bearer(store, token.expose()).await?,
            Lookup::Oauth { consumer_key, token } => {
                let token = token.expose();
                let rows = store.oauth(consumer_key, token).await?;
                let fact = Fact::Oauth(self.judge.oauth(consumer_key, token, &rows));
                (fact, self.cache.prints.of_oauth(consumer_key, token, &rows))
            }
            Lookup::Session(query) => self.ask_session(store, query).await?,
        };
        Ok((fact, evidence))
    }

    async fn ask_session(
        &self,
        store: &SqlStore,
        query: &SessionQuery,
    ) -> Result<(Fact, Evidence), StoreError> {
        let Some(sessions) = &self.sessions else { return Ok(refused("sessions_off")) };
        let namespace = match &query.of {
            SessionOwner::Customer { namespace } => namespace.as_str(),
            SessionOwner::Admin => "",
        };
        let content = match sessions.read(&query.id, namespace).await? {
            Session::Content(content) => content,
            Session::Unknown => return Ok(refused("session_unknown")),
            Session::Unusable(reason) => return Ok(refused(reason)),
        };
        let prints = &self.cache.prints;
        match (&query.of, content.customer_id, content.admin) {
            (SessionOwner::Customer { .. }, Some(id), _) => {
                let row = store.session_customer(id, content.visitor_id).await?;
                let evidence = row.as_ref().map(|row| prints.of_session_customer(content.visitor_id, row));
                let fact = self.judge.session_customer(&query.id, &content, row.as_ref());
                Ok((fact, evidence.unwrap_or_default()))
            }
            (SessionOwner::Admin, _, Some(login)) => {
                let row = store.session_admin(login.user_id, login.session_row).await?;
                let evidence = row.as_ref().map(|row| prints.of_session_admin(login, row));
                let fact = self.judge.session_admin(&query.id, &content, row.as_ref());
                Ok((fact, evidence.unwrap_or_default()))
            }
            (SessionOwner::Customer { .. } | SessionOwner::Admin, _, _) => Ok(refused("session_of_nobody")),
        }
    }

    /// The opaque reader first, the JWT reader second (MAGENTO_FACTS 10).
    async fn ask_bearer(&self, store: &SqlStore, token: &[u8]) -> Result<(Fact, Evidence), StoreError> {
        let prints = &self.cache.prints;
        if token.len() <= OPAQUE_MAX {
            let Some(row) = store.token(token).await? else { return Ok(refused("token_unknown")) };
            return Ok((self.judge.opaque(token, &row), prints.of_token(token, &row)));
        }
        let claims = match self.judge.claims(token) {
            Ok(claims) => claims,
            Err(reason) => return Ok(refused(reason)),
        };
        let user = match claims.user_type {
            UserType::Admin | UserType::Customer => store.user(claims.user_type, claims.user_id).await?,
            UserType::Integration | UserType::Guest => None,
        };
        let evidence = user.as_ref().map(|user| prints.of_user(claims.user_type, user));
        Ok((self.judge.jwt(token, &claims, user.as_ref()), evidence.unwrap_or_default()))
    }
}

/// Nobody is let in, and nothing was read that could change.
fn refused(reason: &'static str) -> (Fact, Evidence) {
    (Fact::Refused(reason), Evidence::default())
}

impl Lookup {
    const fn keeping(&self) -> Keeping {
        match self {
            Self::Bearer(_) | Self::Oauth { .. } => Keeping::Credential,
            Self::Session(_) => Keeping::Session,
        }
    }
}

struct Landing<'a> {
    inner: &'a Inner,
    key: CredentialKey,
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        self.inner.flights.remove(&self.key);
    }
}
