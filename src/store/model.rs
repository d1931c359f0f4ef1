//! The way to a fact in every order of steps: the loader's own code on primitives that a scheduler interrupts.
//!
//! Some callers look one credential up while somebody revokes it, somebody else exchanges the judge, and the store fails now
//! and then. `shuttle` runs that in thousands of orders. A run that breaks a promise is printed as a seed, and
//! `shuttle::replay` shows it again.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering as Plain},
    },
    time::Duration,
};

use http::HeaderValue;
use shuttle::{
    future, rand,
    rand::Rng as _,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use super::{
    cache::{CacheSettings, Cached, Entry, Epoch, Keeping, Memory},
    evidence::Evidence,
    facts::LookupFailed,
    flights::FlightBounds,
    generations::{Generations, Subject},
    grant::{CallerHeaders, CredentialKey, Fact, Grant},
    loader::{Flight, Found, Loader},
    primitives::{Lock, Number, Primitives, Shelf},
};
use crate::auth::identity::{AuthMethod, Customer, UserContext};

const ORDERS: usize = 20_000;
const CUSTOMER: u32 = 7;
const BOUNDS: FlightBounds = FlightBounds { flights: 8, waiting: 64 };

/// Primitives that the scheduler interrupts.
#[derive(Debug)]
struct Interrupted;

impl Primitives for Interrupted {
    type Number = AtomicU64;
    type Lock<T: Send + 'static> = Mutex<T>;
    type Shelf = Map;
}

impl Number for AtomicU64 {
    fn zero() -> Self {
        Self::new(0)
    }

    fn read(&self) -> u64 {
        self.load(Ordering::SeqCst)
    }

    fn next(&self) -> u64 {
        self.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn raise(&self, least: u64) {
        self.fetch_max(least, Ordering::SeqCst);
    }
}

impl<T: Send> Lock<T> for Mutex<T> {
    fn around(value: T) -> Self {
        Self::new(value)
    }

    fn with<R>(&self, action: impl FnOnce(&mut T) -> R) -> R {
        action(&mut self.lock().unwrap())
    }
}

/// An unbounded map without an eviction of its own.
struct Map(Mutex<HashMap<CredentialKey, Entry>>);

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Map")
    }
}

impl Shelf for Map {
    fn find(&self, key: &CredentialKey) -> Option<Entry> {
        self.0.lock().unwrap().get(key).cloned()
    }

    fn place(&self, key: CredentialKey, entry: Entry) {
        self.0.lock().unwrap().insert(key, entry);
    }

    fn clear(&self, key: &CredentialKey) {
        self.0.lock().unwrap().remove(key);
    }
}

fn memory() -> Arc<Memory<Interrupted>> {
    let hour = Duration::from_secs(3600);
    Arc::new(Memory {
        settings: CacheSettings {
            entries: 0,
            ttl: hour,
            negative_entries: 0,
            negative_ttl: hour,
            session_ttl: hour,
            max_stale: hour,
        },
        positive: Map(Mutex::default()),
        negative: Map(Mutex::default()),
        generations: Generations::with_slots(1),
    })
}

fn key() -> CredentialKey {
    CredentialKey::bearer(b"the token of everybody here")
}

/// A store with one row, and what it was asked.
struct Store {
    has_row: AtomicBool,
    /// Questions under way, by judge. Plain: looking must not give the scheduler another step.
    asked_now: [AtomicUsize; 2],
    asked: AtomicUsize,
    fails: bool,
}

impl Store {
    fn new(fails: bool) -> Arc<Self> {
        let has_row = AtomicBool::new(true);
        Arc::new(Self { has_row, asked_now: Default::default(), asked: AtomicUsize::new(0), fails })
    }

    /// What this judge says of the row; it stands in the fact as the user's id.
    async fn ask(&self, judge: usize) -> Result<Fact, LookupFailed> {
        self.asked.fetch_add(1, Plain::SeqCst);
        let already = self.asked_now[judge].fetch_add(1, Plain::SeqCst);
        assert_eq!(already, 0, "two questions at once about one credential");
        future::yield_now().await;
        let has_row = self.has_row.load(Ordering::SeqCst);
        future::yield_now().await;
        self.asked_now[judge].fetch_sub(1, Plain::SeqCst);
        if self.fails && rand::thread_rng().gen_bool(0.3) {
            return Err(LookupFailed::Timeout);
        }
        Ok(if has_row { granted(judge) } else { Fact::Refused("token_revoked") })
    }
}

fn granted(judge: usize) -> Fact {
    Fact::Granted(Grant {
        context: UserContext::Customer(Customer { id: CUSTOMER, website_id: None }),
        method: AuthMethod::Bearer,
        expires_at: None,
        headers: CallerHeaders {
            user_id: HeaderValue::from(judge),
            integration: None,
            credential: HeaderValue::from_static(""),
        },
    })
}

