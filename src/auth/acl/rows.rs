//! The rows of `authorization_role` and `authorization_rule`, as the store reads them.
//!
//! They are facts, not yet judged: [`RoleBook`](super::RoleBook) gives them their meaning. Text that Magento does not
//! write is kept apart from what it does, so that it can never grant anything.

use crate::auth::identity::UserType;

/// A row of `authorization_role`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RoleRow {
    /// `role_id`.
    pub role_id: u32,
    /// `parent_id`; 0 is none.
    pub parent_id: u32,
    /// `tree_level`; 1 at the top.
    pub tree_level: u16,
    /// `role_type`.
    pub role_type: RoleType,
    /// `user_id`; 0 for groups.
    pub user_id: u32,
    /// `user_type`, which is text in the table; `None` for NULL and for anything but Magento's numbers.
    pub user_type: Option<UserType>,
    /// `role_name`.
    pub role_name: Option<String>,
}

/// `authorization_role.role_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RoleType {
    /// `G`: permissions that many admins share.
    Group,
    /// `U`: one admin or one integration.
    User,
    /// Anything else; Magento does not load such a role, so it may do nothing.
    Other,
}

/// A row of `authorization_rule` whose `privileges` are empty, as Magento writes them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RuleRow {
    /// `role_id`.
    pub role_id: u32,
    /// `resource_id`.
    pub resource_id: String,
    /// `permission`.
    pub permission: Permission,
}

/// `authorization_rule.permission`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    /// `allow`.
    Allow,
    /// `deny`.
    Deny,
    /// Anything else; says nothing.
    Other,
}

impl RoleType {
    /// The type that the column's text stands for.
    #[must_use]
    pub fn from_magento(text: &str) -> Self {
        match text {
            "G" => Self::Group,
            "U" => Self::User,
            _ => Self::Other,
        }
    }
}

impl Permission {
    /// The permission that the column's text stands for.
    #[must_use]
    pub fn from_magento(text: &str) -> Self {
        match text {
            "allow" => Self::Allow,
            "deny" => Self::Deny,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_magento_writes_means_something() {
        for (text, role_type) in
            [("G", RoleType::Group), ("U", RoleType::User), ("g", RoleType::Other), ("", RoleType::Other)]
        {
            assert_eq!(RoleType::from_magento(text), role_type, "{text}");
        }
        for (text, permission) in [
            ("allow", Permission::Allow),
            ("deny", Permission::Deny),
            ("ALLOW", Permission::Other),
            ("", Permission::Other),
        ] {
            assert_eq!(Permission::from_magento(text), permission, "{text}");
        }
    }
}
