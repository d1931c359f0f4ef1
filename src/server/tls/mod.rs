//! The listeners' TLS: certificates read from files, chosen by the name that a client asks for, exchanged while serving.
//!
//! TLS 1.2 and 1.3 only, by rustls and ring. Everything that can be wrong with a file is found before anything is taken
//! up, and told together. Handshakes themselves belong to the engine, and for operators to [`listener`].

mod der;
mod files;
mod home;
mod listener;
mod resolver;

pub use files::TlsProblems;
pub(super) use home::TlsHome;
pub(super) use listener::AdminListener;
