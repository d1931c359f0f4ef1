//! Clients that go on while a server fails, and everything that they were told.
//!
//! Of forty requests of a client 38 are by tokens that the gate has cached (95 %), one is by a valid token that nobody used before and one by
//! a token that is nobody's or was revoked. The upstream answers whom it was told of, so that a wrong identity is seen.

use std::{
    net::SocketAddr,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    shop::{SELF, by_bearer, numbered, owner},
    support::wire::{Client, Message},
};

/// Tokens that are kept cached: 0 to this.
pub(crate) const CACHED: usize = 20;
/// Tokens that were revoked before the load.
pub(crate) const REVOKED: std::ops::Range<usize> = 100..200;
/// The first token that nobody uses before its one request.
const UNUSED: usize = 1000;
/// Clients at a time.
const CLIENTS: usize = 8;

/// What the server that fails does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// It is going or coming, or is there.
    There,
    /// It is away.
    Away,
}

/// Everything that clients were told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// By cached tokens: served, and sent away with 503.
    pub(crate) cached: [usize; 2],
    /// By valid tokens that nobody had used: served, and sent away with 503.
    pub(crate) misses: [usize; 2],
    /// By tokens that are nobody's: refused with 401, and sent away with 503.
    pub(crate) nobodies: [usize; 2],
    /// How long those waited who were sent away while the server was away and had not cached anything.
    pub(crate) waits: Vec<Duration>,
    /// What must never be said.
    pub(crate) wrong: Vec<String>,
}

impl Told {
    fn add(&mut self, other: Self) {
        let sum = |own: &mut [usize; 2], more: [usize; 2]| {
            own.iter_mut().zip(more).for_each(|(own, more)| *own += more)
        };
        sum(&mut self.cached, other.cached);
        sum(&mut self.misses, other.misses);
        sum(&mut self.nobodies, other.nobodies);
        self.waits.extend(other.waits);
        self.wrong.extend(other.wrong);
    }

    fn hear(&mut self, who: &Who, answer: &Message, (phase, took): (Option<Phase>, Duration)) {
        let (status, body) = (answer.status(), answer.text());
        match (who, status) {
            (Who::Cached(number), 200) if body == owner(*number) => self.cached[0] += 1,
            (Who::Cached(_), 503) => self.cached[1] += 1,
            (Who::Miss(number), 200) if body == owner(*number) && phase != Some(Phase::Away) => {
                self.misses[0] += 1
            }
            (Who::Miss(_), 503) => {
                self.misses[1] += 1;
                if phase == Some(Phase::Away) {
                    self.waits.push(took);
                }
            }
            (Who::Nobody(_), 401) => self.nobodies[0] += 1,
            (Who::Nobody(_), 503) => self.nobodies[1] += 1,
            (Who::Cached(_) | Who::Miss(_) | Who::Nobody(_), _) => {
                self.wrong.push(format!("{who:?} in {phase:?}: {status} {body}"));
            }
        }
    }
}

/// Who asks.
#[derive(Debug)]
enum Who {
    Cached(usize),
    Miss(usize),
    Nobody(String),
}

impl Who {
    fn token(&self) -> String {
        match self {
            Self::Cached(number) | Self::Miss(number) => numbered(*number),
            Self::Nobody(token) => token.clone(),
        }
    }
}

/// Clients of one gate.
pub(crate) struct Load {
    gate: SocketAddr,
    phase: AtomicU8,
    is_over: AtomicBool,
    next: AtomicUsize,
    told: Mutex<Told>,
}

impl Load {
    pub(crate) fn on(gate: SocketAddr) -> Self {
        let told = Mutex::default();
        let (phase, is_over) = (AtomicU8::new(Phase::There as u8), AtomicBool::new(false));
        Self { gate, phase, is_over, next: AtomicUsize::new(UNUSED), told }
    }

    /// Runs clients beside something that happens to the server.
    pub(crate) fn beside<Seen>(&self, happens: impl FnOnce() -> Seen) -> Seen {
        thread::scope(|scope| {
            let clients: Vec<_> =
                (0..CLIENTS).map(|client| scope.spawn(move || self.client(client))).collect();
            let happened = std::panic::catch_unwind(std::panic::AssertUnwindSafe(happens));
            self.is_over.store(true, Ordering::SeqCst);
            clients.into_iter().for_each(|client| client.join().unwrap());
            self.is_over.store(false, Ordering::SeqCst);
            happened.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::SeqCst);
    }

    /// What clients were told since the last call.
    pub(crate) fn take(&self) -> Told {
        std::mem::take(&mut self.told.lock().unwrap())
    }

    /// A token that nobody used.
    pub(crate) fn unused(&self) -> usize {
        self.next.fetch_add(1, Ordering::SeqCst)
    }

    fn client(&self, client: usize) {
        let (mut connection, mut told) = (Client::connect(self.gate), Told::default());
        for turn in client * 5.. {
            if self.is_over.load(Ordering::SeqCst) {
                break;
            }
            let who = match turn % 40 {
                0 => Who::Miss(self.unused()),
                20 if turn % 80 < 40 => Who::Nobody(format!("nobody{client:06}{turn:020}")),
                20 => Who::Nobody(numbered(REVOKED.start + turn / 40 % REVOKED.len())),
                _ => Who::Cached(turn % CACHED),
            };
            let (before, began) = (self.phase(), Instant::now());
            connection.send(&by_bearer(SELF, &who.token()));
            let Some(answer) = connection.receive() else {
                told.wrong.push(format!("{who:?}: no answer"));
                connection = Client::connect(self.gate);
                continue;
            };
            let phase = (before == self.phase()).then_some(before);
            told.hear(&who, &answer, (phase, began.elapsed()));
            thread::sleep(Duration::from_millis(2));
        }
        self.told.lock().unwrap().add(told);
    }

    fn phase(&self) -> Phase {
        if self.phase.load(Ordering::SeqCst) == Phase::Away as u8 { Phase::Away } else { Phase::There }
    }
}
