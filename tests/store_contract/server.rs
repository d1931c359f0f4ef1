//! What is particular to a server: getting in, what stands there already, being cut off, and many who ask at once.

use std::time::{Duration, Instant};

use portcullis::store::{
    SchemaError, StoreError,
    sql::{Address, NewConsumer, SqlStore},
};
use sqlx::AssertSqlSafe;

use super::{
    FULL_TOKEN, NOW,
    home::{Database, Home, PREFIX, attached, secret, standalone},
    servers::{mariadb::MariaDb, postgres::Postgres},
};

/// Neither in words nor in debug output, to any depth.
fn tells_nothing(error: &StoreError) {
    let mut told = format!("{error} {error:?}");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        told.push_str(&format!(" {error} {error:?}"));
        cause = error.source();
    }
    assert!(!told.contains("rse") || !told.contains("corr"), "{told}");
    assert!(!told.contains("hunter2"), "{told}");
}

fn causes(error: &StoreError) -> String {
    let source = std::error::Error::source(error).map(ToString::to_string);
    format!("{error}: {}", source.unwrap_or_default())
}

/// Of an address that opens, what becomes of others.
async fn who_does_not_get_in_hears_why(url: &str, port: u16, of: impl Fn(&str) -> Address) {
    let wrong = url.replace("corr%2F", "hunter2");
    let error = SqlStore::open(of(&wrong)).await.unwrap_err();
    assert!(matches!(error, StoreError::Denied(_)), "{error:?}");
    tells_nothing(&error);
    let error = SqlStore::open(of(&format!("{url}_not_there"))).await.unwrap_err();
    assert!(matches!(error, StoreError::Lacking(_) | StoreError::Denied(_)), "{error:?}");
    assert!(causes(&error).contains("_not_there"), "{}", causes(&error));
    let began = Instant::now();
    let closed = url.replace(&format!(":{port}/"), ":1/");
    let error = SqlStore::open(of(&closed)).await.unwrap_err();
    assert!(error.is_unavailable() && causes(&error).contains("refused"), "{error:?}");
    tells_nothing(&error);
    assert!(began.elapsed() < Duration::from_secs(10));
}

/// Whatever a schema says of itself, both opening and migrating hear it.
async fn another_schema_is_refused(make: impl AsyncFn() -> Home, of: impl Fn(&str) -> Address) {
    let is_mysql = matches!(make().await.database, Database::MySql(..));
    let (yes, no, zero) = if is_mysql { ("1", "0", "X'00'") } else { ("true", "false", "'\\x00'") };
    let cases = [
        (
            format!(
                "INSERT INTO _sqlx_migrations VALUES (7, 'later', '2030-01-01 00:00:00', {yes}, {zero}, 0)"
            ),
            SchemaError::Newer { found: 7, known: 3 },
        ),
        (
            format!("UPDATE _sqlx_migrations SET checksum = {zero} WHERE version = 1"),
            SchemaError::Altered { version: 1 },
        ),
        (
            format!("UPDATE _sqlx_migrations SET success = {no} WHERE version = 3"),
            SchemaError::Incomplete { version: 3 },
        ),
    ];
    for (sql, expected) in cases {
        let home = make().await;
        home.execute(&sql).await;
        for error in [
            SqlStore::open(of(&home.url)).await.unwrap_err(),
            SqlStore::migrate(of(&home.url)).await.unwrap_err(),
        ] {
            assert!(matches!(error, StoreError::Schema(found) if found == expected), "{sql}: {error:?}");
        }
    }
    let home = make().await;
    let report = SqlStore::migrate(of(&home.url)).await.unwrap();
    assert_eq!((report.from, report.to, report.is_changed()), (Some(3), 3, false));
    home.execute("DELETE FROM _sqlx_migrations WHERE version = 3").await;
    let error = SqlStore::open(of(&home.url)).await.unwrap_err();
    let outdated = SchemaError::Outdated { found: 2, needed: 3 };
    assert!(matches!(error, StoreError::Schema(found) if found == outdated), "{error:?}");
    home.execute("DROP TABLE _sqlx_migrations").await;
    let error = SqlStore::migrate(of(&home.url)).await.unwrap_err();
    assert!(matches!(error, StoreError::Schema(SchemaError::Foreign)), "{error:?}");
    let error = SqlStore::open(of(&home.url)).await.unwrap_err();
    assert!(matches!(error, StoreError::Schema(SchemaError::Missing)), "{error:?}");
}

