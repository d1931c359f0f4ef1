//! What a role may do, and what a route asks for.
//!
//! One bit for each resource of the tree and one for "anything that the tree does not know", which is Laminas' null
//! resource: Magento asks for it when a route names `self`, or a resource that no module declares (FACT 22).

use crate::auth::acl::{ResourceIndex, set::ResourceSet};

/// The resources that a role may use.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Permissions {
    pub(super) allowed: ResourceSet,
    pub(super) allows_unknown: bool,
}

/// What a route asks for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Resource {
    /// `anonymous`: nothing.
    Anonymous,
    /// `self`: a customer acting for himself. No resource of the tree.
    SelfOnly,
    /// A resource of the tree.
    Named(ResourceIndex),
    /// A resource that the tree does not know.
    Unknown(String),
}

impl Permissions {
    /// The permissions of whoever has no role.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Whether a role with these permissions passes; `self` and unknown resources are for full access alone (FACT 22).
    ///
    /// A customer's own right to `self` routes is not known here, see
    /// [`StoreScope::customer_may_act`](crate::auth::route::StoreScope::customer_may_act).
    #[must_use]
    pub fn allows(&self, resource: &Resource) -> bool {
        match resource {
            Resource::Anonymous => true,
            Resource::Named(index) => self.allowed.contains(index.0),
            Resource::SelfOnly | Resource::Unknown(_) => self.allows_unknown,
        }
    }

    /// Whether resources that the tree does not know are allowed: the null resource of FACT 22.
    #[must_use]
    pub const fn allows_unknown(&self) -> bool {
        self.allows_unknown
    }

    /// How many resources of the tree are allowed.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.allowed.count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_role_only_anonymous_is_allowed() {
        let none = Permissions::none();
        assert!(none.allows(&Resource::Anonymous));
        assert!(!none.allows(&Resource::SelfOnly));
        assert!(!none.allows(&Resource::Named(ResourceIndex(0))));
        assert!(!none.allows(&Resource::Unknown("X::y".into())));
    }
}
