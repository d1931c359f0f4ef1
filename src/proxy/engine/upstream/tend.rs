//! What goes on beside the requests: questions about health, and names resolved again. Runs on the gate's own runtime, never
//! on a worker, and follows each reload.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::{sync::watch, task::JoinSet};

use super::{endpoint::Endpoint, fleet::Fleet, probe};
use crate::proxy::engine::Shared;

/// How long a name server may take.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Looks after the endpoints in force until `end` completes.
pub async fn tend(mut rules: watch::Receiver<Arc<Shared>>, end: impl Future<Output = ()>) {
    let tending = async {
        loop {
            let fleet = Arc::clone(&rules.borrow_and_update().upstream);
            // Dropped, and with it its tasks, when another one is in force.
            let tasks = start(&fleet);
            loop {
                if rules.changed().await.is_err() {
                    return;
                }
                if !Arc::ptr_eq(&fleet, &rules.borrow_and_update().upstream) {
                    break;
                }
            }
            drop(tasks);
        }
    };
    tokio::select! {
        () = tending => {}
        () = end => {}
    }
}

fn start(fleet: &Fleet) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for member in &fleet.members {
        let endpoint = &member.endpoint;
        match &fleet.settings.probe {
            Some(probe) => {
                tasks.spawn(probe::ask_on(Arc::clone(endpoint), Arc::clone(probe)));
            }
            // Nobody would find it well again.
            None => {
                endpoint.vitals.found(true, super::vitals::now());
            }
        }
        if endpoint.is_named() {
            tasks.spawn(follow_name(Arc::clone(endpoint), fleet.settings.resolve_interval));
        }
    }
    tasks
}

/// Resolves a name again and again. What was known stays in force where nobody answers.
async fn follow_name(endpoint: Arc<Endpoint>, interval: Duration) {
    let name = Arc::clone(&endpoint.settings.name);
    let mut is_told = false;
    loop {
        match tokio::time::timeout(RESOLVE_TIMEOUT, endpoint.resolve()).await {
            Ok(Ok(is_changed)) => {
                if is_changed || is_told {
                    tracing::info!(endpoint = &*name, "the endpoint's name was resolved");
                }
                is_told = false;
            }
            Ok(Err(_)) | Err(_) if is_told => {}
            Ok(Err(error)) => {
                tracing::warn!(endpoint = &*name, error = %error, "the endpoint's name cannot be resolved");
                is_told = true;
            }
            Err(_elapsed) => {
                tracing::warn!(endpoint = &*name, "the endpoint's name was not resolved in time");
                is_told = true;
            }
        }
        tokio::time::sleep(interval).await;
    }
}
