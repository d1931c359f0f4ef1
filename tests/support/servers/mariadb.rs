//! A private MariaDB, its data in a folder of its own and gone with it.

use std::{
    path::PathBuf,
    process::Command,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, MySqlConnection,
    mysql::{MySqlConnectOptions, MySqlSslMode},
};

use super::{Kept, block_on, free_port, must, text, user_name};

/// Who the gate is to the server; a password that a URL must encode.
const USER: &str = "portcullis";
const PASSWORD: &str = "corr/ect-h@rse";
const ENCODED: &str = "corr%2Fect-h%40rse";

/// A running server; dropping it stops that one process.
pub(crate) struct MariaDb {
    kept: Kept,
    port: u16,
    socket: PathBuf,
    databases: AtomicUsize,
}

impl MariaDb {
    /// The server that the tests of one binary share; each makes itself a database in it.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<MariaDb> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(&[]))
    }

    /// Starts a server with these options more.
    pub(crate) fn start(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (data, socket) = (folder.path().join("data"), folder.path().join("s"));
        let common = [
            "--no-defaults".to_owned(),
            format!("--datadir={}", text(&data)),
            format!("--user={}", user_name()),
        ];
        must(
            Command::new("mariadb-install-db")
                .args(&common)
                .args(["--auth-root-authentication-method=normal", "--skip-test-db"]),
        );
        let port = free_port();
        let mut server = vec![mariadbd()];
        server.extend(common);
        server.extend([
            format!("--port={port}"),
            format!("--socket={}", text(&socket)),
            format!("--pid-file={}", text(&folder.path().join("pid"))),
        ]);
        server.extend(
            [
                "--bind-address=127.0.0.1",
                "--skip-log-bin",
                "--innodb-flush-log-at-trx-commit=0",
                "--innodb-buffer-pool-size=32M",
            ]
            .iter()
            .chain(options)
            .map(|option| (*option).to_owned()),
        );
        let kept = Kept::start("KILL", folder, &server);
        let started = Self { kept, port, socket, databases: AtomicUsize::new(0) };
        block_on(async || started.prepare().await);
        started
    }

    async fn prepare(&self) {
        let options = self.root();
        let mut root = self.kept.wait_until(async || options.connect().await).await;
        let user =
            format!("CREATE USER '{USER}'@'%' IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON *.* TO '{USER}'@'%'");
        sqlx::raw_sql(AssertSqlSafe(user)).execute(&mut root).await.unwrap();
        root.close().await.unwrap();
    }

    /// Lets it hang, with all its connections open.
    pub(crate) fn pause(&self) {
        self.kept.tell("STOP");
    }

    /// Ends it without a word, as a crash would.
    pub(crate) fn kill(&self) {
        self.kept.tell("KILL");
    }

    /// Starts it again after its end, on the same data, and waits until it answers.
    pub(crate) fn restart(&self) {
        self.kept.tell("start");
        let options = self.root();
        block_on(async || drop(self.kept.wait_until(async || options.connect().await).await));
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// A URL of a database, there or not.
    pub(crate) fn url(&self, database: &str) -> String {
        url_at(self.port, database)
    }

    /// Makes an empty database of Magento's character set and answers its name.
    pub(crate) async fn new_database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let create = format!("CREATE DATABASE {name} CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci");
        sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut self.connect(None).await).await.unwrap();
        name
    }

    /// A connection as the server's root, to a database if one is named.
    pub(crate) async fn connect(&self, database: Option<&str>) -> MySqlConnection {
        let options = database.into_iter().fold(self.root(), |options, name| options.database(name));
        options.connect().await.unwrap()
    }

    fn root(&self) -> MySqlConnectOptions {
        MySqlConnectOptions::new().socket(&self.socket).username("root").ssl_mode(MySqlSslMode::Disabled)
    }
}

/// The URL of a database of such a server that is reached by another port.
pub(crate) fn url_at(port: u16, database: &str) -> String {
    format!("mysql://{USER}:{ENCODED}@127.0.0.1:{port}/{database}")
}

/// It stands outside the path of a plain user.
fn mariadbd() -> String {
    let known = ["/usr/sbin/mariadbd", "/usr/libexec/mariadbd", "/usr/local/sbin/mariadbd"];
    let found = known.into_iter().find(|path| std::fs::exists(path).unwrap_or(false));
    found.unwrap_or("mariadbd").to_owned()
}
