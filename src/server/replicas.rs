//! One replica among several: what it changes it publishes, what others change it obeys at once.
//!
//! A heartbeat a second says that it lives and how far it has come, and hears what it missed; a message is followed by one
//! at once, so that whoever waits for all replicas need not wait for the second. While Redis is away nothing is published or
//! heard, and the looks into the database go on as if there were none.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt as _, StreamExt as _};
use tokio::{
    sync::{mpsc, watch},
    time::sleep,
};

use super::chores::{Chores, ended};
use crate::{
    metrics::RedisMetrics,
    store::{
        invalidations::{Board, Message, Position, Register, Step},
        redis::Messages,
        sql::Changed,
    },
};

/// Between two heartbeats.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// How long a replica counts as alive after one, at least.
const LIFETIME: Duration = Duration::from_secs(5);

/// Most changes in one publication.
const BATCH: usize = 256;

/// What this replica works with.
#[derive(Debug)]
pub(super) struct Replica {
    board: Arc<Board>,
    register: Register,
    metrics: RedisMetrics,
    /// What was announced here and is to be published.
    announced: mpsc::Receiver<Changed>,
}

impl Replica {
    /// A replica that counts as alive for longer than it takes to look into the database.
    pub(super) fn new(
        board: Board,
        (started, poll): (i64, Duration),
        metrics: RedisMetrics,
        announced: mpsc::Receiver<Changed>,
    ) -> Self {
        let register = Register {
            id: uuid::Uuid::now_v7().to_string(),
            lifetime: LIFETIME.max(poll * 3),
            started,
            version: env!("CARGO_PKG_VERSION"),
        };
        Self { board: Arc::new(board), register, metrics, announced }
    }

    /// Publishes and obeys until `drain` turns true.
    pub(super) fn start(self, chores: Chores, drain: &watch::Receiver<bool>) {
        let Self { board, register, metrics, announced } = self;
        tracing::info!(replica = register.id, "replica");
        let origin = register.id.clone();
        tokio::spawn(publish(Arc::clone(&board), origin, metrics.clone(), announced));
        let follower = Follower { board, register, metrics, chores, position: Position::default() };
        tokio::spawn(follower.run(drain.clone()));
    }
}

/// Publishes what is announced, as much at once as there is.
async fn publish(
    board: Arc<Board>,
    origin: String,
    metrics: RedisMetrics,
    mut announced: mpsc::Receiver<Changed>,
) {
    let mut changes = Vec::new();
    while announced.recv_many(&mut changes, BATCH).await > 0 {
        let count = changes.len() as u64;
        match board.publish(&origin, &changes).await {
            Ok(_) => metrics.published.inc_by(count),
            Err(error) => {
                metrics.unpublished.inc_by(count);
                tracing::warn!(error = %error, count, "other replicas are not told; they look into the store");
                count
            }
        };
        changes.clear();
    }
}

/// Obeys what others publish.
struct Follower {
    board: Arc<Board>,
    register: Register,
    metrics: RedisMetrics,
    chores: Chores,
    position: Position,
}

impl Follower {
    async fn run(mut self, mut drain: watch::Receiver<bool>) {
        let mut messages: Option<Messages> = None;
        loop {
            if messages.is_none() && self.board.link().is_up() {
                messages = self.board.listen().await.ok();
            }
            self.beat().await;
            tokio::select! {
                heard = next(&mut messages) => match heard {
                    Some(message) => self.hear(message, &mut messages).await,
                    None => {
                        messages = None;
                        sleep(HEARTBEAT / 10).await;
                    }
                },
                () = sleep(HEARTBEAT) => {}
                () = ended(&mut drain) => {
                    // Otherwise it counts as alive a few seconds longer.
                    let _ = self.board.leave(&self.register.id).await;
                    return;
                }
            }
        }
    }

    /// Obeys a message and whatever came with it. What is out of order is left to the heartbeat that follows.
    async fn hear(&mut self, first: redis::Msg, messages: &mut Option<Messages>) {
        let mut heard = Some(first);
        while let Some(message) = heard.as_ref().and_then(Board::message) {
            if !self.position.takes(&message) {
                if self.position.has(&message) {
                    heard = next(messages).now_or_never().flatten();
                    continue;
                }
                return;
            }
            self.obey(&message).await;
            self.measure(message.at).await;
            heard = next(messages).now_or_never().flatten();
        }
    }

    /// Says that this replica lives, and makes up for what it missed.
    async fn beat(&mut self) {
        let Ok(beat) = self.board.beat(&self.register, &self.position).await else { return };
        self.metrics.replicas.set(i64::try_from(beat.live).unwrap_or(i64::MAX));
        let oldest = match self.position.clone().after(&beat) {
            Step::Nothing => return,
            Step::Obey(missed) => {
                for message in &missed {
                    self.obey(message).await;
                }
                missed.first().map(|message| message.at)
            }
            Step::ForgetEveryone => {
                if self.position.mark().is_some() {
                    self.metrics.gaps.inc();
                    tracing::warn!(
                        "changes of other replicas may be missed; every cached caller is asked for again"
                    );
                }
                self.chores.forget_everyone().await;
                None
            }
        };
        // Only now: it counts as obeyed from here on.
        self.position.after(&beat);
        match oldest {
            Some(at) => self.measure(at).await,
            None => drop(self.board.beat(&self.register, &self.position).await),
        }
    }

    async fn obey(&self, message: &Message) {
        if message.origin == self.register.id {
            return;
        }
        match message.change {
            Some(change) => self.chores.obey(change).await,
            None => self.chores.forget_everyone().await,
        }
        self.metrics.applied.inc();
    }

    /// Says at once how far this replica has come, and takes the lag by the server's clock alone.
    async fn measure(&mut self, published_at: u64) {
        if let Ok(beat) = self.board.beat(&self.register, &self.position).await {
            let lag = Duration::from_millis(beat.now.saturating_sub(published_at));
            self.metrics.lag.set(lag.as_secs_f64());
        }
    }
}

/// The next message; none ever comes where nobody listens.
async fn next(messages: &mut Option<Messages>) -> Option<redis::Msg> {
    match messages {
        Some(messages) => messages.next().await,
        None => std::future::pending().await,
    }
}
