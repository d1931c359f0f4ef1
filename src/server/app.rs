//! A gate that is ready to run.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
};
use tracing_appender::non_blocking::WorkerGuard;

use super::{
    chores::Chores,
    configured, endpoints,
    error::BuildError,
    handed::Handed,
    jobs::{examine_audit, open_audit},
    limits::LimitKeeper,
    listener,
    observe::{self, Observers},
    opened::Opened,
    proof::Proof,
    reload::{Kept, Reloader},
    replicas::Replica,
    shared,
    standing::Standing,
    steadiness::ClockWatch,
    store_watch::StoreWatch,
    tls::TlsHome,
    upstream,
    wire::{self, Files},
};
use crate::{
    admin::AdminState,
    clock::Clock,
    config::{self, Config},
    logging,
    metrics::Metrics,
    proxy::{
        access_log::AccessLog,
        engine::{Backlog, FormBudget, Shared},
        replays::ReplayWatch,
        reserved::{BadPrefix, HeaderNames},
    },
    service::{audit::Audit, integration::IntegrationService},
    store::{
        facts::Facts,
        nonces::{NonceStore, Nonces, Recovery},
        redis::Link,
        reference::Reference,
        settings::InForce,
        sql::SqlStore,
    },
};

/// A gate with its listeners bound and its store open.
#[derive(Debug)]
pub struct App {
    pub(super) proxy_address: SocketAddr,
    pub(super) admin_address: SocketAddr,
    pub(super) listeners: (Vec<std::net::TcpListener>, Backlog),
    pub(super) admin_listener: TcpListener,
    pub(super) admin: AdminState,
    pub(super) tls: TlsHome,
    pub(super) accepts: Arc<AtomicBool>,
    pub(super) chores: Chores,
    pub(super) replica: Option<Replica>,
    pub(super) reloader: Reloader,
    /// Flushes the access log when the gate is gone.
    pub(super) _log_guard: Option<WorkerGuard>,
}

impl App {
    /// Reads what the configuration points to and binds its listeners. Store lookups, chores and the operator's
    /// listener will live on the current runtime. A store that is silent is waited for while the gate runs.
    ///
    /// # Errors
    /// Whatever would keep the gate from serving, by the setting that names it.
    pub async fn build(config: Config, clock: Clock) -> Result<Self, BuildError> {
        Self::build_on(Handed::default(), config, clock).await
    }

    /// The same, on listeners that were handed over.
    ///
    /// # Errors
    /// As [`App::build`].
    pub async fn build_on(handed: Handed, config: Config, clock: Clock) -> Result<Self, BuildError> {
        let (files, names) = (Files::read(&config)?, HeaderNames::with_prefix(&config.headers.prefix)?);
        let tls = TlsHome::open(&config, clock.now())?;
        // This and the proof are as large as a login to each kind of server: on the heap they are not moved with everything else here.
        let opening = Box::pin(Opened::begin(&config, &files.tree));
        let (Opened { store, judge, reference }, silence) = opening.await?;
        let metrics = Arc::new(Metrics::new());
        let link = shared::link(&config, &metrics)?;
        let nonces = open_nonces(&config, &clock, (link.as_ref(), &metrics))?;
        let audit = open_audit(&config, &clock, &metrics)?;
        let facts = wire::facts(&config, store.clone(), judge, &metrics.lookup)?;
        facts.distrust();
        let (lines, log_guard) = access_log(&config)?;
        let upstream = upstream::fleet(&config, &metrics, None)?;

        let (listeners, proxy_address) = listener::open_proxy(&config, handed.proxy)?;
        let (admin_listener, admin_address) = listener::open_admin(&config, handed.admin)?;
        let watch = StoreWatch::new(&store, facts.clone(), &metrics, &config.cache);
        let measure = measure(&metrics, &facts, (&nonces, watch.clone(), audit.clone()), &lines);
        let measure = measure_tls(measure, &metrics, (&tls, &clock));
        let limits = (LimitKeeper::new(&config, link.as_ref(), &metrics, &clock), config.limits.sync);
        let observers = Observers::open(&config, &metrics)?;
        let kept = kept(&config, &clock, (&nonces, &metrics, &audit), ((lines, &observers), &limits.0, &tls));
        let desks = kept.desks(&config, &facts)?;
        let (accepts, standing) = (Arc::new(AtomicBool::new(true)), Standing::default());
        let clock_watch = clock_watch(&config, &clock, &metrics, &standing);
        let (refresh_interval, jobs) = (wire::refresh_interval(&config), config.jobs.clone());
        let reloader = Reloader::new(config, kept, (files, names), (facts, reference, desks), upstream);
        let rules = reloader.rules();
        let replica = link.map(|link| shared::replica(link, &metrics, &clock, (&rules, watch.poll())));
        let admin =
            admin_state(and_upstream(measure, rules.clone()), &metrics, &rules, (&accepts, &standing));
        let proof = Box::pin(Proof::begin(reloader.clone(), standing, silence)).await?;
        let chores = Chores {
            store,
            rules,
            jobs,
            audit,
            nonces,
            metrics,
            clock,
            refresh_interval,
            watch,
            proof,
            clock_watch,
            limits,
            observers,
        };
        Ok(Self {
            proxy_address,
            admin_address,
            listeners,
            admin_listener,
            admin,
            tls,
            accepts,
            chores,
            replica,
            reloader,
            _log_guard: log_guard,
        })
    }

