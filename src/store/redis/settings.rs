//! Where Redis is and how it is talked to, as the configuration has it.

use std::time::Duration;

use crate::auth::secret::Secret;

/// How to reach Redis, and its bounds.
#[derive(Debug, Clone)]
pub struct LinkSettings {
    /// Where it is.
    pub home: LinkHome,
    /// The user of the access list.
    pub user: Option<String>,
    /// The password, unless a URL carries it.
    pub password: Option<Secret<String>>,
    /// Whether nodes are spoken to through TLS; a URL says so itself.
    pub tls: bool,
    /// The certificates that a server's must lead to, as PEM; the system's, where there are none.
    pub ca: Option<String>,
    /// What every key begins with.
    pub prefix: String,
    /// How long one command may take.
    pub timeout: Duration,
    /// Most commands under way at a time.
    pub max_in_flight: usize,
}

/// A kind of Redis and its addresses; nodes are host and port.
#[derive(Debug, Clone)]
pub enum LinkHome {
    /// One server, by its URL.
    Single(Secret<String>),
    /// Whichever server the sentinels call the master.
    Sentinel {
        /// Where sentinels listen.
        nodes: Vec<(String, u16)>,
        /// The master's name.
        master: String,
    },
    /// A cluster.
    Cluster {
        /// Some of its nodes.
        nodes: Vec<(String, u16)>,
    },
}
