//! A connection in use: lent by its lane, told of the end of its request, given back or closed.

use std::{
    cell::Cell,
    io,
    net::SocketAddr,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use http::{Request, Response};
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    breaker::Pass, endpoint::ConnectError, fleet::Fleet, http2::Stream, lane::Lane, vitals, wire::Wire,
};
use crate::proxy::engine::body::Outgoing;

/// The outcome of a request that was not answered in time.
pub(super) const TIMEOUT: &str = "timeout";

/// A connection in use. Dropping it closes it, where it is not shared.
#[derive(Debug)]
pub(crate) struct Held {
    way: Way,
    lease: Lease,
    /// Served a request before: the upstream may have closed it meanwhile.
    pub(super) is_reused: bool,
}

/// How requests go over a connection.
#[derive(Debug)]
pub(super) enum Way {
    /// One at a time.
    Own(Line),
    /// Beside others.
    Shared(Stream),
}

/// A connection for one request at a time.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) sender: SendRequest<Outgoing>,
    pub(super) remote: SocketAddr,
    /// Whether a byte arrived since the last request was handed over.
    heard: Rc<Cell<bool>>,
}

/// A request's place among those of its endpoint, from the choice to the end of its answer.
#[derive(Debug)]
pub(crate) struct Lease {
    lane: Rc<Lane>,
    /// The endpoint's place in the fleet.
    pub(super) index: usize,
    pub(super) pass: Pass,
    is_settled: Cell<bool>,
}

/// Why an attempt failed.
pub(super) struct SendError {
    pub(super) cause: String,
    /// The request, where not a byte of it was written.
    pub(super) unsent: Option<Box<Request<Outgoing>>>,
}

impl Lease {
    /// A place at this endpoint, if its breaker lets a request through.
    pub(super) fn take(lane: &Rc<Lane>, index: usize) -> Option<Self> {
        let pass = lane.endpoint.breaker.enter()?;
        lane.outstanding.set(lane.outstanding.get() + 1);
        Some(Self { lane: Rc::clone(lane), index, pass, is_settled: Cell::new(false) })
    }

    /// Whose place it is.
    pub(super) const fn lane(&self) -> &Rc<Lane> {
        &self.lane
    }

    /// The endpoint answered.
    pub(super) fn succeeded(&self) {
        self.is_settled.set(true);
        let endpoint = &self.lane.endpoint;
        endpoint.figures.answered.inc();
        endpoint.vitals.succeeded();
        self.lane.tally.succeeded();
        if endpoint.breaker.succeeded(self.pass) {
            self.lane.tally.forget();
            tracing::info!(endpoint = &*endpoint.settings.name, "the breaker is closed");
        }
        endpoint.tell_success();
    }

    /// The endpoint failed. A request that found no room says nothing about it.
    pub(super) fn failed(&self, fleet: &Fleet, outcome: &'static str, cause: &dyn std::fmt::Display) {
        self.is_settled.set(true);
        failed(&self.lane, self.pass, fleet, (outcome, cause));
    }
}

/// Notes a failure at a lane's endpoint, wherever it is known from.
pub(super) fn failed(
    lane: &Lane,
    pass: Pass,
    fleet: &Fleet,
    (outcome, cause): (&'static str, &dyn std::fmt::Display),
) {
    let endpoint = &lane.endpoint;
    endpoint.figures.count(outcome);
    endpoint.tell_failure(cause);
    if outcome != TIMEOUT {
        // One slow answer says nothing about the other connections.
        lane.empty();
    }
    let settings = &endpoint.reach.breaker;
    let too_many = lane.tally.failed(vitals::now(), settings);
    if endpoint.breaker.failed(pass, too_many, settings) {
        let open_s = settings.open.as_secs_f64();
        tracing::warn!(endpoint = &*endpoint.settings.name, open_s, "the breaker is open");
    }
    fleet.failed(endpoint);
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.lane.outstanding.set(self.lane.outstanding.get().saturating_sub(1));
        if !self.is_settled.get() {
            self.lane.endpoint.breaker.gave_up(self.pass);
        }
    }
}

impl Held {
    pub(super) const fn new(way: Way, lease: Lease, is_reused: bool) -> Self {
        Self { way, lease, is_reused }
    }

    /// Whose place it has.
    pub(super) const fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn send(&mut self, request: Request<Outgoing>) -> Result<Response<Incoming>, SendError> {
        let sent = match &mut self.way {
            Way::Own(line) => {
                line.heard.set(false);
                line.sender.try_send_request(request).await
            }
            Way::Shared(stream) => {
                let is_tls = self.lease.lane.endpoint.settings.is_tls;
                return stream.send(request, is_tls).await;
            }
        };
        sent.map_err(|mut error| SendError {
            unsent: error.take_message().map(Box::new),
            cause: error.into_error().to_string(),
        })
    }

    /// Whether a byte came from the upstream since the request was handed over. On a shared connection what counts is the
    /// head of the answer, and without it there was none.
    pub(super) fn has_heard(&self) -> bool {
        match &self.way {
            Way::Own(line) => line.heard.get(),
            Way::Shared(_) => false,
        }
    }

    /// Whether a failure may come of a connection that was closed while it was held. Where requests share one, it is told from
    /// a request that failed alone by its taking no more of them.
    pub(super) fn may_be_stale(&self, is_written: bool) -> bool {
        match &self.way {
            Way::Own(line) => self.is_reused && !line.heard.get(),
            Way::Shared(stream) => self.is_reused && (!is_written || stream.is_closed()),
        }
    }

    /// Returns the connection to its lane: request and answer reached their end.
    pub(crate) fn release(self) {
        let Self { way, lease, is_reused: _ } = self;
        if let Way::Own(line) = way {
            lease.lane.put_back(line);
        }
    }
}

impl Line {
    /// Shakes hands over a connection.
    pub(super) async fn over(wire: Wire) -> Result<Self, ConnectError> {
        let remote = wire.remote;
        let heard = Rc::new(Cell::new(false));
        let socket = Heard { wire, heard: Rc::clone(&heard) };
        let (sender, connection) =
            http1::Builder::new().writev(false).handshake(TokioIo::new(socket)).await?;
        tokio::task::spawn_local(async move {
            // An error here reaches the request in flight through its sender; without one it means that the
            // upstream closed an idle connection.
            let _ = connection.await;
        });
        Ok(Self { sender, remote, heard })
    }
}

/// The upstream's connection, which tells whether anything came from it: a request may be repeated only before that.
struct Heard {
    wire: Wire,
    heard: Rc<Cell<bool>>,
}

impl AsyncRead for Heard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let answer = Pin::new(&mut self.wire).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.heard.set(true);
        }
        answer
    }
}

impl AsyncWrite for Heard {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.wire).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(cx)
    }
}
