//! One endpoint, as all workers and the questions about its health share it: addresses, room for connections, health,
//! breaker and figures. It outlives a reload that only changes its weight.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use super::{
    breaker::Breaker,
    settings::{EndpointSettings, Http2, Reach},
    tls::chose_http2,
    vitals::Vitals,
    wire::Wire,
};
use crate::metrics::{EndpointLabel, UpstreamMetrics, UpstreamRequestLabel};

/// Why an endpoint did not answer a request.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("connecting took too long")]
    Timeout,
    #[error("the name cannot be resolved: {0}")]
    Resolve(io::Error),
    #[error("connecting failed: {0}")]
    Io(io::Error),
    #[error("TLS failed: {0}")]
    Tls(io::Error),
    #[error("the upstream's connection failed: {0}")]
    Http(#[from] hyper::Error),
    #[error("every connection is in use")]
    Busy,
    #[error("too many requests failed, nothing is sent for a while")]
    Open,
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Requests, by HTTP/2 where it is to be had.
    Requests,
    /// Something that only HTTP/1.1 has.
    Http1,
}

/// One endpoint.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) settings: EndpointSettings,
    pub(super) reach: Arc<Reach>,
    pub(super) vitals: Vitals,
    pub(super) breaker: Breaker,
    pub(super) figures: Figures,
    /// Requests that wait for a connection, on every worker.
    pub(super) pending: AtomicUsize,
    addresses: ArcSwap<Vec<SocketAddr>>,
    turn: AtomicUsize,
    slots: Option<Arc<Semaphore>>,
    /// The log was told that it fails.
    is_told: AtomicBool,
}

/// An endpoint's figures, looked up once.
#[derive(Debug)]
pub(super) struct Figures {
    pub(super) answered: Counter,
    connections: Gauge,
    all: UpstreamMetrics,
    name: String,
}

/// Room for one connection, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Room {
    _permit: Option<OwnedSemaphorePermit>,
    open: Gauge,
}

