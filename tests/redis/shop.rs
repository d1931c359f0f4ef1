//! Several gates over one store and one Redis.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::support::{
    gate::{Gate, Setup},
    signing::{Credentials, TOKEN},
    upstream::Upstream,
    waiting::until,
    wire::{Message, exchange, request},
};

/// Needs `Magento_Backend::admin`.
pub(crate) const PROTECTED: &str = "/rest/V1/modules";

/// When the gates' clocks begin.
pub(crate) const BEGIN: i64 = 1_795_248_000;

/// How far ahead timestamps may be here.
pub(crate) const FUTURE: i64 = 20;

/// A change of Redis refuses timestamps up to the time + this.
pub(crate) const FLOOR: i64 = FUTURE + 5;

/// Gates, and what stands behind them.
pub(crate) struct Shop {
    pub(crate) gates: Vec<Gate>,
    pub(crate) upstream: Upstream,
}

impl Shop {
    /// Gates whose Redis these lines name. Callers are remembered for a minute, and the store is looked at as rarely.
    pub(crate) fn start(count: usize, redis: &str) -> Self {
        let upstream = Upstream::start();
        let mut gates: Vec<Gate> = Vec::new();
        for _ in 0..count {
            let setup = setup(&upstream, redis);
            gates.push(match gates.first() {
                Some(first) => setup.in_folder(&first.folder).start(),
                None => setup.start(),
            });
        }
        Self { gates, upstream }
    }

    /// Gates that have Redis, at [`BEGIN`] + [`FLOOR`] + 1.
    pub(crate) fn settled(count: usize, redis: &str) -> Self {
        let shop = Self::start(count, redis);
        shop.settle_first();
        shop
    }

    /// Moves every clock on, and answers the new time. An empty Redis that no gate knows refuses what is older than the first
    /// look at it, and no more.
    pub(crate) fn settle_first(&self) -> i64 {
        self.settle_above(BEGIN, BEGIN)
    }

    /// Moves every clock behind the quarantine that began at a time, and answers the new one.
    pub(crate) fn settle(&self, began: i64) -> i64 {
        self.settle_above(began, began + FLOOR)
    }

    fn settle_above(&self, began: i64, floor: i64) -> i64 {
        let now = began + FLOOR + 1;
        // Only when it has begun: one that began later would last longer.
        for gate in &self.gates {
            until("the gate has Redis", || {
                let word = sign(gate, began);
                let status = word.status();
                assert!(status == 503 || status == 200, "{}", word.text());
                gauge(gate, "redis_nonces_quarantined_until_seconds") >= floor
            });
        }
        self.set_time(now);
        for gate in &self.gates {
            until("signatures pass", || sign(gate, now).status() == 200);
        }
        now
    }

    pub(crate) fn set_time(&self, now: i64) {
        for gate in &self.gates {
            gate.set_time(now);
        }
    }
}

/// A gate with shared nonces.
pub(crate) fn setup(upstream: &Upstream, redis: &str) -> Setup {
    Setup::before(upstream.address)
        .at(BEGIN)
        .with("magento", "integration_as_bearer = true")
        .with("cache", "ttl = \"60s\"\npoll = \"60s\"")
        .with("oauth", &format!("future_window = \"{FUTURE}s\""))
        .with("nonces", "store = \"redis\"")
        .with("redis", redis)
}

/// A nonce that nobody used.
pub(crate) fn nonce() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("nonce-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A signed request, as it goes over the wire.
pub(crate) fn signed(timestamp: i64, nonce: &str) -> Vec<u8> {
    let authorization = Credentials::full().authorization(PROTECTED, timestamp, nonce);
    request("GET", PROTECTED, &[("Host", "shop.test"), ("Authorization", &authorization)], b"")
}

/// A request signed now.
pub(crate) fn sign(gate: &Gate, now: i64) -> Message {
    exchange(gate.proxy, &signed(now, &nonce()))
}

/// Whether the integration is known by its bearer token.
pub(crate) fn bearer(gate: &Gate) -> u16 {
    let authorization = format!("Bearer {TOKEN}");
    exchange(gate.proxy, &request("GET", PROTECTED, &[("Authorization", &authorization)], b"")).status()
}

/// A refusal that says nothing about the credential, and when to come back.
pub(crate) fn assert_unavailable(answer: &Message) {
    assert_eq!(answer.status(), 503, "{}", answer.text());
    assert!(answer.header("Retry-After").is_some());
    assert_eq!(answer.header("X-Auth-Refused").as_deref(), Some("nonce_store_unavailable"));
}

/// A figure of a gate.
pub(crate) fn gauge(gate: &Gate, name: &str) -> i64 {
    figure(gate, name).parse::<f64>().unwrap() as i64
}

/// A figure of a gate, as it is shown.
pub(crate) fn figure(gate: &Gate, name: &str) -> String {
    let page = exchange(gate.admin, &request("GET", "/metrics", &[], b"")).text();
    let begin = format!("portcullis_{name} ");
    let line = page.lines().find(|line| line.starts_with(&begin));
    line.unwrap_or_else(|| panic!("{name} is not in\n{page}"))[begin.len()..].to_owned()
}
