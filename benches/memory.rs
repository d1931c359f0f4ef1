//! What a full cache and a full nonce store weigh, and what they cost a request beside empty ones.
//!
//! One process fills them and looks at its own resident memory, so the figures hold what allocators and tables really take.
//! Costs are compared in turns, because a machine's noise comes in waves; what counts is the ratio, not the nanoseconds.
//! `PORTCULLIS_BENCH_TOKENS` and `PORTCULLIS_BENCH_NONCES` change how many there are.

#![allow(clippy::print_stdout, reason = "figures are for people to read")]

mod support;

use std::{
    fs,
    hint::black_box,
    time::{Duration, Instant},
};

use portcullis::{
    auth::{secret::Secret, time::UnixTime},
    clock::Clock,
    config::Config,
    server::App,
    store::{
        cache::Cached,
        facts::{Facts, Lookup},
        grant::CredentialKey,
        nonces::{NonceSettings, NonceStore, Recorded},
        sql::SqlStore,
    },
};
use support::callers::{CRYPT_KEY, ROUTES, TREE};
use tokio::runtime::Runtime;

const TOKENS: usize = 1_000_000;
const NONCES: usize = 10_000_000;
/// The small case that costs are compared with.
const FEW: usize = 1_000;
const ROUNDS: usize = 7;
const CALLS: usize = 200_000;
const NOW: i64 = 1_700_000_000;
const WINDOW: Duration = Duration::from_secs(600);

fn main() {
    let runtime = Runtime::new().expect("a runtime starts");
    println!("| what | number | resident bytes each | ns a call, few | ns a call, full | ratio |");
    println!("|---|---|---|---|---|---|");
    tokens(&runtime, count("PORTCULLIS_BENCH_TOKENS", TOKENS).max(2 * FEW));
    nonces(count("PORTCULLIS_BENCH_NONCES", NONCES));
}

#[expect(clippy::disallowed_methods, reason = "a benchmark has no configuration")]
fn count(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |value| value.parse().expect("a number"))
}

/// Bytes of this process in memory.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has a size");
    let kilobytes = line.trim().trim_end_matches(" kB").parse::<u64>().expect("it is a number");
    kilobytes * 1024
}

fn tell(what: &str, number: usize, bytes: u64, (few, full): (Duration, Duration)) {
    let each = |cost: Duration| cost.as_nanos() as f64 / CALLS as f64;
    let (few, full) = (each(few), each(full));
    println!(
        "| {what} | {number} | {:.0} | {few:.0} | {full:.0} | {:.2} |",
        bytes as f64 / number as f64,
        full / few
    );
}

/// The median of what each costs, measured in turns.
fn in_turns(mut few: impl FnMut() -> Duration, mut full: impl FnMut() -> Duration) -> (Duration, Duration) {
    let rounds: Vec<(Duration, Duration)> = (0..ROUNDS).map(|_| (few(), full())).collect();
    (median(rounds.iter().map(|round| round.0)), median(rounds.iter().map(|round| round.1)))
}

fn median(costs: impl Iterator<Item = Duration>) -> Duration {
    let mut costs: Vec<Duration> = costs.collect();
    costs.sort_unstable();
    costs.get(costs.len() / 2).copied().expect("there was a round")
}

fn token(number: usize) -> String {
    format!("memory{number:026}")
}

/// A gate's facts, with so many tokens of one customer in its store and all of them in its cache.
fn filled(runtime: &Runtime, folder: &std::path::Path, number: usize) -> (App, Facts) {
    for (name, text) in [("acl.json", TREE), ("routes.json", ROUTES)] {
        fs::write(folder.join(name), text).expect("the folder takes files");
    }
    let text = format!(
        "[listen]\nproxy = '127.0.0.1:0'\nadmin = '127.0.0.1:0'\nworkers = 1\n\
        [upstream]\nurl = 'http://127.0.0.1:9'\n[store]\nurl = 'sqlite://m.db'\nlookup_timeout = '60s'\n\
        max_lookups = 65536\n[magento]\ncrypt_key = '{CRYPT_KEY}'\n[cache]\nentries = 4000000\nttl = '1h'\n\
        [acl]\ntree = 'acl.json'\nroutes = 'routes.json'\n[log]\naccess = 'off'\n"
    );
    runtime.block_on(async {
        let url = format!("sqlite://{}", folder.join("m.db").display());
        SqlStore::migrate(&url).await.expect("the schema is made");
        seed(&folder.join("m.db"), number).await;
        let config = Config::from_toml(&text, folder).expect("the configuration is right");
        let clock = Clock::given(|| UnixTime::from_seconds(NOW));
        let app = App::build(config, clock).await.expect("the gate is built");
        let facts = app.shared().facts.clone();
        (app, facts)
    })
}

