//! Held connections to the upstream, one pool a worker.
//!
//! A worker's connections live on its own runtime and are used last in, first out, so that idle ones age and are
//! dropped. Measured, this costs less than a shared pool (see `benches/README.md`). A connection goes back only when the
//! exchange says that both bodies reached their end; one that is merely dropped is closed.

use std::{
    cell::{Cell, RefCell},
    io,
    pin::Pin,
    rc::{Rc, Weak},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::body::Outgoing;

/// Where the upstream is and how its connections are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    idle: RefCell<Vec<Idle>>,
}

#[derive(Debug)]
struct Idle {
    line: Line,
    since: Instant,
}

/// A connection to the upstream.
#[derive(Debug)]
struct Line {
    sender: SendRequest<Outgoing>,
    /// Whether a byte arrived since the last request was handed over.
    heard: Rc<Cell<bool>>,
}

/// A connection in use. Dropping it closes it.
#[derive(Debug)]
pub(super) struct Held {
    line: Line,
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
        while let Some(mut line) = self.take_fresh() {
            if line.sender.is_ready() || self.becomes_ready(&mut line).await {
                return Ok(self.hold(line, true));
            }
        }
        self.connect().await
    }

    /// An upstream that answers before it read the whole request may leave the connection busy with the rest.
    async fn becomes_ready(&self, line: &mut Line) -> bool {
        let ready = tokio::time::timeout(self.settings.connect_timeout, line.sender.ready()).await;
        ready.is_ok_and(|ready| ready.is_ok())
    }

    /// A new connection, whatever the pool holds.
    pub(super) async fn connect(self: &Rc<Self>) -> Result<Held, ConnectError> {
        let heard = Rc::new(Cell::new(false));
        let socket = Heard { socket: self.open_socket().await?, heard: Rc::clone(&heard) };
        let (sender, connection) =
            http1::Builder::new().writev(false).handshake(TokioIo::new(socket)).await?;
        tokio::task::spawn_local(async move {
            // An error here reaches the request in flight through its sender; without one it means that the
            // upstream closed an idle connection.
            let _ = connection.await;
        });
        Ok(self.hold(Line { sender, heard }, false))
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

    fn hold(self: &Rc<Self>, line: Line, is_reused: bool) -> Held {
        Held { line, pool: Rc::downgrade(self), is_reused }
    }

    fn take_fresh(&self) -> Option<Line> {
        let mut idle = self.idle.borrow_mut();
        while let Some(Idle { line, since }) = idle.pop() {
            if since.elapsed() > self.settings.idle_timeout {
                // Below it in the stack everything is older still.
                idle.clear();
                return None;
            }
            if !line.sender.is_closed() {
                return Some(line);
            }
        }
        None
    }

    fn put_back(&self, line: Line) {
        let mut idle = self.idle.borrow_mut();
        if !line.sender.is_closed() && idle.len() < self.settings.max_idle {
            idle.push(Idle { line, since: Instant::now() });
        }
    }
}

impl Held {
    /// The sender for the next request.
    pub(super) fn sender(&mut self) -> &mut SendRequest<Outgoing> {
        self.line.heard.set(false);
        &mut self.line.sender
    }

    /// Whether the upstream sent a byte since the sender was asked for.
    pub(super) fn has_heard(&self) -> bool {
        self.line.heard.get()
    }

    /// Returns the connection to its pool: request and answer reached their end.
    pub(super) fn release(self) {
        let Self { line, pool, is_reused: _ } = self;
        if let Some(pool) = pool.upgrade() {
            pool.put_back(line);
        }
    }
}

/// The upstream's socket, which tells whether anything came from it: a request may be repeated only before that.
struct Heard {
    socket: TcpStream,
    heard: Rc<Cell<bool>>,
}

impl AsyncRead for Heard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let answer = Pin::new(&mut self.socket).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.heard.set(true);
        }
        answer
    }
}

impl AsyncWrite for Heard {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{Request, Response};
    use http_body_util::Full;
    use hyper::{server::conn::http1 as server, service::service_fn};
    use tokio::{net::TcpListener, task::LocalSet};

    use super::*;

    /// A pool before an upstream that answers everything, and how many connections it accepted.
    async fn pool(idle_timeout: Duration, max_idle: usize) -> (Rc<Pool>, Rc<Cell<usize>>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let accepted = Rc::new(Cell::new(0));
        let count = Rc::clone(&accepted);
        tokio::task::spawn_local(async move {
            while let Ok((socket, _)) = listener.accept().await {
                count.set(count.get() + 1);
                let service = service_fn(async |_| {
                    Ok::<_, hyper::Error>(Response::new(Full::new(Bytes::from_static(b"ok"))))
                });
                tokio::task::spawn_local(
                    server::Builder::new().serve_connection(TokioIo::new(socket), service),
                );
            }
        });
        let second = Duration::from_secs(1);
        let settings = UpstreamSettings {
            address,
            connect_timeout: second,
            response_timeout: second,
            idle_timeout,
            max_idle,
        };
        (Rc::new(Pool::new(settings)), accepted)
    }

    async fn ask(held: &mut Held) {
        let request = Request::get("/").header("host", "a").body(Outgoing::Empty).unwrap();
        let answer = held.sender().send_request(request).await.unwrap();
        http_body_util::BodyExt::collect(answer.into_body()).await.unwrap();
    }

    fn on_one_thread(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        LocalSet::new().block_on(&runtime, test);
    }

    #[test]
    fn a_released_connection_serves_again_and_a_dropped_one_does_not() {
        on_one_thread(async {
            let (pool, accepted) = pool(Duration::from_secs(5), 8).await;
            for (releases, connections) in [(true, 1), (true, 1), (false, 1), (true, 2)] {
                let mut held = pool.acquire().await.unwrap();
                ask(&mut held).await;
                assert!(held.has_heard());
                if releases {
                    held.release();
                }
                assert_eq!(accepted.get(), connections);
            }
        });
    }

    #[test]
    fn an_aged_connection_and_one_too_many_are_not_kept() {
        on_one_thread(async {
            let (aging, accepted) = pool(Duration::from_millis(20), 8).await;
            for _ in 0..2 {
                let mut held = aging.acquire().await.unwrap();
                ask(&mut held).await;
                held.release();
                tokio::time::sleep(Duration::from_millis(40)).await;
            }
            assert_eq!(accepted.get(), 2);
            let (small, _) = pool(Duration::from_secs(5), 1).await;
            let (mut one, mut other) = (small.acquire().await.unwrap(), small.acquire().await.unwrap());
            ask(&mut one).await;
            ask(&mut other).await;
            one.release();
            other.release();
            assert_eq!(small.idle.borrow().len(), 1);
        });
    }
}
