//! The work that is under way when the gate dies, and what those who asked for it saw.

use std::{
    net::SocketAddr,
    path::Path,
    process::{self, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::Value;

use super::{
    now,
    shop::{CUSTOMERS, Leg, Party},
    support::{
        party::{Signature, signed},
        process::Process,
        wire::{Message, request, try_exchange},
    },
};

const CUSTOMER: &str = "/rest/V1/integration/customer/token";
const ADMIN: &str = "/rest/V1/integration/admin/token";
const REVOKE: &str = "/rest/V1/integration/customer/revoke-customer-token";
const ME: &str = "/rest/V1/customers/me";
const WEBSITES: &str = "/rest/V1/store/websites";
const REQUEST: &str = "/oauth/token/request";
const ACCESS: &str = "/oauth/token/access";
const JSON: (&str, &str) = ("Content-Type", "application/json");
/// The admin's place among those who sign in, after the customers.
const ROOT: u32 = CUSTOMERS;

/// What clients and commands saw in one round.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) logins: Vec<Login>,
    pub(crate) revocations: Vec<Revocation>,
    pub(crate) parties: Vec<Party>,
    pub(crate) commands: Vec<Command>,
    /// Answers that nobody expects of a gate that lives.
    pub(crate) surprises: Vec<String>,
}

/// A token that somebody got.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    who: u32,
    token: String,
    pub(crate) request_id: String,
    /// From the request to the answer, in the order of the round.
    span: (u64, u64),
}

/// An attempt to end a customer's tokens; an end that nobody saw is none.
#[derive(Debug, Clone)]
pub(crate) struct Revocation {
    who: u32,
    span: (u64, Option<u64>),
    pub(crate) request_id: Option<String>,
}

/// What the last command about an integration told of it; `None` where it was cut off.
#[derive(Debug, Clone)]
pub(crate) struct Command {
    pub(crate) name: String,
    pub(crate) is_there: Option<bool>,
    pub(crate) token: Option<String>,
}

impl Seen {
    /// Logins, revocations, request tokens, access tokens, commands.
    pub(crate) fn counts(&self) -> [usize; 5] {
        let answered = |leg: &dyn Fn(&Party) -> &Leg| {
            self.parties.iter().filter(|party| matches!(leg(party), Leg::Answered(..))).count()
        };
        let revoked = self.revocations.iter().filter(|revocation| revocation.request_id.is_some()).count();
        let legs = [answered(&|party| &party.request), answered(&|party| &party.access)];
        [self.logins.len(), revoked, legs[0], legs[1], self.commands.len()]
    }
}

/// Every third round ends with its first login, without commands, which take the machine's time from it.
pub(crate) const fn dies_of_a_login(round: u64) -> bool {
    round % 3 == 2
}

/// A round's work.
pub(crate) struct Load<'a> {
    proxy: SocketAddr,
    config: &'a Path,
    round: u64,
    seed: u64,
    order: AtomicU64,
    is_ending: AtomicBool,
    seen: Mutex<Seen>,
    /// Hears of every login.
    logged_in: mpsc::Sender<()>,
}

impl<'a> Load<'a> {
    /// A load, and what tells of each login.
    pub(crate) fn new(
        proxy: SocketAddr,
        config: &'a Path,
        (round, seed): (u64, u64),
    ) -> (Self, mpsc::Receiver<()>) {
        let (order, is_ending, seen) = Default::default();
        let (logged_in, logins) = mpsc::channel();
        (Self { proxy, config, round, seed, order, is_ending, seen, logged_in }, logins)
    }

