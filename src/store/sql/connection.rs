//! Connections, pools and transactions of the three drivers under one name each.
//!
//! A statement that is given up half-way leaves its connection with an answer that nobody reads. A server's connection is closed
//! then: the next question must not be given the answer of the one before. SQLite runs a statement to its end by itself.

use std::{fmt, sync::Arc, time::Duration};

use sqlx::{
    Connection as _, Database, MySql, MySqlConnection, MySqlPool, PgConnection, PgPool, Postgres, Sqlite,
    SqliteConnection, SqlitePool,
    pool::{PoolConnection, PoolOptions},
};

use super::{
    address::Address,
    dialect::{Dialect, Flavor, Texts},
    mysql, postgres,
};

/// How long a statement waits for a connection before the store counts as unavailable.
pub(super) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// A server's connection that was idle for longer is asked for a sign of life before it is used: proxies and servers end idle
/// ones. One in steady use is spared the round trip.
const IDLE_BEFORE_PING: Duration = Duration::from_secs(5);

/// The connections of one store to one database.
#[derive(Clone)]
pub(super) struct Pool {
    pub(super) drivers: Drivers,
    pub(super) texts: Arc<Texts>,
}

/// A pool of one of the drivers.
#[derive(Debug, Clone)]
pub(super) enum Drivers {
    Sqlite(SqlitePool),
    MySql(MySqlPool),
    Postgres(PgPool),
}

/// What a transaction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To read, all of it as of one moment.
    Reading,
    /// To write what needs no look before.
    Writing,
    /// To read and write while no other change does.
    Changing,
}

/// A transaction; one that is dropped leaves everything as it was.
#[derive(Debug)]
pub(super) struct Transaction(Session);

