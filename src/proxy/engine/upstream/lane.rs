//! One worker's connections to one endpoint.
//!
//! They live on the worker's own runtime and are used last in, first out, so that idle ones age and are dropped. Measured,
//! this costs less than a shared pool (see `benches/README.md`). A connection goes back only when the exchange says that both
//! bodies reached their end; one that is merely dropped is closed. Where the endpoint's connections are limited, a request
//! waits in line for one of this worker's, or for room that another worker leaves.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    sync::{
        Arc,
        atomic::Ordering::{AcqRel, Relaxed},
    },
    time::Instant,
};

use tokio::sync::{Mutex, Notify, oneshot};

use super::{
    breaker::Tally,
    endpoint::{ConnectError, Endpoint, Purpose, Room},
    held::Way,
    http2::{Multiplex, Stream},
    line::Line,
    settings::Http2,
    vitals,
};

/// One worker's connections to one endpoint.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) endpoint: Arc<Endpoint>,
    /// Requests under way.
    pub(super) outstanding: Cell<u32>,
    /// Requests and failures, for the breaker.
    pub(super) tally: Tally,
    idle: RefCell<Vec<Idle>>,
    waiters: RefCell<VecDeque<oneshot::Sender<Box<Line>>>>,
    wants_room: Arc<Notify>,
    speaks: Cell<Speaks>,
    multiplexed: RefCell<Vec<Multiplex>>,
    /// Held while an HTTP/2 connection is made, so that those who wait can share it.
    joining: Mutex<()>,
}

#[derive(Debug)]
struct Idle {
    line: Box<Line>,
    since: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaks {
    /// TLS has not told yet.
    Unknown,
    Http1,
    Http2,
}

/// What a request that waited gets.
enum Place {
    Line(Box<Line>),
    Room(Room),
}

impl Lane {
    /// A lane without connections.
    pub(super) fn new(endpoint: &Arc<Endpoint>, wants_room: &Arc<Notify>) -> Self {
        let speaks = match (endpoint.settings.is_tls, endpoint.reach.http2) {
            (_, Http2::Off) | (false, Http2::Offered) => Speaks::Http1,
            (false, Http2::Clear) => Speaks::Http2,
            (true, Http2::Offered | Http2::Clear) => Speaks::Unknown,
        };
        Self {
            endpoint: Arc::clone(endpoint),
            outstanding: Cell::new(0),
            tally: Tally::default(),
            idle: RefCell::default(),
            waiters: RefCell::default(),
            wants_room: Arc::clone(wants_room),
            speaks: Cell::new(speaks),
            multiplexed: RefCell::default(),
            joining: Mutex::new(()),
        }
    }

    /// Whether a further request would have to wait.
    pub(super) fn is_full(&self) -> bool {
        self.endpoint.is_full()
            && self.idle.borrow().is_empty()
            && !self.multiplexed.borrow().iter().any(Multiplex::has_room)
    }

    /// A connection that is ready to send, and whether it served before: a held one if there is one, else a new one.
    pub(super) async fn acquire(&self) -> Result<(Way, bool), ConnectError> {
        if let Some(stream) = self.take_stream() {
            return Ok((Way::Shared(stream), true));
        }
        if let Some(line) = self.take_fresh() {
            return Ok((Way::Own(line), true));
        }
        // Off the common way, which should not carry what a handshake needs.
        Box::pin(self.make()).await
    }

    /// A new connection, whatever is held, if there is room for one.
    pub(super) async fn renew(&self) -> Result<(Way, bool), ConnectError> {
        if self.speaks.get() == Speaks::Http1
            && let Some(room) = self.endpoint.try_room()
        {
            return Box::pin(self.connect(room)).await;
        }
        self.acquire().await
    }

    /// Room for a connection that will not come back.
    pub(super) async fn room_apart(&self) -> Result<Room, ConnectError> {
        if let Some(room) = self.endpoint.try_room() {
            return Ok(room);
        }
        // Its place is free when its task has closed it.
        drop(self.idle.borrow_mut().pop());
        self.room().await
    }

