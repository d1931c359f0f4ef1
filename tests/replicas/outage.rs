//! A MariaDB that goes away under load, in each way that one does.
//!
//! `cache.ttl` (5 s), `cache.max_stale` (60 s), `store.lookup_timeout` (250 ms) and the rest are the defaults. Only an outage that
//! leaves no room below 60 s lengthens `max_stale`: the promise to cached callers ends with it.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    load::{CACHED, Load, Phase, REVOKED},
    shop::{
        RECOVERY, SELF, SLACK, Shop, ask, figure, new_database, numbered, print_times, sql, until_listening,
        within,
    },
    support::{
        fault_proxy::{Fault, FaultProxy},
        process::Process,
        servers::mariadb::{MariaDb, url_at},
    },
};

/// How long the server is away, in seconds: this, or what the variable says.
const SECONDS: u64 = 15;
const VARIABLE: &str = "PORTCULLIS_OUTAGE_SECONDS";

/// The longest that a caller who is sent away waits (`store.lookup_timeout`), and the slack of a busy machine.
const WAIT: Duration = Duration::from_millis(250 + 750);

fn duration() -> Duration {
    let given = std::env::vars().find(|(name, _)| name == VARIABLE);
    Duration::from_secs(given.map_or(SECONDS, |(_, seconds)| seconds.parse().expect("a number of seconds")))
}

/// A gate whose database is reached through a port.
fn start(server: &MariaDb, port: u16) -> (Shop, String, Process) {
    let database = new_database(server);
    let max_stale = if duration() < Duration::from_secs(45) { 60 } else { duration().as_secs() + 30 };
    let cache = format!("max_stale = \"{max_stale}s\"");
    let shop = Shop::over(&url_at(port, &database), &[("cache", &cache)]);
    shop.fill(server, &database, 30_000);
    let gate = shop.serve();
    for number in (0..CACHED).chain(REVOKED.take(10)) {
        assert_eq!(ask(&gate, SELF, &numbered(number)).status(), 200);
    }
    let range = format!("BETWEEN '{}' AND '{}'", numbered(REVOKED.start), numbered(REVOKED.end - 1));
    sql(server, &database, &format!("UPDATE oauth_token SET revoked = 1 WHERE token {range}"));
    within(Duration::from_secs(10), "revoked", || {
        REVOKED.take(10).all(|number| ask(&gate, SELF, &numbered(number)).status() == 401)
    });
    (shop, database, gate)
}

/// What happens to the server during an outage, in this order.
struct Events<'a> {
    /// It goes away.
    take: &'a dyn Fn(),
    /// Half of the time is over.
    change: &'a dyn Fn(),
    /// It comes back; returns when it is there.
    bring: &'a dyn Fn(),
    /// It is there.
    back: &'a dyn Fn(),
}

