//! One request through the gate: decide, then refuse or forward, then report.

use std::{rc::Rc, sync::Arc};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, Version, header::ACCEPT, request::Parts};
use hyper::{body::Incoming, client::conn::http1::SendRequest};

use super::{
    body::{Answer, BodyError, Outgoing, Relay},
    connection::Worker,
    form::{Form, FormBudget},
    pool::{ConnectError, Held},
    progress::Progress,
    report::Report,
    upgrade,
};
use crate::{
    auth::{rejection::Rejection, time::UnixTime},
    proxy::{
        inject::HeaderEdits,
        peer::Peer,
        pipeline::{Known, Step},
    },
};

/// The id of a request, minted here unless a trusted proxy sent one.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest request id that is believed.
const MAX_REQUEST_ID: usize = 128;

/// Answers one request.
pub(super) async fn exchange(
    worker: Rc<Worker>,
    peer: Rc<Peer>,
    progress: Arc<Progress>,
    request: Request<Incoming>,
) -> Response<Answer> {
    let now = worker.shared.clock.now();
    let (mut head, body) = request.into_parts();
    let request_id = request_id(&head, &peer);
    let mut report = Report::start(&worker, &head, &peer, now);
    report.request_id = request_id.clone();
    head.headers.insert(REQUEST_ID, request_id.clone());

    let accept = head.headers.get(ACCEPT).cloned();
    let inbound = Inbound { worker: &worker, peer: &peer, now };
    let answered = inbound.respond(head, body, &mut report).await;
    let mut response = match answered {
        Ok(response) => response,
        Err(rejection) => refuse(&worker, &rejection, accept.as_ref(), &mut report),
    };
    response.headers_mut().insert(REQUEST_ID, request_id);
    report.status = response.status();
    response.map(|content| content.into_answer(progress, report))
}

/// What an answer is made of, before it is tied to its report.
pub(super) enum Content {
    Own(Bytes),
    Upstream(Relay, Option<Held>),
}

impl Content {
    fn into_answer(self, progress: Arc<Progress>, report: Report) -> Answer {
        match self {
            Self::Own(bytes) => Answer::own(bytes, move |ended| {
                progress.idle();
                report.finish(ended);
            }),
            Self::Upstream(relay, held) => Answer::upstream(relay, move |ended| {
                progress.idle();
                if let (Some(held), false) = (held, ended.is_complete) {
                    held.discard();
                }
                report.finish(ended);
            }),
        }
    }
}

/// A request between its head and its answer.
struct Inbound<'a> {
    worker: &'a Rc<Worker>,
    peer: &'a Peer,
    now: UnixTime,
}

impl Inbound<'_> {
    async fn respond(
        &self,
        head: Parts,
        body: Incoming,
        report: &mut Report,
    ) -> Result<Response<Content>, Rejection> {
        let shared = &self.worker.shared;
        let mut body = Body::Unread(Relay::new(body, shared.settings.max_body, shared.settings.idle_timeout));
        let edits = self.decide(&head, &mut body, report).await?;
        report.decided();

        let upgrades = upgrade::is_websocket(&head).then(|| head.extensions.clone());
        let head = shared.forward.request(head, edits, self.peer);
        match upgrades {
            Some(client) => upgrade::forward(self.worker, head, client, report).await,
            None => forward(self.worker, head, body.into_outgoing(), report).await,
        }
    }

    /// Asks the pipeline until it knows enough, fetching what it lacks.
    async fn decide(
        &self,
        head: &Parts,
        body: &mut Body,
        report: &mut Report,
    ) -> Result<HeaderEdits, Rejection> {
        let shared = &self.worker.shared;
        let mut facts = Vec::new();
        loop {
            let known = Known { facts: &facts, form: body.form() };
            match shared.pipeline.decide(head, self.peer, self.now, known) {
                Step::Done(verdict) => {
                    report.verdict(verdict.notes);
                    return verdict.outcome;
                }
                Step::NeedFacts(key, lookup) => {
                    let found = shared.facts.resolve(key, lookup).await;
                    facts.push((key, found.map_err(|_failed| Rejection::StoreUnavailable)?));
                }
                Step::NeedForm => body.collect(&shared.forms).await?,
            }
        }
    }
}

/// A request's body: still on its way, or collected because a signature covers it.
enum Body {
    Unread(Relay),
    Form(Form),
    /// Only while it is being collected.
    Moving,
}

impl Body {
    fn form(&self) -> Option<&[u8]> {
        match self {
            Self::Form(form) => Some(&form.bytes),
            Self::Unread(_) | Self::Moving => None,
        }
    }

    async fn collect(&mut self, forms: &FormBudget) -> Result<(), Rejection> {
        match std::mem::replace(self, Self::Moving) {
            Self::Unread(relay) => *self = Self::Form(forms.collect(relay).await?),
            // A pipeline that has the form does not ask again.
            Self::Form(_) | Self::Moving => return Err(Rejection::FormBudgetExhausted),
        }
        Ok(())
    }

    fn into_outgoing(self) -> Outgoing {
        match self {
            Self::Form(form) => Outgoing::Whole(form),
            Self::Unread(relay) if !http_body::Body::is_end_stream(&relay) => Outgoing::Relayed(relay),
            Self::Unread(_) | Self::Moving => Outgoing::Empty,
        }
    }
}