    async fn make(&self) -> Result<(Way, bool), ConnectError> {
        if self.speaks.get() != Speaks::Http1 {
            let limit = self.endpoint.reach.connect_timeout;
            let joining = tokio::time::timeout(limit, self.joining.lock());
            let _joining = joining.await.map_err(|_elapsed| ConnectError::Timeout)?;
            if let Some(stream) = self.take_stream() {
                return Ok((Way::Shared(stream), true));
            }
            if self.speaks.get() != Speaks::Http1 {
                let room = self.room().await?;
                return self.connect(room).await;
            }
        }
        loop {
            match self.place().await? {
                Place::Room(room) => return self.connect(room).await,
                Place::Line(mut line) => {
                    if line.is_fresh() {
                        return Ok((Way::Own(line), true));
                    }
                }
            }
        }
    }

    /// Opens a connection and shakes hands on it.
    async fn connect(&self, room: Room) -> Result<(Way, bool), ConnectError> {
        let (wire, is_http2) = self.endpoint.open(room, Purpose::Requests).await?;
        self.speaks.set(if is_http2 { Speaks::Http2 } else { Speaks::Http1 });
        if !is_http2 {
            return Ok((Way::Own(Line::over(wire)), false));
        }
        let multiplex = Multiplex::over(wire, &self.endpoint.reach).await?;
        let stream = multiplex.stream();
        self.multiplexed.borrow_mut().push(multiplex);
        Ok((Way::Shared(stream), false))
    }

    /// Room for one more connection, after a wait where there is none.
    async fn room(&self) -> Result<Room, ConnectError> {
        if let Some(room) = self.endpoint.try_room() {
            return Ok(room);
        }
        let waiting = self.in_line()?;
        let room = tokio::time::timeout(self.endpoint.reach.pending_timeout, self.endpoint.wait_for_room());
        let room = room.await.map_err(|_elapsed| ConnectError::Busy);
        drop(waiting);
        room
    }

    /// A connection of this worker that becomes free, or room for one, whatever comes first.
    async fn place(&self) -> Result<Place, ConnectError> {
        if let Some(room) = self.endpoint.try_room() {
            return Ok(Place::Room(room));
        }
        let waiting = self.in_line()?;
        let (hand, line) = oneshot::channel();
        {
            let mut waiters = self.waiters.borrow_mut();
            waiters.retain(|waiter| !waiter.is_closed());
            waiters.push_back(hand);
        }
        let first = async {
            tokio::select! {
                biased;
                Ok(line) = line => Place::Line(line),
                room = self.endpoint.wait_for_room() => Place::Room(room),
            }
        };
        let place = tokio::time::timeout(self.endpoint.reach.pending_timeout, first).await;
        drop(waiting);
        place.map_err(|_elapsed| ConnectError::Busy)
    }

    fn in_line(&self) -> Result<Waiting<'_>, ConnectError> {
        let waiting = Waiting(&self.endpoint);
        let before = self.endpoint.pending.fetch_add(1, AcqRel);
        if before >= self.endpoint.reach.max_pending {
            return Err(ConnectError::Busy);
        }
        self.wants_room.notify_waiters();
        Ok(waiting)
    }

    fn take_stream(&self) -> Option<Stream> {
        if self.speaks.get() == Speaks::Http1 {
            return None;
        }
        let multiplexed = self.multiplexed.borrow();
        multiplexed.iter().find(|multiplex| multiplex.has_room()).map(Multiplex::stream)
    }

    fn take_fresh(&self) -> Option<Box<Line>> {
        let mut idle = self.idle.borrow_mut();
        while let Some(Idle { mut line, since }) = idle.pop() {
            if since.elapsed() > self.endpoint.reach.idle_timeout {
                // Below it in the stack everything is older still.
                idle.clear();
                return None;
            }
            if line.is_fresh() {
                return Some(line);
            }
        }
        None
    }

