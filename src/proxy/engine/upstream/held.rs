//! A connection in use: lent by its lane, told of the end of its request, given back or closed.

use std::{
    cell::Cell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Response, request::Parts};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::{
    breaker::Pass,
    fleet::Fleet,
    http2::Stream,
    lane::Lane,
    line::{Line, LineBody},
    upload::Upload,
    vitals,
};
use crate::proxy::engine::body::Outgoing;

/// The outcome of a request that was not answered in time.
pub(super) const TIMEOUT: &str = "timeout";

/// A connection in use. Dropping it closes it, where it is not shared.
#[derive(Debug)]
pub(crate) struct Held {
    way: Way,
    lease: Lease,
    /// Served a request before: the upstream may have closed it meanwhile.
    pub(super) is_reused: bool,
}

/// How requests go over a connection.
#[derive(Debug)]
pub(super) enum Way {
    /// One at a time.
    Own(Box<Line>),
    /// Beside others.
    Shared(Stream),
}

/// A request's place among those of its endpoint, from the choice to the end of its answer.
#[derive(Debug)]
pub(crate) struct Lease {
    lane: Rc<Lane>,
    /// The endpoint's place in the fleet.
    pub(super) index: usize,
    pub(super) pass: Pass,
    is_settled: Cell<bool>,
}

/// An attempt that failed, and the connection that it failed on.
pub(super) struct Failure {
    pub(super) cause: String,
    pub(super) held: Held,
}

/// An answer's body ended before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the answer's body broke off")]
pub(crate) struct AnswerBroken;

/// The body of an answer, and the connection that it comes on.
#[derive(Debug)]
pub(crate) struct AnswerBody {
    way: BodyWay,
    lease: Lease,
}

#[derive(Debug)]
enum BodyWay {
    Own(LineBody),
    Shared(Incoming, #[expect(dead_code, reason = "held until the body ended")] Stream),
}

impl Lease {
    /// A place at this endpoint, if its breaker lets a request through.
    pub(super) fn take(lane: &Rc<Lane>, index: usize) -> Option<Self> {
        let pass = lane.endpoint.breaker.enter()?;
        lane.outstanding.set(lane.outstanding.get() + 1);
        Some(Self { lane: Rc::clone(lane), index, pass, is_settled: Cell::new(false) })
    }

    /// Whose place it is.
    pub(super) const fn lane(&self) -> &Rc<Lane> {
        &self.lane
    }

    /// The endpoint answered.
    pub(super) fn succeeded(&self) {
        self.is_settled.set(true);
        let endpoint = &self.lane.endpoint;
        endpoint.figures.answered.inc();
        endpoint.vitals.succeeded();
        self.lane.tally.succeeded();
        if endpoint.breaker.succeeded(self.pass) {
            self.lane.tally.forget();
            tracing::info!(endpoint = &*endpoint.settings.name, "the breaker is closed");
        }
        endpoint.tell_success();
    }

    /// The endpoint failed. A request that found no room says nothing about it.
    pub(super) fn failed(&self, fleet: &Fleet, outcome: &'static str, cause: &dyn std::fmt::Display) {
        self.is_settled.set(true);
        failed(&self.lane, self.pass, fleet, (outcome, cause));
    }
}

/// Notes a failure at a lane's endpoint, wherever it is known from.
pub(super) fn failed(
    lane: &Lane,
    pass: Pass,
    fleet: &Fleet,
    (outcome, cause): (&'static str, &dyn std::fmt::Display),
) {
    let endpoint = &lane.endpoint;
    endpoint.figures.count(outcome);
    endpoint.tell_failure(cause);
    if outcome != TIMEOUT {
        // One slow answer says nothing about the other connections.
        lane.empty();
    }
    let settings = &endpoint.reach.breaker;
    let too_many = lane.tally.failed(vitals::now(), settings);
    if endpoint.breaker.failed(pass, too_many, settings) {
        let open_s = settings.open.as_secs_f64();
        tracing::warn!(endpoint = &*endpoint.settings.name, open_s, "the breaker is open");
    }
    fleet.failed(endpoint);
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.lane.outstanding.set(self.lane.outstanding.get().saturating_sub(1));
        if !self.is_settled.get() {
            self.lane.endpoint.breaker.gave_up(self.pass);
        }
    }
}

impl Held {
    pub(super) const fn new(way: Way, lease: Lease, is_reused: bool) -> Self {
        Self { way, lease, is_reused }
    }

