//! `portcullis integration`, `token` and `user`: credentials, operated from the shell.
//!
//! Each command opens the store that the configuration names, calls one service and says what it did. Secrets go to
//! standard output alone, once, when they are made; lists show fingerprints. What an operator should know besides (when
//! running gates act on it, what comes next) goes there too, but never into `--json`.

mod ask;
mod integration;
mod people;
mod session;
mod show;
mod token;
mod user;

pub(super) use integration::{IntegrationCommand, integration};
pub(super) use token::{TokenCommand, token};
pub(super) use user::{UserCommand, user};
