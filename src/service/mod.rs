//! What can be done with credentials: Magento's services, one internal interface for endpoints, command line and jobs.
//!
//! A service checks what it is given, changes the store in one transaction, tells the [`audit`] and answers, or refuses in
//! Magento's words ([`ServiceError`], `MAGENTO_AUTH` section 5). It knows no HTTP and no command line. Whatever it needs
//! besides the store (time, keys, settings) it is given.

pub mod admin_token;
pub mod audit;
pub mod authorization;
pub mod callback;
pub mod configured;
mod credentials;
pub mod customer_token;
mod error;
pub mod foundation;
pub mod integration;
mod issuer;
mod login;
pub mod oauth;
pub mod operator_token;
mod origin;
pub mod passwords;
pub mod random;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod throttle;
pub mod users;

pub use error::ServiceError;
pub use issuer::{Issuer, TokenSettings};
pub use login::LoginDesk;
pub use origin::Origin;
