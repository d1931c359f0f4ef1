//! A worker's way to the upstream: which endpoint a request goes to.
//!
//! Two endpoints are drawn by their shares, and of the two the one with fewer requests under way for its share is taken;
//! where both have as many, the first one. So shares are kept while the gate is quiet, and a slow endpoint gets less at once,
//! without looking at more than two and without a word between workers. What is known of health is read by atomic loads.
//! With one endpoint there is nothing to choose and no clock is asked. `tower`'s balancer knows no weights and boxes its
//! services; Pingora's is tied to its own backends.

use std::{
    cell::Cell,
    rc::{Rc, Weak},
    sync::Arc,
    time::Duration,
};

use http::Response;
use hyper::body::Incoming;
use tokio::time::error::Elapsed;

use super::{
    budget::Budget,
    endpoint::{ConnectError, Purpose},
    fleet::{Fleet, Member},
    held::{self, Lease},
    lane::Lane,
    send::Journey,
    settings::MAX_ENDPOINTS,
    vitals,
    wire::Wire,
};
use crate::{auth::rejection::Rejection, metrics::RetryLabel};

/// How often held connections are looked over.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// One worker's connections to all endpoints.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(super) fleet: Arc<Fleet>,
    pub(super) budget: Budget,
    lanes: Vec<Rc<Lane>>,
    dice: Cell<u64>,
}

/// The share of each endpoint in a choice; 0 for one that is out of question.
type Shares = [u64; MAX_ENDPOINTS];

impl Pool {
    /// A pool before these endpoints. Connections to those that `current` has as well are kept.
    pub(crate) fn new(fleet: &Arc<Fleet>, current: Option<&Self>) -> Rc<Self> {
        let lane = |member: &Member| {
            let mut lanes = current.into_iter().flat_map(|current| &current.lanes);
            let kept = lanes.find(|lane| Arc::ptr_eq(&lane.endpoint, &member.endpoint));
            kept.map_or_else(|| Rc::new(Lane::new(&member.endpoint, &fleet.wants_room)), Rc::clone)
        };
        let pool = Rc::new(Self {
            fleet: Arc::clone(fleet),
            budget: Budget::new(fleet.settings.retry_budget),
            lanes: fleet.members.iter().take(MAX_ENDPOINTS).map(lane).collect(),
            // Any number but 0, from which the sequence would not move.
            dice: Cell::new(rand::random::<u64>() | 1),
        });
        tokio::task::spawn_local(sweep(Rc::downgrade(&pool)));
        pool
    }

    /// The name of an endpoint.
    pub(crate) fn name(&self, index: usize) -> Option<&str> {
        self.lanes.get(index).map(|lane| &*lane.endpoint.settings.name)
    }

    /// How long an answer is waited for.
    pub(crate) fn response_timeout(&self) -> Duration {
        self.fleet.settings.reach.response_timeout
    }

    /// A place at an endpoint; at another one than `but`, where something failed.
    pub(super) fn choose(&self, but: Option<usize>) -> Result<Lease, ConnectError> {
        if let ([only], None) = (&*self.lanes, but) {
            return Lease::take(only, 0).ok_or(ConnectError::Open);
        }
        let mut shares = self.shares(but);
        loop {
            let first = self.draw(&shares).ok_or(ConnectError::Open)?;
            let index =
                self.draw_but(first, shares).map_or(first, |second| self.lighter(first, second, &shares));
            if let Some(lease) = self.lanes.get(index).and_then(|lane| Lease::take(lane, index)) {
                return Ok(lease);
            }
            // Another worker's request took the trial.
            if let Some(share) = shares.get_mut(index) {
                *share = 0;
            }
        }
    }

    /// Whether there is more than one.
    pub(super) const fn has_several(&self) -> bool {
        self.lanes.len() > 1
    }

    /// Whether there is another endpoint to turn to.
    pub(super) fn has_other(&self, but: usize) -> bool {
        self.shares(Some(but)).iter().any(|share| *share > 0)
    }