    /// Reads what the configuration points to, and leaves everything as it is; answers the settings in force that Magento
    /// has too.
    ///
    /// # Errors
    /// As [`App::build`], except for listeners and the nonce journal, which a running gate holds.
    pub async fn examine(config: &Config) -> Result<InForce, BuildError> {
        TlsHome::open(config, Clock::system().now())?;
        configured::examine(config, &Files::read(config)?.tree)?;
        let settings = wire::settings(config);
        let judge = wire::judge(config, &settings)?;
        wire::sessions(config)?;
        upstream::settings(config)?;
        observe::settings(config)?;
        let store = wire::open_store(config, &judge.encryptor).await?;
        let in_force = settings.examine(&store).await?;
        store.reference().await?;
        HeaderNames::with_prefix(&config.headers.prefix)?;
        examine_audit(config)?;
        store.close().await;
        Ok(in_force)
    }

    /// Where clients connect.
    #[must_use]
    pub const fn proxy_address(&self) -> SocketAddr {
        self.proxy_address
    }

    /// Where operators connect.
    #[must_use]
    pub const fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// What requests are served by, the decisions in it.
    #[must_use]
    pub fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.chores.rules.borrow())
    }

    /// What takes up a changed configuration while the gate runs.
    #[must_use]
    pub const fn reloader(&self) -> &Reloader {
        &self.reloader
    }

    /// What changes integrations, so that this gate knows of it at once.
    pub async fn integrations(&self) -> IntegrationService {
        self.reloader.integrations().await
    }

    /// The store that the gate reads.
    #[must_use]
    pub const fn store(&self) -> &SqlStore {
        &self.chores.store
    }
}

impl From<BadPrefix> for BuildError {
    fn from(error: BadPrefix) -> Self {
        Self::System(std::io::Error::other(error))
    }
}

/// The nonces, where the configuration has them.
fn open_nonces(
    config: &Config,
    clock: &Clock,
    (link, metrics): (Option<&Link>, &Metrics),
) -> Result<Nonces, BuildError> {
    if let Some(shared) = shared::nonces(config, link, metrics)? {
        return Ok(Nonces::Shared(shared));
    }
    let nonces = NonceStore::open(wire::nonces(config), clock.now())?;
    report_recovery(config, nonces.recovery());
    Ok(Nonces::Own(Arc::new(nonces)))
}

fn access_log(config: &Config) -> Result<(AccessLog, Option<WorkerGuard>), BuildError> {
    match &config.log.access {
        config::AccessLog::Off => Ok((AccessLog::off(), None)),
        config::AccessLog::Stdout => {
            let (writer, guard) = logging::lines_to_stdout();
            Ok((AccessLog::to(writer), Some(guard)))
        }
        config::AccessLog::File(path) => {
            let (writer, guard) = logging::lines_to_file(path)
                .map_err(|source| BuildError::AccessLog { path: path.clone(), source })?;
            Ok((AccessLog::to(writer), Some(guard)))
        }
    }
}

/// What a reload leaves as it is.
fn kept(
    config: &Config,
    clock: &Clock,
    (nonces, metrics, audit): (&Nonces, &Arc<Metrics>, &Audit),
    ((access_log, observers), limits, tls): ((AccessLog, &Observers), &Arc<LimitKeeper>, &TlsHome),
) -> Kept {
    Kept {
        nonces: nonces.clone(),
        forms: Arc::new(FormBudget::new(config.forms.budget, config.forms.max)),
        own_bodies: Arc::new(FormBudget::for_own_bodies()),
        connections: Arc::new(Semaphore::new(listener::room(config.listen.max_connections))),
        clock: clock.clone(),
        metrics: Arc::clone(metrics),
        access_log,
        replays: Arc::new(ReplayWatch::new(audit.clone(), config.audit.replays, Arc::clone(metrics))),
        sign_ins: endpoints::address_limit(config, clock),
        limits: Arc::clone(limits),
        audit: audit.clone(),
        tls: tls.clone(),
        observers: observers.clone(),
    }
}

