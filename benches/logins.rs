//! What guessing passwords does to everybody else: cached bearer traffic before and during an attack on the token endpoint.
//!
//! The real binary serves on loopback; this process is its clients and its upstream. Every round measures the same four
//! connections quiet and then while the attempts run, each attempt with a name of its own, so that no lock by name spares
//! a hash. Times are printed and never judged; judged is that nothing is answered wrongly and that memory stays within
//! `quiet + workers x 64 MiB + 50 MiB`. Options, behind `--`: `--rounds N`, `--workers N`, `--binary FILE`.

#![expect(clippy::print_stdout, reason = "the figures are what it is for")]
#![expect(clippy::indexing_slicing, reason = "a round without a figure is to end the run")]

mod support;

use std::{
    collections::BTreeMap,
    fs,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use portcullis::{clock::Clock, service::passwords::PasswordSettings, store::sql::SqlStore};
use support::{callers, requests::Caller};

const CONNECTIONS: u32 = 4;
/// Between two requests of a connection: a thousand a second by all of them.
const PACE: Duration = Duration::from_millis(4);
const QUIET: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(60);
const MIB: u64 = 1024 * 1024;
const HASH: u64 = 64 * MIB;
const SLACK: u64 = 50 * MIB;

/// A way to attack.
struct Scenario {
    name: &'static str,
    attempts: u32,
    /// Attempts that come from one address.
    from_one: u32,
    tokens: &'static str,
    /// What an attempt may be answered.
    answers: &'static [u16],
}

const SCENARIOS: [Scenario; 3] = [
    Scenario {
        name: "200 from one address",
        attempts: 200,
        from_one: 200,
        tokens: "address_rate = 30\naddress_burst = 30",
        answers: &[401, 429, 503],
    },
    Scenario {
        name: "200 from one address, no `address_rate`",
        attempts: 200,
        from_one: 200,
        tokens: "address_rate = 0",
        answers: &[401, 503],
    },
    Scenario { name: "50 from 50 addresses", attempts: 50, from_one: 1, tokens: "", answers: &[401, 503] },
];

struct Options {
    rounds: u32,
    workers: usize,
    binary: PathBuf,
}

fn main() {
    let options = Options::read();
    println!(
        "| {} password workers | quiet p50 / p99 | attacked p50 / p99 | ratio of p99, spread | attack | answers | memory, bound |",
        options.workers
    );
    println!("|---|---|---|---|---|---|---|");
    for scenario in &SCENARIOS {
        println!("{}", scenario.run(&options));
    }
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("\n{} rounds, load average {}", options.rounds, load.split(' ').next().unwrap_or_default());
}

impl Options {
    fn read() -> Self {
        let arguments: Vec<String> = std::env::args().collect();
        let value = |name: &str| {
            let at = arguments.iter().position(|argument| argument == name)?;
            Some(arguments.get(at + 1).expect("an option has a value").clone())
        };
        let number = |text: String| text.parse::<u32>().expect("it is a number");
        Self {
            rounds: value("--rounds").map_or(5, number).max(1),
            workers: value("--workers")
                .map_or_else(|| PasswordSettings::default().workers, |text| number(text) as usize),
            binary: value("--binary").map_or_else(|| env!("CARGO_BIN_EXE_portcullis").into(), PathBuf::from),
        }
    }
}

/// What one round showed.
struct Round {
    quiet: [Duration; 2],
    attacked: [Duration; 2],
    lasted: Duration,
}

impl Scenario {
    /// Runs its rounds on a gate of its own and returns their row.
    fn run(&self, options: &Options) -> String {
        let folder = tempfile::tempdir().expect("there is room for a store");
        let gate = Gate::start(folder.path(), self, options);
        let is_over = AtomicBool::new(false);
        let mut statuses = BTreeMap::<u16, u32>::new();
        thread::scope(|scope| {
            let traffic: Vec<_> =
                (0..CONNECTIONS).map(|_| scope.spawn(|| keep_asking(gate.proxy, &is_over))).collect();
            thread::sleep(QUIET);
            let quiet_memory = gate.memory("VmRSS");
            let windows: Vec<_> = (0..options.rounds)
                .map(|round| {
                    let quiet = Instant::now();
                    thread::sleep(QUIET);
                    let attacked = Instant::now();
                    for status in self.attack(gate.proxy, round) {
                        *statuses.entry(status).or_default() += 1;
                    }
                    let window = (quiet, attacked, Instant::now());
                    thread::sleep(Duration::from_millis(500));
                    window
                })
                .collect();
            is_over.store(true, Ordering::SeqCst);
            let asked: Vec<Asked> =
                traffic.into_iter().flat_map(|thread| thread.join().expect("it is answered")).collect();
            let rounds: Vec<Round> = windows.iter().map(|window| Round::of(&asked, *window)).collect();
            let wrong: Vec<_> = statuses.keys().filter(|status| !self.answers.contains(status)).collect();
            assert!(wrong.is_empty(), "{}: attempts are answered {wrong:?}", self.name);
            let bound = quiet_memory + options.workers as u64 * HASH + SLACK;
            let peak = gate.memory("VmHWM");
            assert!(peak <= bound, "{}: {} MiB, bound {} MiB", self.name, peak / MIB, bound / MIB);
            self.row(&rounds, &statuses, [peak, bound])
        })
    }

    /// All attempts at once, each on a connection that stands already; what they are answered.
    fn attack(&self, proxy: SocketAddr, round: u32) -> Vec<u16> {
        let start = Barrier::new(self.attempts as usize);
        thread::scope(|scope| {
            let attempts: Vec<_> = (0..self.attempts)
                .map(|number| {
                    let start = &start;
                    // Addresses that no earlier round has used up.
                    let address = Ipv4Addr::from_bits(0x0a00_0000 + (round << 12) + number / self.from_one);
                    let attempt = attempt(&format!("nobody{round}-{number}@example.com"), address);
                    scope.spawn(move || {
                        let mut connection = connect(proxy);
                        start.wait();
                        ask(&mut connection, attempt.as_bytes())
                    })
                })
                .collect();
            attempts.into_iter().map(|attempt| attempt.join().expect("it is answered")).collect()
        })
    }

    fn row(&self, rounds: &[Round], statuses: &BTreeMap<u16, u32>, memory: [u64; 2]) -> String {
        let milliseconds = |of: &dyn Fn(&Round) -> Duration| {
            median(rounds.iter().map(|round| of(round).as_secs_f64() * 1e3).collect())
        };
        let ratio = |round: &Round| round.attacked[1].as_secs_f64() / round.quiet[1].as_secs_f64();
        let ratios: Vec<f64> = rounds.iter().map(ratio).collect();
        let [least, most] = [f64::min, f64::max].map(|pick| ratios.iter().copied().reduce(pick));
        let answers: Vec<_> = statuses.iter().map(|(status, count)| format!("{count} x {status}")).collect();
        format!(
            "| {} | {:.2} / {:.2} ms | {:.2} / {:.2} ms | {:.2} ({:.2}-{:.2}) | {:.1} s | {} | {} MiB, {} MiB |",
            self.name,
            milliseconds(&|round| round.quiet[0]),
            milliseconds(&|round| round.quiet[1]),
            milliseconds(&|round| round.attacked[0]),
            milliseconds(&|round| round.attacked[1]),
            median(ratios),
            least.unwrap_or_default(),
            most.unwrap_or_default(),
            milliseconds(&|round| round.lasted) / 1e3,
            answers.join(", "),
            memory[0] / MIB,
            memory[1] / MIB,
        )
    }
}

impl Round {
    fn of(asked: &[Asked], (quiet, attacked, end): (Instant, Instant, Instant)) -> Self {
        let between = |from: Instant, to: Instant| {
            let within = asked.iter().filter(|each| (from..to).contains(&each.due));
            let mut times: Vec<Duration> = within.map(|each| each.took).collect();
            times.sort_unstable();
            [50, 99].map(|percent| times[(times.len() * percent / 100).min(times.len() - 1)])
        };
        Self { quiet: between(quiet, attacked), attacked: between(attacked, end), lasted: end - attacked }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A request of the bearer traffic.
struct Asked {
    due: Instant,
    took: Duration,
}

/// One connection's traffic at an even pace. A request that comes late because the one before it took long counts from
/// when it was due; the wait that this process adds by waking late does not count.
fn keep_asking(proxy: SocketAddr, is_over: &AtomicBool) -> Vec<Asked> {
    let head = Caller::Bearer.head(Clock::system().now()).text();
    let mut connection = connect(proxy);
    let (mut asked, mut due) = (Vec::new(), Instant::now());
    while !is_over.load(Ordering::Relaxed) {
        due += PACE;
        let early = due.saturating_duration_since(Instant::now());
        thread::sleep(early);
        let from = if early.is_zero() { due } else { Instant::now() };
        assert_eq!(ask(&mut connection, head.as_bytes()), 200, "a cached bearer is served");
        asked.push(Asked { due, took: from.elapsed() });
    }
    asked
}

fn attempt(name: &str, address: Ipv4Addr) -> String {
    let body = format!("{{\"username\":\"{name}\",\"password\":\"guess\"}}");
    format!(
        "POST /rest/V1/integration/customer/token HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-For: {address}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn connect(address: SocketAddr) -> BufReader<TcpStream> {
    let socket = TcpStream::connect(address).expect("the gate listens");
    socket.set_nodelay(true).expect("a socket has the option");
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket has the option");
    BufReader::new(socket)
}

/// The status of the answer, which is read to its end.
fn ask(connection: &mut BufReader<TcpStream>, request: &[u8]) -> u16 {
    connection.get_mut().write_all(request).expect("the gate reads");
    let head = head(connection).expect("the gate answers");
    let length = field(&head, "content-length").parse().expect("an answer has a length");
    connection.read_exact(&mut vec![0; length]).expect("the answer is whole");
    head.get(9..12).and_then(|status| status.parse().ok()).unwrap_or_default()
}

/// A message up to the empty line; empty at the end of the connection.
fn head(connection: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut head = String::new();
    while connection.read_line(&mut head)? > 2 {}
    Ok(head)
}

fn field<'a>(head: &'a str, name: &str) -> &'a str {
    let fields = head.lines().filter_map(|line| line.split_once(": "));
    fields
        .filter(|(given, _)| given.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
        .next()
        .unwrap_or_default()
}

/// Answers everything with a small JSON object, as long as this process lives.
fn upstream() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut connection = BufReader::new(socket);
                let answer =
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
                while head(&mut connection).is_ok_and(|head| !head.is_empty())
                    && connection.get_mut().write_all(answer).is_ok()
                {}
            });
        }
    });
    address
}

