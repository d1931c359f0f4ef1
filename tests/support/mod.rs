//! What the server tests share: a real gate, an upstream that keeps what it was sent, and a client that speaks bytes.

#![allow(dead_code, reason = "every test binary uses another part")]

pub(crate) mod fault_proxy;
pub(crate) mod fixture;
pub(crate) mod gate;
pub(crate) mod magento;
pub(crate) mod party;
pub(crate) mod process;
pub(crate) mod routes;
pub(crate) mod servers;
pub(crate) mod sessions;
pub(crate) mod shop;
pub(crate) mod signing;
pub(crate) mod statements;
pub(crate) mod upstream;
pub(crate) mod waiting;
pub(crate) mod wire;
