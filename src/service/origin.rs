//! Who asks a service for something, and from where: what every audit record of it begins with.

use std::net::IpAddr;

use super::audit::{Action, Record};

/// The caller of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// `guest`, `customer:5`, `cli:root`, `job`.
    pub actor: String,
    /// The client's address, where there is one.
    pub client: Option<IpAddr>,
    /// The request's id, where there is one.
    pub request_id: Option<String>,
}

impl Origin {
    /// Somebody without an address: the command line, a job.
    #[must_use]
    pub fn local(actor: impl Into<String>) -> Self {
        Self { actor: actor.into(), client: None, request_id: None }
    }

    /// The beginning of a record of what this caller did.
    #[must_use]
    pub fn record(&self, action: Action) -> Record {
        Record {
            client: self.client,
            request_id: self.request_id.clone(),
            ..Record::new(action, self.actor.clone())
        }
    }
}
