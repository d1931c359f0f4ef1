//! Held connections to the upstream, one pool a worker.
//!
//! A worker's connections live on its own runtime and are used last in, first out, so that idle ones age and are
//! dropped. Measured, this costs less than a shared pool (see `benches/README.md`).

use std::{
    cell::RefCell,
    io,
    rc::{Rc, Weak},
    time::{Duration, Instant},
};

use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::body::Outgoing;

/// Where the upstream is and how its connections are kept.
#[derive(Debug, Clone)]
pub struct UpstreamSettings {
    /// `host:port`, resolved at each connect.
    pub address: String,
    /// Limit for connecting.
    pub connect_timeout: Duration,
    /// Limit from the request's last byte to the answer's head, and between two frames of a body.
    pub response_timeout: Duration,
    /// How long an unused connection is kept. Shorter than the upstream's own keep-alive, so that it seldom closes first.
    pub idle_timeout: Duration,
    /// Unused connections kept per worker.
    pub max_idle: usize,
}

/// Why no connection could be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("connecting took too long")]
    Timeout,
    #[error("connecting failed: {0}")]
    Io(#[from] io::Error),
    #[error("the upstream's connection failed: {0}")]
    Http(#[from] hyper::Error),
}

/// The connections of one worker.
#[derive(Debug)]
pub(super) struct Pool {
    settings: UpstreamSettings,
    idle: RefCell<Vec<(SendRequest<Outgoing>, Instant)>>,
}

/// A connection in use; dropping it returns it to its pool if it can serve again.
#[derive(Debug)]
pub(super) struct Held {
    sender: Option<SendRequest<Outgoing>>,
    pool: Weak<Pool>,
    /// Served a request before: the upstream may have closed it meanwhile.
    pub(super) is_reused: bool,
}

impl Pool {
    pub(super) const fn new(settings: UpstreamSettings) -> Self {
        Self { settings, idle: RefCell::new(Vec::new()) }
    }

    /// A connection that is ready to send: a held one if there is one, else a new one.
    pub(super) async fn acquire(self: &Rc<Self>) -> Result<Held, ConnectError> {
        while let Some(mut sender) = self.take_fresh() {
            if sender.ready().await.is_ok() {
                return Ok(self.hold(sender, true));
            }
        }
        self.connect().await
    }

    /// A new connection, whatever the pool holds.
    pub(super) async fn connect(self: &Rc<Self>) -> Result<Held, ConnectError> {
        let socket = self.open_socket().await?;
        let (sender, connection) =
            http1::Builder::new().writev(false).handshake(TokioIo::new(socket)).await?;
        tokio::task::spawn_local(async move {
            // An error here reaches the request in flight through its sender; without one it means that the
            // upstream closed an idle connection.
            let _ = connection.await;
        });
        Ok(self.hold(sender, false))
    }

    /// A socket to the upstream, for connections that are not pooled.
    pub(super) async fn open_socket(&self) -> Result<TcpStream, ConnectError> {
        let connecting = TcpStream::connect(&self.settings.address);
        let socket = tokio::time::timeout(self.settings.connect_timeout, connecting)
            .await
            .map_err(|_elapsed| ConnectError::Timeout)??;
        socket.set_nodelay(true)?;
        Ok(socket)
    }

    fn hold(self: &Rc<Self>, sender: SendRequest<Outgoing>, is_reused: bool) -> Held {
        Held { sender: Some(sender), pool: Rc::downgrade(self), is_reused }
    }

    fn take_fresh(&self) -> Option<SendRequest<Outgoing>> {
        let mut idle = self.idle.borrow_mut();
        while let Some((sender, since)) = idle.pop() {
            if since.elapsed() > self.settings.idle_timeout {
                // Below it in the stack everything is older still.
                idle.clear();
                return None;
            }
            if !sender.is_closed() {
                return Some(sender);
            }
        }
        None
    }

    fn put_back(&self, sender: SendRequest<Outgoing>) {
        let mut idle = self.idle.borrow_mut();
        if !sender.is_closed() && idle.len() < self.settings.max_idle {
            idle.push((sender, Instant::now()));
        }
    }
}

impl Held {
    /// The sender; present until the drop.
    pub(super) const fn sender(&mut self) -> Option<&mut SendRequest<Outgoing>> {
        self.sender.as_mut()
    }

    /// Closes the connection instead of returning it.
    pub(super) fn discard(mut self) {
        self.sender = None;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let (Some(sender), Some(pool)) = (self.sender.take(), self.pool.upgrade()) {
            pool.put_back(sender);
        }
    }
}
