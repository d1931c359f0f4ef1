//! Redis or Valkey: what several replicas share. Optional; nothing that one replica needs alone depends on it.
//!
//! [`Link`] is the one way to it, for nonces, invalidations and counters alike. A command is sent at once or fails at once:
//! nothing queues while Redis is away, and no command is sent twice. What a failure means is the caller's to say: a nonce
//! is refused, a counter may be let pass.
//!
//! ```text
//! let taken: bool = link.run(Cmd::set_nx(link.key("lock"), 1)).await?;      // one command
//! let count: i64 = link.script(&COUNT, &[&link.key("hits")], &["60"]).await?;   // one atomic step
//! ```
//!
//! Keys come from [`Link::key`], or [`Link::tagged`] where several meet in one script: a cluster keeps keys of one tag
//! together. Values travel as bytes; a script's keys and arguments are sent apart from its text.

mod connect;
mod error;
mod keeper;
mod link;
mod script;
mod settings;

pub use error::LinkError;
pub use link::{Link, Messages};
pub use script::LinkScript;
pub use settings::{LinkHome, LinkSettings};
