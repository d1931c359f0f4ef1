//! One client's connection: accepted by a worker, served until it ends or the gate drains.

use std::{convert::Infallible, rc::Rc, sync::Arc, time::Duration};

use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::{OwnedSemaphorePermit, watch},
};

use super::{
    exchange::exchange,
    progress::{Observed, Progress, Watchdog},
    strict::Strict,
    worker::{Worker, WorkerSettings},
};
use crate::{metrics::Decision, proxy::peer::Peer};

/// How long a connection on which nothing was asked yet may still ask when the gate drains: its request may be on its way.
const FIRST_REQUEST_GRACE: Duration = Duration::from_secs(1);

/// How long a refused client may go on sending. Closing at once would reset the connection, and a client that sends
/// before it reads would lose the answer.
const LINGER: Duration = Duration::from_secs(3);

/// How many header fields hyper takes if it is told nothing.
const HYPER_MAX_HEADERS: usize = 100;

/// One client's connection, for its exchanges and for what an upgrade leaves behind.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) worker: Rc<Worker>,
    pub(super) peer: Peer,
    pub(super) progress: Arc<Progress>,
    _permit: OwnedSemaphorePermit,
}

impl Client {
    /// A connection that counts against the limit as long as this lives.
    pub(super) fn new(worker: &Rc<Worker>, peer: Peer, permit: OwnedSemaphorePermit) -> Rc<Self> {
        let shared = Arc::clone(&worker.service().shared);
        let progress = Progress::start(shared.settings.idle_timeout, shared.settings.header_timeout);
        shared.metrics.connections.inc();
        Rc::new(Self { worker: Rc::clone(worker), peer, progress, _permit: permit })
    }

    /// Serves the connection to its end.
    pub(super) async fn serve(self: Rc<Self>, socket: TcpStream, drain: watch::Receiver<bool>) {
        let (socket, left) = Observed::new(socket, Arc::clone(&self.progress));
        let may_be_sending = self.answer_all(socket, drain).await;
        if let (true, Ok(socket)) = (may_be_sending, left.await) {
            linger(socket).await;
        }
    }

    /// Answers one request after the other. Tells whether the client may still be sending.
    async fn answer_all(self: &Rc<Self>, socket: Observed<TcpStream>, drain: watch::Receiver<bool>) -> bool {
        let service = service_fn(|request: Request<Incoming>| {
            self.progress.busy();
            let exchange = exchange(Rc::clone(self), request);
            async move { Ok::<_, Infallible>(exchange.await) }
        });
        let shared = Arc::clone(&self.worker.service().shared);
        let http = http(&shared.settings);
        let socket = Strict::new(socket, Arc::clone(&self.progress), shared.settings.max_header_bytes);
        let mut connection =
            std::pin::pin!(http.serve_connection(TokioIo::new(socket), service).with_upgrades());
        let mut watchdog = std::pin::pin!(Watchdog::new(Arc::clone(&self.progress)));
        let mut drained = std::pin::pin!(self.drained(drain));
        let mut is_draining = false;
        loop {
            tokio::select! {
                biased;
                ended = connection.as_mut() => {
                    return ended.map_or_else(|error| self.broke_off(&error), |()| self.progress.has_left_unread());
                }
                () = watchdog.as_mut() => return false,
                () = drained.as_mut(), if !is_draining => {
                    is_draining = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }

    async fn drained(&self, mut drain: watch::Receiver<bool>) {
        // The guard that `wait_for` returns must not live across an await.
        drop(drain.wait_for(|is_draining| *is_draining).await);
        if !self.progress.was_used() {
            tokio::time::sleep(FIRST_REQUEST_GRACE).await;
        }
    }

    /// hyper answered a head that is none with 400 or 431 itself, or the client went away.
    fn broke_off(&self, error: &hyper::Error) -> bool {
        if !error.is_parse() {
            tracing::debug!(error = %error, client = %self.peer.address, "client connection ended early");
            return self.progress.has_left_unread();
        }
        let violation = self.progress.violation().map(|violation| violation.to_string());
        tracing::debug!(error = %error, violation, client = %self.peer.address, "request head refused");
        let refused = Decision { context: "guest", result: "refused", reason: "malformed_head" };
        self.worker.service().shared.metrics.decisions.get_or_create(&refused).inc();
        true
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.worker.service().shared.metrics.connections.dec();
    }
}

fn http(settings: &WorkerSettings) -> http1::Builder {
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

/// Closes the writing side, then reads and forgets until the client closes too.
async fn linger(mut socket: TcpStream) {
    if socket.shutdown().await.is_err() {
        return;
    }
    let forgetting = async {
        let mut bytes = vec![0; 16 * 1024];
        while matches!(socket.read(&mut bytes).await, Ok(read) if read > 0) {}
    };
    // A client that goes on sending is cut off.
    let _ = tokio::time::timeout(LINGER, forgetting).await;
}
