//! All endpoints together, shared by all workers; a reload makes another one and takes over what stays the same.

use std::sync::{Arc, Mutex, PoisonError, atomic::Ordering::Relaxed};

use tokio::sync::Notify;

use super::{
    breaker::State,
    endpoint::Endpoint,
    settings::UpstreamSettings,
    vitals::{self, FULL},
};
use crate::metrics::{EndpointLabel, UpstreamMetrics};

/// The endpoints and how they are looked after.
#[derive(Debug)]
pub struct Fleet {
    pub(super) settings: UpstreamSettings,
    pub(super) members: Vec<Member>,
    pub(super) metrics: UpstreamMetrics,
    /// Wakes the workers' sweepers: somebody waits for a connection that another worker may hold unused.
    pub(super) wants_room: Arc<Notify>,
    /// Held while it is decided whether one more may be ejected.
    ejecting: Mutex<()>,
}

/// An endpoint and its share.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) weight: u32,
}

impl Fleet {
    /// The endpoints of these settings. Those that `current` has as well keep their connections and what is known of them.
    #[must_use]
    pub fn next(
        settings: UpstreamSettings,
        metrics: &UpstreamMetrics,
        current: Option<&Arc<Self>>,
    ) -> Arc<Self> {
        match current {
            Some(current) if current.settings == settings => Arc::clone(current),
            Some(_) | None => Arc::new(Self::new(settings, metrics, current.map(|current| &**current))),
        }
    }

    fn new(settings: UpstreamSettings, metrics: &UpstreamMetrics, current: Option<&Self>) -> Self {
        let stays = current.filter(|current| current.settings.reach == settings.reach);
        let member = |settings: &super::settings::EndpointSettings, reach| {
            let known = stays.and_then(|current| {
                let mut members = current.members.iter();
                members.find(|member| member.endpoint.settings.is_same_place(settings))
            });
            let endpoint = known.map_or_else(
                || Arc::new(Endpoint::new(settings.clone(), reach, metrics)),
                |known| Arc::clone(&known.endpoint),
            );
            Member { endpoint, weight: settings.weight.max(1) }
        };
        let members: Vec<_> =
            settings.endpoints.iter().map(|settings_of| member(settings_of, &settings.reach)).collect();
        if let Some(current) = current {
            current.forget_figures_but(&members);
        }
        let wants_room = current.map_or_else(Arc::default, |current| Arc::clone(&current.wants_room));
        Self { settings, members, metrics: metrics.clone(), wants_room, ejecting: Mutex::new(()) }
    }

    /// Whether the gate may say that it is ready: an endpoint is neither ill nor ejected nor switched off by its breaker, or
    /// nobody asks for one.
    #[must_use]
    pub fn lets_be_ready(&self) -> bool {
        let now = vitals::now();
        !self.settings.require_healthy
            || self.members.iter().any(|Member { endpoint, .. }| {
                endpoint.vitals.is_well(now) && endpoint.breaker.state() != State::Open
            })
    }

    /// Brings the gauges up to date.
    pub fn measure(&self) {
        let now = vitals::now();
        for Member { endpoint, .. } in &self.members {
            let breaker = match endpoint.breaker.state() {
                State::Closed => 0,
                State::HalfOpen => 1,
                State::Open => 2,
            };
            let pending = endpoint.pending.load(Relaxed);
            endpoint.figures.measure(endpoint.vitals.is_well(now), breaker, pending);
        }
    }

    /// The share of a member at this moment; 0 for one that is not well.
    pub(super) fn share(&self, member: &Member, now: u64) -> u64 {
        if !member.endpoint.vitals.is_well(now) {
            return 0;
        }
        u64::from(member.weight) * u64::from(member.endpoint.vitals.share(now, self.settings.slow_start))
    }

    /// The share of a member without regard to its health.
    pub(super) fn full_share(member: &Member) -> u64 {
        u64::from(member.weight) * u64::from(FULL)
    }

    /// A request failed at an endpoint: one too many, and it is left alone for a while. Never all of them, and at most the
    /// share that is configured.
    pub(super) fn failed(&self, endpoint: &Endpoint) {
        let now = vitals::now();
        let settings = &self.settings.ejection;
        if !endpoint.vitals.failed(now, settings) || endpoint.vitals.is_ejected(now) {
            return;
        }
        let _one_at_a_time = self.ejecting.lock().unwrap_or_else(PoisonError::into_inner);
        let ejected = self.members.iter().filter(|member| member.endpoint.vitals.is_ejected(now)).count();
        let most = self.members.len() * settings.max_ejected as usize / 100;
        let is_last = !self.members.iter().any(|member| {
            let other = &member.endpoint;
            !std::ptr::eq(&raw const **other, endpoint) && other.vitals.is_well(now)
        });
        if ejected < most && !is_last {
            endpoint.tell_ejection(endpoint.vitals.eject(now, settings));
        }
    }

    /// Figures of endpoints that are gone would stay as they were.
    fn forget_figures_but(&self, members: &[Member]) {
        let names = |member: &Member| Arc::clone(&member.endpoint.settings.name);
        let kept: Vec<_> = members.iter().map(names).collect();
        for name in self.members.iter().map(names).filter(|name| !kept.contains(name)) {
            self.metrics.forget(&EndpointLabel { endpoint: name.to_string() });
        }
    }
}
