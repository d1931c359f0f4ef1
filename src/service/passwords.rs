//! Hashing passwords without letting anybody take the machine's memory or cores.
//!
//! A few workers, each with 64 MiB that it uses again; a bounded queue before them and a bounded wait in it. Who finds the
//! queue full is told to come back ([`ServiceError::Busy`]). A client that goes away leaves the queue; a hash under way
//! is finished, and its worker stays taken until then. When nobody waits, all but one worker's memory is given back.
//! A hash runs on a thread of its own, of lower priority: where cores are short, the traffic goes before guesses.
//!
//! Every check costs one current Argon2 hash at least: an account that does not exist or has no password is checked
//! against a hash that nobody has the password of, and an account whose MD5 or SHA-256 hash costs nothing pays one more.
//! Otherwise the time would say which addresses are customers and whose hash is worth stealing. It does not hide that a
//! hash that was upgraded without its password (`0:1:2`), and the count of a customer's own failures, cost some
//! microseconds more, and that a throttled name is refused without any hash, whether it is somebody's or not.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::{ServiceError, random};
use crate::{
    auth::{
        password::{PasswordHash, Workspace},
        secret::Secret,
    },
    metrics::PasswordMetrics,
};

/// Never equal to a digest of this form: the version says 32 bytes.
const DECOY: &str = "-:decoydecoydecoydecoydecoydecoyde:3_32_2_67108864";

/// Added to the niceness of a thread that hashes: a tenth of what the traffic weighs, so that sign-ins go on while traffic
/// takes every core. 19 would leave them a seventieth, and the figures do not tell the two apart.
#[cfg(target_os = "linux")]
const NICER: i32 = 10;

/// Bounds of the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordSettings {
    /// Hashes at once, 64 MiB each.
    pub workers: usize,
    /// Callers who may wait for a worker.
    pub queue: usize,
    /// How long one waits.
    pub max_wait: Duration,
}

impl Default for PasswordSettings {
    /// One core stays free for the traffic, where there are two: `benches/logins` has what that is worth.
    fn default() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let workers = cores.saturating_sub(1).max(1);
        Self { workers, queue: 64, max_wait: Duration::from_secs(5) }
    }
}

/// What a check of a password came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is the stored one.
    Right {
        /// Whether Magento would hash it anew.
        needs_upgrade: bool,
    },
    /// It is not, or nothing is stored.
    Wrong,
}

impl Verdict {
    /// What it says where the stored hash may have been replaced after it was read: of another hash, nothing good.
    pub(super) fn of(self, (read, now): (Option<&Secret<String>>, Option<&Secret<String>>)) -> Self {
        let is_same = match (read, now) {
            (Some(read), Some(now)) => read.equals(now.expose().as_bytes()),
            (_, None) | (None, _) => false,
        };
        if is_same { self } else { Self::Wrong }
    }
}

/// The workers of one process; cheap to clone.
#[derive(Debug, Clone)]
pub struct PasswordPool(Arc<Inner>);

struct Inner {
    settings: PasswordSettings,
    workers: Arc<Semaphore>,
    waiting: AtomicUsize,
    spare: Mutex<Vec<Workspace>>,
    crypt_key: Secret<Vec<u8>>,
    decoy: PasswordHash,
    metrics: PasswordMetrics,
}

impl PasswordPool {
    /// A pool whose workers are idle. `crypt_key` is the newest key of `crypt/key`, which the oldest stored forms are made
    /// with.
    #[must_use]
    pub fn new(settings: PasswordSettings, crypt_key: Secret<Vec<u8>>, metrics: PasswordMetrics) -> Self {
        let workers = Arc::new(Semaphore::new(settings.workers.max(1)));
        Self(Arc::new(Inner {
            settings,
            workers,
            waiting: AtomicUsize::new(0),
            spare: Mutex::default(),
            crypt_key,
            decoy: PasswordHash::parse(DECOY).expect("the decoy asks for what every new hash asks for"),
            metrics,
        }))
    }

    /// Checks a password against what is stored; `None` is an account that does not exist or has no password.
    ///
    /// # Errors
    /// [`ServiceError::Busy`] where no worker is free in time.
    pub async fn verify(
        &self,
        password: &Secret<String>,
        stored: Option<&Secret<String>>,
    ) -> Result<Verdict, ServiceError> {
        let stored = stored.and_then(|stored| match PasswordHash::parse(stored.expose()) {
            Ok(hash) => Some(hash),
            Err(error) => {
                tracing::warn!(%error, "a stored password hash is not checked");
                None
            }
        });
        let password = password.clone();
        self.run(move |inner, workspace| Some(inner.check(&password, stored.as_ref(), workspace))).await
    }

