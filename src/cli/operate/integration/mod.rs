//! `portcullis integration`: made, shown, granted resources, activated, rotated, deleted.

mod activating;
mod applying;
mod args;
mod changing;
mod finding;
mod resources;
mod rotating;
mod showing;

pub(in crate::cli) use args::{IntegrationCommand, integration};
pub(super) use finding::find_integration;
