//! Telling all replicas at once whom a change concerns, through Redis.
//!
//! A replica that changes something publishes (generation, subject); the others drop what they remember of it. Generations
//! have no gaps, so a replica knows when it missed one: it catches up from a bounded list, and where that does not reach back
//! far enough, or Redis is another one, it forgets everybody. The feed in the database, looked at every `cache.poll`, stays
//! below all this: without Redis a revocation is seen later, never not at all.
//!
//! - [`Board`] is what stands in Redis: the generation, the list, the replicas that are alive.
//! - [`Position`] is how far one replica has come; it decides, and asks nobody.
//! - [`Announcer`] is where a change is handed in, from anywhere, without waiting.
//!
//! An *epoch* names one history of these data: the replication id of the server and a seed drawn when the data began.
//! Generations of two epochs have nothing to do with each other.

mod announcer;
mod board;
mod message;
mod position;
mod replica;

pub use announcer::Announcer;
pub use board::Board;
pub use message::Message;
pub use position::{Beat, Mark, Position, Step};
pub use replica::{LiveReplica, Register, Replicas};
