//! What the program says of itself, and where it says it.
//!
//! Events go to standard error and access lines to where they are wanted (`lines`). What happens often is said now and then:
//! a failure that lasts once a minute ([`Complaint`]), some of what is told of requests ([`Sampler`]). Spans of requests
//! go to a collector ([`traces`]). Nothing here decides what is worth saying, and nothing waits for whoever listens.

mod complaint;
mod lines;
mod receiver;
mod sampler;
pub mod traces;

pub use complaint::Complaint;
pub use lines::{EventFormat, lines_to_file, lines_to_stdout, refilter, start};
pub use receiver::receiver_client;
pub use sampler::Sampler;
