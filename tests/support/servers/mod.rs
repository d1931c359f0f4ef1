//! Servers of a test's own: on a free port, in a folder that goes with them, beside any service of the machine.
//!
//! A server is kept by a small shell that waits for the end of its standard input. That end comes when the server is dropped, and
//! also when the test binary ends in any other way, so that a server may stand in a `static` and outlives nobody.

pub(crate) mod mariadb;
pub(crate) mod postgres;
pub(crate) mod redis;
pub(crate) mod rows;

use std::{
    io::Write as _,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// Starts what follows the signal and the folder and does what its input says, line by line: sends a signal, or starts the server
/// again after its end. At the end of the input it ends the server by its id and removes the folder.
const KEEPER: &str = r#"
    signal=$1 folder=$2; shift 2
    trap '' INT TERM HUP
    start() {
        "$@" </dev/null >>"$folder/log" 2>&1 &
        server=$!
    }
    start "$@"
    while read -r word; do
        case $word in
            start) wait "$server"; start "$@" ;;
            *) kill -s "$word" "$server" ;;
        esac
    done
    kill -s "$signal" "$server" 2>/dev/null
    wait "$server"
    rm -rf "$folder"
"#;
/// A server that takes longer to begin does not work.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process in a folder of its own.
struct Kept {
    keeper: Child,
    folder: std::path::PathBuf,
}

impl Kept {
    /// Runs a server that ends by this signal; the folder becomes the server's.
    fn start(signal: &str, folder: TempDir, server: &[String]) -> Self {
        let folder = folder.keep();
        let mut command = Command::new("sh");
        command.args(["-c", KEEPER, "keeper", signal]).arg(&folder).args(server);
        let quiet = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let keeper = quiet.spawn().unwrap();
        Self { keeper, folder }
    }

    /// Sends the server a signal, by its name without SIG; `start` starts it again once it has ended.
    fn tell(&self, word: &str) {
        let mut input = self.keeper.stdin.as_ref().unwrap();
        writeln!(input, "{word}").unwrap();
    }

    /// Waits until the server answers.
    async fn wait_until<Answer, E>(&self, asked: impl AsyncFn() -> Result<Answer, E>) -> Answer {
        let began = Instant::now();
        loop {
            if let Ok(answer) = asked().await {
                return answer;
            }
            if began.elapsed() > PATIENCE {
                let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                panic!("the server does not answer: {log}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// Runs something on a runtime of its own, whatever runtime the caller is on.
fn block_on(work: impl AsyncFnOnce() + Send) {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(work());
        });
        thread.join().unwrap();
    });
}

/// A port that nobody listens on.
fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// Runs a command to its end, which must be a good one.
fn must(command: &mut Command) -> String {
    let what = format!("{command:?}");
    let Output { status, stdout, stderr } =
        command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(status.success(), "{what}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

/// Who runs the tests.
fn user_name() -> String {
    must(Command::new("id").arg("-un")).trim().to_owned()
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}
