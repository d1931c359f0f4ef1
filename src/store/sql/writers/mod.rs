//! Writing what a store of our own needs: accounts, roles, integrations and their credentials.
//!
//! The rows are those that Magento itself would write (`MAGENTO_AUTH` section 7). Times are arguments, as everywhere.

mod accounts;
mod credentials;
pub(super) mod insert;
mod logins;

pub use accounts::{NewAdmin, NewCustomer, NewRole, RoleOwner};
pub use credentials::{NewAccessToken, NewConsumer, NewIntegration, TokenOwner};
