//! One request through the gate: decide, then refuse or forward, then report.

use std::{future::Future, rc::Rc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, header::ACCEPT, request::Parts,
};
use http_body::Body as _;
use tokio::{sync::oneshot, time::Instant};

use super::{
    body::{Answer, Ended, Fate, Outgoing, Relay, Source, Trail},
    connection::Client,
    form::{Form, FormBudget, refused},
    http2::Streams,
    own::Aftermath,
    progress::Busy,
    report::{Report, Wait},
    scan::Scan,
    upgrade::{self, Near},
    upstream::{AnswerBody, Journey, Pool, send},
    worker::Service,
};
use crate::{
    auth::{rejection::Rejection, time::UnixTime},
    proxy::{
        outcome::{Forward, Outcome, Watch},
        peer::Peer,
        pipeline::{Known, Step},
        trace::Trace,
        translate::translate,
    },
};

/// The id of a request, minted here unless a trusted proxy sent one.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest request id that is believed.
const MAX_REQUEST_ID: usize = 128;

/// What an exchange holds of its connection.
pub(super) struct Turn {
    pub(super) busy: Busy,
    /// On HTTP/2.
    pub(super) streams: Option<Streams>,
    /// Where the client's socket will be when the request has become a WebSocket.
    pub(super) near: Option<oneshot::Receiver<Near>>,
}

/// Answers one request.
pub(super) async fn exchange(client: Rc<Client>, request: Request<Source>, turn: Turn) -> Response<Answer> {
    let Turn { busy, streams, near } = turn;
    let stream = streams.and_then(|streams| streams.current());
    let service = client.worker.service();
    let shared = &service.shared;
    let now = shared.clock.now();
    let (mut head, body) = request.into_parts();
    let translated = translate(&mut head, shared.settings.max_headers);
    let mut report = Report::start(&service, &head, &client, now);
    report.request_id = request_id(&head, &client.peer);
    let request_id = report.request_id.clone();

    let accept = head.headers.get(ACCEPT).cloned();
    let wants_body = stream.is_none() || head.method != Method::HEAD;
    let body =
        Relay::new(body, shared.settings.max_body, shared.settings.idle_timeout).of_client(&client.progress);
    let trail = body.trail();
    report.body = Some(Rc::clone(&trail));
    let inbound = Inbound { client: &client, service: &service, now };
    let responded = match translated {
        Ok(()) => inbound.respond(head, (body, near), &mut report).await,
        Err(rejection) => Err(rejection),
    };
    let mut response =
        responded.unwrap_or_else(|rejection| refuse(&service, &rejection, accept.as_ref(), &mut report));
    if let Some(standing) = report.standing() {
        standing.write(shared.settings.limit_fields, response.headers_mut());
    }
    response.headers_mut().insert(REQUEST_ID, request_id);
    report.status = response.status();
    response.map(|content| {
        let content = if wants_body { content } else { content.without_own() };
        content.into_answer((client, busy), trail, report).on(stream)
    })
}

/// What an answer is made of, before it is tied to its report.
pub(super) enum Content {
    Own(Bytes),
    Upstream(Relay),
}

impl Content {
    /// The codec of HTTP/2 would send our own body also where HEAD was asked.
    fn without_own(self) -> Self {
        match self {
            Self::Own(_) => Self::Own(Bytes::new()),
            Self::Upstream(_) => self,
        }
    }

    /// The answer's body. When it ends, the client's turn begins, and the upstream's connection is free if nothing of
    /// either body is left on it.
    fn into_answer(self, (client, busy): (Rc<Client>, Busy), request: Rc<Trail>, report: Report) -> Answer {
        let end = move |ended: Ended, upstream: Option<AnswerBody>| {
            if !request.is_complete() {
                client.progress.leave_unread();
            } else if let Some(upstream) = upstream.filter(|_| ended.is_complete) {
                upstream.release();
            }
            drop(busy);
            report.finish(ended);
        };
        match self {
            Self::Own(bytes) => Answer::own(bytes, end),
            Self::Upstream(relay) => Answer::upstream(relay, end),
        }
    }
}

/// A request between its head and its answer.
pub(super) struct Inbound<'a> {
    pub(super) client: &'a Rc<Client>,
    pub(super) service: &'a Rc<Service>,
    pub(super) now: UnixTime,
}

impl Inbound<'_> {
    async fn respond(
        &self,
        head: Parts,
        (body, near): (Relay, Option<oneshot::Receiver<Near>>),
        report: &mut Report,
    ) -> Result<Response<Content>, Rejection> {
        let (service, peer) = (self.service, &self.client.peer);
        let mut body = Body::Unread(body);
        let outcome = self.decide(&head, &mut body, report).await?;
        report.decided();
        let Forward { edits, watch } = match outcome {
            // What is rare stands apart: the room of all of them would be moved with each request.
            Outcome::Own(call) => return Box::pin(self.answer(call, head, body, report)).await,
            Outcome::Forward(forward) => forward,
        };
        let aftermath = if matches!(watch, Watch::Nothing) {
            Aftermath::Nothing
        } else {
            Box::pin(self.watch(watch, &head, &mut body, report)).await?
        };

        let mut head = service.shared.forward.request(head, edits, peer);
        // After `Connection` was obeyed, which could have nominated it away.
        head.headers.insert(REQUEST_ID, report.request_id.clone());
        Trace::write(report.trace.as_ref(), &mut head.headers);
        let answered = match near {
            Some(near) => Box::pin(upgrade::forward((self.client, service), head, near, report)).await,
            None => forward(service, head, body.into_outgoing(), report).await,
        }?;
        self.learn(&aftermath, &answered);
        Ok(answered)
    }

    /// Asks the pipeline until it knows enough, fetching what it lacks.
    async fn decide(&self, head: &Parts, body: &mut Body, report: &mut Report) -> Result<Outcome, Rejection> {
        let (shared, peer) = (&self.service.shared, &self.client.peer);
        let (mut facts, mut nonce) = (Vec::new(), None);
        loop {
            let known = Known { facts: &facts, form: body.form(), nonce: nonce.as_ref() };
            match shared.pipeline.decide(head, peer, self.now, known) {
                Step::Done(verdict) => {
                    report.verdict(verdict.notes);
                    return verdict.outcome;
                }
                Step::NeedFacts(key, lookup) => {
                    let resolved =
                        report.awaiting(Wait::Facts, Box::pin(shared.facts.resolve(key, lookup))).await;
                    facts.push((key, resolved.ok()));
                }
                Step::NeedForm => report.awaiting(Wait::Body, Box::pin(body.collect(&shared.forms))).await?,
                Step::NeedNonce(claim) => {
                    let recorded = shared.pipeline.nonces.resolve(&claim, self.now);
                    let recorded = report.awaiting(Wait::Nonce, recorded).await;
                    nonce = Some((claim, recorded));
                }
            }
        }
    }
}

