//! What both listeners speak TLS with at the moment; a reload exchanges it.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;

use super::files::{Loaded, TlsProblems};
use crate::{
    auth::time::UnixTime,
    config::Config,
    metrics::{CertificateLabel, Metrics},
    proxy::engine::TlsSettings,
};

/// What clients may ask to speak, best first.
const PROXY_PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// What operators may ask to speak.
const ADMIN_PROTOCOLS: [&[u8]; 1] = [b"http/1.1"];

/// A day in seconds.
const DAY: f64 = 86_400.0;

/// What is in force; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct TlsHome(Arc<ArcSwap<Listeners>>);

/// Both listeners.
#[derive(Debug)]
pub(crate) struct Listeners {
    proxy: Option<Loaded>,
    admin: Option<Loaded>,
}

impl TlsHome {
    /// Reads the files of a gate that starts.
    ///
    /// # Errors
    /// [`TlsProblems`] of both listeners.
    pub(crate) fn open(config: &Config, now: UnixTime) -> Result<Self, TlsProblems> {
        let nothing = Listeners { proxy: None, admin: None };
        Ok(Self(Arc::new(ArcSwap::from_pointee(nothing.next(config, now)?))))
    }

    /// Reads the files of another configuration, and takes up nothing.
    ///
    /// # Errors
    /// [`TlsProblems`] of both listeners.
    pub(crate) fn next(&self, config: &Config, now: UnixTime) -> Result<Listeners, TlsProblems> {
        self.0.load().next(config, now)
    }

    /// Exchanges what handshakes go by from now on.
    pub(crate) fn take_up(&self, listeners: Listeners) {
        self.0.store(Arc::new(listeners));
    }

    /// What clients' handshakes go by.
    pub(crate) fn proxy(&self) -> Option<TlsSettings> {
        let listeners = self.0.load();
        let Loaded { config, .. } = listeners.proxy.as_ref()?;
        let handshake_timeout = listeners.proxy.as_ref()?.handshake_timeout();
        Some(TlsSettings { config: Arc::clone(config), handshake_timeout })
    }

    /// What operators' handshakes go by.
    pub(super) fn admin(&self) -> Option<(Arc<ServerConfig>, std::time::Duration)> {
        let listeners = self.0.load();
        listeners.admin.as_ref().map(|loaded| (Arc::clone(&loaded.config), loaded.handshake_timeout()))
    }

    /// Brings the days that are left up to date.
    pub(crate) fn measure(&self, metrics: &Metrics, now: UnixTime) {
        metrics.edge.certificate_days.clear();
        let listeners = self.0.load();
        for (listener, loaded) in [("proxy", &listeners.proxy), ("admin", &listeners.admin)] {
            for (name, end) in loaded.iter().flat_map(|loaded| &loaded.ends) {
                let label = CertificateLabel { listener, certificate: name.clone() };
                #[expect(clippy::cast_precision_loss, reason = "days are told, not counted")]
                let left = (end - now.seconds()) as f64 / DAY;
                metrics.edge.certificate_days.get_or_create(&label).set(left);
            }
        }
    }
}

impl Listeners {
    fn next(&self, config: &Config, now: UnixTime) -> Result<Self, TlsProblems> {
        let load = |section, settings: &Option<_>, current: &Option<Loaded>, protocols| {
            let load = |settings| Loaded::load(section, settings, current.as_ref(), (now, protocols));
            settings.as_ref().map(load).transpose()
        };
        let proxy = load("listen.tls", &config.listen.tls, &self.proxy, &PROXY_PROTOCOLS[..]);
        let admin = load("listen.admin_tls", &config.listen.admin_tls, &self.admin, &ADMIN_PROTOCOLS[..]);
        match (proxy, admin) {
            (Ok(proxy), Ok(admin)) => Ok(Self { proxy, admin }),
            (Err(problems), other) => Err(problems.and(other.err())),
            (Ok(_), Err(problems)) => Err(problems),
        }
    }
}
