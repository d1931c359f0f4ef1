//! Sending a request, and once more where nothing can have happened twice.
//!
//! A held connection may have been closed by the upstream a moment ago: what was not written is sent again whatever it is,
//! what was written only if it is idempotent, has no body, and before any byte of an answer. A request that met a failing
//! endpoint moves to another one by the same rules, once, and only while the budget lasts. A request is never written more
//! than twice.

use std::{cell::Cell, rc::Rc};

use http::{Method, Request, Response, request::Parts};
use hyper::body::Incoming;

use super::{
    breaker::Pass,
    held::{Held, Lease, SendError},
    pool::Pool,
};
use crate::{
    auth::rejection::Rejection,
    proxy::engine::body::{Fate, Outgoing, Trail},
};

/// What is known of a request under way, for whoever stops waiting.
#[derive(Debug, Default)]
pub(crate) struct Journey {
    /// The endpoint that it went to last.
    pub(crate) endpoint: Cell<Option<usize>>,
    /// How that endpoint's breaker let it through.
    pub(super) pass: Cell<Pass>,
    /// The endpoint has it, and owes an answer.
    pub(crate) is_sent: Cell<bool>,
}

/// One request on its way.
struct Sender<'a> {
    pool: &'a Rc<Pool>,
    journey: &'a Journey,
    trail: Option<&'a Trail>,
    /// The endpoint where it failed.
    but: Option<usize>,
    /// Only a connection that served nobody yet will do.
    is_fresh: bool,
    was_stale: bool,
    has_moved: bool,
    is_repeat: bool,
}

/// Sends a request to an endpoint and answers with the head that came back.
pub(crate) async fn send(
    pool: &Rc<Pool>,
    head: Parts,
    body: Outgoing,
    (journey, trail): (&Journey, Option<&Trail>),
) -> Result<(Response<Incoming>, Held), Rejection> {
    pool.budget.save();
    let mut sender = Sender {
        pool,
        journey,
        trail,
        but: None,
        is_fresh: false,
        was_stale: false,
        has_moved: false,
        is_repeat: false,
    };
    let mut request = Request::from_parts(head, body);
    loop {
        let Some(mut held) = sender.connect().await? else { continue };
        let spare = sender.spare(&held, &request);
        journey.is_sent.set(true);
        let error = match held.send(request).await {
            Ok(response) => {
                journey.is_sent.set(false);
                held.lease().succeeded();
                return Ok((response, held));
            }
            Err(error) => error,
        };
        journey.is_sent.set(false);
        request = sender.again(held, error, spare)?;
    }
}

impl Sender<'_> {
    /// A connection; `None` where the request moves to another endpoint.
    async fn connect(&mut self) -> Result<Option<Held>, Rejection> {
        let lease = self.place()?;
        let index = lease.index;
        self.journey.endpoint.set(Some(index));
        self.journey.pass.set(lease.pass);
        let lane = Rc::clone(lease.lane());
        // Nothing was sent where this fails.
        let connected = if self.is_fresh { lane.renew().await } else { lane.acquire().await };
        match connected {
            Ok((way, is_reused)) => Ok(Some(Held::new(way, lease, is_reused))),
            Err(error) => {
                self.pool.note(&lease, &error);
                drop(lease);
                self.move_on(index).then_some(None).ok_or_else(|| self.pool.rejection(&error))
            }
        }
    }

    /// A place at another endpoint than the one that failed. What failed was perhaps only a connection; then the same
    /// endpoint will do.
    fn place(&self) -> Result<Lease, Rejection> {
        let place = self.pool.choose(self.but);
        let same = |error| if self.has_moved { Err(error) } else { self.pool.choose(None) };
        place.or_else(same).map_err(|error| self.pool.rejection(&error))
    }

    /// A copy of what could be sent again.
    fn spare(&self, held: &Held, request: &Request<Outgoing>) -> Option<Parts> {
        let is_worth = !self.is_repeat && (held.is_reused || self.pool.has_several());
        (is_worth && may_repeat(request)).then(|| {
            let (mut head, ()) = Request::new(()).into_parts();
            head.method = request.method().clone();
            head.uri = request.uri().clone();
            head.version = request.version();
            head.headers = request.headers().clone();
            head
        })
    }

    /// What is sent after an attempt that failed.
    fn again(
        &mut self,
        held: Held,
        error: SendError,
        spare: Option<Parts>,
    ) -> Result<Request<Outgoing>, Rejection> {
        let SendError { cause, unsent } = error;
        let is_clients_fault = self.trail.is_some_and(|trail| matches!(trail.fate(), Fate::Failed(_)));
        if is_clients_fault {
            return Err(Rejection::UpstreamUnavailable);
        }
        let index = held.lease().index;
        let is_written = unsent.is_none();
        let is_stale = held.may_be_stale(is_written) && !self.was_stale;
        let request = match (unsent, spare) {
            (Some(request), _) => Some(*request),
            (None, Some(head)) if !held.has_heard() => Some(Request::from_parts(head, Outgoing::Empty)),
            (None, _) => None,
        };
        let Some(request) = request.filter(|_| is_stale || self.can_move()) else {
            held.lease().failed(&self.pool.fleet, "broken", &cause);
            return Err(Rejection::UpstreamUnavailable);
        };
        self.is_repeat |= is_written;
        self.is_fresh = true;
        if is_stale {
            self.was_stale = true;
            self.but = Some(index);
            self.pool.count_retry("stale");
            return Ok(request);
        }
        held.lease().failed(&self.pool.fleet, "broken", &cause);
        drop(held);
        if self.move_on(index) { Ok(request) } else { Err(Rejection::UpstreamUnavailable) }
    }

    fn can_move(&self) -> bool {
        !self.has_moved && self.pool.has_several()
    }

    /// Takes the one move that a request has, if there is somewhere to go and the budget lasts.
    fn move_on(&mut self, from: usize) -> bool {
        if !self.can_move() || !self.pool.has_other(from) {
            return false;
        }
        if !self.pool.budget.spend() {
            self.pool.count_retry("refused");
            return false;
        }
        self.pool.count_retry("moved");
        (self.has_moved, self.is_fresh, self.but) = (true, true, Some(from));
        true
    }
}

fn may_repeat(request: &Request<Outgoing>) -> bool {
    let is_idempotent = [Method::GET, Method::HEAD, Method::PUT, Method::DELETE, Method::OPTIONS];
    matches!(request.body(), Outgoing::Empty) && is_idempotent.contains(request.method())
}
