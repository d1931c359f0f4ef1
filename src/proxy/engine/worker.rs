//! One worker: accepting connections until the gate drains, then waiting for what is under way.
//!
//! What decides and forwards is a [`Service`], which a reload replaces. A request keeps the one that it began with; limits
//! of a connection are those that were in force when it was accepted.

use std::{
    cell::{Cell, RefCell},
    io,
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
};

use super::{
    arrival::TlsSettings,
    connection,
    form::FormBudget,
    stall::Pace,
    upstream::{Fleet, Pool},
};
use crate::{
    clock::Clock,
    metrics::Metrics,
    proxy::{
        access_log::AccessLog, forward::ForwardRules, observe::Observation, own::Endpoints,
        peer::TrustedProxies, pipeline::Pipeline, replays::ReplayWatch,
    },
    reply,
    store::facts::Facts,
};

/// How long a worker that cannot accept (no file descriptors) waits before it tries again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Most connections without room that a draining worker takes from the kernel: each has one of the descriptors that are kept
/// for the rest of the process.
const MOST_WAITING: usize = 64;

/// Limits of client connections.
#[derive(Debug, Clone)]
pub struct WorkerSettings {
    /// From the first byte of a head to its last.
    pub header_timeout: Duration,
    /// Between two requests of a connection, and between two frames of a body.
    pub idle_timeout: Duration,
    /// Until a client reads on.
    pub write_timeout: Duration,
    /// The slowest that a body may come.
    pub pace: Pace,
    /// Most requests of one HTTP/2 connection at a time.
    pub max_streams: u32,
    /// Whether a client may begin with HTTP/2 in the clear.
    pub h2c: bool,
    /// Whether a PROXY line comes first, from a trusted proxy.
    pub requires_proxy_line: bool,
    /// Whether a trace context is begun where there is none.
    pub begins_trace: bool,
    /// How clients are spoken to; in the clear when `None`.
    pub tls: Option<TlsSettings>,
    /// The longest head.
    pub max_header_bytes: usize,
    /// The most header fields.
    pub max_headers: usize,
    /// The longest request body; `None` for any.
    pub max_body: Option<u64>,
    /// How long a gate that is told to stop goes on accepting.
    pub drain_delay: Duration,
    /// How long a draining worker waits for requests under way.
    pub drain_timeout: Duration,
    /// How refusals are written.
    pub replies: reply::Refusals,
    /// What clients are told of rate limits.
    pub limit_fields: reply::LimitFields,
    /// Whose forwarding headers count.
    pub trusted_proxies: TrustedProxies,
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
    /// Where the upstream is.
    pub upstream: Arc<Fleet>,
    /// Whoever answers the gate's own endpoints.
    pub endpoints: Arc<dyn Endpoints>,
    /// Room for bodies that signatures cover.
    pub forms: Arc<FormBudget>,
    /// Room for bodies that the gate answers itself.
    pub own_bodies: Arc<FormBudget>,
    /// Room for connections.
    pub connections: Arc<Semaphore>,
    /// The time.
    pub clock: Clock,
    /// The figures.
    pub metrics: Arc<Metrics>,
    /// Hears of replayed nonces.
    pub replays: Arc<ReplayWatch>,
    /// The log.
    pub access_log: AccessLog,
    /// What else is told of requests.
    pub observation: Observation,
}

/// What becomes of connections that the kernel took for a listener, once the gate drains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backlog {
    /// They are served: the listener closes, and would reset them.
    Serve,
    /// They wait for whoever listens next: the listener is lent.
    Leave,
}

/// What one worker serves requests by: the rules that all share, and upstream connections of its own.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) shared: Arc<Shared>,
    pub(super) pool: Rc<Pool>,
}

/// One worker's own things: what it serves by and how much it has under way.
#[derive(Debug)]
pub struct Worker {
    service: RefCell<Rc<Service>>,
    rules: RefCell<watch::Receiver<Arc<Shared>>>,
    open: Cell<usize>,
}

impl Worker {
    /// A worker without connections, which serves by whatever the channel holds. To be called on its `LocalSet`.
    #[must_use]
    pub fn new(mut rules: watch::Receiver<Arc<Shared>>) -> Rc<Self> {
        let shared = Arc::clone(&rules.borrow_and_update());
        let pool = Pool::new(&shared.upstream, None);
        let service = Service { shared, pool };
        Rc::new(Self {
            service: RefCell::new(Rc::new(service)),
            rules: RefCell::new(rules),
            open: Cell::new(0),
        })
    }

