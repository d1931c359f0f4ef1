//! Whether what is declared can be had: everything that needs no look at the store.
//!
//! A declaration that cannot be had is a mistake in the configuration: the gate does not start, and `portcullis check`
//! says so before.

use super::ConfiguredError;
use crate::{
    auth::acl::AclTree,
    config::{Declaration, DeclaredResources, edits},
    service::callback::{CallbackRules, CallbackUrl},
};

/// Whether declarations can be had: names once, resources that the tree has, callbacks that may be posted to.
///
/// # Errors
/// [`ConfiguredError::Unfit`] for the first that cannot.
pub fn check(declared: &[Declaration], tree: &AclTree, rules: &CallbackRules) -> Result<(), ConfiguredError> {
    let unfit = |name: &str, reason: String| ConfiguredError::Unfit { name: name.to_owned(), reason };
    if let Some(name) = Declaration::repeated_name(declared) {
        return Err(unfit(name, "is declared twice; rename one".to_owned()));
    }
    for Declaration { name, endpoint, resources, .. } in declared {
        if endpoint.as_deref().is_some_and(|url| CallbackUrl::parse(url, rules).is_err()) {
            let way_out = "use https and a usual port, or see handshake.allow_http";
            return Err(unfit(name, format!("has an endpoint that is not posted to; {way_out}")));
        }
        let DeclaredResources::Only(resources) = resources else { continue };
        if let Some(unknown) = resources.iter().find(|id| tree.find(id).is_none()) {
            let way_out = nearest(tree, unknown).map_or_else(
                || "see portcullis acl tree".to_owned(),
                |known| format!("did you mean {known}?"),
            );
            return Err(unfit(name, format!("names {unknown:?}, which acl.tree does not have; {way_out}")));
        }
    }
    Ok(())
}

/// The known resource that an unknown one was probably meant to be.
fn nearest<'a>(tree: &'a AclTree, unknown: &str) -> Option<&'a str> {
    let ids = tree.indices().filter_map(|index| tree.id(index));
    // Names of other people's making can be long, and comparing costs their product.
    let is_near = |id: &&str| id.len().abs_diff(unknown.len()) * 2 <= unknown.len() && unknown.len() < 256;
    ids.filter(is_near).min_by_key(|id| edits(unknown, id))
}
