//! The store that is killed over and over, and who calls.

use std::{collections::BTreeSet, io::Write as _, path::PathBuf};

use portcullis::{
    clock::Clock,
    config::Config,
    server::integration_service,
    service::{
        Origin,
        audit::Audit,
        authorization::Grants,
        integration::{IntegrationService, NewIntegration},
    },
    store::records::SetupType,
};
use sqlx::{
    AssertSqlSafe, Row as _, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteRow},
};

use super::{
    store::half_done,
    support::{gate::Setup, process::Process, upstream::Upstream},
};

/// Third parties that begin a handshake in each round.
const PARTIES: usize = 12;
/// Customers that sign in, all with alice's password.
pub(crate) const CUSTOMERS: u32 = 6;
/// Rows for the jobs to delete in a round.
const STALE: usize = 400;
/// The SHA-256 of alice's password: the login replaces it by a hash of today.
const OLD_HASH: &str =
    "616055e09c032cfe70b4288bfa04fd96ef51af0b71197fa34f1572d60b920813:0123456789abcdef0123456789abcdef:1";

/// A store, its configuration, what stands before and behind it.
pub(crate) struct Shop {
    folder: tempfile::TempDir,
    pub(crate) config: PathBuf,
    upstream: Upstream,
    third_party: Upstream,
    runtime: tokio::runtime::Runtime,
    /// What looks half done in the recorded rows.
    pub(crate) baseline: BTreeSet<String>,
    /// Tokens that nobody issued here.
    pub(crate) recorded_tokens: BTreeSet<String>,
    /// Who is about to begin a handshake.
    pub(crate) parties: Vec<Party>,
    stale: usize,
    /// Rows that jobs deleted.
    pub(crate) swept: usize,
}

/// What a third party knows after the post to its endpoint, and how far it came.
#[derive(Debug, Clone, Default)]
pub(crate) struct Party {
    pub(crate) consumer_id: u32,
    pub(crate) key: String,
    pub(crate) secret: String,
    pub(crate) verifier: String,
    pub(crate) request: Leg,
    pub(crate) access: Leg,
}

/// How a leg of the handshake ended for the client.
#[derive(Debug, Clone, Default)]
pub(crate) enum Leg {
    #[default]
    NotTried,
    /// With a token and its secret, in a request of this id.
    Answered((String, String), String),
    /// With anything but 200.
    Refused,
    NoAnswer,
}

