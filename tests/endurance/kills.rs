//! The gate is killed a hundred times with a large store: how long it takes until it answers, and that no nonce counts twice.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use rand::RngExt as _;

use crate::{
    shop::{Asked, Kind, Seen, echo, fill, setup},
    support::{
        process::{Process, free},
        waiting::until,
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

/// Signs until the gate is gone. What is no right answer is a problem, except that there may be none at the end; on a busy
/// machine a look-up may take too long, and 503 is no verdict.
fn sign(proxy: SocketAddr, is_ending: &AtomicBool, answered: &AtomicUsize) -> (Vec<Sent>, Vec<String>) {
    let (mut sent, mut problems) = (Vec::new(), Vec::new());
    while !is_ending.load(Ordering::SeqCst) {
        let asked = Asked::new(Kind::Signed);
        let answer = try_exchange(proxy, &asked.bytes);
        let problem = match &answer {
            Ok(answer) if answer.status() == 503 => None,
            Ok(answer) => asked.problem(answer),
            Err(_) if is_ending.load(Ordering::SeqCst) => None,
            Err(error) => Some(format!("{}: {error}", asked.target)),
        };
        let is_answered = problem.is_none() && answer.is_ok_and(|answer| answer.status() == 200);
        answered.fetch_add(usize::from(is_answered), Ordering::SeqCst);
        problems.extend(problem);
        sent.push(Sent { is_answered, asked });
    }
    (sent, problems)
}

/// What a gate says to a request that was sent before, once it says anything.
fn ask_again(proxy: SocketAddr, bytes: &[u8]) -> Message {
    let mut answer = try_exchange(proxy, bytes).unwrap();
    until("there is a verdict", || {
        if answer.status() == 503 {
            answer = try_exchange(proxy, bytes).unwrap();
        }
        answer.status() != 503
    });
    answer
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
        let (is_ending, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
        let delay = Duration::from_millis(rand::rng().random_range(0..300));
        let (sent, problems, killed) = thread::scope(|scope| {
            let signers: Vec<_> =
                (0..SIGNERS).map(|_| scope.spawn(|| sign(proxy, &is_ending, &answered))).collect();
            until("somebody is served", || answered.load(Ordering::SeqCst) > 0);
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
        let first = thread::spawn(move || first_answer(proxy));
        process = Process::serve(&config);
        times.push(first.join().unwrap() - killed);
        total += sent.len();
        unanswered += sent.iter().filter(|sent| !sent.is_answered).count();
        let again = |sent: &Sent| problem_again(sent, &ask_again(proxy, &sent.asked.bytes));
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
