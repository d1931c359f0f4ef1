//! A request on its way out: the head, then the body as it comes, with the one framing that the gate gives it.
//!
//! Whatever the client said of its body's length is not repeated: it is written anew from what the body is. Head and first
//! bytes leave together, and not more is taken from the client than the upstream takes from us.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{header::CONTENT_LENGTH, request::Parts};
use http_body::Body as _;
use tokio::io::AsyncWrite;

use crate::proxy::engine::{
    body::Outgoing,
    fields::{LAST_CHUNK, put, put_chunk, put_chunked, put_fields, put_length},
};

/// How much may wait to be written before more of the body is asked for.
const ENOUGH: usize = 16 * 1024;

/// A request that is being written.
#[derive(Debug)]
pub(super) struct Upload {
    body: Outgoing,
    state: State,
    /// How much of the output was written.
    written: usize,
    /// Whether a byte of it left, or was taken from the body: it cannot be sent once more as if nothing had happened.
    pub(super) is_begun: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The body goes on, framed like this.
    Body(Framing),
    /// What is left waits to be written.
    Flush,
    /// Everything was handed to the socket.
    Done,
}

/// How the upstream knows where the body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// It was told, and so many bytes are to come.
    Length(u64),
    Chunked,
}

/// Why a request was not written to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum UploadError {
    #[error("writing failed: {0}")]
    Write(io::Error),
    #[error("the request's body ended early")]
    Body,
}

impl Upload {
    /// A request with this body, nothing of it written.
    pub(super) const fn new(body: Outgoing) -> Self {
        Self { body, state: State::Done, written: 0, is_begun: false }
    }

    /// Whether nothing is left to do.
    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// The body, for another way to send it.
    pub(super) const fn take_body(&mut self) -> Outgoing {
        std::mem::replace(&mut self.body, Outgoing::Empty)
    }

    /// Puts the head in front of everything.
    pub(super) fn begin(&mut self, head: &Parts, output: &mut Vec<u8>) {
        let framing = self.framing();
        self.state = framing.map_or(State::Flush, State::Body);
        (self.written, self.is_begun) = (0, false);
        output.clear();
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
        put(output, [head.method.as_str(), " ", target, " HTTP/1.1\r\n"].map(str::as_bytes));
        put_fields(output, &head.headers);
        match framing {
            Some(Framing::Chunked) => put_chunked(output),
            Some(Framing::Length(length)) => put_length(output, length),
            None if head.headers.contains_key(CONTENT_LENGTH) => put_length(output, 0),
            None => {}
        }
        output.extend_from_slice(b"\r\n");
    }

    fn framing(&self) -> Option<Framing> {
        if self.body.is_end_stream() {
            return None;
        }
        Some(self.body.size_hint().exact().map_or(Framing::Chunked, Framing::Length))
    }

    /// Gives up what is left.
    pub(super) const fn stop(&mut self) {
        self.state = State::Done;
    }

    /// Writes as much as can be written; ready when everything was.
    pub(super) fn poll<W>(
        &mut self,
        wire: &mut W,
        output: &mut Vec<u8>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), UploadError>>
    where
        W: AsyncWrite + Unpin,
    {
        loop {
            let is_starved = self.fill(output, cx)?;
            ready!(self.write(wire, output, cx))?;
            match self.state {
                State::Body(_) if !is_starved => {}
                State::Body(_) | State::Flush => {
                    ready!(Pin::new(&mut *wire).poll_flush(cx)).map_err(UploadError::Write)?;
                    if is_starved {
                        return Poll::Pending;
                    }
                    self.state = State::Done;
                }
                State::Done => return Poll::Ready(Ok(())),
            }
        }
    }

    fn write<W>(
        &mut self,
        wire: &mut W,
        output: &mut Vec<u8>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), UploadError>>
    where
        W: AsyncWrite + Unpin,
    {
        while let Some(left) = output.get(self.written..).filter(|left| !left.is_empty()) {
            match ready!(Pin::new(&mut *wire).poll_write(cx, left)) {
                Ok(0) => return Poll::Ready(Err(UploadError::Write(io::ErrorKind::WriteZero.into()))),
                Ok(written) => self.written += written,
                Err(error) => return Poll::Ready(Err(UploadError::Write(error))),
            }
            self.is_begun = true;
        }
        output.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }

    /// Takes from the body until enough waits to be written. Tells whether the body has to be waited for.
    fn fill(&mut self, output: &mut Vec<u8>, cx: &mut Context<'_>) -> Result<bool, UploadError> {
        while let State::Body(framing) = self.state
            && output.len() < ENOUGH
        {
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else { return Ok(true) };
            self.is_begun = true;
            let data = frame.transpose().map_err(|_its_trail_says_why| UploadError::Body)?;
            self.state = match data.map(|frame| frame.into_data().unwrap_or_default()) {
                Some(data) => framing.put(&data, output)?,
                None => framing.end(output)?,
            };
        }
        Ok(false)
    }
}

impl Framing {
    fn put(self, data: &Bytes, output: &mut Vec<u8>) -> Result<State, UploadError> {
        match self {
            Self::Length(left) => {
                let left = left.checked_sub(data.len() as u64).ok_or(UploadError::Body)?;
                output.extend_from_slice(data);
                // Nobody is asked for what was not announced.
                Ok(if left == 0 { State::Flush } else { State::Body(Self::Length(left)) })
            }
            Self::Chunked => {
                put_chunk(output, data);
                Ok(State::Body(self))
            }
        }
    }

    fn end(self, output: &mut Vec<u8>) -> Result<State, UploadError> {
        match self {
            Self::Length(0) => {}
            Self::Length(_) => return Err(UploadError::Body),
            Self::Chunked => output.extend_from_slice(LAST_CHUNK),
        }
        Ok(State::Flush)
    }
}
