//! Bodies on their way through: streamed, bounded, without trailers.
//!
//! A frame that never comes ends the exchange after the idle limit; more bytes than the limit end it with an error that
//! the exchange turns into 413. Trailers are dropped in both directions: they are a second header section, and an
//! identity header must not travel in it.

use std::{
    cell::Cell,
    fmt,
    future::poll_fn,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::{
    form::Form, http1::ClientBody, http2::StreamWatch, progress::Progress, scan::Scan, stall::Stall,
    upstream::AnswerBody,
};
use crate::proxy::address_limit::TooMany;

/// Why a body ended before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BodyError {
    /// The peer sent more than the limit.
    #[error("body exceeds the limit")]
    TooLarge,
    /// The peer was silent for too long.
    #[error("body stalled")]
    Stalled,
    /// The peer closed or broke the framing.
    #[error("body broke off")]
    Broken,
    /// The body asks for more sign-ins than its sender's address has left.
    #[error("body holds too many sign-ins")]
    TooManyLogins(TooMany),
}

/// An incoming body that is passed on frame by frame.
pub(super) struct Relay {
    source: Source,
    /// The most bytes that may pass.
    limit: u64,
    stall: Stall,
    trail: Rc<Trail>,
    passed: u64,
    scan: Option<Scan>,
    /// A piece that was read before anybody asked for it.
    ahead: Option<Bytes>,
    /// The client's connection, where the body is a client's.
    client: Option<Rc<Progress>>,
}

/// Where a body comes from.
pub(super) enum Source {
    /// A client of HTTP/1.
    Client(ClientBody),
    /// A client of HTTP/2, or an upstream on a connection of its own.
    Incoming(Incoming),
    Upstream(AnswerBody),
}

/// How a body fares, for the exchange, which outlives it.
#[derive(Debug)]
pub(super) struct Trail {
    fate: Cell<Fate>,
    moved: Cell<Instant>,
    awaits_sender: Cell<bool>,
}

/// Where a body is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Not all of it was read.
    UnderWay,
    /// Every byte was handed over.
    Complete,
    /// It ended before its end.
    Failed(BodyError),
}

/// How a body's way through the gate ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    /// Bytes handed over.
    pub(super) bytes: u64,
    /// Every byte was handed over: the connection it came on can serve again.
    pub(super) is_complete: bool,
}

impl Relay {
    /// Passes on what comes from `source`, at most `limit` bytes of it (`None`: any number).
    pub(super) fn new(source: Source, limit: Option<u64>, idle: Duration) -> Self {
        let trail = Rc::new(Trail::new());
        if source.is_end_stream() {
            trail.fate.set(Fate::Complete);
        }
        Self {
            source,
            limit: limit.unwrap_or(u64::MAX),
            stall: Stall::new(idle),
            trail,
            passed: 0,
            scan: None,
            ahead: None,
            client: None,
        }
    }

    /// Takes no less than its connection's pace from a client, and tells the connection of what comes.
    pub(super) fn of_client(mut self, client: &Rc<Progress>) -> Self {
        self.client = Some(Rc::clone(client));
        self
    }

    /// Watches over the body from its first piece, which is read now: what is refused for it never reaches the upstream.
    pub(super) async fn scan(&mut self, scan: Scan) -> Result<(), BodyError> {
        self.scan = Some(scan);
        if self.is_end_stream() {
            return Ok(());
        }
        let first = poll_fn(|cx| Pin::new(&mut *self).poll_frame(cx)).await.transpose()?;
        self.ahead = first.and_then(|frame| frame.into_data().ok());
        Ok(())
    }

    /// Where to see how it fares.
    pub(super) fn trail(&self) -> Rc<Trail> {
        Rc::clone(&self.trail)
    }

    fn ended(&self) -> Ended {
        Ended { bytes: self.passed, is_complete: self.trail.is_complete() }
    }