/// Lets the server be away for a time and asserts every promise.
fn endure(what: &str, gate: &Process, (load, away): (&Load, Duration), events: &Events<'_>) {
    let before =
        [outcome(gate, "not_asked"), outcome(gate, "timeout"), figure(gate, "cache_stale_served_total")];
    let recovered = load.beside(|| {
        thread::sleep(Duration::from_secs(1));
        (events.take)();
        load.enter(Phase::Away);
        thread::sleep(away / 2);
        (events.change)();
        thread::sleep(away / 2);
        assert!(figure(gate, "store_breaker_state") > 0.5, "{what}: it is open, or tries");
        load.enter(Phase::There);
        (events.bring)();
        let recovered = within(RECOVERY + SLACK, "a caller whom nobody knew", || {
            ask(gate, SELF, &numbered(load.unused())).status() == 200
        });
        (events.back)();
        within(RECOVERY, "closed", || figure(gate, "store_breaker_state") < 0.5);
        thread::sleep(Duration::from_secs(1));
        recovered
    });
    let mut told = load.take();
    let [served, lost] = told.cached;
    println!(
        "{what}, {away:?}: {served} cached served, {lost} lost; misses {:?}, nobodies {:?} (answered, 503); \
         recovered after {recovered:?}; not asked {}, timed out {}, stale {}",
        told.misses,
        told.nobodies,
        outcome(gate, "not_asked") - before[0],
        outcome(gate, "timeout") - before[1],
        figure(gate, "cache_stale_served_total") - before[2],
    );
    print_times("  503 of a miss", &mut told.waits);
    assert!(
        told.wrong.is_empty(),
        "{what}: {} wrong, first {:?}",
        told.wrong.len(),
        &told.wrong[..told.wrong.len().min(5)]
    );
    assert!(served > 1000 && told.misses[1] > 10 && told.nobodies[1] > 10, "{what}: there was load");
    assert!(lost * 1000 <= served + lost, "{what}: {lost} cached callers were lost");
    assert!(told.waits[told.waits.len() * 99 / 100 - 1] < WAIT, "{what}: who is sent away is told at once");
    assert!(figure(gate, "cache_stale_served_total") > before[2], "{what}: somebody outlived his time");
    // An outage is remembered of nobody, and does no good to anybody.
    let unused = load.unused();
    for number in unused..unused + 10 {
        assert_eq!(ask(gate, SELF, &numbered(number)).status(), 200);
    }
    for number in REVOKED {
        assert_eq!(ask(gate, SELF, &numbered(number)).status(), 401);
    }
}

fn outcome(gate: &Process, outcome: &str) -> f64 {
    figure(gate, &format!("store_lookup_outcomes_total{{outcome=\"{outcome}\"}}"))
}

/// A network that fails: the server itself goes on, and somebody is revoked there meanwhile.
#[test]
#[ignore = "needs mariadbd and redis-server; run tests/all"]
fn cached_callers_are_served_while_the_way_to_mariadb_is_cut() {
    let server = MariaDb::shared();
    let network = FaultProxy::before(([127, 0, 0, 1], server.port()).into());
    let (_shop, database, gate) = start(server, network.address.port());
    let load = Load::on(gate.proxy);
    for (number, fault) in [Fault::Refuse, Fault::Reset, Fault::Freeze].into_iter().enumerate() {
        let revoked = numbered(200 + number);
        assert_eq!(ask(&gate, SELF, &revoked).status(), 200);
        let take = || {
            network.set(fault);
            sql(server, &database, &format!("UPDATE oauth_token SET revoked = 1 WHERE token = '{revoked}'"));
        };
        let returned = std::cell::Cell::new(Instant::now());
        let bring = || {
            assert_eq!(ask(&gate, SELF, &revoked).status(), 200, "nobody could tell the gate yet");
            network.set(Fault::Pass);
            returned.set(Instant::now());
        };
        let back = || {
            within(RECOVERY + SLACK, "revoked", || ask(&gate, SELF, &revoked).status() == 401);
            println!(
                "{fault:?}: who was revoked meanwhile is refused {:?} after the return",
                returned.get().elapsed()
            );
        };
        let events = Events { take: &take, change: &|| {}, bring: &bring, back: &back };
        endure(&format!("{fault:?}"), &gate, (&load, duration() / 3), &events);
        assert_eq!(ask(&gate, SELF, &revoked).status(), 401);
    }
}

/// A server that fails: it hangs for half of the time, is killed, and comes back with its data.
#[test]
#[ignore = "needs mariadbd and redis-server; run tests/all"]
fn cached_callers_are_served_while_mariadb_hangs_and_dies() {
    let server = MariaDb::start(&[]);
    let (_shop, _database, gate) = start(&server, server.port());
    // What was written last is on the disk after a second.
    thread::sleep(Duration::from_secs(2));
    let bring = || {
        server.restart();
        until_listening(server.port());
    };
    let (take, change) = (|| server.pause(), || server.kill());
    let events = Events { take: &take, change: &change, bring: &bring, back: &|| {} };
    endure("stopped, then killed", &gate, (&Load::on(gate.proxy), duration()), &events);
}
