//! The gate is killed a hundred times with a large store: how long it takes until it answers, and that no nonce counts twice.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use rand::RngExt as _;

use crate::{
    shop::{Asked, Kind, Seen, echo, fill, setup},
    support::{
        process::{Process, free},
        wire::{Message, try_exchange},
    },
    times::{count, distribution},
};

/// Opaque tokens in the store.
const TOKENS: u64 = 100_000;
/// Clients that sign, each request on a connection of its own.
const SIGNERS: usize = 4;
/// What is promised of a start, for the share that is printed.
const PROMISE: Duration = Duration::from_secs(1);

/// A signed request, and whether it was answered before the kill.
struct Sent {
    asked: Asked,
    is_answered: bool,
}

/// Signs until the gate is gone. What is no right answer is a problem, except that there may be none at the end.
fn sign(proxy: SocketAddr, is_ending: &AtomicBool) -> (Vec<Sent>, Vec<String>) {
    let (mut sent, mut problems) = (Vec::new(), Vec::new());
    while !is_ending.load(Ordering::SeqCst) {
        let asked = Asked::new(Kind::Signed);
        let answer = try_exchange(proxy, &asked.bytes);
        match &answer {
            Ok(answer) => problems.extend(asked.problem(answer)),
            Err(_) if is_ending.load(Ordering::SeqCst) => {}
            Err(error) => problems.push(format!("{}: {error}", asked.target)),
        }
        sent.push(Sent { is_answered: answer.is_ok(), asked });
    }
    (sent, problems)
}

/// Asks until a caller whom only the store knows is answered, and tells when that was.
fn first_answer(proxy: SocketAddr) -> Instant {
    let asked = Asked::new(Kind::Customer(1));
    loop {
        let answer = try_exchange(proxy, &asked.bytes);
        if answer.is_ok_and(|answer| asked.problem(&answer).is_none()) {
            return Instant::now();
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Whether an answer to a request that was sent before is one that may be.
fn problem_again(sent: &Sent, answer: &Message) -> Option<String> {
    let is_first = !sent.is_answered && sent.asked.problem(answer).is_none();
    let problem = || format!("{} again: {} {}", sent.asked.target, answer.status(), answer.text());
    (!Asked::is_replay(answer) && !is_first).then(problem)
}

#[test]
#[ignore = "takes minutes; run tests/long"]
fn a_gate_that_is_killed_a_hundred_times_comes_back_and_takes_no_nonce_again() {
    let kills = count("PORTCULLIS_LONG_KILLS", 100);
    let (seen, folder, proxy) = (Seen::default(), tempfile::tempdir().unwrap(), free());
    let upstream = echo(Some(Seen::clone(&seen)), Duration::ZERO);
    let config = setup(&upstream, proxy).prepare(folder.path());
    fill(folder.path(), TOKENS);
    let mut process = Process::serve(&config);
    let (mut times, mut total, mut unanswered) = (Vec::new(), 0, 0);
    for round in 0..kills {
        first_answer(proxy);
        let is_ending = AtomicBool::new(false);
        let delay = Duration::from_millis(rand::rng().random_range(20..300));
        let (sent, problems, killed) = thread::scope(|scope| {
            let signers: Vec<_> = (0..SIGNERS).map(|_| scope.spawn(|| sign(proxy, &is_ending))).collect();
            thread::sleep(delay);
            is_ending.store(true, Ordering::SeqCst);
            let killed = Instant::now();
            process.kill();
            let (mut sent, mut problems) = (Vec::new(), Vec::new());
            for signer in signers {
                let (of_one, wrong) = signer.join().unwrap();
                sent.extend(of_one);
                problems.extend(wrong);
            }
            (sent, problems, killed)
        });
        assert!(problems.is_empty(), "round {round}: {problems:#?}");
        assert!(sent.iter().any(|sent| sent.is_answered), "round {round}: nobody was served");
        let first = thread::spawn(move || first_answer(proxy));
        process = Process::serve(&config);
        times.push(first.join().unwrap() - killed);
        total += sent.len();
        unanswered += sent.iter().filter(|sent| !sent.is_answered).count();
        let again = |sent: &Sent| problem_again(sent, &try_exchange(proxy, &sent.asked.bytes).unwrap());
        let problems: Vec<_> = sent.iter().filter_map(again).collect();
        assert!(problems.is_empty(), "round {round}, killed after {delay:?}: {problems:#?}");
    }
    process.kill();
    let seen: HashMap<String, usize> = std::mem::take(&mut seen.lock().unwrap());
    let twice: Vec<_> = seen.iter().filter(|(target, times)| is_signed(target) && **times > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    let kept = times.iter().filter(|time| **time <= PROMISE).count();
    println!(
        "{kills} kills with {TOKENS} tokens in the store: {kept} answered within {PROMISE:?}; from the kill to the first answer \
         {}; {total} signed requests, {unanswered} cut off, none taken twice",
        distribution(times)
    );
}

fn is_signed(target: &str) -> bool {
    target.starts_with("/rest/V1/modules")
}