/// By SQL, because a million transactions would take longer than what is measured.
async fn seed(database: &std::path::Path, number: usize) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(database);
    let pool = sqlx::SqlitePool::connect_with(options).await.expect("the database opens");
    let statements = format!(
        "INSERT INTO customer_entity (entity_id, email, website_id) VALUES (1, 'a@example.com', 1);
        INSERT INTO oauth_token (customer_id, type, token, secret, callback_url, user_type, created_at)
        WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {number})
        SELECT 1, 'access', printf('memory%026d', i), '', '', 3, datetime({NOW}, 'unixepoch') FROM n;"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(statements)).execute(&pool).await.expect("the rows go in");
    pool.close().await;
}

async fn warm(facts: &Facts, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let token = token(number);
        let key = CredentialKey::bearer(token.as_bytes());
        let lookup = Lookup::Bearer(Secret::new(token.into_bytes()));
        let fact = facts.resolve(key, lookup).await.expect("the store answers");
        assert!(fact.is_positive(), "it is a grant");
    }
}

/// What finding cached callers costs, spread over all of them.
fn find(facts: &Facts, number: usize, turn: &mut usize) -> Duration {
    let keys: Vec<CredentialKey> = (0..CALLS)
        .map(|_| {
            *turn = (*turn + 7919) % number;
            CredentialKey::bearer(token(*turn).as_bytes())
        })
        .collect();
    let began = Instant::now();
    for key in &keys {
        assert!(matches!(black_box(facts.cached(key)), Cached::Fresh(_)), "it is cached");
    }
    began.elapsed()
}

fn tokens(runtime: &Runtime, number: usize) {
    let few_folder = tempfile::tempdir().expect("a folder");
    let full_folder = tempfile::tempdir().expect("a folder");
    let (_few_app, few) = filled(runtime, few_folder.path(), FEW);
    let (_full_app, full) = filled(runtime, full_folder.path(), number);
    runtime.block_on(warm(&few, 0..FEW));
    // Connections, statements and their caches are not what is weighed.
    runtime.block_on(warm(&full, 0..FEW));
    let before = resident();
    runtime.block_on(async {
        let workers = (0..4).map(|part| {
            let (facts, slice) = (full.clone(), (number - FEW) / 4);
            let numbers = FEW + part * slice..if part == 3 { number } else { FEW + (part + 1) * slice };
            tokio::spawn(async move { warm(&facts, numbers).await })
        });
        for worker in workers.collect::<Vec<_>>() {
            worker.await.expect("it is warm");
        }
    });
    let bytes = resident().saturating_sub(before);
    let (mut a, mut b) = (0, 0);
    let costs = in_turns(|| find(&few, FEW, &mut a), || find(&full, number, &mut b));
    tell("cached callers", number - FEW, bytes, costs);
}

/// Nonces that come at an even pace over the window, as live ones do.
struct Stream {
    store: NonceStore,
    sent: u64,
}

impl Stream {
    fn new() -> Self {
        let settings = NonceSettings { past: WINDOW, future: WINDOW, max: 40_000_000, journal: None };
        let store = NonceStore::open(settings, UnixTime::from_seconds(NOW)).expect("no journal to open");
        Self { store, sent: 0 }
    }

    fn record(&mut self, timestamp: i64) {
        self.sent += 1;
        let mut nonce = *b"0123456789abcdef0123456789abcdef";
        for (byte, counter) in nonce.iter_mut().zip(self.sent.to_le_bytes()) {
            *byte = counter;
        }
        let recorded =
            self.store.record(7, &nonce, UnixTime::from_seconds(timestamp), UnixTime::from_seconds(NOW));
        assert_eq!(recorded, Recorded::Fresh);
    }

    fn fill(&mut self, number: usize) {
        let window = WINDOW.as_secs() as i64;
        for count in 0..number as i64 {
            self.record(NOW - window + count * window / number as i64);
        }
    }

    fn cost(&mut self) -> Duration {
        let began = Instant::now();
        for _ in 0..CALLS {
            self.record(NOW);
        }
        began.elapsed()
    }
}

fn nonces(number: usize) {
    let mut few = Stream::new();
    let before = resident();
    let mut full = Stream::new();
    full.fill(number);
    let bytes = resident().saturating_sub(before);
    let costs = in_turns(|| few.cost(), || full.cost());
    tell("live nonces", number, bytes, costs);
}