/// A request's body: still on its way, or collected.
pub(super) enum Body {
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

    /// The whole body, if it is no longer than this room allows.
    pub(super) async fn collected(&mut self, room: &FormBudget) -> Result<Bytes, Rejection> {
        if let Self::Unread(_) = self
            && let Self::Unread(relay) = std::mem::replace(self, Self::Moving)
        {
            *self = Self::Form(room.collect(relay).await?);
        }
        match self {
            Self::Form(form) if room.allows(form.bytes.len()) => Ok(form.bytes.clone()),
            Self::Form(_) | Self::Unread(_) | Self::Moving => Err(Rejection::BodyTooLarge),
        }
    }

    /// Watches over the body as it passes. GraphQL takes no signatures: no form is collected there.
    pub(super) async fn scan(&mut self, mut scan: Scan) -> Result<(), Rejection> {
        match self {
            Self::Unread(relay) => relay.scan(scan).await.map_err(refused),
            Self::Form(form) => scan.look(&form.bytes).map_err(refused),
            Self::Moving => Ok(()),
        }
    }

    fn into_outgoing(self) -> Outgoing {
        match self {
            Self::Form(form) => Outgoing::Whole(form),
            Self::Unread(relay) if !relay.is_end_stream() => Outgoing::Relayed(relay),
            Self::Unread(_) | Self::Moving => Outgoing::Empty,
        }
    }
}

async fn forward(
    service: &Rc<Service>,
    head: Parts,
    body: Outgoing,
    report: &mut Report,
) -> Result<Response<Content>, Rejection> {
    let trail = match &body {
        Outgoing::Relayed(relay) => Some(relay.trail()),
        Outgoing::Empty | Outgoing::Whole(_) => None,
    };
    let (pool, journey) = (&service.pool, Journey::default());
    let sending = send(pool, head, body, (&journey, trail.as_deref()));
    let answered = answered_within(pool.response_timeout(), trail.as_deref(), sending).await;
    report.endpoint = journey.endpoint.get();
    let response = answered.map_err(|rejection| match trail.map(|trail| trail.fate()) {
        Some(Fate::Failed(error)) => refused(error),
        Some(Fate::UnderWay | Fate::Complete) | None => {
            note_timeout(pool, &journey, &rejection);
            rejection
        }
    })?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        tracing::debug!("the upstream switched protocols unasked");
        return Err(Rejection::UpstreamUnavailable);
    }
    report.upstream_answered();
    Ok(service.answer(response.map(Source::Upstream)))
}

/// An endpoint that has a request and does not answer it fails; whoever waited for it knows.
fn note_timeout(pool: &Pool, journey: &Journey, rejection: &Rejection) {
    let owes = journey.endpoint.get().filter(|_| journey.is_sent.get());
    if let (Some(index), Rejection::UpstreamTimeout) = (owes, rejection) {
        pool.timed_out(index, journey);
    }
}

/// Waits for the upstream `patience` long from the moment at which it had everything that there was to have: a large body
/// may take its time, and a client that stops sending is not the upstream's fault.
async fn answered_within<T>(
    patience: Duration,
    trail: Option<&Trail>,
    answer: impl Future<Output = Result<T, Rejection>>,
) -> Result<T, Rejection> {
    let mut answer = std::pin::pin!(answer);
    let mut deadline = Instant::now() + patience;
    loop {
        if let Ok(answered) = tokio::time::timeout_at(deadline, answer.as_mut()).await {
            return answered;
        }
        let owes_since = trail.map(|trail| trail.receiver_owes_since().unwrap_or_else(Instant::now));
        match owes_since.map(|since| since + patience) {
            Some(later) if later > deadline => deadline = later,
            Some(_) | None => return Err(Rejection::UpstreamTimeout),
        }
    }
}

impl Service {
    /// Makes an upstream's answer fit to pass.
    pub(super) fn answer(&self, response: Response<Source>) -> Response<Content> {
        let (mut head, body) = response.into_parts();
        self.shared.forward.answer(&mut head.headers);
        head.version = Version::HTTP_11;
        let relay = Relay::new(body, None, self.pool.response_timeout());
        Response::from_parts(head, Content::Upstream(relay))
    }
}

fn refuse(
    service: &Service,
    rejection: &Rejection,
    accept: Option<&HeaderValue>,
    report: &mut Report,
) -> Response<Content> {
    report.refused(rejection);
    service.shared.settings.replies.refuse(rejection, accept).map(Content::Own)
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
