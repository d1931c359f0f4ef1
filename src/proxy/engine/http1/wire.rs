//! A client's socket with what was read of it and what waits to be written.

use std::{
    cell::RefCell,
    fmt,
    future::Future as _,
    io,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncReadExt as _, AsyncWrite as _};

use super::{
    HeadLimits,
    request::{self, RequestHead},
};
use crate::proxy::engine::{
    arrival::Stream,
    decoder::{Decoder, Taken},
    strict::Strict,
};

/// What one read may take of heads. An idle connection keeps no more.
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
            match ready!(self.poll_arrive(READ, cx)) {
                Ok(0) if self.input.is_empty() => return Poll::Ready(Ok(None)),
                Ok(0) => return Poll::Ready(Err(NoHead::Broken(io::ErrorKind::UnexpectedEof.into()))),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(NoHead::Broken(error))),
            }
        }
    }

    /// Gives back what a large body or answer took.
    fn shrink(&mut self) {
        if self.input.capacity() > READ {
            self.input = BytesMut::new();
        }
        if self.output.capacity() > READ && self.output.is_empty() {
            self.output = Vec::new();
        }
    }

    /// Ready when the client is gone while it should wait for its answer.
    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        // Behind what it asked already nothing is read before its turn.
        if !self.is_body_done() || !self.input.is_empty() {
            return Poll::Pending;
        }
        match ready!(self.poll_arrive(READ, cx)) {
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
        self.is_continue_due = false;
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
        self.is_body_done()
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
            if !self.output.is_empty() {
                // The client may be waiting for it. Nothing else waits here before the answer's head does.
                ready!(self.poll_write(cx))?;
            }
            match ready!(self.poll_arrive(BODY_READ, cx)) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

/// The body of the request under way, as it comes.
pub(in crate::proxy::engine) struct ClientBody {
    wire: Rc<RefCell<Wire>>,
    turn: u64,
}

impl ClientBody {
    /// The body behind a head that was just taken.
    pub(super) fn begin(wire: &Rc<RefCell<Wire>>, body: Decoder, expects_continue: bool) -> Self {
        let mut begun = wire.borrow_mut();
        begun.body = body;
        begun.turn += 1;
        begun.is_continue_due = expects_continue && !body.is_done();
        Self { wire: Rc::clone(wire), turn: begun.turn }
    }
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let mut wire = self.wire.borrow_mut();
        if self.turn != wire.turn {
            return Poll::Ready(Some(Err(io::ErrorKind::BrokenPipe.into())));
        }
        let data = ready!(wire.poll_body(cx));
        Poll::Ready(data.transpose().map(|data| data.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.wire.borrow().is_body_done()
    }

    fn size_hint(&self) -> SizeHint {
        match self.wire.borrow().body {
            Decoder::Length(left) => SizeHint::with_exact(left),
            Decoder::Chunked(_) | Decoder::UntilClose => SizeHint::default(),
        }
    }
}

impl fmt::Debug for ClientBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientBody")
    }
}
