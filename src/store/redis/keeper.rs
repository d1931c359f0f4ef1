//! Keeping the connection: one task a process makes it, looks after it and makes it again.
//!
//! Attempts are spaced by a pause that doubles up to a bound, each shortened by chance, so that replicas which lost Redis
//! together do not come back together. Where nothing else is sent a command a second finds out that the server is gone, and
//! where sentinels watch, that the master is another one: a master cut off from the others would still answer us.

use std::{sync::Arc, time::Duration};

use rand::RngExt as _;
use tokio::time::{sleep, timeout};

use super::{
    connect::{CONNECT_TIMEOUT, Connected, Route},
    error::LinkError,
    link::Core,
};

/// The first pause between two attempts.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);

/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Between two looks whether the server is there.
const BEAT: Duration = Duration::from_secs(1);

/// Looks that may fail in a row.
const MISSED_BEATS: u32 = 2;

/// Keeps the link connected until its last user is gone.
pub(super) async fn keep(core: Arc<Core>) {
    let mut was_connected = false;
    let mut has_complained = false;
    let mut pause = SHORTEST_PAUSE;
    loop {
        match connect(&core.route).await {
            Ok(connected) => {
                if was_connected {
                    core.metrics.reconnects.inc();
                }
                tracing::info!("Redis connected");
                (was_connected, has_complained, pause) = (true, false, SHORTEST_PAUSE);
                let master = connected.master.clone();
                core.connected(connected.wire);
                let reason = watch(&core, master).await;
                core.disconnected();
                tracing::warn!(reason, "Redis lost; what needs it is refused until it is back");
            }
            Err(error) => {
                if !has_complained {
                    tracing::warn!(error = %error, "Redis cannot be reached; it is tried again and again");
                }
                has_complained = true;
            }
        }
        let share = rand::rng().random_range(0.5..1.0);
        sleep(pause.mul_f64(share)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn connect(route: &Route) -> Result<Connected, LinkError> {
    // Sentinels are asked one after another.
    let attempts = match route {
        Route::Single(_) => 2,
        Route::Sentinel { sentinels, .. } => 2 + 2 * u32::try_from(sentinels.len()).unwrap_or(1),
        Route::Cluster { .. } => 4,
    };
    timeout(CONNECT_TIMEOUT * attempts, route.connect()).await.unwrap_or(Err(LinkError::Timeout))
}

/// Completes with the reason when the connection is of no more use.
async fn watch(core: &Core, master: Option<(String, u16)>) -> &'static str {
    let mut missed = 0;
    loop {
        tokio::select! {
            () = core.broken() => return "the connection broke or does not answer",
            () = sleep(BEAT) => {}
        }
        match core.ping().await {
            Ok(()) => missed = 0,
            Err(error) if error.is_of_the_connection() => return "the connection broke",
            Err(_late) => missed += 1,
        }
        if missed >= MISSED_BEATS {
            return "it does not answer";
        }
        if let Some(known) = &master
            && let Ok(Ok(named)) = timeout(CONNECT_TIMEOUT, core.route.master()).await
            && named != *known
        {
            return "another master was named";
        }
    }
}
