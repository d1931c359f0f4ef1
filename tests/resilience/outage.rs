//! A store that stops answering under load, for some seconds.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use crate::{
    callers::{
        FULL, PROTECTED, RECOVERY, SELF, ask, ask_on, figure, numbered, outcomes, page, seed, setup, tokens,
        within,
    },
    lock::Lock,
    support::{gate::Gate, upstream::Upstream, wire::Client},
};

/// Clients at a time; each asks by a cached token nineteen times of twenty.
const CLIENTS: usize = 8;
const OUTAGE: Duration = Duration::from_secs(4);

/// What clients saw during an outage: by cached tokens, and by valid ones that nobody had asked by before.
#[derive(Default)]
struct Saw {
    cached: [AtomicUsize; 2],
    misses: [AtomicUsize; 2],
    wrong: AtomicUsize,
}

impl Saw {
    fn count(&self, is_cached: bool, status: u16) {
        let (of, expected) = if is_cached { (&self.cached, 200) } else { (&self.misses, 503) };
        of[usize::from(status == expected)].fetch_add(1, Ordering::Relaxed);
        // A cached caller who is sent away is a loss; anything else that was not expected is a lie.
        if status != expected && status != 503 {
            self.wrong.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Load while the store is away; `take_away` returns what brings it back.
fn load_through<R: FnOnce()>(gate: &Gate, take_away: impl FnOnce() -> R) -> (Saw, R) {
    let (saw, is_over) = (Saw::default(), AtomicBool::new(false));
    for known in 0..20 {
        assert_eq!(ask(gate, SELF, &numbered(known)).status(), 200);
    }
    let next = AtomicUsize::new(1000);
    let bring_back = take_away();
    let client = || {
        let mut client = Client::connect(gate.proxy);
        for turn in 1.. {
            if is_over.load(Ordering::Relaxed) {
                return;
            }
            let is_cached = turn % 20 != 0;
            let token = if is_cached { turn % 20 } else { next.fetch_add(1, Ordering::Relaxed) };
            saw.count(is_cached, ask_on(&mut client, SELF, &numbered(token)));
            thread::sleep(Duration::from_millis(2));
        }
    };
    thread::scope(|scope| {
        (0..CLIENTS).for_each(|_| drop(scope.spawn(client)));
        thread::sleep(OUTAGE);
        is_over.store(true, Ordering::Relaxed);
    });
    (saw, bring_back)
}

#[test]
fn cached_callers_are_served_through_an_outage_and_nobody_is_guessed_at() {
    let (folder, upstream) = (tempfile::tempdir().unwrap(), Upstream::start());
    let database = seed(&setup(&upstream), folder.path());
    let gate = setup(&upstream).in_folder(folder.path()).start();
    gate.sql(&tokens(0..20_000));
    let (saw, bring_back) = load_through(&gate, || {
        let lock = Lock::take(&database);
        move || lock.release()
    });
    let [lost, served] = saw.cached.map(AtomicUsize::into_inner);
    let [_, refused] = saw.misses.map(AtomicUsize::into_inner);
    assert_eq!(saw.wrong.into_inner(), 0, "a wrong 200 or 401");
    assert!(served > 500 && refused > 20, "there was load: {served} served, {refused} refused");
    assert!(lost * 1000 <= served, "{lost} of {served} cached callers were lost");
    // Those who missed were told at once, and did not wait for a limit each.
    let (not_asked, timeouts) = (outcomes(&gate, "not_asked"), outcomes(&gate, "timeout"));
    assert!(not_asked > timeouts, "{not_asked} told at once, {timeouts} after the limit");
    assert!(figure(&gate, "portcullis_store_breaker_state") > 0.5, "it is open, or tries");
    assert!(figure(&gate, "portcullis_cache_stale_served_total") > 0.0);
    assert_eq!(page(&gate, "/readyz").status(), 200, "cached callers are worth being ready for");
    bring_back();
    within(RECOVERY, "a caller whom nobody knew", || ask(&gate, SELF, &numbered(19_999)).status() == 200);
    within(RECOVERY, "closed", || figure(&gate, "portcullis_store_breaker_state") < 0.5);
    assert_eq!(
        ask(&gate, SELF, "00000000000000000000000000000000").status(),
        401,
        "and the unknown is unknown"
    );
    for known in 1000..1010 {
        assert_eq!(ask(&gate, SELF, &numbered(known)).status(), 200, "an outage is remembered of nobody");
    }
}

#[test]
fn nobody_is_served_longer_than_max_stale() {
    let (folder, upstream) = (tempfile::tempdir().unwrap(), Upstream::start());
    let setup =
        || setup(&upstream).with("cache", "ttl = \"200ms\"\nmax_stale = \"1s\"\nnegative_ttl = \"300ms\"");
    let database = seed(&setup(), folder.path());
    let gate = setup().in_folder(folder.path()).start();
    assert_eq!(ask(&gate, PROTECTED, FULL).status(), 200);
    let lock = Lock::take(&database);
    within(Duration::from_secs(5), "the grant is too old", || ask(&gate, PROTECTED, FULL).status() == 503);
    thread::sleep(Duration::from_millis(500));
    assert_eq!(ask(&gate, PROTECTED, FULL).status(), 503, "and stays so");
    lock.release();
    within(RECOVERY, "served again", || ask(&gate, PROTECTED, FULL).status() == 200);
}

#[test]
fn a_row_that_makes_no_sense_is_503_for_its_owner_alone() {
    let (folder, upstream) = (tempfile::tempdir().unwrap(), Upstream::start());
    seed(&setup(&upstream), folder.path());
    let gate = setup(&upstream).in_folder(folder.path()).start();
    gate.sql(&tokens(0..2));
    gate.sql(&format!("UPDATE oauth_token SET created_at = 'soon' WHERE token = '{}'", numbered(0)));
    for _ in 0..20 {
        assert_eq!(ask(&gate, SELF, &numbered(0)).status(), 503);
    }
    assert!(outcomes(&gate, "unusable") >= 20.0, "asked anew each time: a failure is never cached");
    assert_eq!(ask(&gate, SELF, &numbered(1)).status(), 200, "the store answers, whatever it says");
    assert!(figure(&gate, "portcullis_store_breaker_state").abs() < 0.1);
}
