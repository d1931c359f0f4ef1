//! A gate that is ready to run.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::AtomicBool},
};

use tokio::{net::TcpListener, runtime::Handle, sync::Semaphore};
use tracing_appender::non_blocking::WorkerGuard;

use super::{
    chores::{self, Chores},
    configured, endpoints,
    error::BuildError,
    handshake::{self, Running},
    listener,
    wire::{self, Files},
};
use crate::{
    admin::AdminState,
    auth::acl::AclTree,
    clock::Clock,
    config::{self, Config},
    logging,
    metrics::Metrics,
    proxy::{
        access_log::AccessLog,
        engine::{FormBudget, Shared},
        own::Endpoints,
        pipeline::Pipeline,
        reserved::{BadPrefix, HeaderNames},
    },
    service::{audit::Audit, integration::IntegrationService},
    store::{
        cache::FactCache,
        facts::Facts,
        judge::Judge,
        nonces::{NonceStore, Recovery},
        reference::ReferenceTables,
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
    pub(super) shared: Arc<Shared>,
    pub(super) chores: Chores,
    pub(super) integrations: IntegrationService,
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
        let settings = wire::settings(&config);
        let judge = wire::judge(&config, &settings)?;
        let store = wire::open_store(&config, &judge.encryptor).await?;
        let nonces = open_nonces(&config, &clock)?;
        let reference = Arc::new(ReferenceTables::new(wire::reference(&config, &files.tree)));
        chores::read_tables(&store, &settings, &reference).await?;
        let metrics = Arc::new(Metrics::new());
        metrics.store_up.set(1);
        let facts = facts(&config, &store, judge)?;
        let (access_log, log_guard) = access_log(&config)?;
        let names = HeaderNames::with_prefix(&config.headers.prefix)?;

        let listeners = bind_proxy(&config)?;
        let proxy_address = first_address(&listeners, config.listen.proxy)?;
        let admin_listener = bind_admin(config.listen.admin).await?;
        let admin_address = admin_listener.local_addr()?;
        let chores = Chores {
            store,
            settings,
            facts: facts.clone(),
            reference: Arc::clone(&reference),
            nonces: Arc::clone(&nonces),
            metrics: Arc::clone(&metrics),
            clock: clock.clone(),
            refresh_interval: wire::refresh_interval(&config),
        };
        let accepts = Arc::new(AtomicBool::new(true));
        let admin = AdminState {
            measure: measure(&metrics, &facts, &nonces, &access_log),
            metrics: Arc::clone(&metrics),
            reference: Arc::clone(&reference),
            accepts: Arc::clone(&accepts),
        };
        let (integrations, endpoints) = answering(&config, &chores, &files.tree).await?;
        let shared = Arc::new(Shared {
            settings: wire::workers(&config, &names),
            pipeline: wire::pipeline(&config, (files.routes, names), &facts, (reference, nonces)),
            endpoints,
            facts,
            forward: wire::forward(&config),
            forms: FormBudget::new(config.forms.budget, config.forms.max),
            connections: Arc::new(Semaphore::new(config.listen.max_connections)),
            clock,
            metrics,
            access_log,
        });
        Ok(Self {
            proxy_address,
            admin_address,
            listeners,
            admin_listener,
            admin,
            accepts,
            shared,
            chores,
            integrations,
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

    /// What decides about requests.
    #[must_use]
    pub fn pipeline(&self) -> &Pipeline {
        &self.shared.pipeline
    }

    /// What changes integrations, so that this gate knows of it at once.
    #[must_use]
    pub const fn integrations(&self) -> &IntegrationService {
        &self.integrations
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

/// The services of integrations, which are as declared from here on, and whoever answers the gate's own endpoints.
async fn answering(
    config: &Config,
    chores: &Chores,
    tree: &Arc<AclTree>,
) -> Result<(IntegrationService, Arc<dyn Endpoints>), BuildError> {
    let Chores { facts, reference, nonces, metrics, clock, .. } = chores;
    let running = Running { facts, reference, nonces, tree, clock };
    let integrations = handshake::running_service(config, Audit::off(), &running);
    configured::apply(config, &integrations).await?;
    let endpoints = endpoints::endpoints(config, Audit::off(), metrics, (&running, &integrations))?;
    Ok((integrations, endpoints))
}

/// Facts whose lookups live on the current runtime.
fn facts(config: &Config, store: &SqlStore, judge: Judge) -> Result<Facts, BuildError> {
    let lookups = (wire::lookups(config), Handle::current());
    let sources = (store.clone(), wire::sessions(config)?);
    Ok(Facts::new(sources, judge, FactCache::new(wire::cache(config)), lookups))
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

fn bind_proxy(config: &Config) -> Result<Vec<std::net::TcpListener>, BuildError> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let count = config.listen.workers.map_or(cores, usize::from);
    let address = config.listen.proxy;
    listener::bind(address, count).map_err(|source| BuildError::Bind {
        what: "listen.proxy",
        address,
        source,
    })
}

fn first_address(
    listeners: &[std::net::TcpListener],
    configured: SocketAddr,
) -> Result<SocketAddr, BuildError> {
    Ok(listeners.first().map_or(Ok(configured), std::net::TcpListener::local_addr)?)
}

async fn bind_admin(address: SocketAddr) -> Result<TcpListener, BuildError> {
    TcpListener::bind(address).await.map_err(|source| BuildError::Bind {
        what: "listen.admin",
        address,
        source,
    })
}

/// What brings the gauges up to date before they are shown.
fn measure(
    metrics: &Arc<Metrics>,
    facts: &Facts,
    nonces: &Arc<NonceStore>,
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
