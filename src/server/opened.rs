//! The store, proven to open with the configured key, and the tables that every decision needs: what a gate, an explainer and
//! an operator at the shell all begin with.

use std::sync::Arc;

use super::{chores, error::BuildError, wire};
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
}
