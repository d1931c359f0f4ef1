//! The life of the real binary: asked how it is, told to stop, its log turned up and down.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on must stop"
)]

mod support;

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    os::{fd::OwnedFd, unix::net::UnixDatagram},
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use support::{
    gate::Setup,
    process::{self, Process, free},
    upstream::Upstream,
    waiting::until,
    wire::{Client, exchange, request, try_exchange},
};

const CLOSING: (&str, &str) = ("Connection", "close");

fn setup(upstream: &Upstream) -> Setup {
    Setup::before(upstream.address).with("log", "level = \"info\"")
}

fn get(target: &str) -> Vec<u8> {
    request("GET", target, &[CLOSING], b"")
}

fn page(process: &Process, target: &str) -> u16 {
    exchange(process.admin, &get(target)).status()
}

/// Clients that ask on a connection each, until they are told to stop or `goes_on` says so.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: Vec<thread::JoinHandle<Vec<String>>>,
}

impl Load {
    fn on(proxy: SocketAddr, goes_on: impl Fn() -> bool + Clone + Send + 'static) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let client = || {
            let (stop, answered, goes_on) = (Arc::clone(&stop), Arc::clone(&answered), goes_on.clone());
            thread::spawn(move || {
                let asks = || !stop.load(Ordering::SeqCst) && goes_on();
                let outcomes = std::iter::from_fn(|| asks().then(|| ask(proxy, &answered)));
                outcomes.filter_map(Result::err).collect()
            })
        };
        let clients = (0..4).map(|_| client()).collect();
        Self { stop, answered, clients }
    }

    fn answered(&self) -> usize {
        self.answered.load(Ordering::SeqCst)
    }

    /// What was lost, of everything.
    fn end(self) -> Vec<String> {
        self.stop.store(true, Ordering::SeqCst);
        self.clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    }
}

/// One request on a connection of its own; what came of it where that is no answer.
fn ask(proxy: SocketAddr, answered: &AtomicUsize) -> Result<(), String> {
    let answer = try_exchange(proxy, &get("/media/picture.png")).map_err(|error| error.to_string())?;
    if answer.status() != 200 {
        return Err(answer.status().to_string());
    }
    answered.fetch_add(1, Ordering::SeqCst);
    Ok(())
}

