//! The way from a credential to its fact: the cache first, then one lookup however many wait.
//!
//! Hits are answered where they are asked, without waiting. A miss is handed to the store's own runtime, so that a slow
//! database never stalls a worker; concurrent misses of one credential share one lookup (`loader`). Lookups are bounded in
//! number and time, and while the store is silent a breaker answers in its place (`guarded`). A failed lookup is never
//! cached, and every one that waited for it hears of the failure.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::runtime::Handle;

use super::{
    breaker::BreakerState,
    cache::{Cached, Epoch, FactCache},
    error::StoreError,
    evidence::Evidence,
    flights::FlightBounds,
    grant::{CredentialKey, Fact},
    guarded::{Guarded, Unanswered},
    judge::Judge,
    loader::{Found, Loader},
    primitives::Machine,
    sessions::{Session, Sessions},
    settings::MagentoSettings,
    sql::SqlStore,
};
use crate::{auth::identity::UserType, metrics::LookupMetrics};

pub use super::lookup::{Lookup, LookupFailed, SessionOwner, SessionQuery};

/// `oauth_token.token` is 32 characters wide: a longer value cannot be a row, and costs no query.
pub const OPAQUE_MAX: usize = 32;

/// Requests that wait for lookups at a time: some ten megabytes of them.
const MAX_WAITING: usize = 65_536;

/// Bounds of the lookups, and where they are counted.
#[derive(Debug, Clone)]
pub struct LookupSettings {
    /// Limit for one lookup.
    pub timeout: Duration,
    /// Lookups under way at once.
    pub max_concurrent: usize,
    /// What came of them.
    pub metrics: LookupMetrics,
}

/// Facts of one process; cheap to clone.
#[derive(Debug, Clone)]
pub struct Facts(Arc<Inner>);

struct Inner {
    loader: Arc<Loader<Machine>>,
    cache: FactCache,
    guarded: Arc<Guarded>,
    store: SqlStore,
    sessions: Option<Arc<Sessions>>,
    judge: Judge,
    settings: LookupSettings,
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
        let loader = Loader::new(Arc::clone(&cache.memory), Epoch::default(), settings.bounds());
        Self(Arc::new(Inner {
            loader: Arc::new(loader),
            cache,
            guarded: Arc::new(Guarded::new(settings.timeout, settings.metrics.clone())),
            store,
            sessions: sessions.map(Arc::new),
            judge,
            settings,
            lookups: Arc::default(),
            runtime,
        }))
    }

    /// Facts from the same places by another judge. The cache is the same one, so that whoever invalidates reaches both; what
    /// the former judge said, or is about to say, is not believed.
    #[must_use]
    pub fn judged_anew(&self, judge: Judge) -> Self {
        let Inner { loader, cache, guarded, store, sessions, settings, runtime, lookups, .. } = &*self.0;
        Self(Arc::new(Inner {
            loader: Arc::new(loader.next(settings.bounds())),
            cache: cache.clone(),
            guarded: Arc::clone(guarded),
            lookups: Arc::clone(lookups),
            store: store.clone(),
            sessions: sessions.clone(),
            judge,
            settings: settings.clone(),
            runtime: runtime.clone(),
        }))
    }

    /// Asks the store nothing until [`Facts::trust`]: nobody has seen yet that it is the right one.
    pub fn distrust(&self) {
        self.0.guarded.distrust();
    }

    /// The store has been proven.
    pub fn trust(&self) {
        self.0.guarded.trust();
    }

    /// The store answered a question that was not a lookup: if it was silent before, the next lookup tries at once.
    pub fn heard(&self) {
        self.0.guarded.heard();
    }

    /// Whether the store has been proven.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        self.breaker() != BreakerState::Unproven
    }

    /// Whether the store is being asked.
    #[must_use]
    pub fn breaker(&self) -> BreakerState {
        self.0.guarded.state()
    }

    /// Brings the gauges up to date before they are shown.
    pub fn measure(&self) {
        let metrics = self.0.guarded.metrics();
        let (flights, waiting) = self.0.loader.under_way();
        let gauge = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        metrics.under_way.set(gauge(flights));
        metrics.waiting.set(gauge(waiting));
        metrics.breaker.set(match self.breaker() {
            BreakerState::Closed => 0,
            BreakerState::Probing => 1,
            BreakerState::Open => 2,
            BreakerState::Unproven => 3,
        });
    }

    /// What is known without asking anybody.
    #[must_use]
    pub fn cached(&self, key: &CredentialKey) -> Cached {
        self.0.loader.cached(key)
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

    /// Finds the fact about a credential: one store query however many ask at once.
    ///
    /// # Errors
    /// When the store cannot be asked and no proven fact may stand in for its answer.
    pub async fn resolve(&self, key: CredentialKey, lookup: Lookup) -> Result<Arc<Fact>, LookupFailed> {
        let inner = &self.0;
        let found = inner.loader.resolve(key, |flight| {
            let asking = Arc::clone(inner);
            let lookup = Arc::new(lookup);
            inner.runtime.spawn(flight.lead(lookup.keeping(), move || {
                let (asking, lookup) = (Arc::clone(&asking), Arc::clone(&lookup));
                async move { asking.ask_in_time(key, &lookup).await }
            }));
        });
        match found.await {
            Ok(Found::Proven(fact)) => Ok(fact),
            Ok(Found::Stale(fact)) => {
                inner.settings.metrics.stale.inc();
                Ok(fact)
            }
            Err(failed) => {
                if failed == LookupFailed::Overloaded {
                    inner.guarded.count(failed.word());
                    inner.guarded.tell(failed, &failed);
                }
                Err(failed)
            }
        }
    }
}

