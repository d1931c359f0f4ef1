//! A client's socket with what was read of it and what waits to be written.

use std::{
    cell::RefCell,
    fmt,
    future::Future as _,
    io,
    mem::MaybeUninit,
    pin::{Pin, pin},
    rc::{Rc, Weak},
    task::{Context, Poll, Waker, ready},
};

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead as _, AsyncReadExt as _, AsyncWrite as _, ReadBuf};

use super::{
    HeadLimits,
    request::{self, RequestHead},
};
use crate::proxy::engine::{
    arrival::Stream,
    decoder::{Decoder, Taken},
    strict::Strict,
};

/// What one read may take of heads.
const READ: usize = 4 * 1024;

/// What one read may take of a body.
const BODY_READ: usize = 64 * 1024;

/// How much may wait to be written before it is.
const ENOUGH: usize = 16 * 1024;

/// A client's socket.
#[derive(Debug)]
pub(super) struct Wire {
    socket: Strict<Stream>,
    input: BytesMut,
    output: Vec<u8>,
    written: usize,
    /// The body of the request under way.
    body: Decoder,
    /// Which request that is: a body that somebody still holds of an earlier one must not take this one's bytes.
    turn: u64,
    is_continue_due: bool,
    /// Whether leave to send waits to be written, and nothing else.
    is_continue_unsent: bool,
    /// Who wants to hear that the body was taken to its end.
    awaits_body: Option<Waker>,
}

/// Why there is no further head.
#[derive(Debug)]
pub(super) enum NoHead {
    Refused(StatusCode),
    Broken(io::Error),
}

impl Wire {
    pub(super) fn new(socket: Strict<Stream>) -> Self {
        Self {
            socket,
            input: BytesMut::new(),
            output: Vec::new(),
            written: 0,
            body: Decoder::Length(0),
            turn: 0,
            is_continue_due: false,
            is_continue_unsent: false,
            awaits_body: None,
        }
    }

    /// The next request's head; `None` where the client ended, or is told to between two requests.
    pub(super) fn poll_head(
        &mut self,
        limits: HeadLimits,
        is_leaving: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<RequestHead>, NoHead>> {
        loop {
            if let Some(head) = request::take_head(&mut self.input, limits).map_err(NoHead::Refused)? {
                return Poll::Ready(Ok(Some(head)));
            }
            if self.input.is_empty() {
                if is_leaving {
                    return Poll::Ready(Ok(None));
                }
                self.shrink();
            }
            match ready!(self.poll_more(cx)) {
                Ok(0) if self.input.is_empty() => return Poll::Ready(Ok(None)),
                Ok(0) => return Poll::Ready(Err(NoHead::Broken(io::ErrorKind::UnexpectedEof.into()))),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(NoHead::Broken(error))),
            }
        }
    }

    /// Gives back what the last request and its answer took: an idle connection holds no buffers.
    fn shrink(&mut self) {
        self.input = BytesMut::new();
        if self.output.is_empty() {
            self.output = Vec::new();
        }
    }

