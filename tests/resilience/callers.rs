//! Who calls, what they see, and what the gate says of itself.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use crate::{
    lock::Lock,
    support::{
        gate::{Gate, Setup},
        upstream::Upstream,
        wire::{Client, Message, exchange, request},
    },
};

/// A route that needs `Magento_Backend::admin`.
pub(crate) const PROTECTED: &str = "/rest/V1/modules";
/// A route of the customer's own.
pub(crate) const SELF: &str = "/rest/V1/customers/me";
/// The access token of an integration that may do everything.
pub(crate) const FULL: &str = "rcnp1r0ttgql8dyfay14d83fjc7k5q78";
/// The time at which the gates begin.
pub(crate) const NOW: i64 = 1_795_248_000;

/// Recovery is promised within this time of the store's return.
pub(crate) const RECOVERY: Duration = Duration::from_secs(5);

/// A gate whose cached callers have to be looked up again every second.
pub(crate) fn setup(upstream: &Upstream) -> Setup {
    Setup::before(upstream.address)
        .at(NOW)
        .with("magento", "integration_as_bearer = true")
        .with("cache", "ttl = \"1s\"\nnegative_ttl = \"300ms\"")
}

/// Seeds a store that can be locked; its file.
pub(crate) fn seed(setup: &Setup, folder: &Path) -> std::path::PathBuf {
    setup.prepare(folder);
    let database = folder.join("portcullis.db");
    Lock::prepare(&database);
    database
}

/// The token of a number.
pub(crate) fn numbered(number: usize) -> String {
    format!("customer{number:024}")
}

/// Statements that give customer 1 so many tokens.
pub(crate) fn tokens(numbers: std::ops::Range<usize>) -> String {
    let rows: Vec<String> = numbers
        .map(|number| format!("(1, 'access', '{}', '', '', 3, '2026-11-21 07:59:00')", numbered(number)))
        .collect();
    format!(
        "INSERT INTO oauth_token (customer_id, type, token, secret, callback_url, user_type, created_at)
        VALUES {}",
        rows.join(", ")
    )
}

/// A request with a bearer.
pub(crate) fn by_bearer(target: &str, token: &str) -> Vec<u8> {
    request("GET", target, &[("Authorization", &format!("Bearer {token}"))], b"")
}

/// The answer to a request with a bearer.
pub(crate) fn ask(gate: &Gate, target: &str, token: &str) -> Message {
    exchange(gate.proxy, &by_bearer(target, token))
}

/// The answer on a connection that is kept.
pub(crate) fn ask_on(client: &mut Client, target: &str, token: &str) -> u16 {
    client.send(&by_bearer(target, token));
    client.receive().expect("the gate answers").status()
}

/// A page of the operator's listener.
pub(crate) fn page(gate: &Gate, path: &str) -> Message {
    exchange(gate.admin, &request("GET", path, &[], b""))
}

/// A figure, 0 where it was never counted.
pub(crate) fn figure(gate: &Gate, name: &str) -> f64 {
    let page = page(gate, "/metrics").text();
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().unwrap())
}

/// How many lookups came to this.
pub(crate) fn outcomes(gate: &Gate, outcome: &str) -> f64 {
    figure(gate, &format!("portcullis_store_lookup_outcomes_total{{outcome=\"{outcome}\"}}"))
}

/// Waits for something that is promised within a time.
pub(crate) fn within(promise: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < promise, "not within {promise:?}: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}
