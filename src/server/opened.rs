//! The store, proven to open with the configured key, and the tables that every decision needs: what a gate, an explainer and
//! an operator at the shell all begin with. A gate may begin before its store is there; the others wait for nothing.

use std::sync::Arc;

use super::{chores, error::BuildError, proof, wire};
use crate::{
    auth::acl::AclTree,
    config::Config,
    store::{judge::Judge, reference::ReferenceTables, sql::SqlStore},
};

/// An open store and how its rows are judged.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) store: SqlStore,
    pub(super) judge: Judge,
    pub(super) reference: Arc<ReferenceTables>,
}

impl Opened {
    /// Opens the store that the configuration names and reads its settings, stores, roles and rules.
    pub(super) async fn open(config: &Config, tree: &Arc<AclTree>) -> Result<Self, BuildError> {
        let settings = wire::settings(config);
        let judge = wire::judge(config, &settings)?;
        let store = wire::open_store(config, &judge.encryptor).await?;
        let reference = Arc::new(ReferenceTables::new(wire::reference(config, tree)));
        chores::read_tables(&store, &settings, &reference).await?;
        Ok(Self { store, judge, reference })
    }

    /// Names the store and looks into it once, reading no table: `Proof` goes on from here. Answers also the silence that it
    /// met, if it met one.
    pub(super) async fn begin(
        config: &Config,
        tree: &Arc<AclTree>,
    ) -> Result<(Self, Option<BuildError>), BuildError> {
        let settings = wire::settings(config);
        let judge = wire::judge(config, &settings)?;
        let store = wire::name_store(config).await?;
        let silence = match proof::in_time(wire::prove(config, &store, &judge.encryptor)).await {
            Ok(()) => None,
            Err(error) if error.is_outage() => Some(error),
            Err(error) => return Err(error),
        };
        let reference = Arc::new(ReferenceTables::new(wire::reference(config, tree)));
        Ok((Self { store, judge, reference }, silence))
    }
}