    /// The answer's connection, if that is where the body came from.
    fn into_upstream(self) -> Option<AnswerBody> {
        match self.source {
            Source::Upstream(body) => Some(body),
            Source::Client(_) | Source::Incoming(_) => None,
        }
    }

    fn end(&self) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.trail.fate.set(Fate::Complete);
        Poll::Ready(None)
    }

    fn fail(&self, error: BodyError) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.trail.fate.set(Fate::Failed(error));
        Poll::Ready(Some(Err(error)))
    }

    fn pass(&mut self, data: Bytes) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(Err(error)) = self.scan.as_mut().map(|scan| scan.look(&data)) {
            return self.fail(error);
        }
        let length = data.len() as u64;
        if let Some(client) = &self.client {
            client.useful();
        }
        if length > self.limit.saturating_sub(self.passed) {
            return self.fail(BodyError::TooLarge);
        }
        self.passed += length;
        // Whoever takes a body of known length does not ask again after its last byte.
        if self.source.is_end_stream() {
            self.trail.fate.set(Fate::Complete);
        }
        Poll::Ready(Some(Ok(Frame::data(data))))
    }
}

impl Source {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let broken = BodyError::Broken;
        match self {
            Self::Client(body) => Pin::new(body).poll_frame(cx).map_err(|_cause| broken),
            Self::Incoming(body) => Pin::new(body).poll_frame(cx).map_err(|_cause| broken),
            Self::Upstream(body) => Pin::new(body).poll_frame(cx).map_err(|_cause| broken),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Client(body) => body.is_end_stream(),
            Self::Incoming(body) => body.is_end_stream(),
            Self::Upstream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Client(body) => body.size_hint(),
            Self::Incoming(body) => body.size_hint(),
            Self::Upstream(body) => body.size_hint(),
        }
    }
}

impl Body for Relay {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(data) = self.ahead.take() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        let frame = loop {
            match self.source.poll_frame(cx) {
                // A frame without bytes is no sign of life: HTTP/2 has them, and a flood could be made of them.
                Poll::Ready(Some(Ok(frame))) if frame.data_ref().is_some_and(Bytes::is_empty) => {}
                Poll::Ready(frame) => break frame,
                Poll::Pending => {
                    self.trail.awaits_sender.set(true);
                    let (passed, pace) = (self.passed, self.client.as_ref().map(|client| client.pace()));
                    ready!(self.stall.poll(passed, pace, cx));
                    return self.fail(BodyError::Stalled);
                }
            }
        };
        self.stall.moved();
        self.trail.moved();
        match frame {
            None => self.end(),
            Some(Err(error)) => self.fail(error),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => self.pass(data),
                Err(_trailers) => self.end(),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ahead.is_none() && self.source.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let hint = self.source.size_hint();
        let ahead = self.ahead.as_ref().map_or(0, |data| data.len() as u64);
        hint.exact().map_or(hint, |rest| SizeHint::with_exact(rest + ahead))
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").field("passed", &self.passed).finish_non_exhaustive()
    }
}

impl Trail {
    fn new() -> Self {
        Self {
            fate: Cell::new(Fate::UnderWay),
            moved: Cell::new(Instant::now()),
            awaits_sender: Cell::new(false),
        }
    }

    fn moved(&self) {
        self.moved.set(Instant::now());
        self.awaits_sender.set(false);
    }

    /// Where the body is.
    pub(super) const fn fate(&self) -> Fate {
        self.fate.get()
    }

    /// Whether every byte was handed over.
    pub(super) fn is_complete(&self) -> bool {
        self.fate() == Fate::Complete
    }

    /// Since when the receiver of the body is the one who is waited for: since its last byte, or not at all while the
    /// sender owes the next one.
    pub(super) fn receiver_owes_since(&self) -> Option<Instant> {
        let sender_owes = self.fate() == Fate::UnderWay && self.awaits_sender.get();
        (!sender_owes).then(|| self.moved.get())
    }
}

