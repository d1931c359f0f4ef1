//! Running what was built, and ending it in order.

use std::{
    future::Future,
    io,
    sync::{Arc, atomic::Ordering},
    thread::JoinHandle,
};

use tokio::{sync::watch, task::LocalSet};

use super::{app::App, listener, tls::AdminListener};
use crate::{
    admin,
    proxy::engine::{Shared, Worker},
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
        let admin_listener = AdminListener::new(self.admin_listener, self.tls)?;
        let (end_admin, mut admin_ends) = watch::channel(false);
        let admin = tokio::spawn(admin::serve(admin_listener, self.admin, async move {
            let _ = admin_ends.wait_for(|ends| *ends).await;
        }));
        let mut workers = Vec::with_capacity(self.listeners.len());
        for (number, listener) in self.listeners.into_iter().enumerate() {
            workers.push(start_worker(number, listener, &self.chores.rules, draining.clone())?);
        }
        tracing::info!(proxy = %self.proxy_address, admin = %self.admin_address, workers = workers.len(), "serving");

        stop.await;
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
        self.chores.audit.close().await;
        self.chores.store.close().await;
        tracing::info!("stopped");
        joined.map_err(io::Error::other)?
    }
}

/// A thread with a runtime of its own: nothing that waits elsewhere can stall it.
fn start_worker(
    number: usize,
    socket: std::net::TcpListener,
    rules: &watch::Receiver<Arc<Shared>>,
    draining: watch::Receiver<bool>,
) -> io::Result<JoinHandle<io::Result<()>>> {
    let rules = rules.clone();
    std::thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        LocalSet::new().block_on(&runtime, async move {
            let listener = listener::adopt(socket)?;
            Worker::new(rules).serve(listener, draining).await;
            Ok(())
        })
    })
}

fn join(worker: JoinHandle<io::Result<()>>) -> io::Result<()> {
    worker.join().map_err(|_panic| io::Error::other("a worker panicked"))?
}