/// Which judge lets the caller in, if one does.
fn let_in(found: &Result<Found, LookupFailed>) -> Option<usize> {
    let Ok(Found::Proven(fact) | Found::Stale(fact)) = found else { return None };
    Some(fact.grant()?.headers.user_id.to_str().unwrap().parse().unwrap())
}

type Tested = Arc<Loader<Interrupted>>;

async fn resolve(loader: &Tested, store: &Arc<Store>, judge: usize) -> Result<Found, LookupFailed> {
    if let Cached::Fresh(fact) = loader.cached(&key()) {
        return Ok(Found::Proven(fact));
    }
    let launch = |flight: Flight<Interrupted>| {
        let store = Arc::clone(store);
        drop(future::spawn(flight.lead(Keeping::Credential, move || {
            let store = Arc::clone(&store);
            async move { Ok((store.ask(judge).await?, Evidence::default())) }
        })));
    };
    loader.resolve(key(), launch).await
}

/// Callers of each judge, one who revokes and one who exchanges the judge.
fn revocation_and_reload(fails: bool) {
    let (memory, store) = (memory(), Store::new(fails));
    let first: Tested = Arc::new(Loader::new(Arc::clone(&memory), Epoch::default(), BOUNDS));
    let second: Tested = Arc::new(first.next(BOUNDS));
    let (is_revoked, is_reloaded) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let mut threads = Vec::new();
    for _ in 0..3 {
        let (loaders, store) = ([Arc::clone(&first), Arc::clone(&second)], Arc::clone(&store));
        let (is_revoked, is_reloaded) = (Arc::clone(&is_revoked), Arc::clone(&is_reloaded));
        threads.push(thread::spawn(move || {
            for _ in 0..2 {
                let judge = usize::from(is_reloaded.load(Ordering::SeqCst));
                let was_revoked = is_revoked.load(Ordering::SeqCst);
                let found = future::block_on(resolve(&loaders[judge], &store, judge));
                if let Some(by) = let_in(&found) {
                    assert!(!was_revoked, "let in after the revocation returned");
                    assert_eq!(by, judge, "let in by a judge who is gone");
                }
                assert!(fails || found.is_ok() || is_revoked.load(Ordering::SeqCst), "{found:?}");
            }
        }));
    }
    let (revoking, revoked) = (Arc::clone(&store), Arc::clone(&is_revoked));
    let invalidating = Arc::clone(&memory);
    threads.push(thread::spawn(move || {
        revoking.has_row.store(false, Ordering::SeqCst);
        invalidating.generations.invalidate(Subject::Customer(CUSTOMER));
        revoked.store(true, Ordering::SeqCst);
    }));
    threads.push(thread::spawn(move || is_reloaded.store(true, Ordering::SeqCst)));
    for thread in threads {
        thread.join().unwrap();
    }
    for loader in [&first, &second] {
        assert_eq!(loader.under_way(), (0, 0), "a flight was left behind");
    }
    let after = future::block_on(resolve(&second, &store, 1));
    assert_eq!(let_in(&after), None, "brought back");
}

#[test]
fn no_order_of_steps_lets_a_revoked_caller_in() {
    shuttle::check_random(|| revocation_and_reload(false), ORDERS);
}

#[test]
fn no_order_of_steps_lets_a_revoked_caller_in_while_the_store_fails() {
    shuttle::check_random(|| revocation_and_reload(true), ORDERS);
}

#[test]
fn unfair_orders_let_no_revoked_caller_in_either() {
    shuttle::check_pct(|| revocation_and_reload(true), ORDERS, 4);
}

#[test]
fn whoever_misses_while_nothing_changes_shares_one_query_in_every_order() {
    let misses = || {
        let store = Store::new(false);
        let loader: Tested = Arc::new(Loader::new(memory(), Epoch::default(), BOUNDS));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (loader, store) = (Arc::clone(&loader), Arc::clone(&store));
                thread::spawn(move || {
                    assert_eq!(let_in(&future::block_on(resolve(&loader, &store, 0))), Some(0));
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(store.asked.load(Plain::SeqCst), 1);
    };
    shuttle::check_random(misses, ORDERS);
}

#[test]
fn a_flight_whose_task_is_lost_tells_everybody_and_stands_in_nobodys_way() {
    let lost = || {
        let store = Store::new(false);
        let loader: Tested = Arc::new(Loader::new(memory(), Epoch::default(), BOUNDS));
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let loader = Arc::clone(&loader);
                thread::spawn(move || {
                    let found = future::block_on(loader.resolve(key(), |flight| {
                        thread::spawn(move || drop(flight));
                    }));
                    assert!(matches!(found, Err(LookupFailed::Unavailable)), "{found:?}");
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(loader.under_way(), (0, 0));
        assert_eq!(let_in(&future::block_on(resolve(&loader, &store, 0))), Some(0));
        let gone: Weak<_> = Arc::downgrade(&store);
        drop((loader, store));
        assert!(gone.upgrade().is_none());
    };
    shuttle::check_random(lost, ORDERS / 10);
}
