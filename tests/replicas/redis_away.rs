//! A Redis that goes away: bearers do not notice, signatures are refused until it is back, and nothing passes twice.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::{
    shop::{
        RECOVERY, SELF, SLACK, Shop, ask_on, figure, new_database, numbered, owner, print_times, signed,
        within,
    },
    support::{
        process::Process,
        servers::{mariadb::MariaDb, redis::RedisServer},
        wire::{Client, Message, exchange},
    },
};

/// How far ahead timestamps may be here, and the quarantine of a loss: that and 5 s more.
const FUTURE: u64 = 2;
const QUARANTINE: Duration = Duration::from_secs(FUTURE + 5);

/// How long Redis is away, each time.
const AWAY: Duration = Duration::from_secs(4);

/// A refusal that says nothing about the credential, and when to come back.
fn assert_unavailable(answer: &Message) {
    assert_eq!(answer.status(), 503, "{}", answer.text());
    assert_eq!(answer.header("X-Auth-Refused").as_deref(), Some("nonce_store_unavailable"));
    assert!(answer.header("Retry-After").is_some());
}

/// Bearers that go on until they are told to stop.
struct Bearers {
    is_over: AtomicBool,
    /// A token that nobody used.
    next: AtomicUsize,
    served: AtomicUsize,
}

impl Bearers {
    /// At every gate, cached and not, beside something that happens; how many were served, which all of them must be.
    fn beside(gates: &[Process], unused: usize, happens: impl FnOnce()) -> usize {
        let bearers = Self {
            is_over: AtomicBool::new(false),
            next: AtomicUsize::new(unused),
            served: AtomicUsize::new(0),
        };
        thread::scope(|scope| {
            let clients: Vec<_> =
                gates.iter().chain(gates).map(|gate| scope.spawn(|| bearers.client(gate))).collect();
            let happened = std::panic::catch_unwind(std::panic::AssertUnwindSafe(happens));
            bearers.is_over.store(true, Ordering::SeqCst);
            clients.into_iter().for_each(|client| client.join().unwrap());
            happened.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        });
        bearers.served.into_inner()
    }

    fn client(&self, gate: &Process) {
        let mut client = Client::connect(gate.proxy);
        for turn in 0.. {
            if self.is_over.load(Ordering::SeqCst) {
                return;
            }
            let is_new = turn % 20 == 0;
            let number = if is_new { self.next.fetch_add(1, Ordering::SeqCst) } else { turn % 20 };
            let answer = ask_on(&mut client, SELF, &numbered(number));
            assert_eq!((answer.status(), answer.text()), (200, owner(number)));
            self.served.fetch_add(1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(2));
        }
    }
}

/// While Redis is away: everything that is signed is refused at once, what was accepted before too.
fn assert_signatures_wait(gates: &[Process], used: &[Vec<u8>]) {
    let (began, mut waits) = (Instant::now(), Vec::new());
    while began.elapsed() < AWAY {
        for gate in gates {
            let asked = Instant::now();
            assert_unavailable(&exchange(gate.proxy, &signed()));
            waits.push(asked.elapsed());
            assert_unavailable(&exchange(gate.proxy, &used[waits.len() % used.len()]));
        }
        thread::sleep(Duration::from_millis(10));
    }
    print_times("503 of a signature (redis.timeout = 100ms)", &mut waits);
}

/// Nothing that passed passes again, at no gate, whatever was lost.
fn assert_none_passes_again(gates: &[Process], used: &[Vec<u8>]) {
    for request in used {
        for gate in gates {
            let status = exchange(gate.proxy, request).status();
            assert!([401, 503].contains(&status), "{status}");
        }
    }
}

/// Signed requests that passed.
fn accepted(gates: &[Process]) -> Vec<Vec<u8>> {
    let requests: Vec<_> = (0..30).map(|_| signed()).collect();
    for (number, request) in requests.iter().enumerate() {
        let answer = exchange(gates[number % gates.len()].proxy, request);
        assert_eq!(answer.status(), 200, "{}", answer.text());
    }
    requests
}

/// Until signatures pass at every gate.
fn recovered(gates: &[Process], promise: Duration) -> Duration {
    let began = Instant::now();
    for gate in gates {
        within(promise, "signatures pass", || exchange(gate.proxy, &signed()).status() == 200);
    }
    began.elapsed()
}

#[test]
#[ignore = "needs mariadbd and redis-server; run tests/all"]
fn while_redis_is_away_bearers_are_served_and_signatures_wait() {
    let (server, mut redis) = (MariaDb::shared(), RedisServer::open());
    let database = new_database(server);
    let link = format!("url = \"{}\"", redis.link_url());
    let limits = "store = \"redis\"\n[[limits.rule]]\nname = \"a\"\nby = \"address\"\nrate = \"100000/s\"";
    let oauth = format!("future_window = \"{FUTURE}s\"");
    let sections =
        [("nonces", "store = \"redis\""), ("redis", &link), ("limits", limits), ("oauth", oauth.as_str())];
    let shop = Shop::over(&server.url(&database), &sections);
    shop.fill(server, &database, 20_000);
    let gates = [shop.serve(), shop.serve()];
    recovered(&gates, Duration::from_secs(15));
    let mut used = accepted(&gates);

    let served = Bearers::beside(&gates, 1000, || {
        redis.pause();
        within(Duration::from_secs(2), "it is noticed", || {
            exchange(gates[0].proxy, &signed()).status() == 503
        });
        assert_signatures_wait(&gates, &used);
        redis.resume();
        let took = recovered(&gates, RECOVERY + SLACK);
        println!("Redis hung for {AWAY:?}: signatures pass {took:?} after its return");
        assert_none_passes_again(&gates, &used);
    });
    println!("{served} bearers served, all of them");
    used.extend(accepted(&gates));

    let served = Bearers::beside(&gates, 5000, || {
        redis.kill();
        within(Duration::from_secs(2), "it is noticed", || {
            exchange(gates[0].proxy, &signed()).status() == 503
        });
        assert_signatures_wait(&gates, &used);
        // It comes back empty.
        redis.restart();
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(2) {
            assert_none_passes_again(&gates, &used);
        }
        let took = recovered(&gates, QUARANTINE + RECOVERY + SLACK);
        println!("Redis lost everything: signatures pass {:?} after its return", began.elapsed().max(took));
        assert_none_passes_again(&gates, &used);
    });
    println!("{served} bearers served, all of them");
    assert!(gates.iter().all(|gate| figure(gate, "redis_connected") > 0.5));
}
