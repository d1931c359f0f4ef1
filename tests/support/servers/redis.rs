//! A Redis of a test's own, on a free port, with nothing on disk; a master with sentinels, and a cluster.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use tempfile::TempDir;

use super::super::waiting::until;

const PASSWORD: &str = "correct-horse";
/// Magento's session database in the recordings.
const DATABASE: u8 = 2;

/// The fields of a hash, in order.
pub(crate) type Fields = Vec<(String, Vec<u8>)>;

/// A running server; dropping it stops that one process.
pub(crate) struct RedisServer {
    process: Child,
    address: SocketAddr,
    password: Option<&'static str>,
    arguments: Vec<String>,
    folder: TempDir,
}

impl RedisServer {
    /// Starts a server on a free port, with a password.
    pub(crate) fn start() -> Self {
        Self::start_at(free_address())
    }

    /// Starts a server at an address, with a password.
    pub(crate) fn start_at(address: SocketAddr) -> Self {
        Self::launch(address, Some(PASSWORD), &["--requirepass", PASSWORD])
    }

    /// Starts a server on a free port, without a password.
    pub(crate) fn open() -> Self {
        Self::open_with(&[])
    }

    /// Starts a server on a free port, without a password, with further arguments.
    pub(crate) fn open_with(arguments: &[&str]) -> Self {
        Self::launch(free_address(), None, arguments)
    }

    fn launch(address: SocketAddr, password: Option<&'static str>, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let process = spawn(address, &arguments, &folder);
        let server = Self { process, address, password, arguments, folder };
        server.wait();
        server
    }

    fn wait(&self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(self.address).is_err() {
            assert!(Instant::now() < deadline, "redis-server does not listen");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Stops the process without a word, as a crash would.
    pub(crate) fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Starts it again at the same address.
    pub(crate) fn restart(&mut self) {
        self.kill();
        self.process = spawn(self.address, &self.arguments, &self.folder);
        self.wait();
    }

    /// Lets it hang, with all its connections open.
    pub(crate) fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.process.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Runs a command, words apart by blanks.
    pub(crate) fn run<T: redis::FromRedisValue>(&self, words: &str) -> T {
        let mut words = words.split(' ');
        let mut command = redis::cmd(words.next().unwrap());
        for word in words {
            command.arg(word);
        }
        command.query(&mut self.connect()).unwrap()
    }

    /// The URL of its first database.
    pub(crate) fn link_url(&self) -> String {
        format!("redis://{}/0", self.address)
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of the session database.
    pub(crate) fn url(&self) -> String {
        let login = self.password.map(|password| format!(":{password}@")).unwrap_or_default();
        format!("redis://{login}{}/{DATABASE}", self.address)
    }

    /// Writes the recorded hashes.
    pub(crate) fn load_recorded(&self) {
        let recorded: Vec<Value> =
            serde_json::from_str(include_str!("../../vectors/session_redis.json")).unwrap();
        let mut connection = self.connect();
        for hash in recorded {
            for (field, value) in hash["fields"].as_object().unwrap() {
                let text = value.as_str().unwrap();
                let value =
                    if field == "data" { STANDARD.decode(text).unwrap() } else { text.as_bytes().to_vec() };
                let written = redis::Cmd::hset(hash["key"].as_str().unwrap(), field, value);
                written.query::<i64>(&mut connection).unwrap();
            }
        }
    }

    /// Every field of every session, by key and field.
    pub(crate) fn content(&self) -> Vec<(String, Fields)> {
        let mut connection = self.connect();
        let mut keys: Vec<String> = redis::Cmd::keys("*").query(&mut connection).unwrap();
        keys.sort();
        let content = keys.into_iter().map(|key| {
            let mut fields: Fields = redis::Cmd::hgetall(&key).query(&mut connection).unwrap();
            fields.sort();
            (key, fields)
        });
        content.collect()
    }

    /// Removes a session.
    pub(crate) fn remove(&self, id: &str) {
        let removed: i64 = redis::Cmd::del(format!("sess_{id}")).query(&mut self.connect()).unwrap();
        assert_eq!(removed, 1);
    }

    fn connect(&self) -> redis::Connection {
        let url = if self.password.is_some() { self.url() } else { self.link_url() };
        redis::Client::open(url).unwrap().get_connection().unwrap()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An address of this machine that nobody listens on.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap()
}

fn spawn(address: SocketAddr, arguments: &[String], folder: &TempDir) -> Child {
    Command::new("redis-server")
        .args(["--port", &address.port().to_string(), "--bind", "127.0.0.1"])
        .args(["--save", "", "--appendonly", "no"])
        .args(["--dir", folder.path().to_str().unwrap()])
        .args(arguments)
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server is installed; run tests/all")
}

/// A master, a replica of it, and a sentinel that watches both.
pub(crate) struct Watched {
    pub(crate) master: RedisServer,
    pub(crate) replica: RedisServer,
    sentinel: RedisServer,
}

impl Watched {
    pub(crate) fn start() -> Self {
        let master = RedisServer::open();
        let port = master.address.port().to_string();
        let replica = RedisServer::open_with(&["--replicaof", "127.0.0.1", &port]);
        let address = free_address();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sentinel.conf");
        let conf = format!(
            "port {}\nbind 127.0.0.1\ndir {}\nsentinel monitor mymaster 127.0.0.1 {port} 1\n\
             sentinel down-after-milliseconds mymaster 500\nsentinel failover-timeout mymaster 3000\n",
            address.port(),
            folder.path().display(),
        );
        std::fs::write(&file, conf).unwrap();
        let process = Command::new("redis-server")
            .arg(&file)
            .arg("--sentinel")
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed; run tests/all");
        let sentinel = RedisServer { process, address, password: None, arguments: Vec::new(), folder };
        sentinel.wait();
        let watched = Self { master, replica, sentinel };
        until("the replica is in step", || {
            watched.replica.run::<String>("INFO replication").contains("master_link_status:up")
        });
        until("the sentinel knows the replica", || {
            watched.sentinel.run::<Vec<redis::Value>>("SENTINEL REPLICAS mymaster").len() == 1
        });
        watched
    }

    /// Its servers one by one; the sentinel stays with them.
    pub(crate) fn into_parts(self) -> (RedisServer, RedisServer, RedisServer) {
        (self.master, self.replica, self.sentinel)
    }

    /// Where the sentinel listens.
    pub(crate) const fn sentinel(&self) -> SocketAddr {
        self.sentinel.address
    }
}

/// Three masters that share the keys.
pub(crate) struct Cluster(pub(crate) Vec<RedisServer>);

impl Cluster {
    pub(crate) fn start() -> Self {
        let nodes: Vec<RedisServer> = (0..3)
            .map(|_| {
                let bus = free_address().port().to_string();
                RedisServer::open_with(&["--cluster-enabled", "yes", "--cluster-port", &bus])
            })
            .collect();
        let made = Command::new("redis-cli")
            .args(["--cluster", "create"])
            .args(nodes.iter().map(|node| node.address.to_string()))
            .arg("--cluster-yes")
            .stdout(Stdio::null())
            .status()
            .expect("redis-cli is installed; run tests/all");
        assert!(made.success());
        for node in &nodes {
            until("the cluster is whole", || node.run::<String>("CLUSTER INFO").contains("cluster_state:ok"));
        }
        Self(nodes)
    }

    /// Its nodes, as the configuration lists them.
    pub(crate) fn nodes(&self) -> String {
        let nodes: Vec<String> = self.0.iter().map(|node| format!("\"{}\"", node.address)).collect();
        nodes.join(", ")
    }
}