/// Where a statement is run.
#[derive(Debug)]
pub(super) enum On<'a> {
    Pool(&'a Pool),
    Transaction(&'a mut Transaction),
}

/// A connection that statements are run on, one's own or a transaction's.
#[derive(Debug)]
pub(super) enum Opened<'a> {
    Own(Session),
    Lent(&'a mut Session),
}

/// A connection taken from its pool.
pub(super) struct Session {
    kind: Kind,
    texts: Arc<Texts>,
}

enum Kind {
    Sqlite(PoolConnection<Sqlite>),
    SqliteTransaction(sqlx::Transaction<'static, Sqlite>),
    MySql(Held<MySql>),
    Postgres(Held<Postgres>),
}

/// A connection of one of the drivers.
pub(super) enum Link<'c> {
    Sqlite(&'c mut SqliteConnection),
    MySql(&'c mut MySqlConnection),
    Postgres(&'c mut PgConnection),
}

/// A driver whose statements go on at a server when they are given up here.
trait Server: Database {
    /// Undoes a transaction before the connection goes back to its pool.
    fn roll_back(connection: PoolConnection<Self>) -> impl Future<Output = ()> + Send + 'static;
}

/// A server's connection and what must become of it.
struct Held<DB: Server> {
    /// There until it is dropped.
    connection: Option<PoolConnection<DB>>,
    /// A statement is under way.
    is_busy: bool,
    is_in_transaction: bool,
    /// A lock is held that the connection's end gives back.
    is_locked: bool,
}

/// A server's pool, without what only one of them asks for.
pub(super) fn server_pool<DB: Database>(address: &Address) -> PoolOptions<DB> {
    PoolOptions::new()
        .max_connections(address.max_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .before_acquire(|connection: &mut DB::Connection, metadata| {
            Box::pin(async move {
                if metadata.idle_for > IDLE_BEFORE_PING {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
}

impl Pool {
    pub(super) fn dialect(&self) -> Dialect {
        self.texts.dialect
    }

    /// Begins a transaction.
    pub(super) async fn begin(&self, purpose: Purpose) -> Result<Transaction, sqlx::Error> {
        let kind = match &self.drivers {
            Drivers::Sqlite(pool) => Kind::SqliteTransaction(pool.begin_with(sqlite_begin(purpose)).await?),
            Drivers::MySql(pool) => {
                let mut held = Held::new(pool.acquire().await?);
                if purpose == Purpose::Changing {
                    held.is_locked = true;
                    mysql::lock_changes(held.begin_statement(), self.texts.prefix()).await?;
                    held.is_busy = false;
                }
                sqlx::raw_sql(mysql_begin(purpose)).execute(held.begin_statement()).await?;
                held.is_busy = false;
                held.is_in_transaction = true;
                Kind::MySql(held)
            }
            Drivers::Postgres(pool) => {
                let mut held = Held::new(pool.acquire().await?);
                sqlx::raw_sql(postgres_begin(purpose)).execute(held.begin_statement()).await?;
                held.is_in_transaction = true;
                if purpose == Purpose::Changing {
                    postgres::lock_changes(held.begin_statement()).await?;
                }
                held.is_busy = false;
                Kind::Postgres(held)
            }
        };
        Ok(Transaction(Session { kind, texts: Arc::clone(&self.texts) }))
    }

    /// Closes every connection after the statements under way.
    pub(super) async fn close(&self) {
        self.drivers.close().await;
    }

    async fn acquire(&self) -> Result<Session, sqlx::Error> {
        let kind = match &self.drivers {
            Drivers::Sqlite(pool) => Kind::Sqlite(pool.acquire().await?),
            Drivers::MySql(pool) => Kind::MySql(Held::new(pool.acquire().await?)),
            Drivers::Postgres(pool) => Kind::Postgres(Held::new(pool.acquire().await?)),
        };
        Ok(Session { kind, texts: Arc::clone(&self.texts) })
    }
}

impl Drivers {
    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::MySql(pool) => pool.close().await,
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

// SQLite's writers begin with the lock: one that begins by reading could lose its right to write to another.
const fn sqlite_begin(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Reading => "BEGIN",
        Purpose::Writing | Purpose::Changing => "BEGIN IMMEDIATE",
    }
}

const fn mysql_begin(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Reading => "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
        // The snapshot of a change begins with its first read, behind the lock.
        Purpose::Writing | Purpose::Changing => "START TRANSACTION",
    }
}

const fn postgres_begin(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Reading => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        // Each statement sees what was committed before it, and so before the lock was given.
        Purpose::Writing | Purpose::Changing => "BEGIN ISOLATION LEVEL READ COMMITTED",
    }
}

impl Transaction {
    pub(super) fn flavor(&self) -> Flavor {
        self.0.texts.flavor
    }

    /// Makes it so.
    pub(super) async fn commit(self) -> Result<(), sqlx::Error> {
        let Session { kind, texts } = self.0;
        match kind {
            Kind::Sqlite(_) => Ok(()),
            Kind::SqliteTransaction(transaction) => transaction.commit().await,
            Kind::MySql(mut held) => {
                sqlx::raw_sql("COMMIT").execute(held.begin_statement()).await?;
                // It is done, whatever becomes of the lock: a connection that keeps it is closed, which gives it back.
                let is_free = !held.is_locked
                    || mysql::unlock_changes(held.begin_statement(), texts.prefix()).await.is_ok();
                if is_free {
                    held.end_transaction();
                }
                Ok(())
            }
            Kind::Postgres(mut held) => {
                sqlx::raw_sql("COMMIT").execute(held.begin_statement()).await?;
                held.end_transaction();
                Ok(())
            }
        }
    }
}

impl<'a> On<'a> {
    pub(super) fn dialect(&self) -> Dialect {
        match self {
            On::Pool(pool) => pool.dialect(),
            On::Transaction(transaction) => transaction.0.texts.dialect,
        }
    }

    pub(super) async fn open(self) -> Result<Opened<'a>, sqlx::Error> {
        match self {
            On::Pool(pool) => pool.acquire().await.map(Opened::Own),
            On::Transaction(transaction) => Ok(Opened::Lent(&mut transaction.0)),
        }
    }
}

impl<'a> From<&'a Pool> for On<'a> {
    fn from(pool: &'a Pool) -> Self {
        On::Pool(pool)
    }
}

impl<'a> From<&'a mut Transaction> for On<'a> {
    fn from(transaction: &'a mut Transaction) -> Self {
        On::Transaction(transaction)
    }
}

impl Opened<'_> {
    fn session(&mut self) -> &mut Session {
        match self {
            Opened::Own(session) => session,
            Opened::Lent(session) => session,
        }
    }

    pub(super) fn texts(&mut self) -> Arc<Texts> {
        Arc::clone(&self.session().texts)
    }

    /// The connection, for one statement, whose end must be told.
    pub(super) fn begin_statement(&mut self) -> Link<'_> {
        match &mut self.session().kind {
            Kind::Sqlite(connection) => Link::Sqlite(connection),
            Kind::SqliteTransaction(transaction) => Link::Sqlite(transaction),
            Kind::MySql(held) => Link::MySql(held.begin_statement()),
            Kind::Postgres(held) => Link::Postgres(held.begin_statement()),
        }
    }

    pub(super) fn end_statement(&mut self) {
        match &mut self.session().kind {
            Kind::Sqlite(_) | Kind::SqliteTransaction(_) => {}
            Kind::MySql(held) => held.is_busy = false,
            Kind::Postgres(held) => held.is_busy = false,
        }
    }
}

impl<DB: Server> Held<DB> {
    const fn new(connection: PoolConnection<DB>) -> Self {
        Self { connection: Some(connection), is_busy: false, is_in_transaction: false, is_locked: false }
    }

    fn begin_statement(&mut self) -> &mut DB::Connection {
        self.is_busy = true;
        self.connection.as_mut().expect("only dropping takes the connection")
    }

    const fn end_transaction(&mut self) {
        self.is_busy = false;
        self.is_in_transaction = false;
        self.is_locked = false;
    }
}

impl<DB: Server> Drop for Held<DB> {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        if self.is_busy || self.is_locked {
            connection.close_on_drop();
        } else if self.is_in_transaction {
            tokio::spawn(DB::roll_back(connection));
        }
    }
}

impl Server for MySql {
    async fn roll_back(mut connection: PoolConnection<Self>) {
        if sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await.is_err() {
            connection.close_on_drop();
        }
    }
}

impl Server for Postgres {
    async fn roll_back(mut connection: PoolConnection<Self>) {
        if sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await.is_err() {
            connection.close_on_drop();
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pool").field(&self.texts).finish()
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Session").field(&self.texts).finish()
    }
}