/// The binary, serving; killed when dropped.
struct Gate {
    child: Child,
    proxy: SocketAddr,
}

impl Gate {
    fn start(folder: &Path, scenario: &Scenario, options: &Options) -> Self {
        let config = stage(folder, scenario, options);
        let mut command = Command::new(&options.binary);
        command.args(["serve", "--config"]).arg(config).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let (found, proxy) = mpsc::channel();
        let events = BufReader::new(child.stderr.take().expect("it is piped"));
        thread::spawn(move || {
            for line in events.lines().map_while(Result::ok) {
                let event: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
                if event["message"] == "serving" {
                    let _ = found.send(event["proxy"].as_str().and_then(|proxy| proxy.parse().ok()));
                }
            }
        });
        let proxy = proxy.recv_timeout(PATIENCE).ok().flatten();
        Self { child, proxy: proxy.expect("the binary serves") }
    }

    /// A figure of `/proc/PID/status`, in bytes.
    fn memory(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("the process runs, on Linux");
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the kernel tells it");
        let kib: u64 =
            line.trim_matches(|each: char| !each.is_ascii_digit()).parse().expect("it is a number");
        kib * 1024
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes a seeded store and a configuration with the defaults, but for what the scenario says and no access log.
fn stage(folder: &Path, scenario: &Scenario, options: &Options) -> PathBuf {
    let url = format!("sqlite://{}", folder.join("portcullis.db").display());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime starts").block_on(async {
        SqlStore::migrate(&url).await.expect("the store is created");
        let store = SqlStore::open(&url).await.expect("the store opens");
        callers::seed(&store, Clock::system().now()).await;
        store.close().await;
    });
    let (upstream, crypt_key) = (upstream(), callers::CRYPT_KEY);
    let (workers, tokens) = (options.workers, scenario.tokens);
    let text = format!(
        r#"
        [listen]
        proxy = "127.0.0.1:0"
        admin = "127.0.0.1:0"
        trusted_proxies = ["127.0.0.1"]
        [upstream]
        url = "http://{upstream}"
        [store]
        url = "sqlite://portcullis.db"
        [magento]
        crypt_key = "{crypt_key}"
        [acl]
        tree = "acl.json"
        routes = "webapi_routes.json"
        [tokens]
        password_workers = {workers}
        {tokens}
        [log]
        access = "off"
        "#
    );
    let config = folder.join("portcullis.toml");
    let files = [("acl.json", callers::TREE), ("webapi_routes.json", callers::ROUTES)];
    for (name, text) in files.into_iter().chain([("portcullis.toml", text.as_str())]) {
        fs::write(folder.join(name), text).expect("the folder can be written");
    }
    config
}
