//! The link: one connection that everybody shares, with a limit in time and in number for every command.
//!
//! Commands are carried by the store's runtime, whoever awaits them: a caller that goes away neither ends its command nor
//! frees its place early. Several late answers in a row count as a lost connection, so that a server that hangs costs each
//! request its timeout only for a moment.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Instant,
};

use arc_swap::ArcSwapOption;
use futures_util::FutureExt as _;
use redis::{Cmd, ErrorKind, FromRedisValue, ServerErrorKind, Value, aio::PubSubStream};
use tokio::{
    runtime::Handle,
    sync::{Notify, Semaphore},
    task::JoinHandle,
    time::timeout,
};

use super::{
    connect::{CONNECT_TIMEOUT, Route, Wire},
    error::LinkError,
    keeper::keep,
    script::LinkScript,
    settings::{LinkHome, LinkSettings},
};
use crate::metrics::{CommandLabel, RedisMetrics};

/// Late answers in a row that make a connection a lost one.
const LATE_IN_A_ROW: u32 = 5;

/// Messages of a subscription, as they come; its end is the connection's.
pub type Messages = PubSubStream;

/// The way to Redis; cheap to clone. The connection ends with the last clone.
#[derive(Clone)]
pub struct Link(Arc<Inner>);

struct Inner {
    core: Arc<Core>,
    keeper: JoinHandle<()>,
    runtime: Handle,
    prefix: String,
    is_cluster: bool,
}

/// What the keeper and the commands share.
pub(super) struct Core {
    pub(super) route: Route,
    pub(super) metrics: RedisMetrics,
    wire: ArcSwapOption<Wire>,
    broken: Notify,
    /// Told at every change of being connected.
    changed: Notify,
    late: AtomicU32,
    permits: Arc<Semaphore>,
    settings: LinkSettings,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("is_up", &self.is_up()).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.keeper.abort();
        self.core.metrics.connected.set(0);
    }
}

impl Link {
    /// A link that begins to connect at once, on `runtime`, and stays so; Redis may be away.
    ///
    /// # Errors
    /// [`LinkError::Settings`] where the settings make no address.
    pub fn open(settings: LinkSettings, metrics: RedisMetrics, runtime: Handle) -> Result<Self, LinkError> {
        let route = Route::new(&settings).map_err(|_| LinkError::Settings)?;
        let prefix = settings.prefix.clone();
        let is_cluster = matches!(settings.home, LinkHome::Cluster { .. });
        let core = Arc::new(Core {
            route,
            metrics,
            wire: ArcSwapOption::empty(),
            broken: Notify::new(),
            changed: Notify::new(),
            late: AtomicU32::new(0),
            permits: Arc::new(Semaphore::new(settings.max_in_flight)),
            settings,
        });
        let keeper = runtime.spawn(keep(Arc::clone(&core)));
        Ok(Self(Arc::new(Inner { core, keeper, runtime, prefix, is_cluster })))
    }

    /// Whether Redis is connected: a command may be answered.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.0.core.wire.load().is_some()
    }

    /// Whether keys are spread over several servers.
    #[must_use]
    pub fn is_cluster(&self) -> bool {
        self.0.is_cluster
    }

    /// Waits until Redis is connected, or until `patience` is over; says which.
    pub async fn connected_within(&self, patience: std::time::Duration) -> bool {
        let wait = async {
            loop {
                let changed = self.0.core.changed.notified();
                if self.is_up() {
                    return;
                }
                changed.await;
            }
        };
        timeout(patience, wait).await.is_ok()
    }

    /// The key of a name: the prefix and the name.
    #[must_use]
    pub fn key(&self, name: &str) -> String {
        format!("{}{name}", self.0.prefix)
    }

    /// The key of a name that a cluster keeps beside all others of the same tag, so that one script may use them.
    #[must_use]
    pub fn tagged(&self, tag: &str, name: &str) -> String {
        format!("{}{{{tag}}}:{name}", self.0.prefix)
    }

    /// Sends a command and waits for its answer, no longer than `redis.timeout`.
    ///
    /// # Errors
    /// [`LinkError`]; only [`LinkError::Down`] and [`LinkError::Overloaded`] prove that the command was not sent, and
    /// [`LinkError::Full`] and [`LinkError::ReadOnly`] that it changed nothing.
    pub async fn run<T: FromRedisValue>(&self, command: Cmd) -> Result<T, LinkError> {
        let core = Arc::clone(&self.0.core);
        let answer = self.on_runtime(async move { core.command(&command).await }).await?;
        T::from_redis_value(answer).map_err(|_| LinkError::Refused("answer"))
    }

    /// Has a script carried out. Its text is sent only where the server does not know it yet.
    ///
    /// # Errors
    /// As [`Link::run`].
    pub async fn script<T: FromRedisValue>(
        &self,
        script: &LinkScript,
        keys: &[&[u8]],
        arguments: &[&[u8]],
    ) -> Result<T, LinkError> {
        let (by_digest, by_text) = (script.by_digest(keys, arguments), script.by_text(keys, arguments));
        let core = Arc::clone(&self.0.core);
        let answer = self.on_runtime(async move { core.script(&by_digest, &by_text).await }).await?;
        T::from_redis_value(answer).map_err(|_| LinkError::Refused("answer"))
    }

    /// Listens to a channel, on a connection of its own.
    ///
    /// # Errors
    /// [`LinkError`] where it cannot be made.
    pub async fn subscribe(&self, channel: &str) -> Result<Messages, LinkError> {
        let core = Arc::clone(&self.0.core);
        let channel = channel.to_owned();
        let subscribe = async move {
            let mut connection = core.route.subscriber().await?;
            connection.subscribe(channel).await?;
            Ok(connection.into_on_message())
        };
        let spawned = self.0.runtime.spawn(timeout(CONNECT_TIMEOUT * 4, subscribe));
        spawned.await.map_err(|_| LinkError::Broken)?.unwrap_or(Err(LinkError::Timeout))
    }

    async fn on_runtime(
        &self,
        command: impl Future<Output = Result<Value, LinkError>> + Send + 'static,
    ) -> Result<Value, LinkError> {
        let metrics = &self.0.core.metrics;
        let began = Instant::now();
        let answer = self.0.runtime.spawn(command).await.unwrap_or(Err(LinkError::Broken));
        let outcome = match &answer {
            Ok(_) => {
                metrics.seconds.observe(began.elapsed().as_secs_f64());
                "ok"
            }
            Err(error) => error.outcome(),
        };
        metrics.commands.get_or_create(&CommandLabel { outcome }).inc();
        answer
    }
}