async fn those_that_migrate_at_once_do_not_collide(url: &str, of: impl Fn(&str) -> Address) {
    let migrate = || SqlStore::migrate(of(url));
    let (one, two, three) = tokio::join!(migrate(), migrate(), migrate());
    let reports = [one.unwrap(), two.unwrap(), three.unwrap()];
    assert_eq!(reports.iter().filter(|report| report.is_changed()).count(), 1, "{reports:?}");
    SqlStore::open(of(url)).await.unwrap();
}

/// A look-up that was given up left its answer on the connection, and the next one was given it.
async fn nobody_is_given_the_answer_of_another(home: &Home) {
    for number in 0..20 {
        let hidden = secret(&format!("0:3:{number}"));
        let key = format!("key-{number}");
        home.store
            .insert_consumer(&NewConsumer { name: "c", key: &key, encrypted_secret: &hidden }, NOW)
            .await
            .unwrap();
    }
    let askers: Vec<_> = (0..400_usize)
        .map(|number| {
            let store = home.store.clone();
            tokio::spawn(async move {
                let asked = number % 20;
                let patience = Duration::from_micros((number as u64 % 40) * 100);
                let key = format!("key-{asked}");
                let look_up = store.oauth(key.as_bytes(), b"nobody");
                let Ok(found) = tokio::time::timeout(patience, look_up).await else { return false };
                let rows = found.unwrap();
                assert_eq!(rows.consumer.unwrap().secret.expose(), &format!("0:3:{asked}"));
                true
            })
        })
        .collect();
    let mut given_up = 0;
    for asker in askers {
        given_up += u32::from(!asker.await.unwrap());
    }
    assert!(given_up > 0, "nobody gave up");
    assert!(home.store.oauth(b"key-3", b"nobody").await.unwrap().consumer.is_some());
}

/// One question at a time may fail when the server cuts every connection; the next ones are answered.
async fn who_is_cut_off_comes_back(home: &Home, cut: impl AsyncFn()) {
    for _ in 0..2 {
        assert!(home.store.token(FULL_TOKEN.as_bytes()).await.unwrap().is_some());
        cut().await;
        let mut failed = 0;
        while let Err(error) = home.store.token(FULL_TOKEN.as_bytes()).await {
            assert!(error.is_unavailable(), "{error:?}");
            failed += 1;
            assert!(failed <= 8, "{error:?}");
        }
    }
}

#[tokio::test]
#[ignore = "needs mariadbd; run tests/all"]
async fn mariadb_says_what_is_wrong() {
    let (home, server) = (Home::mariadb().await, MariaDb::shared());
    who_does_not_get_in_hears_why(&home.url, server.port(), standalone).await;
    another_schema_is_refused(Home::mariadb, standalone).await;
    let url = server.url(&server.new_database().await);
    Box::pin(those_that_migrate_at_once_do_not_collide(&url, standalone)).await;
}

#[tokio::test]
#[ignore = "needs postgres; run tests/all"]
async fn postgres_says_what_is_wrong() {
    let (home, server) = (Home::postgres().await, Postgres::shared());
    who_does_not_get_in_hears_why(&home.url, server.port(), |url| Address::from(url)).await;
    another_schema_is_refused(Home::postgres, |url| Address::from(url)).await;
    let url = server.url(&server.new_database().await);
    Box::pin(those_that_migrate_at_once_do_not_collide(&url, |url| Address::from(url))).await;
}

