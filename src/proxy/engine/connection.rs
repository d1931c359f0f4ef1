//! One client's connection: accepted by a worker, served until it ends or the gate drains.

use std::{
    cell::Cell, convert::Infallible, error::Error as _, future::Future, net::SocketAddr, pin::Pin, rc::Rc,
    sync::Arc, time::Duration,
};

use hyper::{Request, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::{OwnedSemaphorePermit, watch},
};

use super::{
    arrival::{Arrived, Stream, arrive},
    body::Source,
    exchange::{Turn, exchange},
    http1::{self, HeadLimits},
    http2::{self, Streams},
    preface::Prefaced,
    progress::{Observed, Overdue, Patience, Progress, Watchdog},
    security::Security,
    strict::Strict,
    worker::Worker,
};
use crate::{metrics::Decision, proxy::peer::Peer};

/// How long a connection on which nothing was asked yet may still ask when the gate drains: its request may be on its way.
const FIRST_REQUEST_GRACE: Duration = Duration::from_secs(1);

/// How long a refused client may go on sending. Closing at once would reset the connection, and a client that sends
/// before it reads would lose the answer.
const LINGER: Duration = Duration::from_secs(3);

/// How long a client may still be told why its connection ends.
const FAREWELL: Duration = Duration::from_millis(200);

/// One client's connection, for its exchanges and for what an upgrade leaves behind.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) worker: Rc<Worker>,
    pub(super) peer: Peer,
    pub(super) security: Option<Security>,
    pub(super) progress: Rc<Progress>,
    _place: Place,
}

/// A connection that counts against the limit as long as this lives.
#[derive(Debug)]
struct Place {
    worker: Rc<Worker>,
    _permit: OwnedSemaphorePermit,
}

impl Place {
    fn new(worker: &Rc<Worker>, permit: OwnedSemaphorePermit) -> Self {
        worker.service().shared.metrics.connections.inc();
        Self { worker: Rc::clone(worker), _permit: permit }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.worker.service().shared.metrics.connections.dec();
    }
}

/// Serves a connection from its first byte to its end.
pub(super) async fn serve(
    worker: Rc<Worker>,
    (socket, address): (TcpStream, SocketAddr),
    permit: OwnedSemaphorePermit,
    drain: watch::Receiver<bool>,
) {
    let place = Place::new(&worker, permit);
    let shared = Arc::clone(&worker.service().shared);
    let settings = &shared.settings;
    let progress = Progress::start(Patience {
        head: settings.header_timeout,
        idle: settings.idle_timeout,
        write: settings.write_timeout,
        pace: settings.pace,
    });
    let (socket, left) = Observed::new(socket, Rc::clone(&progress));
    let arrived = tokio::select! {
        biased;
        arrived = arrive(settings, socket, address, &shared.metrics) => arrived,
        () = unused_drained(drain.clone()) => return,
    };
    let Ok(arrived) = arrived else {
        return;
    };
    drop(shared);
    let Arrived { peer, stream, speaks_http2, security } = arrived;
    progress.await_head();
    let client = Rc::new(Client { worker, peer, security, progress, _place: place });
    let may_be_sending = if speaks_http2 {
        client.answer_http2(stream, drain).await
    } else {
        client.answer_http1(stream, drain).await
    };
    if may_be_sending && let Ok(socket) = left.await {
        linger(socket).await;
    }
}

impl Client {
    /// Answers one request after the other. Tells whether the client may still be sending.
    async fn answer_http1(self: &Rc<Self>, stream: Stream, drain: watch::Receiver<bool>) -> bool {
        let shared = Arc::clone(&self.worker.service().shared);
        let limits =
            HeadLimits { bytes: shared.settings.max_header_bytes, fields: shared.settings.max_headers };
        let socket = Strict::new(stream, Rc::clone(&self.progress), limits.bytes);
        drop(shared);
        let is_leaving = Cell::new(false);
        let connection = http1::serve(socket, limits, &is_leaving, |request, near| {
            let turn = Turn { busy: self.progress.busy(), streams: None, near };
            exchange(Rc::clone(self), request.map(Source::Client), turn)
        });
        let ended = self.drive(std::pin::pin!(connection), drain, |_| is_leaving.set(true)).await;
        ended.is_some_and(|end| self.ended(&end))
    }

