//! A real gate on free ports: configuration, SQLite file, listeners and threads as `portcullis serve` has them.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
        mpsc,
    },
    thread,
};

use portcullis::{
    auth::time::UnixTime,
    clock::Clock,
    config::Config,
    server::{App, BuildError, ReloadError, Reloader},
    store::{facts::Facts, sql::SqlStore},
};
use sqlx::{Row as _, ValueRef as _};
use tempfile::TempDir;
use tokio::{runtime::Handle, sync::oneshot};

use super::{
    fixture,
    magento::{self, MagentoDatabase},
};

/// The time at which the gate's clock panics: a fault in the middle of a request.
pub(crate) const BROKEN_CLOCK: i64 = i64::MIN;

/// The crypt key of the recordings.
pub(crate) const CRYPT_KEY: &str = "0123456789abcdef0123456789abcdef";

/// A running gate; dropping it drains and stops it.
pub(crate) struct Gate {
    pub(crate) proxy: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) folder: PathBuf,
    /// What the gate knows of credentials, until a reload.
    pub(crate) facts: Facts,
    /// Where its store is, unless in a file of its folder.
    pub(crate) magento: Option<MagentoDatabase>,
    time: Arc<AtomicI64>,
    reloader: Reloader,
    runtime: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
    _kept: Option<TempDir>,
}

/// How a gate is set up.
pub(crate) struct Setup {
    upstream: SocketAddr,
    sections: Vec<(&'static str, String)>,
    fixtures: Vec<&'static str>,
    time: i64,
    is_on_system_time: bool,
    folder: Option<PathBuf>,
    is_attached: bool,
    magento: Option<MagentoDatabase>,
}

impl Setup {
    /// A gate in front of `upstream`, its store seeded from the recordings' fixture.
    pub(crate) fn before(upstream: SocketAddr) -> Self {
        Self {
            upstream,
            sections: Vec::new(),
            fixtures: vec!["fixture.json"],
            time: 1_795_248_000,
            is_on_system_time: false,
            folder: None,
            is_attached: magento::is_default(),
            magento: None,
        }
    }

    /// Adds lines to a section of the configuration.
    pub(crate) fn with(mut self, section: &'static str, lines: &str) -> Self {
        self.sections.push((section, lines.to_owned()));
        self
    }

    /// Seeds the store with another file of rows as well.
    pub(crate) fn seeded(mut self, fixture: &'static str) -> Self {
        self.fixtures.push(fixture);
        self
    }

    /// Sets the gate's clock.
    pub(crate) const fn at(mut self, seconds: i64) -> Self {
        self.time = seconds;
        self
    }

    /// Lets the gate read the machine's clock, for clients that read it too.
    pub(crate) const fn on_system_time(mut self) -> Self {
        self.is_on_system_time = true;
        self
    }

    /// Has its store in Magento's own tables, in MariaDB.
    pub(crate) const fn attached(mut self) -> Self {
        self.is_attached = true;
        self
    }

    /// Keeps the store and the journal of an earlier gate.
    pub(crate) fn in_folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// The configuration file's text.
    pub(crate) fn toml(&self) -> String {
        self.toml_with(self.magento.as_ref())
    }

    /// The same, for the store of a gate that is there.
    pub(crate) fn toml_with(&self, magento: Option<&MagentoDatabase>) -> String {
        let root = env!("CARGO_MANIFEST_DIR");
        let mut sections: Vec<(&str, String)> = vec![
            ("listen", "proxy = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\nworkers = 2\n".to_owned()),
            ("upstream", self.url()),
            ("store", "url = \"sqlite://portcullis.db\"\n".to_owned()),
            ("magento", format!("crypt_key = \"{CRYPT_KEY}\"\nsettings = \"file\"\n")),
            (
                "acl",
                format!(
                    "tree = \"{root}/config/magento/acl.json\"\nroutes = \"{root}/config/magento/webapi_routes.json\"\n"
                ),
            ),
            ("log", "level = \"warn\"\n".to_owned()),
        ];
        if !self.sections.iter().any(|(name, lines)| *name == "log" && lines.contains("access")) {
            sections.last_mut().unwrap().1.push_str("access = \"off\"\n");
        }
        if let Some(magento) = magento {
            // What is the default elsewhere.
            sections[1].1.push_str("credentials = \"strip\"\n");
            sections[2].1 = format!("url = \"{}\"\n", magento.url());
        }
        for (name, lines) in &self.sections {
            match sections.iter_mut().find(|(known, _)| known == name) {
                Some((_, text)) => *text = overridden(text, lines),
                None => sections.push((name, format!("{lines}\n"))),
            }
        }
        sections.iter().map(|(name, lines)| format!("[{name}]\n{lines}\n")).collect()
    }