#[tokio::test]
#[ignore = "needs mariadbd; run tests/all"]
async fn a_magentos_database_is_never_altered() {
    let home = Home::magentos().await;
    let error = SqlStore::migrate(attached(&home.url)).await.unwrap_err();
    assert!(matches!(error, StoreError::Schema(SchemaError::Magentos)), "{error:?}");
    // Not even where it is said to be ours.
    let error = SqlStore::migrate(standalone(&home.url)).await.unwrap_err();
    assert!(matches!(error, StoreError::Schema(SchemaError::Foreign)), "{error:?}");
    let tables = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE()";
    let Database::MySql(pool, _) = &home.database else { panic!("not MySQL") };
    assert_eq!(sqlx::query_scalar::<_, i64>(tables).fetch_one(pool).await.unwrap(), 17);
    // A wrong prefix is named with the table that is not there.
    let other = Address { table_prefix: "m3_".to_owned(), ..attached(&home.url) };
    let error = SqlStore::open(other).await.unwrap().token(b"x").await.unwrap_err();
    assert!(matches!(error, StoreError::Lacking(_)) && causes(&error).contains("m3_"), "{}", causes(&error));
}

#[tokio::test]
#[ignore = "needs mariadbd; run tests/all"]
async fn mariadb_serves_many_and_takes_them_back() {
    let home = Home::magentos().await.with_recorded().await;
    nobody_is_given_the_answer_of_another(&home).await;
    let name = home.url.rsplit('/').next().unwrap().to_owned();
    who_is_cut_off_comes_back(&home, async || {
        let mut root = MariaDb::shared().connect(None).await;
        let sessions = "SELECT id FROM information_schema.processlist WHERE db = ? AND id <> CONNECTION_ID()";
        let ids: Vec<i64> = sqlx::query_scalar(sessions).bind(&name).fetch_all(&mut root).await.unwrap();
        for id in ids {
            let _ = sqlx::raw_sql(AssertSqlSafe(format!("KILL {id}"))).execute(&mut root).await;
        }
    })
    .await;
}

#[tokio::test]
#[ignore = "needs postgres; run tests/all"]
async fn postgres_serves_many_and_takes_them_back() {
    let home = Home::postgres().await.with_recorded().await;
    nobody_is_given_the_answer_of_another(&home).await;
    let name = home.url.rsplit('/').next().unwrap().to_owned();
    who_is_cut_off_comes_back(&home, async || {
        let mut other = Postgres::shared().connect("postgres").await;
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1";
        sqlx::query(cut).bind(&name).execute(&mut other).await.unwrap();
    })
    .await;
}

/// Whoever waited for a change that did not end would have waited for ever.
async fn who_waits_for_a_change_is_told(home: &Home) {
    let _held = home.store.change().await.unwrap();
    let error = home.store.change().await.unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");
}

#[tokio::test]
#[ignore = "needs mariadbd; run tests/all"]
async fn a_change_waits_for_its_turn_in_mariadb_and_not_for_ever() {
    who_waits_for_a_change_is_told(&Home::magentos().await).await;
}

#[tokio::test]
#[ignore = "needs postgres; run tests/all"]
async fn a_change_waits_for_its_turn_in_postgres_and_not_for_ever() {
    who_waits_for_a_change_is_told(&Home::postgres().await).await;
}