    /// Hashes a new password as Magento does today.
    ///
    /// # Errors
    /// As [`PasswordPool::verify`].
    pub async fn hash(&self, password: &Secret<String>) -> Result<Secret<String>, ServiceError> {
        let (password, salt) = (password.clone(), random::salt()?);
        self.run(move |_, workspace| PasswordHash::make(password.expose().as_bytes(), &salt, workspace)).await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner, &mut Workspace) -> Option<T> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let worker = self.0.worker().await.inspect_err(|_| _ = self.0.metrics.refused.inc())?;
        let inner = Arc::clone(&self.0);
        let (report, done) = oneshot::channel();
        // Not a blocking thread of the runtime: others use that again, and a lowered priority cannot be raised.
        let thread = thread::Builder::new().name("password".to_owned()).spawn(move || {
            give_way();
            // Nobody listens where the client went away.
            let _ = report.send(inner.work(worker, work));
        });
        if let Err(error) = thread {
            tracing::error!(%error, "no thread to hash a password on");
        }
        done.await.ok().flatten().ok_or_else(|| {
            tracing::error!("hashing a password broke");
            self.0.busy()
        })
    }
}

impl Inner {
    async fn worker(&self) -> Result<OwnedSemaphorePermit, ServiceError> {
        if let Ok(worker) = Arc::clone(&self.workers).try_acquire_owned() {
            return Ok(worker);
        }
        let _place = Place::take(self).ok_or_else(|| self.busy())?;
        let worker = Arc::clone(&self.workers).acquire_owned();
        match tokio::time::timeout(self.settings.max_wait, worker).await {
            Ok(Ok(worker)) => Ok(worker),
            Ok(Err(_)) | Err(_) => Err(self.busy()),
        }
    }

    /// The memory and the gauge go back before the worker's place does, so that there is never more than workers of either.
    fn work<T>(
        &self,
        worker: OwnedSemaphorePermit,
        work: impl FnOnce(&Self, &mut Workspace) -> Option<T>,
    ) -> Option<T> {
        let running = Raised::by_one(&self.metrics.running);
        let started = Instant::now();
        let mut workspace = self.spare().pop().unwrap_or_default();
        let result = work(self, &mut workspace);
        self.metrics.seconds.observe(started.elapsed().as_secs_f64());
        self.put_back(workspace);
        drop(running);
        drop(worker);
        result
    }

    /// Keeps the memory where it will be needed again soon; all but one worker's is given back in quiet times.
    fn put_back(&self, workspace: Workspace) {
        let mut spare = self.spare();
        if spare.is_empty() || self.waiting.load(Ordering::Relaxed) > 0 {
            spare.push(workspace);
        } else {
            spare.truncate(1);
        }
    }

    fn check(
        &self,
        password: &Secret<String>,
        stored: Option<&PasswordHash>,
        workspace: &mut Workspace,
    ) -> Verdict {
        let (password, crypt_key) = (password.expose().as_bytes(), self.crypt_key.expose());
        let is_right = stored.is_some_and(|hash| hash.verifies(password, crypt_key, workspace));
        if !stored.is_some_and(PasswordHash::is_dear) {
            // Its answer is of no interest; the optimizer cannot know that a digest is never `-`.
            let _ = std::hint::black_box(self.decoy.verifies(password, crypt_key, workspace));
        }
        match stored {
            Some(hash) if is_right => Verdict::Right { needs_upgrade: hash.needs_upgrade() },
            Some(_) | None => Verdict::Wrong,
        }
    }

    fn spare(&self) -> std::sync::MutexGuard<'_, Vec<Workspace>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn busy(&self) -> ServiceError {
        let seconds = u32::try_from(self.settings.max_wait.as_secs()).unwrap_or(u32::MAX);
        ServiceError::Busy { retry_after: seconds.max(1) }
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordPool").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Lowers the priority of the current thread. Linux has one for each thread (setpriority(2)); elsewhere it would be the
/// whole process's.
fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICER) {
        tracing::debug!(%error, "a password is hashed at the priority of the traffic");
    }
}

/// A place in the queue, given up when dropped.
struct Place<'a>(&'a Inner);

impl<'a> Place<'a> {
    fn take(inner: &'a Inner) -> Option<Self> {
        let place = |taken| (taken < inner.settings.queue).then_some(taken + 1);
        inner.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, place).ok()?;
        inner.metrics.waiting.inc();
        Some(Self(inner))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
        self.0.metrics.waiting.dec();
    }
}

/// A gauge that stands one higher until this is dropped, by a panic too.
struct Raised<'a>(&'a prometheus_client::metrics::gauge::Gauge);

