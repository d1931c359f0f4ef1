//! What recording a nonce costs, with few and with many live ones, with and without the journal.
//!
//! The store is in a steady state: time goes on with the records, so buckets expire and begin as they would. Syncing
//! happens on another thread in the server and is left out here. `PORTCULLIS_BENCH_LARGE=1` adds ten million.

use std::path::Path;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use portcullis::auth::time::UnixTime;
use portcullis::store::nonces::{NonceSettings, NonceStore, Recorded};

const WINDOW: u64 = 600;

fn open(journal: Option<&Path>, now: UnixTime) -> NonceStore {
    let window = Duration::from_secs(WINDOW);
    let journal = journal.map(Path::to_owned);
    let settings = NonceSettings { past: window, future: window, max: 20_000_000, journal };
    NonceStore::open(settings, now).expect("the journal opens")
}

/// A store with a stream of fresh nonces that keeps so many live.
struct Stream {
    store: NonceStore,
    /// Records in ten seconds.
    pace: u64,
    sent: u64,
    now: UnixTime,
}

impl Stream {
    fn begin(live: u64, journal: Option<&Path>) -> Self {
        let now = UnixTime::from_seconds(1_700_000_000);
        let window = Duration::from_secs(WINDOW);
        let max = usize::try_from(live * 2).expect("a 64-bit machine");
        let settings =
            NonceSettings { past: window, future: window, max, journal: journal.map(Path::to_owned) };
        let store = NonceStore::open(settings, now).expect("the journal opens");
        let mut stream = Self { store, pace: live * 10 / WINDOW, sent: 0, now };
        stream.send(live);
        stream
    }

    /// Records so many; the time that took, without syncing.
    fn send(&mut self, count: u64) -> Duration {
        let mut spent = Duration::ZERO;
        let mut left = count;
        while left > 0 {
            let until_tick = self.pace - self.sent % self.pace;
            let batch = until_tick.min(left);
            let begun = Instant::now();
            for _ in 0..batch {
                self.record();
            }
            spent += begun.elapsed();
            left -= batch;
            if self.sent.is_multiple_of(self.pace) {
                self.now = self.now.plus(Duration::from_secs(10));
                self.store.sync(self.now).expect("the journal syncs");
            }
        }
        spent
    }

    fn record(&mut self) {
        self.sent += 1;
        let mut nonce = *b"0123456789abcdef0123456789abcdef";
        for (byte, counter) in nonce.iter_mut().zip(self.sent.to_le_bytes()) {
            *byte = counter;
        }
        assert_eq!(self.store.record(7, &nonce, self.now, self.now), Recorded::Fresh);
    }

    /// What a restart after a kill costs.
    fn reopen(self, journal: &Path) {
        let Self { store, now, .. } = self;
        drop(store);
        let begun = Instant::now();
        let store = open(Some(journal), now);
        eprintln!("reopened with {} nonces in {:?}", store.recovery().restored, begun.elapsed());
    }

    fn tell(&self, name: &str) {
        let (bytes, live) = (self.store.memory_bytes(), self.store.len());
        eprintln!("{name}: {live} live nonces, {:.1} bytes each", bytes as f64 / live as f64);
    }
}

fn record(criterion: &mut Criterion) {
    let large = std::env::var_os("PORTCULLIS_BENCH_LARGE").map(|_| 10_000_000);
    let mut group = criterion.benchmark_group("nonces/record_fresh");
    group.sample_size(20);
    for live in [6_000, 1_000_000].into_iter().chain(large) {
        for is_journaled in [false, true] {
            let directory = tempfile::tempdir().expect("a temporary directory");
            let name = if is_journaled { "journal" } else { "memory" };
            let mut stream = Stream::begin(live, is_journaled.then_some(directory.path()));
            stream.tell(name);
            group.bench_function(BenchmarkId::new(name, live), |bencher| {
                bencher.iter_custom(|iterations| stream.send(iterations));
            });
            stream.tell(name);
            if is_journaled {
                stream.reopen(directory.path());
            }
        }
    }
    group.finish();
}

criterion_group!(benches, record);
criterion_main!(benches);