impl Endpoint {
    /// An endpoint about which nothing is known yet.
    pub(super) fn new(settings: EndpointSettings, reach: &Arc<Reach>, metrics: &UpstreamMetrics) -> Self {
        let address = settings.host.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, settings.port));
        let slots =
            (settings.max_connections > 0).then(|| Arc::new(Semaphore::new(settings.max_connections)));
        Self {
            figures: Figures::new(&settings.name, metrics),
            settings,
            reach: Arc::clone(reach),
            vitals: Vitals::default(),
            breaker: Breaker::default(),
            pending: AtomicUsize::new(0),
            addresses: ArcSwap::from_pointee(address.into_iter().collect()),
            turn: AtomicUsize::new(0),
            slots,
            is_told: AtomicBool::new(false),
        }
    }

    /// Whether no further connection may be made at the moment.
    pub(super) fn is_full(&self) -> bool {
        self.slots.as_ref().is_some_and(|slots| slots.available_permits() == 0)
    }

    /// Room for a connection, if there is any at once.
    pub(super) fn try_room(&self) -> Option<Room> {
        let permit = match &self.slots {
            None => None,
            Some(slots) => Some(Arc::clone(slots).try_acquire_owned().ok()?),
        };
        Some(self.room(permit))
    }

    /// Room for a connection, whenever there is some.
    pub(super) async fn wait_for_room(&self) -> Room {
        let permit = match &self.slots {
            None => None,
            // It is never closed.
            Some(slots) => Arc::clone(slots).acquire_owned().await.ok(),
        };
        self.room(permit)
    }

    /// A connection beside the limit, for a question about health.
    pub(super) fn room_beside(&self) -> Room {
        self.room(None)
    }

    fn room(&self, permit: Option<OwnedSemaphorePermit>) -> Room {
        self.figures.connections.inc();
        Room { _permit: permit, open: self.figures.connections.clone() }
    }

    /// Opens a connection. Tells whether HTTP/2 is spoken on it.
    pub(super) async fn open(&self, room: Room, purpose: Purpose) -> Result<(Wire, bool), ConnectError> {
        let limit = self.reach.connect_timeout;
        let opening = self.open_at_last(room, purpose, Instant::now() + limit);
        tokio::time::timeout(limit, opening).await.map_err(|_elapsed| ConnectError::Timeout)?
    }

    async fn open_at_last(
        &self,
        room: Room,
        purpose: Purpose,
        deadline: Instant,
    ) -> Result<(Wire, bool), ConnectError> {
        let (socket, remote) = self.call(deadline).await?;
        let wants_http2 = purpose == Purpose::Requests;
        if !self.settings.is_tls {
            let is_http2 = wants_http2 && self.reach.http2 == Http2::Clear;
            return Ok((Wire::plain(socket, remote, room), is_http2));
        }
        let tls = &self.reach.tls;
        let stream =
            tls.connect(&self.settings.host, socket, wants_http2).await.map_err(ConnectError::Tls)?;
        let is_http2 = chose_http2(&stream);
        Ok((Wire::tls(stream, remote, room), is_http2))
    }

    /// A socket to one of the addresses: another one first each time, the next one where one refuses or is silent for its
    /// share of the time.
    async fn call(&self, deadline: Instant) -> Result<(TcpStream, SocketAddr), ConnectError> {
        let addresses = self.addresses().await?;
        let first = self.turn.fetch_add(1, Relaxed);
        let mut last = ConnectError::Timeout;
        for tried in 0..addresses.len() {
            let Some(address) = addresses.get(first.wrapping_add(tried) % addresses.len()) else { continue };
            let left = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
            let share = deadline.saturating_duration_since(Instant::now()) / left;
            match tokio::time::timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(socket)) => {
                    socket.set_nodelay(true).map_err(ConnectError::Io)?;
                    return Ok((socket, *address));
                }
                Ok(Err(error)) => last = ConnectError::Io(error),
                Err(_elapsed) => last = ConnectError::Timeout,
            }
        }
        Err(last)
    }

    async fn addresses(&self) -> Result<Arc<Vec<SocketAddr>>, ConnectError> {
        let known = self.addresses.load_full();
        if !known.is_empty() {
            return Ok(known);
        }
        self.resolve().await.map_err(ConnectError::Resolve)?;
        Ok(self.addresses.load_full())
    }

    /// Asks for the addresses of the name again. Tells whether they changed; what was known stays where nobody answers.
    pub(super) async fn resolve(&self) -> io::Result<bool> {
        let EndpointSettings { host, port, .. } = &self.settings;
        let mut found: Vec<_> = tokio::net::lookup_host((host.as_str(), *port)).await?.collect();
        found.sort_unstable();
        found.dedup();
        if found.is_empty() {
            return Err(io::Error::other("the name has no address"));
        }
        let is_changed = **self.addresses.load() != found;
        if is_changed {
            self.addresses.store(Arc::new(found));
        }
        Ok(is_changed)
    }

    /// Whether the address stands for a name, which may come to mean another one.
    pub(super) fn is_named(&self) -> bool {
        self.settings.host.parse::<IpAddr>().is_err()
    }

    /// Whether the name still means this address.
    pub(super) fn leads_to(&self, address: SocketAddr) -> bool {
        self.addresses.load().contains(&address)
    }

    /// Tells the log of the first failure after an answer; the figures tell of each.
    pub(super) fn tell_failure(&self, error: &dyn std::fmt::Display) {
        let endpoint = &*self.settings.name;
        if self.is_told.swap(true, Relaxed) {
            tracing::debug!(endpoint, error = %error, "the upstream fails");
        } else {
            tracing::warn!(endpoint, error = %error, "the upstream fails");
        }
    }

    /// Tells the log of the first answer after a failure.
    pub(super) fn tell_success(&self) {
        if self.is_told.load(Relaxed) && self.is_told.swap(false, Relaxed) {
            tracing::info!(endpoint = &*self.settings.name, "the upstream answers again");
        }
    }

    /// Tells the log that it is left alone.
    pub(super) fn tell_ejection(&self, time: Duration) {
        self.figures.count_ejection();
        let ejected_s = time.as_secs_f64();
        tracing::warn!(endpoint = &*self.settings.name, ejected_s, "the endpoint is ejected");
    }
}

impl Figures {
    fn new(name: &str, metrics: &UpstreamMetrics) -> Self {
        let name = name.to_owned();
        let label = EndpointLabel { endpoint: name.clone() };
        let answered = UpstreamRequestLabel { endpoint: name.clone(), outcome: "answered" };
        Self {
            answered: metrics.requests.get_or_create(&answered).clone(),
            connections: metrics.connections.get_or_create(&label).clone(),
            all: metrics.clone(),
            name,
        }
    }

