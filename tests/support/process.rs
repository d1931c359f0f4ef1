//! The real binary: started, watched, signalled.

use std::{
    io::{BufRead as _, BufReader, Read, Seek as _, Write as _},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

const BINARY: &str = env!("CARGO_BIN_EXE_portcullis");

/// A command that ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// No command that ends by itself takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs a command to its end; one that goes on is killed and has no exit code.
pub(crate) fn run(arguments: &[&str]) -> Ended {
    end(command(arguments))
}

/// Runs a command that reads this from standard input.
pub(crate) fn run_with(arguments: &[&str], input: &str) -> Ended {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(input.as_bytes()).unwrap();
    file.rewind().unwrap();
    let mut command = command(arguments);
    command.stdin(file);
    end(command)
}

fn end(mut command: Command) -> Ended {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let stdout = Kept::keep(child.stdout.take().unwrap(), |_| {});
    let stderr = Kept::keep(child.stderr.take().unwrap(), |_| {});
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if began.elapsed() > PATIENCE {
            child.kill().unwrap();
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ended { code: child.wait().unwrap().code(), stdout: stdout.end(), stderr: stderr.end() }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    let settings = std::env::vars_os().map(|(name, _)| name);
    for name in settings.filter(|name| name.to_string_lossy().starts_with("PORTCULLIS")) {
        command.env_remove(name);
    }
    command.args(arguments);
    command
}

/// `portcullis serve`, serving.
pub(crate) struct Process {
    pub(crate) proxy: SocketAddr,
    pub(crate) admin: SocketAddr,
    child: Ending,
    stdout: Kept,
    stderr: Kept,
}

/// A child that does not outlive a test that fails.
struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    /// Starts the binary and waits until it serves. Its log must say `info` or more, as JSON.
    pub(crate) fn serve(config: &Path) -> Self {
        Self::serve_with(config, |command| command)
    }

    /// The same, by a command that wraps the one given.
    pub(crate) fn serve_with(config: &Path, wrap: impl FnOnce(Command) -> Command) -> Self {
        let mut command = wrap(command(&["serve", "--config", config.to_str().unwrap()]));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (found, addresses) = mpsc::channel();
        let stdout = Kept::keep(child.stdout.take().unwrap(), |_| {});
        let stderr = Kept::keep(child.stderr.take().unwrap(), move |line| {
            let event: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
            if event["message"] == "serving" {
                let address = |name: &str| event[name].as_str().unwrap().parse::<SocketAddr>().unwrap();
                found.send((address("proxy"), address("admin"))).unwrap();
            }
        });
        match addresses.recv_timeout(PATIENCE) {
            Ok((proxy, admin)) => Self { proxy, admin, child: Ending(child), stdout, stderr },
            Err(_) => {
                let _ = child.kill();
                panic!("the binary does not serve: {}", stderr.end());
            }
        }
    }

    /// The id of the thread of this name.
    pub(crate) fn thread(&self, name: &str) -> u32 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.0.id())).unwrap().flatten();
        let is_it =
            |path: &Path| std::fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm.trim() == name);
        let found = tasks.map(|task| task.path()).find(|path| is_it(path)).expect("the thread is there");
        found.file_name().unwrap().to_str().unwrap().parse().unwrap()
    }

    /// Its resident memory in KiB.
    pub(crate) fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// The processor time it has used, in hundredths of a second.
    pub(crate) fn cpu_ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.0.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        self.signal("-TERM");
    }

    /// Sends SIGHUP.
    pub(crate) fn hang_up(&self) {
        self.signal("-HUP");
    }

    fn signal(&self, name: &str) {
        let id = self.child.0.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    /// Sends SIGKILL and waits.
    pub(crate) fn kill(self) {
        drop(self);
    }

    /// Waits for the end after a signal.
    pub(crate) fn wait(mut self) -> Ended {
        let code = self.child.0.wait().unwrap().code();
        Ended { code, stdout: self.stdout.end(), stderr: self.stderr.end() }
    }
}

/// A port that nobody has and that the kernel gives to nobody who asks for any, so that a gate can come back to it.
pub(crate) fn free() -> SocketAddr {
    let outgoing = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let first = outgoing.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(32_768);
    let ports = std::iter::repeat_with(|| rand::random_range(10_000..first.max(10_001)));
    let mut addresses = ports.map(|port: u16| SocketAddr::from(([127, 0, 0, 1], port)));
    addresses.find(|address| std::net::TcpListener::bind(address).is_ok()).unwrap()
}

/// A stream that is read by a thread of its own.
struct Kept {
    text: Arc<Mutex<String>>,
    thread: JoinHandle<()>,
}

impl Kept {
    fn keep(stream: impl Read + Send + 'static, each: impl Fn(&str) + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let kept = Arc::clone(&text);
        let thread = thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                each(&line);
                kept.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        Self { text, thread }
    }

    fn end(self) -> String {
        self.thread.join().unwrap();
        std::mem::take(&mut *self.text.lock().unwrap())
    }
}