/// A certificate for 127.0.0.1 and its key, as files beside each other.
fn certificate(folder: &std::path::Path) -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (folder.join("server.pem"), folder.join("server.key"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    (certificate.to_str().unwrap().to_owned(), key.to_str().unwrap().to_owned())
}

/// TLS as the URL says: not asked for, insisted on, proven; and insisted on where there is none.
#[tokio::test]
#[ignore = "needs mariadbd; run tests/all"]
async fn mariadb_is_spoken_to_in_tls_as_the_url_says() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = certificate(folder.path());
    let server = MariaDb::start(&[&format!("--ssl-cert={certificate}"), &format!("--ssl-key={key}")]);
    let url = server.url(&server.new_database().await);
    SqlStore::migrate(standalone(&url)).await.unwrap();
    let verified = format!("?ssl-mode=VERIFY_IDENTITY&ssl-ca={certificate}");
    for options in ["", "?ssl-mode=REQUIRED", verified.as_str(), "?ssl-mode=DISABLED"] {
        SqlStore::open(standalone(&format!("{url}{options}"))).await.unwrap().ping().await.unwrap();
    }
    // By no authority that the machine knows.
    let unknown = SqlStore::open(standalone(&format!("{url}?ssl-mode=VERIFY_CA"))).await.unwrap_err();
    assert!(causes(&unknown).contains("certificate") && !unknown.is_unavailable(), "{}", causes(&unknown));
    let plain = MariaDb::shared();
    let url = format!("{}?ssl-mode=REQUIRED", plain.url(&plain.new_database().await));
    let refused = SqlStore::migrate(standalone(&url)).await.unwrap_err();
    assert!(causes(&refused).contains("TLS"), "{}", causes(&refused));
    tells_nothing(&refused);
}

/// A replica that nothing is replicated to: what is written is not read, and what is read was not written.
#[tokio::test]
#[ignore = "needs mariadbd; run tests/all"]
async fn lookups_go_to_the_replica_and_changes_to_the_primary() {
    let (primary, replica) = (Home::magentos().await, Home::magentos().await.with_recorded().await);
    let address = Address { read_url: Some(secret(&replica.url)), ..attached(&primary.url) };
    let store = SqlStore::open(address).await.unwrap();
    assert!(store.token(FULL_TOKEN.as_bytes()).await.unwrap().is_some());
    assert!(!store.reference().await.unwrap().roles.is_empty());
    let hidden = secret("0:3:x");
    let new = NewConsumer { name: "c", key: "on-the-primary", encrypted_secret: &hidden };
    store.insert_consumer(&new, NOW).await.unwrap();
    assert!(store.oauth(b"on-the-primary", b"x").await.unwrap().consumer.is_none());
    assert!(store.change().await.unwrap().consumer_by_key("on-the-primary").await.unwrap().is_some());
    assert!(store.view().await.unwrap().consumer_by_key("on-the-primary").await.unwrap().is_some());
    assert!(primary.store.oauth(b"on-the-primary", b"x").await.unwrap().consumer.is_some());
}

/// The comparison that tells `a` from `A` read the whole table.
#[tokio::test]
#[ignore = "needs mariadbd; run tests/all"]
async fn a_magentos_indexes_are_used() {
    let home = Home::magentos().await.with_recorded().await;
    let mut connection = MariaDb::shared().connect(home.url.rsplit('/').next()).await;
    // Enough that an index is worth it.
    let fill = format!(
        "INSERT INTO {PREFIX}oauth_token (type, token, secret, callback_url, user_type)
        SELECT 'access', CONCAT('fill-', seq), '', '', 3 FROM seq_1_to_2000"
    );
    sqlx::raw_sql(AssertSqlSafe(fill)).execute(&mut connection).await.unwrap();
    let read = async |connection: &mut sqlx::MySqlConnection| -> i64 {
        let rows = "SELECT CAST(SUM(VARIABLE_VALUE) AS SIGNED) FROM information_schema.global_status
            WHERE VARIABLE_NAME IN ('HANDLER_READ_RND_NEXT', 'HANDLER_READ_NEXT')";
        sqlx::query_scalar(rows).fetch_one(connection).await.unwrap()
    };
    let before = read(&mut connection).await;
    for token in ["fill-7", "nobody", "FILL-7", "fill-\u{1f600}"] {
        let found = home.store.token(token.as_bytes()).await.unwrap();
        assert_eq!(found.is_some(), token == "fill-7", "{token}");
    }
    let scanned = read(&mut connection).await - before;
    assert!(scanned < 2000, "{scanned} rows were read one after the other");
}