impl Core {
    /// A connection is there.
    pub(super) fn connected(&self, wire: Wire) {
        self.late.store(0, Ordering::Relaxed);
        // What was said of the last connection does not hold for this one.
        let _ = self.broken.notified().now_or_never();
        self.wire.store(Some(Arc::new(wire)));
        self.metrics.connected.set(1);
        self.changed.notify_waiters();
    }

    /// It is gone; commands fail from now on.
    pub(super) fn disconnected(&self) {
        self.wire.store(None);
        self.metrics.connected.set(0);
        self.changed.notify_waiters();
    }

    /// Completes when somebody found the connection to be of no use.
    pub(super) async fn broken(&self) {
        self.broken.notified().await;
    }

    /// Whether the server answers.
    pub(super) async fn ping(&self) -> Result<(), LinkError> {
        self.in_time(&redis::cmd("PING")).await.map(drop).map_err(|failure| failure.error)
    }

    async fn command(&self, command: &Cmd) -> Result<Value, LinkError> {
        let _permit = self.permits.try_acquire().map_err(|_| LinkError::Overloaded)?;
        self.in_time(command).await.map_err(|failure| failure.error)
    }

    async fn script(&self, by_digest: &Cmd, by_text: &Cmd) -> Result<Value, LinkError> {
        let _permit = self.permits.try_acquire().map_err(|_| LinkError::Overloaded)?;
        match self.in_time(by_digest).await {
            // Not carried out, so this is no repetition.
            Err(Failure { is_unknown_script: true, .. }) => {
                self.in_time(by_text).await.map_err(|failure| failure.error)
            }
            answer => answer.map_err(|failure| failure.error),
        }
    }

    async fn in_time(&self, command: &Cmd) -> Result<Value, Failure> {
        let Some(wire) = self.wire.load_full() else { return Err(LinkError::Down.into()) };
        let mut own = Wire::clone(&wire);
        let failure = match timeout(self.settings.timeout, own.send(command)).await {
            Ok(Ok(answer)) => {
                self.late.store(0, Ordering::Relaxed);
                return Ok(answer);
            }
            Ok(Err(error)) => Failure {
                error: LinkError::from(&error),
                is_unknown_script: error.kind() == ErrorKind::Server(ServerErrorKind::NoScript),
            },
            Err(_late) => LinkError::Timeout.into(),
        };
        self.judge(&wire, failure.error);
        Err(failure)
    }

    /// Gives the connection up where the failure says so; a failure of one that is gone already says nothing of this one.
    fn judge(&self, wire: &Arc<Wire>, error: LinkError) {
        let is_late = error == LinkError::Timeout;
        let is_lost = match **wire {
            Wire::One(_) => error.is_of_the_connection(),
            // It mends itself where one of many nodes is gone.
            Wire::Cluster(_) => false,
        };
        let counts = is_late || error.is_of_the_connection();
        let late = if counts { self.late.fetch_add(1, Ordering::Relaxed) + 1 } else { 0 };
        if !is_lost && late < LATE_IN_A_ROW {
            return;
        }
        let current = self.wire.load();
        if current.as_ref().is_some_and(|current| Arc::ptr_eq(current, wire)) {
            self.broken.notify_one();
        }
    }
}

/// Why a command failed, and whether that was for want of a script's text.
struct Failure {
    error: LinkError,
    is_unknown_script: bool,
}

impl From<LinkError> for Failure {
    fn from(error: LinkError) -> Self {
        Self { error, is_unknown_script: false }
    }
}