    /// The one upstream, where no list of endpoints stands in its place.
    fn url(&self) -> String {
        let is_list = |(name, lines): &(&str, String)| *name == "upstream" && lines.starts_with("endpoint =");
        if self.sections.iter().any(is_list) {
            return String::new();
        }
        format!("url = \"http://{}\"\n", self.upstream)
    }

    /// Seeds a store and writes the configuration for the real binary.
    pub(crate) fn prepare(&self, folder: &Path) -> PathBuf {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(seed(&folder.join("portcullis.db"), &self.fixtures));
        self.write(folder)
    }

    /// Writes the configuration for the real binary.
    pub(crate) fn write(&self, folder: &Path) -> PathBuf {
        let path = folder.join("portcullis.toml");
        std::fs::write(&path, self.toml()).unwrap();
        path
    }

    /// Starts the gate.
    pub(crate) fn start(self) -> Gate {
        self.try_start().unwrap_or_else(|error| panic!("the gate starts: {error}"))
    }

    /// Starts the gate, or says why it does not.
    pub(crate) fn try_start(mut self) -> Result<Gate, BuildError> {
        let kept = self.folder.is_none().then(|| tempfile::tempdir().unwrap());
        let folder = self.folder.clone().unwrap_or_else(|| kept.as_ref().unwrap().path().to_owned());
        std::fs::create_dir_all(folder.join("sessions")).unwrap();
        if self.is_attached {
            let known = MagentoDatabase::of_folder(&folder);
            let magento = known.unwrap_or_else(|| MagentoDatabase::create(&folder, &self.fixtures));
            self.magento = Some(magento);
        }
        let magento = self.magento.clone();
        let config = Config::from_toml(&self.toml(), &folder).unwrap_or_else(|errors| panic!("{errors}"));
        let time = Arc::new(AtomicI64::new(self.time));
        let (report, reported) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let clock = if self.is_on_system_time {
            Clock::system()
        } else {
            let time = Arc::clone(&time);
            Clock::given(move || match time.load(Ordering::SeqCst) {
                BROKEN_CLOCK => panic!("the clock is broken"),
                seconds => UnixTime::from_seconds(seconds),
            })
        };
        let is_fresh = self.folder.is_none() && !self.is_attached;
        let (fixtures, database) = (self.fixtures, folder.join("portcullis.db"));
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            let seeds = if is_fresh { Some((database, fixtures)) } else { None };
            runtime.unwrap().block_on(run(config, clock, seeds, (report, stopped)));
        });
        let ((proxy, admin), (reloader, facts), runtime) = reported.recv().expect("the gate reports")?;
        let (stop, thread) = (Some(stop), Some(thread));
        Ok(Gate { proxy, admin, folder, facts, magento, time, reloader, runtime, stop, thread, _kept: kept })
    }
}

/// Where a gate listens (clients, operators), what reloads it and what it knows.
type Started = Result<((SocketAddr, SocketAddr), (Reloader, Facts), Handle), BuildError>;