    /// Who may be chosen. Where too few are well, health is not looked at: a question about health that fails everywhere is
    /// more likely wrong than all endpoints, and refusing everybody helps nobody.
    fn shares(&self, but: Option<usize>) -> Shares {
        let now = vitals::now();
        let Fleet { members, settings, .. } = &*self.fleet;
        let well = members.iter().filter(|member| member.endpoint.vitals.is_well(now)).count();
        let ignores_health = well == 0 || well * 100 < members.len() * settings.panic_threshold as usize;
        let mut shares = [0; MAX_ENDPOINTS];
        let mut has_room = false;
        for (index, (member, share)) in members.iter().zip(&mut shares).enumerate() {
            if Some(index) == but || !member.endpoint.breaker.would_admit() {
                continue;
            }
            *share = if ignores_health { Fleet::full_share(member) } else { self.fleet.share(member, now) };
            has_room |= *share > 0 && self.lanes.get(index).is_some_and(|lane| !lane.is_full());
        }
        for (lane, share) in self.lanes.iter().zip(&mut shares) {
            if has_room && lane.is_full() {
                *share = 0;
            }
        }
        shares
    }

    /// One endpoint, each as likely as its share.
    fn draw(&self, shares: &Shares) -> Option<usize> {
        let total: u64 = shares.iter().sum();
        let scaled = (u128::from(self.throw()) * u128::from(total)) >> 64;
        let mut left = u64::try_from(scaled).ok()?;
        shares.iter().position(|share| {
            let is_it = left < *share;
            left = left.saturating_sub(*share);
            is_it
        })
    }

    /// One of the others.
    fn draw_but(&self, first: usize, mut shares: Shares) -> Option<usize> {
        *shares.get_mut(first)? = 0;
        self.draw(&shares)
    }

    /// The one with fewer requests under way for its share.
    fn lighter(&self, first: usize, second: usize, shares: &Shares) -> usize {
        let load = |index: usize| self.lanes.get(index).map_or(0, |lane| u64::from(lane.outstanding.get()));
        let share = |index: usize| shares.get(index).copied().unwrap_or(1);
        if load(second) * share(first) < load(first) * share(second) { second } else { first }
    }