impl LookupSettings {
    const fn bounds(&self) -> FlightBounds {
        FlightBounds { flights: self.max_concurrent, waiting: MAX_WAITING }
    }
}

impl Inner {
    /// Counts what came of it; whoever waits learns no more than that there is no answer.
    async fn ask_in_time(
        &self,
        key: CredentialKey,
        lookup: &Lookup,
    ) -> Result<(Fact, Evidence), LookupFailed> {
        self.lookups.fetch_add(1, Ordering::Relaxed);
        let asked = self.ask_whom_may_know(key, lookup);
        let Ok(answer) = tokio::time::timeout(self.settings.timeout, asked).await else {
            let failed = LookupFailed::Timeout;
            self.guarded.count(failed.word());
            self.guarded.tell(failed, &failed);
            return Err(failed);
        };
        self.guarded.count(answer.as_ref().map_or_else(Unanswered::word, |_| "answered"));
        if let Err(Unanswered::Store(error)) = &answer {
            self.guarded.tell(LookupFailed::Unavailable, error);
        }
        answer.map_err(|_told| LookupFailed::Unavailable)
    }

    /// What ended must not begin again because a replica has not heard of it.
    async fn ask_whom_may_know(
        &self,
        key: CredentialKey,
        lookup: &Lookup,
    ) -> Result<(Fact, Evidence), Unanswered> {
        if !self.store.has_replica() {
            return self.ask(&self.store, lookup).await;
        }
        if !self.cache.was_disproven(&key) {
            let answer = self.ask(&self.store, lookup).await?;
            if !self.cache.is_contested(&answer.0) {
                return Ok(answer);
            }
        }
        self.ask(&self.store.without_replica(), lookup).await
    }

    async fn ask(&self, store: &SqlStore, lookup: &Lookup) -> Result<(Fact, Evidence), Unanswered> {
        match lookup {
            Lookup::Bearer(token) => self.ask_bearer(store, token.expose()).await,
            Lookup::Oauth { consumer_key, token } => {
                let token = token.expose();
                let rows = self.guarded.ask(store.oauth(consumer_key, token)).await?;
                let fact = Fact::Oauth(Box::new(self.judge.oauth(consumer_key, token, &rows)));
                Ok((fact, self.cache.prints.of_oauth(consumer_key, token, &rows)))
            }
            Lookup::Session(query) => self.ask_session(store, query).await,
        }
    }

    async fn ask_session(
        &self,
        store: &SqlStore,
        query: &SessionQuery,
    ) -> Result<(Fact, Evidence), Unanswered> {
        let Some(sessions) = &self.sessions else { return Ok(refused("sessions_off")) };
        let namespace = match &query.of {
            SessionOwner::Customer { namespace } => namespace.as_str(),
            SessionOwner::Admin => "",
        };
        let content = match sessions.read(&query.id, namespace).await.map_err(StoreError::from)? {
            Session::Content(content) => content,
            Session::Unknown => return Ok(refused("session_unknown")),
            Session::Unusable(reason) => return Ok(refused(reason)),
        };
        let prints = &self.cache.prints;
        match (&query.of, content.customer_id, content.admin) {
            (SessionOwner::Customer { .. }, Some(id), _) => {
                let row = self.guarded.ask(store.session_customer(id, content.visitor_id)).await?;
                let evidence = row.as_ref().map(|row| prints.of_session_customer(content.visitor_id, row));
                let fact = self.judge.session_customer(&query.id, &content, row.as_ref());
                Ok((fact, evidence.unwrap_or_default()))
            }
            (SessionOwner::Admin, _, Some(login)) => {
                let row = self.guarded.ask(store.session_admin(login.user_id, login.session_row)).await?;
                let evidence = row.as_ref().map(|row| prints.of_session_admin(login, row));
                let fact = self.judge.session_admin(&query.id, &content, row.as_ref());
                Ok((fact, evidence.unwrap_or_default()))
            }
            (SessionOwner::Customer { .. } | SessionOwner::Admin, _, _) => Ok(refused("session_of_nobody")),
        }
    }

    /// The opaque reader first, the JWT reader second (MAGENTO_FACTS 10).
    async fn ask_bearer(&self, store: &SqlStore, token: &[u8]) -> Result<(Fact, Evidence), Unanswered> {
        let prints = &self.cache.prints;
        if token.len() <= OPAQUE_MAX {
            let found = self.guarded.ask(store.token(token)).await?;
            let Some(row) = found else { return Ok(refused("token_unknown")) };
            return Ok((self.judge.opaque(token, &row), prints.of_token(token, &row)));
        }
        let claims = match self.judge.claims(token) {
            Ok(claims) => claims,
            Err(reason) => return Ok(refused(reason)),
        };
        let user = match claims.user_type {
            UserType::Admin | UserType::Customer => {
                self.guarded.ask(store.user(claims.user_type, claims.user_id)).await?
            }
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