/// Builds and runs a gate; says where it listens, or why it does not.
async fn run(
    config: Config,
    clock: Clock,
    seeds: Option<(PathBuf, Vec<&'static str>)>,
    (report, stopped): (mpsc::Sender<Started>, oneshot::Receiver<()>),
) {
    if let Some((database, fixtures)) = seeds {
        seed(&database, &fixtures).await;
    }
    match App::build(config, clock).await {
        Ok(app) => {
            let addresses = (app.proxy_address(), app.admin_address());
            let known = (app.reloader().clone(), app.shared().facts.clone());
            report.send(Ok((addresses, known, Handle::current()))).unwrap();
            let stop = async {
                let _ = stopped.await;
            };
            app.run(stop).await.unwrap();
        }
        Err(error) => report.send(Err(error)).unwrap(),
    }
}

/// The section's lines with those keys replaced that `lines` names.
fn overridden(text: &str, lines: &str) -> String {
    let key = |line: &str| line.split('=').next().unwrap_or_default().trim().to_owned();
    let replaced: Vec<String> = lines.lines().map(key).collect();
    let kept = text.lines().filter(|line| !replaced.contains(&key(line)));
    kept.chain(lines.lines()).map(|line| format!("{}\n", line.trim())).collect()
}

async fn seed(database: &Path, fixtures: &[&str]) {
    SqlStore::migrate(&format!("sqlite://{}", database.display())).await.unwrap();
    let pool = pool(database).await;
    for table in ["store", "store_group", "store_website"] {
        sqlx::query(sqlx::AssertSqlSafe(format!("DELETE FROM {table}"))).execute(&pool).await.unwrap();
    }
    for fixture in fixtures {
        fixture::load(&pool, fixture).await;
    }
    pool.close().await;
}

fn text(row: &sqlx::sqlite::SqliteRow, column: usize) -> String {
    if row.try_get_raw(column).unwrap().is_null() {
        return "None".to_owned();
    }
    let number = row.try_get::<i64, _>(column).map(|number| number.to_string());
    number.or_else(|_| row.try_get(column)).unwrap()
}

/// Runs statements on the SQLite store of a folder, beside whoever serves from it.
pub(crate) fn run_sql(folder: &Path, statements: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let pool = pool(&folder.join("portcullis.db")).await;
        sqlx::raw_sql(sqlx::AssertSqlSafe(statements.to_owned())).execute(&pool).await.unwrap();
        pool.close().await;
    });
}

async fn pool(database: &Path) -> sqlx::SqlitePool {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(database).foreign_keys(false);
    sqlx::SqlitePool::connect_with(options).await.unwrap()
}

impl Gate {
    /// Sets the gate's clock.
    pub(crate) fn set_time(&self, seconds: i64) {
        self.time.store(seconds, Ordering::SeqCst);
    }

    /// Takes up the configuration of another set-up.
    pub(crate) fn reload(&self, setup: &Setup) -> Result<(), ReloadError> {
        let loaded = Config::from_toml(&setup.toml_with(self.magento.as_ref()), &self.folder);
        self.runtime.block_on(self.reloader.take_up(loaded))
    }

    /// The runtime on which the gate looks credentials up.
    pub(crate) const fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Runs a statement on the gate's database, beside the gate.
    pub(crate) fn sql(&self, statement: &str) {
        if let Some(magento) = &self.magento {
            return magento.sql(statement);
        }
        run_sql(&self.folder, statement);
    }

    /// The rows that a query finds, every column as text, as the recordings write them.
    pub(crate) fn rows(&self, query: &str) -> Vec<Vec<String>> {
        if let Some(magento) = &self.magento {
            return magento.rows(query);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let pool = pool(&self.folder.join("portcullis.db")).await;
            let found = sqlx::query(sqlx::AssertSqlSafe(query.to_owned())).fetch_all(&pool).await.unwrap();
            pool.close().await;
            found.iter().map(|row| (0..row.len()).map(|column| text(row, column)).collect()).collect()
        })
    }

    /// Drains and stops the gate; its folder stays until the returned guard is dropped.
    pub(crate) fn stop(mut self) -> Option<TempDir> {
        self.end();
        self._kept.take()
    }

    fn end(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.end();
    }
}