    /// Whose place it has.
    pub(super) const fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Sends a request and waits for the head of its answer. What was not written of it where this fails is still in `upload`.
    pub(super) async fn send(
        self,
        head: &Parts,
        upload: &mut Upload,
    ) -> Result<Response<AnswerBody>, Failure> {
        let Self { way, lease, is_reused } = self;
        match way {
            Way::Own(mut line) => match line.send(head, upload).await {
                Ok(answer) => {
                    let upload = std::mem::replace(upload, Upload::new(Outgoing::Empty));
                    let body = LineBody::new(line, (answer.body, answer.keeps_alive), upload);
                    let mut response = Response::new(AnswerBody { way: BodyWay::Own(body), lease });
                    *response.status_mut() = answer.status;
                    *response.headers_mut() = answer.headers;
                    Ok(response)
                }
                Err(error) => {
                    let held = Self { way: Way::Own(line), lease, is_reused };
                    Err(Failure { cause: error.to_string(), held })
                }
            },
            Way::Shared(mut stream) => {
                let is_tls = lease.lane.endpoint.settings.is_tls;
                match stream.send(head, upload, is_tls).await {
                    Ok(response) => {
                        Ok(response.map(|body| AnswerBody { way: BodyWay::Shared(body, stream), lease }))
                    }
                    Err(cause) => {
                        Err(Failure { cause, held: Self { way: Way::Shared(stream), lease, is_reused } })
                    }
                }
            }
        }
    }

    /// Whether a byte came from the upstream since the request was handed over. On a shared connection what counts is the
    /// head of the answer, and without it there was none.
    pub(super) const fn has_heard(&self) -> bool {
        match &self.way {
            Way::Own(line) => line.has_heard,
            Way::Shared(_) => false,
        }
    }

    /// Whether a failure may come of a connection that was closed while it was held. Where requests share one, it is told from
    /// a request that failed alone by its taking no more of them.
    pub(super) fn may_be_stale(&self, is_written: bool) -> bool {
        match &self.way {
            Way::Own(line) => self.is_reused && !line.has_heard,
            Way::Shared(stream) => self.is_reused && (!is_written || stream.is_closed()),
        }
    }
}

impl AnswerBody {
    /// Whose place it has.
    pub(super) const fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Returns the connection to its lane: request and answer reached their end.
    pub(crate) fn release(self) {
        if let BodyWay::Own(body) = self.way
            && let Some(line) = body.into_line()
        {
            self.lease.lane.put_back(line);
        }
    }
}

impl AnswerBody {
    /// Sends on what is left of the request, without reading further.
    pub(crate) fn go_on(&mut self, cx: &mut Context<'_>) {
        if let BodyWay::Own(body) = &mut self.way {
            body.poll_upload(cx);
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = AnswerBroken;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerBroken>>> {
        match &mut self.get_mut().way {
            BodyWay::Own(body) => Pin::new(body).poll_frame(cx).map_err(|_its_connection_goes| AnswerBroken),
            BodyWay::Shared(body, _) => {
                Pin::new(body).poll_frame(cx).map_err(|_its_stream_goes| AnswerBroken)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.way {
            BodyWay::Own(body) => body.is_end_stream(),
            BodyWay::Shared(body, _) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.way {
            BodyWay::Own(body) => body.size_hint(),
            BodyWay::Shared(body, _) => body.size_hint(),
        }
    }
}
