//! Running what was built, and ending it in order.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    thread::JoinHandle,
};

use tokio::{sync::watch, task::LocalSet};

use super::{
    app::App,
    listener, manager,
    pulse::{Pulse, Pulses},
    tls::AdminListener,
};
use crate::{
    admin::{self, AdminState},
    proxy::engine::{Backlog, Shared, Worker},
};

impl App {
    /// Serves until `stop` completes, goes on accepting for `listen.drain_delay`, then drains.
    ///
    /// # Errors
    /// When a thread or a runtime cannot be started; requests are refused by the kernel then, never half served.
    pub async fn run(self, stop: impl Future<Output = ()>) -> io::Result<()> {
        self.run_hurried(stop, std::future::pending()).await
    }

    /// The same; whenever `hurry` completes the delay is over.
    ///
    /// # Errors
    /// As [`App::run`].
    pub async fn run_hurried(
        self,
        stop: impl Future<Output = ()>,
        hurry: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let (drain, draining) = watch::channel(false);
        self.chores.start(&draining);
        if let Some(replica) = self.replica {
            replica.start(self.chores.clone(), &draining);
        }
        let status = status(&self.admin, self.proxy_address);
        let admin_listener = AdminListener::new(self.admin_listener, self.tls)?;
        let (end_admin, mut admin_ends) = watch::channel(false);
        let admin = tokio::spawn(admin::serve(admin_listener, self.admin, async move {
            let _ = admin_ends.wait_for(|ends| *ends).await;
        }));
        let (listeners, backlog) = self.listeners;
        let mut workers = Vec::with_capacity(listeners.len());
        let mut pulses = Pulses::new();
        for (number, listener) in listeners.into_iter().enumerate() {
            let listening = (listener, backlog);
            let kept = (pulses.add(), draining.clone());
            workers.push(start_worker(number, listening, &self.chores.rules, kept)?);
        }
        tracing::info!(proxy = %self.proxy_address, admin = %self.admin_address, workers = workers.len(), "serving");
        manager::serving();
        let attended = tokio::spawn(manager::attend(pulses, status));

        stop.await;
        manager::stopping();
        self.accepts.store(false, Ordering::Release);
        let delay = self.chores.rules.borrow().settings.drain_delay;
        if !delay.is_zero() {
            tracing::info!(delay_s = delay.as_secs_f64(), "not ready any more, still accepting");
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = hurry => {}
            }
        }
        tracing::info!("draining");
        let _ = drain.send(true);
        let joined = tokio::task::spawn_blocking(move || workers.into_iter().try_for_each(join)).await;
        let _ = end_admin.send(true);
        let _ = admin.await;
        if let Err(error) = self.chores.nonces.close() {
            tracing::error!(error = %error, "the nonce journal cannot be closed");
        }
        self.chores.observers.close().await;
        self.chores.audit.close().await;
        self.chores.store.close().await;
        attended.abort();
        tracing::info!("stopped");
        joined.map_err(io::Error::other)?
    }
}

/// How the gate stands, in a line.
fn status(admin: &AdminState, proxy: SocketAddr) -> impl Fn() -> String + Send + 'static {
    let (accepts, obstacle) = (Arc::clone(&admin.accepts), Arc::clone(&admin.obstacle));
    move || {
        if !accepts.load(Ordering::Acquire) {
            return "draining".to_owned();
        }
        obstacle().map_or_else(|| format!("serving on {proxy}"), |reason| format!("not ready: {reason}"))
    }
}

/// A thread with a runtime of its own: nothing that waits elsewhere can stall it.
fn start_worker(
    number: usize,
    (socket, backlog): (std::net::TcpListener, Backlog),
    rules: &watch::Receiver<Arc<Shared>>,
    (pulse, draining): (Pulse, watch::Receiver<bool>),
) -> io::Result<JoinHandle<io::Result<()>>> {
    let rules = rules.clone();
    std::thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        LocalSet::new().block_on(&runtime, async move {
            let listener = listener::adopt(socket)?;
            tokio::task::spawn_local(pulse.beat());
            Worker::new(rules).serve((listener, backlog), draining).await;
            Ok(())
        })
    })
}

fn join(worker: JoinHandle<io::Result<()>>) -> io::Result<()> {
    worker.join().map_err(|_panic| io::Error::other("a worker panicked"))?
}
