//! The operator's listener: health, figures, and ACL lists that are too long for a header.
//!
//! It never shares the proxy's port, so no request that a client sends can reach it by path or Host tricks, and binds
//! loopback. What stands here is readable by whoever can connect and shows no credential.

mod pages;

pub use pages::{AdminState, serve};