    /// Answers requests side by side.
    async fn answer_http2(self: &Rc<Self>, stream: Stream, drain: watch::Receiver<bool>) -> bool {
        self.progress.multiplex();
        let shared = Arc::clone(&self.worker.service().shared);
        let streams = Streams::new(&self.worker, &self.progress, shared.settings.write_timeout);
        let http = http2::builder(&shared.settings, streams.clone());
        let client = Rc::clone(self);
        let service = service_fn(move |request: Request<Incoming>| {
            let turn = Turn { busy: client.progress.busy(), streams: Some(streams.clone()), near: None };
            let exchange = exchange(Rc::clone(&client), request.map(Source::Incoming), turn);
            async move { Ok::<_, Infallible>(exchange.await) }
        });
        let connection = http.serve_connection(TokioIo::new(Prefaced::new(stream)), service);
        let connection = std::pin::pin!(connection);
        let ended = self.drive(connection, drain, |connection| connection.graceful_shutdown()).await;
        if let Some(Err(error)) = ended {
            self.broke_rules(&error);
        }
        false
    }

    /// Drives a connection to its end, or to the end of our patience with it: then there is no end to tell of.
    async fn drive<C>(
        &self,
        mut connection: Pin<&mut C>,
        drain: watch::Receiver<bool>,
        say_goodbye: impl Fn(Pin<&mut C>),
    ) -> Option<C::Output>
    where
        C: Future,
    {
        let mut watchdog = std::pin::pin!(Watchdog::new(Rc::clone(&self.progress)));
        let mut drained = std::pin::pin!(self.drained(drain));
        let mut is_draining = false;
        loop {
            tokio::select! {
                biased;
                ended = connection.as_mut() => return Some(ended),
                overdue = watchdog.as_mut() => {
                    self.count_overdue(overdue);
                    if self.progress.is_multiplexed() && overdue != Overdue::Unread {
                        // So that the client knows which of its requests were never looked at.
                        say_goodbye(connection.as_mut());
                        let _ = tokio::time::timeout(FAREWELL, connection).await;
                    }
                    return None;
                }
                () = drained.as_mut(), if !is_draining => {
                    is_draining = true;
                    self.progress.leave();
                    say_goodbye(connection.as_mut());
                }
            }
        }
    }

    fn count_overdue(&self, overdue: Overdue) {
        let reason = match overdue {
            Overdue::Silent => return,
            Overdue::Unread => "unread",
            Overdue::Noisy => "http2_flood",
        };
        tracing::debug!(client = %self.peer.address, reason, "client connection closed");
        self.worker.service().shared.metrics.edge.close(reason);
    }

    async fn drained(&self, drain: watch::Receiver<bool>) {
        begins(drain).await;
        if !self.progress.was_used() {
            tokio::time::sleep(FIRST_REQUEST_GRACE).await;
        }
    }

    /// Tells of a connection's end, and whether the client may still be sending.
    fn ended(&self, end: &http1::End) -> bool {
        match end {
            http1::End::Closed => self.progress.has_left_unread(),
            http1::End::Upgraded => false,
            http1::End::Broken(error) => {
                tracing::debug!(error = %error, client = %self.peer.address, "client connection ended early");
                self.progress.has_left_unread()
            }
            http1::End::Refused(status) => {
                let violation = self.progress.violation().map(|violation| violation.to_string());
                let status = status.as_u16();
                tracing::debug!(status, violation, client = %self.peer.address, "request head refused");
                let refused = Decision { context: "guest", result: "refused", reason: "malformed_head" };
                self.worker.service().shared.metrics.decisions.get_or_create(&refused).inc();
                true
            }
        }
    }

    /// The codec told an HTTP/2 client with GOAWAY what it did, or the client went away.
    fn broke_rules(&self, error: &hyper::Error) {
        tracing::debug!(error = %error, client = %self.peer.address, "HTTP/2 connection ended early");
        let cause = error.source().and_then(|cause| cause.downcast_ref::<h2::Error>());
        if cause.is_some_and(h2::Error::is_library) {
            self.worker.service().shared.metrics.edge.close("http2_violation");
        }
    }
}

/// Completes when the gate drains and who has not even said who it is has had its time.
async fn unused_drained(drain: watch::Receiver<bool>) {
    begins(drain).await;
    tokio::time::sleep(FIRST_REQUEST_GRACE).await;
}

async fn begins(mut drain: watch::Receiver<bool>) {
    // The guard that `wait_for` returns must not live across an await.
    drop(drain.wait_for(|is_draining| *is_draining).await);
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
