//! The door to the outside: the one POST that the gate sends to an address which somebody else wrote down.
//!
//! A consumer's secret goes through it, in clear text (`MAGENTO_AUTH` 4.2), so it opens towards few places:
//!
//! 1. [`CallbackUrl`]: an address of one meaning, `https`, no user, a port that web servers have.
//! 2. `address`: every address that the name resolves to must be one of the public internet, unless the operator allows
//!    its network. Magento restricts nothing here (`MAGENTO_AUTH` 16.1, 20).
//! 3. [`CallbackDoor`]: connects to the addresses that were looked at and to no other, follows nothing, believes no
//!    proxy, and gives up soon.

mod address;
mod door;
mod url;

pub use door::{CallbackDoor, CallbackError};
pub use url::{BadUrl, CallbackUrl};

use std::time::Duration;

use ipnet::IpNet;

/// Where the door opens to.
#[derive(Debug, Clone)]
pub struct CallbackRules {
    /// Whether `http` will do.
    pub allow_http: bool,
    /// Networks that are not public and may be posted to all the same.
    pub allow_networks: Vec<IpNet>,
    /// The time for everything: name, connection, answer.
    pub timeout: Duration,
}