#[test]
fn a_balancer_that_asks_for_readiness_loses_nothing() {
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    let config = setup(&upstream).with("listen", "drain_delay = \"3s\"").prepare(folder.path());
    let process = Process::serve(&config);
    let (proxy, admin) = (process.proxy, process.admin);
    let is_ready = move || exchange(admin, &get("/readyz")).status() == 200;
    assert!(is_ready());
    let load = Load::on(proxy, is_ready);
    until("load", || load.answered() > 20);
    let mut idle = Client::connect(proxy);
    idle.send(&request("GET", "/one", &[], b""));
    assert_eq!(idle.receive().unwrap().status(), 200);

    process.terminate();
    until("not ready", || !is_ready());
    assert_eq!(exchange(proxy, &get("/late")).status(), 200, "who has not noticed is still served");
    idle.send(&request("GET", "/two", &[], b""));
    assert_eq!(idle.receive().unwrap().status(), 200, "on a connection that was there, too");
    assert_eq!(load.end(), Vec::<String>::new());
    assert_eq!((page(&process, "/healthz"), page(&process, "/startupz")), (200, 200));
    assert!(idle.closes_within(Duration::from_secs(10)));
    let ended = process.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[test]
fn a_second_sigterm_ends_the_delay() {
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    let plain = setup(&upstream);
    let process = Process::serve(&plain.prepare(folder.path()));
    // The delay is taken up by a reload.
    plain.with("listen", "drain_delay = \"5m\"").write(folder.path());
    process.hang_up();
    until("taken up", || has_taken_up(&process, 1));
    process.terminate();
    until("not ready", || page(&process, "/readyz") == 503);
    assert_eq!(exchange(process.proxy, &get("/late")).status(), 200);
    process.terminate();
    let began = Instant::now();
    assert_eq!(process.wait().code, Some(0));
    assert!(began.elapsed() < Duration::from_secs(60));
}

fn has_taken_up(process: &Process, number: usize) -> bool {
    let line = format!("portcullis_config_reloads_total{{result=\"taken_up\"}} {number}\n");
    exchange(process.admin, &get("/metrics")).text().contains(&line)
}

#[test]
fn the_level_of_the_log_changes_while_it_serves() {
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    let by_signal = || setup(&upstream).with("reload", "watch = false");
    let process = Process::serve(&by_signal().prepare(folder.path()));
    for (number, level) in [(1, "warn"), (2, "info"), (3, "error")] {
        by_signal().with("log", &format!("level = \"{level}\"")).write(folder.path());
        process.hang_up();
        until("taken up", || has_taken_up(&process, number));
    }
    process.terminate();
    let ended = process.wait();
    assert_eq!(ended.code, Some(0));
    assert_eq!(ended.stderr.matches("configuration taken up").count(), 1, "{}", ended.stderr);
    assert!(!ended.stderr.contains("stopped"), "{}", ended.stderr);
}

fn health(config: &Path, flags: &[&str]) -> (Option<i32>, String) {
    let ended = process::run(&[&["health", "--config", config.to_str().unwrap()], flags].concat());
    assert!(ended.stdout.is_empty() || ended.stderr.is_empty());
    (ended.code, ended.stdout + &ended.stderr)
}

#[test]
fn health_is_an_exit_code_and_a_line() {
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    let lines = format!("admin = \"{}\"\ndrain_delay = \"1m\"", free());
    let config = setup(&upstream).with("listen", &lines).prepare(folder.path());
    for flags in [&[][..], &["--ready"]] {
        let (code, said) = health(&config, flags);
        assert_eq!((code, said.lines().count()), (Some(1), 1), "nobody is there: {said}");
    }
    let process = Process::serve(&config);
    assert_eq!(health(&config, &[]), (Some(0), "ok\n".to_owned()));
    assert_eq!(health(&config, &["--ready"]), (Some(0), "ready\n".to_owned()));
    process.terminate();
    until("not ready", || page(&process, "/readyz") == 503);
    assert_eq!(health(&config, &[]), (Some(0), "ok\n".to_owned()));
    assert_eq!(health(&config, &["--ready"]), (Some(1), "portcullis: draining\n".to_owned()));
    process.kill();
    fs::write(&config, "[listen]\nadmin = \"nowhere\"\n[upstram]\n").unwrap();
    let (code, said) = health(&config, &[]);
    assert_eq!((code, said.lines().count()), (Some(1), 1), "{said}");
}

#[test]
fn health_believes_the_configured_certificate_alone() {
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    for name in ["own", "other"] {
        let made = rcgen::generate_simple_self_signed(["gate.test".to_owned()]).unwrap();
        fs::write(folder.path().join(format!("{name}.pem")), made.cert.pem()).unwrap();
        fs::write(folder.path().join(format!("{name}.key")), made.signing_key.serialize_pem()).unwrap();
    }
    let admin = format!("admin = \"{}\"", free());
    let with = |name: &str| {
        let lines = format!("certificate_file = \"{name}.pem\"\nkey_file = \"{name}.key\"");
        setup(&upstream).with("listen", &admin).with("listen.admin_tls", &lines)
    };
    let config = with("own").prepare(folder.path());
    let process = Process::serve(&config);
    assert_eq!(health(&config, &["--ready"]), (Some(0), "ready\n".to_owned()));
    let elsewhere = folder.path().join("elsewhere.toml");
    fs::write(&elsewhere, with("other").toml()).unwrap();
    let (code, said) = health(&elsewhere, &[]);
    assert_eq!((code, said.lines().count()), (Some(1), 1), "{said}");
    assert!(said.contains("certificate"), "{said}");
    process.kill();
}

/// What a service manager is told, message by message.
struct Manager(UnixDatagram);

impl Manager {
    /// Counts messages with this line until there is none for so long.
    fn count_until_silent_for(&self, line: &str, silence: Duration) -> usize {
        let (mut count, mut heard, mut buffer) = (0, Instant::now(), [0; 4096]);
        self.0.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        while heard.elapsed() < silence && count < 100 {
            let length = self.0.recv(&mut buffer).unwrap_or(0);
            if String::from_utf8_lossy(&buffer[..length]).lines().any(|told| told == line) {
                (count, heard) = (count + 1, Instant::now());
            }
        }
        self.0.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        count
    }

    /// The messages up to one with this line.
    fn until(&self, line: &str) -> Vec<String> {
        let (mut told, mut buffer) = (Vec::new(), [0; 4096]);
        loop {
            let length =
                self.0.recv(&mut buffer).unwrap_or_else(|error| panic!("no {line}: {error}; {told:?}"));
            let message = String::from_utf8(buffer[..length].to_vec()).unwrap();
            let is_it = message.lines().any(|told| told == line);
            told.push(message);
            if is_it {
                return told;
            }
        }
    }
}

#[test]
fn a_service_manager_is_told_of_start_reload_and_stop_and_answered() {
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    let path = folder.path().join("notify");
    let manager = Manager(UnixDatagram::bind(&path).unwrap());
    manager.0.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let config = setup(&upstream).prepare(folder.path());
    let process = Process::serve_with(&config, |mut command| {
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "1000000").env_remove("WATCHDOG_PID");
        command
    });
    assert_eq!(manager.until("READY=1").len(), 1, "nothing stands before it");
    manager.until(&format!("STATUS=serving on {}", process.proxy));
    let began = Instant::now();
    for _ in 0..4 {
        manager.until("WATCHDOG=1");
    }
    assert!(began.elapsed() > Duration::from_secs(1), "each half of the watchdog's time");
    process.hang_up();
    let told = manager.until("RELOADING=1");
    let mut lines = told.last().unwrap().lines();
    assert_eq!(lines.next(), Some("RELOADING=1"));
    let at = lines.next().and_then(|line| line.strip_prefix("MONOTONIC_USEC=")).unwrap();
    assert!(at.parse::<u64>().unwrap() > 0);
    manager.until("READY=1");
    fs::write(&config, "[").unwrap();
    process.hang_up();
    manager.until("RELOADING=1");
    manager.until("READY=1");
    process.terminate();
    manager.until("STOPPING=1");
    assert_eq!(process.wait().code, Some(0));
}

