//! Sending a request, and once more where nothing can have happened twice.
//!
//! A held connection may have been closed by the upstream a moment ago: what was not written is sent again whatever it is,
//! what was written only if it is idempotent, has no body, and before any byte of an answer. A request that met a failing
//! endpoint moves to another one by the same rules, once, and only while the budget lasts. A request is never written more
//! than twice.

use std::{cell::Cell, rc::Rc};

use http::{Method, Response, request::Parts};

use super::{
    breaker::Pass,
    held::{AnswerBody, Failure, Held, Lease},
    pool::Pool,
    upload::Upload,
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
    /// Whether a second time changes nothing: it is idempotent and has no body.
    may_repeat: bool,
}

/// Sends a request to an endpoint and answers with the head that came back.
pub(crate) async fn send(
    pool: &Rc<Pool>,
    head: Parts,
    body: Outgoing,
    (journey, trail): (&Journey, Option<&Trail>),
) -> Result<Response<AnswerBody>, Rejection> {
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
        may_repeat: may_repeat(&head.method, &body),
    };
    let mut upload = Upload::new(body);
    loop {
        let Some(held) = sender.connect().await? else { continue };
        journey.is_sent.set(true);
        let sent = held.send(&head, &mut upload).await;
        journey.is_sent.set(false);
        match sent {
            Ok(response) => {
                response.body().lease().succeeded();
                return Ok(response);
            }
            Err(failure) => sender.consider(failure, upload.is_begun)?,
        }
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

    /// Decides after an attempt that failed whether there is another one.
    fn consider(&mut self, failure: Failure, is_written: bool) -> Result<(), Rejection> {
        let Failure { cause, held } = failure;
        let is_clients_fault = self.trail.is_some_and(|trail| matches!(trail.fate(), Fate::Failed(_)));
        if is_clients_fault {
            return Err(Rejection::UpstreamUnavailable);
        }
        let index = held.lease().index;
        let is_stale = held.may_be_stale(is_written) && !self.was_stale;
        let is_harmless = !is_written || (self.may_repeat && !self.is_repeat && !held.has_heard());
        if !is_harmless || !(is_stale || self.can_move()) {
            held.lease().failed(&self.pool.fleet, "broken", &cause);
            return Err(Rejection::UpstreamUnavailable);
        }
        self.is_repeat |= is_written;
        self.is_fresh = true;
        if is_stale {
            self.was_stale = true;
            self.but = Some(index);
            self.pool.count_retry("stale");
            return Ok(());
        }
        held.lease().failed(&self.pool.fleet, "broken", &cause);
        drop(held);
        if self.move_on(index) { Ok(()) } else { Err(Rejection::UpstreamUnavailable) }
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

fn may_repeat(method: &Method, body: &Outgoing) -> bool {
    let is_idempotent = [Method::GET, Method::HEAD, Method::PUT, Method::DELETE, Method::OPTIONS];
    matches!(body, Outgoing::Empty) && is_idempotent.contains(method)
}