impl<'a> Raised<'a> {
    fn by_one(gauge: &'a prometheus_client::metrics::gauge::Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Raised<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::{metrics::Metrics, service::testing::secret};

    fn pool(workers: usize, queue: usize, max_wait: Duration) -> (PasswordPool, PasswordMetrics) {
        let metrics = Metrics::new().passwords;
        let settings = PasswordSettings { workers, queue, max_wait };
        let key = Secret::new(b"0123456789abcdef0123456789abcdef".to_vec());
        (PasswordPool::new(settings, key, metrics.clone()), metrics)
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn a_password_is_right_or_wrong_and_nothing_stored_is_wrong() {
        let (pool, _) = pool(2, 8, 60 * SECOND);
        let current = pool.hash(&secret("Passw0rd!")).await.unwrap();
        let again = pool.hash(&secret("Passw0rd!")).await.unwrap();
        assert_ne!(current.expose(), again.expose(), "each hash has a salt of its own");
        let old = secret("a4383d17c440a6fb97868c84cdc7453c:aa:0");
        let costly = secret("00:aa:3_32_2_4294967296");
        for (password, stored, verdict) in [
            ("Passw0rd!", Some(&current), Verdict::Right { needs_upgrade: false }),
            ("passw0rd!", Some(&current), Verdict::Wrong),
            ("Password1", Some(&old), Verdict::Right { needs_upgrade: true }),
            ("Password2", Some(&old), Verdict::Wrong),
            ("Password1", Some(&costly), Verdict::Wrong),
            ("Password1", None, Verdict::Wrong),
        ] {
            assert_eq!(pool.verify(&secret(password), stored).await.unwrap(), verdict, "{password}");
        }
    }

    #[tokio::test]
    async fn an_account_that_does_not_exist_costs_as_much_as_one_that_does() {
        let current = pool(1, 8, 60 * SECOND).0.hash(&secret("Passw0rd!")).await.unwrap();
        let old = secret("a4383d17c440a6fb97868c84cdc7453c:aa:0");
        for stored in [Some(&current), Some(&old), None] {
            let (pool, _) = pool(1, 8, 60 * SECOND);
            pool.verify(&secret("wrong"), stored).await.unwrap();
            let spare = pool.0.spare();
            assert_eq!(spare[0].kibibytes(), 64 * 1024, "the memory of a current hash was used: {stored:?}");
        }
    }

    /// A login that waited was let in by the password that had been replaced meanwhile.
    #[test]
    fn a_hash_that_was_replaced_proves_nothing() {
        let (old, new) = (secret("78:aa:1"), secret("79:aa:1"));
        let right = Verdict::Right { needs_upgrade: true };
        for (read, now, expected) in [
            (Some(&old), Some(&old), right),
            (Some(&old), Some(&new), Verdict::Wrong),
            (Some(&old), None, Verdict::Wrong),
            (None, None, Verdict::Wrong),
        ] {
            assert_eq!(right.of((read, now)), expected);
        }
    }

    #[tokio::test]
    async fn who_finds_the_queue_full_is_sent_away_and_who_leaves_makes_room() {
        let (pool, metrics) = pool(1, 1, 60 * SECOND);
        let worker = pool.0.worker().await.unwrap();
        let password = secret("x");
        let mut queued = Box::pin(pool.verify(&password, None));
        assert!((&mut queued).now_or_never().is_none());
        assert_eq!(metrics.waiting.get(), 1);
        let refused = pool.verify(&secret("x"), None).await;
        assert!(matches!(refused, Err(ServiceError::Busy { retry_after: 60 })), "{refused:?}");
        assert_eq!(metrics.refused.get(), 1);
        drop(queued);
        assert_eq!(metrics.waiting.get(), 0);
        drop(worker);
        assert_eq!(pool.verify(&secret("x"), None).await.unwrap(), Verdict::Wrong);
        assert_eq!((metrics.running.get(), metrics.waiting.get()), (0, 0));
    }

    #[tokio::test]
    async fn the_wait_is_bounded() {
        let (pool, metrics) = pool(1, 8, Duration::from_millis(20));
        let _worker = pool.0.worker().await.unwrap();
        let refused = pool.verify(&secret("x"), None).await;
        assert!(matches!(refused, Err(ServiceError::Busy { retry_after: 1 })), "{refused:?}");
        assert_eq!(metrics.waiting.get(), 0);
    }

    #[tokio::test]
    async fn memory_is_used_again_and_given_back_when_nobody_waits() {
        let (pool, metrics) = pool(2, 8, 60 * SECOND);
        let (password, stored) = (secret("x"), None);
        let checks = (0..6).map(|_| pool.verify(&password, stored));
        for verdict in futures_util::future::join_all(checks).await {
            assert_eq!(verdict.unwrap(), Verdict::Wrong);
        }
        assert!(pool.0.spare().len() <= 2);
        pool.verify(&password, stored).await.unwrap();
        assert_eq!(pool.0.spare().len(), 1);
        assert_eq!(metrics.running.get(), 0);
    }
}