    /// Counts a request that was not answered.
    pub(super) fn count(&self, outcome: &'static str) {
        let label = UpstreamRequestLabel { endpoint: self.name.clone(), outcome };
        self.all.requests.get_or_create(&label).inc();
    }

    fn count_ejection(&self) {
        self.all.ejections.get_or_create(&self.label()).inc();
    }

    /// Brings the gauges up to date.
    pub(super) fn measure(&self, is_well: bool, breaker: i64, pending: usize) {
        let label = self.label();
        self.all.healthy.get_or_create(&label).set(i64::from(is_well));
        self.all.breaker.get_or_create(&label).set(breaker);
        self.all.pending.get_or_create(&label).set(i64::try_from(pending).unwrap_or(i64::MAX));
    }

    fn label(&self) -> EndpointLabel {
        EndpointLabel { endpoint: self.name.clone() }
    }
}

#[cfg(test)]
impl Room {
    /// For a connection that belongs to no endpoint.
    pub(super) fn uncounted() -> Self {
        Self { _permit: None, open: Gauge::default() }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.open.dec();
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::proxy::engine::upstream::{settings::BreakerSettings, tls::TlsClient};

    fn endpoint(host: &str, port: u16) -> Endpoint {
        let limit = Duration::from_millis(900);
        let reach = Reach {
            connect_timeout: limit,
            response_timeout: limit,
            idle_timeout: limit,
            max_idle: 1,
            max_pending: 1,
            pending_timeout: limit,
            http2: Http2::Off,
            breaker: BreakerSettings { requests: 0, failures: 50, window: limit, open: limit },
            tls: TlsClient::none(),
        };
        let settings = EndpointSettings {
            name: "a".into(),
            host: host.to_owned(),
            port,
            is_tls: false,
            weight: 1,
            max_connections: 0,
        };
        Endpoint::new(settings, &Arc::new(reach), &UpstreamMetrics::default())
    }

    async fn open(endpoint: &Endpoint) -> Result<SocketAddr, ConnectError> {
        let room = endpoint.try_room().expect("there is no limit");
        endpoint.open(room, Purpose::Requests).await.map(|(wire, _is_http2)| wire.remote)
    }

    #[tokio::test]
    async fn every_address_of_a_name_is_called_and_a_dead_one_stops_nobody() {
        let (one, other) =
            (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("[::1]:0").await);
        let one = one.local_addr().map(|address| (one, address)).unwrap();
        let other = other.unwrap();
        let other = other.local_addr().map(|address| (other, address)).unwrap();
        let dead = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        // Nobody answers there: RFC 5737.
        let silent: SocketAddr = "192.0.2.1:9".parse().unwrap();
        let named = endpoint("name.test", 80);
        named.addresses.store(Arc::new(vec![one.1, other.1]));
        let called = [open(&named).await.unwrap(), open(&named).await.unwrap()];
        assert!(called.contains(&one.1) && called.contains(&other.1), "{called:?}");
        named.addresses.store(Arc::new(vec![dead, silent, one.1]));
        for _ in 0..3 {
            assert_eq!(open(&named).await.unwrap(), one.1);
        }
        named.addresses.store(Arc::new(vec![dead]));
        assert!(matches!(open(&named).await, Err(ConnectError::Io(_))));
        assert_eq!(named.figures.connections.get(), 0, "each was counted until it was closed");
    }

    #[tokio::test]
    async fn a_name_is_resolved_again_and_a_failure_forgets_nothing() {
        let named = endpoint("localhost", 80);
        assert!(named.is_named() && !endpoint("::1", 80).is_named());
        named.addresses.store(Arc::new(vec!["192.0.2.1:80".parse().unwrap()]));
        assert!(named.resolve().await.unwrap(), "it means another address now");
        assert!(!named.resolve().await.unwrap());
        assert!(!named.leads_to("192.0.2.1:80".parse().unwrap()));
        let lost = endpoint("no-such-name.invalid", 80);
        lost.addresses.store(Arc::new(vec!["192.0.2.1:80".parse().unwrap()]));
        assert!(lost.resolve().await.is_err());
        assert!(lost.leads_to("192.0.2.1:80".parse().unwrap()));
    }
}
