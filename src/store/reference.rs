//! The small tables that every decision needs, kept whole in memory: store views, roles and rules.
//!
//! They are read together, compared with what is already there, and replaced in one step: a decision sees either the old
//! tables or the new ones. Without them no protected path can be decided, so until the first reading succeeds the
//! gate answers 503 there.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::{ArcSwapOption, Guard};
use http::HeaderValue;
use sha2::{Digest as _, Sha256};

use super::{error::StoreError, rows::ReferenceRows, settings::Settings, sql::SqlStore};
use crate::auth::{
    acl::{AclTree, Permissions, Role, RoleBook, smallest_list},
    header_text::header_text,
    identity::UserType,
    route::{AccountShare, StoreScope, StoreView},
};

/// Store views, roles and their finished header values.
#[derive(Debug)]
pub struct Reference {
    /// Which store a path means, and who may act in it.
    pub scope: StoreScope,
    /// Whether the reads of `WebapiSecurity` are open to everybody.
    pub allows_insecure: bool,
    roles: RoleBook,
    headers: HashMap<(UserType, u32), RoleHeaders>,
    long_lists: HashMap<String, String>,
}

/// Header values of a role, made once.
#[derive(Debug, Clone)]
pub struct RoleHeaders {
    /// `Role-Id`.
    pub id: HeaderValue,
    /// `Role-Name`.
    pub name: HeaderValue,
    /// `Acl`: the smallest list, or `digest` where it is longer than the limit.
    pub acl: HeaderValue,
    /// `Acl-Digest`: SHA-256 of the list in hexadecimal; only where the list is too long.
    pub digest: Option<HeaderValue>,
}

impl Reference {
    /// The role of a user and its header values.
    #[must_use]
    pub fn role_of(&self, user_type: UserType, user_id: u32) -> Option<(&Arc<Role>, &RoleHeaders)> {
        let role = self.roles.role_of(user_type, user_id)?;
        Some((role, self.headers.get(&(user_type, user_id))?))
    }

    /// The list behind an `Acl-Digest` header.
    #[must_use]
    pub fn long_list(&self, digest: &str) -> Option<&str> {
        self.long_lists.get(digest).map(String::as_str)
    }

    fn build(settings: &ReferenceSettings, (rows, effects): &(ReferenceRows, Effects)) -> Self {
        let roles = RoleBook::build(&settings.tree, &rows.roles, &rows.rules);
        let mut writer = ListWriter { settings, written: HashMap::new(), long_lists: HashMap::new() };
        let headers = roles.iter().map(|(user, role)| (user, writer.headers(role))).collect();
        let long_lists = writer.long_lists;
        let views = rows
            .stores
            .iter()
            .map(|row| StoreView { id: row.id, code: row.code.clone(), website_id: row.website_id })
            .collect::<Vec<_>>();
        let websites = rows.websites.iter().map(|row| (row.id, row.code.as_str()));
        let scope =
            StoreScope::new(views, rows.default_store_id, effects.account_share).with_websites(websites);
        Self { scope, allows_insecure: effects.allow_insecure, roles, headers, long_lists }
    }
}

/// Writes each set of permissions once, however many users share it.
struct ListWriter<'a> {
    settings: &'a ReferenceSettings,
    written: HashMap<*const Permissions, (HeaderValue, Option<HeaderValue>)>,
    long_lists: HashMap<String, String>,
}

impl ListWriter<'_> {
    fn headers(&mut self, role: &Role) -> RoleHeaders {
        let shared = Arc::as_ptr(&role.permissions);
        let (acl, digest) = match self.written.get(&shared) {
            Some(written) => written.clone(),
            None => {
                let written = self.write(&role.permissions);
                self.written.insert(shared, written.clone());
                written
            }
        };
        RoleHeaders { id: HeaderValue::from(role.id), name: value(&header_text(&role.name)), acl, digest }
    }

    fn write(&mut self, permissions: &Permissions) -> (HeaderValue, Option<HeaderValue>) {
        let list = smallest_list(permissions, &self.settings.tree);
        if list.len() <= self.settings.acl_max {
            return (value(&list), None);
        }
        let digest = hex::encode(Sha256::digest(&list));
        let header = value(&digest);
        self.long_lists.insert(digest, list);
        (HeaderValue::from_static("digest"), Some(header))
    }
}

/// A header value from text known to be visible ASCII; resource ids that are not would break the list for everybody.
fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// What building the tables needs besides their rows.
#[derive(Debug, Clone)]
pub struct ReferenceSettings {
    /// The resource tree.
    pub tree: Arc<AclTree>,
    /// The longest list that is sent in a header.
    pub acl_max: usize,
}

/// Magento's own settings that the tables are built by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Effects {
    account_share: AccountShare,
    allow_insecure: bool,
}

/// The current tables of one process.
#[derive(Debug)]
pub struct ReferenceTables {
    settings: ReferenceSettings,
    current: ArcSwapOption<Reference>,
    last: Mutex<Option<(ReferenceRows, Effects)>>,
}

impl ReferenceTables {
    /// No tables yet.
    #[must_use]
    pub const fn new(settings: ReferenceSettings) -> Self {
        Self { settings, current: ArcSwapOption::const_empty(), last: Mutex::new(None) }
    }

    /// The same rows by other settings, without asking the store.
    #[must_use]
    pub fn rebuilt(&self, settings: ReferenceSettings) -> Self {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let current = last.as_ref().map(|read| Arc::new(Reference::build(&settings, read)));
        Self { settings, current: ArcSwapOption::new(current), last: Mutex::new(last) }
    }

    /// The tables, once they could be read.
    #[must_use]
    pub fn current(&self) -> Guard<Option<Arc<Reference>>> {
        self.current.load()
    }

    /// Reads the tables and builds them by these settings; says whether they differ from what was known.
    ///
    /// # Errors
    /// When the store cannot be read; the tables known so far stay.
    pub async fn refresh(&self, store: &SqlStore, settings: &Settings) -> Result<bool, StoreError> {
        let Settings { account_share, allow_insecure, .. } = *settings;
        let read = (store.reference().await?, Effects { account_share, allow_insecure });
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref() == Some(&read) {
            return Ok(false);
        }
        self.current.store(Some(Arc::new(Reference::build(&self.settings, &read))));
        *last = Some(read);
        Ok(true)
    }
}