    /// Takes a connection back whose request and answer reached their end.
    pub(super) fn put_back(&self, line: Box<Line>) {
        let pending = self.endpoint.pending.load(Relaxed);
        let Some(line) = (if pending == 0 { Some(line) } else { self.hand_over(line, pending) }) else {
            return;
        };
        let mut idle = self.idle.borrow_mut();
        if idle.len() < self.endpoint.reach.max_idle {
            idle.push(Idle { line, since: Instant::now() });
        }
    }

    /// Gives a connection to somebody who waits: here as it is, elsewhere by closing it, each in proportion to those who wait.
    fn hand_over(&self, mut line: Box<Line>, pending: usize) -> Option<Box<Line>> {
        let mut waiters = self.waiters.borrow_mut();
        waiters.retain(|waiter| !waiter.is_closed());
        let elsewhere = pending.saturating_sub(waiters.len());
        if elsewhere > 0 && rand::random_range(0..pending) < elsewhere {
            return None;
        }
        while let Some(waiter) = waiters.pop_front() {
            match waiter.send(line) {
                Ok(()) => return None,
                Err(back) => line = back,
            }
        }
        Some(line)
    }

    /// Drops what is held of an endpoint that is not there.
    pub(super) fn empty(&self) {
        self.idle.borrow_mut().clear();
        self.multiplexed.borrow_mut().retain(|multiplex| !multiplex.is_unused());
    }

    /// Drops what grew old, what leads where the name no longer does, what belongs to an endpoint that is left alone, and what
    /// others wait for.
    pub(super) fn sweep(&self) {
        let endpoint = &self.endpoint;
        if !endpoint.vitals.is_well(vitals::now()) {
            self.empty();
            return;
        }
        let limit = endpoint.reach.idle_timeout;
        let leads = |remote| !endpoint.is_named() || endpoint.leads_to(remote);
        let mut idle = self.idle.borrow_mut();
        idle.retain_mut(|Idle { line, since }| {
            since.elapsed() <= limit && line.is_fresh() && leads(line.remote())
        });
        let wanted = endpoint.pending.load(Relaxed).min(idle.len());
        if wanted > 0 && endpoint.is_full() {
            idle.drain(..wanted);
        }
        drop(idle);
        self.multiplexed
            .borrow_mut()
            .retain(|multiplex| !multiplex.is_closed() && multiplex.is_worth(limit, &leads));
    }

    /// Connections that are held unused.
    #[cfg(test)]
    pub(super) fn unused(&self) -> usize {
        self.idle.borrow().len()
    }
}

