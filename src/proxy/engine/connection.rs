//! One worker: accepting connections and serving each until it ends or the gate drains.

use std::{cell::Cell, convert::Infallible, io, net::SocketAddr, rc::Rc, sync::Arc, time::Duration};

use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
};

use super::{
    exchange::exchange,
    form::FormBudget,
    pool::{Pool, UpstreamSettings},
    progress::{Observed, Progress, Watchdog},
};
use crate::{
    clock::Clock,
    metrics::Metrics,
    proxy::{
        access_log::AccessLog,
        forward::ForwardRules,
        peer::{Peer, TrustedProxies},
        pipeline::Pipeline,
    },
    reply,
    store::facts::Facts,
};

/// How long a worker that cannot accept (no file descriptors) waits before it tries again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How many header fields hyper takes if it is told nothing.
const HYPER_MAX_HEADERS: usize = 100;

/// Limits of client connections.
#[derive(Debug, Clone)]
pub struct WorkerSettings {
    /// From the first byte of a head to its last.
    pub header_timeout: Duration,
    /// Between two requests of a connection, and between two frames of a body.
    pub idle_timeout: Duration,
    /// The longest head.
    pub max_header_bytes: usize,
    /// The most header fields.
    pub max_headers: usize,
    /// The longest request body; `None` for any.
    pub max_body: Option<u64>,
    /// How long a draining worker waits for requests under way.
    pub drain_timeout: Duration,
    /// How refusals are written.
    pub replies: reply::Refusals,
    /// Whose forwarding headers count.
    pub trusted_proxies: TrustedProxies,
    /// Where the upstream is.
    pub upstream: UpstreamSettings,
}

/// What all workers share.
#[derive(Debug)]
pub struct Shared {
    /// The decisions.
    pub pipeline: Pipeline,
    /// What the store says.
    pub facts: Facts,
    /// What happens to heads on their way.
    pub forward: ForwardRules,
    /// Limits.
    pub settings: WorkerSettings,
    /// Room for form bodies.
    pub forms: FormBudget,
    /// Room for connections.
    pub connections: Arc<Semaphore>,
    /// The time.
    pub clock: Clock,
    /// The figures.
    pub metrics: Arc<Metrics>,
    /// The log.
    pub access_log: AccessLog,
}

/// One worker's own things: its upstream connections and how much it has under way.
#[derive(Debug)]
pub struct Worker {
    pub(super) shared: Arc<Shared>,
    pub(super) pool: Rc<Pool>,
    open: Cell<usize>,
}

impl Worker {
    /// A worker without connections.
    #[must_use]
    pub fn new(shared: Arc<Shared>) -> Rc<Self> {
        let pool = Rc::new(Pool::new(shared.settings.upstream.clone()));
        Rc::new(Self { shared, pool, open: Cell::new(0) })
    }

    /// Accepts and serves until `drain` turns true, then until the last request ended or the drain limit passed.
    /// Runs on a `LocalSet`.
    pub async fn serve(self: Rc<Self>, listener: TcpListener, mut drain: watch::Receiver<bool>) {
        loop {
            let accepted = tokio::select! {
                accepted = self.accept(&listener) => accepted,
                _ = drain.wait_for(|is_draining| *is_draining) => break,
            };
            match accepted {
                Ok((socket, address, permit)) => {
                    let worker = Rc::clone(&self);
                    let drain = drain.clone();
                    tokio::task::spawn_local(async move {
                        worker.serve_connection(socket, address, drain).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(error = %error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(listener);
        self.drained().await;
    }

    async fn accept(
        &self,
        listener: &TcpListener,
    ) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
        let permit = Arc::clone(&self.shared.connections)
            .acquire_owned()
            .await
            .map_err(|_closed| io::Error::other("no room for connections"))?;
        let (socket, address) = listener.accept().await?;
        socket.set_nodelay(true)?;
        Ok((socket, address, permit))
    }

    async fn serve_connection(
        self: &Rc<Self>,
        socket: TcpStream,
        address: SocketAddr,
        mut drain: watch::Receiver<bool>,
    ) {
        let _open = Open::new(Rc::clone(self));
        let settings = &self.shared.settings;
        let progress = Progress::start(settings.idle_timeout, settings.header_timeout);
        let peer = Rc::new(Peer::new(address.ip(), &settings.trusted_proxies, false));
        let io = Observed::new(TokioIo::new(socket), Arc::clone(&progress));
        let service = service_fn(|request: Request<Incoming>| {
            progress.busy();
            let exchange = exchange(Rc::clone(self), Rc::clone(&peer), Arc::clone(&progress), request);
            async move { Ok::<_, Infallible>(exchange.await) }
        });
        let mut connection = std::pin::pin!(self.http().serve_connection(io, service).with_upgrades());
        let mut watchdog = std::pin::pin!(Watchdog::new(Arc::clone(&progress)));
        let mut is_draining = false;
        loop {
            tokio::select! {
                biased;
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(error = %error, client = %address, "client connection ended early");
                    }
                    return;
                }
                () = watchdog.as_mut() => return,
                _ = drain.wait_for(|drain| *drain), if !is_draining => {
                    is_draining = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }

    fn http(&self) -> http1::Builder {
        let settings = &self.shared.settings;
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(None)
            .max_header_size(settings.max_header_bytes)
            .max_buf_size(settings.max_header_bytes.max(64 * 1024))
            .writev(false)
            .auto_date_header(false);
        // At its own limit hyper keeps the places of the fields on the stack; told one, it clears a list for each head.
        if settings.max_headers != HYPER_MAX_HEADERS {
            builder.max_headers(settings.max_headers);
        }
        builder
    }

    async fn drained(&self) {
        let patience = self.shared.settings.drain_timeout;
        let waiting = async {
            while self.open.get() > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if tokio::time::timeout(patience, waiting).await.is_err() {
            tracing::warn!(connections = self.open.get(), "drain limit passed, closing what is left");
        }
    }
}

/// Counts an open connection, also when its task is dropped.
struct Open(Rc<Worker>);

impl Open {
    fn new(worker: Rc<Worker>) -> Self {
        worker.open.set(worker.open.get() + 1);
        worker.shared.metrics.connections.inc();
        Self(worker)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get().saturating_sub(1));
        self.0.shared.metrics.connections.dec();
    }
}
