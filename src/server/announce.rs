//! What a command at the shell tells running replicas, and how it waits for them.
//!
//! A command changes the store; which subjects that concerned, the store's own feed says. So whatever a command did is told,
//! and something else that happened meanwhile may be told twice, which costs a lookup.

use std::{sync::PoisonError, time::Duration};

use super::operator::Operator;
use crate::store::{
    StoreError,
    invalidations::Mark,
    redis::LinkError,
    sql::{Changed, Changes},
};

/// How long Redis may take to be connected.
const PATIENCE: Duration = Duration::from_secs(2);

/// Changes beyond this are not told one by one; gates find them in the store.
const MOST: usize = 10_000;

/// Whom a command's changes come from; no replica has this name.
const SHELL: &str = "shell";

/// Why running replicas are not told.
#[derive(Debug, thiserror::Error)]
pub enum AnnounceError {
    /// No Redis is configured.
    #[error("no [redis] is configured, so running gates cannot be asked")]
    NotShared,
    /// Redis does not answer.
    #[error("{0}")]
    Link(#[from] LinkError),
    /// The store does not say what changed.
    #[error("{0}")]
    Store(#[from] StoreError),
}

impl Operator {
    /// Whether replicas can be told at all.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        self.board.is_some()
    }

    /// Tells running replicas what changed since the last call, and answers the mark of that; `None` where nothing did.
    ///
    /// # Errors
    /// [`AnnounceError`]; replicas notice by themselves then.
    pub async fn announce(&self) -> Result<Option<Mark>, AnnounceError> {
        let board = self.board.as_ref().ok_or(AnnounceError::NotShared)?;
        let changes = self.changes().await?;
        if changes.is_empty() {
            return Ok(None);
        }
        if !board.link().connected_within(PATIENCE).await {
            return Err(LinkError::Down.into());
        }
        Ok(Some(board.publish(SHELL, &changes).await?))
    }

    /// Waits until every live replica has obeyed what was announced, or, where nothing was, whatever came last; answers the names of those that had not when time was up.
    ///
    /// # Errors
    /// [`AnnounceError`] where nobody can say.
    pub async fn wait_for_replicas(
        &self,
        announced: Option<Mark>,
        patience: Duration,
    ) -> Result<Vec<String>, AnnounceError> {
        let board = self.board.as_ref().ok_or(AnnounceError::NotShared)?;
        let mark = match announced {
            Some(mark) => mark,
            None => board.publish(SHELL, &[]).await?,
        };
        Ok(board.wait(&mark, patience).await?)
    }

    /// What changed in the store since the last call.
    async fn changes(&self) -> Result<Vec<Changed>, StoreError> {
        let known = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // A store without a feed says so itself.
        let mut seen = match known {
            Some(seen) => seen,
            None => self.store.change_mark().await?,
        };
        let mut found = Vec::new();
        while found.len() < MOST {
            match self.store.changes_since(seen).await? {
                Changes::None => break,
                Changes::Rewound(mark) => seen = mark,
                Changes::Some(changes, mark) => {
                    found.extend(changes);
                    seen = mark;
                }
            }
        }
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
        Ok(found)
    }
}