/// Holds one thread of a process in its next wait for events, until it is dropped.
struct Stuck(std::process::Child);

impl Stuck {
    fn hold(thread: u32) -> Self {
        let mut strace = Command::new("strace");
        strace.args(["-q", "-o", "/dev/null", "-e", "trace=?epoll_wait,?epoll_pwait,?epoll_pwait2"]);
        strace.args(["-e", "inject=?epoll_wait,?epoll_pwait,?epoll_pwait2:delay_enter=600000000"]);
        Self(strace.args(["-p", &thread.to_string()]).spawn().unwrap())
    }
}

impl Drop for Stuck {
    fn drop(&mut self) {
        // Detaches, and the thread goes on.
        let id = self.0.id().to_string();
        let _ = Command::new("kill").args(["-INT", &id]).status();
        let _ = self.0.wait();
    }
}

/// A worker that is held up must not hide behind the threads that turn: systemd starts such a gate anew.
#[test]
#[ignore = "needs strace; run tests/all"]
fn the_watchdog_is_not_answered_while_one_worker_is_stuck() {
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    let path = folder.path().join("notify");
    let manager = Manager(UnixDatagram::bind(&path).unwrap());
    manager.0.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let config = setup(&upstream).with("listen", "workers = 2").prepare(folder.path());
    let process = Process::serve_with(&config, |mut command| {
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "2000000").env_remove("WATCHDOG_PID");
        command
    });
    for _ in 0..3 {
        manager.until("WATCHDOG=1");
    }
    for worker in ["worker-0", "worker-1"] {
        let stuck = Stuck::hold(process.thread(worker));
        // It is missed after three seconds; until then there is an answer each second.
        let answers = manager.count_until_silent_for("WATCHDOG=1", Duration::from_secs(4));
        assert!(answers < 10, "{worker} is stuck and the watchdog is answered: {answers} times");
        assert_eq!(page(&process, "/healthz"), 200, "the rest of it lives");
        drop(stuck);
        manager.until("WATCHDOG=1");
    }
    process.terminate();
    manager.until("STOPPING=1");
    assert_eq!(process.wait().code, Some(0));
}