/// A request that waits; counted until this is dropped.
struct Waiting<'a>(&'a Endpoint);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.pending.fetch_sub(1, AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use std::{rc::Rc, time::Duration};

    use bytes::Bytes;
    use http::{Request, Response};
    use http_body_util::{BodyExt as _, Full};
    use hyper::{server::conn::http1 as server, service::service_fn};
    use hyper_util::rt::TokioIo;
    use tokio::{net::TcpListener, task::LocalSet};

    use super::*;
    use crate::{
        metrics::UpstreamMetrics,
        proxy::engine::{
            body::Outgoing,
            upstream::{
                held::{AnswerBody, Held, Lease},
                settings::{BreakerSettings, EndpointSettings, Reach},
                tls::TlsClient,
                upload::Upload,
            },
        },
    };

    /// A lane before an upstream that answers everything, and how many connections it accepted.
    async fn lane(idle_timeout: Duration, max_idle: usize, most: usize) -> (Rc<Lane>, Rc<Cell<usize>>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let accepted = Rc::new(Cell::new(0));
        let count = Rc::clone(&accepted);
        tokio::task::spawn_local(async move {
            while let Ok((socket, _)) = listener.accept().await {
                count.set(count.get() + 1);
                let service = service_fn(async |_| {
                    Ok::<_, hyper::Error>(Response::new(Full::new(Bytes::from_static(b"ok"))))
                });
                tokio::task::spawn_local(
                    server::Builder::new().serve_connection(TokioIo::new(socket), service),
                );
            }
        });
        let second = Duration::from_secs(1);
        let reach = Reach {
            connect_timeout: second,
            response_timeout: second,
            idle_timeout,
            max_idle,
            max_pending: 1,
            pending_timeout: Duration::from_millis(300),
            http2: Http2::Off,
            breaker: BreakerSettings { requests: 0, failures: 50, window: second, open: second },
            tls: TlsClient::none(),
        };
        let settings = EndpointSettings {
            name: "a".into(),
            host: "127.0.0.1".to_owned(),
            port,
            is_tls: false,
            weight: 1,
            max_connections: most,
        };
        let endpoint = Arc::new(Endpoint::new(settings, &Arc::new(reach), &UpstreamMetrics::default()));
        (Rc::new(Lane::new(&endpoint, &Arc::default())), accepted)
    }

    async fn acquire(lane: &Rc<Lane>) -> Result<Held, ConnectError> {
        let lease = Lease::take(lane, 0).unwrap();
        lane.acquire().await.map(|(way, is_reused)| Held::new(way, lease, is_reused))
    }

    /// Asks, and reads the answer to its end.
    async fn ask(held: Held) -> AnswerBody {
        let (head, ()) = Request::get("/").header("host", "a").body(()).unwrap().into_parts();
        let answer = held.send(&head, &mut Upload::new(Outgoing::Empty)).await;
        let mut body = answer.map_err(|failure| failure.cause).unwrap().into_body();
        while let Some(frame) = body.frame().await {
            frame.unwrap();
        }
        body
    }

    fn on_one_thread(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        LocalSet::new().block_on(&runtime, test);
    }

    #[test]
    fn a_released_connection_serves_again_and_a_dropped_one_does_not() {
        on_one_thread(async {
            let (lane, accepted) = lane(Duration::from_secs(5), 8, 0).await;
            for (releases, connections) in [(true, 1), (true, 1), (false, 1), (true, 2)] {
                let answered = ask(acquire(&lane).await.unwrap()).await;
                assert_eq!(lane.outstanding.get(), 1);
                if releases {
                    answered.release();
                } else {
                    drop(answered);
                }
                assert_eq!((accepted.get(), lane.outstanding.get()), (connections, 0));
            }
        });
    }

    #[test]
    fn an_aged_connection_and_one_too_many_are_not_kept() {
        on_one_thread(async {
            let (aging, accepted) = lane(Duration::from_millis(20), 8, 0).await;
            for _ in 0..2 {
                ask(acquire(&aging).await.unwrap()).await.release();
                tokio::time::sleep(Duration::from_millis(40)).await;
            }
            assert_eq!(accepted.get(), 2);
            aging.sweep();
            assert_eq!(aging.unused(), 0, "also where nobody asks");
            let (small, _) = lane(Duration::from_secs(5), 1, 0).await;
            let (one, other) = (acquire(&small).await.unwrap(), acquire(&small).await.unwrap());
            let (one, other) = (ask(one).await, ask(other).await);
            one.release();
            other.release();
            assert_eq!(small.unused(), 1);
        });
    }

    #[test]
    fn a_request_waits_for_a_connection_and_one_too_many_does_not() {
        on_one_thread(async {
            let (lane, accepted) = lane(Duration::from_secs(5), 8, 1).await;
            let first = ask(acquire(&lane).await.unwrap()).await;
            let (next, third) = tokio::join!(acquire(&lane), async {
                let third = acquire(&lane).await;
                tokio::time::sleep(Duration::from_millis(50)).await;
                first.release();
                third
            });
            assert!(matches!(third, Err(ConnectError::Busy)), "one waits at most");
            let next = ask(next.unwrap()).await;
            assert_eq!(accepted.get(), 1, "it was handed over");
            assert!(matches!(acquire(&lane).await, Err(ConnectError::Busy)), "it waited too long");
            drop(next);
            assert!(acquire(&lane).await.is_ok());
            assert_eq!(lane.endpoint.pending.load(Relaxed), 0);
        });
    }
}
