//! A connection to the upstream for one request at a time, in HTTP/1.1.
//!
//! Whoever waits for the answer drives it: no task of its own, no channel, nothing to wake. While it is held unused nobody
//! reads from it; what comes then, or that it was closed, is seen by one look before the next request, which costs no system
//! call as long as nothing came.

use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    task::{Context, Poll, Waker, ready},
};

use bytes::{Bytes, BytesMut};
use http::{Method, request::Parts};
use http_body::{Body, Frame, SizeHint};
use tokio::{
    io::{AsyncRead as _, AsyncReadExt as _, ReadBuf},
    task::coop::unconstrained,
};

use super::{
    answer::{AnswerHead, NoAnswer, take_head},
    upload::{Upload, UploadError},
    wire::Wire,
};
use crate::proxy::engine::decoder::{Decoder, Misframed, Taken};

/// What one read may take.
const READ: usize = 8 * 1024;

/// What one read may take of a large body.
const LARGE_READ: usize = 64 * 1024;

/// A connection for one request at a time.
#[derive(Debug)]
pub(super) struct Line {
    wire: Wire,
    input: BytesMut,
    output: Vec<u8>,
    /// Whether a byte arrived since the last request was handed over.
    pub(super) has_heard: bool,
}

/// Why a request was not answered, or not to the end.
#[derive(Debug, thiserror::Error)]
pub(super) enum LineError {
    #[error("the upstream closed the connection")]
    Closed,
    #[error("reading failed: {0}")]
    Read(io::Error),
    #[error(transparent)]
    Upload(#[from] UploadError),
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    #[error(transparent)]
    Misframed(#[from] Misframed),
}

impl Line {
    /// A connection on which nothing was said yet. It is made once and then changes hands with each request.
    pub(super) fn over(wire: Wire) -> Box<Self> {
        Box::new(Self { wire, input: BytesMut::new(), output: Vec::new(), has_heard: false })
    }

    /// Where it leads.
    pub(super) const fn remote(&self) -> SocketAddr {
        self.wire.remote
    }

    /// Whether it can take a request: it was not closed, and nothing came that nobody asked for.
    pub(super) fn is_fresh(&mut self) -> bool {
        let mut byte = [0];
        // A task that did much already would be told to come back later, which says nothing of the connection.
        let look =
            unconstrained(poll_fn(|cx| Pin::new(&mut self.wire).poll_read(cx, &mut ReadBuf::new(&mut byte))));
        let looked = pin!(look).poll(&mut Context::from_waker(Waker::noop()));
        looked.is_pending() && self.input.is_empty() && self.output.is_empty()
    }

    /// Writes a request and waits for the head of its answer. The body may not have been written to its end by then.
    pub(super) async fn send(&mut self, head: &Parts, upload: &mut Upload) -> Result<AnswerHead, LineError> {
        self.has_heard = false;
        upload.begin(head, &mut self.output);
        let (mut unwritten, mut interim) = (None, 0);
        let mut answer =
            poll_fn(|cx| self.poll_answer(upload, (&head.method, &mut interim), &mut unwritten, cx)).await?;
        answer.keeps_alive &= unwritten.is_none();
        Ok(answer)
    }

    /// An upstream that closes while it is being written to may have said why before: what it said counts.
    fn poll_answer(
        &mut self,
        upload: &mut Upload,
        (method, interim): (&Method, &mut usize),
        unwritten: &mut Option<UploadError>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<AnswerHead, LineError>> {
        match self.poll_upload(upload, cx) {
            Poll::Ready(Err(UploadError::Body)) => return Poll::Ready(Err(UploadError::Body.into())),
            Poll::Ready(Err(error)) => *unwritten = Some(error),
            Poll::Ready(Ok(())) | Poll::Pending => {}
        }
        loop {
            let arrived = ready!(self.poll_arrive(READ, cx));
            match (arrived, unwritten.take()) {
                (Ok(0) | Err(_), Some(error)) => return Poll::Ready(Err(error.into())),
                (Ok(0), None) => return Poll::Ready(Err(LineError::Closed)),
                (Err(error), None) => return Poll::Ready(Err(LineError::Read(error))),
                (Ok(_), error) => *unwritten = error,
            }
            self.has_heard = true;
            if let Some(head) = take_head(&mut self.input, method, interim)? {
                return Poll::Ready(Ok(head));
            }
        }
    }

    fn poll_upload(&mut self, upload: &mut Upload, cx: &mut Context<'_>) -> Poll<Result<(), UploadError>> {
        let polled = upload.poll(&mut self.wire, &mut self.output, cx);
        if matches!(polled, Poll::Ready(Err(_))) {
            upload.stop();
            self.output.clear();
        }
        polled
    }

    /// Reads once; how many bytes came.
    fn poll_arrive(&mut self, size: usize, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.input.capacity() - self.input.len() < size / 2 {
            self.input.reserve(size);
        }
        pin!(self.wire.read_buf(&mut self.input)).poll(cx)
    }
}

/// The body of an answer, and the connection that it comes on.
#[derive(Debug)]
pub(super) struct LineBody {
    line: Box<Line>,
    decoder: Decoder,
    keeps_alive: bool,
    /// What was not written yet of the request.
    upload: Option<Box<Upload>>,
    state: Reading,
}

/// How far an answer's body was read.
#[derive(Debug)]
enum Reading {
    UnderWay,
    /// It broke off, and nobody was told yet.
    Broken(LineError),
    Ended,
}

impl LineBody {
    /// What follows a head.
    pub(super) fn new(line: Box<Line>, (decoder, keeps_alive): (Decoder, bool), upload: Upload) -> Self {
        let upload = (!upload.is_done()).then(|| Box::new(upload));
        Self { line, decoder, keeps_alive, upload, state: Reading::UnderWay }
    }

    /// The connection, if it can take another request.
    pub(super) fn into_line(self) -> Option<Box<Line>> {
        let is_over = self.decoder.is_done() && self.upload.is_none();
        (is_over && self.keeps_alive && self.line.input.is_empty()).then_some(self.line)
    }

    /// The request goes on while its answer is read. Where it cannot, the answer does.
    pub(super) fn poll_upload(&mut self, cx: &mut Context<'_>) {
        if let Some(upload) = &mut self.upload
            && let Poll::Ready(written) = self.line.poll_upload(upload, cx)
        {
            self.keeps_alive &= written.is_ok();
            self.upload = None;
        }
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, LineError>> {
        loop {
            match self.decoder.take(&mut self.line.input)? {
                Taken::Data(data) => return Poll::Ready(Ok(Some(data))),
                Taken::End => return Poll::Ready(Ok(None)),
                Taken::Nothing => {}
            }
            let size = if matches!(self.decoder, Decoder::Length(left) if left < READ as u64) {
                READ
            } else {
                LARGE_READ
            };
            match ready!(self.line.poll_arrive(size, cx)) {
                Ok(0) if self.decoder == Decoder::UntilClose => return Poll::Ready(Ok(None)),
                Ok(0) => return Poll::Ready(Err(LineError::Closed)),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(LineError::Read(error))),
            }
        }
    }
}

impl Body for LineBody {
    type Data = Bytes;
    type Error = LineError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, LineError>>> {
        let this = self.get_mut();
        match std::mem::replace(&mut this.state, Reading::Ended) {
            Reading::UnderWay => this.state = Reading::UnderWay,
            Reading::Broken(error) => return Poll::Ready(Some(Err(error))),
            Reading::Ended => return Poll::Ready(None),
        }
        this.poll_upload(cx);
        match ready!(this.poll_data(cx)) {
            Ok(Some(data)) => Poll::Ready(Some(Ok(Frame::data(data)))),
            Ok(None) => {
                this.state = Reading::Ended;
                Poll::Ready(None)
            }
            Err(error) => {
                // What came before it is on its way to the client only when this is polled again.
                this.state = Reading::Broken(error);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, Reading::Ended) || self.decoder.is_done()
    }

    fn size_hint(&self) -> SizeHint {
        match self.decoder {
            Decoder::Length(left) => SizeHint::with_exact(left),
            Decoder::Chunked(..) | Decoder::UntilClose => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Request;
    use http_body_util::BodyExt as _;
    use tokio::{
        io::AsyncWriteExt as _,
        net::{TcpListener, TcpStream},
    };

    use super::*;
    use crate::proxy::engine::{body::Outgoing, form::Form, upstream::endpoint::Room};

    /// A line, and the upstream's end of it.
    async fn line() -> (Box<Line>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let remote = listener.local_addr().unwrap();
        let (near, far) = tokio::join!(TcpStream::connect(remote), listener.accept());
        (Line::over(Wire::plain(near.unwrap(), remote, Room::uncounted())), far.unwrap().0)
    }

    fn head(method: &str, fields: &[(&'static str, &'static str)]) -> Parts {
        let mut request = Request::builder().method(method).uri("/rest/V1/x%2Fy?a=b");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    /// Reads what the upstream was sent, up to these bytes.
    async fn heard(far: &mut TcpStream, end: &str) -> String {
        let mut bytes = Vec::new();
        while !bytes.ends_with(end.as_bytes()) {
            assert!(far.read_buf(&mut bytes).await.unwrap() > 0, "{}", String::from_utf8_lossy(&bytes));
        }
        String::from_utf8(bytes).unwrap()
    }

    async fn read(mut body: LineBody) -> (Result<String, String>, LineBody) {
        let mut bytes = Vec::new();
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => bytes.extend_from_slice(&frame.into_data().unwrap()),
                Err(error) => return (Err(error.to_string()), body),
            }
        }
        (Ok(String::from_utf8(bytes).unwrap()), body)
    }

    /// What becomes of an answer, which the upstream ends by closing: its body, and whether the connection would serve again.
    async fn answered(answer: &str, closes: bool) -> (Result<String, String>, bool) {
        let (mut line, mut far) = line().await;
        let (head, mut upload) = (head("GET", &[("host", "a")]), Upload::new(Outgoing::Empty));
        far.write_all(answer.as_bytes()).await.unwrap();
        if closes {
            far.shutdown().await.unwrap();
        }
        let head = match line.send(&head, &mut upload).await {
            Ok(head) => head,
            Err(error) => return (Err(error.to_string()), false),
        };
        let (body, rest) = read(LineBody::new(line, (head.body, head.keeps_alive), upload)).await;
        (body, rest.into_line().is_some_and(|mut line| line.is_fresh()))
    }

    #[tokio::test]
    async fn an_answer_is_read_to_its_end_and_only_then_does_its_connection_serve_again() {
        for (answer, closes, body, is_reusable) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false, Ok("ok"), true),
            ("HTTP/1.1 204 No\r\n\r\n", false, Ok(""), true),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n",
                false,
                Ok("ok"),
                true,
            ),
            ("HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, Ok(""), true),
            ("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", false, Ok("ok"), false),
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true, Ok("ok"), false),
            ("HTTP/1.1 200 OK\r\n\r\nok", true, Ok("ok"), false),
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n", false, Ok("ok"), false),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok",
                true,
                Err("the upstream closed the connection"),
                false,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
                true,
                Err("the upstream closed the connection"),
                false,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
                false,
                Err("the body is not framed as it says"),
                false,
            ),
            ("HTTP/1.1 200 OK\r\nContent-", true, Err("the upstream closed the connection"), false),
            ("", true, Err("the upstream closed the connection"), false),
        ] {
            let expected = (body.map(str::to_owned).map_err(str::to_owned), is_reusable);
            assert_eq!(answered(answer, closes).await, expected, "{answer:?}");
        }
    }

    #[tokio::test]
    async fn a_held_connection_that_was_closed_or_spoken_on_is_not_fresh() {
        for (said, closes) in [("", true), ("HTTP/1.1 200 OK\r\n\r\n", false)] {
            let (mut line, mut far) = line().await;
            assert!(line.is_fresh() && line.is_fresh());
            far.write_all(said.as_bytes()).await.unwrap();
            if closes {
                drop(far);
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            assert!(!line.is_fresh(), "{said:?}");
        }
    }

    #[tokio::test]
    async fn a_request_has_the_framing_that_its_body_has_and_no_other() {
        let lying = [("host", "a"), ("content-length", "7"), ("transfer-encoding", "chunked")];
        for (method, body, fields) in [
            ("GET", Outgoing::Empty, "host: a\r\ncontent-length: 0\r\n\r\n"),
            ("POST", Outgoing::Whole(Form::of(b"a=b")), "host: a\r\ncontent-length: 3\r\n\r\na=b"),
            ("POST", Outgoing::Whole(Form::of(b"")), "host: a\r\ncontent-length: 0\r\n\r\n"),
        ] {
            let (mut line, mut far) = line().await;
            let (head, mut upload) = (head(method, &lying), Upload::new(body));
            far.write_all(b"HTTP/1.1 204 No\r\n\r\n").await.unwrap();
            line.send(&head, &mut upload).await.unwrap();
            assert!(upload.is_done() && upload.is_begun);
            let expected = format!("{method} /rest/V1/x%2Fy?a=b HTTP/1.1\r\n{fields}");
            assert_eq!(heard(&mut far, &expected[expected.len() - 8..]).await, expected);
        }
        let (mut line, mut far) = line().await;
        far.write_all(b"HTTP/1.1 204 No\r\n\r\n").await.unwrap();
        line.send(&head("DELETE", &[("host", "a")]), &mut Upload::new(Outgoing::Empty)).await.unwrap();
        let sent = heard(&mut far, "\r\n\r\n").await;
        assert!(!sent.contains("content-length"), "a body that nobody spoke of is not spoken of");
    }

    #[tokio::test]
    async fn an_upstream_that_refuses_a_large_body_and_closes_is_heard() {
        let (mut line, mut far) = line().await;
        far.write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        let upstream = tokio::spawn(async move {
            let mut some = [0; 1000];
            far.read_exact(&mut some).await.unwrap();
            far
        });
        static LARGE: [u8; 16 * 1024 * 1024] = [b'x'; 16 * 1024 * 1024];
        let mut upload = Upload::new(Outgoing::Whole(Form::of(&LARGE)));
        let answer = line.send(&head("POST", &[("host", "a")]), &mut upload).await.unwrap();
        assert_eq!(answer.status.as_u16(), 413);
        assert!(!upload.is_done(), "most of it could not be written");
        let (body, rest) = read(LineBody::new(line, (answer.body, answer.keeps_alive), upload)).await;
        assert_eq!(body.as_deref(), Ok(""));
        assert!(rest.into_line().is_none(), "the rest of the request would be taken for the next one");
        drop(upstream.await);
    }
}
