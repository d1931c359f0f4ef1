//! Passwords: what Magento stored of them, whether a presented one is the same, and which may be chosen.
//!
//! A stored hash names the functions that made it ([`PasswordHash`], `MAGENTO_AUTH` section 9.2); [`PasswordRules`] are
//! those for new passwords. Hashing takes milliseconds and 64 MiB, which the caller lends ([`Workspace`]): when and how
//! many at once is not decided here.

mod hash;
mod rules;
mod step;

pub use hash::{PasswordHash, TooCostly};
pub use rules::{PasswordProblem, PasswordRules};
pub use step::Workspace;
