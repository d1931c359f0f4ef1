//! A private PostgreSQL, its data in a folder of its own and gone with it.
//!
//! PostgreSQL refuses to run as root; there it runs as `postgres`, or as `nobody`.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, postgres::PgConnectOptions};

use super::{Kept, block_on, free_port, must, text, user_name};

const USER: &str = "portcullis";
/// A URL must encode it.
const PASSWORD: &str = "corr/ect-h@rse";
const ENCODED: &str = "corr%2Fect-h%40rse";

/// A running server; dropping it stops that one process.
pub(crate) struct Postgres {
    kept: Kept,
    port: u16,
    databases: AtomicUsize,
}

impl Postgres {
    /// The server that the tests of one binary share; each makes itself a database in it.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(&[]))
    }

    /// Starts a server with these settings more, each `name=value`.
    pub(crate) fn start(settings: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (data, password) = (folder.path().join("data"), folder.path().join("password"));
        std::fs::write(&password, PASSWORD).unwrap();
        let within = within_rights(folder.path());
        let run = |program: &str| [within.clone(), vec![text(&programs().join(program))]].concat();
        let create = run("initdb");
        must(Command::new(&create[0]).args(&create[1..]).current_dir("/").args([
            format!("--pgdata={}", text(&data)),
            format!("--pwfile={}", text(&password)),
            format!("--username={USER}"),
            "--auth=scram-sha-256".to_owned(),
            "--encoding=UTF8".to_owned(),
            "--locale=C.UTF-8".to_owned(),
            "--no-sync".to_owned(),
        ]));
        let port = free_port();
        let mut server = run("postgres");
        server.extend(["-D".to_owned(), text(&data), "-p".to_owned(), port.to_string()]);
        server.extend(["-h".to_owned(), "127.0.0.1".to_owned(), "-k".to_owned(), text(folder.path())]);
        for setting in ["fsync=off", "max_connections=200"].iter().chain(settings) {
            server.extend(["-c".to_owned(), (*setting).to_owned()]);
        }
        // At once, with its children, and without a checkpoint.
        let kept = Kept::start("QUIT", folder, &server);
        let started = Self { kept, port, databases: AtomicUsize::new(0) };
        block_on(async || {
            let options = started.options("postgres");
            let first = started.kept.wait_until(async || options.connect().await).await;
            first.close().await.unwrap();
        });
        started
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// A URL of a database, there or not.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://{USER}:{ENCODED}@127.0.0.1:{}/{database}", self.port)
    }

    /// Makes an empty database and answers its name.
    pub(crate) async fn new_database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let create = format!("CREATE DATABASE {name}");
        sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut self.connect("postgres").await).await.unwrap();
        name
    }

    /// A connection as the server's superuser.
    pub(crate) async fn connect(&self, database: &str) -> PgConnection {
        self.options(database).connect().await.unwrap()
    }

    fn options(&self, database: &str) -> PgConnectOptions {
        let options = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(self.port);
        options.username(USER).password(PASSWORD).database(database)
    }
}

/// What stands before a command, so that it does not run as root; the folder becomes that user's.
fn within_rights(folder: &Path) -> Vec<String> {
    if user_name() != "root" {
        return Vec::new();
    }
    let is_user = |name: &&&str| Command::new("id").arg(name).output().unwrap().status.success();
    let user = ["postgres", "nobody"].iter().find(is_user).expect("there is a user without rights");
    let group = must(Command::new("id").args(["-gn", user])).trim().to_owned();
    must(Command::new("chown").arg("-R").arg(format!("{user}:{group}")).arg(folder));
    ["setpriv", "--reuid", user, "--regid", &group, "--clear-groups"].map(str::to_owned).to_vec()
}

/// Debian keeps the programs of each version in a folder of its own; the newest counts.
fn programs() -> PathBuf {
    let version = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let folders = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = folders.map(|entry| entry.path()).max_by_key(version);
    newest.map_or_else(PathBuf::new, |path| path.join("bin"))
}