async fn forward(
    worker: &Rc<Worker>,
    head: Parts,
    body: Outgoing,
    report: &mut Report,
) -> Result<Response<Content>, Rejection> {
    let failure = match &body {
        Outgoing::Relayed(relay) => Some(relay.failure()),
        Outgoing::Empty | Outgoing::Whole(_) => None,
    };
    let timeout = worker.shared.settings.upstream.response_timeout;
    let answered = tokio::time::timeout(timeout, send(worker, head, body)).await;
    let (response, held) = match answered {
        Ok(Ok(answer)) => answer,
        Ok(Err(rejection)) => {
            let too_large = failure.is_some_and(|failure| failure.get() == Some(BodyError::TooLarge));
            return Err(if too_large { Rejection::BodyTooLarge } else { rejection });
        }
        Err(_elapsed) => return Err(Rejection::UpstreamTimeout),
    };
    report.upstream_answered();
    Ok(worker.answer(response, Some(held)))
}

impl Worker {
    /// Makes an upstream's answer fit to pass.
    pub(super) fn answer(&self, response: Response<Incoming>, held: Option<Held>) -> Response<Content> {
        let (mut head, body) = response.into_parts();
        self.shared.forward.answer(&mut head.headers);
        head.version = Version::HTTP_11;
        let relay = Relay::new(body, None, self.shared.settings.upstream.response_timeout);
        Response::from_parts(head, Content::Upstream(relay, held))
    }
}

/// Sends a request; once more on a new connection where nothing can have happened twice.
///
/// A held connection may have been closed by the upstream a moment ago. A request that was never written is sent again
/// whatever it is; one that was written is sent again only if it is idempotent and has no body, and only before any byte
/// of an answer.
async fn send(
    worker: &Rc<Worker>,
    head: Parts,
    body: Outgoing,
) -> Result<(Response<Incoming>, Held), Rejection> {
    let mut held = worker.pool.acquire().await.map_err(|error| unreachable_upstream(&error))?;
    let spare = (held.is_reused && may_repeat(&head, &body)).then(|| head.clone());
    let error = match attempt(&mut held, Request::from_parts(head, body)).await {
        Ok(response) => return Ok((response, held)),
        Err(error) => error,
    };
    let is_reused = held.is_reused;
    held.discard();
    let unsent = match (error.unsent, spare) {
        (Some(request), _) if is_reused => *request,
        (None, Some(head)) => Request::from_parts(head, Outgoing::Empty),
        (_, _) => {
            tracing::debug!(error = %error.cause, "the upstream's connection broke");
            return Err(Rejection::UpstreamUnavailable);
        }
    };
    let mut held = worker.pool.connect().await.map_err(|error| unreachable_upstream(&error))?;
    match attempt(&mut held, unsent).await {
        Ok(response) => Ok((response, held)),
        Err(_error) => {
            held.discard();
            Err(Rejection::UpstreamUnavailable)
        }
    }
}

struct SendError {
    cause: String,
    /// The request, where not a byte of it was written.
    unsent: Option<Box<Request<Outgoing>>>,
}

async fn attempt(held: &mut Held, request: Request<Outgoing>) -> Result<Response<Incoming>, SendError> {
    let Some(sender): Option<&mut SendRequest<Outgoing>> = held.sender() else {
        return Err(SendError { cause: "connection is gone".to_owned(), unsent: Some(Box::new(request)) });
    };
    sender.try_send_request(request).await.map_err(|mut error| SendError {
        unsent: error.take_message().map(Box::new),
        cause: error.into_error().to_string(),
    })
}

fn may_repeat(head: &Parts, body: &Outgoing) -> bool {
    let is_idempotent = [Method::GET, Method::HEAD, Method::PUT, Method::DELETE, Method::OPTIONS];
    matches!(body, Outgoing::Empty) && is_idempotent.contains(&head.method)
}

pub(super) fn unreachable_upstream(error: &ConnectError) -> Rejection {
    tracing::warn!(error = %error, "no connection to the upstream");
    match error {
        ConnectError::Timeout => Rejection::UpstreamTimeout,
        ConnectError::Io(_) | ConnectError::Http(_) => Rejection::UpstreamUnavailable,
    }
}

fn refuse(
    worker: &Worker,
    rejection: &Rejection,
    accept: Option<&HeaderValue>,
    report: &mut Report,
) -> Response<Content> {
    report.refused(rejection);
    worker.shared.settings.replies.refuse(rejection, accept).map(Content::Own)
}

/// The id to go by: a trusted proxy's if it is short and plain, else a new one that sorts by time.
fn request_id(head: &Parts, peer: &Peer) -> HeaderValue {
    let given = head.headers.get(REQUEST_ID).filter(|_| peer.is_trusted);
    if let Some(id) = given.filter(|id| {
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(byte);
        !id.is_empty() && id.len() <= MAX_REQUEST_ID && id.as_bytes().iter().all(is_plain)
    }) {
        return id.clone();
    }
    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
    let minted = uuid::Uuid::now_v7().hyphenated().encode_lower(&mut text);
    HeaderValue::from_str(minted).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
}
