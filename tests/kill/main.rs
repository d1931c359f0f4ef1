//! The real binary is killed in the middle of its work, again and again on one store, and nothing is half done afterwards.
//!
//! Clients sign in, revoke and exchange tokens, commands change integrations beside the gate, jobs clean up; at a moment that
//! the seed decides, or at once when somebody got a token, the gate gets SIGKILL, and in every other round the command under way
//! with it. Then the store is whole,
//! what was answered is in force, every credential has its record, and the next start ends every open one.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot go on must stop, and counts are for people to read"
)]

mod audit;
mod load;
mod shop;
mod store;
#[path = "../support/mod.rs"]
mod support;

use std::{
    thread,
    time::{Duration, Instant},
};

use portcullis::clock::Clock;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use load::{Load, Seen, dies_of_a_login};
use shop::Shop;

/// Sets the seed, to see a run again as far as the machine lets it.
const SEED: &str = "KILL_SEED";

/// A round that is to end with a login ends without it after that.
const LONGEST: Duration = Duration::from_secs(1);

#[test]
fn a_gate_that_is_killed_leaves_nothing_half_done() {
    kill(10);
}

#[test]
#[ignore = "kills the gate fifty times; run tests/all"]
fn a_gate_that_is_killed_fifty_times_leaves_nothing_half_done() {
    kill(50);
}

/// Kills a gate so many times.
fn kill(rounds: u64) {
    let given = std::env::vars().find(|(name, _)| name == SEED).and_then(|(_, seed)| seed.parse().ok());
    let seed: u64 = given.unwrap_or_else(rand::random);
    println!("{SEED}={seed}");
    let (began, mut random) = (Instant::now(), StdRng::seed_from_u64(seed));
    let mut shop = Shop::open();
    let mut seen = Seen::default();
    let mut totals = [0; 5];
    for round in 0..rounds {
        let issuer = if round.is_multiple_of(2) { "jwt" } else { "opaque" };
        let gate = shop.serve(issuer);
        let delay = Duration::from_millis(random.random_range(5..=400));
        let delay = if dies_of_a_login(round) { LONGEST } else { delay };
        let told = |problems: Vec<String>| {
            assert!(problems.is_empty(), "{SEED}={seed}, before round {round} ({issuer}): {problems:#?}");
        };
        told(audit::problems(&shop, &seen));
        told(load::problems_after_restart(&gate, &seen));
        shop.prepare(round);
        let parties = std::mem::take(&mut shop.parties);
        let (load, logins) = Load::new(gate.proxy, &shop.config, (round, random.random()));
        load.begin();
        seen = thread::scope(|scope| {
            let work = scope.spawn(|| load.run(&parties));
            if dies_of_a_login(round) {
                let _ = logins.recv_timeout(delay);
            } else {
                thread::sleep(delay);
            }
            load.ending();
            gate.kill();
            work.join().unwrap()
        });
        for (total, count) in totals.iter_mut().zip(seen.counts()) {
            *total += count;
        }
        let problems = [std::mem::take(&mut seen.surprises), store::problems(&shop, &seen)].concat();
        assert!(
            problems.is_empty(),
            "{SEED}={seed}, round {round} ({issuer}), killed after {delay:?}: {problems:#?}"
        );
    }
    let gate = shop.serve("jwt");
    let problems = [audit::problems(&shop, &seen), load::problems_after_restart(&gate, &seen)].concat();
    assert!(problems.is_empty(), "{SEED}={seed}, after the last round: {problems:#?}");
    gate.kill();
    let [logins, revocations, first_legs, second_legs, commands] = totals;
    println!(
        "{rounds} rounds in {:?}: {logins} logins, {revocations} revocations, {first_legs} request tokens, \
         {second_legs} access tokens, {commands} commands, {} rows swept, {} intents cut off, {} torn lines",
        began.elapsed(),
        shop.swept,
        audit::cut_off(&shop),
        audit::torn(&shop),
    );
    assert!(logins > 0 && first_legs > 0, "the load does something");
}

fn now() -> i64 {
    Clock::system().now().seconds()
}