/// Looks out for jumps of the clock that are as long as the shorter of the two windows of timestamps.
fn clock_watch(config: &Config, clock: &Clock, metrics: &Arc<Metrics>, standing: &Standing) -> ClockWatch {
    ClockWatch {
        clock: clock.clone(),
        metrics: Arc::clone(metrics),
        standing: standing.clone(),
        window: config.oauth.timestamp_window.min(config.oauth.future_window),
    }
}

fn admin_state(
    measure: Arc<dyn Fn() + Send + Sync>,
    metrics: &Arc<Metrics>,
    rules: &watch::Receiver<Arc<Shared>>,
    (accepts, standing): (&Arc<AtomicBool>, &Standing),
) -> AdminState {
    AdminState {
        measure,
        metrics: Arc::clone(metrics),
        reference: reference_in_force(rules.clone()),
        accepts: Arc::clone(accepts),
        has_started: has_started(standing),
        obstacle: obstacle(standing),
        reaches_upstream: reaches_upstream(rules.clone()),
    }
}

fn reference_in_force(
    rules: watch::Receiver<Arc<Shared>>,
) -> Arc<dyn Fn() -> Option<Arc<Reference>> + Send + Sync> {
    Arc::new(move || rules.borrow().pipeline.reference.current().clone())
}

/// Whether the store was proven once.
fn has_started(standing: &Standing) -> Arc<dyn Fn() -> bool + Send + Sync> {
    let standing = standing.clone();
    Arc::new(move || standing.has_started())
}

/// What stands in the way of being ready.
fn obstacle(standing: &Standing) -> Arc<dyn Fn() -> Option<String> + Send + Sync> {
    let standing = standing.clone();
    Arc::new(move || standing.obstacle())
}

fn and_upstream(
    measure: Arc<dyn Fn() + Send + Sync>,
    rules: watch::Receiver<Arc<Shared>>,
) -> Arc<dyn Fn() + Send + Sync> {
    Arc::new(move || {
        measure();
        rules.borrow().upstream.measure();
    })
}

fn reaches_upstream(rules: watch::Receiver<Arc<Shared>>) -> Arc<dyn Fn() -> bool + Send + Sync> {
    Arc::new(move || rules.borrow().upstream.lets_be_ready())
}

/// What brings gauges, and counters that are counted elsewhere, up to date before they are shown.
fn measure(
    metrics: &Arc<Metrics>,
    facts: &Facts,
    (nonces, watch, audit): (&Nonces, StoreWatch, Audit),
    access_log: &AccessLog,
) -> Arc<dyn Fn() + Send + Sync> {
    let gauge = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let (metrics, facts, nonces) = (Arc::clone(metrics), facts.clone(), nonces.clone());
    let access_log = access_log.clone();
    Arc::new(move || {
        let (grants, refusals) = facts.cache().len();
        metrics.cached_grants.set(gauge(grants));
        metrics.cached_refusals.set(gauge(refusals));
        metrics.nonces.set(gauge(nonces.len() as u64));
        metrics.log_lines_dropped.inner().store(access_log.dropped(), Ordering::Relaxed);
        metrics.lookups.inner().store(facts.lookups(), Ordering::Relaxed);
        facts.measure();
        watch.measure();
        audit.measure();
    })
}

/// The same, and how long certificates are good for.
fn measure_tls(
    measure: Arc<dyn Fn() + Send + Sync>,
    metrics: &Arc<Metrics>,
    (tls, clock): (&TlsHome, &Clock),
) -> Arc<dyn Fn() + Send + Sync> {
    let (metrics, tls, clock) = (Arc::clone(metrics), tls.clone(), clock.clone());
    Arc::new(move || {
        measure();
        tls.measure(&metrics, clock.now());
    })
}

fn report_recovery(config: &Config, recovery: Recovery) {
    let Recovery { restored, expired, corrupt, torn, quarantined_until } = recovery;
    if config.nonces.journal.is_none() {
        tracing::warn!(
            "nonces.journal is off: signatures of the last minutes can be replayed after a restart"
        );
    }
    if corrupt > 0 {
        tracing::error!(corrupt, "nonce records could not be read; their signatures can be replayed");
    }
    if let Some(until) = quarantined_until {
        let until = until.seconds();
        tracing::warn!(until, "the host crashed: signatures with a timestamp up to this second are refused");
    }
    if restored + expired + torn > 0 {
        tracing::info!(restored, expired, torn, "nonce journal read");
    }
}