    /// Works until nobody answers any more.
    pub(crate) fn run(&self, parties: &[Party]) -> Seen {
        let half = parties.len() / 2;
        let (first, second) = parties.split_at(half);
        thread::scope(|scope| {
            scope.spawn(|| self.sign_in(StdRng::seed_from_u64(self.seed)));
            scope.spawn(|| self.sign_in(StdRng::seed_from_u64(self.seed ^ 1)));
            scope.spawn(|| self.revoke(StdRng::seed_from_u64(self.seed ^ 2)));
            scope.spawn(|| self.shake_hands(first));
            scope.spawn(|| self.shake_hands(second));
            if !dies_of_a_login(self.round) {
                scope.spawn(|| self.command());
            }
        });
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    /// The gate is about to be killed: no further work begins.
    pub(crate) fn ending(&self) {
        self.is_ending.store(true, Ordering::SeqCst);
    }

    fn goes_on(&self) -> bool {
        !self.is_ending.load(Ordering::SeqCst)
    }

    fn tick(&self) -> u64 {
        self.order.fetch_add(1, Ordering::SeqCst)
    }

    fn ask(&self, bytes: &[u8]) -> Option<Message> {
        try_exchange(self.proxy, bytes).ok()
    }

    fn surprise(&self, text: String) {
        self.seen.lock().unwrap().surprises.push(text);
    }

    fn sign_in(&self, mut random: StdRng) {
        while self.goes_on() {
            if self.login(random.random_range(0..=ROOT)).is_none() {
                return;
            }
        }
    }

    fn login(&self, who: u32) -> Option<Login> {
        let (target, body) = match who {
            ROOT => (ADMIN, r#"{"username":"admin","password":"Admin123!"}"#.to_owned()),
            _ => (
                CUSTOMER,
                format!("{{\"username\":\"customer{who}@example.com\",\"password\":\"Passw0rd!alice\"}}"),
            ),
        };
        let from = self.tick();
        let answer = self.ask(&request("POST", target, &[JSON], body.as_bytes()))?;
        let _ = self.logged_in.send(());
        let span = (from, self.tick());
        let Ok(token) = serde_json::from_slice(&answer.body) else {
            self.surprise(format!("login of {who}: {} {}", answer.status(), answer.text()));
            return None;
        };
        let login = Login { who, token, request_id: request_id(&answer), span };
        self.seen.lock().unwrap().logins.push(login.clone());
        Some(login)
    }

    /// A login before anything else, for the first revocation not to wait for one.
    pub(crate) fn begin(&self) {
        if !dies_of_a_login(self.round) {
            self.login(0);
        }
    }

    /// Ends the tokens of half of the customers.
    fn revoke(&self, mut random: StdRng) {
        let mut first = self.seen.lock().unwrap().logins.first().cloned();
        while self.goes_on() {
            let login = first.take().or_else(|| self.login(random.random_range(0..CUSTOMERS / 2)));
            let Some(Login { who, token, .. }) = login else { return };
            let bearer = format!("Bearer {token}");
            let from = self.tick();
            let answer = self.ask(&request("POST", REVOKE, &[("Authorization", &bearer)], b""));
            let request_id = answer.as_ref().map(request_id);
            let span = (from, answer.as_ref().map(|_| self.tick()));
            if answer.is_some_and(|answer| answer.status() != 200) {
                self.surprise(format!("a revocation of {who} is refused"));
            }
            self.seen.lock().unwrap().revocations.push(Revocation { who, span, request_id });
        }
    }

    fn shake_hands(&self, parties: &[Party]) {
        for party in parties {
            let mut party = party.clone();
            if self.goes_on() {
                party.request = self.leg(&party, REQUEST, None);
                if let Leg::Answered((token, secret), _) = &party.request {
                    party.access = self.leg(&party, ACCESS, Some((token, secret)));
                }
            }
            self.seen.lock().unwrap().parties.push(party);
        }
    }

    fn leg(&self, party: &Party, target: &str, token: Option<(&str, &str)>) -> Leg {
        let verifier = token.map(|_| party.verifier.as_str());
        let signature = Signature { key: &party.key, secret: &party.secret, token, verifier };
        let nonce = format!("{}-{}", self.round, self.tick());
        let Some(answer) = self.ask(&signed(self.proxy, target, signature, (now(), &nonce))) else {
            return Leg::NoAnswer;
        };
        let text = answer.text();
        let fields = text.split_once('&').filter(|_| answer.status() == 200);
        let Some((token, secret)) = fields else {
            self.surprise(format!("{target}: {} {text}", answer.status()));
            return Leg::Refused;
        };
        let value = |field: &str| field.split_once('=').unwrap().1.to_owned();
        Leg::Answered((value(token), value(secret)), request_id(&answer))
    }

    /// Makes, activates, rotates and deletes an integration with one command after another.
    fn command(&self) {
        for number in 0.. {
            let name = format!("command{}-{number}", self.round);
            let mut told = Command { name: name.clone(), is_there: Some(false), token: None };
            for (arguments, is_there) in [
                (&["create", "--name", &name, "--resource", "Magento_Backend::store"][..], true),
                (&["activate", &name], true),
                (&["rotate", &name, "--token", "--overlap", "1h"], true),
                (&["rotate", &name, "--secret"], true),
                (&["rotate", &name, "--token", "--overlap", "0s"], true),
                (&["delete", &name, "--yes"], false),
            ] {
                if !self.goes_on() {
                    break;
                }
                if !self.run_command(arguments, is_there, &mut told) {
                    break;
                }
            }
            self.seen.lock().unwrap().commands.push(told);
            if !self.goes_on() {
                return;
            }
        }
    }

    /// Says whether the command came to its end; in every other round it is killed with the gate.
    fn run_command(&self, arguments: &[&str], is_there: bool, told: &mut Command) -> bool {
        let before = told.clone();
        (told.is_there, told.token) = (None, None);
        if before.is_there == Some(is_there) {
            told.is_there = before.is_there;
        }
        let mut command = process::Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.arg("integration").args(arguments).arg("--config").arg(self.config);
        if is_there {
            command.arg("--json");
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let dies = self.round.is_multiple_of(2);
        while child.try_wait().unwrap().is_none() {
            if dies && !self.goes_on() {
                child.kill().unwrap();
            }
            thread::sleep(Duration::from_millis(1));
        }
        let output = child.wait_with_output().unwrap();
        if !output.status.success() {
            if output.status.code().is_some() {
                let text = String::from_utf8_lossy(&output.stderr).into_owned();
                self.surprise(format!("{arguments:?}: {text}"));
            }
            return false;
        }
        told.is_there = Some(is_there);
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        told.token = answer["access_token"].as_str().map(str::to_owned);
        if arguments.contains(&"--secret") {
            told.token = before.token;
        }
        true
    }
}

/// The status of an answer that says something: on a busy machine a look-up may take too long, and 503 is no verdict.
fn status_when_told(gate: &Process, request: &[u8]) -> u16 {
    for _ in 0..20 {
        let status = try_exchange(gate.proxy, request).unwrap().status();
        if status != 503 {
            return status;
        }
        thread::sleep(Duration::from_millis(250));
    }
    503
}

/// What holds of a round's tokens behind the next start: those that were revoked are dead, those that were not are alive,
/// and what a third party had got goes on.
pub(crate) fn problems_after_restart(gate: &Process, seen: &Seen) -> Vec<String> {
    let mut problems = Vec::new();
    for login in &seen.logins {
        let of_user = || seen.revocations.iter().filter(|revocation| revocation.who == login.who);
        let is_dead =
            of_user().any(|revocation| revocation.span.0 > login.span.1 && revocation.span.1.is_some());
        let is_alive = of_user().all(|revocation| revocation.span.1.is_some_and(|end| end < login.span.0));
        let target = if login.who == ROOT { WEBSITES } else { ME };
        let bearer = format!("Bearer {}", login.token);
        let status = status_when_told(gate, &request("GET", target, &[("Authorization", &bearer)], b""));
        if is_dead && status != 401 || is_alive && status != 200 {
            problems
                .push(format!("{login:?} gets {status}; revocations: {:?}", of_user().collect::<Vec<_>>()));
        }
    }
    for party in &seen.parties {
        let Party { key, secret, .. } = party;
        for (leg, is_access) in [(&party.request, false), (&party.access, true)] {
            let Leg::Answered((token, token_secret), request_id) = leg else { continue };
            let token = Some((token.as_str(), token_secret.as_str()));
            let is_expected = is_access || matches!(party.access, Leg::NotTried);
            if !is_expected {
                continue;
            }
            let verifier = (!is_access).then_some(party.verifier.as_str());
            let signature = Signature { key, secret, token, verifier };
            let target = if is_access { WEBSITES } else { ACCESS };
            let sent = signed(gate.proxy, target, signature, (now(), request_id));
            let answer = try_exchange(gate.proxy, &sent).unwrap();
            if answer.status() != 200 {
                problems.push(format!("{target} of {party:?}: {} {}", answer.status(), answer.text()));
            }
        }
    }
    problems
}

fn request_id(answer: &Message) -> String {
    answer.header("x-request-id").unwrap_or_default()
}
