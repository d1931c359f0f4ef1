//! Time limits of a client's connection: how long it may be silent, how long a request head may take, and how long it
//! may leave an answer unread.
//!
//! One limit for heads and idleness would either cut idle keep-alive connections early or let a slow head linger. The socket reports the first byte of a head and a write that does not go on, the
//! exchange reports when it is busy and when it is done, and one timer a connection is re-armed only when a deadline
//! comes nearer.

use std::{
    cell::Cell,
    future::Future,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::oneshot,
    time::{Instant, Sleep},
};

use super::{stall::Pace, strict::Violation};

/// No deadline: something else limits the connection.
const NEVER: u64 = u64::MAX;

/// What a client of HTTP/2 may send that is neither a request nor a body, and moves no answer: pings, settings, empty frames.
/// More than the window of a connection: bodies that nobody has read yet count until somebody does.
const MAX_NOISE: u64 = 1024 * 1024;

/// How long a client of HTTP/2 may take to agree that the connection ends.
const LEAVE: Duration = Duration::from_secs(1);

/// How patient the gate is with a client.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// From the first byte of a head to its last.
    pub(super) head: Duration,
    /// Between two requests.
    pub(super) idle: Duration,
    /// Until it reads on.
    pub(super) write: Duration,
    /// While it sends a body.
    pub(super) pace: Pace,
}

/// What a connection is doing.
#[derive(Debug)]
pub(super) struct Progress {
    began: Instant,
    /// Milliseconds after `began` at which the client must have sent something.
    speak_by: Cell<u64>,
    /// Milliseconds after `began` at which the client must have read something.
    read_by: Cell<u64>,
    /// Exchanges under way; more than one on HTTP/2 alone.
    busy: Cell<usize>,
    /// Bytes that arrived since anything useful.
    noise: Cell<u64>,
    is_multiplexed: Cell<bool>,
    is_leaving: Cell<bool>,
    is_idle: Cell<bool>,
    was_used: Cell<bool>,
    left_unread: Cell<bool>,
    is_upgraded: Cell<bool>,
    violation: Cell<Option<Violation>>,
    patience: Patience,
}

/// An exchange under way; when the last of a connection ends, the client may think for a while.
#[derive(Debug)]
pub(super) struct Busy(Rc<Progress>);

impl Drop for Busy {
    fn drop(&mut self) {
        let left = self.0.busy.get().saturating_sub(1);
        self.0.busy.set(left);
        if left == 0 {
            self.0.idle();
        }
    }
}

/// Why a connection ends before its client ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overdue {
    /// Nothing came for too long.
    Silent,
    /// An answer was not read for too long.
    Unread,
    /// Too much came that is of no use.
    Noisy,
}

impl Progress {
    /// A new connection: it must send a head soon.
    pub(super) fn start(patience: Patience) -> Rc<Self> {
        let progress = Self {
            began: Instant::now(),
            speak_by: Cell::new(NEVER),
            read_by: Cell::new(NEVER),
            busy: Cell::new(0),
            noise: Cell::new(0),
            is_multiplexed: Cell::new(false),
            is_leaving: Cell::new(false),
            is_idle: Cell::new(true),
            was_used: Cell::new(false),
            left_unread: Cell::new(false),
            is_upgraded: Cell::new(false),
            violation: Cell::new(None),
            patience,
        };
        progress.await_head();
        Rc::new(progress)
    }

    /// How slow its bodies may be.
    pub(super) fn pace(&self) -> Pace {
        self.patience.pace
    }

    /// Whatever had to come before the first head has come.
    pub(super) fn await_head(&self) {
        self.speak_by.set(self.after(self.patience.head));
        self.is_idle.set(true);
    }

    /// Requests will come side by side, and between them what is none.
    pub(super) fn multiplex(&self) {
        self.is_multiplexed.set(true);
    }

    /// Whether they do.
    pub(super) fn is_multiplexed(&self) -> bool {
        self.is_multiplexed.get()
    }

    /// The client was told to leave. One of HTTP/2 has to agree to that, and has a moment for it once nothing is under way.
    pub(super) fn leave(&self) {
        self.is_leaving.set(true);
        if self.is_multiplexed() && self.busy.get() == 0 {
            self.idle();
        }
    }

    /// A request came, or bytes of a body moved.
    pub(super) fn useful(&self) {
        self.noise.set(0);
    }

    /// The client makes work for nothing.
    pub(super) fn flooded(&self) {
        self.noise.set(NEVER);
    }

    /// A whole head arrived; the exchange has its own limits.
    pub(super) fn busy(self: &Rc<Self>) -> Busy {
        self.busy.set(self.busy.get() + 1);
        self.useful();
        self.speak_by.set(NEVER);
        self.is_idle.set(false);
        self.was_used.set(true);
        self.left_unread.set(false);
        Busy(Rc::clone(self))
    }

