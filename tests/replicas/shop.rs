//! A database with callers, a configuration, replicas of the binary over both, and an upstream that says whom it saw.

use std::{
    io::{BufReader, Write as _},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use portcullis::clock::Clock;
use sqlx::AssertSqlSafe;
use tempfile::TempDir;

use crate::support::{
    gate::Setup,
    process::{Ended, Process, run},
    servers::{mariadb::MariaDb, rows},
    signing::Credentials,
    upstream::Upstream,
    wire::{Client, Message, exchange, read_message, request},
};

/// Needs `Magento_Backend::admin`.
pub(crate) const PROTECTED: &str = "/rest/V1/modules";
/// A route of the customer's own.
pub(crate) const SELF: &str = "/rest/V1/customers/me";
/// Open to everybody.
pub(crate) const ANONYMOUS: &str = "/rest/V1/directory/currency";

/// Customers with tokens; the token of a number belongs to customer [`FIRST`] + number modulo this.
pub(crate) const CUSTOMERS: usize = 50;
/// The id of the first of them.
const FIRST: usize = 1000;

/// Recovery is promised within this time of a server's return.
pub(crate) const RECOVERY: Duration = Duration::from_secs(5);

/// What a promised time may take longer before a test fails: debug builds on two busy cores stall for a second and more.
pub(crate) const SLACK: Duration = Duration::from_secs(2);

/// A configuration over a database of its own, and what stands behind it.
pub(crate) struct Shop {
    folder: TempDir,
    pub(crate) config: PathBuf,
    _upstream: Upstream,
    /// Requests that reached the upstream.
    pub(crate) served: Arc<AtomicUsize>,
}

impl Shop {
    /// Over the database of a URL, with these sections more.
    pub(crate) fn over(url: &str, sections: &[(&'static str, &str)]) -> Self {
        let served = Arc::new(AtomicUsize::new(0));
        let (folder, upstream) = (tempfile::tempdir().unwrap(), echo(&served));
        let store = format!("url = \"{url}\"\nattached = false");
        let setup = Setup::before(upstream.address)
            .with("log", "level = \"info\"")
            .with("magento", "integration_as_bearer = true")
            .with("store", &store);
        let setup = sections.iter().fold(setup, |setup, (name, lines)| setup.with(name, lines));
        let config = setup.write(folder.path());
        Self { folder, config, _upstream: upstream, served }
    }

    /// Makes the tables and fills them: the recorded rows, and customers with so many tokens.
    pub(crate) fn fill(&self, server: &MariaDb, database: &str, tokens: usize) {
        self.says(&["migrate"]);
        on_a_runtime(async || {
            let mut connection = server.connect(Some(database)).await;
            for table in ["store", "store_group", "store_website"] {
                let empty = format!("DELETE FROM {table}");
                sqlx::raw_sql(AssertSqlSafe(empty)).execute(&mut connection).await.unwrap();
            }
            rows::load_mysql(&mut connection, "", "fixture.json").await;
        });
        let last = tokens.max(1) - 1;
        sql(
            server,
            database,
            &format!(
                "INSERT INTO customer_entity (entity_id, website_id, email, group_id, store_id, is_active)
                SELECT {FIRST} + seq, 1, CONCAT('c', seq, '@example.com'), 1, 1, 1 FROM seq_0_to_{};
                INSERT INTO oauth_token (customer_id, type, token, secret, callback_url, user_type, created_at)
                SELECT {FIRST} + seq % {CUSTOMERS}, 'access', CONCAT('customer', LPAD(seq, 24, '0')), '', '', 3,
                    UTC_TIMESTAMP() FROM seq_0_to_{last}",
                CUSTOMERS - 1
            ),
        );
    }

    /// Starts a replica.
    pub(crate) fn serve(&self) -> Process {
        Process::serve(&self.config)
    }

    /// Runs a command.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        run(&[arguments, &["--config", self.config.to_str().unwrap()]].concat())
    }

    /// The output of a command that succeeds.
    pub(crate) fn says(&self, arguments: &[&str]) -> String {
        let ended = self.run(arguments);
        assert_eq!(ended.code, Some(0), "{arguments:?} in {}: {ended:?}", self.folder.path().display());
        ended.stdout
    }
}

/// An upstream that answers with the kind and the id of the caller that it was told of, and counts requests.
fn echo(served: &Arc<AtomicUsize>) -> Upstream {
    let served = Arc::clone(served);
    Upstream::raw(move |socket| {
        socket.set_nodelay(true).unwrap();
        let mut writer = socket.try_clone().unwrap();
        let mut reader = BufReader::new(socket);
        while let Ok(Some(request)) = read_message(&mut reader, false) {
            served.fetch_add(1, Ordering::SeqCst);
            let of = |name: &str| request.header(name).unwrap_or_default();
            let body = format!("{} {}", of("x-auth-user-type"), of("x-auth-user-id"));
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            if writer.write_all(head.as_bytes()).is_err() {
                return;
            }
        }
    })
}

/// Runs statements on a database, beside the gates.
pub(crate) fn sql(server: &MariaDb, database: &str, statements: &str) {
    on_a_runtime(async || {
        let mut connection = server.connect(Some(database)).await;
        // In one transaction: a row by itself is a write to the disk.
        let all = format!("START TRANSACTION; {statements}; COMMIT");
        sqlx::raw_sql(AssertSqlSafe(all)).execute(&mut connection).await.unwrap();
    });
}

/// One number that a query finds.
pub(crate) fn number(server: &MariaDb, database: &str, query: &str) -> i64 {
    on_a_runtime(async || {
        let mut connection = server.connect(Some(database)).await;
        sqlx::query_scalar(AssertSqlSafe(query.to_owned())).fetch_one(&mut connection).await.unwrap()
    })
}

/// An empty database, by its name.
pub(crate) fn new_database(server: &MariaDb) -> String {
    on_a_runtime(async || server.new_database().await)
}

fn on_a_runtime<Done>(work: impl AsyncFnOnce() -> Done) -> Done {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work())
}

/// The token of a number.
pub(crate) fn numbered(number: usize) -> String {
    format!("customer{number:024}")
}

/// What the upstream answers to the token of a number.
pub(crate) fn owner(number: usize) -> String {
    format!("customer {}", FIRST + number % CUSTOMERS)
}

/// A request with a bearer.
pub(crate) fn by_bearer(target: &str, token: &str) -> Vec<u8> {
    request("GET", target, &[("Authorization", &format!("Bearer {token}"))], b"")
}

/// The answer to a request with a bearer.
pub(crate) fn ask(gate: &Process, target: &str, token: &str) -> Message {
    exchange(gate.proxy, &by_bearer(target, token))
}

/// The answer on a connection that is kept.
pub(crate) fn ask_on(client: &mut Client, target: &str, token: &str) -> Message {
    client.send(&by_bearer(target, token));
    client.receive().expect("the gate answers")
}

/// A nonce that nobody used.
pub(crate) fn nonce() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("nonce-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A request that is signed now, as it goes over the wire.
pub(crate) fn signed() -> Vec<u8> {
    let now = Clock::system().now().seconds();
    let authorization = Credentials::full().authorization(PROTECTED, now, &nonce());
    request("GET", PROTECTED, &[("Authorization", &authorization)], b"")
}

/// A page of the operator's listener.
pub(crate) fn page(admin: SocketAddr, path: &str) -> Message {
    exchange(admin, &request("GET", path, &[], b""))
}

/// A figure, 0 where it was never counted.
pub(crate) fn figure(gate: &Process, name: &str) -> f64 {
    let page = page(gate.admin, "/metrics").text();
    let line =
        page.lines().find_map(|line| line.strip_prefix("portcullis_")?.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().unwrap())
}

/// Waits for something that is promised within a time, and says how long it took.
pub(crate) fn within(promise: Duration, what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < promise, "not within {promise:?}: {what}");
        thread::sleep(Duration::from_millis(5));
    }
    began.elapsed()
}

/// Waits until somebody listens.
pub(crate) fn until_listening(port: u16) {
    within(Duration::from_secs(60), "it listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
}

/// Prints how measured times lie.
pub(crate) fn print_times(what: &str, times: &mut [Duration]) {
    times.sort();
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)];
    println!(
        "{what}: p50 {:?}, p99 {:?}, longest {:?} of {}",
        at(50),
        at(99),
        times[times.len() - 1],
        times.len()
    );
}
