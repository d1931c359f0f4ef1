//! From a store that was named to one that is served from.
//!
//! A store is proven when it answers, has the schema that this version knows, holds secrets that the crypt key opens, has
//! the declared integrations, and its tables were read. What is wrong at the first look ends the start. A store that is
//! silent may come back: then the gate starts, answers 503 where it would need the store, and looks again until the
//! proof is complete. Whatever is found wrong later is said loudly and never served from.

use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::{
    chores::{self, ended},
    configured,
    error::BuildError,
    reload::Reloader,
    standing::{Part, Standing},
    store_watch::Seen,
    wire,
};
use crate::clock::Seldom;

/// Between two looks; with the longest look of [`LOOK_TIMEOUT`] recovery stays below five seconds.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// The longest look. SQLite's own waits are shorter.
pub(super) const LOOK_TIMEOUT: Duration = Duration::from_secs(3);

/// How often the same complaint is repeated.
const COMPLAIN_AGAIN: Duration = Duration::from_secs(60);

/// A proof, complete or not.
#[derive(Debug, Clone)]
pub(super) struct Proof {
    reloader: Reloader,
    standing: Standing,
    /// From where changes are to be followed, once it is complete.
    mark: Option<Seen>,
}

impl Proof {
    /// Goes on from the look that named the store: one that holds is read, one that is silent is waited for.
    ///
    /// # Errors
    /// Whatever is wrong and will not mend itself.
    pub(super) async fn begin(
        reloader: Reloader,
        standing: Standing,
        silence: Option<BuildError>,
    ) -> Result<Self, BuildError> {
        let looked = match silence {
            Some(silence) => Err(silence),
            None => read(&reloader).await,
        };
        let mark = match looked {
            Ok(mark) => {
                standing.start();
                Some(mark)
            }
            Err(error) if error.is_outage() => {
                tracing::warn!(error = %error, "the store does not answer; waiting for it");
                standing.tell(Part::Store, Some(obstacle(&error)));
                None
            }
            Err(error) => return Err(error),
        };
        Ok(Self { reloader, standing, mark })
    }

    /// Looks until the proof is complete; `None` if the gate drains before.
    pub(super) async fn complete(self, drain: &mut watch::Receiver<bool>) -> Option<Seen> {
        let (began, mut complained) = (Instant::now(), Complaint::none());
        let mut mark = self.mark;
        while mark.is_none() {
            tokio::select! {
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
                () = ended(drain) => return None,
            }
            match look(&self.reloader).await {
                Ok(found) => {
                    tracing::warn!(waited_ms = began.elapsed().as_millis(), "the store is there; serving");
                    mark = Some(found);
                }
                Err(error) => {
                    let obstacle = obstacle(&error);
                    complained.tell(&obstacle, error.is_outage());
                    self.standing.tell(Part::Store, Some(obstacle));
                }
            }
        }
        self.standing.tell(Part::Store, None);
        self.standing.start();
        mark
    }
}

/// Everything that is to be proven, in this order: nothing is read into the tables before the rest holds.
async fn look(reloader: &Reloader) -> Result<Seen, BuildError> {
    let facts = reloader.rules().borrow().facts.clone();
    let config = reloader.running().await;
    in_time(wire::prove(&config, facts.store(), &facts.judge().encryptor)).await?;
    Box::pin(read(reloader)).await
}

/// Reads what a store holds that answers, has our schema and opens with the key. Nothing is cached before the mark.
async fn read(reloader: &Reloader) -> Result<Seen, BuildError> {
    let shared = reloader.rules().borrow().clone();
    let (facts, store) = (&shared.facts, shared.facts.store());
    let config = reloader.running().await;
    let mark = in_time(async { Ok(Seen::now(store).await?) }).await?;
    configured::apply(&config, &reloader.unremembering_integrations().await).await?;
    in_time(async { Ok(chores::read_tables(store, facts.settings(), &shared.pipeline.reference).await?) })
        .await?;
    facts.trust();
    Ok(mark)
}

/// A look that does not take forever.
pub(super) async fn in_time<T>(look: impl Future<Output = Result<T, BuildError>>) -> Result<T, BuildError> {
    tokio::time::timeout(LOOK_TIMEOUT, look).await.unwrap_or(Err(BuildError::StoreSilent))
}

/// What an operator reads on the page of readiness: the URL may hold a password and stays out.
fn obstacle(error: &BuildError) -> String {
    let cause =
        if let BuildError::Open { source, .. } = error { source.to_string() } else { error.to_string() };
    if error.is_outage() {
        return format!("the store does not answer yet: {cause}");
    }
    format!("the store cannot be used: {cause}")
}

/// What was complained of last, and when it may be again.
struct Complaint {
    obstacle: String,
    again: Seldom,
}

impl Complaint {
    const fn none() -> Self {
        Self { obstacle: String::new(), again: Seldom::every(COMPLAIN_AGAIN) }
    }

    fn tell(&mut self, obstacle: &str, is_outage: bool) {
        if self.obstacle != obstacle {
            *self = Self { obstacle: obstacle.to_owned(), ..Self::none() };
        }
        if !self.again.is_due() {
            return;
        }
        if is_outage {
            tracing::warn!(obstacle, "still waiting for the store");
        } else {
            tracing::error!(
                obstacle,
                "the store that came up is not the right one; nothing is served from it"
            );
        }
    }
}