    /// The exchange ended; the client may think for a while.
    fn idle(&self) {
        let is_leaving = self.is_multiplexed() && self.is_leaving.get();
        let patience = if is_leaving { LEAVE } else { self.patience.idle };
        self.speak_by.set(self.after(patience));
        self.is_idle.set(true);
    }

    /// The request's body was not read to its end: the client may still be sending it.
    pub(super) fn leave_unread(&self) {
        self.left_unread.set(true);
    }

    /// It was read after all.
    pub(super) fn nothing_left(&self) {
        self.left_unread.set(false);
    }

    /// Whether the client may still be sending what nobody will read.
    pub(super) fn has_left_unread(&self) -> bool {
        self.left_unread.get()
    }

    /// Whether a request ever arrived.
    pub(super) fn was_used(&self) -> bool {
        self.was_used.get()
    }

    /// What follows is another protocol.
    pub(super) fn upgraded(&self) {
        self.is_upgraded.set(true);
    }

    /// Whether another protocol is spoken.
    pub(super) fn is_upgraded(&self) -> bool {
        self.is_upgraded.get()
    }

    /// What arrived left the framing of HTTP/1; the first time counts.
    pub(super) fn violated(&self, violation: Violation) {
        self.violation.set(self.violation.get().or(Some(violation)));
    }

    /// How the client left the framing of HTTP/1.
    pub(super) fn violation(&self) -> Option<Violation> {
        self.violation.get()
    }

    fn bytes_arrived(&self, count: usize) {
        if self.is_multiplexed.get() {
            // A ping is no head: it neither begins the time of one nor prolongs the pause.
            self.noise.set(self.noise.get().saturating_add(count as u64));
        } else if self.is_idle.get() {
            self.is_idle.set(false);
            self.speak_by.set(self.after(self.patience.head));
        }
    }

    fn wrote(&self, is_blocked: bool) {
        let is_waiting = self.read_by.get() != NEVER;
        if is_blocked && !is_waiting {
            self.read_by.set(self.after(self.patience.write));
        } else if !is_blocked && is_waiting {
            self.read_by.set(NEVER);
        }
    }

    fn after(&self, patience: Duration) -> u64 {
        u64::try_from((self.began.elapsed() + patience).as_millis()).unwrap_or(NEVER)
    }

    fn deadline(&self) -> Option<Instant> {
        let deadline = self.speak_by.get().min(self.read_by.get());
        (deadline != NEVER).then(|| self.began + Duration::from_millis(deadline))
    }

    /// What the client is at fault for when the deadline has come.
    fn fault(&self) -> Overdue {
        let is_unread = self.read_by.get() < self.speak_by.get();
        if is_unread { Overdue::Unread } else { Overdue::Silent }
    }

    fn is_noisy(&self) -> bool {
        self.noise.get() > MAX_NOISE
    }
}

/// A client's socket that reports when a head begins and when the client does not read, and that is handed out when the
/// connection is done with it.
#[derive(Debug)]
pub(super) struct Observed<S> {
    /// Present until the drop.
    socket: Option<S>,
    /// What was read and put back.
    unread: Bytes,
    progress: Rc<Progress>,
    afterwards: Option<oneshot::Sender<S>>,
}

impl<S: Unpin> Observed<S> {
    /// Observes `socket`, and where it will be found after the drop.
    pub(super) fn new(socket: S, progress: Rc<Progress>) -> (Self, oneshot::Receiver<S>) {
        let (afterwards, left) = oneshot::channel();
        let unread = Bytes::new();
        (Self { socket: Some(socket), unread, progress, afterwards: Some(afterwards) }, left)
    }

    /// Lets whoever reads next begin with these.
    pub(super) fn put_back(&mut self, bytes: Bytes) {
        self.unread =
            if self.unread.is_empty() { bytes } else { [bytes, self.unread.clone()].concat().into() };
    }