impl Shop {
    /// Seeds the store.
    pub(crate) fn open() -> Self {
        let (folder, upstream) = (tempfile::tempdir().unwrap(), Upstream::start());
        let third_party = Upstream::answering(|_, socket| {
            write!(socket, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").is_ok()
        });
        let config = setup(&upstream, "jwt").prepare(folder.path());
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let (baseline, recorded_tokens, parties, stale, swept) = Default::default();
        let mut shop = Self {
            folder,
            config,
            upstream,
            third_party,
            runtime,
            baseline,
            recorded_tokens,
            parties,
            stale,
            swept,
        };
        shop.sql(&format!(
            "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {CUSTOMERS} - 1)
            INSERT INTO customer_entity (entity_id, website_id, email, group_id, store_id, password_hash, is_active)
            SELECT 100 + i, 1, 'customer' || i || '@example.com', 1, 1, password_hash, 1
            FROM n, customer_entity WHERE email = 'alice@example.com'"
        ));
        shop.baseline = half_done(&shop).into_iter().collect();
        shop.recorded_tokens = shop.rows("SELECT token FROM oauth_token").into_iter().collect();
        shop
    }

    /// Starts the gate, with work for jobs that are due at once.
    pub(crate) fn serve(&mut self, issuer: &str) -> Process {
        let left = self.rows("SELECT count(*) FROM oauth_token_request_log WHERE user_name LIKE 'gone%'");
        self.swept += self.stale - left[0].parse::<usize>().unwrap();
        self.stale = STALE;
        self.sql(&format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {STALE})
            INSERT OR REPLACE INTO oauth_token_request_log (user_name, user_type, lock_expires_at)
            SELECT 'gone' || i, 2, '2020-01-01 00:00:00' FROM n;
            INSERT OR REPLACE INTO portcullis_job (name, leased_until, finished_at) VALUES
            ('authentication_failures', 0, 0), ('expired_tokens', 0, 0), ('nonces', 0, 0), ('handshakes', 0, 0),
            ('revocations', 0, 0)"
        ));
        setup(&self.upstream, issuer).write(self.folder.path());
        Process::serve(&self.config)
    }

    pub(crate) fn audit_log(&self) -> PathBuf {
        self.folder.path().join("audit.log")
    }

    /// Makes the next round's third parties and posts to them, beside the gate. What the round before made is deleted.
    pub(crate) fn prepare(&mut self, round: u64) {
        let config = Config::from_toml(&std::fs::read_to_string(&self.config).unwrap(), self.folder.path());
        let endpoint = format!("http://{}/callback", self.third_party.address);
        let mine = "SELECT integration_id FROM integration WHERE name LIKE 'party%' OR name LIKE 'command%'";
        let past = self.rows(mine);
        self.third_party.take();
        let made = self.runtime.block_on(async {
            // What is made here is no client's doing, and needs no record.
            let service = integration_service(&config.unwrap(), Audit::off(), Clock::system()).await.unwrap();
            for id in &past {
                service.delete(id.parse().unwrap(), &me()).await.unwrap();
            }
            make_parties(&service, &format!("party{round}-"), &endpoint).await
        });
        let posted = self.third_party.take();
        self.parties = made.into_iter().zip(&posted).map(|(id, posted)| party(id, &posted.text())).collect();
        self.sql(&format!("UPDATE customer_entity SET password_hash = '{OLD_HASH}' WHERE entity_id = 100"));
    }

    /// Runs statements on the store.
    pub(crate) fn sql(&self, statements: &str) {
        self.runtime.block_on(async {
            let pool = self.pool().await;
            sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&pool).await.unwrap();
            pool.close().await;
        });
    }

    /// The rows of a query for one column, as text.
    pub(crate) fn rows(&self, query: &str) -> Vec<String> {
        self.runtime.block_on(async {
            let pool = self.pool().await;
            let rows = sqlx::query(AssertSqlSafe(query.to_owned())).fetch_all(&pool).await.unwrap();
            pool.close().await;
            let text = |row: &SqliteRow| {
                let number = row.try_get::<i64, _>(0).map(|number| number.to_string());
                number.or_else(|_| row.try_get(0)).unwrap()
            };
            rows.iter().map(text).collect()
        })
    }

    /// What a pragma answers, its columns joined.
    pub(crate) fn pragma(&self, pragma: &str) -> Vec<String> {
        self.rows(&match pragma {
            "integrity_check" => "SELECT integrity_check FROM pragma_integrity_check".to_owned(),
            other => {
                format!("SELECT \"table\" || ' ' || coalesce(rowid, '') || ' ' || parent FROM pragma_{other}")
            }
        })
    }

    async fn pool(&self) -> SqlitePool {
        let path = self.folder.path().join("portcullis.db");
        SqlitePool::connect_with(SqliteConnectOptions::new().filename(path)).await.unwrap()
    }
}

fn setup(upstream: &Upstream, issuer: &str) -> Setup {
    Setup::before(upstream.address)
        .with("log", "level = \"info\"")
        .with("audit", "file = \"audit.log\"")
        .with("tokens", &format!("issuer = \"{issuer}\"\naddress_rate = 0\nrehash_on_login = true"))
        .with(
            "handshake",
            "allow_http = true\nallow_networks = [\"127.0.0.0/8\"]\nstore_base_url = \"http://shop.example/\"",
        )
        .with(
            "jobs",
            "authentication_failures = \"1s\"\nexpired_tokens = \"1s\"\nnonces = \"1s\"\nhandshakes = \"1s\"\n\
             revocations = \"1s\"\nbatch = 10",
        )
}

async fn make_parties(service: &IntegrationService, prefix: &str, endpoint: &str) -> Vec<u32> {
    let mut made = Vec::new();
    for number in 0..PARTIES {
        let new = NewIntegration {
            name: format!("{prefix}{number}"),
            email: String::new(),
            endpoint: Some(endpoint.to_owned()),
            identity_link_url: Some("https://app.example/login".to_owned()),
            setup_type: SetupType::Manual,
            grants: Grants::All,
        };
        let integration = service.create(&new, &me()).await.unwrap();
        service.activate(integration.id, &me()).await.unwrap();
        made.push(integration.consumer_id.unwrap());
    }
    made
}

fn party(consumer_id: u32, posted: &str) -> Party {
    let field = |name: &str| {
        let mut fields = posted.split('&').filter_map(|field| field.split_once('='));
        fields.find(|(known, _)| *known == name).unwrap().1.to_owned()
    };
    let (key, secret) = (field("oauth_consumer_key"), field("oauth_consumer_secret"));
    Party { consumer_id, key, secret, verifier: field("oauth_verifier"), ..Party::default() }
}

fn me() -> Origin {
    Origin::local("cli:test")
}
