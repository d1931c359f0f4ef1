//! A Redis of a test's own, on a free port, with a password and nothing on disk.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

const PASSWORD: &str = "correct-horse";
/// Magento's session database in the recordings.
const DATABASE: u8 = 2;

/// The fields of a hash, in order.
pub(crate) type Fields = Vec<(String, Vec<u8>)>;

/// A running server; dropping it stops that one process.
pub(crate) struct RedisServer {
    process: Child,
    address: SocketAddr,
}

impl RedisServer {
    /// Starts a server on a free port.
    pub(crate) fn start() -> Self {
        let free = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
        Self::start_at(free)
    }

    /// Starts a server at an address.
    pub(crate) fn start_at(address: SocketAddr) -> Self {
        let process = Command::new("redis-server")
            .args(["--port", &address.port().to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--requirepass", PASSWORD])
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed; run tests/all");
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < deadline, "redis-server does not listen");
            thread::sleep(Duration::from_millis(20));
        }
        Self { process, address }
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of the session database.
    pub(crate) fn url(&self) -> String {
        format!("redis://:{PASSWORD}@{}/{DATABASE}", self.address)
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
        redis::Client::open(self.url()).unwrap().get_connection().unwrap()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