/// What goes to the upstream.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// No body.
    Empty,
    /// A collected form, sent again byte for byte; its share of the room is free when it is gone.
    Whole(Form),
    /// The client's body as it comes.
    Relayed(Relay),
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Whole(form) if form.bytes.is_empty() => Poll::Ready(None),
            Self::Whole(form) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut form.bytes))))),
            Self::Relayed(relay) => Pin::new(relay).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Whole(form) => form.bytes.is_empty(),
            Self::Relayed(relay) => relay.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Whole(form) => SizeHint::with_exact(form.bytes.len() as u64),
            Self::Relayed(relay) => relay.size_hint(),
        }
    }
}

/// What goes to the client. `on_end` runs once, when the last byte was handed over or the client went away, and gets the
/// upstream's connection.
pub(super) struct Answer {
    content: Content,
    /// The HTTP/2 stream that it goes out on.
    stream: Option<Rc<StreamWatch>>,
    on_end: Option<Box<OnEnd>>,
}

/// What follows an answer, and is given the connection that it came on.
type OnEnd = dyn FnOnce(Ended, Option<AnswerBody>);

enum Content {
    Own(Bytes, u64),
    Upstream(Relay),
}

impl Answer {
    /// A body of our own.
    pub(super) fn own(bytes: Bytes, on_end: impl FnOnce(Ended, Option<AnswerBody>) + 'static) -> Self {
        let length = bytes.len() as u64;
        Self { content: Content::Own(bytes, length), stream: None, on_end: Some(Box::new(on_end)) }
    }

    /// The upstream's body as it comes.
    pub(super) fn upstream(relay: Relay, on_end: impl FnOnce(Ended, Option<AnswerBody>) + 'static) -> Self {
        Self { content: Content::Upstream(relay), stream: None, on_end: Some(Box::new(on_end)) }
    }

    /// Whether the gate says it, and not the upstream.
    pub(super) const fn is_own(&self) -> bool {
        matches!(self.content, Content::Own(..))
    }

    /// Sends on what is left of the request, while nothing of the answer can be passed.
    pub(super) fn go_on(&mut self, cx: &mut Context<'_>) {
        if let Content::Upstream(Relay { source: Source::Upstream(body), .. }) = &mut self.content {
            body.go_on(cx);
        }
    }

    /// Goes out on an HTTP/2 stream, which hears how it fares.
    pub(super) fn on(mut self, stream: Option<Rc<StreamWatch>>) -> Self {
        if let Some(stream) = &stream {
            stream.client_owes();
        }
        self.stream = stream;
        self
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = match &mut self.content {
            Content::Own(bytes, _) if bytes.is_empty() => Poll::Ready(None),
            Content::Own(bytes, _) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Content::Upstream(relay) => Pin::new(relay).poll_frame(cx),
        };
        if let Some(stream) = &self.stream {
            match &polled {
                Poll::Pending => stream.client_owes_nothing(),
                Poll::Ready(Some(Ok(_))) => stream.moved(),
                Poll::Ready(Some(Err(_)) | None) => stream.answered(),
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Own(bytes, _) => bytes.is_empty(),
            Content::Upstream(relay) => relay.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Own(bytes, _) => SizeHint::with_exact(bytes.len() as u64),
            Content::Upstream(relay) => relay.size_hint(),
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        let (ended, upstream) = match std::mem::replace(&mut self.content, Content::Own(Bytes::new(), 0)) {
            Content::Own(_, length) => (Ended { bytes: length, is_complete: true }, None),
            Content::Upstream(relay) => (relay.ended(), relay.into_upstream()),
        };
        if let Some(stream) = self.stream.take().filter(|_| ended.is_complete) {
            stream.answered();
        }
        if let Some(on_end) = self.on_end.take() {
            on_end(ended, upstream);
        }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answer")
    }
}
