//! HTTP/2 with a client: how much it may have under way, and what happens to streams that nobody reads.
//!
//! The codec bounds what a frame can be, and answers floods of resets, settings and continuations with GOAWAY. Here is what
//! it cannot know: an answer that its client does not take ends its stream, and a client that takes back most of
//! what it asks for ends its connection.

use std::{
    cell::{Cell, RefCell},
    future::Future,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use hyper::{rt::Executor, server::conn::http2};
use hyper_util::rt::TokioTimer;
use tokio::time::{Instant, Sleep};

use super::{progress::Progress, worker::Worker, worker::WorkerSettings};

/// The longest list of header fields, names and values and 32 bytes for each (RFC 9113 section 6.5.2).
const MAX_HEADER_LIST: u32 = 32 * 1024;

/// The largest frame: the smallest that the standard allows us to ask for.
const MAX_FRAME: u32 = 16 * 1024;

/// What a client may send of a body before it is read.
const STREAM_WINDOW: u32 = 128 * 1024;

/// The same for all of its streams together.
const CONNECTION_WINDOW: u32 = 256 * 1024;

/// What is kept for a client of an answer that it has not made room for.
const MAX_SEND_BUFFER: usize = 64 * 1024;

/// Streams that a client may have reset before they were looked at.
const MAX_PENDING_RESETS: usize = 20;

/// Streams that it may have forced us to reset.
const MAX_ERROR_RESETS: usize = 100;

/// How often a silent client is asked whether it is there, and how long it may take to answer.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Requests that a client may take back, less those that it let finish.
const MAX_TAKEN_BACK: u32 = 200;

/// How connections are served.
pub(super) fn builder(settings: &WorkerSettings, streams: Streams) -> http2::Builder<Streams> {
    let mut builder = http2::Builder::new(streams);
    builder
        .timer(TokioTimer::new())
        .max_header_list_size(MAX_HEADER_LIST)
        .max_frame_size(MAX_FRAME)
        .max_concurrent_streams(settings.max_streams)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(MAX_SEND_BUFFER)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(MAX_ERROR_RESETS)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .auto_date_header(false);
    builder
}

/// The streams of one connection; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Streams(Rc<Shared>);

#[derive(Debug)]
struct Shared {
    worker: Rc<Worker>,
    progress: Rc<Progress>,
    write_timeout: Duration,
    taken_back: Cell<u32>,
    /// The stream that is being polled.
    current: RefCell<Option<Rc<StreamWatch>>>,
}

/// How the answer of one stream fares.
#[derive(Debug)]
pub(super) struct StreamWatch {
    progress: Rc<Progress>,
    /// Since when the client owes room for more.
    owes_since: Cell<Option<Instant>>,
    is_answered: Cell<bool>,
}

impl Streams {
    pub(super) fn new(worker: &Rc<Worker>, progress: &Rc<Progress>, write_timeout: Duration) -> Self {
        Self(Rc::new(Shared {
            worker: Rc::clone(worker),
            progress: Rc::clone(progress),
            write_timeout,
            taken_back: Cell::new(0),
            current: RefCell::new(None),
        }))
    }

    /// The stream in whose turn this is asked.
    pub(super) fn current(&self) -> Option<Rc<StreamWatch>> {
        self.0.current.borrow().clone()
    }

    /// A client that resets what it asked for makes us work for nothing, faster than any limit on open streams allows.
    fn ended(&self, watch: &StreamWatch) {
        let taken_back = &self.0.taken_back;
        if watch.is_answered.get() {
            taken_back.set(taken_back.get().saturating_sub(1));
            return;
        }
        taken_back.set(taken_back.get() + 1);
        if taken_back.get() > MAX_TAKEN_BACK {
            self.0.progress.flooded();
        }
    }
}

impl StreamWatch {
    /// An answer waits for room.
    pub(super) fn client_owes(&self) {
        self.owes_since.set(Some(Instant::now()));
    }

    /// Bytes went on.
    pub(super) fn moved(&self) {
        self.progress.useful();
        self.client_owes();
    }

    /// The upstream is the one who is waited for.
    pub(super) fn client_owes_nothing(&self) {
        self.owes_since.set(None);
    }

    /// The whole answer was handed over.
    pub(super) fn answered(&self) {
        self.is_answered.set(true);
        self.owes_since.set(None);
    }
}

impl<F: Future<Output = ()> + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let watch = Rc::new(StreamWatch {
            progress: Rc::clone(&self.0.progress),
            owes_since: Cell::new(None),
            is_answered: Cell::new(false),
        });
        let guarded = Guarded { stream: Some(Box::pin(stream)), watch, streams: self.clone(), timer: None };
        tokio::task::spawn_local(guarded);
    }
}

/// A stream that ends when its client does not read; dropping it resets it.
struct Guarded<F> {
    /// Present until the end.
    stream: Option<Pin<Box<F>>>,
    watch: Rc<StreamWatch>,
    streams: Streams,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<F: Future<Output = ()>> Guarded<F> {
    /// Whether the client owed for too long.
    fn is_unread(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(since) = self.watch.owes_since.get() else {
            return false;
        };
        let deadline = since + self.streams.0.write_timeout;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        loop {
            if timer.as_mut().poll(cx).is_pending() {
                // One that is armed for an earlier time looks again then.
                return false;
            }
            if deadline <= Instant::now() {
                return true;
            }
            timer.as_mut().reset(deadline);
        }
    }
}

impl<F: Future<Output = ()>> Future for Guarded<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.streams.0.current.replace(Some(Rc::clone(&this.watch)));
        let polled = this.stream.as_mut().map_or(Poll::Ready(()), |stream| stream.as_mut().poll(cx));
        this.streams.0.current.replace(None);
        if polled.is_pending() && !this.is_unread(cx) {
            return Poll::Pending;
        }
        if polled.is_pending() {
            this.streams.0.worker.service().shared.metrics.edge.close("unread");
            tracing::debug!("a stream was reset because its client does not read");
        }
        Poll::Ready(())
    }
}

impl<F> Drop for Guarded<F> {
    fn drop(&mut self) {
        // The answer tells when it goes whether all of it was handed over.
        self.stream = None;
        self.streams.ended(&self.watch);
        if std::thread::panicking() {
            self.streams.0.current.replace(None);
            self.streams.0.worker.service().shared.metrics.panics.inc();
            tracing::error!("a stream's task panicked; the stream is reset");
        }
    }
}