    /// Marsaglia's xorshift: even enough for a choice, and no shared state.
    fn throw(&self) -> u64 {
        let mut state = self.dice.get();
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        self.dice.set(state);
        state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A connection of its own, for an upgrade: at another endpoint where the first cannot be reached.
    pub(crate) async fn open_apart(&self, told: &Cell<Option<usize>>) -> Result<(Wire, Lease), ConnectError> {
        let (lease, error) = match self.open_at(self.choose(None)?, told).await {
            Ok(opened) => return Ok(opened),
            Err(failed) => failed,
        };
        match self.choose(Some(lease.index)) {
            Ok(other) if self.budget.spend() => {
                self.count_retry("moved");
                self.open_at(other, told).await.map_err(|(_lease, error)| error)
            }
            Ok(_) | Err(_) => Err(error),
        }
    }

    /// Notes how an exchange beside the lanes went.
    pub(crate) fn settle(
        &self,
        lease: &Lease,
        answer: Result<hyper::Result<Response<Incoming>>, Elapsed>,
    ) -> Result<Response<Incoming>, Rejection> {
        match answer {
            Ok(Ok(response)) => {
                lease.succeeded();
                Ok(response)
            }
            Ok(Err(error)) => {
                lease.failed(&self.fleet, "broken", &error);
                Err(Rejection::UpstreamUnavailable)
            }
            Err(elapsed) => {
                lease.failed(&self.fleet, held::TIMEOUT, &elapsed);
                Err(Rejection::UpstreamTimeout)
            }
        }
    }

    async fn open_at(
        &self,
        lease: Lease,
        told: &Cell<Option<usize>>,
    ) -> Result<(Wire, Lease), (Lease, ConnectError)> {
        told.set(Some(lease.index));
        let lane = lease.lane();
        let opened = match lane.room_apart().await {
            Ok(room) => lane.endpoint.open(room, Purpose::Http1).await,
            Err(error) => Err(error),
        };
        match opened {
            Ok((wire, _is_http2)) => Ok((wire, lease)),
            Err(error) => {
                self.note(&lease, &error);
                Err((lease, error))
            }
        }
    }

    /// Notes why a connection could not be had. A limit of our own says nothing of the endpoint.
    pub(super) fn note(&self, lease: &Lease, error: &ConnectError) {
        match error {
            ConnectError::Busy => lease.lane().endpoint.figures.count("busy"),
            // It was never chosen.
            ConnectError::Open => {}
            ConnectError::Timeout => lease.failed(&self.fleet, "connect_timeout", error),
            ConnectError::Resolve(_) | ConnectError::Io(_) | ConnectError::Tls(_) | ConnectError::Http(_) => {
                lease.failed(&self.fleet, "connect_failed", error);
            }
        }
    }

    /// An endpoint did not answer a request in time. One that was let through before the breaker opened is no trial, whatever
    /// the breaker does meanwhile.
    pub(crate) fn timed_out(&self, index: usize, journey: &Journey) {
        let Some(lane) = self.lanes.get(index) else { return };
        held::failed(lane, journey.pass.get(), &self.fleet, (held::TIMEOUT, &"it did not answer in time"));
    }

    /// What the client hears.
    pub(crate) fn rejection(&self, error: &ConnectError) -> Rejection {
        match error {
            ConnectError::Timeout => Rejection::UpstreamTimeout,
            ConnectError::Resolve(_) | ConnectError::Io(_) | ConnectError::Tls(_) | ConnectError::Http(_) => {
                Rejection::UpstreamUnavailable
            }
            ConnectError::Busy => Rejection::UpstreamBusy,
            ConnectError::Open => {
                let open = self.fleet.settings.reach.breaker.open.as_secs();
                Rejection::UpstreamSuspended { retry_after: u32::try_from(open).unwrap_or(u32::MAX).max(1) }
            }
        }
    }

    /// Counts a repeated request.
    pub(super) fn count_retry(&self, result: &'static str) {
        self.fleet.metrics.retries.get_or_create(&RetryLabel { result }).inc();
    }
}

/// Looks over held connections from time to time, and when somebody waits for one, as long as the pool is there.
async fn sweep(pool: Weak<Pool>) {
    let Some(wants_room) = pool.upgrade().map(|pool| Arc::clone(&pool.fleet.wants_room)) else { return };
    loop {
        let _ = tokio::time::timeout(SWEEP_INTERVAL, wants_room.notified()).await;
        let Some(pool) = pool.upgrade() else { return };
        for lane in &pool.lanes {
            lane.sweep();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::LocalSet;

    use super::*;
    use crate::{
        metrics::UpstreamMetrics,
        proxy::engine::upstream::{
            breaker::{Pass, State},
            settings::{BreakerSettings, EjectionSettings, EndpointSettings, Http2, Reach, UpstreamSettings},
        },
    };

    fn settings(weights: &[u32], panic_threshold: u32) -> UpstreamSettings {
        let second = Duration::from_secs(1);
        let endpoint = |(index, weight): (usize, &u32)| EndpointSettings {
            name: format!("{index}").into(),
            host: "127.0.0.1".to_owned(),
            port: 1,
            is_tls: false,
            weight: *weight,
            max_connections: 0,
        };
        UpstreamSettings {
            endpoints: weights.iter().enumerate().map(endpoint).collect(),
            reach: Arc::new(Reach {
                connect_timeout: second,
                response_timeout: second,
                idle_timeout: second,
                max_idle: 1,
                max_pending: 1,
                pending_timeout: second,
                http2: Http2::Off,
                breaker: BreakerSettings { requests: 2, failures: 50, window: second, open: second },
                tls: super::super::tls::TlsClient::none(),
            }),
            ejection: EjectionSettings {
                failures: 1,
                window: second,
                time: second,
                max_time: second,
                max_ejected: 50,
            },
            slow_start: Duration::ZERO,
            panic_threshold,
            require_healthy: false,
            retry_budget: 20,
            resolve_interval: second,
            probe: None,
        }
    }

    fn with_pool(weights: &[u32], panic_threshold: u32, test: impl FnOnce(&Pool)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        LocalSet::new().block_on(&runtime, async {
            let fleet = Fleet::next(settings(weights, panic_threshold), &UpstreamMetrics::default(), None);
            test(&Pool::new(&fleet, None));
        });
    }

    /// How often each endpoint is chosen in a thousand times.
    fn thousand(pool: &Pool) -> Vec<usize> {
        let mut chosen = vec![0; pool.lanes.len()];
        for _ in 0..1000 {
            chosen[pool.choose(None).unwrap().index] += 1;
        }
        chosen
    }

    #[test]
    fn a_quiet_gate_keeps_to_the_weights() {
        with_pool(&[1, 3, 6], 0, |pool| {
            for (chosen, expected) in thousand(pool).into_iter().zip([100, 300, 600]) {
                assert!(chosen.abs_diff(expected) < 80, "{chosen} for {expected}");
            }
        });
    }

    #[test]
    fn a_busy_endpoint_gets_less() {
        with_pool(&[1, 1], 0, |pool| {
            let _slow: Vec<_> = (0..10).filter_map(|_| Lease::take(&pool.lanes[0], 0)).collect();
            let chosen = thousand(pool);
            assert_eq!(chosen[0], 0, "with two, the less busy one is always seen");
        });
    }

    #[test]
    fn what_is_ill_is_left_alone_until_too_little_is_left() {
        with_pool(&[1, 1, 1, 1], 50, |pool| {
            let ill = |index: usize| pool.fleet.members[index].endpoint.vitals.found(false, 1);
            ill(0);
            ill(1);
            assert_eq!(thousand(pool)[..2], [0, 0]);
            ill(2);
            assert!(thousand(pool).iter().all(|chosen| *chosen > 150), "below half, health is not looked at");
        });
        with_pool(&[1, 1], 0, |pool| {
            pool.fleet.members[0].endpoint.vitals.found(false, 1);
            assert_eq!(thousand(pool), [0, 1000]);
            pool.fleet.members[1].endpoint.vitals.found(false, 1);
            assert!(thousand(pool).iter().all(|chosen| *chosen > 400), "none is left");
        });
    }

    #[test]
    fn ejection_stops_at_its_share_and_before_the_last_one() {
        for (weights, expected) in [(&[1][..], 0), (&[1, 1], 1), (&[1, 1, 1], 1), (&[1, 1, 1, 1], 2)] {
            with_pool(weights, 0, |pool| {
                for member in &pool.fleet.members {
                    pool.fleet.failed(&member.endpoint);
                }
                let now = vitals::now();
                let is_ejected = |member: &&Member| member.endpoint.vitals.is_ejected(now);
                assert_eq!(pool.fleet.members.iter().filter(is_ejected).count(), expected);
            });
        }
    }

    #[test]
    fn an_open_breaker_leaves_the_others_and_then_nobody() {
        with_pool(&[1, 1], 0, |pool| {
            let open = |index: usize| {
                let lane = &pool.lanes[index];
                for _ in 0..2 {
                    held::failed(lane, Pass::Free, &pool.fleet, ("broken", &"test"));
                }
                assert_eq!(lane.endpoint.breaker.state(), State::Open);
            };
            open(0);
            assert_eq!(thousand(pool), [0, 1000]);
            open(1);
            assert!(matches!(pool.choose(None), Err(ConnectError::Open)));
        });
    }

    /// It used to be taken for the trial, because the breaker was half open when its time was over.
    #[test]
    fn a_request_from_before_the_breaker_opened_is_no_trial() {
        with_pool(&[1], 0, |pool| {
            let breaker = &pool.lanes[0].endpoint.breaker;
            for _ in 0..2 {
                held::failed(&pool.lanes[0], Pass::Free, &pool.fleet, ("broken", &"test"));
            }
            std::thread::sleep(pool.fleet.settings.reach.breaker.open + Duration::from_millis(50));
            let trial = pool.choose(None).unwrap();
            let (old, tried) = (Journey::default(), Journey::default());
            tried.pass.set(trial.pass);
            pool.timed_out(0, &old);
            assert_eq!(
                (breaker.state(), breaker.would_admit()),
                (State::HalfOpen, false),
                "it is still tried"
            );
            pool.timed_out(0, &tried);
            assert_eq!(breaker.state(), State::Open);
        });
    }

    #[test]
    fn a_reload_keeps_what_stays_the_same() {
        let (metrics, mut other) = (UpstreamMetrics::default(), settings(&[1, 1], 0));
        let fleet = Fleet::next(other.clone(), &metrics, None);
        assert!(Arc::ptr_eq(&fleet, &Fleet::next(other.clone(), &metrics, Some(&fleet))));
        other.endpoints[0].weight = 5;
        other.endpoints[1].port = 2;
        let next = Fleet::next(other, &metrics, Some(&fleet));
        let is_kept =
            |index: usize| Arc::ptr_eq(&fleet.members[index].endpoint, &next.members[index].endpoint);
        assert_eq!([is_kept(0), is_kept(1), next.members[0].weight == 5], [true, false, true]);
    }
}
