//! A gate that is ready to run.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::AtomicBool},
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
    jobs::{examine_audit, open_audit},
    listener,
    opened::Opened,
    reload::{Kept, Reloader},
    store_watch::StoreWatch,
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
        engine::{FormBudget, Shared},
        replays::ReplayWatch,
        reserved::{BadPrefix, HeaderNames},
    },
    service::{audit::Audit, integration::IntegrationService},
    store::{
        facts::Facts,
        nonces::{NonceStore, Recovery},
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
    pub(super) listeners: Vec<std::net::TcpListener>,
    pub(super) admin_listener: TcpListener,
    pub(super) admin: AdminState,
    pub(super) accepts: Arc<AtomicBool>,
    pub(super) chores: Chores,
    pub(super) reloader: Reloader,
    /// Flushes the access log when the gate is gone.
    pub(super) _log_guard: Option<WorkerGuard>,
}

impl App {
    /// Reads what the configuration points to and binds its listeners. Store lookups, chores and the operator's
    /// listener will live on the current runtime.
    ///
    /// # Errors
    /// Whatever would keep the gate from serving, by the setting that names it.
    pub async fn build(config: Config, clock: Clock) -> Result<Self, BuildError> {
        let files = Files::read(&config)?;
        let names = HeaderNames::with_prefix(&config.headers.prefix)?;
        let Opened { store, judge, reference } = Opened::open(&config, &files.tree).await?;
        let nonces = open_nonces(&config, &clock)?;
        let metrics = Arc::new(Metrics::new());
        let audit = open_audit(&config, &clock, &metrics)?;
        let facts = wire::facts(&config, store.clone(), judge)?;
        let (access_log, log_guard) = access_log(&config)?;

        let (listeners, proxy_address) = bind_proxy(&config)?;
        let (admin_listener, admin_address) = bind_admin(config.listen.admin).await?;
        let watch = StoreWatch::begin(&store, facts.clone(), &metrics, &config.cache).await?;
        let measure = measure(&metrics, &facts, (&nonces, watch.clone(), audit.clone()), &access_log);
        let kept = Kept {
            nonces: Arc::clone(&nonces),
            forms: Arc::new(FormBudget::new(config.forms.budget, config.forms.max)),
            own_bodies: Arc::new(FormBudget::for_own_bodies()),
            connections: Arc::new(Semaphore::new(config.listen.max_connections)),
            clock: clock.clone(),
            metrics: Arc::clone(&metrics),
            access_log,
            replays: Arc::new(ReplayWatch::new(audit.clone(), config.audit.replays, Arc::clone(&metrics))),
            sign_ins: endpoints::address_limit(&config),
            audit: audit.clone(),
        };
        let desks = kept.desks(&config, &facts)?;
        let (refresh_interval, jobs) = (wire::refresh_interval(&config), config.jobs.clone());
        let reloader = Reloader::new(config, kept, (files, names), (facts, reference, desks));
        let rules = reloader.rules();
        let accepts = Arc::new(AtomicBool::new(true));
        let admin = AdminState {
            measure,
            metrics: Arc::clone(&metrics),
            reference: reference_in_force(rules.clone()),
            accepts: Arc::clone(&accepts),
        };
        configured::apply(&reloader.running().await, &reloader.integrations().await).await?;
        let chores = Chores { store, rules, jobs, audit, nonces, metrics, clock, refresh_interval, watch };
        Ok(Self {
            proxy_address,
            admin_address,
            listeners,
            admin_listener,
            admin,
            accepts,
            chores,
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
        configured::examine(config, &Files::read(config)?.tree)?;
        let settings = wire::settings(config);
        let judge = wire::judge(config, &settings)?;
        wire::sessions(config)?;
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

fn open_nonces(config: &Config, clock: &Clock) -> Result<Arc<NonceStore>, BuildError> {
    let nonces = NonceStore::open(wire::nonces(config), clock.now())?;
    report_recovery(config, nonces.recovery());
    Ok(Arc::new(nonces))
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

/// A listener a worker, and where they listen.
fn bind_proxy(config: &Config) -> Result<(Vec<std::net::TcpListener>, SocketAddr), BuildError> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let count = config.listen.workers.map_or(cores, usize::from);
    let address = config.listen.proxy;
    let bound = listener::bind(address, count);
    let listeners = bound.map_err(|source| BuildError::Bind { what: "listen.proxy", address, source })?;
    let bound = first_address(&listeners, address)?;
    Ok((listeners, bound))
}

fn first_address(
    listeners: &[std::net::TcpListener],
    configured: SocketAddr,
) -> Result<SocketAddr, BuildError> {
    Ok(listeners.first().map_or(Ok(configured), std::net::TcpListener::local_addr)?)
}

async fn bind_admin(address: SocketAddr) -> Result<(TcpListener, SocketAddr), BuildError> {
    let bound = TcpListener::bind(address).await;
    let listener = bound.map_err(|source| BuildError::Bind { what: "listen.admin", address, source })?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

fn reference_in_force(
    rules: watch::Receiver<Arc<Shared>>,
) -> Arc<dyn Fn() -> Option<Arc<Reference>> + Send + Sync> {
    Arc::new(move || rules.borrow().pipeline.reference.current().clone())
}

/// What brings the gauges up to date before they are shown.
fn measure(
    metrics: &Arc<Metrics>,
    facts: &Facts,
    (nonces, watch, audit): (&Arc<NonceStore>, StoreWatch, Audit),
    access_log: &AccessLog,
) -> Arc<dyn Fn() + Send + Sync> {
    let gauge = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let (metrics, facts, nonces) = (Arc::clone(metrics), facts.clone(), Arc::clone(nonces));
    let access_log = access_log.clone();
    Arc::new(move || {
        let (grants, refusals) = facts.cache().len();
        metrics.cached_grants.set(gauge(grants));
        metrics.cached_refusals.set(gauge(refusals));
        metrics.nonces.set(gauge(nonces.len() as u64));
        metrics.log_lines_dropped.set(gauge(access_log.dropped()));
        metrics.lookups.set(gauge(facts.lookups()));
        watch.measure();
        audit.measure();
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
