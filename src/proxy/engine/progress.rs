//! Time limits of a client's connection: how long it may be silent, and how long a request head may take.
//!
//! hyper has one timer for both, which would either cut idle keep-alive connections early or let a slow head linger.
//! The socket reports the first byte of a head, the exchange reports when it is busy and when it is done, and one timer
//! a connection is re-armed only when a deadline moves forward in time.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::time::{Instant, Sleep};

/// No deadline: something else limits the connection.
const NEVER: u64 = u64::MAX;

/// What a connection is doing. It never leaves its thread; it is atomic only because hyper wants an upgradeable socket to
/// be `Send`.
#[derive(Debug)]
pub(super) struct Progress {
    began: Instant,
    /// Milliseconds after `began`.
    deadline: AtomicU64,
    is_idle: AtomicBool,
    idle_timeout: Duration,
    header_timeout: Duration,
}

impl Progress {
    /// A new connection: it must send a head soon.
    pub(super) fn start(idle_timeout: Duration, header_timeout: Duration) -> Arc<Self> {
        let progress = Self {
            began: Instant::now(),
            deadline: AtomicU64::new(NEVER),
            is_idle: AtomicBool::new(true),
            idle_timeout,
            header_timeout,
        };
        progress.expect_within(header_timeout);
        Arc::new(progress)
    }

    /// A whole head arrived; the exchange has its own limits.
    pub(super) fn busy(&self) {
        self.deadline.store(NEVER, Relaxed);
        self.is_idle.store(false, Relaxed);
    }

    /// The exchange ended; the client may think for a while.
    pub(super) fn idle(&self) {
        self.expect_within(self.idle_timeout);
        self.is_idle.store(true, Relaxed);
    }

    fn bytes_arrived(&self) {
        if self.is_idle.load(Relaxed) {
            self.is_idle.store(false, Relaxed);
            self.expect_within(self.header_timeout);
        }
    }

    fn expect_within(&self, patience: Duration) {
        let deadline = self.began.elapsed() + patience;
        self.deadline.store(u64::try_from(deadline.as_millis()).unwrap_or(NEVER), Relaxed);
    }

    fn deadline(&self) -> Option<Instant> {
        let deadline = self.deadline.load(Relaxed);
        (deadline != NEVER).then(|| self.began + Duration::from_millis(deadline))
    }
}

/// A client's socket that reports when a head begins.
#[derive(Debug)]
pub(super) struct Observed<S> {
    socket: S,
    progress: Arc<Progress>,
}

impl<S> Observed<S> {
    pub(super) const fn new(socket: S, progress: Arc<Progress>) -> Self {
        Self { socket, progress }
    }
}

impl<S: Read + Unpin> Read for Observed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let answer = Pin::new(&mut self.socket).poll_read(cx, buffer);
        if answer.is_ready() {
            self.progress.bytes_arrived();
        }
        answer
    }
}

impl<S: Write + Unpin> Write for Observed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, slices)
    }
}

/// Completes when the connection has outstayed its deadline; polled after the connection itself.
pub(super) struct Watchdog {
    progress: Arc<Progress>,
    timer: Pin<Box<Sleep>>,
}

impl Watchdog {
    pub(super) fn new(progress: Arc<Progress>) -> Self {
        let first = progress.deadline().unwrap_or_else(Instant::now);
        Self { progress, timer: Box::pin(tokio::time::sleep_until(first)) }
    }
}

impl Future for Watchdog {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // A later deadline waits for the timer that is already armed: no timer is touched for a quick request.
        if let Some(deadline) = self.progress.deadline()
            && deadline < self.timer.deadline()
        {
            self.timer.as_mut().reset(deadline);
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            match self.progress.deadline() {
                Some(deadline) if deadline <= Instant::now() => return Poll::Ready(()),
                Some(deadline) => self.timer.as_mut().reset(deadline),
                None => {
                    let far = Instant::now() + self.progress.idle_timeout;
                    self.timer.as_mut().reset(far);
                }
            }
        }
        Poll::Pending
    }
}