/// The command with the listener handed over under a name, as a socket unit does it.
fn on_socket(command: &Command, listener: &TcpListener, name: &str) -> Command {
    let script = "exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\"";
    let mut wrapped = Command::new("sh");
    wrapped.args(["-c", script, "sh"]).arg(command.get_program()).args(command.get_args());
    wrapped.stdin(Stdio::from(OwnedFd::from(listener.try_clone().unwrap()))).env("LISTEN_FDNAMES", name);
    wrapped
}

#[test]
fn a_restart_on_a_socket_that_was_handed_over_loses_nothing() {
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    let config = setup(&upstream).with("listen", "workers = 3").prepare(folder.path());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let start = || Process::serve_with(&config, |command| on_socket(&command, &listener, "proxy"));
    let mut process = start();
    assert_eq!(process.proxy, address, "not the configured one");
    let load = Load::on(address, || true);
    for _ in 0..3 {
        let before = load.answered();
        until("load", || load.answered() > before + 50);
        process.terminate();
        let ended = process.wait();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        process = start();
    }
    let before = load.answered();
    until("load", || load.answered() > before + 50);
    assert_eq!(load.end(), Vec::<String>::new());
    process.kill();
}

/// The old version and the new one on one socket: neither a refused connection nor one that waits for a start.
#[test]
fn two_versions_on_one_socket_hand_over_without_a_gap() {
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let versions = ["old", "new"].map(|name| {
        let version = setup(&upstream).with("nonces", &format!("journal = \"nonces-{name}\""));
        let path = folder.path().join(format!("{name}.toml"));
        fs::write(&path, version.toml()).unwrap();
        path
    });
    setup(&upstream).prepare(folder.path());
    let start =
        |config: &Path| Process::serve_with(config, |command| on_socket(&command, &listener, "proxy"));
    let mut serving = start(&versions[0]);
    let load = Load::on(address, || true);
    let goes_on = |count: usize| {
        let before = load.answered();
        until("load", || load.answered() > before + count);
    };
    for round in 1..=6 {
        goes_on(30);
        let next = start(&versions[round % 2]);
        goes_on(30);
        serving.terminate();
        goes_on(30);
        let ended = std::mem::replace(&mut serving, next).wait();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }
    goes_on(30);
    assert_eq!(load.end(), Vec::<String>::new());
    serving.kill();
}

/// Neither a journal nor a port has two owners: the second process says so and ends, and the first does not notice.
#[test]
fn a_second_process_is_refused_and_the_first_serves_on() {
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    let proxy = free();
    let with = |journal: &str| {
        let listen = format!("proxy = \"{proxy}\"");
        setup(&upstream).with("listen", &listen).with("nonces", &format!("journal = \"{journal}\""))
    };
    let process = Process::serve(&with("nonces").prepare(folder.path()));
    let load = Load::on(proxy, || true);
    until("load", || load.answered() > 20);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let second = folder.path().join("second.toml");
    for (journal, is_handed, reason) in
        [("nonces", true, "another process"), ("other", false, "Address already in use")]
    {
        fs::write(&second, with(journal).toml()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.args(["serve", "--config", second.to_str().unwrap()]);
        let mut command = if is_handed { on_socket(&command, &listener, "proxy") } else { command };
        let ended = command.output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(78), "{said}");
        assert!(said.contains(reason), "{said}");
    }
    let before = load.answered();
    until("load", || load.answered() > before + 20);
    assert_eq!(load.end(), Vec::<String>::new());
    process.kill();
}

#[test]
fn operators_can_be_handed_a_socket_and_strangers_cannot() {
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    let config = setup(&upstream).prepare(folder.path());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let process = Process::serve_with(&config, |command| on_socket(&command, &listener, "admin"));
    assert_eq!(process.admin, listener.local_addr().unwrap());
    assert_eq!(page(&process, "/readyz"), 200);
    process.kill();

    let anywhere = TcpListener::bind("0.0.0.0:0").unwrap();
    for (listener, name, reason) in
        [(&listener, "metrics", "LISTEN_FDNAMES"), (&anywhere, "admin", "needs TLS")]
    {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.args(["serve", "--config", config.to_str().unwrap()]);
        let ended = on_socket(&command, listener, name).output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert!(!ended.status.success() && said.contains(reason), "{name}: {said}");
    }
}
