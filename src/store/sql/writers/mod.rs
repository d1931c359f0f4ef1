//! Writing what a store of our own needs: accounts, roles, integrations and their credentials.
//!
//! The rows are those that Magento itself would write (`MAGENTO_AUTH` section 7). Times are arguments, as everywhere.

mod accounts;
mod credentials;
mod insert;
mod logins;

pub use accounts::{NewAdmin, NewCustomer, NewRole, RoleOwner};
pub use credentials::{IntegrationStatus, NewAccessToken, NewConsumer, NewIntegration, TokenOwner};