    /// Reads once, ahead of a head or into one. The first bytes come over the stack, so that waiting for them takes no memory.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if !self.input.is_empty() {
            return self.poll_arrive(READ, cx);
        }
        let mut bytes = [MaybeUninit::uninit(); READ];
        let mut arrived = ReadBuf::uninit(&mut bytes);
        ready!(Pin::new(&mut self.socket).poll_read(cx, &mut arrived))?;
        self.input = BytesMut::from(arrived.filled());
        Poll::Ready(Ok(self.input.len()))
    }

    /// Ready when the client is gone while it should wait for its answer.
    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        if !self.is_body_done() {
            // Whoever takes the body may be another task.
            self.awaits_body = Some(cx.waker().clone());
            return Poll::Pending;
        }
        // Behind what it asked already nothing is read before its turn.
        if !self.input.is_empty() {
            return Poll::Pending;
        }
        match ready!(self.poll_more(cx)) {
            Ok(0) => Poll::Ready(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => Poll::Pending,
            Err(error) => Poll::Ready(error),
        }
    }

    /// Reads once; how many bytes came.
    fn poll_arrive(&mut self, size: usize, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.input.capacity() - self.input.len() < size / 2 {
            self.input.reserve(size);
        }
        pin!(self.socket.read_buf(&mut self.input)).poll(cx)
    }

    /// Where to put the answer, before which nobody is given leave to send a body any more.
    pub(super) const fn begin_answer(&mut self) -> &mut Vec<u8> {
        (self.is_continue_due, self.is_continue_unsent) = (false, false);
        &mut self.output
    }

    /// Where to put what is to be written.
    pub(super) const fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// Whether it is time to write.
    pub(super) const fn has_enough(&self) -> bool {
        self.output.len() >= ENOUGH
    }

    /// Writes everything that waits.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(left) = self.output.get(self.written..).filter(|left| !left.is_empty()) {
            match ready!(Pin::new(&mut self.socket).poll_write(cx, left))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.written += written,
            }
        }
        self.output.clear();
        self.written = 0;
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    /// Whether the request's body was taken to its end.
    pub(super) const fn is_body_done(&self) -> bool {
        self.body.is_done()
    }

    /// Forgets what has arrived of a body that nobody wants, and who took it so far. Tells whether that was all of it.
    pub(super) fn finish_body(&mut self) -> bool {
        self.turn += 1;
        while let Ok(Taken::Data(_)) = self.body.take(&mut self.input) {}
        let is_done = self.is_body_done();
        if is_done {
            self.socket.nothing_is_left();
        }
        is_done
    }

    /// The same, with what can be read at once: head and body often come in two pieces.
    pub(super) fn finish_body_now(&mut self, cx: &mut Context<'_>) -> bool {
        if self.finish_body() || self.is_continue_due {
            return self.is_body_done();
        }
        matches!(self.poll_arrive(BODY_READ, cx), Poll::Ready(Ok(count)) if count > 0) && self.finish_body()
    }

    /// Tells the client that nothing more comes.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }

    /// The socket, and what was read of it already.
    pub(super) fn into_parts(self) -> (Strict<Stream>, Bytes) {
        (self.socket, self.input.freeze())
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        if self.is_continue_due {
            self.is_continue_due = false;
            if self.input.is_empty() {
                self.output.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
                self.is_continue_unsent = true;
            }
        }
        loop {
            match self
                .body
                .take(&mut self.input)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?
            {
                Taken::Data(data) => return Poll::Ready(Ok(Some(data))),
                Taken::End => return Poll::Ready(Ok(None)),
                Taken::Nothing => {}
            }
            if self.is_continue_unsent {
                ready!(self.poll_write(cx))?;
                self.is_continue_unsent = false;
            }
            match ready!(self.poll_arrive(BODY_READ, cx)) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

/// The body of the request under way, as it comes. It does not keep the connection: a codec that holds it longer than the
/// request lasts would.
pub(in crate::proxy::engine) struct ClientBody {
    wire: Weak<RefCell<Wire>>,
    turn: u64,
}

impl ClientBody {
    /// The body behind a head that was just taken.
    pub(super) fn begin(wire: &Rc<RefCell<Wire>>, body: Decoder, expects_continue: bool) -> Self {
        let mut begun = wire.borrow_mut();
        begun.body = body;
        begun.turn += 1;
        begun.is_continue_due = expects_continue && !body.is_done();
        Self { wire: Rc::downgrade(wire), turn: begun.turn }
    }
}

impl ClientBody {
    /// The connection, as long as it is this request's turn.
    fn wire(&self) -> Option<Rc<RefCell<Wire>>> {
        self.wire.upgrade().filter(|wire| wire.borrow().turn == self.turn)
    }
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let Some(wire) = self.wire() else {
            return Poll::Ready(Some(Err(io::ErrorKind::BrokenPipe.into())));
        };
        let mut wire = wire.borrow_mut();
        let data = ready!(wire.poll_body(cx));
        if wire.is_body_done()
            && let Some(waiting) = wire.awaits_body.take()
        {
            waiting.wake();
        }
        Poll::Ready(data.transpose().map(|data| data.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.wire().is_some_and(|wire| wire.borrow().is_body_done())
    }

    fn size_hint(&self) -> SizeHint {
        match self.wire().map(|wire| wire.borrow().body) {
            Some(Decoder::Length(left)) => SizeHint::with_exact(left),
            Some(Decoder::Chunked(..) | Decoder::UntilClose) | None => SizeHint::default(),
        }
    }
}

impl fmt::Debug for ClientBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientBody")
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, time::Duration};

    use http_body_util::BodyExt as _;
    use tokio::{
        io::AsyncWriteExt as _,
        net::{TcpListener, TcpStream},
    };

    use super::*;
    use crate::proxy::engine::{
        progress::{Observed, Patience, Progress},
        stall::Pace,
    };

    const LIMITS: HeadLimits = HeadLimits { bytes: 1024, fields: 10 };

    /// A wire, and the client's end of it.
    async fn wire() -> (Rc<RefCell<Wire>>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (far, near) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        let second = Duration::from_secs(1);
        let pace = Pace { grace: second, bytes_per_second: 0 };
        let progress = Progress::start(Patience { head: second, idle: second, write: second, pace });
        let (socket, _left) = Observed::new(near.unwrap().0, Rc::clone(&progress));
        let socket = Strict::new(Stream::Plain(socket), progress, LIMITS.bytes);
        (Rc::new(RefCell::new(Wire::new(socket))), far.unwrap())
    }

    async fn head(wire: &RefCell<Wire>) -> RequestHead {
        poll_fn(|cx| wire.borrow_mut().poll_head(LIMITS, false, cx)).await.unwrap().unwrap()
    }

    async fn read(body: &mut ClientBody) -> Result<Vec<u8>, io::ErrorKind> {
        let mut bytes = Vec::new();
        while let Some(frame) = body.frame().await {
            bytes.extend_from_slice(&frame.map_err(|error| error.kind())?.into_data().unwrap());
        }
        Ok(bytes)
    }

    #[tokio::test]
    async fn a_body_ends_with_its_request_whoever_still_holds_it() {
        let (wire, mut client) = wire().await;
        client.write_all(b"POST /a HTTP/1.1\r\nContent-Length: 5\r\n\r\nfirst").await.unwrap();
        client.write_all(b"POST /b HTTP/1.1\r\nContent-Length: 6\r\n\r\nsecond").await.unwrap();
        let first = head(&wire).await;
        let mut held = ClientBody::begin(&wire, first.body, false);
        assert!(wire.borrow_mut().finish_body(), "it had arrived");
        let second = head(&wire).await;
        assert_eq!(second.head.uri, "/b");
        let mut body = ClientBody::begin(&wire, second.body, false);
        assert_eq!(read(&mut held).await, Err(io::ErrorKind::BrokenPipe));
        assert_eq!(read(&mut body).await, Ok(b"second".to_vec()));
    }

    #[tokio::test]
    async fn leave_to_send_is_given_when_a_body_is_wanted_and_only_then() {
        for (wants, sent) in [(true, &b"HTTP/1.1 100 Continue\r\n\r\nx"[..]), (false, b"x")] {
            let (wire, mut client) = wire().await;
            let mut body = ClientBody::begin(&wire, Decoder::CHUNKED, true);
            if wants {
                let asking = tokio::time::timeout(Duration::from_millis(50), body.frame()).await;
                assert!(asking.is_err(), "nothing came");
            }
            wire.borrow_mut().begin_answer().push(b'x');
            poll_fn(|cx| wire.borrow_mut().poll_write(cx)).await.unwrap();
            let mut heard = vec![0; sent.len()];
            client.read_exact(&mut heard).await.unwrap();
            assert_eq!(heard, sent);
        }
    }

    #[tokio::test]
    async fn an_idle_connection_holds_no_buffers() {
        let (wire, mut client) = wire().await;
        let sent = vec![b'x'; 300_000];
        let sending = async {
            client.write_all(b"POST / HTTP/1.1\r\nContent-Length: 300000\r\n\r\n").await.unwrap();
            client.write_all(&sent).await.unwrap();
        };
        let receiving = async {
            let mut body = ClientBody::begin(&wire, head(&wire).await.body, false);
            read(&mut body).await
        };
        let ((), received) = tokio::join!(sending, receiving);
        assert_eq!(received.unwrap().len(), sent.len());
        let waiting = tokio::time::timeout(Duration::from_millis(20), head(&wire)).await;
        assert!(waiting.is_err(), "nothing was asked");
        assert_eq!((wire.borrow().input.capacity(), wire.borrow().output.capacity()), (0, 0));
    }
}