    fn socket(&mut self) -> io::Result<Pin<&mut S>> {
        self.socket.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Observed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.unread.is_empty() {
            let count = self.unread.len().min(buffer.remaining());
            buffer.put_slice(&self.unread.split_to(count));
            self.progress.bytes_arrived(count);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let answer = self.socket()?.poll_read(cx, buffer);
        if answer.is_ready() {
            self.progress.bytes_arrived(buffer.filled().len() - before);
        }
        answer
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Observed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let answer = self.socket()?.poll_write(cx, bytes);
        self.progress.wrote(answer.is_pending());
        answer
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket()?.poll_shutdown(cx)
    }
}

impl<S> Drop for Observed<S> {
    fn drop(&mut self) {
        if let (Some(socket), Some(afterwards)) = (self.socket.take(), self.afterwards.take()) {
            // Nobody wants it where the connection became something else.
            let _ = afterwards.send(socket);
        }
    }
}

/// Completes when the connection has outstayed its deadline; polled after the connection itself.
pub(super) struct Watchdog {
    progress: Rc<Progress>,
    timer: Pin<Box<Sleep>>,
}

impl Watchdog {
    pub(super) fn new(progress: Rc<Progress>) -> Self {
        let first = progress.deadline().unwrap_or_else(Instant::now);
        Self { progress, timer: Box::pin(tokio::time::sleep_until(first)) }
    }
}

impl Future for Watchdog {
    type Output = Overdue;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Overdue> {
        if self.progress.is_noisy() {
            return Poll::Ready(Overdue::Noisy);
        }
        // A later deadline waits for the timer that is already armed: no timer is touched for a quick request.
        if let Some(deadline) = self.progress.deadline()
            && deadline < self.timer.deadline()
        {
            self.timer.as_mut().reset(deadline);
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            match self.progress.deadline() {
                Some(deadline) if deadline <= Instant::now() => return Poll::Ready(self.progress.fault()),
                Some(deadline) => self.timer.as_mut().reset(deadline),
                None => {
                    let far = Instant::now() + self.progress.patience.idle;
                    self.timer.as_mut().reset(far);
                }
            }
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const IDLE: Duration = Duration::from_millis(400);
    const HEADER: Duration = Duration::from_millis(100);
    const PATIENCE: Patience =
        Patience { head: HEADER, idle: IDLE, write: IDLE, pace: Pace { grace: IDLE, bytes_per_second: 0 } };

    /// How long a connection lives on which `steps` happen.
    async fn lives(steps: impl AsyncFnOnce(&Rc<Progress>)) -> Duration {
        let progress = Progress::start(PATIENCE);
        let began = Instant::now();
        let mut watchdog = std::pin::pin!(Watchdog::new(Rc::clone(&progress)));
        let mut steps = std::pin::pin!(steps(&progress));
        let mut are_over = false;
        loop {
            tokio::select! {
                biased;
                () = steps.as_mut(), if !are_over => are_over = true,
                _ = watchdog.as_mut() => return began.elapsed(),
            }
        }
    }

    fn on_one_thread(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
    }

    fn is_about(lived: Duration, expected: Duration) {
        let range = expected - Duration::from_millis(10)..expected + Duration::from_millis(250);
        assert!(range.contains(&lived), "{lived:?} is not about {expected:?}");
    }

    #[test]
    fn a_silent_connection_and_a_slow_head_end_with_the_header_limit() {
        on_one_thread(async {
            is_about(lives(async |_| {}).await, HEADER);
            let slow_head = lives(async |progress| {
                for _ in 0..4 {
                    progress.bytes_arrived(1);
                    tokio::time::sleep(HEADER / 5).await;
                }
            });
            is_about(slow_head.await, HEADER);
        });
    }

    #[test]
    fn a_used_connection_may_idle_longer_than_a_head_may_take() {
        on_one_thread(async {
            let lived = lives(async |progress| {
                progress.bytes_arrived(1);
                drop(progress.busy());
            });
            is_about(lived.await, IDLE);
            let second_head = lives(async |progress| {
                drop(progress.busy());
                tokio::time::sleep(HEADER).await;
                progress.bytes_arrived(1);
            });
            is_about(second_head.await, HEADER * 2);
        });
    }

    #[test]
    fn an_exchange_has_no_limit_here_but_an_unread_answer_has() {
        on_one_thread(async {
            let exchange = lives(async |progress| {
                let busy = progress.busy();
                tokio::time::sleep(IDLE + HEADER).await;
                drop(busy);
            });
            is_about(exchange.await, IDLE * 2 + HEADER);
            let unread = lives(async |progress| {
                let _busy = progress.busy();
                progress.wrote(true);
                tokio::time::sleep(IDLE / 2).await;
                progress.wrote(true);
                tokio::time::sleep(IDLE).await;
            });
            is_about(unread.await, IDLE);
            let resumed = lives(async |progress| {
                let _busy = progress.busy();
                progress.wrote(true);
                tokio::time::sleep(IDLE / 2).await;
                progress.wrote(false);
                progress.wrote(true);
                tokio::time::sleep(IDLE * 2).await;
            });
            is_about(resumed.await, IDLE + IDLE / 2);
        });
    }

    #[test]
    fn an_observed_socket_reports_and_is_handed_out_afterwards() {
        on_one_thread(async {
            let progress = Progress::start(PATIENCE);
            let (near, mut far) = tokio::io::duplex(4);
            let (mut observed, left) = Observed::new(near, Rc::clone(&progress));
            far.write_all(b"GET").await.unwrap();
            observed.read_exact(&mut [0; 3]).await.unwrap();
            assert!(!progress.is_idle.get(), "a head began");
            let blocked = tokio::time::timeout(Duration::from_millis(20), observed.write_all(b"too long"));
            assert!(blocked.await.is_err());
            assert_ne!(progress.read_by.get(), NEVER, "nobody reads");
            drop(observed);
            let mut socket = left.await.expect("the socket is left over");
            far.write_all(b"!").await.unwrap();
            assert_eq!(socket.read_u8().await.unwrap(), b'!');
        });
    }
}
