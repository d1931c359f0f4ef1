//! What several replicas are to a client: one gate.

use std::{
    sync::{Barrier, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::{
    shop::{
        ANONYMOUS, PROTECTED, SELF, SLACK, Shop, ask, figure, new_database, numbered, page, signed, within,
    },
    support::{
        process::Process,
        servers::{mariadb::MariaDb, redis::RedisServer},
        wire::{Client, exchange, request},
    },
};

/// Three replicas over one database and one Redis.
pub(crate) struct Together {
    pub(crate) shop: Shop,
    pub(crate) database: String,
    pub(crate) gates: Vec<Process>,
    _redis: RedisServer,
}

impl Together {
    pub(crate) fn start(limit: &str) -> Self {
        let (server, redis) = (MariaDb::shared(), RedisServer::open());
        let database = new_database(server);
        // Commands of Redis have their time even where 24 clients, three gates and the servers share two cores.
        let link = format!("url = \"{}\"\ntimeout = \"2s\"", redis.link_url());
        let limits =
            format!("store = \"redis\"\nsync = \"50ms\"\n[[limits.rule]]\nname = \"address\"\n{limit}");
        let shop = Shop::over(
            &server.url(&database),
            &[("nonces", "store = \"redis\""), ("redis", &link), ("limits", &limits)],
        );
        shop.fill(server, &database, 1000);
        let gates: Vec<Process> = (0..3).map(|_| shop.serve()).collect();
        for gate in &gates {
            within(Duration::from_secs(15), "they know each other", || figure(gate, "redis_replicas") > 2.5);
            within(Duration::from_secs(15), "signatures pass", || {
                exchange(gate.proxy, &signed()).status() == 200
            });
        }
        Self { shop, database, gates, _redis: redis }
    }

    /// A rule that counts and never refuses.
    pub(crate) fn unlimited() -> Self {
        Self::start("by = \"address\"\nrate = \"100000/s\"")
    }
}

#[test]
#[ignore = "needs mariadbd and redis-server; run tests/all"]
fn a_signed_request_passes_once_whichever_replicas_it_comes_to() {
    let together = Together::unlimited();
    let gates = &together.gates;
    for first in 0..3 {
        let request = signed();
        assert_eq!(exchange(gates[first].proxy, &request).status(), 200);
        for gate in gates {
            let replay = exchange(gate.proxy, &request);
            assert_eq!(replay.status(), 401);
            assert!(replay.text().contains("nonce is already being used"), "{}", replay.text());
        }
    }
    for round in 0..20 {
        let (request, barrier) = (signed(), Barrier::new(24));
        let before = together.shop.served.load(Ordering::SeqCst);
        let statuses: Vec<u16> = thread::scope(|scope| {
            let clients: Vec<_> = (0..24)
                .map(|number| {
                    let (gate, request, barrier) = (&gates[number % 3], &request, &barrier);
                    scope.spawn(move || {
                        let mut client = Client::connect(gate.proxy);
                        barrier.wait();
                        client.send(request);
                        client.receive().unwrap().status()
                    })
                })
                .collect();
            clients.into_iter().map(|client| client.join().unwrap()).collect()
        });
        assert_eq!(
            statuses.iter().filter(|status| **status == 200).count(),
            1,
            "round {round}: {statuses:?}"
        );
        assert!(statuses.iter().all(|status| [200, 401].contains(status)), "round {round}: {statuses:?}");
        assert_eq!(together.shop.served.load(Ordering::SeqCst) - before, 1, "the upstream saw it once");
    }
}

#[test]
#[ignore = "needs mariadbd and redis-server; run tests/all"]
fn a_replica_that_is_killed_is_not_waited_for_and_takes_part_again() {
    let mut together = Together::unlimited();
    let mut back = Vec::new();
    for round in 0..3 {
        together.gates.remove(0).kill();
        let began = Instant::now();
        let customer = format!("{}", 1000 + round);
        let ended = together.shop.run(&["token", "revoke", "--customer", &customer, "--wait"]);
        let waited = began.elapsed();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        println!("--wait with a replica just killed: {waited:?} (it counts as alive for 5 s)");
        assert!(waited < Duration::from_secs(5) + SLACK, "{waited:?}");
        for gate in &together.gates {
            assert_eq!(ask(gate, SELF, &numbered(round)).status(), 401);
        }
        let used = signed();
        assert_eq!(exchange(together.gates[0].proxy, &used).status(), 200);
        let began = Instant::now();
        let gate = together.shop.serve();
        let serving = began.elapsed();
        within(Duration::from_secs(10), "ready", || page(gate.admin, "/readyz").status() == 200);
        within(Duration::from_secs(10), "signatures pass", || {
            exchange(gate.proxy, &signed()).status() == 200
        });
        back.push(began.elapsed());
        println!("started in {serving:?}, takes signatures after {:?}", began.elapsed());
        assert_eq!(exchange(gate.proxy, &used).status(), 401, "used while it was dead");
        assert_eq!(ask(&gate, SELF, &numbered(round)).status(), 401, "revoked while it was dead");
        assert_eq!(ask(&gate, SELF, &numbered(40)).status(), 200);
        within(Duration::from_secs(10), "the others know it", || {
            figure(&together.gates[0], "redis_replicas") > 2.5
        });
        together.gates.push(gate);
    }
    let longest = back.iter().max().unwrap();
    assert!(*longest < Duration::from_secs(1) + SLACK * 2, "{longest:?}");
    for gate in &together.gates {
        assert_eq!(ask(gate, PROTECTED, crate::support::signing::TOKEN).status(), 200);
    }
}

/// The worst caller there is: at all replicas at once, as fast as they answer.
#[test]
#[ignore = "needs mariadbd and redis-server; run tests/all"]
fn what_replicas_admit_together_stays_within_the_stated_bound() {
    const BURST: u64 = 20;
    const RATE: u64 = 50;
    let together = Together::start(&format!("by = \"address\"\nrate = \"{RATE}/s\"\nburst = {BURST}"));
    // What the start used is earned again.
    thread::sleep(Duration::from_secs(1));
    let began = Instant::now();
    let longest = Duration::from_secs(4);
    let admitted: u64 = thread::scope(|scope| {
        let asking: Vec<_> = together
            .gates
            .iter()
            .map(|gate| {
                scope.spawn(move || {
                    let (mut client, mut admitted) = (Client::connect(gate.proxy), 0);
                    while began.elapsed() < longest {
                        client.send(&request("GET", ANONYMOUS, &[], b""));
                        let status = client.receive().unwrap().status();
                        assert!([200, 429].contains(&status), "{status}");
                        admitted += u64::from(status == 200);
                    }
                    admitted
                })
            })
            .collect();
        asking.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    let elapsed = began.elapsed();
    let in_time = |time: Duration| BURST + RATE * u64::try_from(time.as_millis()).unwrap() / 1000;
    // Two intervals and an exchange, which may take a second here before it has failed.
    let lag = Duration::from_millis(100) + Duration::from_secs(1);
    let bound = in_time(elapsed) + 2 * in_time(lag);
    println!(
        "{admitted} admitted in {elapsed:?}; one replica: {}, bound of three: {bound}",
        in_time(elapsed)
    );
    assert!(admitted <= bound, "{admitted} > {bound}");
    assert!(bound < 3 * in_time(elapsed), "the bound tells sharing from not sharing");
    assert!(admitted >= RATE * 2, "{admitted}: nobody was starved");
}