    /// What a request that comes now is served by: the newest rules, from the moment at which they were exchanged.
    pub(super) fn service(&self) -> Rc<Service> {
        let is_outdated = self.rules.borrow().has_changed().unwrap_or(false);
        if is_outdated {
            let shared = Arc::clone(&self.rules.borrow_mut().borrow_and_update());
            self.take_up(shared);
        }
        Rc::clone(&self.service.borrow())
    }

    /// Takes up new rules. The connections to endpoints that stay the same are kept.
    fn take_up(&self, shared: Arc<Shared>) {
        let current = Rc::clone(&self.service.borrow());
        let pool = if Arc::ptr_eq(&current.shared.upstream, &shared.upstream) {
            Rc::clone(&current.pool)
        } else {
            Pool::new(&shared.upstream, Some(&current.pool))
        };
        self.service.replace(Rc::new(Service { shared, pool }));
    }

    /// Accepts and serves until `drain` turns true, then until the last request ended or the drain limit passed.
    /// An open WebSocket is not waited for. Runs on a `LocalSet`.
    pub async fn serve(
        self: Rc<Self>,
        (listener, backlog): (TcpListener, Backlog),
        mut drain: watch::Receiver<bool>,
    ) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = drain.wait_for(|is_draining| *is_draining) => break,
            };
            match accepted {
                Ok(accepted) => {
                    // The room is asked for last: a worker that waits for a client must not keep another worker's
                    // client waiting.
                    let room = tokio::select! {
                        room = self.room() => room,
                        _ = drain.wait_for(|is_draining| *is_draining) => None,
                    };
                    self.start(accepted, room, &drain);
                }
                Err(error) if is_clients_fault(&error) => {}
                Err(error) => {
                    tracing::warn!(error = %error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        match backlog {
            Backlog::Serve => self.take_the_rest(listener, &drain),
            Backlog::Leave => drop(listener),
        }
        self.drained().await;
    }

    /// Room for a connection. There is always some after a while: nobody closes the semaphore.
    async fn room(&self) -> Option<OwnedSemaphorePermit> {
        let connections = Arc::clone(&self.service().shared.connections);
        connections.acquire_owned().await.ok()
    }

    /// Serves a connection; once there is room, where there is none yet.
    fn start(
        self: &Rc<Self>,
        (socket, address): (TcpStream, SocketAddr),
        room: Option<OwnedSemaphorePermit>,
        drain: &watch::Receiver<bool>,
    ) {
        // Without it answers are only later.
        let _ = socket.set_nodelay(true);
        let open = Open::new(self);
        let (worker, drain) = (Rc::clone(self), drain.clone());
        tokio::task::spawn_local(async move {
            let room = if room.is_some() { room } else { worker.room().await };
            if let Some(room) = room {
                connection::serve(worker, (socket, address), room, drain).await;
            }
            drop(open);
        });
    }

    /// Serves the connections that the kernel accepted for a listener that is about to close: closing would reset them.
    /// Those without room wait for it.
    fn take_the_rest(self: &Rc<Self>, listener: TcpListener, drain: &watch::Receiver<bool>) {
        let Ok(listener) = listener.into_std() else {
            return;
        };
        let mut waiting = 0;
        while let Ok((socket, address)) = listener.accept() {
            let room = Arc::clone(&self.service().shared.connections).try_acquire_owned().ok();
            if room.is_none() {
                waiting += 1;
                if waiting > MOST_WAITING {
                    return;
                }
            }
            let adopted = socket.set_nonblocking(true).and_then(|()| TcpStream::from_std(socket));
            if let Ok(socket) = adopted {
                self.start((socket, address), room, drain);
            }
        }
    }

    async fn drained(&self) {
        let patience = self.service().shared.settings.drain_timeout;
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

/// The client was gone before it was accepted; the next one is waiting.
fn is_clients_fault(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}

/// Counts an open connection, also when its task is dropped or panics: a panic ends one connection and no more.
struct Open(Rc<Worker>);

impl Open {
    fn new(worker: &Rc<Worker>) -> Self {
        worker.open.set(worker.open.get() + 1);
        Self(Rc::clone(worker))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get().saturating_sub(1));
        if std::thread::panicking() {
            self.0.service().shared.metrics.panics.inc();
            tracing::error!("a connection's task panicked; the connection is closed");
        }
    }
}
