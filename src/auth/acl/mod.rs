//! What an admin or an integration may do: the tree of resources, the roles, and the list that the upstream reads.
//!
//! [`AclTree`] is read once from Magento's merged tree. [`RoleBook`] turns the rows of `authorization_role` and
//! `authorization_rule` into one bit a resource, with the meaning that Magento's loader and Laminas ACL give them
//! (`MAGENTO_AUTH` section 8.3). A request then costs one hash look-up for the role and one bit for each resource of its
//! route. [`smallest_list`] writes a role's permissions as the header `X-Auth-Acl`, [`expand`] reads them back.
//!
//! Guests and customers have no role: whether a customer may use a `self` route is decided by
//! [`StoreScope`](crate::auth::route::StoreScope), not here.

mod list;
mod loader;
mod permissions;
mod roles;
mod rows;
mod set;
#[cfg(test)]
mod testing;
mod tree;

pub use list::{UnknownResource, expand, smallest_list};
pub use permissions::{Permissions, Resource};
pub use roles::{Role, RoleBook};
pub use rows::{Permission, RoleRow, RoleType, RuleRow};
pub use tree::{AclError, AclTree, ROOT_RESOURCE, ResourceIndex};
